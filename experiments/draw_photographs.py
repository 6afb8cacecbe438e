# SPDX-License-Identifier: Apache-2.0
r"""Join parts of annotated photographs, for README.md and docs/photographs.md.

Example:
    rmpe predict tests/data/coco_cc --out work_dirs/photo
    python -m experiments.draw_photographs work_dirs/photo
"""

import argparse
from pathlib import Path

from PIL import Image

from rmpe_plugin.utils.arguments import existing_folder

OUT = Path(__file__).parents[1] / 'docs/_static/photographs.jpg'
HEIGHT = 360
# Left, top, right and bottom of the part of each photograph, in pixels.
PARTS = {
    '000000129648.jpg': (0, 110, 320, 345),
    '000000234748.jpg': (190, 90, 470, 400),
    '000000442450.jpg': (0, 110, 430, 370),
    '000000214753.jpg': (190, 90, 490, 290),
}


def join(folder: Path) -> Image.Image:
    """Cut the parts and place them side by side, with equal heights.

    Args:
        folder (Path): Output of ``rmpe predict`` for ``tests/data/coco_cc``.

    Returns:
        Image.Image: The joined picture, ``HEIGHT`` pixels high.
    """
    parts = []
    for name, box in PARTS.items():
        part = Image.open(folder / name).convert('RGB').crop(box)
        width = round(part.width * HEIGHT / part.height)
        parts.append(part.resize((width, HEIGHT), Image.Resampling.LANCZOS))
    joined = Image.new('RGB', (sum(part.width for part in parts), HEIGHT))
    left = 0
    for part in parts:
        joined.paste(part, (left, 0))
        left += part.width
    return joined


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=existing_folder)
    parser.add_argument('--out', type=Path, default=OUT, help='default: %(default)s')
    args = parser.parse_args()
    join(args.folder).save(args.out, quality=85)
    print(args.out)


if __name__ == '__main__':
    main()
