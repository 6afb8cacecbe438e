# SPDX-License-Identifier: Apache-2.0
"""The list that is read value by value against ``json.loads``."""

import json
import random

import pytest

from rmpe_plugin.structures.coco import json_stream
from rmpe_plugin.structures.coco.json_stream import iterate_json_list

VALUES = [
    1,
    -2.5,
    1e10,
    'a]b,["',
    'ü\n',
    None,
    True,
    [],
    {},
    [1, [2]],
    {'a]': {'b': 3}},
]


def read(path, text):
    """The list, or which error there was."""
    path.write_text(text)
    try:
        return list(iterate_json_list(path, 'numbers'))
    except ValueError as error:
        return 'not JSON' if 'is not JSON' in str(error) else 'no list'


def expected(text):
    try:
        content = json.loads(text)
    except ValueError:
        return 'not JSON'
    return content if isinstance(content, list) else 'no list'


@pytest.mark.parametrize('chunk', [1, 2, 7, 50, json_stream.CHUNK])
def test_equals_json_loads_also_of_damaged_files(chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, 'CHUNK', chunk)
    rng = random.Random(0)
    for _ in range(100):
        values = rng.choices(VALUES, k=rng.randrange(5))
        text = ' \n' * rng.randrange(3) + json.dumps(
            values, indent=rng.choice([None, 1])
        )
        assert read(tmp_path / 'a.json', text) == values
        place = rng.randrange(len(text) + 1)
        other = rng.choice([*',]}{["1 ', ''])
        damaged = text[:place] + other + text[place + rng.randrange(3) :]
        assert read(tmp_path / 'a.json', damaged) == expected(damaged), damaged


@pytest.mark.parametrize(
    'text', ['', ' ', '{}', '3', '"["', 'null', '[1] 2', '[1,]', '[']
)
def test_no_list(text, tmp_path):
    assert read(tmp_path / 'a.json', text) == expected(text)


def test_values_before_an_error_are_yielded(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('[1, 2, x]')
    values = iterate_json_list(path, 'numbers')
    assert [next(values), next(values)] == [1, 2]
    with pytest.raises(ValueError, match=r'a\.json is not JSON'):
        next(values)


def test_error_says_what_the_list_contains(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('{}')
    with pytest.raises(ValueError, match=r'a\.json must be a list of numbers'):
        next(iterate_json_list(path, 'numbers'))
