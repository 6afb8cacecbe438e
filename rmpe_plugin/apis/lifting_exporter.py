# SPDX-License-Identifier: Apache-2.0
"""Export of predicted poses of videos for lifting to three dimensions."""

from collections.abc import Iterable
from pathlib import Path

from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from rmpe_plugin.lifting import (
    FORMATS,
    LAYOUTS,
    Clip,
    choose_layout,
    choose_person,
    write_poses,
)

from .frame import Frame


class LiftingExporter:
    """Writes the person with the highest score in each frame of videos.

    Frames without a person are interpolated. ``rmpe export-lifting`` has more
    options.

    Args:
        folder (Path): Output folder.
        form (str): One of :data:`rmpe_plugin.lifting.FORMATS`.
        dataset_meta (dict): MMPose's description of the keypoints, COCO's or
            Human3.6M's.
        layout (str, optional): Layout of the keypoints in the file. Defaults to
            ``None``: that of the format or of the model.

    Attributes:
        interpolated (int): Number of interpolated frames in the written files.

    Raises:
        ValueError: If the model predicts other keypoints, or the format has another
            layout.
    """

    def __init__(
        self, folder: Path, form: str, dataset_meta: dict, layout: str | None = None
    ) -> None:
        self.keypoints = dataset_meta['dataset_name']
        if self.keypoints not in LAYOUTS:
            raise ValueError(
                f'lifting needs the keypoints of {" or ".join(LAYOUTS)}, the model '
                f'predicts those of {self.keypoints!r}'
            )
        self.folder, self.form = folder, form
        self.layout = choose_layout(form, self.keypoints, layout)
        self.interpolated = 0
        self._frames: dict[str, list[InstanceData]] = {}
        self._first: dict[str, Frame] = {}
        self._size: dict[str, tuple[int, int]] = {}

    def check(self, inputs: Iterable[Path]) -> None:
        """Raise before inference if a file exists that would be written.

        Args:
            inputs (Iterable[Path]): Video files.

        Raises:
            FileExistsError: If the file of a video exists.
        """
        for path in map(self._path, map(str, inputs)):
            if path.exists():
                raise FileExistsError(f'{path} exists already: remove it')

    def add(self, frame: Frame, poses: PoseDataSample) -> None:
        """Add a frame; images that belong to no video are ignored.

        Args:
            frame (Frame): The frame.
            poses (PoseDataSample): Its poses.
        """
        if not frame.video:
            return
        self._first.setdefault(frame.video, frame)
        frames = self._frames.setdefault(frame.video, [])
        # A run of undecodable frames is reported once.
        index = int(str(frame.image_id).rpartition('/')[2])
        frames += [poses.pred_instances[:0]] * (index - len(frames))
        frames.append(poses.pred_instances)
        if frame.image is not None:
            height, width = frame.image.shape[:2]
            self._size.setdefault(frame.video, (width, height))

    def write(self) -> list[Path]:
        """Write one file for each video.

        Returns:
            list[Path]: The files.

        Raises:
            FileExistsError: If a file exists.
            ValueError: If a video has no frames or no person, after the files of the
                other videos are written.
        """
        written, errors = [], []
        for video in self._frames:
            try:
                written.append(self._write_video(video))
            except ValueError as error:
                errors.append(str(error))
        if errors:
            raise ValueError('; '.join(errors))
        return written

    def _write_video(self, video: str) -> Path:
        """Write the file of a video."""
        frames = self._frames[video]
        poses = choose_person(frames, 'best', self.keypoints, video)
        rows = tuple(range(len(frames)))
        size, fps = self._size[video], self._first[video].fps
        clip = Clip(Path(video).stem, rows, rows, size, fps)
        path = self._path(video)
        write_poses(path, self.form, [(clip, poses)], self.layout, 'interpolate')
        self.interpolated += int(poses.missing.sum())
        return path

    def _path(self, video: str) -> Path:
        """File of a video."""
        prefix = 'data_2d_custom_' if self.form == 'videopose3d' else ''
        return self.folder / f'{prefix}{Path(video).stem}{FORMATS[self.form][0]}'
