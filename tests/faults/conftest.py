# SPDX-License-Identifier: Apache-2.0
"""Untrained networks in files, as the inferencer's tests have them."""

from tests.test_apis.conftest import cpn, detector_files  # noqa: F401
