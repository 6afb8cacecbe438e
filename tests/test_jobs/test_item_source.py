# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from fsspec import filesystem
from PIL import Image

from rmpe_plugin.inference import Frames
from rmpe_plugin.jobs.item_source import ItemSource
from rmpe_plugin.jobs.items import Item, find_items
from tests.test_jobs.stub_model import write_image, write_images, write_video
from tests.test_jobs.test_items import write_parquet, write_tar


def read(items):
    return [*Frames([ItemSource(item) for item in items])]


def values(frames):
    return [frame.image[0, 0, 0] for frame in frames]


def test_files_with_one_name_in_two_folders(tmp_path):
    a, b = (write_images(tmp_path / x, [n])[0] for x, n in (('a', 1), ('b', 2)))
    frames = read(find_items([a, b]))
    assert [frame.name for frame in frames] == [a, b]
    assert values(frames) == [1, 2]


def test_missing_files_and_addresses_are_frames_with_an_error(tmp_path):
    names = (f'{tmp_path}/a.jpg', f'{tmp_path}/a.mp4', f'{tmp_path}/a')
    names += ('memory://nothing/a.jpg', 'memory://nothing/a.mp4')
    frames = read([Item(name, name) for name in names])
    assert [frame.name for frame in frames] == [*names]
    assert all(frame.error and frame.image is None for frame in frames)


def test_video_frames_have_index_and_time(tmp_path):
    write_video(tmp_path / 'a.avi', [1, 2, 3])
    frames = read(find_items(tmp_path / 'a.avi'))
    assert values(frames) == [1, 2, 3]
    assert [frame.image_id for frame in frames] == [0, 1, 2]
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.2])
    assert {frame.name for frame in frames} == {f'{tmp_path}/a.avi'}
    assert {frame.video for frame in frames} == {f'{tmp_path}/a.avi'}


def test_object_storage(tmp_path):
    write_image(tmp_path / 'a.png', 5)
    write_video(tmp_path / 'b.avi', [6, 7])
    storage = filesystem('memory')
    storage.put(f'{tmp_path}/', '/storage/', recursive=True)
    frames = read(find_items('memory://storage'))
    assert values(frames) == [5, 6, 7]
    assert frames[2].video == 'memory:///storage/b.avi'
    assert [frame.image_id for frame in frames] == [0, 0, 1]


def test_tar(tmp_path):
    write_image(tmp_path / 'a.png', 5)
    write_video(tmp_path / 'b.avi', [6, 7])
    members = {p.name: p.read_bytes() for p in (tmp_path / 'a.png', tmp_path / 'b.avi')}
    write_tar(tmp_path / 'x.tar', members)
    frames = read(find_items(tmp_path / 'x.tar'))
    assert values(frames) == [5, 6, 7]
    assert frames[0].name == f'{tmp_path}/x.tar/a.png'


def png(value):
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(file, 'PNG')
    return file.getvalue()


@pytest.mark.parametrize('is_struct', [True, False])
def test_parquet_rows(tmp_path, is_struct):
    contents = [png(1), None, png(3)]
    if is_struct:
        contents = [dict(bytes=content, path='x.png') for content in contents]
    write_parquet(tmp_path / 'x.parquet', image=contents)
    first, second, third = read(find_items(tmp_path / 'x.parquet', 'image'))
    assert values([first, third]) == [1, 3]
    assert second.error
    assert second.name == f'{tmp_path}/x.parquet/0-1'


def test_animation_in_object_storage_is_an_error():
    file = io.BytesIO()
    frames = [Image.new('L', (4, 4), value) for value in (0, 99)]
    frames[0].save(file, 'GIF', save_all=True, append_images=frames[1:])
    filesystem('memory').pipe('/animations/a.gif', file.getvalue())
    (frame,) = read(find_items('memory://animations/a.gif'))
    assert 'animation' in frame.error
