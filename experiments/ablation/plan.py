# SPDX-License-Identifier: Apache-2.0
"""Sizes of the ablation, its trainings, and the tables that compare them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

#: The training from which those of stage 1 start.
INITIALISATION = 'initialisation'


@dataclass(frozen=True)
class Size:
    """Size of the ablation.

    Attributes:
        images (dict[str, int]): Number of images of each split: ``'detector'`` and
            ``'train'`` (trainings of the detector and of the poses), ``'tune'`` (to
            learn pose NMS) and ``'val'`` (to test).
        detector_epochs (int): Epochs of the detector; 0 for the simulated detections of
            the data set instead of a detector.
        epochs (tuple[int, int, int]): Epochs of the initialisation, of stage 1 and of
            stage 2.
        batch_size (int): People per batch.
        jobs (int): Number of trainings that run in parallel.
        num_workers (int): Data loading processes of each training.
        width (int): Channels of the backbone's first level; the feature pyramid has
            twice as many.
    """

    images: dict[str, int]
    detector_epochs: int
    epochs: tuple[int, int, int]
    batch_size: int
    jobs: int
    num_workers: int
    width: int


SIZES = {
    'cpu': Size(
        images=dict(detector=3000, train=6000, tune=300, val=400),
        detector_epochs=4,
        epochs=(9, 2, 1),
        batch_size=32,
        jobs=2,
        num_workers=0,
        width=24,
    ),
    'gpu': Size(
        images=dict(detector=6000, train=8000, tune=600, val=800),
        detector_epochs=4,
        epochs=(8, 3, 2),
        batch_size=32,
        jobs=4,
        num_workers=4,
        width=32,
    ),
    # Only to try the script.
    'tiny': Size(
        images=dict(train=8, tune=8, val=4),
        detector_epochs=0,
        epochs=(1, 1, 1),
        batch_size=8,
        jobs=2,
        num_workers=0,
        width=16,
    ),
}


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        boxes (str): Training boxes: ``'proposals'`` of PGPG, ``'jitter'`` (jittered
            ground-truth boxes) or ``'gt'`` (ground-truth boxes).
        head (dict): Changes of the head; in stage 2 the head is that of stage 1.
        after (str, optional): The training that it continues; ``None`` for a training
            from scratch.
        sstn (dict, optional): Stage 2: changes of the SSTN; ``None`` for no SSTN.
        padding (float, optional): Factor of the crop's padding, in training and in
            tests; ``None`` for a factor that is measured, see
            :class:`experiments.sstn_study.StudyFiles`.
        length (int): Factor of the epochs of its stage.
        optim (dict): Changes of the optimizer wrapper.
        hooks (tuple[dict, ...]): Additional hooks.
    """

    boxes: str = 'proposals'
    head: dict = field(default_factory=dict)
    after: str | None = INITIALISATION
    sstn: dict | None = None
    padding: float | None = 1.0
    length: int = 1
    optim: dict = field(default_factory=dict)
    hooks: tuple[dict, ...] = ()

    @property
    def stage(self) -> int:
        """0 for the initialisation, 1 or 2."""
        return 0 if self.after is None else TRAININGS[self.after].stage + 1


_GLOBAL = dict(refine_net=None)
_L2 = dict(_delete_=True, type='KeypointMSELoss', use_target_weight=True)
# The weight matches heatmap losses with a peak of 255.
_WINDOW_LOSS = dict(type='WindowCornerLoss', loss_weight=5000.0)
# The authors' STN: a ResNet-18 from scratch, of the crop and not of half its size.
_AUTHORS_STN = dict(
    backbone=dict(base_channels=64, stem_channels=64, init_cfg=None),
    in_channels=512,
    downscale=1,
    pool_size=1,
)
# The authors' learning rate of stage 2, for the STN; the SPPE keeps its own.
_AUTHORS_OPTIM = dict(
    optimizer=dict(_delete_=True, type='RMSprop', lr=5e-4, alpha=0.99, eps=1e-8),
    paramwise_cfg=dict(
        custom_keys={'stn.': dict(lr_mult=0.1), 'stn.fc': dict(lr_mult=0.1)}
    ),
)
TRAININGS = {
    # All rows start from this GlobalNet, and differ only in what follows. Trained on
    # ground-truth boxes, it favours the rows 'GlobalNet only', 'no PGPG' and 'two-step
    # baseline', which continue the same training. The papers expect these to be worse.
    INITIALISATION: Training('gt', _GLOBAL, after=None),
    'cpn': Training(),
    'gt': Training('gt'),
    'jitter': Training('jitter'),
    'cpn-global': Training(head=_GLOBAL),
    'cpn-l2': Training(head=dict(loss=_L2)),
    **{f'cpn-m{m}': Training(head=dict(loss=dict(topk=m))) for m in (6, 10, 12, 14)},
    'rmpe': Training(after='cpn', sstn={}),
    'no-parallel': Training(after='cpn', sstn=dict(parallel=None)),
    'no-sstn': Training(after='cpn'),
    'rmpe-gt': Training('gt', after='gt', sstn={}),
    'rmpe-jitter': Training('jitter', after='jitter', sstn={}),
    'two-step': Training('gt', after='gt'),
    # Only in experiments.sstn_study.
    'window-loss': Training(
        after='cpn', sstn=dict(parallel=None, window_loss=_WINDOW_LOSS)
    ),
    'authors': Training(
        after='cpn',
        sstn=dict(clip_gradient=False, stn=_AUTHORS_STN),
        optim=_AUTHORS_OPTIM,
    ),
    # More than the time of 'rmpe', whose iterations take twice as long.
    'longer': Training(after='cpn', length=3),
    'rmpe-longer': Training(after='cpn', sstn={}, length=3),
    'no-parallel-longer': Training(after='cpn', sstn=dict(parallel=None), length=3),
    'padding': Training(after='cpn', padding=1.25),
    'constant-scale': Training(after='cpn', padding=None),
    'cpn-falling': Training(hooks=(dict(type='TopKScheduleHook', first=17, last=8),)),
}


def with_parents(names: Iterable[str]) -> list[str]:
    """Add the trainings that others continue.

    Args:
        names (Iterable[str]): Keys of :data:`TRAININGS`.

    Returns:
        list[str]: These and all that they continue, in the order of
        :data:`TRAININGS`.
    """
    needed: set[str] = set()
    for name in names:
        while name is not None:
            needed.add(name)
            name = TRAININGS[name].after
    return [name for name in TRAININGS if name in needed]


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        training (str): The training that it tests, a key of :data:`TRAININGS`.
        paper (float, optional): Result in the paper, in the metric of the table.
        nms (str): NMS of the predicted poses: ``'none'``, ``'pose NMS'``,
            ``'OKS-NMS'`` or ``'soft OKS-NMS'``, with the parameters that are best for
            the full model on the tuning split.
        boxes (str): Test boxes: ``'val'`` for the detections of that split, ``'gt'``
            for its ground-truth boxes.
    """

    training: str
    paper: float | None = None
    nms: str = 'pose NMS'
    boxes: str = 'val'


@dataclass(frozen=True)
class ComparisonTable:
    """A table of the ablation.

    Attributes:
        metric (str): Metric of the paper's results: ``'mAP'`` of MPII or ``'AP'`` of
            COCO.
        rows (dict[str, Row]): The rows by name. The others are compared with the first.
    """

    metric: str
    rows: dict[str, Row]

    @property
    def reference(self) -> str:
        """Name of the first row."""
        return next(iter(self.rows))


FULL_MODEL = 'rmpe'
#: Trainings whose windows are compared with the crops, by their name in the table.
WINDOWS = {'SSTN and parallel SPPE': FULL_MODEL, 'SSTN': 'no-parallel'}
RMPE_TABLE = 'RMPE, table 3 of the paper'
# AP of a sufficiently trained network on ground-truth boxes.
MIN_AP = 0.45
GT_BOXES_ROW = 'ground-truth boxes'
TABLES = {
    RMPE_TABLE: ComparisonTable(
        'mAP',
        {
            'full RMPE': Row(FULL_MODEL, 80.8),
            'no SSTN, no parallel SPPE': Row('no-sstn', 78.2),
            'no parallel SPPE': Row('no-parallel', 79.1),
            'no PGPG': Row('rmpe-gt', 73.0),
            'random jitter instead of PGPG': Row('rmpe-jitter', 77.9),
            'no pose NMS': Row(FULL_MODEL, 75.7, 'none'),
            'OKS-NMS instead of pose NMS': Row(FULL_MODEL, None, 'OKS-NMS'),
            'soft OKS-NMS instead of pose NMS': Row(FULL_MODEL, None, 'soft OKS-NMS'),
            'two-step baseline': Row('two-step', 71.7, 'none'),
            GT_BOXES_ROW: Row(FULL_MODEL, 84.2, 'none', 'gt'),
        },
    ),
    'CPN': ComparisonTable(
        'AP',
        {
            'GlobalNet, RefineNet, OHKM with M = 8': Row('cpn', 69.4, 'none'),
            'GlobalNet only': Row('cpn-global', 66.6, 'none'),
            'RefineNet with L2 (M = 17)': Row('cpn-l2', 68.6, 'none'),
            'M = 6': Row('cpn-m6', 68.8, 'none'),
            'M = 10': Row('cpn-m10', 69.0, 'none'),
            'M = 12': Row('cpn-m12', 69.0, 'none'),
            'M = 14': Row('cpn-m14', 69.0, 'none'),
        },
    ),
}

#: Trainings of the papers' tables.
PAPER_TRAININGS = with_parents(
    row.training for table in TABLES.values() for row in table.rows.values()
)
