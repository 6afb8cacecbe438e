# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from experiments.box_variants import BOX_VARIANTS
from rmpe_plugin.ops import ProposalModel
from rmpe_plugin.utils.files import ResumeJournal
from tests.conftest import run_experiment
from tests.factories import SMALL_BATCHES


@pytest.fixture
def model(tmp_path):
    """A model as rmpe fit-pgpg writes it."""
    path = tmp_path / 'pgpg.json'
    ProposalModel.alphapose().to_json(path)
    return path


def finish(variants, synthetic, model, work_dir):
    """Write the journal of a run that has finished some variants."""
    settings = dict(
        data=str(synthetic),
        model=json.loads(model.read_text()),
        cfg_options=SMALL_BATCHES,
    )
    journal = ResumeJournal(work_dir / 'journal.jsonl', settings)
    results = {'detections': 0.25, 'ground-truth boxes': 0.5}
    for variant in variants:
        journal.append(dict(variant=variant, seed=0, results=results))
    journal.close()
    return results


def arguments(synthetic, model, work_dir):
    return [
        *('compare_proposals', '--data', synthetic, '--model', model),
        *('--work-dir', work_dir, '--seeds', 0),
        *('--cfg-options', *(f'{key}={value}' for key, value in SMALL_BATCHES.items())),
    ]


@pytest.mark.slow
def test_trains_missing_variants(synthetic, model, tmp_path):
    """Four of the five variants are finished; the fifth is trained on eight images."""
    work_dir = tmp_path / 'work'
    *finished, last = BOX_VARIANTS
    expected = finish(finished, synthetic, model, work_dir)
    printed = run_experiment(*arguments(synthetic, model, work_dir)).stdout
    results = json.loads((work_dir / 'results.json').read_text())
    assert results[:-1] == [
        dict(variant=variant, seed=0, results=expected) for variant in finished
    ]
    assert (results[-1]['variant'], results[-1]['seed']) == (last, 0)
    assert 0 <= results[-1]['results']['detections'] <= 1
    assert printed.count('0.2500') == 8
    assert (work_dir / 'results.png').stat().st_size > 10_000
    assert (work_dir / 'PGPG-0' / 'epoch_2.pth').is_file()


def test_finished_run_with_other_arguments(synthetic, model, tmp_path):
    finish(BOX_VARIANTS, synthetic, model, tmp_path)
    command = arguments(synthetic, model, tmp_path)
    printed = run_experiment(*command).stdout
    assert printed.count('0.2500') == 10
    assert printed.split()[-2:] == [
        str(tmp_path / 'results.json'),
        str(tmp_path / 'results.png'),
    ]
    result = run_experiment(*command, 'train_cfg.max_epochs=1', check=False)
    assert result.returncode == 1
    assert 'belongs to a run with other settings' in result.stderr
    assert 'Traceback' not in result.stderr


def test_exits_on_invalid_arguments(synthetic, model, tmp_path):
    for changes, message in (
        (('--model', tmp_path / 'no.json'), 'no.json does not exist'),
        (('--variants', 'other'), "'PGPG, single mixture'"),
        (('--seeds', 1, 1), '--seeds: must be different and not negative'),
    ):
        command = ['compare_proposals', '--data', synthetic, '--model', model]
        result = run_experiment(*command, *changes, check=False)
        assert result.returncode == 2
        assert message in result.stderr
