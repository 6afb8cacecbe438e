# SPDX-License-Identifier: Apache-2.0
"""Export of predicted poses of videos for lifting to three dimensions."""

from pathlib import Path

from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from rmpe_plugin.lifting import FORMATS, LAYOUTS, Clip, choose_person, write_poses

from .frame import Frame


class LiftingExporter:
    """Writes the person with the highest score in each frame of videos.

    Frames without a person are NaN. ``tools/export_lifting.py`` has more options.

    Args:
        folder (Path): Output folder.
        form (str): One of :data:`rmpe_plugin.lifting.FORMATS`.
        dataset_meta (dict): MMPose's description of the keypoints, COCO's or
            Human3.6M's.
        layout (str, optional): Layout of the keypoints in the file. Defaults to
            ``None``: that of the model.

    Raises:
        ValueError: If the model predicts other keypoints.
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
        self.layout = layout or self.keypoints
        self._frames: dict[str, list[InstanceData]] = {}
        self._first: dict[str, Frame] = {}
        self._size: dict[str, tuple[int, int]] = {}

    def add(self, frame: Frame, poses: PoseDataSample) -> None:
        """Add a frame; images that belong to no video are ignored.

        Args:
            frame (Frame): The frame.
            poses (PoseDataSample): Its poses.

        Raises:
            FileExistsError: If the file of its video exists already.
        """
        if not frame.video:
            return
        if frame.video not in self._frames:
            path = self._path(frame.video)
            if path.exists():
                raise FileExistsError(f'{path} exists already: remove it')
            self._first[frame.video] = frame
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
            ValueError: If a video has no frames or no person.
        """
        written = []
        for video, frames in self._frames.items():
            poses = choose_person(frames, 'best', self.keypoints, video)
            rows = tuple(range(len(frames)))
            size, fps = self._size[video], self._first[video].fps
            clip = Clip(Path(video).stem, rows, rows, size, fps)
            path = self._path(video)
            write_poses(path, self.form, [(clip, poses)], self.layout)
            written.append(path)
        return written

    def _path(self, video: str) -> Path:
        """File of a video."""
        prefix = 'data_2d_custom_' if self.form == 'videopose3d' else ''
        return self.folder / f'{prefix}{Path(video).stem}{FORMATS[self.form][0]}'
