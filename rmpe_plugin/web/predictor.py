# SPDX-License-Identifier: Apache-2.0
"""Poses of one uploaded file, for all users of a page."""

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from mmpose.structures import PoseDataSample

from rmpe_plugin.apis import (
    ImageWriter,
    PoseDrawer,
    PoseExporter,
    PoseResult,
    RMPEInferencer,
    detect_frames,
    load_detector,
)
from rmpe_plugin.inference import Frame, Frames, FrameSource, MovingSource
from rmpe_plugin.ops import PoseNMSParams
from rmpe_plugin.ops.rmpe.pose_nms_params import DEFAULT_PRESET
from rmpe_plugin.structures import suppress_poses
from rmpe_plugin.tracking import PeopleTracker, tracker_maker

from .limits import Limits, open_upload

# The lowest threshold of boxes; below it, most boxes show no person.
MIN_BOX_THR = 0.1
Models = Mapping[str, tuple[str, str | None]]


class WebSettings(NamedTuple):
    """What a user chooses.

    Attributes:
        model (str): Name of the pose estimator, one of :class:`WebPredictor`.
        detector (str): Name of the detector.
        box_thr (float): Boxes of the detector with a lower score are dropped.
        score_thr (float): People with a lower score are not drawn.
        kpt_thr (float): Keypoints with a lower score are not drawn.
        compare (bool): Whether to give the poses without pose NMS, too.
        black (bool): Whether poses are drawn on black, without boxes.
        track (bool): Whether the people of a video get ids.
    """

    model: str
    detector: str
    box_thr: float = 0.35
    score_thr: float = 0.1
    kpt_thr: float = 0.3
    compare: bool = False
    black: bool = False
    track: bool = False


class WebResult(NamedTuple):
    """Poses of a file.

    Attributes:
        drawing (Path): The picture as JPEG, or the video as WebM, with the poses.
        files (list[Path]): COCO results and AlphaPose results.
        frames (int): Number of frames.
        people (int): Number of people in all frames.
        errors (list[str]): Why frames of a video were skipped.
    """

    drawing: Path
    files: list[Path]
    frames: int
    people: int
    errors: list[str]


class WebPredictor:
    """Predicts the poses in one file after another. It can be called in threads.

    Args:
        models (Models): Config and checkpoint of each pose estimator, by name, as
            :func:`rmpe_plugin.apis.load_estimator` takes them. The first one is loaded
            here, others when they are used.
        detectors (Models): The same for detectors.
        device (str, optional): As :class:`rmpe_plugin.apis.RMPEInferencer`'s. Defaults
            to ``None``.
        limits (Limits): Limits of files. Defaults to ``Limits()``.

    Raises:
        OSError: See :class:`rmpe_plugin.apis.RMPEInferencer`.
        ValueError: See :class:`rmpe_plugin.apis.RMPEInferencer`.
    """

    def __init__(
        self,
        models: Models,
        detectors: Models,
        device: str | None = None,
        limits: Limits = Limits(),  # noqa: B008, it is immutable
    ) -> None:
        self.models, self.detectors, self.limits = models, detectors, limits
        self._inferencer = cache(
            lambda name: RMPEInferencer(*models[name], device=device, pose_nms=None)
        )
        self._detector = cache(
            lambda name: load_detector(
                *detectors[name], device=device, score_thr=MIN_BOX_THR
            )
        )
        self._inferencer(next(iter(models)))
        self._detector(next(iter(detectors)))
        self._nms = PoseNMSParams.from_config(DEFAULT_PRESET)
        self._lock = Lock()

    def __call__(
        self,
        path: Path,
        settings: WebSettings,
        folder: Path,
        report: Callable[[int, int | None], object] = lambda done, number: None,
    ) -> list[WebResult]:
        """Predict the poses in a file.

        Args:
            path (Path): A picture or a video.
            settings (WebSettings): What the user chooses.
            folder (Path): Folder for the results, which exists.
            report (Callable): Gets the number of frames that are done, and the number
                of all frames. Defaults to a function that does nothing.

        Returns:
            list[WebResult]: The poses, and with ``compare`` those without pose NMS.

        Raises:
            OSError: If no frame can be read.
            ValueError: If the file exceeds a limit, see :func:`open_upload`.
        """
        source = open_upload(path, self.limits)
        names = ('poses', 'without_nms')[: 1 + settings.compare]
        with self._lock, ExitStack() as stack:
            meta = self._inferencer(settings.model).dataset_meta
            outputs = [
                stack.enter_context(_Output(folder / name, source, settings, meta))
                for name in names
            ]
            poses = stack.enter_context(closing(self._poses(source, settings)))
            for done, (frame, *samples) in enumerate(poses, start=1):
                for output, sample in zip(outputs, samples, strict=False):
                    output.add(frame, sample)
                report(done, source.number)
        return [output.result() for output in outputs]

    def _poses(
        self, source: FrameSource, settings: WebSettings
    ) -> Generator[tuple[Frame, PoseDataSample, PoseDataSample], None, None]:
        """Frames with their poses, with and without pose NMS."""
        inferencer = self._inferencer(settings.model)
        detector = self._detector(settings.detector)
        reads = Frames(source).reads()
        batches = detect_frames(detector, reads, inferencer.image_batch)
        index = 0
        with closing(batches):
            for batch, boxes in batches:
                people = [x[x.bbox_scores >= settings.box_thr] for x in boxes]
                poses = inferencer.suppress(batch, inferencer.estimate(batch, people))
                for frame, sample in zip(batch, poses, strict=True):
                    self.limits.check_frame(index, frame)
                    scores = sample.pred_instances.scores
                    yield frame, suppress_poses(sample, self._nms, scores), sample
                    index += 1


class _Output:
    """Files of the poses, with or without pose NMS."""

    def __init__(
        self, folder: Path, source: FrameSource, settings: WebSettings, meta: dict
    ) -> None:
        self._tracker = None
        if settings.track and isinstance(source, MovingSource):
            self._tracker = PeopleTracker(tracker_maker('pose', meta))
        self._drawer = PoseDrawer(
            meta,
            settings.kpt_thr,
            settings.score_thr,
            boxes=not settings.black,
            black=settings.black,
            color_by='id' if self._tracker else 'keypoint',
        )
        # Formats that browsers show.
        self._images = ImageWriter(folder, '.webm')
        self._exporter = PoseExporter(folder, self._drawer, save_images=False)

    def __enter__(self) -> '_Output':
        self._exporter.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._images.close()
        self._exporter.__exit__(*error)

    def add(self, frame: Frame, poses: PoseDataSample) -> None:
        """Write the poses of a frame."""
        if self._tracker is not None:
            self._tracker.update(frame, poses.pred_instances)
        self._exporter.add(PoseResult(frame, poses))
        if frame.image is not None:
            shown = replace(frame, name=f'{Path(frame.name).stem}.jpg')
            self._images.write(shown, self._drawer.draw(frame.image, poses))

    def result(self) -> WebResult:
        """The written files, or an OSError if no frame could be read."""
        errors = [frame.error for frame in self._exporter.failed]
        if not self._images.written:
            raise OSError(errors[0])
        return WebResult(
            self._images.written[0],
            self._exporter.written,
            self._exporter.frames,
            self._exporter.people,
            errors,
        )
