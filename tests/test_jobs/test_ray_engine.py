# SPDX-License-Identifier: Apache-2.0
"""Jobs on Ray: dead workers, drivers and nodes."""

import os
import signal
import threading
import time

import pytest

from rmpe_plugin.jobs import PoseJob, RayEngine, read_poses
from tests.test_jobs.stub_model import CRASHES, StubModel, write_image, write_images
from tests.test_jobs.test_pose_job import (
    PEOPLE,
    check_resumed,
    expected,
    is_running,
    logged,
    make_job,
    parts,
    people_of,
    start_job,
    wait_for,
)

ray = pytest.importorskip('ray', reason='needs the extra scale')
pytestmark = pytest.mark.slow


@pytest.fixture
def images(tmp_path):
    return write_images(tmp_path / 'images', PEOPLE)


@pytest.fixture(scope='module')
def engine():
    """Two workers on a Ray of this machine, which all tests share."""
    engine = RayEngine(workers=2)
    ray.init(
        'local', num_cpus=2, include_dashboard=False, log_to_driver=False,
        object_store_memory=80 * 1024 * 1024,
    )  # fmt: skip
    yield engine
    ray.shutdown()


def test_every_input_is_in_the_output_once(engine, tmp_path, images):
    log = str(tmp_path / 'log')
    progress = make_job(tmp_path, images_per_part=2, delay=0.2, log=log).run(engine)
    assert people_of(tmp_path) == expected(images)
    assert (progress.files, progress.people, progress.remaining) == (10, 12, 0)
    assert len({process for process, _ in logged(tmp_path)}) == 2


def test_poses_do_not_depend_on_the_number_of_workers(engine, tmp_path, coco_cc):
    tables = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        PoseJob(coco_cc, out, images_per_part=8).run(RayEngine(workers=workers))
        tables.append(read_poses(out).sort_by([('path', 'ascending')]))
    assert len(tables[0]) > 16
    assert tables[0].equals(tables[1])


def test_an_input_that_ends_the_worker_is_listed(engine, tmp_path, images):
    write_image(images[4], 1, CRASHES)
    progress = make_job(tmp_path).run(engine)
    assert people_of(tmp_path) == expected(images, images[4])
    ((path, _, error),) = progress.failures
    assert path == images[4]
    assert 'the process that read it ended' in error


def test_killed_worker_is_replaced(engine, tmp_path, images):
    killed = []

    def kill_worker():
        log = tmp_path / 'log'
        wait_for(lambda: log.exists() and logged(tmp_path))
        killed.extend(logged(tmp_path)[0])
        os.kill(int(killed[0]), signal.SIGKILL)

    killer = threading.Thread(target=kill_worker)
    killer.start()
    log = str(tmp_path / 'log')
    make_job(tmp_path, images_per_part=2, delay=2.0, log=log).run(engine)
    killer.join()
    assert people_of(tmp_path) == expected(images)
    process, path = killed
    others = {other for other, name in logged(tmp_path) if name == path} - {process}
    assert others


def test_a_worker_that_cannot_start_ends_the_job(engine, tmp_path, images):
    job = make_job(tmp_path)
    job.model = StubModel(seed=5)
    with pytest.raises(RuntimeError, match='seed is 5, must be 0'):
        job.run(engine)


def test_raises_on_a_full_disk(engine, tmp_path, images):
    (tmp_path / 'out').write_text('a file')
    job = make_job(tmp_path)
    job.output.scan = lambda: type('Empty', (), dict(paths={}, failures=[]))
    with pytest.raises(OSError, match='the output cannot be written'):
        job.run(engine)


def test_raises_if_workers_do_not_fit(engine, tmp_path, images):
    with pytest.raises(ValueError, match='3 workers .* room for 2'):
        make_job(tmp_path).run(RayEngine(workers=3))
    with pytest.raises(ValueError, match='1 workers with 1 GPUs .* room for 0'):
        make_job(tmp_path).run(RayEngine(workers=1, gpus_per_worker=1))


def test_killed_job_is_continued(tmp_path, images):
    process = start_job(tmp_path, 'ray', 1.5)
    wait_for(lambda: len(parts(tmp_path)) >= 2)
    process.kill()
    process.wait()
    workers = {int(pid) for pid, _ in logged(tmp_path)}
    wait_for(lambda: not any(map(is_running, workers)))
    check_resumed(tmp_path, images, len(logged(tmp_path)))


def test_nothing_is_lost_with_a_node(tmp_path):
    from ray.cluster_utils import Cluster

    images = write_images(tmp_path / 'images', PEOPLE)
    options = dict(num_cpus=1, include_dashboard=False, object_store_memory=80 << 20)
    if ray.is_initialized():
        ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args=options)
    try:
        second = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
        cluster.wait_for_nodes()

        def remove_node():
            wait_for(lambda: len(parts(tmp_path)) >= 2)
            cluster.remove_node(second, allow_graceful=False)

        killer = threading.Thread(target=remove_node)
        killer.start()
        start = time.monotonic()
        model = StubModel(delay=1.0, log=str(tmp_path / 'log'))
        job = PoseJob(tmp_path / 'images', tmp_path / 'out', model, images_per_part=2)
        progress = job.run(RayEngine(cluster.address, workers=2))
        killer.join()
        assert time.monotonic() - start < 300
        assert len({process for process, _ in logged(tmp_path)}) >= 2
        assert people_of(tmp_path) == expected(images)
        assert progress.remaining == 0
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.parametrize('address', ['127.0.0.1:1', 'ray://127.0.0.1:1', 'nonsense'])
def test_raises_on_an_unreachable_address(tmp_path, images, address):
    if ray.is_initialized():
        ray.shutdown()
    with pytest.raises(ConnectionError, match=f'no Ray cluster at {address}'):
        make_job(tmp_path).run(RayEngine(address))
