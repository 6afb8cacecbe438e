# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from rmpe_plugin.inference import Frame
from rmpe_plugin.web import Limits, open_upload
from tests.test_inference.videos import write_video
from tests.test_web.conftest import LIMITS

PLAYLIST = '#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n'


def test_opens_pictures_and_videos_within_the_limits(picture, video):
    assert open_upload(picture, LIMITS).image_id == 7
    assert open_upload(video, LIMITS).number == 12


def test_raises_on_a_picture_with_too_many_pixels(tmp_path):
    path = tmp_path / 'large.png'
    Image.new('RGB', (400, 251)).save(path)
    with pytest.raises(ValueError, match='at most 0.1 megapixels, got 400x251 pixels'):
        open_upload(path, LIMITS)


def test_raises_on_a_picture_that_pillow_takes_for_a_bomb(tmp_path, monkeypatch):
    path = tmp_path / 'large.png'
    Image.new('RGB', (100, 100)).save(path)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    with pytest.raises(OSError, match='cannot be read as an image: DecompressionBomb'):
        open_upload(path, LIMITS)


def test_raises_on_a_video_with_too_many_pixels(tmp_path):
    path = write_video(tmp_path / 'large.mp4', 'mp4v', number=2, size=(400, 252))
    with pytest.raises(ValueError, match='at most 0.1 megapixels, got 400x252 pixels'):
        open_upload(path, LIMITS)


def test_raises_on_a_video_with_too_many_frames(tmp_path):
    path = write_video(tmp_path / 'long.mp4', 'mp4v', number=21)
    with pytest.raises(ValueError, match='at most 20 frames, got 21'):
        open_upload(path, LIMITS)


def test_raises_on_an_animation_with_too_many_frames(tmp_path):
    frames = [Image.fromarray(np.full((8, 8), 10 * i, np.uint8)) for i in range(21)]
    frames[0].save(tmp_path / 'long.gif', save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match='at most 20 frames, got 21'):
        open_upload(tmp_path / 'long.gif', LIMITS)


def test_a_frame_beyond_the_limits_raises_whatever_the_header_says():
    limits = Limits(frames=3, seconds=2.0)
    limits.check_frame(2, Frame(2, 'a', time=2.0))
    limits.check_frame(2, Frame(2, 'a', time=None))
    with pytest.raises(ValueError, match='at most 3 frames'):
        limits.check_frame(3, Frame(3, 'a'))
    with pytest.raises(ValueError, match='at most 2 seconds'):
        limits.check_frame(2, Frame(2, 'a', time=2.1))


def test_playlists_are_not_opened(tmp_path, video):
    # FFmpeg would show the video that it names.
    path = tmp_path / 'list.m3u8'
    path.write_text(PLAYLIST.format(video))
    with pytest.raises(ValueError, match='a picture or a video, .* ends with .m3u8'):
        open_upload(path, LIMITS)


@pytest.mark.parametrize('content', [b'', b'text\n' * 50, b'\x89PNG\r\n\x1a\n'])
def test_raises_on_a_file_that_is_no_picture(tmp_path, content):
    path = tmp_path / 'a.jpg'
    path.write_bytes(content)
    with pytest.raises(OSError, match='^cannot be read as an image') as error:
        open_upload(path, LIMITS)
    assert str(tmp_path) not in str(error.value)


def test_raises_on_a_file_that_was_deleted(tmp_path):
    with pytest.raises(FileNotFoundError, match='deleted on the server'):
        open_upload(tmp_path / 'a.jpg', LIMITS)
