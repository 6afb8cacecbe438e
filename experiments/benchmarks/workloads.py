# SPDX-License-Identifier: Apache-2.0
"""Inputs and functions that several benchmarks time."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.models.losses import KeypointOHKMMSELoss
from mmpose.registry import MODELS
from mmpose.structures import MultilevelPixelData, PoseDataSample
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rmpe_plugin.apis import find_model
from rmpe_plugin.fitting.evaluation_split import EvaluationSplit
from rmpe_plugin.models.heads import Heatmaps, decoded_heatmaps
from rmpe_plugin.models.losses import OHKMMSELoss
from rmpe_plugin.models.pose_estimators import SSTNPoseEstimator
from rmpe_plugin.ops import invert_affine
from rmpe_plugin.utils.mmpose_tools import find_mmpose_tool

# --- other load -----------------------------------------------------------------------

BUSY_PROGRAMS = (
    'while True: pass',
    'import torch; torch.set_num_threads(2)\na = torch.rand(512, 512)\nwhile 1: a @ a',
)


@contextmanager
def busy_cores(busy: bool) -> Iterator[None]:
    """Run other programs at the same time."""
    programs = BUSY_PROGRAMS if busy else ()
    processes = [subprocess.Popen([sys.executable, '-c', code]) for code in programs]
    try:
        yield
    finally:
        for process in processes:
            process.kill()


# --- configs --------------------------------------------------------------------------

CONFIGS = Path(__file__).parents[2] / 'configs'
MMPOSE = find_mmpose_tool('train.py').parents[1] / 'configs'
TOPDOWN = MMPOSE / 'body_2d_keypoint/topdown_heatmap/coco'
CPN = CONFIGS / 'cpn/coco/td-hm_cpn-res50_8xb32-160e_coco-256x192.py'
SSTN = CONFIGS / 'rmpe/coco/td-hm_cpn-res50_rmpe-stage2-8xb32-30e_coco-256x192.py'
SIMPLE_BASELINE = TOPDOWN / 'td-hm_res50_8xb64-210e_coco-256x192.py'
HRNET = TOPDOWN / 'td-hm_hrnet-w32_8xb64-210e_coco-256x192.py'
# Pose estimators for inference, by name.
POSE_ESTIMATORS = {
    'quickstart': CONFIGS / 'quickstart/td-hm_cpn-res18_synthetic-128x96.py',
    'CPN-ResNet-50': CPN,
    'CPN-ResNet-50 SSTN': SSTN,
    'HRNet-W32': HRNET,
    'photo': find_model('photo').config,
}

# --- networks -------------------------------------------------------------------------


def build(path: Path, device: str, **changes) -> nn.Module:
    """Build the model of a config, with changes of its keys and random weights."""
    config = Config.fromfile(path)
    config.merge_from_dict({f'model.{key}': value for key, value in changes.items()})
    config.model.train_cfg = dict(compute_acc=False)
    torch.manual_seed(0)
    model = MODELS.build(config.model).to(device)
    if getattr(model, 'parallel_cfg', None) is not None:
        model.init_parallel_sppe()
    return model


def target(device: str) -> PoseDataSample:
    """Make a sample with random targets of five levels."""
    fields = MultilevelPixelData()
    fields.set_field(list(torch.rand(5, 17, 64, 48, device=device) * 255), 'heatmaps')
    labels = InstanceData(keypoint_weights=torch.ones(5, 1, 17, device=device))
    return PoseDataSample(gt_fields=fields, gt_instance_labels=labels)


def forward(model: nn.Module, images: torch.Tensor) -> Callable[[], object]:
    """Make a function that predicts the heatmaps that are decoded."""
    model.eval()

    def heatmaps(inputs: torch.Tensor) -> Heatmaps:
        feats = model.extract_feat(inputs)
        return decoded_heatmaps(model.head, feats, model.test_cfg)

    @torch.inference_mode()
    def run():
        if not isinstance(model, SSTNPoseEstimator):
            return heatmaps(images)
        warped, theta = model.transform(images)
        return model.sdtn(heatmaps(warped), invert_affine(theta))

    return run


def gmacs(model: nn.Module) -> float:
    """Count the multiply-adds of a forward pass at 256x192, in 1e9."""
    device = next(model.parameters()).device
    with FlopCounterMode(display=False) as counter:
        forward(model, torch.zeros(1, 3, 256, 192, device=device))()
    return counter.get_total_flops() / 2e9


def step(model: nn.Module, images: torch.Tensor, samples: list) -> Callable:
    """Make a function that runs a training step."""
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-4)

    def run():
        optimizer.zero_grad()
        losses = model(images, samples, mode='loss')
        sum(loss for name, loss in losses.items() if 'loss' in name).backward()
        optimizer.step()

    return run


# --- OHKM -----------------------------------------------------------------------------


def loss_steps(
    shape: tuple[int, int, int, int], topk: int, device: str
) -> dict[str, Callable[[], object]]:
    """Forward and backward pass of both losses on the same heatmaps, by name."""
    torch.manual_seed(0)
    pred = torch.randn(shape, device=device, requires_grad=True)
    target = torch.randn(shape, device=device)
    weights = (torch.rand(shape[:2], device=device) > 0.3).float()

    def step(cls):
        loss = cls(use_target_weight=True, topk=topk)

        def run():
            pred.grad = None
            value = loss(pred, target, weights)
            value.backward()
            return value.detach()

        return run

    functions = {cls.__name__: step(cls) for cls in (KeypointOHKMMSELoss, OHKMMSELoss)}
    torch.testing.assert_close(*(run() for run in functions.values()))
    return functions


# --- pose NMS -------------------------------------------------------------------------


def scene(
    rng: np.random.Generator, number: int, duplicates: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses (N, 17, 2), scores (N, 17) and boxes (N, 4) of one image."""
    persons = -(-number // duplicates)
    keypoints = rng.uniform(0, 1000, (persons, 1, 2)) + rng.normal(
        0, 40, (persons, 17, 2)
    )
    keypoints = np.repeat(keypoints, duplicates, axis=0)[:number]
    keypoints += rng.normal(0, 2, keypoints.shape)
    boxes = np.concatenate((keypoints.min(axis=1), keypoints.max(axis=1)), axis=1)
    return keypoints, rng.uniform(0.2, 1, keypoints.shape[:2]), boxes


def instances(
    keypoints: np.ndarray, scores: np.ndarray, boxes: np.ndarray
) -> list[dict]:
    """Convert a scene to the input of MMPose's NMS."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return [
        dict(keypoints=np.column_stack((pose, score)), score=score.mean(), area=area)
        for pose, score, area in zip(keypoints, scores, areas, strict=True)
    ]


# --- search of pose NMS parameters ----------------------------------------------------


def random_person(rng: np.random.Generator, image_id: int) -> dict:
    """Annotation of a person with 17 visible keypoints at random positions."""
    keypoints = rng.uniform(50, 400, (1, 2)) + rng.normal(0, 30, (17, 2))
    corner, size = keypoints.min(axis=0), np.ptp(keypoints, axis=0)
    return dict(
        image_id=image_id,
        category_id=1,
        bbox=[*corner.tolist(), *size.tolist()],
        keypoints=np.insert(keypoints, 2, 2, axis=1).ravel().tolist(),
        iscrowd=0,
        num_keypoints=17,
        area=float(size.prod()),
    )


def random_prediction(rng: np.random.Generator, person: dict) -> dict:
    """Prediction of a person with a random error of its keypoints."""
    keypoints = np.reshape(person['keypoints'], (17, 3))[:, :2]
    keypoints = keypoints + rng.normal(0, 1, (17, 2)) * rng.uniform(1, 15)
    return dict(
        image_id=person['image_id'],
        category_id=1,
        bbox=person['bbox'],
        keypoints=np.insert(keypoints, 2, 1, axis=1).ravel().tolist(),
        score=float(rng.random()),
    )


def random_split(
    rng: np.random.Generator, images: int, poses: int, people: int
) -> EvaluationSplit:
    """Images with random annotations, and predictions near them."""
    dataset = dict(images=[], annotations=[], categories=[dict(id=1, name='person')])
    predictions = {}
    for image in range(images):
        dataset['images'].append(
            dict(id=image, file_name=f'{image}.jpg', width=640, height=480)
        )
        persons = [random_person(rng, image) for _ in range(people)]
        for person in persons:
            annotation_id = len(dataset['annotations']) + 1
            dataset['annotations'].append(dict(person, id=annotation_id))
        predicted = rng.integers(people, size=poses)
        predictions[image] = [random_prediction(rng, persons[i]) for i in predicted]
    return EvaluationSplit(dataset, np.full(17, 0.07), predictions)
