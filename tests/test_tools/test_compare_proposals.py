# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from rmpe_plugin.learning.box_variants import BOX_VARIANTS
from rmpe_plugin.ops import ProposalModel
from rmpe_plugin.utils.files import ResumeJournal
from tests.conftest import run_tool


@pytest.mark.slow
def test_trains_only_the_missing_variants(synthetic, tmp_path):
    """Four of the five variants are in the journal; one is trained on eight images."""
    model = tmp_path / 'fitted.json'
    ProposalModel.alphapose().to_json(model)
    settings = dict(
        data=str(synthetic),
        model=json.loads(model.read_text()),
        cfg_options={'train_dataloader.batch_size': 4},
    )
    journal = ResumeJournal(tmp_path / 'work' / 'journal.jsonl', settings)
    finished = {'ground-truth boxes': 0.25, 'detections': 0.25}
    for variant in list(BOX_VARIANTS)[:4]:
        journal.append(dict(variant=variant, seed=0, results=finished))
    journal.close()

    arguments = (
        'compare_proposals.py', '--data', synthetic, '--model', model,
        '--work-dir', tmp_path / 'work', '--seeds', 0,
    )  # fmt: skip
    option = ('--cfg-options', 'train_dataloader.batch_size=4')
    printed = run_tool(*arguments, *option).stdout
    results = json.loads((tmp_path / 'work' / 'results.json').read_text())
    assert results['no jitter'] == {'0': finished}
    assert 0 <= results['PGPG']['0']['detections'] <= 1
    # Mean and seed, for both kinds of boxes, of four variants.
    assert printed.count('0.2500') == 16
    assert (tmp_path / 'work' / 'results.png').stat().st_size > 10_000

    other = run_tool(*arguments, check=False)
    assert other.returncode == 1
    assert 'other settings' in other.stderr
