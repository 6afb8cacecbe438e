# SPDX-License-Identifier: Apache-2.0
"""Find people's boxes with a detector of MMDetection, as COCO results.

The images are those of a folder, or those that COCO annotations list; with these, the
boxes' AP is printed last. Every image is noted in OUT.notes once it is done: the same
command goes on where it was interrupted. What cannot be read is passed over and listed
last; the exit status is 1 then.

Example:
    python tools/detect_people.py \
        configs/quickstart/rtmdet-small_synthetic-320x256.py \
        work_dirs/detector/epoch_2.pth --images data/synthetic_people/val \
        --ann data/synthetic_people/annotations/person_keypoints_val.json \
        --out work_dirs/detector/val_boxes.json
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stdout
from functools import partial
from io import StringIO
from multiprocessing import get_context
from pathlib import Path

import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rich.progress import track

from rmpe_plugin.apis import Frames, JsonList, PersonDetector, read_picture
from rmpe_plugin.structures import boxes_to_records
from rmpe_plugin.utils.coco_files import read_annotations, require_keys

Image = tuple[int | str, Path]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help="a file, or MMDetection's own: mmdet::...")
    parser.add_argument('checkpoint')
    parser.add_argument('--ann', type=Path, help='COCO annotations')
    parser.add_argument(
        '--images', type=Path,
        help='folder of images; with --ann, that its file names are in (default: its '
        'own folder)',
    )  # fmt: skip
    parser.add_argument('--out', type=Path, required=True, help='JSON to write')
    parser.add_argument(
        '--score-thr', type=float, default=0.05,
        help='boxes that score less are left out (default: 0.05)',
    )  # fmt: skip
    parser.add_argument('--top-k', type=int, default=100, help='default: 100')
    parser.add_argument('--batch', type=int, default=4, help='images (default: 4)')
    parser.add_argument('--processes', type=int, default=1, help='default: 1')
    parser.add_argument(
        '--device', nargs='+',
        help='the processes take turns with these (default: cuda where there is one)',
    )  # fmt: skip
    args = parser.parse_args()
    if not (args.ann or args.images):
        parser.error('--ann or --images must be given')
    for path in filter(None, (args.ann, args.images)):
        if not path.exists():
            parser.error(f'{path} does not exist')
    for name in ('batch', 'processes', 'top_k'):
        if getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1')
    return args


def list_images(ann: Path | None, folder: Path | None) -> list[Image]:
    """The id and path of each image."""
    if ann is None:
        return Frames(folder).files
    folder = folder or ann.parent
    images = read_annotations(ann)['images']
    require_keys(ann, 'image', images, {'id', 'file_name'})
    return [(image['id'], folder / image['file_name']) for image in images]


class Worker:
    """A process's detector, loaded for its first batch."""

    build: Callable[[], PersonDetector]
    detector: PersonDetector | None = None

    @classmethod
    def start(cls, build: Callable[..., PersonDetector], devices, threads: int) -> None:
        """Say how to load the detector; here an error would be nobody's."""
        torch.set_num_threads(threads)
        cls.build = partial(build, device=devices.get())

    @classmethod
    def detect(cls, images: list[Image]) -> list[dict]:
        """Find people in a batch; for each image its boxes or an error."""
        cls.detector = cls.detector or cls.build()
        frames = [read_picture(path, image_id) for image_id, path in images]
        found = cls.detector.find(frames)
        return [
            dict(image_id=frame.image_id, name=frame.name, error=frame.error)
            if frame.error
            else dict(
                image_id=frame.image_id,
                boxes=boxes_to_records(frame.image_id, found[frame.image_id]),
            )
            for frame in frames
        ]


@contextmanager
def workers(args: argparse.Namespace) -> Iterator[Callable]:
    """A function that maps batches to their results, in several processes."""
    context = get_context('spawn')
    devices = context.Queue()
    given = args.device or [None]
    for i in range(args.processes):
        devices.put(given[i % len(given)])
    build = partial(
        PersonDetector,
        args.config,
        args.checkpoint,
        score_thr=args.score_thr,
        top_k=args.top_k,
    )
    threads = max(1, torch.get_num_threads() // args.processes)
    if args.processes == 1:
        Worker.start(build, devices, threads)
        yield partial(map, Worker.detect)
        return
    start = (args.processes, context, Worker.start, (build, devices, threads))
    with ProcessPoolExecutor(*start) as pool:
        yield partial(pool.map, Worker.detect)


class Notes:
    """What is done, line by line, so that it need not be done again."""

    def __init__(self, path: Path, settings: dict) -> None:
        self.path = path
        self.done: dict[int | str, list[dict]] = {}
        text = path.read_bytes() if path.exists() else b''
        # What comes after the last end of a line was being written when it stopped.
        whole = text[: text.rfind(b'\n') + 1]
        header, *done = [json.loads(line) for line in whole.splitlines()] or [settings]
        if done and header != settings:
            raise ValueError(
                f'{path} was begun with other settings, {header}: give these again, '
                'or delete it'
            )
        for line in done:
            self.done[line['image_id']] = line['boxes']
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open('a')
        self._file.truncate(len(whole) if done else 0)
        if not done:
            self._write(settings)

    def add(self, result: dict) -> None:
        """Note one image."""
        self.done[result['image_id']] = result['boxes']
        self._write(result)

    def _write(self, line: dict) -> None:
        self._file.write(json.dumps(line) + '\n')
        self._file.flush()

    def finish(self) -> None:
        """Forget them."""
        self._file.close()
        self.path.unlink()


def print_ap(ann: Path, boxes: Path) -> None:
    """COCO's box AP of people."""
    truths = read_annotations(ann)['annotations']
    try:
        require_keys(
            ann, 'annotation', truths, {'category_id', 'bbox', 'area', 'iscrowd'}
        )
    except ValueError as error:
        print(f'no AP: {error}')
        return
    if all(truth['category_id'] != 1 for truth in truths):
        print(f'no AP: {ann} has no people')
        return
    found = json.loads(boxes.read_text())
    if not found:
        print('person box AP: 0.000, nobody was found')
        return
    with redirect_stdout(StringIO()):
        truth = COCO(ann)
        evaluation = COCOeval(truth, truth.loadRes(found), 'bbox')
        evaluation.params.catIds = [1]
        evaluation.evaluate()
        evaluation.accumulate()
    evaluation.summarize()
    print(f'person box AP: {evaluation.stats[0]:.3f}')


def main() -> int:
    args = parse_args()
    settings = {
        name: str(getattr(args, name))
        for name in ('config', 'checkpoint', 'score_thr', 'top_k')
    }
    try:
        images = list_images(args.ann, args.images)
        notes = Notes(args.out.with_name(args.out.name + '.notes'), settings)
    except (OSError, ValueError) as error:
        print(f'detect_people.py: error: {error}', file=sys.stderr)
        return 2
    left = [image for image in images if image[0] not in notes.done]
    batches = [left[i : i + args.batch] for i in range(0, len(left), args.batch)]
    if len(left) < len(images):
        print(f'{len(images) - len(left)} of {len(images)} images were done before')
    failed = []
    try:
        with workers(args) as detect:
            for results in track(detect(batches), 'detecting', total=len(batches)):
                for result in results:
                    failed.append(result) if 'error' in result else notes.add(result)
    except (OSError, ValueError, BrokenProcessPool) as error:
        print(f'detect_people.py: error: {error}', file=sys.stderr)
        return 2
    with JsonList(args.out) as boxes:
        for image_id, _ in images:
            boxes.extend(notes.done.get(image_id, []))
    notes.finish()
    print(args.out)
    for result in failed:
        print(f'passed over: {result["name"]}: {result["error"]}', file=sys.stderr)
    if args.ann:
        print_ap(args.ann, args.out)
    return int(bool(failed))


if __name__ == '__main__':
    sys.exit(main())
