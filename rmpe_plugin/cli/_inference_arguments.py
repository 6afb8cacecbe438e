# SPDX-License-Identifier: Apache-2.0
"""Arguments of all commands that predict poses, ``[MODEL [CHECKPOINT]] INPUT ...``."""

import argparse
from typing import Any

from mmengine.config import DictAction

from rmpe_plugin.apis import PRECISIONS, find_model
from rmpe_plugin.ops.rmpe.pose_nms_params import DEFAULT_PRESET
from rmpe_plugin.structures import SCORE_MODES
from rmpe_plugin.tracking import TRACKERS
from rmpe_plugin.utils.arguments import at_least

from ._model_arguments import CHECKPOINT, EXAMPLES, MODEL, is_pose_model, take_model

# The model without one in the arguments.
DEFAULT_MODEL = 'photo'


def add_inputs(parser: argparse.ArgumentParser, inputs: str) -> None:
    """Add the pose model and the inputs.

    Args:
        parser (argparse.ArgumentParser): The parser of a command.
        inputs (str): Description of the inputs.
    """
    parser.add_argument(
        'inputs', nargs='*', metavar='[MODEL [CHECKPOINT]] INPUT',
        help=f'the pose model: {MODEL.format(example=EXAMPLES["pose"])}; or an ONNX '
        f'file (default: {DEFAULT_MODEL}); {CHECKPOINT}. Then {inputs}',
    )  # fmt: skip
    parser.add_argument(
        '--model', metavar='MODEL',
        help='the pose model, if an input has its name',
    )  # fmt: skip


def add_detector(parser: argparse._ActionsContainer) -> None:
    """Add the person detector.

    Args:
        parser (argparse._ActionsContainer): The parser of a command, or a group of it.
    """
    parser.add_argument(
        '--det', nargs='+', default=['person'], metavar=('MODEL', 'CHECKPOINT'),
        help=f'person detector: {MODEL.format(example=EXAMPLES["detector"])}; or an '
        f"ONNX file; {CHECKPOINT} (default: 'person', in this package)",
    )  # fmt: skip


def add_tiles(parser: argparse.ArgumentParser) -> None:
    """Add the option to detect in tiles.

    Args:
        parser (argparse.ArgumentParser): The parser of a command.
    """
    parser.add_argument(
        '--tiles', action='store_true',
        help='detect in four overlapping tiles too, for people who are small in the '
        'image; takes five times as long',
    )  # fmt: skip


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add which people are kept, ids in videos, and how the models run.

    Args:
        parser (argparse.ArgumentParser): The parser of a command.
    """
    _add_thresholds(parser)
    _add_tracking(parser)
    _add_runtime(parser)


def parse(parser: argparse.ArgumentParser, expected: str) -> argparse.Namespace:
    """Parse the arguments, and take the models from the inputs.

    Args:
        parser (argparse.ArgumentParser): The parser of a command.
        expected (str): What the inputs can be, for the error message.

    Returns:
        argparse.Namespace: The arguments. ``config`` and ``checkpoint`` are those of
        the pose model, ``det`` is a tuple of them.
    """
    args = parser.parse_args()
    try:
        _take_models(args)
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))
    if not args.inputs:
        parser.error(f'inputs are missing: {expected}')
    return args


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """Collect the arguments that are those of ``RMPEInferencer`` by name.

    Args:
        args (argparse.Namespace): Arguments of :func:`add_settings`.

    Returns:
        dict[str, Any]: The arguments.
    """
    cfg_options = dict(args.cfg_options or {})
    if args.flip is not None:
        cfg_options['model.test_cfg.flip_test'] = args.flip
    return dict(
        device=args.device,
        precision=args.precision,
        pose_nms=None if args.pose_nms == 'none' else args.pose_nms,
        score_mode=args.score_mode,
        image_batch=args.image_batch,
        person_batch=args.person_batch,
        track=args.track,
        det_every=args.det_every,
        smooth=args.smooth,
        cfg_options=cfg_options or None,
    )


def _take_models(args: argparse.Namespace) -> None:
    """Take the pose estimator and the detector from the arguments; inputs are left."""
    if args.model is None and args.inputs and is_pose_model(args.inputs[0]):
        model = take_model(args.inputs)
    else:
        args.model = args.model or DEFAULT_MODEL
        model = (args.model, None)
    find_model(*model)  # raises if there is none
    args.config, args.checkpoint = model
    # Inputs after the detector are not part of it.
    words, args.det = args.det, take_model(args.det)
    args.inputs += words


def _add_thresholds(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of which people are kept."""
    parser.add_argument(
        '--box-thr', type=float,
        help='boxes of the detector with a lower score are dropped (default: 0.35 for '
        "'person', otherwise 0.3)",
    )  # fmt: skip
    parser.add_argument(
        '--min-box-area', type=float, metavar='AREA',
        help='boxes of the detector with a smaller area in square pixels are dropped '
        '(default: none are)',
    )  # fmt: skip
    parser.add_argument(
        '--pose-nms', default=DEFAULT_PRESET, metavar='PRESET|FILE|none',
        help='pose NMS: a preset, a JSON file of parameters, or none (default: '
        '%(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--score-mode', choices=SCORE_MODES, default='bbox_keypoint',
        help='person score in the COCO results (default: bbox_keypoint)',
    )  # fmt: skip


def _add_tracking(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ids in videos."""
    parser.add_argument(
        '--track', nargs='?', choices=TRACKERS, const='pose',
        help='give people ids, which stay the same over the frames of a video, or of '
        "the images of a folder: by boxes and poses ('pose', the default of the "
        "option), or by boxes with a tracker of the extra 'track'",
    )  # fmt: skip
    parser.add_argument(
        '--det-every', type=at_least(1), default=1, metavar='N',
        help='with --track pose: detect people in every Nth frame; between them, boxes '
        'follow the poses (default: 1)',
    )  # fmt: skip
    parser.add_argument(
        '--smooth', action='store_true',
        help='with --track: smooth the keypoints of each person over time',
    )  # fmt: skip


def _add_runtime(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of how the models run."""
    parser.add_argument(
        '--image-batch', type=at_least(1), default=8,
        help='images that are processed together (default: 8)',
    )  # fmt: skip
    parser.add_argument(
        '--person-batch', type=at_least(1), default=32,
        help='batch size of the pose estimator, people (default: 32)',
    )  # fmt: skip
    parser.add_argument(
        '--precision', choices=PRECISIONS, default='float32',
        help='bfloat16 is faster for many people on CPUs with AMX or AVX512-BF16 '
        '(default: float32)',
    )  # fmt: skip
    parser.add_argument(
        '--flip', action=argparse.BooleanOptionalAction,
        help='flip test: average with the poses in the mirrored crop, which takes '
        "twice as long (default: as the model's config)",
    )  # fmt: skip
    parser.add_argument('--device', help='default: cuda if available, otherwise cpu')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='changes to the config of the pose estimator, as in train.py',
    )  # fmt: skip
