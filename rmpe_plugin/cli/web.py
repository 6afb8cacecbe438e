# SPDX-License-Identifier: Apache-2.0
"""Serve a web page that predicts the poses in pictures and short videos.

The page listens on this machine only, unless --host is given. It takes a picture, a
video or a frame of the camera, and gives the drawing and the files of rmpe predict.
MODEL and --det are those of rmpe predict; users choose between them and the models in
this package. Uploads and results are deleted after half an hour, and at the end.

Example:
    rmpe web
    rmpe web human --det human --port 8000 --examples photographs
"""

import argparse
import os
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

from rmpe_plugin.apis import WHOLE_IMAGE, find_model, included_models
from rmpe_plugin.apis.detector_loading import default_score_thr
from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.cli._inference_arguments import DEFAULT_MODEL, add_detector
from rmpe_plugin.cli._model_arguments import CHECKPOINT, EXAMPLES, MODEL, take_model
from rmpe_plugin.deploy.requirements import require
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.web import Limits, WebPredictor


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='%(prog)s [MODEL [CHECKPOINT]] [--det MODEL [CHECKPOINT]] [options]',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'model', nargs='*', default=[DEFAULT_MODEL], metavar='MODEL [CHECKPOINT]',
        help=f'the pose model: {MODEL.format(example=EXAMPLES["pose"])}; or an ONNX '
        f'file (default: {DEFAULT_MODEL}); {CHECKPOINT}',
    )  # fmt: skip
    add_detector(parser)
    parser.add_argument('--device', help='default: cuda if available, otherwise cpu')
    parser.add_argument(
        '--host', default='127.0.0.1',
        help='address to listen on; 0.0.0.0 serves other machines (default: '
        '%(default)s)',
    )  # fmt: skip
    parser.add_argument('--port', type=int, default=7860, help='default: %(default)s')
    parser.add_argument(
        '--examples', type=Path, metavar='FOLDER',
        help='show the pictures in a folder as examples, with source and licence if '
        'the folder has COCO annotations',
    )  # fmt: skip
    for name, value in Limits()._asdict().items():
        parser.add_argument(
            f'--max-{name}', type=at_least(1), default=value, metavar='N',
            help=f'most {name} of an uploaded file (default: {value:g})',
        )  # fmt: skip
    args = parser.parse_args()
    try:
        words = args.det
        args.pose, args.det = take_model(args.model), take_model(words)
        find_model(*args.pose)  # raises if there is none
        if unexpected := args.model + words:
            raise ValueError(f'unexpected {" ".join(unexpected)}')
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))
    return args


def by_name(chosen: tuple[str, str | None], *names: str) -> dict:
    """The chosen model first, then other ones, by the names on the page."""
    first = {Path(chosen[0]).name: chosen}
    return first | {name: (name, None) for name in names} | first


def limits(args: argparse.Namespace) -> Limits:
    """Collect the limits of uploads."""
    return Limits(*(getattr(args, f'max_{name}') for name in Limits._fields))


@exit_status
def main() -> None:
    args = parse_args()
    require('gradio', extra='web')
    # The folder is deleted also when the process is terminated.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with TemporaryDirectory(prefix='rmpe-web-') as folder:
        os.environ['GRADIO_TEMP_DIR'] = folder
        # It imports gradio, which reads the folder.
        from rmpe_plugin.web.page import build_page, serve

        predictor = WebPredictor(
            by_name(args.pose, *included_models('pose')),
            by_name(args.det, *included_models('detector'), WHOLE_IMAGE),
            args.device,
            limits(args),
        )
        box_thr = default_score_thr(args.det[0])
        page = build_page(predictor, box_thr, args.examples)
        serve(page, predictor.limits, args.host, args.port)
