# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmpose.registry import TRANSFORMS


def gains(number, **settings):
    """Factors of the channels of several images."""
    transform = TRANSFORMS.build(dict(type='RandomChannelGain', **settings))
    image = np.full((4, 5, 3), 200, np.uint8)
    results = [transform(dict(img=image.copy()))['img'] for _ in range(number)]
    assert all((r == r[0, 0]).all() and r.dtype == np.uint8 for r in results)
    return np.array([r[0, 0] for r in results]) / 200


def test_factors_are_uniform_and_independent():
    np.random.seed(0)  # noqa: NPY002
    values = gains(2000)
    assert 0.8 <= values.min() < 0.81
    assert 1.19 < values.max() <= 1.2
    assert np.allclose(values.mean(axis=0), 1, atol=0.01)
    assert np.abs(np.corrcoef(values.T) - np.eye(3)).max() < 0.1


def test_limits_values_to_255():
    assert (gains(1, low=2.0, high=3.0) == 255 / 200).all()


@pytest.mark.parametrize('limits', [(-0.1, 1.0), (1.2, 0.8)])
def test_raises_on_invalid_limits(limits):
    with pytest.raises(ValueError, match='must be 0 <= low <= high, got'):
        gains(1, low=limits[0], high=limits[1])
