# SPDX-License-Identifier: Apache-2.0
"""A worker: one inferencer that turns units into parts of the output."""

from contextlib import closing
from dataclasses import dataclass

from rmpe_plugin.apis import PoseResult

from .item_source import ItemSource
from .output import Output, OutputError
from .pose_model import PoseModel
from .schema import FrameRows
from .units import Unit


@dataclass
class UnitResult:
    """Counts of a unit.

    Attributes:
        paths (list[str]): Its inputs.
        people (int): People in its poses.
        failed (int): Inputs with frames that could not be read.
        error (str): Why there is no part, ``''`` if there is one.
        is_output_error (bool): Whether the part could not be written, so that the job
            must end.
    """

    paths: list[str]
    people: int = 0
    failed: int = 0
    error: str = ''
    is_output_error: bool = False


class PoseWorker:
    """Loads a model and processes units.

    Args:
        model (PoseModel): The model.
        output (Output): The output.

    Raises:
        OSError: If a file of the model does not exist.
        ValueError: If a setting is invalid, or this machine has other weights than the
            one that started the job.
    """

    def __init__(self, model: PoseModel, output: Output) -> None:
        expected, own = output.description['settings'], model.settings()
        different = [key for key in own if own[key] != expected[key]]
        if different:
            raise ValueError(
                f'a worker has other weights or settings than the job: '
                f'{different[0]} is {own[different[0]]}, must be '
                f'{expected[different[0]]}'
            )
        self.output = output
        self.inferencer = model.load()
        names = self.inferencer.dataset_meta['keypoint_id2name']
        self.keypoint_names = [names[i] for i in sorted(names)]

    def process(self, unit: Unit) -> UnitResult:
        """Write the part of a unit.

        Args:
            unit (Unit): The unit.

        Returns:
            UnitResult: Its counts, or the reason why there is no part.
        """
        try:
            return self._process(unit)
        except OutputError as error:
            return UnitResult(_paths(unit), error=str(error), is_output_error=True)
        # An unusual input can make any operation fail, which must not end the job.
        except Exception as error:
            return UnitResult(_paths(unit), error=f'{type(error).__name__}: {error}')

    def _process(self, unit: Unit) -> UnitResult:
        """Write the part of a unit."""
        people, failed = 0, set()
        sources = [ItemSource(item) for item in unit.items]
        with (
            self.output.part(unit.name, self.keypoint_names) as part,
            closing(self.inferencer(sources)) as results,
        ):
            for result in results:
                rows = _rows(result)
                part.add(rows)
                people += len(rows.people)
                if rows.error is not None:
                    failed.add(rows.path)
        return UnitResult(_paths(unit), people, len(failed))


def _rows(result: PoseResult) -> FrameRows:
    """The rows of a frame."""
    frame, poses = result
    error = frame.error or None
    people = poses.pred_instances
    return FrameRows(frame.name, frame.image_id, frame.time, error, people)


def _paths(unit: Unit) -> list[str]:
    """Paths of the inputs of a unit."""
    return [item.path for item in unit.items]
