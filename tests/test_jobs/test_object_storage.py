# SPDX-License-Identifier: Apache-2.0
"""Jobs that read and write a local S3 server."""

import pytest
from fsspec import filesystem

from rmpe_plugin.jobs import PoseJob, find_items, read_poses
from tests.test_jobs.stub_model import (
    InlineEngine,
    StubModel,
    write_images,
    write_video,
)
from tests.test_jobs.test_items import write_tar

pytest.importorskip('pyarrow')
pytest.importorskip('s3fs')
moto = pytest.importorskip('moto.server', reason='needs moto[s3,server]')


@pytest.fixture(scope='module')
def bucket():
    """A bucket on a server of this machine."""
    server = moto.ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in dict(
            AWS_ENDPOINT_URL=f'http://{host}:{port}',
            AWS_ACCESS_KEY_ID='x',
            AWS_SECRET_ACCESS_KEY='x',
            AWS_DEFAULT_REGION='us-east-1',
        ).items():
            environment.setenv(name, value)
        storage = filesystem('s3')
        storage.mkdir('bucket')
        yield storage
    server.stop()


def test_job_from_a_bucket_to_a_bucket(tmp_path, bucket):
    write_images(tmp_path / 'in', [1, 0, 2])
    write_video(tmp_path / 'in' / 'v.avi', [1, 1])
    (tmp_path / 'in' / 'cut.jpg').write_bytes(b'no image')
    members = {p.name: p.read_bytes() for p in (tmp_path / 'in').glob('*.png')}
    write_tar(tmp_path / 'in' / 'x.tar', members)
    bucket.put(f'{tmp_path}/in/', 'bucket/in/', recursive=True)
    job = PoseJob('s3://bucket/in', 's3://bucket/out', StubModel())
    progress = job.run(InlineEngine())
    assert (progress.files, progress.people) == (8, 8)
    assert [f.path for f in progress.failures] == ['s3://bucket/in/cut.jpg']
    rows = read_poses('s3://bucket/out')
    people = [row['path'] for row in rows.to_pylist() if row['person'] is not None]
    names = ['0000.png', '0002.png', '0002.png']
    names += ['v.avi', 'v.avi', *(f'x.tar/{name}' for name in names)]
    assert sorted(people) == [f's3://bucket/in/{name}' for name in names]
    again = PoseJob('s3://bucket/in', 's3://bucket/out', StubModel())
    assert again.run('not used').before == 8


def test_raises_on_missing_buckets(tmp_path, bucket):
    with pytest.raises(OSError, match='s3://missing/in'):
        find_items('s3://missing/in')
    write_images(tmp_path / 'in', [1])
    job = PoseJob(tmp_path / 'in', 's3://missing/out', StubModel())
    with pytest.raises(OSError, match='s3://missing/out/part-.* cannot be written'):
        job.run(InlineEngine())


def test_raises_on_an_unreadable_bucket(monkeypatch, bucket):
    type(bucket).clear_instance_cache()
    monkeypatch.setenv('AWS_ENDPOINT_URL', 'http://127.0.0.1:1')
    with pytest.raises(OSError, match='s3://bucket/in cannot be listed'):
        find_items('s3://bucket/in')
