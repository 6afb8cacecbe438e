# SPDX-License-Identifier: Apache-2.0
"""Variants of a training that differ in the perturbation of the boxes."""

from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config

from rmpe_plugin.ops import ProposalModel
from rmpe_plugin.utils.files import find_shipped

from .comparison import experiment_name
from .runs import train_and_evaluate

NO_JITTER = dict(shift_prob=0.0, scale_prob=0.0)
# Defaults of MMPose's RandomBBoxTransform.
MMPOSE_JITTER = dict(
    shift_factor=0.16, shift_prob=0.3, scale_factor=(0.5, 1.5), scale_prob=1.0
)


class BoxVariant(NamedTuple):
    """Perturbation of the boxes. The rotation is that of the config.

    Attributes:
        model (str, optional): Proposal model: ``'alphapose'``, a file that
            :func:`write_models` writes, or ``None`` for no proposals.
        jitter (dict): Shift and scale of ``RandomBBoxTransform``.
    """

    model: str | None = None
    jitter: dict = NO_JITTER


BOX_VARIANTS = {
    'no jitter': BoxVariant(),
    'RandomBBoxTransform': BoxVariant(jitter=MMPOSE_JITTER),
    'AlphaPose': BoxVariant('alphapose'),
    'PGPG, single mixture': BoxVariant('single_mixture.json'),
    'PGPG': BoxVariant('model.json'),
}


def perturb_boxes(pipeline: list[dict], model: str | None, jitter: dict) -> list[dict]:
    """Replace the box perturbation of a pipeline.

    Args:
        pipeline (list[dict]): Pipeline of ground-truth boxes that begins with loading
            the image. Not changed.
        model (str, optional): ``model`` of ``PoseGuidedProposal``; ``None`` for no
            proposals.
        jitter (dict): Shift and scale of ``RandomBBoxTransform``.

    Returns:
        list[dict]: The new pipeline.
    """
    load, *steps = [
        dict(step, **jitter) if step['type'] == 'RandomBBoxTransform' else step
        for step in pipeline
        if step['type'] != 'PoseGuidedProposal'
    ]
    if model is None:
        return [load, *steps]
    return [load, dict(type='PoseGuidedProposal', model=model), *steps]


def write_models(model: ProposalModel, folder: Path) -> None:
    """Write the proposal models of the variants.

    Args:
        model (ProposalModel): Model fitted to the training detections.
        folder (Path): Existing folder for ``model.json`` and ``single_mixture.json``,
            which ignores the pose.
    """
    model.to_json(folder / 'model.json')
    ProposalModel(model.overall).to_json(folder / 'single_mixture.json')


def box_variant_config(
    variant: str, seed: int, data: Path, folder: Path, cfg_options: dict
) -> Config:
    """Build the config of a variant of the quickstart's CPN.

    Validation is on ground-truth boxes, the test on the detections.

    Args:
        variant (str): A key of :data:`BOX_VARIANTS`.
        seed (int): Seed of the training.
        data (Path): Data set that ``rmpe synthesize images`` wrote.
        folder (Path): Folder of the proposal models and of the trainings.
        cfg_options (dict): Other changes, as ``--cfg-options`` of ``tools/train.py``.

    Returns:
        Config: The config.
    """
    config = Config.fromfile(
        find_shipped('configs/quickstart/td-hm_cpn-res18_pgpg_synthetic-128x96.py')
    )
    annotations = data / 'annotations'
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        config[loader].dataset.data_root = str(data)
    config.val_dataloader.dataset.bbox_file = None
    config.test_dataloader.dataset.bbox_file = str(
        annotations / 'person_detections_val.json'
    )
    for evaluator in (config.val_evaluator, config.test_evaluator):
        evaluator.ann_file = str(annotations / 'person_keypoints_val.json')

    model, jitter = BOX_VARIANTS[variant]
    if model not in (None, 'alphapose'):
        model = str(folder / model)
    config.train_dataloader.dataset.pipeline = perturb_boxes(
        config.train_pipeline, model, jitter
    )
    config.randomness.seed = seed
    config.merge_from_dict(cfg_options)
    name = experiment_name(variant, seed)
    config.work_dir = str(folder / name)
    config.experiment_name = name
    return config


def train_box_variant(config: Config) -> dict[str, float]:
    """Train a variant and compute its AP.

    Args:
        config (Config): See :func:`box_variant_config`.

    Returns:
        dict[str, float]: AP with ``'ground-truth boxes'`` and with ``'detections'``.
    """
    validation, test = train_and_evaluate(config)
    return {
        'ground-truth boxes': float(validation['coco/AP']),
        'detections': float(test['coco/AP']),
    }
