# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rmpe_plugin.ops.rmpe.pose_arrays import (
    chunk_size,
    concatenate_images,
    convert_like,
    group_by_size,
)

CPU = torch.device('cpu')


def image(number, num_keypoints=17):
    return (
        np.ones((number, num_keypoints, 2), dtype=np.float32),
        np.ones((number, num_keypoints)),
        np.tile([0, 0, 5, 10], (number, 1)),
    )


def test_concatenates_and_keeps_dtypes():
    images = list(zip(image(2), image(0), image(3), strict=True))
    tensors = concatenate_images(*images)
    assert tensors.keypoints.shape == (5, 17, 2)
    assert tensors.keypoints.dtype == torch.float32
    assert tensors.keypoint_scores.dtype == torch.float64
    assert tensors.bboxes.dtype == torch.float64  # integers
    assert tensors.person_scores is None


@pytest.mark.parametrize('convert', [np.asarray, torch.as_tensor])
def test_copies_the_input(convert):
    arrays = [convert(array) for array in image(1)]
    tensors = concatenate_images(*([array] for array in arrays))
    tensors.keypoints[:] = 7
    assert (arrays[0] == 1).all()


@pytest.mark.parametrize(
    ('box', 'valid'),
    [
        ([3, 4, 3, 4], True),
        ([3, 4, 2, 5], False),
        ([3, 4, 5, np.nan], False),
        ([3, 4, np.inf, 5], False),
        ([-np.inf, 4, 3, 5], False),
    ],
)
def test_raises_on_invalid_boxes(box, valid):
    keypoints, scores, _ = image(1)
    arguments = [keypoints], [scores], [np.array([box], dtype=float)]
    if valid:
        concatenate_images(*arguments)
        return
    with pytest.raises(ValueError, match='bboxes must be finite x1, y1, x2, y2'):
        concatenate_images(*arguments)


def test_groups_cover_all_poses(monkeypatch):
    monkeypatch.setattr('rmpe_plugin.ops.rmpe.pose_arrays.CPU_CHUNK_BYTES', 20 * 128)
    sizes = np.array([3, 0, 2, 3, 3, 7])
    groups = list(group_by_size(sizes, CPU))
    # At most 20 pairs: 2 images of 3 poses, or one image of 7.
    assert [tuple(group.shape) for group in groups] == [(1, 2), (2, 3), (1, 3), (1, 7)]
    indices = torch.cat([group.flatten() for group in groups])
    assert sorted(indices.tolist()) == list(range(18))
    for group in groups:
        assert (group.diff(dim=1) == 1).all()


def test_chunk_size_is_at_least_one():
    assert chunk_size(10**12, CPU) == 1


def test_convert_like():
    with torch.inference_mode():
        tensor = torch.arange(3)
    assert isinstance(convert_like(tensor, np.zeros(1)), np.ndarray)
    converted = convert_like(tensor, torch.zeros(1))
    assert not converted.is_inference()
    assert converted.tolist() == [0, 1, 2]
