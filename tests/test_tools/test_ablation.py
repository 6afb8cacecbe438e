# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.conftest import run_tool


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--seeds', 1, 1), '--seeds must be different'),
        (('--jobs', 0), '--jobs must be at least 1, got 0'),
        (('--size', 'huge'), "'cpu', 'gpu', 'tiny'"),
    ],
)
def test_raises_on_invalid_arguments(tmp_path, arguments, message):
    result = run_tool('ablation.py', *arguments, '--work-dir', tmp_path, check=False)
    assert result.returncode == 2
    assert message in result.stderr
