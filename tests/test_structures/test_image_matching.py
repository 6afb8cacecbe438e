# SPDX-License-Identifier: Apache-2.0
"""Records of annotation tools, whose ids are not the numbers in file names."""

from pathlib import Path

import pytest

from rmpe_plugin.structures import match_frames, match_images

PATH = Path('boxes.json')
FILES = {i: f'/data/{i:06d}.png' for i in range(3)}


def records(*images):
    """Records of (image_id, file_name) or image_id."""
    pairs = [image if isinstance(image, tuple) else (image, '') for image in images]
    return [dict(image_id=i, file_name=name) for i, name in pairs]


def images_of(matched):
    return {i: [r['image_id'] for r in found] for i, found in matched.items()}


@pytest.mark.parametrize(
    'name',
    [
        '{:06d}.png',
        '{:06d}.jpg',
        'images/{:06d}.PNG',
        'C:\\frames\\{:06d}.png',
    ],
)
def test_names_decide_where_there_are_any(name):
    given = records(*((i + 1, name.format(i)) for i in range(3)))
    assert images_of(match_images(PATH, given, FILES)) == {0: [1], 1: [2], 2: [3]}


def test_ids_decide_otherwise():
    assert images_of(match_images(PATH, records(2, 2, 9), FILES)) == {2: [2, 2]}
    names = records('000001.png', 'other.png')
    assert images_of(match_images(PATH, names, FILES)) == {1: ['000001.png']}
    in_memory = {0: '', 1: ''}
    given = records((1, 'x.png'), (0, 'y.png'))
    assert images_of(match_images(PATH, given, in_memory)) == {0: [0], 1: [1]}
    assert match_images(PATH, [], FILES) == {}


def test_folders_decide_between_equal_names():
    given = records((1, 'cam1/000000.png'), (2, 'cam2/000000.png'))
    files = {0: '/data/cam2/000000.png'}
    assert images_of(match_images(PATH, given, files)) == {0: [2]}
    with pytest.raises(
        ValueError, match=r'boxes.json: several images .* fit /data/000'
    ):
        match_images(PATH, given, {0: '/data/000000.png'})


def test_an_equal_name_is_better_than_an_equal_stem():
    given = records((1, 'a.jpg'), (2, 'a.png'))
    files = {'a.png': 'a.png', 'a.jpg': 'a.jpg'}
    assert images_of(match_images(PATH, given, files)) == {'a.jpg': [1], 'a.png': [2]}


def test_raises_on_a_contradiction():
    with pytest.raises(ValueError, match='and the id 0'):
        match_images(PATH, records((1, '000000.png'), 0), FILES)
    with pytest.raises(
        ValueError,
        match=r'no record belongs to any image: .*\[1\], file names .*x.png.*000000',
    ):
        match_images(PATH, records((1, 'x.png')), FILES)


@pytest.mark.parametrize(
    ('ids', 'names', 'expected'),
    [
        ([0, 1, 2], None, [0, 1, 2]),
        ([1, 2], 'frame_{0:06d}.PNG', [1, 2]),
        # Ids from 1 and names from 0, as CVAT writes them.
        ([1, 2, 3], 'frame_{1:06d}.PNG', [0, 1, 2]),
        # Ids from 0 and names from 1, as ffmpeg names frames.
        ([0, 1, 2], 'frame_{2:06d}.png', [0, 1, 2]),
        ([2, 1], 'walk.mp4', [2, 1]),
        (['0.jpg', '2.jpg'], None, [0, 2]),
        (['frame_1.png'], None, [1]),
    ],
)
def test_frames_of_a_video(ids, names, expected):
    shifts = [(i, i - 1, i + 1) if isinstance(i, int) else () for i in ids]
    given = records(
        *(
            (i, names.format(*s) if names else '')
            for i, s in zip(ids, shifts, strict=True)
        )
    )
    matched = match_frames(PATH, given, range(3))
    assert images_of(matched) == dict(zip(expected, ([i] for i in ids), strict=True))


def test_frames_of_one_of_several_videos():
    ids = [f'walk/{i}' for i in range(3)]
    given = records('walk/1', 'run/1', 'run/7', 2)
    assert images_of(match_frames(PATH, given, ids)) == {'walk/1': ['walk/1']}
    with pytest.raises(ValueError, match='no record belongs to any frame'):
        match_frames(PATH, records('run/1', 0), ids)


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (records(1, 2, 3), 'record is of frame 3, but the video has the frames 0 to 2'),
        (records(-1), 'record is of frame -1'),
        (records('7.jpg'), 'record is of frame 7'),
        (records((5, 'frame_0.png'), (7, 'frame_2.png')), 'do not fit, such as 5 and'),
        (records((1, 'frame_0.png'), (2, 'frame_2.png')), 'do not fit, such as 1 and'),
        (records('a.jpg'), 'no record belongs to any frame'),
    ],
)
def test_raises_on_frames_that_do_not_exist(given, message):
    with pytest.raises(ValueError, match=message):
        match_frames(PATH, given, range(3))
