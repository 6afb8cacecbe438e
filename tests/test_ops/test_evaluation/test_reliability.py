# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rmpe_plugin.ops import reliability


@pytest.mark.parametrize('bins', [1, 4, 10])
def test_equals_loop_over_bins(bins):
    rng = np.random.default_rng(0)
    scores = np.r_[rng.random(500) ** 3, 0.0, 1.0]
    correct = rng.random(502) < scores
    result = reliability(scores, correct, bins)
    error = 0.0
    for i in range(bins):
        last = i == bins - 1
        here = (scores >= i / bins) & ((scores < (i + 1) / bins) | last)
        assert result.number[i] == here.sum()
        assert result.score[i] == pytest.approx(scores[here].mean())
        assert result.correct[i] == pytest.approx(correct[here].mean())
        gap = abs(scores[here].mean() - correct[here].mean())
        error += here.mean() * gap
    assert result.calibration_error == pytest.approx(error)


def test_empty_bins_and_calibrated_scores():
    result = reliability(np.array([0.25] * 4), np.array([1, 0, 0, 0], bool))
    assert result.number.tolist() == [0, 0, 4, 0, 0, 0, 0, 0, 0, 0]
    assert np.isnan(result.score).sum() == 9
    assert result.calibration_error == 0


@pytest.mark.parametrize('scores', [[], [0.5, 1.2], [np.nan]])
def test_raises_on_invalid_scores(scores):
    with pytest.raises(ValueError, match=r'scores must be in \[0, 1\], got'):
        reliability(np.array(scores), np.zeros(len(scores), bool))
