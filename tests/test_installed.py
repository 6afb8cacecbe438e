# SPDX-License-Identifier: Apache-2.0
"""The wheel and OpenMIM in a separate environment, outside the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import rmpe
from tests.test_packaging import build_wheel

OPENMIM = 'openmim==0.3.9'

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info >= (3, 12), reason=f'{OPENMIM} needs 3.11'),
]


class Installed:
    """An environment with the wheel and access to the packages of this one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / 'venv' / 'bin'
        venv.create(folder / 'venv', symlinks=True)
        here = sysconfig.get_paths()['purelib']
        (site,) = (folder / 'venv' / 'lib').glob('python*/site-packages')
        # Only a path: editable installs in this environment, such as the plugin itself,
        # are not visible through it.
        (site / 'stack.pth').write_text(here + '\n')
        self.mim = site / 'rmpe_plugin' / '.mim'
        pip = [sys.executable, '-m', 'pip', '--python', str(self.bin / 'python')]
        pip += ['install', '-q', '--disable-pip-version-check']
        subprocess.run([*pip, '--no-deps', str(build_wheel(folder))], check=True)
        subprocess.run([*pip, OPENMIM], check=True)

    def run(self, *command) -> str:
        """Run a command of the environment in a folder without project files."""
        env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
        env['PATH'] = f'{self.bin}:{env["PATH"]}'
        work = self.folder / 'work'
        work.mkdir(exist_ok=True)
        result = subprocess.run(
            [str(self.bin / command[0]), *map(str, command[1:])],
            cwd=work, env=env, capture_output=True, text=True,
        )  # fmt: skip
        output = result.stdout + result.stderr
        assert result.returncode == 0, output[-6000:]
        return output


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    return Installed(tmp_path_factory.mktemp('installed'))


@pytest.fixture(scope='module')
def config(installed, synthetic):
    """A user's config, which inherits from a config of the wheel by path."""
    base = installed.mim / 'configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py'
    path = installed.folder / 'mine.py'
    path.write_text(f"""
_base_ = {str(base)!r}
data_root = {str(synthetic) + '/'!r}
few = dict(batch_size=4, num_workers=0, persistent_workers=False)
train_dataloader = dict(**few, dataset=dict(data_root=data_root))
val_dataloader = dict(**few, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/person_keypoints_val.json')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1)
""")
    return path


@pytest.fixture(scope='module')
def checkpoint(installed, config):
    """Checkpoint of a training with OpenMIM."""
    work = installed.folder / 'by_mim'
    installed.run('mim', 'train', 'mmpose', config, '--work-dir', work)
    return work / 'epoch_1.pth'


def test_imports_the_wheel_and_not_the_checkout(installed):
    code = 'import rmpe_plugin; print(rmpe_plugin.__file__)'
    assert str(installed.mim.parent / '__init__.py') in installed.run(
        'python', '-c', code
    )


def test_check_env_passes(installed):
    output = installed.run('mim', 'run', 'rmpe_plugin', 'check_env')
    assert 'all checks passed' in output
    assert 'editable install' not in output


def test_mim_trains_and_runs_the_demo(installed, checkpoint, config, synthetic):
    out = installed.folder / 'demo'
    output = installed.run(
        *('mim', 'run', 'rmpe_plugin', 'demo', config, checkpoint),
        *(synthetic / 'val', '--whole-image', '--out', out),
        # The scores of a barely trained model are below the threshold of the presets.
        *('--pose-nms', 'none'),
    )
    assert '4 people' in output
    assert len(list(out.glob('*.jpg'))) == 4


def test_train_scripts_of_mmpose_and_of_the_wheel(installed, config):
    import mmpose

    mmpose_script = Path(mmpose.__file__).parent / '.mim' / 'tools' / 'train.py'
    for name, script in (
        ('mmpose', mmpose_script),
        ('wheel', installed.mim / 'tools/train.py'),
    ):
        work = installed.folder / name
        installed.run('python', script, config, '--work-dir', work)
        assert (work / 'epoch_1.pth').is_file()
        shutil.rmtree(work)


def test_rmpe_works_in_any_folder(installed, config, synthetic):
    assert '\n  predict ' in installed.run('rmpe', '--help')
    assert 'all checks passed' in installed.run('rmpe', 'check')
    assert 'already in place' in installed.run('rmpe', 'operators')
    assert 'photo' in installed.run('rmpe', 'models')
    work = installed.folder / 'by_rmpe'
    installed.run('rmpe', 'train', config, '--work-dir', work)
    checkpoint = work / 'epoch_1.pth'
    output = installed.run('rmpe', 'test', config, checkpoint, '--work-dir', work)
    assert 'coco/AP' in output
    picture = synthetic / 'val' / '000001.jpg'
    options = ('--out', work / 'poses')  # the included models
    assert 'results.json' in installed.run('rmpe', 'predict', picture, *options)


def test_every_command_has_help(installed):
    for name in rmpe.find_commands():
        # Those of train and test are MMPose's.
        usage = 'usage:' if name in ('train', 'test') else f'usage: rmpe {name}'
        assert usage in installed.run('rmpe', *name.split(), '--help')


def test_rmpe_trains_a_config_that_inherits_by_name(installed, config):
    base = str(installed.mim / 'configs') + '/'
    named, work = installed.folder / 'named.py', installed.folder / 'by_name'
    named.write_text(config.read_text().replace(base, 'rmpe_plugin::'))
    assert "_base_ = 'rmpe_plugin::quickstart/" in named.read_text()
    installed.run('rmpe', 'train', named, '--work-dir', work)
    assert (work / 'epoch_1.pth').is_file()


def test_mim_finds_the_models(installed):
    assert 'rmpe-stage2' in installed.run('mim', 'search', 'rmpe_plugin')
