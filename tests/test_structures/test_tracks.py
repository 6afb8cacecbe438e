# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from rmpe_plugin.structures import read_tracks


def image(image_id, frame_id, video='v', **others):
    return dict(id=image_id, frame_id=frame_id, vid_id=video, **others)


def person(annotation_id, image_id, track_id):
    return dict(id=annotation_id, image_id=image_id, track_id=track_id)


def write(path, images, annotations):
    path.write_text(json.dumps(dict(images=images, annotations=annotations)))
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'tracks.json'


def test_videos_of_posetrack_are_in_the_order_of_frames(path):
    images = [
        image(12, 10000012),
        image(10, 10000010),
        image(11, 10000011, is_labeled=False),
        image(3, 10000003, video='w', is_labeled=True),
    ]
    write(path, images, [person(1, 10, 7), person(2, 10, 8), person(3, 12, 7)])
    dataset, (v, w) = read_tracks(path)
    assert len(dataset['images']) == 4
    assert (v.video_id, w.video_id) == ('v', 'w')
    assert [i['id'] for i in v.images] == [10, 11, 12]
    first, second, third = v.people
    assert [p['track_id'] for p in first] == [7, 8]
    assert second is None
    assert [p['id'] for p in third] == [3]
    assert w.people == [[]]


def test_reads_coco_vid(path):
    images = [dict(id=1, video_id=1, frame_id=0)]
    write(path, images, [dict(id=1, image_id=1, instance_id=4)])
    _, (video,) = read_tracks(path)
    assert video.video_id == 1
    assert video.people[0][0]['track_id'] == 4


@pytest.mark.parametrize(
    'images, annotations, message',
    [
        ([dict(id=1, frame_id=0)], [], 'image 1 must .* video_id or vid_id'),
        ([dict(id=1, vid_id='v')], [], 'image 1 must .* frame_id'),
        ([image(1, 'x')], [], r"image 1 must .* frame_id, got \['x'\]"),
        (
            [image(1, 0)],
            [dict(id=5, image_id=1)],
            'annotation 5 must .* track_id or instance_id',
        ),
        ([image(1, 0)], [person(5, 1, True)], 'track_id must be an integer'),
        ([image(1, 3), image(2, 3)], [], "two images of video 'v' have the frame_id 3"),
        (
            [image(1, 0)],
            [person(1, 1, 4), person(2, 1, 4)],
            'two people of image 1 have the track_id 4',
        ),
        ([image(1, 0, is_labeled=False)], [], 'has no labelled images'),
        ([], [], 'has no labelled images'),
    ],
)
def test_raises_on_missing_or_repeated_ids(path, images, annotations, message):
    with pytest.raises(ValueError, match=message):
        read_tracks(write(path, images, annotations))
