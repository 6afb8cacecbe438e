# SPDX-License-Identifier: Apache-2.0
"""Check the environment: versions, registries and known incompatibilities.

Each problem is listed with the command that fixes it and the full traceback. The exit
status is 1 if there is a problem.

Example:
    rmpe check
"""

# `rmpe check` runs this file by its path, because `import rmpe_plugin` raises if the
# OpenMMLab stack is broken. So OpenMMLab and rmpe_plugin are imported in functions.
import argparse
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

PACKAGE = Path(__file__).resolve().parents[1]
CONFIG = 'rmpe_plugin::quickstart/td-hm_cpn-res18_synthetic-128x96.py'

# Import name, and the distributions that may provide it.
DISTRIBUTIONS = {
    'torch': ('torch',),
    'torchvision': ('torchvision',),
    'numpy': ('numpy',),
    'cv2': ('opencv-python', 'opencv-python-headless'),
    'xtcocotools': ('xtcocotools',),
    'pycocotools': ('pycocotools',),
    'mmengine': ('mmengine', 'onedl-mmengine'),
    'mmcv': ('mmcv', 'onedl-mmcv', 'mmcv-lite'),
    'mmcv.ops': (),
    'mmdet': ('mmdet', 'onedl-mmdetection'),
    'mmpose': ('mmpose',),
    'mmpose.models': (),
    'mmpose.apis': (),
    'rmpe_plugin': ('rmpe_plugin',),
}
# Part of an error message, and the command that fixes the error.
FIXES = {
    'numpy.dtype size changed': 'bash tools/setup_env.sh, or compile: pip install '
    '--force-reinstall --no-deps --no-build-isolation --no-binary xtcocotools '
    'xtcocotools',
    "No module named 'pkg_resources'": "pip install 'setuptools<81'",
    'mmcv._ext': 'rmpe operators',
    'xtcocotools._mask': 'rmpe operators',
    'operator torchvision::nms does not exist': 'pip install --force-reinstall '
    'torch torchvision, both from the same index',
    'implementation for device cuda': 'pip uninstall -y mmcv && pip install '
    'mmcv-lite==2.1.0 && rmpe operators',
    'MMCV==': "pip install 'mmcv-lite>=2.0.0,<2.2.0'",
    'MMEngine==': "pip install 'mmengine>=0.10.0,<1.0.0'",
    'rmpe_plugin requires': 'bash tools/setup_env.sh, or pip install -c '
    'constraints.txt with the packages named',
    'No module named': 'bash tools/setup_env.sh, or install the module with pip',
}


class Problem(NamedTuple):
    """A failed check.

    Attributes:
        what (str): The check and its error message.
        fix (str): Command that fixes it.
        error (str): Traceback.
    """

    what: str
    fix: str
    error: str


def attempt(what: str, check: Callable[[], object]) -> Problem | None:
    """Run a check.

    Args:
        what (str): Description of the check.
        check (Callable[[], object]): Raises if there is a problem.

    Returns:
        Problem | None: The problem, or ``None`` if there is none.
    """
    try:
        check()
    except Exception as error:
        return Problem(
            f'{what}: {type(error).__name__}: {error}',
            find_fix(error),
            traceback.format_exc(),
        )


def find_fix(error: BaseException | None) -> str:
    """Find the fix for an error or for one of its causes.

    Args:
        error (BaseException | None): The error.

    Returns:
        str: A command, or a hint to the traceback if the error is unknown.
    """
    while error is not None:
        for text, fix in FIXES.items():
            if text in str(error):
                return fix
        error = error.__cause__ or error.__context__
    return 'unknown; see the traceback below'


def check_environment(console: Console) -> list[Problem]:
    """Run all checks and print the results.

    Args:
        console (Console): Where to print.

    Returns:
        list[Problem]: The problems.
    """
    console.print(f'Python {sys.version.split()[0]}, {sys.executable}')
    problems = _check_imports(console)
    if not problems:
        _print_registered(console)
        problems = _check_functions(console)
        for note in _notes():
            console.print(f'[yellow]note[/]: {note}')
    for problem in problems:
        console.print(f'[red]problem[/]: {escape(problem.what)}')
        console.print(f'[green]fix[/]: {escape(problem.fix)}')
        console.print(escape(problem.error), style='dim')
    if not problems:
        console.print('all checks passed')
    return problems


def main() -> int:
    """Parse the arguments and run all checks.

    Returns:
        int: Exit status.
    """
    # Run by its path, so argparse does not know the command.
    argparse.ArgumentParser(
        prog='rmpe check',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    return int(bool(check_environment(Console(soft_wrap=True))))


def _check_imports(console: Console) -> list[Problem]:
    """Import all packages and print their versions."""
    table, problems = Table('package', 'version', ''), []
    for name, distributions in DISTRIBUTIONS.items():
        problem = attempt(f'import {name}', partial(import_module, name))
        table.add_row(name, _installed_version(distributions), _status(problem))
        problems.append(problem)
    console.print(table)
    return [problem for problem in problems if problem]


def _check_functions(console: Console) -> list[Problem]:
    """Run :data:`CHECKS` and print the results."""
    table, problems = Table('check', ''), []
    for what, check in CHECKS.items():
        problem = attempt(what, check)
        table.add_row(what, _status(problem))
        problems.append(problem)
    console.print(table)
    return [problem for problem in problems if problem]


def _status(problem: Problem | None) -> str:
    return '[red]failed' if problem else '[green]passed'


def _installed_version(distributions: tuple[str, ...]) -> str:
    """Name and version of the first installed distribution."""
    for name in distributions:
        with suppress(PackageNotFoundError):
            return f'{name} {version(name)}'
    return ''


def _print_registered(console: Console) -> None:
    """Print this package's classes in each of MMPose's registries."""
    import mmpose.registry
    from mmengine.registry import Registry

    table = Table('registry of MMPose', 'classes of rmpe_plugin')
    for name, registry in vars(mmpose.registry).items():
        if not isinstance(registry, Registry):
            continue
        registry.import_from_location()
        classes = sorted(
            key
            for key, value in registry.module_dict.items()
            if value.__module__.startswith('rmpe_plugin.')
        )
        if classes:
            table.add_row(name, ', '.join(classes))
    console.print(table)


def _build_cpn() -> None:
    """Load a config that inherits MMPose's, and build its model."""
    from mmengine.config import Config
    from mmengine.registry import DefaultScope
    from mmpose.registry import MODELS

    from rmpe_plugin.utils.configs import find_config

    config = Config.fromfile(find_config(CONFIG))
    with DefaultScope.overwrite_default_scope('mmpose'):
        MODELS.build(config.model)


def _load_checkpoint() -> None:
    """Load a checkpoint that contains an object of MMEngine."""
    import torch
    from mmengine.logging import HistoryBuffer
    from mmengine.runner.checkpoint import CheckpointLoader

    with TemporaryDirectory() as folder:
        path = f'{folder}/checkpoint.pth'
        torch.save(dict(message_hub=HistoryBuffer([1.0], [1])), path)
        CheckpointLoader.load_checkpoint(path, map_location='cpu')


def _run_operators() -> None:
    """Run an operator of mmcv and of torchvision on each kind of device."""
    import torch
    from mmcv.ops import nms
    from torchvision.ops import nms as torchvision_nms

    for device in ('cpu', 'cuda') if torch.cuda.is_available() else ('cpu',):
        boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8]], device=device)
        scores = torch.tensor([0.9, 0.8], device=device)
        nms(boxes, scores, iou_threshold=0.5)
        torchvision_nms(boxes, scores, 0.5)


def _draw_poses() -> None:
    """Draw with the visualizer of all configs in this project."""
    import numpy as np
    from mmengine.structures import InstanceData
    from mmpose.structures import PoseDataSample

    from rmpe_plugin.visualization import NumpySafePoseVisualizer

    sample = PoseDataSample()
    sample.pred_instances = InstanceData(keypoints=np.full((1, 1, 2), 5.0))
    NumpySafePoseVisualizer().add_datasample(
        '', np.zeros((9, 9, 3), np.uint8), sample, draw_gt=False
    )


def _find_train_script() -> None:
    """Find the script of MMPose that ``rmpe train`` runs."""
    from rmpe_plugin.utils.mmpose_tools import find_mmpose_tool

    find_mmpose_tool('train.py')


CHECKS = {
    'build a CPN from a config that inherits from MMPose': _build_cpn,
    'load a checkpoint of MMEngine': _load_checkpoint,
    'run operators of mmcv and torchvision': _run_operators,
    'draw poses': _draw_poses,
    "find MMPose's train.py": _find_train_script,
}


def _notes() -> Iterator[str]:
    """The kind of mmcv's operators, and limitations of the installed versions."""
    import mmcv._ext
    import numpy as np
    from mmengine.utils import digit_version

    if mmcv._ext.__file__.endswith('.py'):
        yield f'operators of mmcv: torchvision, by {mmcv._ext.__file__}'
    else:
        yield f'operators of mmcv: compiled, {mmcv._ext.__file__}'
    if _installed_version(('mmcv',)) and _installed_version(('mmcv-lite',)):
        yield (
            'mmcv and mmcv-lite are both installed and share their files; keep one: '
            'pip uninstall mmcv mmcv-lite, then install it again'
        )
    if digit_version(np.__version__) >= digit_version('2.4'):
        yield (
            f'numpy {np.__version__}: PoseLocalVisualizer of MMPose cannot draw; use '
            "visualizer = dict(type='NumpySafePoseVisualizer') in configs, as all "
            'configs of this project do'
        )
    if sys.version_info >= (3, 12):
        yield 'OpenMIM 0.3.9 does not support Python 3.12 and later: use pip'
    if not (PACKAGE / '.mim').is_dir():
        yield (
            'rmpe_plugin is a checkout or an editable install: mim run rmpe_plugin '
            'needs pip install .'
        )


if __name__ == '__main__':
    sys.exit(main())
