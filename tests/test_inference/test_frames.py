# SPDX-License-Identifier: Apache-2.0
import io
import mimetypes
import shutil

import cv2
import numpy as np
import pytest

from rmpe_plugin.inference import Frames

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)
COLOUR = np.dstack((GREY, GREY + 50, GREY + 100))


def save(path, image):
    assert cv2.imwrite(str(path), image)
    return path


def test_alpha_channel_and_single_pixel(tmp_path):
    save(tmp_path / 'alpha.png', np.full((5, 6, 4), 200, np.uint8))
    save(tmp_path / 'dot.png', np.full((1, 1, 3), 9, np.uint8))
    frames = list(Frames(tmp_path))
    assert [f.image.shape for f in frames] == [(5, 6, 3), (1, 1, 3)]


def test_unreadable_files_are_reported_and_the_others_are_read(tmp_path):
    good = save(tmp_path / '3.jpg', np.full((200, 200, 3), 99, np.uint8))
    (tmp_path / '1.jpg').write_bytes(b'not an image')
    (tmp_path / '2.jpg').write_bytes(good.read_bytes()[:700])
    (tmp_path / '4.png').write_bytes(b'')
    frames = list(Frames(tmp_path))
    assert [f.image_id for f in frames] == [1, 2, 3, 4]
    assert [bool(f.error) for f in frames] == [True, True, False, True]
    assert 'truncated' in frames[1].error
    assert all(f.name.endswith(('.jpg', '.png')) for f in frames)


def test_folders_and_globs(tmp_path):
    for name in ('b.png', 'a.jpg', 'c.bmp'):
        save(tmp_path / name, COLOUR)
    (tmp_path / 'notes.txt').write_text('not an image')
    (tmp_path / 'deeper').mkdir()
    save(tmp_path / 'deeper' / 'd.png', COLOUR)
    assert [f.image_id for f in Frames(tmp_path)] == ['a.jpg', 'b.png', 'c.bmp']
    assert [f.image_id for f in Frames(f'{tmp_path}/*.png')] == ['b.png']
    recursive = Frames(f'{tmp_path}/**/*.png')
    assert recursive.ids == ['b.png', 'd.png']
    assert recursive.number == 2


NAMES = [
    *('a.jpg', 'b.mp4', 'c.mts', 'd.m2ts', 'e.ts', 'f.3gp', 'g.mkv', 'h.M4V', 'i.wmv'),
    *('j.flv', 'k.vob', 'l.jfif', 'm.mpo', 'n.avif', 'o.webp', 'p.mpg', 'q.webm'),
    *('r.ogv', 's.heic', 't.hevc'),
]


def test_a_folder_does_not_depend_on_the_types_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(mimetypes, 'guess_type', lambda *_, **__: (None, None))
    for name in NAMES:
        (tmp_path / name).touch()
    assert [path.name for path in Frames(tmp_path).paths] == NAMES


def test_files_that_are_left_out_are_named(tmp_path, monkeypatch):
    for name in ('a.png', 'b.txt', 'c.json', '.hidden', 'Makefile'):
        (tmp_path / name).touch()
    logged = []
    monkeypatch.setattr(
        'rmpe_plugin.inference.frames.print_log', lambda text, **_: logged.append(text)
    )
    assert Frames(tmp_path).ids == ['a.png']
    (message,) = logged
    assert message.endswith('left out: Makefile, b.txt, c.json')


def test_files_of_a_folder_are_in_natural_order(tmp_path):
    names = ['2.png', 'a01.png', 'a1.png', 'a2.png', 'a02b.png', 'a10.png', 'b.png']
    for name in names[::-1]:
        (tmp_path / name).touch()
    for inputs in (tmp_path, f'{tmp_path}/*'):
        assert [path.name for path in Frames(inputs).paths] == names


def test_ids_are_those_of_coco(tmp_path):
    for name in ('000000000785.jpg', '12.png', '1a.png'):
        save(tmp_path / name, COLOUR)
    assert Frames(tmp_path).ids == ['1a.png', 12, 785]
    save(tmp_path / '785.png', COLOUR)
    with pytest.raises(ValueError, match='the same image id in results: 785'):
        Frames(tmp_path)


def test_files_that_are_removed_during_a_run(tmp_path, video):
    shutil.copy(video, tmp_path / 'a.mp4')
    save(tmp_path / 'b.png', COLOUR)
    save(tmp_path / 'c.png', COLOUR)
    frames = Frames(tmp_path)
    (tmp_path / 'a.mp4').unlink()
    (tmp_path / 'b.png').unlink()
    errors = [frame.error for frame in frames]
    assert 'cannot be read as an image or a video: [Errno 2]' in errors[0]
    assert '[Errno 2]' in errors[1]
    assert errors[2] == ''


def test_raises_on_missing_inputs(tmp_path):
    with pytest.raises(FileNotFoundError, match='no.jpg does not exist'):
        Frames([GREY, tmp_path / 'no.jpg'])
    with pytest.raises(FileNotFoundError, match='contains no images or videos'):
        Frames(tmp_path)
    with pytest.raises(FileNotFoundError, match='contains no images or videos'):
        Frames(f'{tmp_path}/*.png')


def test_ids_contain_the_video_if_there_are_several_inputs(video, tmp_path):
    image = save(tmp_path / '5.png', COLOUR)
    assert Frames([video, image, COLOUR, 'webcam']).paths == [video, image]
    frames = list(Frames([video, image]))
    assert [f.image_id for f in frames] == [*(f'walk/{i}' for i in range(10)), 5]
    shutil.copy(video, tmp_path)
    with pytest.raises(ValueError, match='the same image id in results: walk'):
        Frames([video, tmp_path])


LISTED = ['a.jpg', 'sub', 'missing.png', '*.bmp', 'https://host/x.jpg?size=9']


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_lists_of_names(tmp_path, monkeypatch, encoding):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'sub').mkdir()
    for name in ('a.jpg', 'sub/b.png', 'c.bmp'):
        save(tmp_path / name, COLOUR)
    text = '\r\n'.join([*LISTED[:2], '', *LISTED[2:], ''])
    (tmp_path / 'names.txt').write_text(text, encoding=encoding)
    expected = ['a.jpg', 'b.png', 'missing.png', 'c.bmp', 'x.jpg']
    assert Frames('names.txt').ids == expected
    monkeypatch.setattr('sys.stdin', io.StringIO(text))
    frames = Frames(['-'])
    assert frames.ids == expected
    read = [next(source.frames()) for source in frames.sources[:4]]
    assert [bool(frame.error) for frame in read] == [False, False, True, False]
    assert 'No such file' in read[2].error


def test_raises_on_lists_without_names(tmp_path):
    path = tmp_path / 'names.txt'
    path.write_text('\n \n')
    with pytest.raises(ValueError, match=r'names\.txt contains no names'):
        Frames(path)
    path.write_bytes(b'\xff\xfe\xff')
    with pytest.raises(ValueError, match=r'names\.txt must be a list in UTF-8'):
        Frames(path)
    with pytest.raises(FileNotFoundError, match='no.txt does not exist'):
        Frames(tmp_path / 'no.txt')
