# SPDX-License-Identifier: Apache-2.0
"""Complete and damaged files of all containers."""

import math
import re
import struct

import pytest

from rmpe_plugin.inference import Frames
from rmpe_plugin.inference.containers import edited_seconds
from tests.test_inference.videos import write_video

CONTAINERS = [
    ('avi', 'MJPG'), ('avi', 'XVID'), ('mkv', 'mp4v'), ('mkv', 'MJPG'),
    ('webm', 'VP80'), ('mp4', 'mp4v'), ('mov', 'mp4v'), ('3gp', 'mp4v'),
    ('flv', 'FLV1'), ('wmv', 'WMV2'), ('ts', 'MPG2'),
]  # fmt: skip
parametrize = pytest.mark.parametrize(('suffix', 'codec'), CONTAINERS)


def errors_of(path):
    return [frame.error for frame in Frames(path) if frame.error]


@pytest.fixture
def video(tmp_path, suffix, codec):
    return write_video(tmp_path / f'a.{suffix}', codec)


@parametrize
def test_complete_files_have_no_errors(video):
    assert len([*Frames(video)]) == 20
    assert errors_of(video) == []


@parametrize
def test_files_that_are_cut_off_are_reported(video):
    content = video.read_bytes()
    video.write_bytes(content[: len(content) * 6 // 10 | 1])
    assert 'the file is cut off or damaged' in errors_of(video)[-1]


@pytest.mark.parametrize(
    ('suffix', 'codec'), [c for c in CONTAINERS if c[0] not in ('wmv', 'ts')]
)
def test_overwritten_files_are_reported(video):
    content = bytearray(video.read_bytes())
    start, length = len(content) * 45 // 100, len(content) // 10
    content[start : start + length] = bytes(length)
    video.write_bytes(content)
    frames = [*Frames(video)]
    assert errors_of(video)
    assert 5 < sum(frame.image is not None for frame in frames) < 20


@pytest.mark.parametrize(('suffix', 'codec'), [('mp4', 'mp4v'), ('mov', 'mp4v')])
def test_an_overwritten_end_is_reported(video):
    content = bytearray(video.read_bytes())
    start = content.index(b'mdat')
    end = start - 4 + int.from_bytes(content[start - 4 : start], 'big')
    half = (start + end) // 2
    content[half:end] = bytes(end - half)
    video.write_bytes(content)
    assert re.match(r'the last \d+ frames could not be decoded', errors_of(video)[-1])


@pytest.mark.parametrize(('suffix', 'codec'), [('mp4', 'mp4v'), ('mkv', 'mp4v')])
def test_data_after_the_end_are_no_damage(video):
    video.write_bytes(video.read_bytes() + b'\x01\xff camera' * 9)
    assert errors_of(video) == []


def box(kind, *content):
    """A box of MP4."""
    body = b''.join(content)
    return struct.pack('>I', 8 + len(body)) + kind + body


@pytest.mark.parametrize(
    ('lists', 'seconds'),
    [
        ([], math.inf),
        ([struct.pack('>IIIII', 0, 1, 1500, 0, 1)], 1.5),
        ([struct.pack('>IIQQI', 1 << 24, 1, 2500, 0, 1)], 2.5),
        ([struct.pack('>IIIIIIII', 0, 2, 500, 0, 1, 700, 9, 1)], 1.2),
        ([struct.pack('>IIIII', 0, 1, n, 0, 1) for n in (4000, 3000)], 3),
    ],
)
def test_duration_of_edit_lists(tmp_path, lists, seconds):
    path = tmp_path / 'a.mp4'
    header = box(b'mvhd', struct.pack('>IIIII', 0, 0, 0, 1000, 9000))
    tracks = [box(b'trak', box(b'edts', box(b'elst', edits))) for edits in lists]
    start = box(b'ftyp', b'isom') + box(b'mdat', bytes(99))
    path.write_bytes(start + box(b'moov', header, *tracks))
    assert edited_seconds(path) == pytest.approx(seconds)
    path.write_bytes(start + box(b'moov', header, *tracks, box(b'mvex', bytes(8))))
    assert edited_seconds(path) is None
    path.write_bytes(b'RIFF' + bytes(99))
    assert edited_seconds(path) is None


@pytest.mark.parametrize(('suffix', 'codec'), [('webm', 'VP80')])
def test_sizes_that_a_live_recording_does_not_know(video):
    content = bytearray(video.read_bytes())
    for name in (b'\x18S\x80g', b'\x1fC\xb6u'):  # segment and cluster
        start = content.index(name) + 4
        width = 9 - content[start].bit_length()
        unknown = ((1 << 7 * width + 1) - 1).to_bytes(width, 'big')
        content[start : start + width] = unknown
    video.write_bytes(content)
    assert errors_of(video) == []
    video.write_bytes(content[: len(content) // 2])
    assert errors_of(video)
