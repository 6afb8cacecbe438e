# SPDX-License-Identifier: Apache-2.0
import numpy as np
import torch
from scipy.special import expit

from rmpe_plugin.ops import calibrate_scores


def test_equals_a_logistic_function():
    scores = np.array([[np.nan, 0.0, 0.3], [0.4, 0.7, 1.0]])
    calibrated = calibrate_scores(scores, (9.0, -3.0))
    np.testing.assert_allclose(calibrated, expit(9 * scores - 3))
    tensor = calibrate_scores(torch.from_numpy(scores), (9.0, -3.0))
    np.testing.assert_allclose(tensor, calibrated)
    assert calibrate_scores(np.zeros((0, 17)), (9.0, -3.0)).shape == (0, 17)
