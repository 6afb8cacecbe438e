# SPDX-License-Identifier: Apache-2.0
import sys

import mmcv.ops
import pytest

from rmpe_plugin.compat import mmcv_ext

COMPILED = not mmcv._ext.__file__.endswith('.py')

needs_compiled = pytest.mark.skipif(
    not COMPILED, reason='mmcv is not compiled: mmcv._ext is that of rmpe_plugin'
)


def use_operators(monkeypatch, module):
    """Let all of ``mmcv.ops`` call the operators of a module."""
    users = [
        user
        for name, user in sys.modules.items()
        if name.startswith('mmcv.ops.') and hasattr(user, 'ext_module')
    ]
    assert len(users) > 10
    for user in users:
        monkeypatch.setattr(user, 'ext_module', module)


@pytest.fixture
def ours(monkeypatch):
    """Let ``mmcv.ops`` call the operators of this project, also if it is compiled."""
    use_operators(monkeypatch, mmcv_ext)
