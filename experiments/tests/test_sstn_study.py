# SPDX-License-Identifier: Apache-2.0
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from rich.progress import Progress

from experiments.ablation import (
    TRAININGS,
    Job,
    SampledMetric,
    build_detector_config,
    build_training_config,
)
from experiments.ablation.topk_schedule import TopKScheduleHook, scheduled_topk
from experiments.sstn_study import plan, report
from experiments.sstn_study.__main__ import run, summarise
from experiments.sstn_study.box_sets import (
    scale_offsets,
    training_boxes,
    two_people,
    without_feet,
    without_head,
)
from experiments.sstn_study.components import FixedWindow
from experiments.sstn_study.files import (
    StudyFiles,
    matched_people,
    measure,
    write_box_set,
)
from experiments.sstn_study.study import SSTNStudy
from experiments.sstn_study.two_passes import boxes_of_poses, fit_expansion
from experiments.tests.factories import launch_here, launch_perturbed
from rmpe_plugin.models.losses import OHKMMSELoss
from rmpe_plugin.ops import ProposalModel
from tests.conftest import run_command, run_experiment

TINY = plan.SIZES['tiny']


def standing(ankles=95.0, head=10.0):
    """Keypoints (1, 17, 2) and visibility of a person in the box (0, 0, 40, 100)."""
    keypoints = np.full((1, 17, 2), 50.0)
    keypoints[:, :5, 1] = head - np.arange(5)  # the nose is the lowest
    keypoints[:, 15:, 1] = ankles, ankles + 2
    return keypoints, np.full((1, 17), 2)


BOX = np.array([[0.0, 0.0, 40.0, 100.0]])


def test_boxes_without_feet_end_above_both_ankles():
    # a tenth of the height above the higher ankle
    np.testing.assert_allclose(
        without_feet(BOX, *standing(ankles=80)), [[0, 0, 40, 70]]
    )
    # at most half of the box is removed
    np.testing.assert_allclose(without_feet(BOX, *standing(ankles=20))[0, 3], 50)
    keypoints, visible = standing()
    visible[:, 15] = 0
    np.testing.assert_allclose(without_feet(BOX, keypoints, visible)[0, 3], 87)
    visible[:, 16] = 0
    np.testing.assert_array_equal(without_feet(BOX, keypoints, visible), BOX)


def test_boxes_without_head_begin_below_it():
    np.testing.assert_allclose(
        without_head(BOX, *standing(head=12)), [[0, 22, 40, 100]]
    )
    np.testing.assert_allclose(without_head(BOX, *standing(head=70))[0, 1], 50)
    keypoints, visible = standing()
    visible[:, :5] = 0
    np.testing.assert_array_equal(without_head(BOX, keypoints, visible), BOX)


def test_boxes_of_two_people_contain_both():
    boxes = np.array(
        [
            [0, 0, 10, 20],
            [8, 2, 20, 22],  # the nearest of the first, and larger
            [100, 0, 110, 20],  # its nearest is the second, which has a nearer one
            [0, 0, 10, 20],  # alone in its image
        ],
        float,
    )
    pairs, owners = two_people(boxes, np.array([1, 1, 1, 2]))
    np.testing.assert_array_equal(pairs, [[0, 0, 20, 22]])
    np.testing.assert_array_equal(owners, [1])


def test_scaled_offsets_are_those_of_the_model_times_the_width():
    keypoints, visible = standing()
    samples = [
        scale_offsets(ProposalModel.alphapose(), width).sample(
            keypoints[0], visible[0], BOX[0], 1000, np.random.default_rng(0)
        )
        for width in (1, 0.5)
    ]
    np.testing.assert_allclose(samples[1] - BOX, 0.5 * (samples[0] - BOX), atol=1e-9)


def test_training_boxes_cover_the_box_sets():
    model = training_boxes(ProposalModel.alphapose(), (1, 3))
    mixture = model.overall
    np.testing.assert_allclose(mixture.weights, [0.35, 0.35, *[0.075] * 4])
    alphapose = ProposalModel.alphapose().overall
    np.testing.assert_allclose(mixture.means[1], 3 * alphapose.means[0])
    np.testing.assert_allclose(mixture.covariances[1], 9 * alphapose.covariances[0])
    # no feet, no head, a neighbour on the left and on the right
    np.testing.assert_allclose(
        mixture.means[[2, 3, 4, 5], [3, 1, 0, 2]], [-0.2, 0.2, -0.6, 0.6]
    )


def test_second_pass_surrounds_the_confident_keypoints():
    keypoints = np.zeros((3, 17, 2))
    keypoints[:, :4] = [[10, 10], [30, 10], [10, 50], [30, 50]]
    keypoints[:, 4] = 1000
    scores = np.zeros((3, 17))
    scores[:2, :4] = 0.9
    scores[1, 0] = 0.1  # now too few
    scores[2] = 0.9
    keypoints[2] = 5.0  # no extent
    first = np.array([[0.0, 0, 99, 99]] * 3)
    boxes = boxes_of_poses(keypoints, scores, first, np.array([-0.1, -0.2, 0.1, 0.2]))
    np.testing.assert_allclose(boxes[0], [8, 2, 32, 58])
    np.testing.assert_array_equal(boxes[1:], first[1:])


def test_expansion_is_the_median_of_complete_people():
    keypoints = np.zeros((3, 2, 2))
    keypoints[:, 1] = 10, 20
    visible = np.array([[2, 1], [2, 2], [2, 0]])
    boxes = np.array([[-1.0, -2, 11, 22], [-3.0, -2, 11, 22], [-90.0, 0, 0, 0]])
    np.testing.assert_allclose(
        fit_expansion(keypoints, visible, boxes), [-0.2, -0.1, 0.1, 0.1]
    )


def test_topk_falls_in_steps_of_equal_length():
    steps = [scheduled_topk(i / 100, 17, 8) for i in range(101)]
    assert steps[:100] == [17 - i // 10 for i in range(100)]
    assert steps[100] == 8


def test_hook_sets_topk_of_the_loss():
    loss = OHKMMSELoss(topk=8)
    runner = SimpleNamespace(
        model=SimpleNamespace(head=SimpleNamespace(loss_module=loss)), max_iters=20
    )
    hook = TopKScheduleHook(first=17, last=8)
    for iteration, expected in ((0, 17), (2, 16), (10, 12), (19, 8)):
        runner.iter = iteration
        hook.before_train_iter(runner, 0)
        assert loss.topk == expected
    with pytest.raises(ValueError, match='from 1 to first, got first 8 and last 17'):
        TopKScheduleHook(first=8, last=17)


def test_fixed_window_is_that_of_every_crop():
    window = [[0.8, 0.0, 0.1], [0.0, 0.9, 0.0]]
    theta = FixedWindow(window)(torch.zeros(2, 3, 4, 4))
    torch.testing.assert_close(theta, torch.tensor([window, window]))


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    """Study with its images and box sets."""
    study = SSTNStudy(tmp_path_factory.mktemp('study'), TINY, launch=launch_poses)
    study.prepare()
    return study


def launch_poses(config, checkpoint, threads):
    """Write perturbed annotations, in place of a training or test."""
    if checkpoint is None:
        return launch_perturbed(config, checkpoint, threads)
    settings = Config.fromfile(config)
    people = json.loads(Path(settings.test_evaluator[0].ann_file).read_text())[
        'annotations'
    ]
    by_id = {person['id']: person for person in people}
    rng = np.random.default_rng(len(config.parent.name))
    for test in settings.box_sets:
        records = json.loads(Path(test.bbox_file).read_text())
        poses = [
            np.reshape(by_id[r.get('annotation_id', 1)]['keypoints'], (17, 3)).astype(
                float
            )
            for r in records
        ]
        poses = [pose + rng.normal(0, 1, pose.shape) for pose in poses]
        results = [
            dict(r, keypoints=pose.ravel().tolist())
            for r, pose in zip(records, poses, strict=True)
        ]
        Path(f'{test.prefix}.keypoints.json').write_text(json.dumps(results))
        np.savez(
            f'{test.prefix}.npz',
            ids=np.arange(len(records)),
            keypoints=np.array(poses)[..., :2],
            scores=np.ones((len(records), 17)),
            theta=np.tile([[0.8, 0, 0], [0, 0.8, 0]], (len(records), 1, 1)),
        )
    return 1.0


def test_box_sets_have_known_people(study):
    files = study.files
    names = files.box_sets()
    assert names[0] == plan.GROUND_TRUTH
    assert {plan.NO_FEET, plan.NO_HEAD, plan.pgpg_name(3)} <= {*names}
    assert measure(files, plan.GROUND_TRUTH) == dict(
        iou=pytest.approx(1, abs=1e-5), people=1, boxes=1
    )
    ious = [measure(files, plan.pgpg_name(w))['iou'] for w in (0.5, 1, 3)]
    assert ious == sorted(ious, reverse=True)
    people, _ = matched_people(files, plan.TWO_PEOPLE)
    larger = people.detections - people.gt_bboxes
    assert (larger[:, :2] <= 0.01).all()
    assert (larger[:, 2:] >= -0.01).all()
    for name, parts in ((plan.NO_FEET, [15, 16]), (plan.NO_HEAD, range(5))):
        people, _ = matched_people(files, name)
        y = people.keypoints[:, parts, 1]
        box = people.detections
        full = box[:, 3] - box[:, 1] > 0.55 * np.diff(people.gt_bboxes[:, 1::2])[:, 0]
        labelled = people.keypoints_visible[:, parts] > 0
        cut = (y > box[:, None, 3]) | (y < box[:, None, 1])
        assert full.any()
        assert (cut | ~labelled)[full].all()


def test_leaves_out_detections_of_too_few_people(study, tmp_path, capsys):
    files = StudyFiles(tmp_path, TINY)
    shutil.copytree(study.files.data / 'annotations', files.data / 'annotations')
    name, _ = plan.mining_sets(TINY)
    files.detections('val').write_text('[]')
    write_box_set(files, name)
    assert not files.box_set(name).exists()
    assert f'{name} is dropped: 0 of ' in capsys.readouterr().out


@pytest.mark.slow
def test_detections_have_the_people_of_rmpe_boxes(study):
    name, _ = plan.mining_sets(TINY)
    people, index = matched_people(study.files, name)
    assert len(people) == len(index) > 0
    boxes = json.loads(study.files.box_set(name).read_text())
    assert min(box['score'] for box in boxes) >= 0.25
    printed = run_command(
        *('boxes', 'configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py'),
        *('--ann', study.files.annotations('val')),
        *('--det', study.files.detections('val'), '--score-thr', 0.25),
    ).stdout
    assert f'{measure(study.files, name)["iou"]:.3f}' in printed


@pytest.mark.parametrize(
    'name', ['padding', 'longer', 'rmpe-longer', 'authors', 'cpn-falling']
)
def test_variants_differ_only_in_their_settings(study, name):
    config = build_training_config(study.files, name, 0)
    other = 'rmpe' if name in ('authors', 'rmpe-longer') else 'no-sstn'
    reference = build_training_config(study.files, other, 0)
    crop = next(
        step
        for step in config.test_dataloader.dataset.pipeline
        if step['type'] == 'CPNBBoxCenterScale'
    )
    trained = next(
        step
        for step in config.train_dataloader.dataset.pipeline
        if step['type'] == 'CPNBBoxCenterScale'
    )
    assert crop == trained
    if name == 'padding':
        np.testing.assert_allclose(crop['padding'], [1.5, 1.625])
        assert config.model == reference.model
        assert config.optim_wrapper == reference.optim_wrapper
    else:
        assert 'padding' not in crop
    if name.endswith('longer'):
        assert config.train_cfg.max_epochs == 3 * reference.train_cfg.max_epochs
        assert config.param_scheduler[-1].end == config.train_cfg.max_epochs
        assert config.model == reference.model
    if name == 'authors':
        stn = config.model.stn
        assert (stn.pool_size, stn.downscale, stn.backbone.depth) == (1, 1, 18)
        assert stn.backbone.init_cfg is None
        assert config.model.clip_gradient is False
        assert config.model.parallel == reference.model.parallel
        assert config.optim_wrapper.optimizer.type == 'RMSprop'
        assert config.model.backbone == reference.model.backbone
    if name == 'cpn-falling':
        hook = config.custom_hooks[-1]
        assert (hook.type, hook.first, hook.last) == ('TopKScheduleHook', 17, 8)
        assert config.model == build_training_config(study.files, 'cpn', 0).model
    boxes = config.train_dataloader.dataset.pipeline[1]
    assert boxes['model'] == str(study.files.training_boxes)


def test_detectors_of_several_epochs_are_tested(tmp_path):
    size = plan.SIZES['cpu']
    files = StudyFiles(tmp_path, size)
    hook = build_detector_config(files).default_hooks.checkpoint
    assert (hook.interval, hook.max_keep_ckpts) == (1, -1)
    epochs = {s.epoch for s in plan.box_sets(size).values() if s.family == 'detector'}
    assert epochs == {1, 2, 4}
    assert files.detector_checkpoint(2).name == 'epoch_2.pth'
    assert files.detector_checkpoint().name == 'epoch_4.pth'
    boxes = {files.detections('val', epoch) for epoch in (None, *epochs)}
    assert len(boxes) == 4


def test_every_variant_has_a_job():
    seed = 3
    jobs = [
        job
        for phases in plan.stages([seed]).values()
        for phase in phases.values()
        for job in phase
    ]
    assert len(jobs) == len(set(jobs))
    for variant in plan.VARIANTS.values():
        assert Job(variant.training, seed, variant.test) in jobs
    trained = {job.training for job in jobs if job.boxes == 'val'}
    assert trained == set(plan.STUDY_TRAININGS)
    # each network is trained before it is tested or continued
    for i, job in enumerate(jobs):
        needed = job.training if job.boxes != 'val' else TRAININGS[job.training].after
        assert needed is None or needed in {j.training for j in jobs[:i]}


def test_jobs_need_what_their_configs_are_made_of(study):
    needed = study._needs(Job('constant-scale', 1))
    assert Job('no-parallel', 1, plan.BOXES) in needed
    assert Job('no-parallel', 1) in needed
    assert Job('initialisation', 0) in needed
    assert Job('no-sstn', 1, plan.BOXES) in study._needs(
        Job('no-sstn', 1, plan.SECOND_PASS)
    )
    assert study._needs(Job('padding', 1)) == {
        Job('cpn', 1),
        Job('initialisation', 0),
    }


QUALITY = dict(boxes=dict(iou=0.7, people=1.0, boxes=1.0))


def sampled(*values):
    """A metric by seed, in samples around its value."""
    noise = np.linspace(-0.005, 0.005, 11)
    return {i: SampledMetric(v, v + noise) for i, v in enumerate(values)}


def rows(**values):
    """Metrics of variants; AP and mAP are the same."""
    names = dict(base=plan.BASELINE, full=plan.FULL, sstn=plan.NO_PARALLEL)
    return {
        names.get(name, name): {m: sampled(*seeds) for m in ('AP', 'mAP')}
        for name, seeds in values.items()
    }


def test_winner_is_equal_to_those_that_are_not_worse_with_all_seeds():
    metrics = rows(base=(0.40, 0.42), full=(0.43, 0.43), sstn=(0.44, 0.42))
    found = report.winner(metrics, 'AP')
    assert found.best in (plan.FULL, plan.NO_PARALLEL)
    metrics = rows(base=(0.40, 0.42), full=(0.45, 0.43), sstn=(0.44, 0.43))
    found = report.winner(metrics, 'AP')
    assert found.best == plan.FULL
    assert found.gain == pytest.approx(0.03)
    # with the second seed the SSTN without the parallel SPPE is not worse
    assert found.equal == [plan.NO_PARALLEL]


def test_alternatives_are_compared_with_their_common_seeds():
    metrics = rows(base=(0.40, 0.42), full=(0.45, 0.49))
    padding = {m: sampled(0.46) for m in ('AP', 'mAP')}
    metrics |= {'larger padding': padding, plan.FULL + plan.LONGER: padding}
    assert report.winner(metrics, 'AP').best == 'larger padding'
    results = report.Results(QUALITY, dict(boxes=metrics), {}, {})
    found = report.ranking(results, 'AP', ['boxes'])
    assert list(found) == ['larger padding', plan.FULL]
    assert [*found.values()] == pytest.approx([0.06, 0.05])
    # all of its own seeds where only one variant is compared
    table = report.format_tables(results)['Change of AP from no SSTN']
    assert table.rows[0][-3:] == ('2', '1', '1')
    full = report.changes(results.metrics, 'AP')[plan.FULL]['boxes']
    assert full.mean == pytest.approx(0.06)


def test_lengths_are_compared_with_the_seeds_of_the_long_training():
    metrics = rows(base=(0.40, 0.40), full=(0.41, 0.49))
    longer = {plan.BASELINE: (0.40,), plan.FULL: (0.43,)}
    metrics |= rows(**{name + plan.LONGER: value for name, value in longer.items()})
    results = report.Results(QUALITY, dict(boxes=metrics), {}, {})
    tables = report.format_tables(results)
    (row,) = tables['Length of the training'].rows
    assert [cell.split()[0] for cell in row[-2:]] == ['+1.0', '+3.0']
    assert not tables['Length of the training, keypoints mapped'].rows


@pytest.mark.parametrize(
    ('full', 'holds', 'reaches'),
    [
        ((0.45, 0.45), True, True),
        ((0.415, 0.415), True, False),  # above both, by less than in the paper
        ((0.45, 0.40), False, False),  # the seeds differ
    ],
)
def test_claims_need_all_seeds(full, holds, reaches):
    metrics = rows(base=(0.40, 0.41), full=full, sstn=(0.405, 0.41))
    results = report.Results(QUALITY, dict(boxes=metrics), {}, {})
    (compared,) = report.claims(results, plan.FULL).values()
    assert report.holds(compared, plan.FULL) == holds
    assert report.reaches(compared, plan.FULL) == reaches
    text = '\n'.join(summarise(results))
    assert ('above 0 on: boxes' in text) == holds


def test_claims_compare_the_same_sdtn():
    metrics = rows(base=(0.40,), full=(0.39,), sstn=(0.40,))
    mapped = {plan.FULL: (0.45,), plan.NO_PARALLEL: (0.46,)}
    metrics |= rows(**{name + plan.MAPPED: value for name, value in mapped.items()})
    results = report.Results(QUALITY, dict(boxes=metrics), {}, {})
    table = "RMPE's claims, change of mAP to '{}'"
    found = [
        [cell.split(' ')[0] for cell in row[3::2][:2]]
        for full in plan.CLAIMS
        for row in report.format_tables(results)[table.format(full)].rows
    ]
    assert found == [['-1.0', '-1.0'], ['-1.0', '+5.0'], ['', ''], ['', '']]


def test_ranking_is_that_of_the_mean_changes():
    sets = dict(
        a=rows(base=(0.40,), full=(0.45,), sstn=(0.41,)),
        b=rows(base=(0.40,), full=(0.40,), sstn=(0.42,)),
    )
    quality = {name: dict(iou=0.75, people=1.0, boxes=1.0) for name in sets}
    results = report.Results(quality, sets, {}, {})
    found = report.ranking(results, 'AP', ['a', 'b'])
    assert list(found) == [plan.FULL, plan.NO_PARALLEL]
    assert [*found.values()] == pytest.approx([0.025, 0.015])
    table = report.format_tables(results)['What wins where']
    text = f'{plan.FULL} +2.5; {plan.NO_PARALLEL} +1.5'
    assert table.rows == [('IoU 0.7 to 0.8', '2', text, text)]


@pytest.mark.slow
def test_runs_all_parts_and_continues(tmp_path, unformatted_configs, monkeypatch):
    """With poses near the annotations in place of networks."""
    # no processes, each of which would import everything
    monkeypatch.setattr('os.cpu_count', lambda: 1)
    study = SSTNStudy(tmp_path, TINY, 1, launch_poses)
    study.prepare()
    kept = {plan.GROUND_TRUTH, plan.pgpg_name(1), plan.NO_FEET, *plan.mining_sets(TINY)}
    for name in {*study.files.box_sets()} - kept:
        study.files.box_set(name).unlink()
    launched = []

    def start(fails):
        def launch(config, checkpoint, threads):
            launched.append(str(config.relative_to(tmp_path)))
            if fails and config.parent.name == 'authors':
                raise RuntimeError('the training diverged')
            return launch_poses(config, checkpoint, threads)

        launched.clear()
        return run(SSTNStudy(tmp_path, TINY, 1, launch), [0])

    results, failures = start(fails=True)
    assert failures == ['the training diverged']
    assert len(launched) == len({*launched})
    # the failed training is not tested
    assert 'seed-0/authors/boxes.py' not in launched
    record = json.loads((tmp_path / 'results.json').read_text())
    assert set(record['variants']) == kept
    variants = {*plan.VARIANTS} - {"SSTN, authors' settings"}
    assert all(set(found) == variants for found in record['variants'].values())
    assert set(results.seconds) == {
        name for name in variants if plan.VARIANTS[name].alternative
    }
    assert set(record['mining']) == set(plan.mining_sets(TINY))
    windows = record['windows'][plan.FULL][plan.GROUND_TRUTH]
    assert windows['width'] == pytest.approx(0.8)
    assert windows['iou'] == pytest.approx(0.64)
    scale = study.files.padding('constant-scale', 0)
    assert scale == pytest.approx(0.8)

    # What is finished is not repeated. A network has diverged.
    poses = study.files.poses('rmpe', 0, plan.BOXES, plan.NO_FEET)
    poses.unlink()
    diverged = study.files.poses('longer', 0, plan.BOXES, plan.NO_FEET)
    written = diverged.read_text()
    diverged.write_text(written.replace('"keypoints": [', '"keypoints": [NaN, ', 1))
    results, failures = start(fails=False)
    assert launched == [
        'seed-0/rmpe/boxes.py',
        'seed-0/authors/val.py',
        'seed-0/authors/boxes.py',
    ]
    assert poses.exists()
    assert all(str(diverged) in message for message in failures)
    assert failures
    assert 'no SSTN, longer training' not in results.metrics[plan.NO_FEET]

    diverged.write_text(written)
    results, failures = start(fails=False)
    assert not launched
    assert not failures
    assert set(results.metrics[plan.NO_FEET]) == {*plan.VARIANTS}

    arguments = ('sstn_study', '--work-dir', tmp_path, '--size', 'tiny', '--seeds', 0)
    printed = run_experiment(*arguments).stdout
    table = (tmp_path / 'table.md').read_text()
    for title in report.format_tables(results):
        assert title in printed
        assert f'| {title} | ' in table
    assert f"Both of RMPE's gains to {plan.FULL!r} are above 0 on:" in printed
    assert (tmp_path / 'sstn.png').stat().st_size > 10_000


@pytest.mark.slow
def test_trains_and_tests_networks(tmp_path, unformatted_configs):
    """The components work in trainings and tests, each on two box sets."""
    study = SSTNStudy(tmp_path, TINY, 1, launch_here)
    study.prepare()
    for name in study.files.box_sets()[3:]:
        study.files.box_set(name).unlink()
    with Progress(disable=True) as progress:
        study.run_phases(
            {
                str(i): [job]
                for i, job in enumerate(
                    (
                        Job('initialisation', 0),
                        Job('cpn-falling', 0),
                        Job('cpn', 0),
                        Job('authors', 0),
                        Job('authors', 0, plan.BOXES),
                        Job('rmpe', 0),
                        Job('rmpe', 0, plan.KEYPOINTS),
                        Job('no-parallel', 0),
                        Job('no-parallel', 0, plan.BOXES),
                        Job('no-sstn', 0),
                        Job('no-sstn', 0, plan.BOXES),
                        Job('no-sstn', 0, plan.SECOND_PASS),
                        Job('no-sstn', 0, plan.MEAN_WINDOW),
                        Job('constant-scale', 0),
                    )
                )
            },
            progress,
        )
        study.evaluate([0], progress)
    results = report.collect(study.files, [0])
    for variants in results.metrics.values():
        assert set(variants) == {
            plan.BASELINE, plan.NO_PARALLEL, 'two passes', 'no SSTN, mean window',
            "SSTN, authors' settings", plan.FULL + plan.MAPPED,
        }  # fmt: skip
    tested = Config.fromfile(study.files.config('rmpe', 0, plan.KEYPOINTS))
    assert tested.model.test_cfg.sdtn == 'keypoints'
    # Hardly trained, an STN hardly changes the crop.
    assert study.files.padding('constant-scale', 0) == pytest.approx(1, abs=0.1)


def test_prints_the_plan(tmp_path):
    printed = run_experiment('sstn_study', '--plan', '--seeds', 0, 1).stdout
    for part in ('curve', 'seed 0', 'hard keypoint mining', 'total'):
        assert part in printed
    parts = plan.estimate(plan.SIZES['cpu'], [0, 1, 2])
    assert sum(part.hours for part in parts) < 10
