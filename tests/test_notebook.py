# SPDX-License-Identifier: Apache-2.0
"""The tutorial: its stored outputs, its links, and its execution."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.conftest import ROOT

NOTEBOOK = ROOT / 'demo' / 'rmpe_tutorial.ipynb'
CELLS = json.loads(NOTEBOOK.read_text())['cells']
CODE = [cell for cell in CELLS if cell['cell_type'] == 'code']
# What would name the machine, and what only a terminal shows.
UNWANTED = r'/(?:home|root|tmp|usr|work|Users|content)/|━ +\d+%|Traceback|\x1b'


def texts(outputs):
    """Text of the outputs of a cell."""
    for output in outputs:
        yield ''.join(output.get('text', output.get('data', {}).get('text/plain', '')))


def test_notebook_was_executed_from_top_to_bottom():
    assert [cell['execution_count'] for cell in CODE] == [*range(1, len(CODE) + 1)]
    assert not any(o['output_type'] == 'error' for c in CODE for o in c['outputs'])
    images = [
        o for c in CODE for o in c['outputs'] if 'image/jpeg' in o.get('data', {})
    ]
    assert len(images) > 5


def test_stored_outputs_are_small_and_name_no_machine():
    assert NOTEBOOK.stat().st_size < 1_000_000
    for cell in CODE:
        for text in texts(cell['outputs']):
            assert not re.search(UNWANTED, text), text


def test_links_of_the_notebook_resolve():
    targets = [
        token.attrGet('href')
        for cell in CELLS
        if cell['cell_type'] == 'markdown'
        for block in MarkdownIt('commonmark')
        .enable('table')
        .parse(''.join(cell['source']))
        for token in block.children or ()
        if token.type == 'link_open'
    ]
    assert len(targets) > 5
    for target in targets:
        assert (NOTEBOOK.parent / target.partition('#')[0]).exists(), target


@pytest.mark.slow
@pytest.mark.skipif(
    not Path(sys.executable).with_name('rmpe').is_file(),
    reason='the notebook would install the package: the command rmpe is missing',
)
def test_notebook_runs(tmp_path, monkeypatch):
    """In a folder with its data, but without the package."""
    nbformat = pytest.importorskip('nbformat')
    nbclient = pytest.importorskip('nbclient')
    pytest.importorskip('ipykernel')
    for name in ('docs', 'tests', 'tools'):
        (tmp_path / name).symlink_to(ROOT / name)
    folder = tmp_path / 'demo'
    folder.mkdir()
    shutil.copy(NOTEBOOK, folder)
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.setenv('RMPE_CACHE', str(tmp_path / 'cache'))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = dict(metadata=dict(path=str(folder)))
    nbclient.NotebookClient(notebook, timeout=1800, resources=resources).execute()
    files = {path.name for path in (tmp_path / 'work_dirs' / 'tutorial').iterdir()}
    assert {'pgpg.json', 'mine.py', 'mine.onnx'} <= files
    printed = '\n'.join(
        text for cell in notebook.cells for text in texts(cell.get('outputs', ()))
    )
    # The script without the package prints the keypoints.
    assert re.search(r'left_ankle +[\d.]+ +[\d.]+ [01]\.\d\d', printed)
    assert not re.search(f'error:|{UNWANTED}', printed), printed
