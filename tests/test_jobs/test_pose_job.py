# SPDX-License-Identifier: Apache-2.0
"""Jobs without Ray."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from rmpe_plugin.apis import RMPEInferencer
from rmpe_plugin.jobs import PoseJob, PoseModel, ProcessEngine, read_poses
from tests.conftest import ROOT, run_command
from tests.test_jobs.stub_model import (
    CRASHES,
    FAILS,
    InlineEngine,
    StubModel,
    write_image,
    write_images,
    write_video,
)

PEOPLE = [2, 0, 1, 3, 1, 0, 2, 2, 1, 0]


@pytest.fixture
def images(tmp_path):
    pytest.importorskip('pyarrow')
    return write_images(tmp_path / 'images', PEOPLE)


def make_job(tmp_path, inputs=None, **settings):
    options = {
        key: settings.pop(key)
        for key in ('images_per_part', 'retry_failures')
        if key in settings
    }
    model = StubModel(**settings)
    folder = inputs or tmp_path / 'images'
    return PoseJob(folder, tmp_path / 'out', model, **options)


def people_of(tmp_path):
    """Number of people of each input, ``None`` for rows with an error."""
    rows = read_poses(tmp_path / 'out').to_pylist()
    numbers = Counter(row['path'] for row in rows if row['person'] is not None)
    frames = {(row['path'], row['frame']): row['error'] for row in rows}
    without = [row for row in rows if row['person'] is None]
    # One row a person, or a single row of a frame without people.
    assert len(rows) == sum(numbers.values()) + len(without)
    return {path: None if e else numbers[path] for (path, _), e in frames.items()}


def expected(images, failed=()):
    numbers = dict(zip(images, PEOPLE, strict=False))
    return {path: None if path in failed else n for path, n in numbers.items()}


def test_every_input_is_in_the_output_once(tmp_path, images):
    progress = make_job(tmp_path).run(InlineEngine())
    assert people_of(tmp_path) == expected(images)
    assert (progress.files, progress.people, progress.remaining) == (10, 12, 0)
    assert progress.failures == []


def test_progress(tmp_path, images):
    found = []
    make_job(tmp_path, images_per_part=4).run(
        InlineEngine(), report=lambda p: found.append((p.files, p.people, p.remaining))
    )
    assert found == [(0, 0, 10), (4, 6, 6), (8, 11, 2), (10, 12, 0)]


def test_finished_job_loads_no_model(tmp_path, images):
    make_job(tmp_path).run(InlineEngine())
    progress = make_job(tmp_path).run(engine='not used')
    assert (progress.before, progress.files, progress.remaining) == (10, 0, 0)


def test_new_inputs_are_added(tmp_path, images):
    make_job(tmp_path).run(InlineEngine())
    write_image(tmp_path / 'images' / '0002a.png', 1)
    log = tmp_path / 'log'
    progress = make_job(tmp_path, log=str(log)).run(InlineEngine())
    assert (progress.before, progress.files) == (10, 1)
    assert log.read_text().split()[1::2] == [f'{tmp_path}/images/0002a.png']
    assert len(people_of(tmp_path)) == 11


def test_unreadable_inputs_are_rows_with_an_error(tmp_path, images):
    Path(images[3]).write_bytes(b'no image')
    inputs = [tmp_path / 'images', tmp_path / 'names.txt']
    inputs[1].write_text(f'{tmp_path}/missing.png')
    progress = make_job(tmp_path, inputs).run(InlineEngine())
    failed = [images[3], f'{tmp_path}/missing.png']
    assert people_of(tmp_path) == expected(images, failed) | {failed[1]: None}
    assert [failure.path for failure in progress.failures] == failed
    assert progress.failed == 2


def test_failures_are_retried_on_request(tmp_path, images):
    content = Path(images[3]).read_bytes()
    Path(images[3]).write_bytes(b'no image')
    make_job(tmp_path).run(InlineEngine())
    Path(images[3]).write_bytes(content)
    assert make_job(tmp_path).run(InlineEngine()).failures
    progress = make_job(tmp_path, retry_failures=True).run(InlineEngine())
    assert (progress.before, progress.files, progress.failures) == (9, 1, [])
    assert people_of(tmp_path) == expected(images)


def test_an_input_on_which_the_networks_fail_is_isolated(tmp_path, images):
    write_image(images[4], 1, FAILS)
    progress = make_job(tmp_path).run(InlineEngine())
    assert people_of(tmp_path) == expected(images, images[4])
    assert [tuple(f) for f in progress.failures] == [
        (images[4], 0, 'RuntimeError: the networks fail')
    ]


class FragileEngine(InlineEngine):
    """Loses all units after one with a certain input."""

    def __init__(self, path):
        self.path = path

    def run(self, units, make_worker):
        for unit in units:
            if self.path in [item.path for item in unit.items]:
                return
            yield from super().run([unit], make_worker)


def test_inputs_that_follow_a_dead_worker_are_not_lost(tmp_path, images):
    progress = make_job(tmp_path).run(FragileEngine(images[0]))
    assert people_of(tmp_path) == expected(images, images[0])
    assert [failure.path for failure in progress.failures] == images[:1]


def test_raises_if_the_networks_always_fail(tmp_path, images):
    with pytest.raises(OSError, match='no input .*0000.png: RuntimeError: the net'):
        make_job(tmp_path, broken=True).run(InlineEngine())
    assert not (tmp_path / 'out').exists()


def test_raises_on_other_settings(tmp_path, images):
    make_job(tmp_path).run(InlineEngine())
    with pytest.raises(ValueError, match='other weights or settings.*seed was 0, got'):
        make_job(tmp_path, seed=1).run(InlineEngine())


def test_raises_if_a_worker_has_other_weights(tmp_path, images):
    job = make_job(tmp_path)
    job.model = StubModel(seed=5)
    with pytest.raises(ValueError, match='seed is 5, must be 0'):
        job.run(InlineEngine())


def test_output_error_ends_the_job(tmp_path, images):
    (tmp_path / 'out').write_text('a file')
    with pytest.raises(OSError, match='out'):
        make_job(tmp_path).run(InlineEngine())


@pytest.mark.parametrize('number', [2, 3])
def test_shards_together_are_the_job(tmp_path, images, number):
    for index in range(number):
        progress = make_job(tmp_path).run(InlineEngine(), (index, number))
        assert progress.remaining == 0
    assert people_of(tmp_path) == expected(images)


def test_video_is_one_part(tmp_path):
    pytest.importorskip('pyarrow')
    (tmp_path / 'images').mkdir()
    write_video(tmp_path / 'images' / 'a.avi', [1, 0, 2])
    make_job(tmp_path).run(InlineEngine())
    rows = read_poses(tmp_path / 'out')
    assert rows['frame'].to_pylist() == [0, 1, 2, 2]
    assert rows['time'].to_pylist() == pytest.approx([0, 0.1, 0.2, 0.2])
    assert len([*(tmp_path / 'out').iterdir()]) == 1


@pytest.mark.slow
def test_an_input_that_ends_the_process_is_listed(tmp_path, images):
    write_image(images[4], 1, CRASHES)
    progress = make_job(tmp_path).run(ProcessEngine())
    assert people_of(tmp_path) == expected(images, images[4])
    ((path, _, error),) = progress.failures
    assert path == images[4]
    assert 'the process that read it ended' in error


JOB = """
import sys
from tests.test_jobs.stub_model import StubModel
from rmpe_plugin.jobs import PoseJob, ProcessEngine, RayEngine
if __name__ == '__main__':
    folder, engine, log, delay = sys.argv[1:]
    model = StubModel(delay=float(delay), log=log)
    job = PoseJob(f'{folder}/images', f'{folder}/out', model, images_per_part=2)
    print(job.run(ProcessEngine() if engine == 'process' else RayEngine(workers=2)))
"""


def start_job(tmp_path, engine, delay):
    """Start a job in a process."""
    script = tmp_path / 'job.py'
    script.write_text(JOB)
    command = [sys.executable, script, tmp_path, engine, tmp_path / 'log', str(delay)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    return subprocess.Popen([*map(str, command)], env=environment)


def wait_for(condition, seconds=240):
    """Wait until a condition is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'nothing happened'
        time.sleep(0.05)


def parts(tmp_path):
    return [*(tmp_path / 'out').glob('*.parquet')]


def logged(tmp_path):
    """Process and path of each frame that was processed."""
    return [line.split() for line in (tmp_path / 'log').read_text().splitlines()]


def is_running(process):
    try:
        return (
            'Z'
            not in Path(f'/proc/{process}/status').read_text().split('State:')[1][:4]
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


def check_resumed(tmp_path, images, before):
    """Check that a second run did only what was missing after a kill."""
    done = {row['path'] for row in read_poses(tmp_path / 'out', ['path']).to_pylist()}
    assert 0 < len(done) < len(images)
    progress = make_job(tmp_path, log=str(tmp_path / 'log')).run(InlineEngine())
    assert progress.before == len(done)
    again = [path for _, path in logged(tmp_path)[before:]]
    assert sorted(again) == sorted(set(images) - done)
    assert people_of(tmp_path) == expected(images)


@pytest.mark.slow
def test_killed_job_is_continued(tmp_path, images):
    process = start_job(tmp_path, 'process', 0.3)
    wait_for(lambda: len(parts(tmp_path)) >= 2)
    process.kill()
    process.wait()
    (worker,) = {int(pid) for pid, _ in logged(tmp_path)}
    wait_for(lambda: not is_running(worker))
    check_resumed(tmp_path, images, len(logged(tmp_path)))


@pytest.mark.slow
def test_killed_worker_is_replaced(tmp_path, images):
    process = start_job(tmp_path, 'process', 0.2)
    wait_for(lambda: len(parts(tmp_path)) >= 1)
    os.kill(int(logged(tmp_path)[0][0]), signal.SIGKILL)
    assert process.wait(240) == 0
    assert people_of(tmp_path) == expected(images)
    assert len({pid for pid, _ in logged(tmp_path)}) > 1


def test_the_settings_of_a_model_are_its_files(tmp_path):
    settings = PoseModel().settings()
    assert len(settings['model']['weights']) == 64
    assert settings == PoseModel().settings()
    for change in (
        dict(cfg_options={'model.test_cfg.shift_heatmap': True}),
        dict(detector='whole_image'),
        dict(pose_nms=None),
        dict(box_thr=0.5),
        dict(precision='bfloat16'),
        dict(track='pose'),
        dict(smooth=True),
    ):
        assert PoseModel(**change).settings() != settings
    same = dict(image_batch=1, person_batch=1, device='cpu', pose_nms='alphapose-coco')
    assert PoseModel(**same).settings() == settings


@pytest.mark.slow
def test_command_writes_the_poses_of_the_inferencer(tmp_path, coco_cc):
    pytest.importorskip('pyarrow')
    (tmp_path / 'damaged.jpg').write_bytes(b'no image')
    arguments = (coco_cc, tmp_path / 'damaged.jpg', '--out', tmp_path / 'out')
    options = ('--shard', '0/1', '--images-per-part', '8', '--det', 'person')
    result = run_command('predict-many', *arguments, *options, check=False)
    assert result.returncode == 1, result.stderr
    assert 'damaged.jpg frame 0: ' in result.stderr
    rows = read_poses(tmp_path / 'out').to_pylist()
    for frame, sample in RMPEInferencer('photo')(coco_cc):
        people = sample.pred_instances
        own = [r for r in rows if r['path'] == frame.name and r['person'] is not None]
        triples = np.dstack((people.keypoints, people.keypoint_scores))
        assert len(own) == len(people)
        for row in own:
            i = row['person']
            np.testing.assert_array_equal(np.float32(row['keypoints']), triples[i])
            np.testing.assert_array_equal(np.float32(row['bbox']), people.bboxes[i])
            assert row['score'] == np.float32(people.scores[i])
    again = run_command('predict-many', *arguments, *options, check=False)
    assert again.returncode == 1
    assert ' 17 ' in again.stdout
    other = (*options, '--pose-nms', 'none')
    result = run_command('predict-many', *arguments, *other, check=False)
    assert result.returncode == 2
    assert 'other weights or settings (pose_nms)' in result.stderr


@pytest.mark.slow
def test_people_in_videos_have_ids(tmp_path, coco_cc):
    pytest.importorskip('pyarrow')
    photograph = coco_cc / '000000234748.jpg'
    image = cv2.imread(str(photograph))
    size = image.shape[1::-1]
    video = str(tmp_path / 'a.avi')
    writer = cv2.VideoWriter(video, cv2.VideoWriter_fourcc(*'MJPG'), 10, size)
    for _ in range(4):
        writer.write(image)
    writer.release()
    job = PoseJob([video, photograph], tmp_path / 'out', PoseModel(track='pose'))
    job.run(InlineEngine())
    rows = read_poses(tmp_path / 'out').to_pylist()
    ids = [row['track_id'] for row in rows if row['path'] == video]
    assert len(ids) >= 4
    assert set(ids) == set(range(1, len(ids) // 4 + 1))
    assert [row['track_id'] for row in rows if row['path'] != video] == [None]


@pytest.mark.parametrize('shard', ['0/1', None])
def test_missing_packages_are_named_with_the_extra(
    tmp_path, monkeypatch, capsys, shard
):
    from rmpe_plugin.cli import predict_many
    from rmpe_plugin.deploy import requirements

    monkeypatch.setattr(requirements, 'find_spec', lambda name: None)
    write_image(tmp_path / 'a.png', 1)
    arguments = ['rmpe', str(tmp_path), '--out', str(tmp_path / 'out')]
    monkeypatch.setattr(
        sys, 'argv', [*arguments, *(('--shard', shard) if shard else ())]
    )
    assert predict_many.main() == 2
    assert 'rmpe_plugin[scale]' in capsys.readouterr().err


def test_command_rejects_ray_with_a_shard(monkeypatch, capsys):
    from rmpe_plugin.cli import predict_many

    arguments = 'rmpe x.jpg --out y --shard 0/2 --workers 2'
    monkeypatch.setattr(sys, 'argv', arguments.split(' '))
    with pytest.raises(SystemExit):
        predict_many.main()
    assert '--shard does not use Ray' in capsys.readouterr().err
