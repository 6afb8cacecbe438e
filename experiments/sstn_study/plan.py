# SPDX-License-Identifier: Apache-2.0
"""Sizes of the study, its box sets, the compared variants, and its jobs in order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from experiments.ablation import INITIALISATION, TRAININGS, Job, Size, with_parents
from experiments.ablation import SIZES as ABLATION_SIZES

# A longer stage 1 than that of the ablation, because the training boxes vary more.
_CPU = replace(
    ABLATION_SIZES['cpu'],
    images=dict(detector=3000, train=6000, val=400),
    epochs=(10, 4, 1),
)
SIZES = {
    'cpu': _CPU,
    'gpu': replace(_CPU, jobs=4, num_workers=3),
    # Only to try the program.
    'tiny': replace(ABLATION_SIZES['tiny'], images=dict(train=8, val=4)),
}

#: Factors of the offsets of PGPG's model in the test boxes, and in the training boxes.
WIDTHS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
_EPOCHS = (1, 2, 4)
_SCORES = (0.25, 0.4, 0.6)
GROUND_TRUTH = 'ground-truth boxes'
NO_FEET = 'feet cut off'
NO_HEAD = 'head cut off'
TWO_PEOPLE = 'two people'


@dataclass(frozen=True)
class BoxSet:
    """Test boxes.

    Attributes:
        family (str): ``'ground truth'``, ``'PGPG'``, ``'detector'``, ``'truncated'`` or
            ``'two people'``.
        width (float): Factor of PGPG's offsets. Defaults to 1.
        epoch (int): Epoch of the detector; 0 for simulated detections. Defaults to 0.
        score (float): Lowest score of a detection. Defaults to 0.
    """

    family: str
    width: float = 1.0
    epoch: int = 0
    score: float = 0.0


def pgpg_name(width: float) -> str:
    """Name of the box set of PGPG's model with scaled offsets."""
    return f'PGPG x {width:g}'


def detector_epochs(size: Size) -> tuple[int, ...]:
    """Epochs of the detector that are tested; only 0 for simulated detections."""
    return tuple(e for e in _EPOCHS if e <= size.detector_epochs) or (0,)


def detector_name(epoch: int, score: float) -> str:
    """Name of the box set of a detector."""
    return f'detector epoch {epoch}, score {score:g}'


def box_sets(size: Size) -> dict[str, BoxSet]:
    """List the test boxes.

    Args:
        size (Size): Size of the study.

    Returns:
        dict[str, BoxSet]: The box sets by name.
    """
    return {
        GROUND_TRUTH: BoxSet('ground truth'),
        **{pgpg_name(width): BoxSet('PGPG', width) for width in WIDTHS},
        **{
            detector_name(epoch, score): BoxSet('detector', epoch=epoch, score=score)
            for epoch in detector_epochs(size)
            for score in _SCORES
        },
        NO_FEET: BoxSet('truncated'),
        NO_HEAD: BoxSet('truncated'),
        TWO_PEOPLE: BoxSet('two people'),
    }


def mining_sets(size: Size) -> tuple[str, str]:
    """Box sets of hard keypoint mining: the ablation's detections, ground truth."""
    return detector_name(detector_epochs(size)[-1], _SCORES[0]), GROUND_TRUTH


# Tests of a network: on the box sets, there with an SDTN that maps the keypoints and
# not the heatmaps, on crops of the poses that it has predicted there, with one window
# for all crops, and on the box sets of hard keypoint mining.
TESTS = 'boxes', 'keypoints', 'second-pass', 'mean-window', 'mining'
BOXES, KEYPOINTS, SECOND_PASS, MEAN_WINDOW, MINING = TESTS


@dataclass(frozen=True)
class Variant:
    """What is compared on every box set.

    Attributes:
        training (str): A key of :data:`experiments.ablation.TRAININGS`.
        test (str): How the network is tested. Defaults to :data:`BOXES`.
        alternative (bool): Whether it competes for the best result; otherwise it only
            explains others. Defaults to ``True``.
    """

    training: str
    test: str = BOXES
    alternative: bool = True


BASELINE = 'no SSTN'
FULL = 'SSTN, parallel SPPE'
NO_PARALLEL = 'SSTN'
_WINDOW_LOSS = 'SSTN, window loss'
# Added to these names: a longer stage 2, and an SDTN that maps the keypoints.
LONGER = ', longer training'
MAPPED = ', keypoints mapped'
LENGTHS = '', LONGER
SDTN_TESTS = {'': BOXES, MAPPED: KEYPOINTS}
VARIANTS = {
    BASELINE: Variant('no-sstn'),
    FULL: Variant('rmpe'),
    FULL + MAPPED: Variant('rmpe', KEYPOINTS),
    BASELINE + LONGER: Variant('longer'),
    'two passes': Variant('no-sstn', SECOND_PASS),
    'larger padding': Variant('padding'),
    _WINDOW_LOSS: Variant('window-loss'),
    _WINDOW_LOSS + MAPPED: Variant('window-loss', KEYPOINTS),
    "SSTN, authors' settings": Variant('authors'),
    NO_PARALLEL: Variant('no-parallel'),
    NO_PARALLEL + MAPPED: Variant('no-parallel', KEYPOINTS),
    'SSTN, mean window': Variant('no-parallel', MEAN_WINDOW, False),
    'no SSTN, mean window': Variant('no-sstn', MEAN_WINDOW, False),
    'no SSTN, trained at the scale of the mean window': Variant(
        'constant-scale', BOXES, False
    ),
    **{
        name + LONGER + sdtn: Variant(f'{training}-longer', test, False)
        for name, training in {FULL: 'rmpe', NO_PARALLEL: 'no-parallel'}.items()
        for sdtn, test in SDTN_TESTS.items()
    },
}
#: Trainings whose windows are compared with the crops, by the name of their variant.
WINDOWS = {
    name: variant.training
    for name, variant in VARIANTS.items()
    if TRAININGS[variant.training].sstn is not None and variant.test == BOXES
}
# Hard keypoint mining; the others are compared with the loss on all keypoints.
MINING_ROWS = {'M = 17': 'cpn-l2', 'M = 8': 'cpn', 'M from 17 to 8': 'cpn-falling'}
#: Changes of mAP in RMPE's table 3, to the SSTN with the parallel SPPE from the SSTN
#: without it and from no SSTN, for both lengths of the training and kinds of SDTN.
CLAIMS = {
    FULL + length + sdtn: {NO_PARALLEL + length + sdtn: 1.7, BASELINE + length: 2.6}
    for length in LENGTHS
    for sdtn in SDTN_TESTS
}

STUDY_TRAININGS = with_parents(
    [*(variant.training for variant in VARIANTS.values()), *MINING_ROWS.values()]
)
# The trainings of the curve and the others, each from the longest to the shortest, so
# that both cores are busy to the end.
_CURVE = ('rmpe', 'no-parallel', 'no-sstn')
_LONGER = ('rmpe-longer', 'no-parallel-longer', 'longer')
_ALTERNATIVES = ('authors', 'window-loss', 'padding')


def curve_phases(seeds: Sequence[int]) -> dict[str, list[Job]]:
    """Jobs of the SSTN with and without the parallel SPPE, and of no SSTN.

    Args:
        seeds (Sequence[int]): The seeds.

    Returns:
        dict[str, list[Job]]: Jobs by title, in phases that need the phases before.
    """
    return {
        INITIALISATION: [Job(INITIALISATION, 0)],
        'stage 1': [Job('cpn', seed) for seed in seeds],
        **_stage_2_phases('stage 2', seeds, _CURVE),
    }


def longer_phases(seeds: Sequence[int]) -> dict[str, list[Job]]:
    """Jobs of the curve with a longer stage 2.

    Args:
        seeds (Sequence[int]): The seeds.

    Returns:
        dict[str, list[Job]]: Jobs by title.
    """
    return _stage_2_phases('longer stage 2', seeds, _LONGER)


def _stage_2_phases(
    title: str, seeds: Sequence[int], names: Sequence[str]
) -> dict[str, list[Job]]:
    """Trainings and their tests, those of an SSTN with both kinds of SDTN."""
    jobs = [Job(name, seed) for seed in seeds for name in names]
    sstn = [job for job in jobs if TRAININGS[job.training].sstn is not None]
    return {
        title: jobs,
        f'{title}, tests': [
            *(replace(job, boxes=BOXES) for job in jobs),
            *(replace(job, boxes=KEYPOINTS) for job in sstn),
        ],
    }


def alternative_phases(seed: int) -> dict[str, list[Job]]:
    """Jobs of what one would do instead, after those of the curve.

    Args:
        seed (int): The seed.

    Returns:
        dict[str, list[Job]]: Jobs by title.
    """
    jobs = [Job(name, seed) for name in _ALTERNATIVES]
    tests = [replace(job, boxes=BOXES) for job in jobs]
    tests.append(Job('window-loss', seed, KEYPOINTS))
    return {
        f'seed {seed}, alternatives': [Job('no-sstn', seed, SECOND_PASS), *jobs],
        f'seed {seed}, tests of the alternatives': tests,
    }


def window_phases(seed: int) -> dict[str, list[Job]]:
    """Jobs that explain the SSTN without the parallel SPPE, after those of the curve.

    Args:
        seed (int): The seed.

    Returns:
        dict[str, list[Job]]: Jobs by title.
    """
    return {
        f'seed {seed}, constant scale': [
            Job('constant-scale', seed),
            Job('no-parallel', seed, MEAN_WINDOW),
            Job('no-sstn', seed, MEAN_WINDOW),
        ],
        f'seed {seed}, test of the constant scale': [
            Job('constant-scale', seed, BOXES)
        ],
    }


def mining_phases(seeds: Sequence[int]) -> dict[str, list[Job]]:
    """Jobs of hard keypoint mining, after those of the curve.

    Args:
        seeds (Sequence[int]): The seeds.

    Returns:
        dict[str, list[Job]]: Jobs by title.
    """
    names = [name for name in MINING_ROWS.values() if name != 'cpn']
    return {
        'hard keypoint mining': [Job(name, seed) for seed in seeds for name in names],
        'hard keypoint mining, tests': [
            Job(name, seed, MINING) for seed in seeds for name in MINING_ROWS.values()
        ],
    }


# Seconds of one core when two trainings run on two, Intel Xeon with AMX: an iteration
# of 32 people, the test of a box, and an evaluation of a box set.
_SECONDS = {
    INITIALISATION: 0.35, 'cpn': 0.55, 'cpn-l2': 0.55, 'cpn-falling': 0.55,
    'no-sstn': 0.8, 'padding': 0.8, 'constant-scale': 0.8, 'longer': 0.8,
    'rmpe': 1.3, 'rmpe-longer': 1.3, 'no-parallel': 1.0, 'no-parallel-longer': 1.0,
    'window-loss': 1.0, 'authors': 2.4,
}  # fmt: skip
_SECONDS_TEST = 0.013
_SECONDS_EVALUATION = 4.0
_SECONDS_SHARED = 40 * 60.0
_PEOPLE_PER_IMAGE = 3.0
# Detections per person at the lowest scores, of all detectors and scores together.
_BOXES_PER_PERSON = 13.0


def stages(seeds: Sequence[int]) -> dict[str, dict[str, list[Job]]]:
    """List all jobs, the most informative ones first.

    Args:
        seeds (Sequence[int]): The seeds. Only the first one is used for what explains
            the curve, to limit the time.

    Returns:
        dict[str, dict[str, list[Job]]]: Phases by title, by the name of the part. The
        results so far are written after each part.
    """
    first, *_ = seeds
    return {
        'curve': curve_phases(seeds),
        'curve, longer training': longer_phases(seeds),
        f'alternatives, seed {first}': alternative_phases(first),
        f'constant windows, seed {first}': window_phases(first),
        'hard keypoint mining': mining_phases(seeds),
    }


@dataclass(frozen=True)
class Part:
    """A part of the study.

    Attributes:
        name (str): Its name.
        jobs (int): Number of trainings and tests.
        hours (float): Estimated hours on two cores.
    """

    name: str
    jobs: int
    hours: float


def estimate(size: Size, seeds: Sequence[int]) -> list[Part]:
    """Estimate the time of a study on two cores.

    Args:
        size (Size): Its size.
        seeds (Sequence[int]): The seeds.

    Returns:
        list[Part]: The parts, in the order in which they run.
    """
    parts = [Part('people, detector, box sets', 0, _SECONDS_SHARED / 2 / 3600)]
    finished: set[Job] = set()
    for name, part in stages(seeds).items():
        jobs = {job for phase in part.values() for job in phase} - finished
        finished |= jobs
        seconds = sum(_seconds(size, job) for job in jobs)
        parts.append(Part(name, len(jobs), seconds / 2 / 3600))
    return parts


def _seconds(size: Size, job: Job) -> float:
    """Estimated seconds of a job and its evaluation on one core."""
    if job.boxes == 'val':
        training = TRAININGS[job.training]
        epochs = size.epochs[training.stage] * training.length
        people = size.images['train'] * _PEOPLE_PER_IMAGE
        return epochs * people / size.batch_size * _SECONDS[job.training]
    sets = box_sets(size).values()
    if job.boxes == MINING:
        boxes, number = 3, 2
    else:
        single = sum(boxes.family != 'detector' for boxes in sets)
        boxes, number = single + _BOXES_PER_PERSON, len(sets)
    people = size.images['val'] * _PEOPLE_PER_IMAGE
    return boxes * people * _SECONDS_TEST + number * _SECONDS_EVALUATION
