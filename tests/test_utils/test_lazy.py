# SPDX-License-Identifier: Apache-2.0
"""What is imported when, in processes of their own."""

import subprocess
import sys
from importlib import import_module

import mmpose.registry
import pytest
from mmengine.registry import Registry

from rmpe_plugin.utils.lazy import REGISTRIES, lazy_names
from tests.conftest import ROOT

HEAVY = (
    'matplotlib', 'mmdet.models', 'mmengine.runner', 'mmpose.datasets',
    'mmpose.models', 'scipy', 'timm', 'torchvision',
)  # fmt: skip


def run(code):
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.splitlines()[-1]


def test_exported_models_run_without_those_of_openmmlab():
    code = (
        'import sys, numpy as np\n'
        'from rmpe_plugin.cli import predict\n'
        'from rmpe_plugin.apis import PoseDrawer, find_model, load_detector\n'
        'find_model("photo")\n'
        'load_detector(device="cpu")([np.zeros((50, 50, 3), np.uint8)])\n'
        f'print([name for name in {HEAVY} if name in sys.modules])'
    )
    assert run(code) == '[]'


@pytest.mark.slow
@pytest.mark.parametrize('first', ['', 'MODELS.get("CPMHead"); '])
def test_registries_find_all_classes(first):
    """Also if MMPose has registered its own classes before."""
    code = (
        f'from mmpose.registry import MODELS, HOOKS; {first}import rmpe_plugin; '
        'print("CPNHead" in MODELS, HOOKS.get("FinetuneHook").__name__)'
    )
    assert run(code) == 'True FinetuneHook'


@pytest.mark.parametrize('name', REGISTRIES)
def test_the_package_of_a_registry_has_its_classes(name):
    import_module(f'rmpe_plugin.{REGISTRIES[name]}')
    ours = [
        x.__module__
        for x in getattr(mmpose.registry, name).module_dict.values()
        if x.__module__.startswith('rmpe_plugin.')
    ]
    assert ours
    assert all(x.startswith(f'rmpe_plugin.{REGISTRIES[name]}.') for x in ours)


def test_every_registry_is_known():
    """Of those that have classes of this package."""
    for package in {*REGISTRIES.values()}:
        import_module(f'rmpe_plugin.{package}')
    names = {
        name
        for name, registry in vars(mmpose.registry).items()
        if isinstance(registry, Registry)
        for x in registry.module_dict.values()
        if x.__module__.startswith('rmpe_plugin.')
    }
    assert names == {*REGISTRIES}


@pytest.mark.parametrize('package', ['apis', 'deploy', 'inference'])
def test_packages_have_all_their_names(package):
    module = import_module(f'rmpe_plugin.{package}')
    for name in module.__all__:
        assert hasattr(module, name)


def test_unknown_names():
    with pytest.raises(AttributeError, match="'xml' has no attribute 'html'"):
        lazy_names('xml', {})('html')
    with pytest.raises(ImportError, match='cannot import name'):
        from rmpe_plugin.apis import NoDetector  # noqa: F401


@pytest.mark.parametrize(
    'imports',
    [
        'import rmpe_plugin; from mmengine.runner import load_checkpoint',
        'from mmengine.runner import load_checkpoint; import rmpe_plugin',
        'import rmpe_plugin.utils.checkpoint',
        'import rmpe_plugin.utils.download',
    ],
)
def test_loaders_are_safe_whenever_mmengine_imports_them(imports):
    code = (
        f'{imports}\nfrom mmengine.runner import checkpoint\n'
        'schemes = checkpoint.CheckpointLoader._schemes\n'
        'print("package://" in schemes, checkpoint.load_from_http.__module__, '
        'schemes[""].__wrapped__.__name__)'
    )
    assert run(code) == 'True rmpe_plugin.utils.download load_from_local'
