# SPDX-License-Identifier: Apache-2.0
from argparse import ArgumentParser

import pytest

from rmpe_plugin.utils.arguments import (
    at_least,
    existing_file,
    existing_folder,
    image_to_write,
    share,
)


@pytest.fixture
def parse(tmp_path, monkeypatch):
    """Function that parses arguments in a folder with a file and a folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'file').touch()
    (tmp_path / 'folder').mkdir()
    parser = ArgumentParser()
    parser.add_argument('--file', type=existing_file)
    parser.add_argument('--folder', type=existing_folder)
    parser.add_argument('--number', type=at_least(2))
    parser.add_argument('--share', type=share)
    parser.add_argument('--image', type=image_to_write)
    return parser.parse_args


def test_valid_values(parse):
    words = ['--file', 'file', '--folder', 'folder', '--number', '2', '--share', '0.25']
    args = parse([*words, '--image', 'new/a.png'])
    assert args.image.name == 'a.png'
    assert args.file.is_file()
    assert args.folder.is_dir()
    assert (args.number, args.share) == (2, 0.25)


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ('--file no', 'argument --file: no does not exist'),
        ('--file folder', 'argument --file: folder is not a file'),
        ('--folder no', 'argument --folder: no does not exist'),
        ('--folder file', 'argument --folder: file is not a folder'),
        ('--number 1', 'argument --number: must be at least 2, got 1'),
        ('--number x', "argument --number: invalid integer value: 'x'"),
        ('--share 1', 'argument --share: must be between 0 and 1, got 1.0'),
        ('--share nan', 'argument --share: must be between 0 and 1, got nan'),
        ('--share x', "argument --share: invalid share value: 'x'"),
        ('--image new/a', 'argument --image: new/a must end with .png'),
    ],
)
def test_errors_name_the_argument(parse, words, message, capsys):
    with pytest.raises(SystemExit):
        parse(words.split())
    assert message in capsys.readouterr().err
