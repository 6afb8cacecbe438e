# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from mmpose.evaluation.functional import pose_pck_accuracy

from rmpe_plugin.ops import pck_accuracy


@pytest.mark.parametrize('seed', range(5))
def test_equals_mmpose(seed):
    rng = np.random.default_rng(seed)
    target = rng.random((6, 5, 12, 9), dtype=np.float32)
    shifted = np.roll(target, 1, axis=3)
    pred = np.where(rng.random((6, 5, 1, 1)) < 0.5, target, shifted).astype(np.float32)
    valid = rng.random((6, 5)) < 0.6
    valid[:, 0] = False
    expected = pose_pck_accuracy(pred, target, valid, thr=0.1)[1]
    actual = pck_accuracy(
        torch.from_numpy(pred), torch.from_numpy(target), torch.from_numpy(valid), 0.1
    )
    assert actual.item() == pytest.approx(expected)


def test_is_zero_without_valid_keypoints():
    maps = torch.rand(2, 3, 4, 4)
    assert pck_accuracy(maps, maps, torch.zeros(2, 3, dtype=torch.bool)).item() == 0
