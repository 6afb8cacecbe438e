# SPDX-License-Identifier: Apache-2.0
"""Files of untrained networks, shared with the tests of the inferencer."""

from tests.test_apis.conftest import cpn, detector_files  # noqa: F401
