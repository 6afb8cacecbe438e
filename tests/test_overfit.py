# SPDX-License-Identifier: Apache-2.0
"""A small CPN overfits four photographs."""

import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from rmpe_plugin.structures import make_detection
from tests.conftest import ROOT, run_experiment

CONFIG = ROOT / 'configs' / 'quickstart' / 'td-hm_cpn-res18_synthetic-128x96.py'
# Six people.
IMAGES = (214753, 234748, 349860, 442450)
BOXES_PER_PERSON = 6
FALSE_POSITIVES_PER_IMAGE = 4
STEPS = 160


@pytest.fixture
def ann_file(coco_cc, tmp_path):
    """Annotations of the four photographs."""
    dataset = json.loads((coco_cc / 'person_keypoints_cc.json').read_text())
    dataset['images'] = [i for i in dataset['images'] if i['id'] in IMAGES]
    dataset['annotations'] = [
        a
        for a in dataset['annotations']
        if a['image_id'] in IMAGES and a['num_keypoints'] > 0
    ]
    path = tmp_path / 'annotations.json'
    path.write_text(json.dumps(dataset))
    return path


def simulate_detections(dataset):
    """Several boxes for each person, and boxes at random places."""
    rng = np.random.default_rng(0)
    detections = []
    for image in dataset['images']:
        size = image['width'], image['height']
        for ann in dataset['annotations']:
            if ann['image_id'] == image['id']:
                boxes = sample_boxes(rng, ann)
                detections += [make_detection(*box, image['id']) for box in boxes]
        for _ in range(FALSE_POSITIVES_PER_IMAGE):
            bbox = [*rng.uniform(0, 0.5, 2) * size, *rng.uniform(0.2, 0.5, 2) * size]
            detections.append(make_detection(bbox, rng.uniform(0, 0.2), image['id']))
    return detections


def sample_boxes(rng, ann):
    """A good detection of a person and worse duplicates: bbox (xywh) and score."""
    bbox = np.array(ann['bbox'])
    for i in range(BOXES_PER_PERSON):
        spread = 0.06 if i else 0.01
        noise = rng.normal(0, spread, 4) * np.tile(bbox[2:], 2)
        yield (bbox + noise).tolist(), rng.uniform(0.3, 0.5) if i else 0.9


def enlarge(config):
    """Enlarge the input by half; 128x96 is too coarse for an OKS of 0.95."""
    codecs = [
        dict(c, input_size=(144, 192), heatmap_size=(36, 48)) for c in config.codec
    ]
    config.model.head.decoder = codecs[-1]
    loaders = [config[f'{split}_dataloader'] for split in ('train', 'val', 'test')]
    for transform in [t for loader in loaders for t in loader.dataset.pipeline]:
        if transform.type == 'TopdownAffine':
            transform.input_size = (144, 192)
        if transform.type == 'GenerateTarget':
            transform.encoder = codecs


def build_config(images, ann_file, work):
    """The quickstart's config on the photographs, without augmentation."""
    config = Config.fromfile(CONFIG)
    config.work_dir = str(work)
    config.model.test_cfg.flip_test = False
    enlarge(config)

    dataset = dict(
        data_root=f'{images}/',
        data_prefix=dict(img=''),
        ann_file=str(ann_file),
        bbox_file=None,
    )
    random = ('RandomFlip', 'RandomBBoxTransform')
    people = config.train_dataloader.dataset
    people.update(dataset)
    people.pipeline = [t for t in people.pipeline if t.type not in random]
    config.train_dataloader.batch_size = 6
    config.train_dataloader.dataset = dict(
        type='RepeatDataset', times=STEPS, dataset=people
    )
    for split in ('val', 'test'):
        config[f'{split}_dataloader'].dataset.update(dataset)
        config[f'{split}_evaluator'].ann_file = str(ann_file)
    for split in ('train', 'val', 'test'):
        config[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)

    config.train_cfg.update(max_epochs=1, val_interval=2)
    config.param_scheduler = [
        dict(type='CosineAnnealingLR', T_max=STEPS, eta_min=1e-5, by_epoch=False)
    ]
    return config


@pytest.fixture
def overfitted(coco_cc, ann_file, tmp_path):
    """Config of a trained network, and its AP with the ground-truth boxes."""
    config = build_config(coco_cc, ann_file, tmp_path)
    runner = Runner.from_cfg(config)
    runner.train()
    ap = runner.test()['coco/AP']
    config.load_from = str(tmp_path / 'epoch_1.pth')
    return config, ap


def run_test(config, name, work):
    """Test a config; return the AP and the predicted poses."""
    config.experiment_name = name
    config.test_evaluator.outfile_prefix = str(work / name)
    ap = Runner.from_cfg(config).test()['coco/AP']
    return ap, json.loads((work / f'{name}.keypoints.json').read_text())


@pytest.mark.slow
def test_overfits_four_photographs(overfitted, coco_cc, ann_file, tmp_path):
    config, ap = overfitted
    assert ap >= 0.90

    dataset = json.loads(ann_file.read_text())
    detections = simulate_detections(dataset)
    bbox_file = tmp_path / 'detections.json'
    bbox_file.write_text(json.dumps(detections))
    config.test_dataloader.dataset.bbox_file = str(bbox_file)
    ap_before, before = run_test(config, 'before', tmp_path)
    # Duplicates and false positives reduce the precision.
    assert 0.3 < ap_before <= 1

    config.test_evaluator.type = 'PoseNMSCocoMetric'
    config.test_evaluator.pose_nms = dict(preset='rmpe-paper')
    ap_after, after = run_test(config, 'after', tmp_path)
    assert len(before) == len(detections)
    assert len(dataset['annotations']) <= len(after) < 0.8 * len(before)
    # Duplicates have low scores, so AP changes little; it decreases if people are lost.
    assert ap_after > ap_before - 0.02

    out = tmp_path / 'drawn'
    run_experiment(
        'draw_poses',
        *('--ann', ann_file, '--images', coco_cc, '--out', out),
        *('--pred', tmp_path / 'before.keypoints.json'),
        *('--pose-nms', 'rmpe-paper', '--score-thr', 0, '--kpt-thr', 0),
    )
    drawn = sorted(out.glob('*.png'))
    assert len(drawn) == len(IMAGES)
    for path in drawn:
        left, right = np.split(cv2.imread(str(path)).astype(int), 2, axis=1)
        # Before pose NMS on the left, after it on the right.
        assert (left != right).any()
