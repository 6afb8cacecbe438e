# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from rmpe_plugin.utils.files import ResumeJournal, atomic_write, find_shipped
from tests.conftest import ROOT


def test_atomic_write_replaces_the_file(tmp_path):
    path = tmp_path / 'new' / 'file.txt'
    for text in ('first', 'second'):
        with atomic_write(path) as file:
            file.write(text)
        assert path.read_text() == text
    assert [p.name for p in path.parent.iterdir()] == ['file.txt']


def test_atomic_write_keeps_the_old_file_after_an_error(tmp_path):
    path = tmp_path / 'file.bin'
    path.write_bytes(b'old')
    with pytest.raises(RuntimeError, match='stop'), atomic_write(path, 'wb') as file:
        file.write(b'new')
        raise RuntimeError('stop')
    assert path.read_bytes() == b'old'
    assert [p.name for p in tmp_path.iterdir()] == ['file.bin']


def test_journal_continues_after_a_truncated_line(tmp_path):
    path = tmp_path / 'runs' / 'journal.jsonl'
    settings = dict(seed=0, sizes=(1, 2))
    journal = ResumeJournal(path, settings)
    journal.append(dict(name='a', ap=0.5))
    journal.append(dict(name='b', ap=0.25))
    journal.close()
    path.write_bytes(path.read_bytes()[:-4])

    journal = ResumeJournal(path, settings)
    assert journal.records == [dict(name='a', ap=0.5)]
    journal.append(dict(name='c', ap=1.0))
    journal.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [
        dict(seed=0, sizes=[1, 2]),
        dict(name='a', ap=0.5),
        dict(name='c', ap=1.0),
    ]


def test_journal_raises_on_other_settings(tmp_path):
    path = tmp_path / 'journal.jsonl'
    journal = ResumeJournal(path, dict(seed=0))
    journal.close()
    # Nothing was finished yet, so other settings may start.
    journal = ResumeJournal(path, dict(seed=1))
    journal.append(dict(name='a'))
    journal.close()
    with pytest.raises(ValueError, match='other settings'):
        ResumeJournal(path, dict(seed=2))
    path.write_text('no JSON\n')
    with pytest.raises(ValueError, match='not a resume journal'):
        ResumeJournal(path, dict(seed=2))


def test_journal_is_removed_when_the_work_is_finished(tmp_path):
    journal = ResumeJournal(tmp_path / 'journal.jsonl', {})
    journal.append(dict(name='a'))
    journal.close(remove=True)
    assert not journal.path.exists()


def test_finds_files_that_the_package_ships():
    name = 'configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py'
    assert find_shipped(name) == ROOT / name
    with pytest.raises(FileNotFoundError, match='^configs/missing.py is neither in'):
        find_shipped('configs/missing.py')
