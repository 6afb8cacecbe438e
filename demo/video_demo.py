# SPDX-License-Identifier: Apache-2.0
"""Draw the poses of all people in a video, with ids that stay the same.

Example:
    python demo/video_demo.py walk.mp4 --out work_dirs/demo
"""

import argparse
from contextlib import closing
from pathlib import Path

from rmpe_plugin.apis import Frames, ImageWriter, PoseDrawer, RMPEInferencer


def main() -> None:
    """Write the annotated video, and print the ids."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('video', help="a video, or 'webcam'")
    parser.add_argument('--model', default='photo', help='pose estimator')
    parser.add_argument('--det', default='person', help='person detector')
    parser.add_argument('--out', type=Path, default='poses', help='output folder')
    args = parser.parse_args()

    frames = Frames(args.video)
    if args.out.resolve() in {path.resolve().parent for path in frames.paths}:
        parser.error(f'--out {args.out}: the video would be overwritten')
    inferencer = RMPEInferencer(args.model, detector=args.det, track='pose')
    drawer = PoseDrawer(inferencer.dataset_meta, color_by='id')
    with closing(ImageWriter(args.out)) as writer:
        for frame, poses in inferencer(frames):
            if frame.image is None:
                print(f'skipped: {frame.name}: {frame.error}')
                continue
            writer.write(frame, drawer.draw(frame.image, poses))
            print(f'{frame.name}: ids {poses.pred_instances.track_ids.tolist()}')
    print(*writer.written, sep='\n')


if __name__ == '__main__':
    main()
