# SPDX-License-Identifier: Apache-2.0
"""Check the environment: versions, registries, and what is known to break.

Every problem is listed with the command that mends it, an import that fails with its
true error. The exit status is 1 if there is one.

Example:
    python tools/check_env.py
"""

import argparse
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

CONFIG = (
    Path(__file__).parents[1] / 'configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py'
)
# Import name, and the distributions that may bring it.
PACKAGES = {
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
# What the true error says, and what mends it.
REMEDIES = {
    'numpy.dtype size changed': 'pip install --force-reinstall --no-deps '
    '--no-build-isolation --no-binary xtcocotools xtcocotools',
    "No module named 'pkg_resources'": "pip install 'setuptools<81'",
    "No module named 'mmcv._ext'": 'pip uninstall mmcv-lite && pip install '
    '--no-build-isolation mmcv==2.1.0',
    'operator torchvision::nms does not exist': 'pip install --force-reinstall '
    'torch torchvision, both from the same index',
    'implementation for device cuda': 'FORCE_CUDA=1 pip install --force-reinstall '
    '--no-deps --no-build-isolation --no-binary mmcv mmcv==2.1.0',
    'MMCV==': "pip install --no-build-isolation 'mmcv>=2.0.0,<2.2.0'",
    'MMEngine==': "pip install 'mmengine>=0.10.0,<1.0.0'",
    'rmpe_plugin wants': 'bash tools/setup_env.sh, or pip install -c '
    'constraints.txt with the packages named',
    'No module named': 'bash tools/setup_env.sh, or pip install it',
}


class Problem(NamedTuple):
    """What is wrong, what mends it, and the true error."""

    what: str
    remedy: str
    error: str


def version_of(distributions: tuple[str, ...]) -> str:
    """Name and version of the first distribution that is installed."""
    for name in distributions:
        with suppress(PackageNotFoundError):
            return f'{name} {version(name)}'
    return ''


def remedy_for(error: BaseException | None) -> str:
    """The command that mends an error, or one that led to it, if it is known."""
    while error is not None:
        for words, remedy in REMEDIES.items():
            if words in str(error):
                return remedy
        error = error.__cause__ or error.__context__
    return 'not known here; see the error below'


def attempt(what: str, action: Callable[[], object]) -> Problem | None:
    """Try something; whatever it raises is the problem."""
    try:
        action()
    except Exception as error:
        return Problem(
            f'{what}: {type(error).__name__}: {error}',
            remedy_for(error),
            traceback.format_exc(),
        )


def registered() -> dict[str, list[str]]:
    """Our classes in each of MMPose's registries."""
    import mmpose.registry
    from mmengine.registry import Registry

    found = {}
    for name, registry in vars(mmpose.registry).items():
        if isinstance(registry, Registry):
            found[name] = sorted(
                key
                for key, value in registry.module_dict.items()
                if value.__module__.startswith('rmpe_plugin.')
            )
    return {name: classes for name, classes in found.items() if classes}


def build_cpn() -> None:
    """Find MMPose's configs from one of ours, and build its model."""
    from mmengine.config import Config
    from mmengine.registry import DefaultScope
    from mmpose.registry import MODELS

    config = Config.fromfile(CONFIG)
    with DefaultScope.overwrite_default_scope('mmpose'):
        MODELS.build(config.model)


def load_checkpoint() -> None:
    """Load what MMEngine writes into a checkpoint."""
    import torch
    from mmengine.logging import HistoryBuffer
    from mmengine.runner.checkpoint import CheckpointLoader

    with TemporaryDirectory() as folder:
        path = f'{folder}/checkpoint.pth'
        torch.save(dict(message_hub=HistoryBuffer([1.0], [1])), path)
        CheckpointLoader.load_checkpoint(path, map_location='cpu')


def suppress_boxes() -> None:
    """Use a compiled part of mmcv and of torchvision, on each kind of device."""
    import torch
    from mmcv.ops import nms
    from torchvision.ops import nms as torchvision_nms

    for device in ('cpu', 'cuda') if torch.cuda.is_available() else ('cpu',):
        boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8]], device=device)
        scores = torch.tensor([0.9, 0.8], device=device)
        nms(boxes, scores, iou_threshold=0.5)
        torchvision_nms(boxes, scores, 0.5)


def draw_poses() -> None:
    """Draw with the visualiser that every config here has."""
    import numpy as np
    from mmengine.structures import InstanceData
    from mmpose.structures import PoseDataSample

    from rmpe_plugin.visualization import NumpySafePoseVisualizer

    sample = PoseDataSample()
    sample.pred_instances = InstanceData(keypoints=np.full((1, 1, 2), 5.0))
    NumpySafePoseVisualizer().add_datasample(
        '', np.zeros((9, 9, 3), np.uint8), sample, draw_gt=False
    )


def find_train() -> None:
    """Find MMPose's script, which tools/train.py hands over to."""
    from rmpe_plugin.utils.mmpose_tools import find_mmpose_tool

    find_mmpose_tool('train.py')


CHECKS = {
    "a config finds MMPose's, and its CPN is built": build_cpn,
    "MMEngine's checkpoints are loaded": load_checkpoint,
    'compiled operators of mmcv and torchvision': suppress_boxes,
    'poses are drawn': draw_poses,
    "MMPose's train.py is found": find_train,
}


def notes() -> list[str]:
    """What works here and fails elsewhere."""
    import numpy as np
    from mmengine.utils import digit_version

    found = []
    if digit_version(np.__version__) >= digit_version('2.4'):
        found.append(
            f"numpy {np.__version__}: MMPose's own PoseLocalVisualizer cannot draw; "
            "write visualizer = dict(type='NumpySafePoseVisualizer') in a config, as "
            'all configs here do'
        )
    if sys.version_info >= (3, 12):
        found.append('OpenMIM 0.3.9 does not work with Python 3.12 and later: use pip')
    mim = Path(find_spec('rmpe_plugin').origin).parent / '.mim'
    if not mim.is_dir():
        found.append(
            'rmpe_plugin is a checkout or an editable install: give configs and tools '
            'by path; mim run rmpe_plugin needs pip install . instead'
        )
    return found


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    console = Console(soft_wrap=True)
    console.print(f'Python {sys.version.split()[0]}, {sys.executable}')
    outcomes = {None: '[green]works[/]'}
    problems = []

    table = Table('package', 'version', '')
    for name, distributions in PACKAGES.items():
        problem = attempt(f'import {name}', partial(import_module, name))
        table.add_row(
            name, version_of(distributions), outcomes.get(problem, '[red]fails')
        )
        problems.append(problem)
    console.print(table)

    if not any(problems):
        table = Table('registry of MMPose', 'our classes')
        for registry, classes in registered().items():
            table.add_row(registry, ', '.join(classes))
        console.print(table)
        table = Table('what is done', '')
        for what, check in CHECKS.items():
            problem = attempt(what, check)
            table.add_row(what, outcomes.get(problem, '[red]fails'))
            problems.append(problem)
        console.print(table)
        for note in notes():
            console.print(f'[yellow]note[/]: {note}')
    problems = [problem for problem in problems if problem]
    for problem in problems:
        console.print(f'[red]problem[/]: {escape(problem.what)}')
        console.print(f'[green]mend it[/]: {escape(problem.remedy)}')
        console.print(escape(problem.error), style='dim')
    if not problems:
        console.print('everything works')
    return int(bool(problems))


if __name__ == '__main__':
    sys.exit(main())
