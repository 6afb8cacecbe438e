# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.conftest import coco_cc, golden, mmpose_scope, synthetic  # noqa: F401


@pytest.fixture
def unformatted_configs(monkeypatch):
    """Dump configs without yapf, which takes most of the time of a tiny training."""
    monkeypatch.setattr(
        'mmengine.config.config.FormatCode', lambda text, **_: (text, False)
    )
