# SPDX-License-Identifier: Apache-2.0
from tests.test_apis.conftest import video  # noqa: F401
