# SPDX-License-Identifier: Apache-2.0
"""A predictor of small untrained networks, and files that users upload."""

import cv2
import numpy as np
import pytest

from rmpe_plugin.web import Limits, WebPredictor
from tests.test_apis.conftest import cpn, detector_files  # noqa: F401
from tests.test_inference.videos import write_video

LIMITS = Limits(megabytes=1, megapixels=0.1, frames=20, seconds=2)


@pytest.fixture(scope='session')
def predictor(cpn, detector_files):  # noqa: F811
    """A predictor of a detector that finds boxes anywhere, or one in each image."""
    detectors = {
        'whole_image': ('whole_image', None),
        'boxes': tuple(map(str, detector_files)),
    }
    return WebPredictor({'small': tuple(map(str, cpn))}, detectors, 'cpu', LIMITS)


@pytest.fixture
def picture(tmp_path):
    """A picture of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    path = tmp_path / '7.jpg'
    cv2.imwrite(str(path), noise)
    return path


@pytest.fixture
def video(tmp_path):
    """A video of 12 frames."""
    return write_video(tmp_path / 'walk.mp4', 'mp4v', number=12)
