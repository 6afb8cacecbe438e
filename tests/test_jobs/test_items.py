# SPDX-License-Identifier: Apache-2.0
import io
import os
import tarfile

import pytest
from fsspec import filesystem

from rmpe_plugin.jobs.items import Item, Row, find_items, share_of
from rmpe_plugin.jobs.units import Unit, make_units, part_size


@pytest.fixture
def folder(tmp_path):
    for name in ('b/2.jpg', 'b/c/3.mp4', '1.jpg', 'notes.json', '.4.jpg'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def paths(folder, items):
    return [item.path.removeprefix(f'{folder}/') for item in items]


def write_tar(path, members, mode='w'):
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_folder_includes_subfolders(folder):
    assert paths(folder, find_items(folder)) == ['1.jpg', 'b/2.jpg', 'b/c/3.mp4']
    assert find_items(folder)[0].size == 5


def test_glob(folder):
    assert paths(folder, find_items(f'{folder}/*/*.jpg')) == ['b/2.jpg']


def test_brackets_in_the_name_of_a_folder(folder):
    os.rename(folder / 'b', folder / 'b[1]')
    assert paths(folder, find_items(folder / 'b[1]')) == ['b[1]/2.jpg', 'b[1]/c/3.mp4']


def test_file_of_any_name(folder):
    assert paths(folder, find_items(folder / 'notes.json')) == ['notes.json']


def test_inputs_are_listed_once(folder):
    items = find_items([folder, folder / '1.jpg', f'{folder}/b/../1.jpg'])
    assert paths(folder, items) == ['1.jpg', 'b/2.jpg', 'b/c/3.mp4']


def test_links_to_files_are_inputs(folder):
    (folder / 'links').mkdir()
    (folder / 'links' / 'x.jpg').symlink_to(folder / '1.jpg')
    assert paths(folder, find_items(folder / 'links')) == ['links/x.jpg']


def test_raises_on_a_list_in_another_encoding(folder):
    (folder / 'names.txt').write_bytes('ä.jpg'.encode('latin-1'))
    with pytest.raises(ValueError, match='names.txt must be a list in UTF-8'):
        find_items(folder / 'names.txt')


def test_relative_paths_become_absolute(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert find_items('1.jpg') == find_items(folder / '1.jpg')


def test_list(folder):
    names = folder / 'names.txt'
    text = f'\ufeff{folder}/1.jpg\n\n{folder}/missing.jpg\ns3://x/y.jpg\n{folder}/b\n'
    names.write_text(text)
    found = ['1.jpg', 'b/2.jpg', 'b/c/3.mp4', 'missing.jpg', 's3://x/y.jpg']
    assert paths(folder, find_items(names)) == found


def test_members_of_a_tar(folder):
    content = {'a/1.jpg': b'first', 'a/1.json': b'{}', '2.mp4': b'second'}
    write_tar(folder / 'x.tar', content)
    first, second = find_items(folder / 'x.tar')
    assert paths(folder, [first, second]) == ['x.tar/2.mp4', 'x.tar/a/1.jpg']
    data = (folder / 'x.tar').read_bytes()
    assert data[slice(*first.span)] == b'second'
    assert data[slice(*second.span)] == b'first'
    assert first.is_video and not second.is_video
    assert 'x.tar/2.mp4' in paths(folder, find_items(folder))


def test_raises_on_a_compressed_tar(folder):
    write_tar(folder / 'x.tar', {'1.jpg': b'first'}, 'w:gz')
    with pytest.raises(ValueError, match='x.tar must be a tar without compression'):
        find_items(folder / 'x.tar')


def test_object_storage():
    storage = filesystem('memory')
    storage.pipe('/bucket/a/1.jpg', b'abc')
    (item,) = find_items('memory://bucket/a')
    assert item == Item('memory:///bucket/a/1.jpg', 'memory:///bucket/a/1.jpg', 3)
    assert find_items('memory://bucket/*/1.jpg') == [item]


@pytest.mark.parametrize('name', ['missing', 'missing/*.jpg', 'memory://nothing/a'])
def test_raises_on_missing_inputs(folder, name):
    with pytest.raises(FileNotFoundError, match=name.replace('*', r'\*')):
        find_items(name if '://' in name else folder / name)


def test_raises_on_a_folder_without_images(folder):
    (folder / 'd').mkdir()
    (folder / 'd' / 'x.json').touch()
    with pytest.raises(ValueError, match='no images or videos in .*d$'):
        find_items(folder / 'd')


def write_parquet(path, **columns):
    pa = pytest.importorskip('pyarrow')
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path, row_group_size=2)


def test_parquet_column_of_bytes(folder):
    write_parquet(folder / 'x.parquet', image=[b'a', b'b', b'c'])
    items = find_items(folder / 'x.parquet', 'image')
    rows = [Row('image', 0, 0), Row('image', 0, 1), Row('image', 1, 0)]
    assert [item.row for item in items] == rows
    assert paths(folder, items)[2] == 'x.parquet/1-0'


def test_parquet_column_of_paths(folder):
    names = [f'{folder}/1.jpg', 's3://x/y.jpg', f'{folder}/2.jpg']
    write_parquet(folder / 'x.parquet', file=names)
    assert [x.path for x in find_items(folder / 'x.parquet', 'file')] == sorted(names)


@pytest.mark.parametrize('name', ['', None])
def test_empty_names_in_a_column_are_logged(folder, name, monkeypatch):
    messages = []
    monkeypatch.setattr('rmpe_plugin.jobs.items._warn', messages.append)
    write_parquet(folder / 'x.parquet', file=[f'{folder}/1.jpg', name])
    (item,) = find_items(folder / 'x.parquet', 'file')
    assert item.path == f'{folder}/1.jpg'
    assert messages == [f'{folder}/x.parquet: left out: 1 empty names']


def test_colons_have_no_meaning_in_paths(folder):
    (folder / 'a::b').mkdir()
    (folder / 'a::b' / 'x.jpg').touch()
    for name in ('a::b', 'a::b/x.jpg', 'a::b/*.jpg'):
        assert paths(folder, find_items(folder / name)) == ['a::b/x.jpg']


def test_raises_on_a_missing_column(folder):
    write_parquet(folder / 'x.parquet', image=[b'a'])
    with pytest.raises(ValueError, match="one of image in .*, got 'photo'"):
        find_items(folder / 'x.parquet', 'photo')


@pytest.mark.parametrize('number', [1, 3, 7])
def test_shares_divide_videos_and_images_evenly(number):
    videos = [Item(f'{i}.mp4', '', size=100 + i) for i in range(7)]
    items = [*videos, *(Item(f'{i}.jpg', '') for i in range(20))]
    shares = [share_of(items, i, number) for i in range(number)]
    assert sorted(x for share in shares for x in share) == sorted(items)
    for kind in (True, False):
        counts = [sum(x.is_video == kind for x in share) for share in shares]
        assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize('index', [-1, 4])
def test_raises_on_the_index_of_a_share(index):
    with pytest.raises(ValueError, match=f'below 4, got {index}'):
        share_of([], index, 4)


def test_units_are_videos_by_size_and_groups_of_images():
    sizes = {'a.mp4': 3, 'b.mp4': 9, 'c.jpg': 20, 'd.jpg': 1, 'e.jpg': 1}
    units = make_units([Item(x, x, size) for x, size in sizes.items()], 2)
    names = [[item.path for item in unit.items] for unit in units]
    assert names == [['b.mp4'], ['a.mp4'], ['c.jpg', 'd.jpg'], ['e.jpg']]


def test_units_keep_their_names_when_others_are_done():
    items = [Item(f'{i}.jpg', '') for i in range(6)]
    first, second, third = make_units(items, 2)
    assert make_units(items, 2, {'2.jpg', '3.jpg'}) == [first, third]
    assert len({first.name, second.name, third.name}) == 3


def test_units_are_sent_as_text():
    unit = Unit(
        [
            Item('a', 'b', 3),
            Item('c', 'd', 0, (1, 2)),
            Item('e', 'f', row=Row('g', 4, 5)),
        ]
    )
    assert Unit.from_json(unit.to_json()) == unit


def test_part_sizes_are_whole_batches():
    assert part_size(200, 1, 8, 256) == 56
    assert part_size(3, 2, 8, 256) == 8
    assert part_size(10**6, 2, 8, 256) == 256
    assert part_size(0, 2, 8, 256) == 8
