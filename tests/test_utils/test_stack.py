# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

from rmpe_plugin.utils import stack
from tests.conftest import ROOT

HIDE = """
import sys
for name in {hidden}:
    sys.modules[name] = None
"""


def run(code, hidden=()):
    """Run code in a process in which some modules cannot be imported."""
    return subprocess.run(
        [sys.executable, '-c', HIDE.format(hidden=tuple(hidden)) + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_ops_work_without_openmmlab():
    result = run(
        'import torch, rmpe_plugin\n'
        'from rmpe_plugin.ops import decode_cpn, hard_keypoint_loss\n'
        'print(hard_keypoint_loss(torch.ones(2, 3), 2).item())\n'
        'print([m for m in ("mmengine", "mmcv", "cv2") if sys.modules.get(m)])',
        hidden=stack.SUPPORTED,
    )
    assert result.stdout.split() == ['1.0', '[]'], result.stderr


def test_raises_on_incomplete_stack():
    result = run('import rmpe_plugin', hidden=['mmdet'])
    assert result.returncode
    message = result.stderr.splitlines()[-1]
    assert 'not installed: mmdet' in message
    assert 'mmpose>=1.3.0,<2.0.0' in message


def test_raises_on_unsupported_version():
    with pytest.raises(
        ImportError, match='requires mmengine>=99,<100; installed: mmengine 0'
    ):
        stack.check_stack(dict(mmengine=('99', '100')))
    assert stack.check_stack()
