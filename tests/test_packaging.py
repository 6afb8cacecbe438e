# SPDX-License-Identifier: Apache-2.0
"""Content of the project's wheel."""

import shutil
import subprocess
import sys
from email.parser import Parser
from zipfile import ZipFile

import pytest
import yaml

from rmpe_plugin.version import __version__
from tests.conftest import ROOT

WEIGHTS = (
    'weights/cpn_mobilenetv2_photo-256x192.pth',
    'weights/nanodet_416_fp16.onnx',
)


def build_wheel(folder):
    """Build the project's wheel into a folder."""
    source = folder / 'source'
    # The build writes to the source folder, so it gets a copy.
    for name in ('rmpe_plugin', 'configs', 'tools'):
        shutil.copytree(ROOT / name, source / name)
    setup = ('setup.cfg', 'setup.py', 'MANIFEST.in', 'README.md', 'LICENSE', 'NOTICE')
    for name in (*setup, 'rmpe.py', 'model-index.yml'):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps']
    command += ['--no-build-isolation', '-w', str(folder), str(source)]
    subprocess.run(command, check=True)
    (path,) = folder.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    return ZipFile(build_wheel(tmp_path_factory.mktemp('wheel')))


def test_wheel_has_the_package_and_the_files_of_openmim(wheel):
    names = set(wheel.namelist())
    for name in (
        'configs/_base_/cpn_coco-256x192.py',
        'configs/cpn/coco/ablation/td-hm_cpn-res50_masked-8xb32-160e_coco-256x192.py',
        'configs/cpn/metafile.yml',
        'configs/detection/metafile.yml',
        'tools/demo.py',
        'tools/train.py',
        'model-index.yml',
    ):
        assert f'rmpe_plugin/.mim/{name}' in names
    package = ('models/heads/cpn_head.py', 'py.typed', *WEIGHTS)
    assert {f'rmpe_plugin/{name}' for name in package} <= names
    assert 'rmpe.py' in names
    licences = {name.rpartition('/')[2] for name in names if '.dist-info/' in name}
    assert {'LICENSE', 'NOTICE'} <= licences
    assert not any(name.startswith(('tests/', 'experiments/')) for name in names)


def test_wheel_does_not_require_torch_or_openmmlab(wheel):
    (metadata,) = (n for n in wheel.namelist() if n.endswith('.dist-info/METADATA'))
    message = Parser().parsestr(wheel.read(metadata).decode())
    assert message['Version'] == __version__
    required = [r for r in message.get_all('Requires-Dist') if 'extra ==' not in r]
    assert sorted(required) == ['numpy', 'onnxruntime', 'rich']
    assert {'torch', 'mim', 'tests'} <= set(message.get_all('Provides-Extra'))


@pytest.mark.parametrize('family', ['cpn', 'rmpe', 'detection'])
def test_metafile_lists_each_config_once(family):
    metafile = f'configs/{family}/metafile.yml'
    assert f'  - {metafile}\n' in (ROOT / 'model-index.yml').read_text()
    models = yaml.safe_load((ROOT / metafile).read_text())['Models']
    configs = (ROOT / 'configs' / family).glob('*/**/*.py')
    paths = [str(path.relative_to(ROOT)) for path in configs]
    listed = [model['Config'] for model in models if 'Config' in model]
    assert sorted(listed) == sorted(paths)


def test_readme_names_the_supported_versions_of_python(wheel):
    (metadata,) = (n for n in wheel.namelist() if n.endswith('.dist-info/METADATA'))
    classifiers = Parser().parsestr(wheel.read(metadata).decode()).get_all('Classifier')
    names = [c.rpartition(' ')[2] for c in classifiers if ':: Python :: 3.' in c]
    readme = (ROOT / 'README.md').read_text()
    assert f'[![Python {names[0]} to {names[-1]}](' in readme
    assert f'/badge/Python-{names[0]}_to_{names[-1]}-' in readme


def test_citation_names_the_version():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == __version__
