# SPDX-License-Identifier: Apache-2.0
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from rmpe_plugin.apis import PoseDrawer, PoseExporter, RMPEInferencer, load_detector
from rmpe_plugin.web import WebSettings
from tests.test_inference.videos import write_video

# Pose NMS drops the poses of an untrained network, whose scores are low.
SMALL = WebSettings('small', 'whole_image', compare=True)
JSON = ('results.json', 'alphapose-results.json')


def predict_files(path, cpn, detector, folder, **options):
    """JSON files as ``rmpe predict`` writes them."""
    inferencer = RMPEInferencer(*cpn, detector, device='cpu', **options)
    drawer = PoseDrawer(inferencer.dataset_meta)
    with PoseExporter(folder, drawer, save_images=False) as exporter:
        for result in inferencer(path):
            exporter.add(result)
    return [(folder / name).read_text() for name in JSON]


def texts(result):
    return [path.read_text() for path in result.files]


def test_files_equal_those_of_predict_with_and_without_pose_nms(
    predictor, cpn, detector_files, picture, tmp_path
):
    (boxes,) = load_detector(*detector_files, 'cpu', 0.1)([cv2.imread(str(picture))])
    box_thr = float(np.median(boxes.bbox_scores))
    settings = WebSettings('small', 'boxes', box_thr, compare=True)
    results = predictor(picture, settings, tmp_path)
    detector = load_detector(*detector_files, 'cpu', box_thr)
    for result, folder, options in zip(
        results, ('a', 'b'), ({}, dict(pose_nms=None)), strict=True
    ):
        assert [path.name for path in result.files] == [*JSON]
        files = predict_files(picture, cpn, detector, tmp_path / folder, **options)
        assert texts(result) == files
        assert result.people == len(json.loads(files[0]))
    assert results[0].people < results[1].people == len(boxes) // 2


def test_rotated_picture_is_upright(predictor, tmp_path):
    array = np.zeros((40, 60, 3), np.uint8)
    array[:, 30:] = 255  # white at the right
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated clockwise by 90 degrees
    path = tmp_path / 'phone.jpg'
    Image.fromarray(array).save(path, exif=exif)
    _, result = predictor(path, SMALL._replace(score_thr=1.0), tmp_path)
    drawing = cv2.imread(str(result.drawing))
    assert drawing.shape == (60, 40, 3)
    assert drawing[:20].max() < 10 < 245 < drawing[40:].min()  # white at the bottom


def test_video_with_ids(predictor, cpn, video, tmp_path):
    _, result = predictor(video, SMALL._replace(track=True), tmp_path)
    assert (result.frames, result.errors) == (12, [])
    files = predict_files(
        video, cpn, 'whole_image', tmp_path / 'a', pose_nms=None, track='pose'
    )
    assert texts(result) == files
    assert 'track_id' in json.loads(files[0])[0]
    assert result.drawing.name == 'walk.webm'
    drawn = cv2.VideoCapture(str(result.drawing))
    assert drawn.read()[1].shape == (48, 64, 3)
    assert int(drawn.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, 'little') == b'VP80'


def test_a_picture_has_no_ids(predictor, picture, tmp_path):
    _, result = predictor(picture, SMALL._replace(track=True), tmp_path)
    assert 'track_id' not in result.files[0].read_text()


def test_reports_the_number_of_frames(predictor, video, tmp_path):
    reports = []
    report = lambda *numbers: reports.append(numbers)  # noqa: E731
    predictor(video, SMALL, tmp_path, report)
    assert reports == [(i, 12) for i in range(1, 13)]


@pytest.mark.parametrize(
    'array',
    [
        np.full((40, 60), 90, np.uint8),
        np.full((40, 60), 60000, np.uint16),
        np.full((40, 60, 4), 90, np.uint8),
        np.full((40, 60, 3), 60000, np.uint16),
    ],
    ids=['grey', 'grey16', 'alpha', 'rgb16'],
)
def test_drawing_is_a_jpeg_whatever_the_picture_is(predictor, array, tmp_path):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), array)
    _, result = predictor(path, SMALL, tmp_path)
    assert result.drawing.name == 'a.jpg'
    assert cv2.imread(str(result.drawing)).shape == (40, 60, 3)
    (record,) = json.loads(result.files[0].read_text())
    assert record['image_id'] == 'a.png'


def test_extreme_thresholds(predictor, picture, tmp_path):
    everything = SMALL._replace(box_thr=0.1, score_thr=0.0, kpt_thr=0.0)
    nothing = SMALL._replace(box_thr=1.0, score_thr=1.0, kpt_thr=1.0)
    drawings = [
        cv2.imread(str(predictor(picture, settings, tmp_path)[1].drawing))
        for settings in (
            everything._replace(black=True),
            nothing._replace(black=True),
        )
    ]
    # JPEG changes black a little.
    assert drawings[0].max() > 100 > 10 > drawings[1].max()


def test_cut_video_gives_the_frames_before_the_cut_and_the_reason(predictor, tmp_path):
    data = write_video(tmp_path / 'a.avi', 'MJPG').read_bytes()
    cut = tmp_path / 'cut.avi'
    cut.write_bytes(data[: len(data) // 2])
    _, result = predictor(cut, SMALL, tmp_path)
    assert 0 < result.frames < 20
    assert 'the file is cut off or damaged' in result.errors[0]


def test_raises_without_a_frame(predictor, tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_text('no video')
    with pytest.raises(OSError, match='cannot be read as an image or a video'):
        predictor(path, SMALL, tmp_path)


def test_raises_on_a_long_video_and_works_afterwards(predictor, picture, tmp_path):
    slow = write_video(tmp_path / 'slow.mp4', 'mp4v', number=5, fps=1)
    with pytest.raises(ValueError, match='at most 2 seconds'):
        predictor(slow, SMALL, tmp_path)
    assert predictor(picture, SMALL, tmp_path)[1].people == 1


def test_users_at_the_same_time_get_their_own_results(predictor, tmp_path):
    def predict(number: int) -> Path:
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / f'{number}.png'
        cv2.imwrite(str(path), np.full((20 + number, 30, 3), 90, np.uint8))
        return predictor(path, SMALL._replace(black=number % 2 == 1), folder)[1]

    with ThreadPoolExecutor(4) as pool:
        results = [*pool.map(predict, range(6))]
    for number, result in enumerate(results):
        drawing = cv2.imread(str(result.drawing))
        assert drawing.shape == (20 + number, 30, 3)
        assert (np.median(drawing) < 10) == (number % 2 == 1)
        (record,) = json.loads(result.files[0].read_text())
        assert record['image_id'] == number
