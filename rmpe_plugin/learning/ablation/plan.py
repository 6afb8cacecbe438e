# SPDX-License-Identifier: Apache-2.0
"""Sizes of the ablation, its trainings, and the tables that compare them."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Size:
    """Size of the ablation.

    Attributes:
        images (dict[str, int]): Number of images of the splits ``'train'``, ``'tune'``
            (to learn pose NMS) and ``'val'`` (to test).
        epochs (tuple[int, int]): Epochs of stage 1 and of stage 2.
        batch_size (int): People per batch.
        jobs (int): Number of trainings that run in parallel.
        num_workers (int): Data loading processes of each training.
        width (int): Channels of the backbone's first level; the feature pyramid has
            twice as many.
    """

    images: dict[str, int]
    epochs: tuple[int, int]
    batch_size: int
    jobs: int
    num_workers: int
    width: int


SIZES = {
    'cpu': Size(dict(train=1000, tune=200, val=400), (4, 2), 32, 2, 0, 16),
    'gpu': Size(dict(train=4000, tune=400, val=800), (4, 2), 32, 4, 4, 24),
    # Only to try the script.
    'tiny': Size(dict(train=8, tune=8, val=4), (1, 1), 8, 2, 0, 16),
}


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        boxes (str): Training boxes: ``'proposals'`` of PGPG, ``'jitter'`` (jittered
            ground-truth boxes) or ``'gt'`` (ground-truth boxes).
        head (dict): Changes of the head in stage 1.
        after (str, optional): Stage 2: the training of stage 1 that it continues.
        sstn (dict, optional): Stage 2: changes of the SSTN; ``None`` for no SSTN.
    """

    boxes: str = 'proposals'
    head: dict = field(default_factory=dict)
    after: str | None = None
    sstn: dict | None = None

    @property
    def stage(self) -> int:
        """1 or 2."""
        return 1 if self.after is None else 2


_L2 = dict(_delete_=True, type='KeypointMSELoss', use_target_weight=True)
TRAININGS = {
    'cpn': Training(),
    'gt': Training('gt'),
    'jitter': Training('jitter'),
    'cpn-global': Training(head=dict(refine_net=None)),
    'cpn-l2': Training(head=dict(loss=_L2)),
    **{f'cpn-m{m}': Training(head=dict(loss=dict(topk=m))) for m in (6, 10, 12, 14)},
    'rmpe': Training(after='cpn', sstn={}),
    'no-parallel': Training(after='cpn', sstn=dict(parallel=None)),
    'no-sstn': Training(after='cpn'),
    'rmpe-gt': Training('gt', after='gt', sstn={}),
    'rmpe-jitter': Training('jitter', after='jitter', sstn={}),
    'two-step': Training('gt', after='gt'),
}


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        training (str): The training that it tests, a key of :data:`TRAININGS`.
        paper (float, optional): Result in the paper: mAP of MPII, or AP of COCO
            minival.
        nms (str): NMS of the predicted poses: ``'none'``, ``'pose NMS'``,
            ``'OKS-NMS'`` or ``'soft OKS-NMS'``.
        boxes (str): Test boxes: ``'val'`` for the detections of that split, ``'gt'``
            for its ground-truth boxes.
    """

    training: str
    paper: float | None = None
    nms: str = 'pose NMS'
    boxes: str = 'val'


# The first row of a table is the reference of the others.
TABLES = {
    'RMPE, table 3 of the paper': {
        'full RMPE': Row('rmpe', 80.8),
        'no SSTN, no parallel SPPE': Row('no-sstn', 78.2),
        'no parallel SPPE': Row('no-parallel', 79.1),
        'no PGPG': Row('rmpe-gt', 73.0),
        'random jitter instead of PGPG': Row('rmpe-jitter', 77.9),
        'no pose NMS': Row('rmpe', 75.7, 'none'),
        'OKS-NMS instead of pose NMS': Row('rmpe', None, 'OKS-NMS'),
        'soft OKS-NMS instead of pose NMS': Row('rmpe', None, 'soft OKS-NMS'),
        'two-step baseline': Row('two-step', 71.7, 'none'),
        'ground-truth boxes': Row('rmpe', 84.2, 'none', 'gt'),
    },
    'CPN': {
        'GlobalNet, RefineNet, OHKM with M = 8': Row('cpn', 69.4, 'none'),
        'GlobalNet only': Row('cpn-global', 66.6, 'none'),
        'RefineNet with L2 (M = 17)': Row('cpn-l2', 68.6, 'none'),
        'M = 6': Row('cpn-m6', 68.8, 'none'),
        'M = 10': Row('cpn-m10', 69.0, 'none'),
        'M = 12': Row('cpn-m12', 69.0, 'none'),
        'M = 14': Row('cpn-m14', 69.0, 'none'),
    },
}
