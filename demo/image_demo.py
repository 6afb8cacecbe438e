# SPDX-License-Identifier: Apache-2.0
"""Draw the poses of all people in images.

Example:
    python demo/image_demo.py tests/data/coco_cc/000000234748.jpg --out work_dirs/demo
"""

import argparse
from pathlib import Path

from rmpe_plugin.apis import Frames, ImageWriter, PoseDrawer, RMPEInferencer


def main() -> None:
    """Write the drawings, and print the number of people in each image."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('images', nargs='+', help='images or folders')
    parser.add_argument('--model', default='photo', help='pose estimator')
    parser.add_argument('--det', default='person', help='person detector')
    parser.add_argument('--out', type=Path, default='poses', help='output folder')
    args = parser.parse_args()

    frames = Frames(args.images)
    if args.out.resolve() in {path.resolve().parent for path in frames.paths}:
        parser.error(f'--out {args.out}: images in this folder would be overwritten')
    inferencer = RMPEInferencer(args.model, detector=args.det)
    drawer, writer = PoseDrawer(inferencer.dataset_meta), ImageWriter(args.out)
    for frame, poses in inferencer(frames):
        if frame.image is None:
            print(f'skipped: {frame.name}: {frame.error}')
            continue
        writer.write(frame, drawer.draw(frame.image, poses))
        print(f'{writer.written[-1]}: {len(poses.pred_instances)} people')


if __name__ == '__main__':
    main()
