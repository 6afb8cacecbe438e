# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from rmpe_plugin.apis import JsonList


@pytest.mark.parametrize('number', [0, 1, 3])
def test_file_appears_when_the_list_is_complete(tmp_path, number):
    path = tmp_path / 'new' / 'results.json'
    with JsonList(path) as results:
        for i in range(number):
            results.extend([dict(i=i)])
            assert not path.exists()
    assert json.loads(path.read_text()) == [dict(i=i) for i in range(number)]
    assert [p.name for p in path.parent.iterdir()] == ['results.json']


def test_records_before_an_error_are_kept(tmp_path):
    path = tmp_path / 'x.json'
    with pytest.raises(KeyboardInterrupt), JsonList(path) as results:
        results.extend([dict(a=1)])
        raise KeyboardInterrupt
    assert json.loads(path.read_text()) == [dict(a=1)]
    assert [p.name for p in tmp_path.iterdir()] == ['x.json']


def test_old_file_is_kept_if_the_list_cannot_be_completed(tmp_path, monkeypatch):
    path = tmp_path / 'x.json'
    path.write_text('[1]')

    def fail(text):
        raise OSError('No space left on device')

    with pytest.raises(OSError, match='No space left'), JsonList(path) as results:
        results.extend([dict(a=1)])
        monkeypatch.setattr(results, '_file', type('File', (), dict(write=fail)))
    assert path.read_text() == '[1]'
    assert [p.name for p in tmp_path.iterdir()] == ['x.json']
