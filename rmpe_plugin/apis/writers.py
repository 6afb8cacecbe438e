# SPDX-License-Identifier: Apache-2.0
"""Write what an inferencer finds: JSON of COCO and of AlphaPose, pictures, videos."""

import json
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from mmpose.structures import PoseDataSample

from rmpe_plugin.structures import person_scores, poses_to_records
from rmpe_plugin.visualization import NumpySafePoseVisualizer

from .frames import Frame


class JsonList:
    """A JSON list that is written as it grows, and has its name once it is whole.

    Args:
        path (Path): The file. Until it is closed, ``.part`` is added to its name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._part = path.with_name(path.name + '.part')
        self._file = self._part.open('w')
        self._file.write('[')
        self._between = '\n'

    def extend(self, records: list[dict]) -> None:
        """Add records.

        Args:
            records (list[dict]): What JSON can hold.
        """
        for record in records:
            self._file.write(self._between + json.dumps(record))
            self._between = ',\n'

    def __enter__(self) -> 'JsonList':
        """Use it in a ``with`` statement."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the list; also after an error, with what was found until then."""
        self._file.write('\n]\n')
        self._file.close()
        self._part.replace(self.path)


def alphapose_records(frame: Frame, poses: PoseDataSample) -> list[dict]:
    """People of one picture in the form of AlphaPose's ``alphapose-results.json``.

    Args:
        frame (Frame): The picture.
        poses (PoseDataSample): Its people.

    Returns:
        list[dict]: ``image_id``, which is a file name (of a video, the frame's number
        and ``.jpg``), ``category_id`` 1, ``keypoints`` (x, y, score a keypoint),
        ``score``, AlphaPose's formula, ``box`` xywh, and ``idx``, nobody's. From
        ``write_json`` in alphapose/utils/pPose_nms.py of
        github.com/MVIG-SJTU/AlphaPose.
    """
    people = poses.pred_instances
    name = f'{frame.image_id}.jpg' if frame.video else Path(frame.name).name
    records = poses_to_records(name, people)
    for record, score in zip(records, person_scores(people, 'alphapose'), strict=True):
        # Without tracking AlphaPose calls everybody so.
        record.update(score=float(score), box=record.pop('bbox'), idx=[0.0])
    return records


class Artist:
    """Draws poses on pictures.

    Args:
        dataset_meta (dict): The keypoints, as MMPose describes them.
        kpt_thr (float): Keypoints that score less are not drawn. Defaults to 0.3.
        score_thr (float): People who score less are not drawn. Defaults to 0.
    """

    def __init__(
        self, dataset_meta: dict, kpt_thr: float = 0.3, score_thr: float = 0.0
    ) -> None:
        self.kpt_thr, self.score_thr = kpt_thr, score_thr
        self.visualizer = NumpySafePoseVisualizer(bbox_color='green')
        self.visualizer.set_dataset_meta(dataset_meta)

    def draw(self, image: np.ndarray, poses: PoseDataSample) -> np.ndarray:
        """Draw boxes and poses.

        Args:
            image (np.ndarray): BGR (H, W, 3). Not changed.
            poses (PoseDataSample): Its people.

        Returns:
            np.ndarray: The picture, BGR (H, W, 3).
        """
        shown = poses.new()
        people = poses.pred_instances
        shown.pred_instances = people[people.scores >= self.score_thr]
        # a line as thick, and a dot as large, on a large picture as on a small one
        width = max(1, round(max(image.shape[:2]) / 400))
        self.visualizer.line_width, self.visualizer.radius = width, width + 1
        drawn = self.visualizer.add_datasample(
            'poses',
            np.ascontiguousarray(image[..., ::-1]),
            shown,
            draw_gt=False,
            draw_bbox=True,
            kpt_thr=self.kpt_thr,
        )
        return np.ascontiguousarray(drawn[..., ::-1])


class PictureWriter:
    """Writes annotated pictures, and the frames of a video as a video.

    Args:
        folder (Path): Where to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.written: list[Path] = []
        self._video: cv2.VideoWriter | None = None

    def write(self, frame: Frame, picture: np.ndarray) -> None:
        """Write one picture, or one more frame of a video.

        Args:
            frame (Frame): Whose picture it is.
            picture (np.ndarray): BGR (H, W, 3).

        Raises:
            OSError: If it could not be written.
        """
        if frame.video:
            self._video_of(frame, picture.shape[1::-1]).write(picture)
            return
        name = Path(frame.name).name
        path = self.folder / (name if cv2.haveImageWriter(name) else f'{name}.jpg')
        if not cv2.imwrite(str(path), picture):
            raise OSError(f'could not write {path}')
        self.written.append(path)

    def _video_of(self, frame: Frame, size: tuple[int, int]) -> cv2.VideoWriter:
        """The video that a frame belongs to; the one before it is ended."""
        path = self.folder / f'{Path(frame.video).stem}.mp4'
        if path not in self.written:
            self.close()
            code = cv2.VideoWriter_fourcc(*'mp4v')
            # A camera may not know how fast it is.
            fps = frame.fps or 25.0
            self._video = cv2.VideoWriter(str(path), code, fps, size)
            if not self._video.isOpened():
                raise OSError(f'could not write {path}')
            self.written.append(path)
        return self._video

    def close(self) -> None:
        """End the video, if there is one."""
        if self._video is not None:
            self._video.release()
            self._video = None
