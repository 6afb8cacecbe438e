# SPDX-License-Identifier: Apache-2.0
"""Pose estimation of many files on several machines, into Parquet files."""

from .engines import Engine, ProcessEngine, RayEngine
from .items import Item, Row, find_items, share_of
from .output import Done, Failure, Output, OutputError
from .pose_job import JobProgress, PoseJob
from .pose_model import PoseModel
from .readers import read_poses, to_coco
from .schema import FrameRows, schema
from .worker import PoseWorker, UnitResult

__all__ = [
    'Done',
    'Engine',
    'Failure',
    'FrameRows',
    'Item',
    'JobProgress',
    'Output',
    'OutputError',
    'PoseJob',
    'PoseModel',
    'PoseWorker',
    'ProcessEngine',
    'RayEngine',
    'Row',
    'UnitResult',
    'find_items',
    'read_poses',
    'schema',
    'share_of',
    'to_coco',
]
