# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from experiments import lifting_example
from experiments.lifting_animation import write_animation
from rmpe_plugin.datasets.synthetic import write_videos
from tests.conftest import ROOT


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two synthetic videos in a new working directory."""
    monkeypatch.chdir(tmp_path)
    write_videos(lifting_example.DATA, dict(train=1, test=1), 12, (160, 120))
    return lifting_example.DATA


def test_table_has_the_errors_of_mean_and_lifted_poses(data):
    expected = np.load(lifting_example.annotation('test'))['S'][..., :3]
    predicted = expected + [0.03, 0, 0]
    table = lifting_example.result_table(predicted, expected)
    names, mpjpe, aligned = (list(column.cells) for column in table.columns)
    assert names[0].startswith('mean pose')
    assert mpjpe[1] == '30'
    assert aligned[1] == '0'
    assert float(mpjpe[0]) > 50
    mean = lifting_example.mean_pose(expected)
    np.testing.assert_allclose(mean[:, 0], expected[:, 0])
    np.testing.assert_allclose(np.ptp(mean - mean[:, :1], axis=0), 0, atol=1e-12)


def test_median_video(data):
    write_videos(data, dict(train=1, test=3), 4, (160, 120))
    expected = np.load(lifting_example.annotation('test'))['S'][..., :3]
    error = np.repeat([0.1, 0.3, 0.2], 4)[:, None, None]
    name, frames = lifting_example.median_video(expected + error, expected)
    assert name == 'S4_Motion.1'
    assert frames.tolist() == [8, 9, 10, 11]


def test_animation(data, tmp_path):
    with np.load(lifting_example.annotation('test')) as arrays:
        joints, part = arrays['S'][..., :3], arrays['part']
    path = tmp_path / 'out' / 'a.gif'
    write_animation(path, data / 'videos/S2_Motion.1.mp4', part, joints, joints)
    image = Image.open(path)
    assert image.n_frames == 6
    image.seek(0)
    first = np.array(image.convert('RGB')).astype(int)
    image.seek(5)
    assert (np.abs(first - np.array(image.convert('RGB'))) > 20).any()


def test_needs_the_models_of_the_quickstart(tmp_path, monkeypatch):
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    monkeypatch.chdir(tmp_path)
    console = Console(record=True, width=200)
    assert lifting_example.run(0, False, console) == 1
    text = console.export_text()
    assert 'does not exist: run bash tools/quickstart.sh first' in text
