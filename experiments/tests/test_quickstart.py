# SPDX-License-Identifier: Apache-2.0
"""The quickstart's steps, failures and result table."""

import json
import re
import sys
from io import StringIO
from pathlib import Path

import pytest
from mmengine.config import Config
from rich.console import Console

from experiments import quickstart, steps
from experiments.steps import Step
from tests.conftest import ROOT


@pytest.fixture
def folders(monkeypatch, tmp_path):
    """Redirect everything that the quickstart writes."""
    monkeypatch.chdir(ROOT)
    paths = dict(
        LOGS='logs',
        POSE_DIR='pose',
        DETECTOR_DIR='detector',
        METRICS='detections.json',
        BOXES='boxes.json',
        VAL_ANN='annotations.json',
    )
    for name, path in paths.items():
        monkeypatch.setattr(quickstart, name, tmp_path / path)
    return tmp_path


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def run(monkeypatch, capsys, *program, seed=0, restart=False):
    """Run the quickstart with other steps; returns the exit status and the output."""
    groups = [[step] for step in program]
    monkeypatch.setattr(quickstart, 'make_steps', lambda seed: groups)
    monkeypatch.setattr(quickstart, 'report', lambda console: None)
    return quickstart.run(seed, restart, Console()), capsys.readouterr().out


def python(name, code):
    return Step(name, name, (sys.executable, '-c', code))


def test_steps_run_existing_scripts_and_configs(folders):
    program = [step for group in quickstart.make_steps(seed=3) for step in group]
    assert len({step.name for step in program}) == len(program)
    for step in program:
        files = [word for word in step.command[1:] if word.endswith('.py')]
        assert files
        assert all(Path(word).is_file() for word in files)
    trainings = [step for step in program if step.resume]
    assert len(trainings) == 2
    for step in trainings:
        assert 'randomness.seed=3' in step.command


def test_failing_step_ends_with_its_log(folders, monkeypatch, capsys):
    bad = python('bad', 'print("disk full"); raise SystemExit(7)')
    status, printed = run(monkeypatch, capsys, python('good', 'pass'), bad)
    assert status == 1
    assert re.search(r'\[1/2\] good: \d+ s', printed)
    assert 'bad failed with exit status 7' in printed
    assert str(folders / 'logs' / 'bad.log') in printed
    assert 'disk full' in printed
    assert 'Run the same command to continue' in printed


def test_next_run_continues_and_restart_does_not(folders, monkeypatch, capsys):
    runs = folders / 'runs'
    step = python('draw', f'open({str(runs)!r}, "a").write("x")')
    assert run(monkeypatch, capsys, step)[0] == 0
    status, printed = run(monkeypatch, capsys, step)
    assert (status, runs.read_text()) == (0, 'x')
    assert 'finished before' in printed
    # boxes of an interrupted detection
    journal = folders / 'boxes.json.journal.jsonl'
    journal.touch()
    assert run(monkeypatch, capsys, step, restart=True)[0] == 0
    assert runs.read_text() == 'xx'
    assert not journal.exists()


def test_other_seed_needs_a_restart(folders, monkeypatch, capsys):
    step = python('draw', 'pass')
    run(monkeypatch, capsys, step)
    status, printed = run(monkeypatch, capsys, step, seed=1)
    assert status == 1
    assert '--restart' in printed
    assert run(monkeypatch, capsys, step, seed=1, restart=True)[0] == 0


def test_interrupt_ends_with_status_130(folders, monkeypatch, capsys):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, 'run_steps', interrupt)
    status, printed = run(monkeypatch, capsys, python('draw', 'pass'))
    assert status == 130
    assert printed == 'Interrupted. Run the same command to continue.\n'


@pytest.fixture
def results(folders):
    """Files as the steps write them."""
    write(folders / 'annotations.json', dict(annotations=[{}] * 4))
    write(folders / 'boxes.json', [{}] * 500)
    evaluators = Config.fromfile(quickstart.POSE_NMS).test_evaluator
    metrics = {}
    for i, evaluator in enumerate(evaluators):
        for j, name in enumerate(('AP', 'AP .5', 'AP .75', 'AR')):
            metrics[f'{evaluator.prefix}/{name}'] = (i + 1) / 10 + j / 100
    write(folders / 'detections.json', metrics)
    for work_dir, line in (
        ('pose', {'coco/AP': 0.5, 'coco/AP .5': 0.81, 'coco/AP .75': 0.55}),
        ('detector', {'coco/bbox_mAP': 0.43}),
    ):
        path = folders / work_dir / '20260101_000000' / 'vis_data' / 'scalars.json'
        path.parent.mkdir(parents=True)
        old = {key: 0.0 for key in line}
        path.write_text(
            '\n'.join(map(json.dumps, ({'loss': 1.0}, old, line, {'loss': 0.5})))
        )
    return evaluators


def test_table_has_all_results(results, folders, monkeypatch):
    def count(path):
        # the evaluators' files are not redirected
        return 7 if 'detections' in path.name else len(json.loads(path.read_text()))

    monkeypatch.setattr(quickstart, 'count', count)
    console = Console(file=StringIO(), width=120)
    quickstart.report(console)
    printed = console.file.getvalue()
    rows = [
        [cell.strip() for cell in line.split('│')[1:-1]]
        for line in printed.splitlines()
        if line.count('│') > 2
    ]
    assert rows[0] == ['ground truth', 'none', '4', '0.500', '0.810', '0.550']
    assert rows[1] == ['detector', 'none', '7', '0.100', '0.110', '0.120']
    assert [row[1].split()[0] for row in rows[1:]] == [e.prefix for e in results]
    assert sum('default' in row[1] for row in rows) == 1
    assert 'box AP 0.430, 2.5 boxes per image' in printed
