# SPDX-License-Identifier: Apache-2.0
r"""Measure how well a detector's boxes suit a pose estimator.

Each annotated person is matched to the detection with the highest IoU, one to one.
Printed are the IoU of the crops with those of the ground-truth boxes, the share of the
keypoints that are cut off, and the change of AP that a spatial transformer (SSTN) had
on synthetic people at this mean IoU.

Example:
    rmpe boxes configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py \
        --ann data/synthetic_people/annotations/person_keypoints_val.json \
        --det data/synthetic_people/annotations/person_detections_val.json
"""

import argparse

from mmpose.registry import KEYPOINT_CODECS

from rmpe_plugin.apis.pose_estimator import load_config
from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.cli._matching import (
    add_matching_arguments,
    build_counts_table,
    match_files,
)
from rmpe_plugin.fitting.box_quality import BoxQuality
from rmpe_plugin.fitting.matching import MatchedPeople
from rmpe_plugin.inference import CropGeometry
from rmpe_plugin.structures import read_metainfo
from rmpe_plugin.utils.configs import find_config
from rmpe_plugin.utils.tables import rich_table, table_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'config',
        metavar='CONFIG',
        help='the pose estimator, whose test pipeline crops the boxes: a config file, '
        'or PACKAGE::PATH such as rmpe_plugin::cpn/coco/NAME.py',
    )
    add_matching_arguments(parser)
    return parser.parse_args()


def crop_geometry(name: str) -> CropGeometry:
    """Read how the test pipeline of a config crops a box."""
    config = load_config(find_config(name))
    codec = KEYPOINT_CODECS.build(config.model.head.decoder)
    return CropGeometry.of_pipeline(config.test_dataloader.dataset.pipeline, codec)


@exit_status
def main() -> None:
    args = parse_args()
    console = table_console()
    geometry = crop_geometry(args.config)
    meta = read_metainfo(args.ann, args.metainfo)
    pairs, counts, images = match_files(args, meta['num_keypoints'])
    console.print(build_counts_table(counts))
    people = MatchedPeople.from_pairs(pairs, images)
    console.print(rich_table(BoxQuality.of(people, geometry).table()))
