# SPDX-License-Identifier: Apache-2.0
import errno
import json
import shutil

import numpy as np
import pytest
from fsspec import filesystem

from rmpe_plugin.jobs import FrameRows, Output, OutputError, read_poses, to_coco
from rmpe_plugin.jobs.output import list_parts
from rmpe_plugin.structures import poses_to_records
from tests.test_jobs.stub_model import poses

pa = pytest.importorskip('pyarrow')
pq = pytest.importorskip('pyarrow.parquet')

SETTINGS = dict(seed=1, pose_nms=dict(a=2))


def write(folder, name, *frames, settings=SETTINGS):
    output = Output(folder, dict(settings=settings))
    with output.part(name, ['a', 'b', 'c']) as part:
        for frame in frames:
            part.add(frame)
    return output


def image(path, people=0, error=None):
    return FrameRows(path, 0, None, error, poses(people))


def test_rows_of_people_and_of_frames_without_people(tmp_path):
    frames = [
        FrameRows('v.mp4', 0, 0.0, None, poses(2)),
        FrameRows('v.mp4', 1, 0.5, None, poses(0)),
        FrameRows('v.mp4', 2, None, 'damaged', poses(0)),
        FrameRows('v.mp4', 3, 1.5, None, poses(1)),
    ]
    write(tmp_path, 'part-a.parquet', *frames)
    table = read_poses(tmp_path)
    columns = table.to_pydict()
    assert columns['frame'] == [0, 0, 1, 2, 3]
    assert columns['time'] == [0, 0, 0.5, None, 1.5]
    assert columns['person'] == [0, 1, None, None, 0]
    assert columns['track_id'] == [None] * 5
    assert columns['error'] == [None, None, None, 'damaged', None]
    for row, people, i in ((0, frames[0].people, 0), (1, frames[0].people, 1),
                           (4, frames[3].people, 0)):  # fmt: skip
        triples = np.c_[people.keypoints[i], people.keypoint_scores[i]]
        np.testing.assert_array_equal(np.float32(columns['keypoints'][row]), triples)
        np.testing.assert_array_equal(
            np.float32(columns['bbox'][row]), people.bboxes[i]
        )
        assert np.float32(columns['score'][row]) == people.scores[i]
    for name in ('keypoints', 'bbox', 'score'):
        assert [columns[name][row] for row in (2, 3)] == [None, None]
    (part,) = tmp_path.iterdir()
    description = json.loads(pq.read_schema(part).metadata[b'rmpe_plugin'])
    assert description['version'] == 1
    assert description['settings'] == SETTINGS
    assert description['keypoints'] == ['a', 'b', 'c']


def test_part_without_people(tmp_path):
    write(tmp_path, 'part-a.parquet', image('a.jpg'))
    (row,) = read_poses(tmp_path).to_pylist()
    assert row.pop('path') == 'a.jpg'
    assert row.pop('frame') == 0
    assert not any(row.values())


def test_track_ids(tmp_path):
    people = poses(3)
    people.track_ids = np.array([7, -1, 3])
    rows = FrameRows('v.mp4', 0, 0.0, None, people)
    empty = FrameRows('v.mp4', 1, 0.1, None, people[:0])
    of_image = FrameRows('a.jpg', 0, None, None, people)
    write(tmp_path, 'part-a.parquet', rows, empty, of_image, image('b.jpg'))
    ids = read_poses(tmp_path)['track_id'].to_pylist()
    assert ids == [7, None, 3, None, *[None] * 3, None]


def test_long_videos_are_written_in_pieces(tmp_path):
    frames = [FrameRows('v.mp4', i, i / 10, None, poses(i % 3)) for i in range(9000)]
    write(tmp_path, 'part-a.parquet', *frames)
    (name,) = list_parts(str(tmp_path))
    assert pq.ParquetFile(name).num_row_groups == 3
    table = read_poses(tmp_path, ['frame', 'person'])
    assert table['frame'].to_pylist() == [
        i for i in range(9000) for _ in range(max(1, i % 3))
    ]


def test_scan_finds_inputs_and_failures(tmp_path):
    write(tmp_path, 'part-a.parquet', image('a.jpg', 2), image('b.jpg', 0, 'cut'))
    output = write(tmp_path, 'part-b.parquet', image('c.jpg'))
    done = output.scan()
    assert set(done.paths) == {'a.jpg', 'b.jpg', 'c.jpg'}
    assert [*map(tuple, done.failures)] == [('b.jpg', 0, 'cut')]


def test_folder_that_does_not_exist_is_empty(tmp_path):
    assert Output(tmp_path / 'x', dict(settings={})).scan().paths == {}
    with pytest.raises(FileNotFoundError, match='no parts'):
        read_poses(tmp_path / 'x')


@pytest.mark.parametrize(
    'settings', [dict(SETTINGS, seed=2), dict(seed=1), dict(SETTINGS, new=1)]
)
def test_raises_on_other_settings(tmp_path, settings):
    write(tmp_path, 'part-a.parquet', image('a.jpg'))
    with pytest.raises(ValueError, match='part-a.parquet was written with other'):
        Output(tmp_path, dict(settings=settings)).scan()


def test_raises_on_an_input_in_two_parts(tmp_path):
    write(tmp_path, 'part-a.parquet', image('a.jpg'))
    output = write(tmp_path, 'part-b.parquet', image('a.jpg'), image('b.jpg'))
    with pytest.raises(ValueError, match='a.jpg is in two parts, .*part-a.*part-b'):
        output.scan()


@pytest.mark.parametrize('keep', [0, 3, 100, -4])
def test_raises_on_a_damaged_part(tmp_path, keep):
    output = write(tmp_path, 'part-a.parquet', image('a.jpg', 2))
    (part,) = tmp_path.iterdir()
    part.write_bytes(part.read_bytes()[:keep])
    for read in (output.scan, lambda: read_poses(tmp_path)):
        with pytest.raises(ValueError, match='part-a.parquet is damaged .* Delete it'):
            read()


def test_raises_on_damaged_values(tmp_path):
    output = write(tmp_path, 'part-a.parquet', *(image(str(i)) for i in range(9)))
    (part,) = tmp_path.iterdir()
    data = bytearray(part.read_bytes())
    data[4:40] = bytes(36)
    part.write_bytes(data)
    with pytest.raises(ValueError, match='part-a.parquet is damaged'):
        output.scan()


def test_raises_on_other_parquet_files(tmp_path):
    pq.write_table(pa.table(dict(path=['a'])), tmp_path / 'x.parquet')
    with pytest.raises(ValueError, match='x.parquet is no part of a pose job'):
        read_poses(tmp_path)


@pytest.mark.parametrize('storage', ['{}', 'memory://output'])
def test_part_exists_completely_or_not_at_all(tmp_path, storage):
    folder = storage.format(tmp_path)
    with pytest.raises(RuntimeError, match='a reason'):  # noqa: SIM117
        with Output(folder, dict(settings={})).part('part-a.parquet', []) as part:
            part.add(image('a.jpg', 5000))
            raise RuntimeError('a reason')
    assert list_parts(folder) == []


def test_object_storage():
    filesystem('memory').mkdir('/poses')
    output = write('memory://poses', 'part-a.parquet', image('a.jpg', 2))
    assert [*output.scan().paths] == ['a.jpg']
    assert len(read_poses('memory://poses')) == 2


def test_full_disk_is_an_output_error(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    write(tmp_path, 'part-a.parquet', image('a.jpg'))
    monkeypatch.setattr(shutil, 'copyfileobj', fail)
    with pytest.raises(OutputError, match='No space left'):
        write(tmp_path, 'part-b.parquet', image('b.jpg'))
    assert [p.name for p in tmp_path.iterdir()] == ['part-a.parquet']


def test_failures_are_forgotten(tmp_path):
    write(tmp_path, 'part-a.parquet', image('a.jpg', 2), image('b.jpg', 0, 'cut'))
    output = write(tmp_path, 'part-b.parquet', image('c.jpg', 0, 'cut'))
    assert output.forget_failures(['a.jpg']) == 0
    assert len(output.scan().failures) == 2
    assert output.forget_failures(['b.jpg', 'c.jpg', 'd.jpg']) == 2
    done = output.scan()
    assert [*done.paths] == ['a.jpg']
    assert done.failures == []


def test_coco_results(tmp_path):
    people = poses(2)
    rows = FrameRows('x/v.mp4', 4, 0.4, None, people)
    write(tmp_path, 'part-a.parquet', rows, FrameRows('x/0785.jpg', 0, None, None,
          people), image('y.jpg'))  # fmt: skip
    expected = [*poses_to_records('v/4', people), *poses_to_records(785, people)]
    assert [*to_coco(tmp_path)] == expected
    # Ids of images only.
    ids = {'x/0785.jpg': 1}
    assert [x['image_id'] for x in to_coco(tmp_path, ids)] == ['v/4', 'v/4', 1, 1]


def test_coco_raises_on_two_videos_with_one_name(tmp_path):
    rows = [FrameRows(f'x/v.{x}', 0, 0.0, None, poses(1)) for x in ('mp4', 'avi')]
    write(tmp_path, 'part-a.parquet', *rows)
    with pytest.raises(ValueError, match='x/v.mp4 and x/v.avi have the same image id'):
        [*to_coco(tmp_path, {})]


def test_coco_raises_on_two_images_with_one_id(tmp_path):
    write(tmp_path, 'part-a.parquet', image('x/1.jpg', 1), image('y/1.jpg', 1))
    with pytest.raises(ValueError, match='x/1.jpg and y/1.jpg have the same image id'):
        [*to_coco(tmp_path)]


@pytest.mark.parametrize('library', ['pandas', 'polars', 'duckdb'])
def test_other_libraries_read_the_output(tmp_path, library):
    module = pytest.importorskip(library)
    write(tmp_path, 'part-a.parquet', image('a.jpg', 2), image('b.jpg'))
    files = f'{tmp_path}/*.parquet'
    if library == 'pandas':
        rows = module.read_parquet(tmp_path).to_dict('list')
        keypoints = np.stack([*rows['keypoints'][0]])
    elif library == 'polars':
        rows = module.read_parquet(files).to_dict(as_series=False)
        keypoints = rows['keypoints'][0]
    else:
        rows = module.sql(f"select * from '{files}'").fetchall()
        keypoints = rows[0][6]
        rows = dict(path=[row[0] for row in rows])
    assert rows['path'] == ['a.jpg', 'a.jpg', 'b.jpg']
    expected = np.c_[poses(2).keypoints[0], poses(2).keypoint_scores[0]]
    np.testing.assert_array_equal(np.float32(keypoints), expected)
