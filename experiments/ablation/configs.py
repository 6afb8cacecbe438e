# SPDX-License-Identifier: Apache-2.0
"""Files of the ablation, and the configs of its trainings and tests."""

import copy
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from experiments.box_variants import NO_JITTER, perturb_boxes
from rmpe_plugin.inference.crop_geometry import PADDINGS
from rmpe_plugin.utils.files import find_shipped

from .plan import INITIALISATION, TRAININGS, Size

_DETECTOR = 'configs/quickstart/rtmdet-small_synthetic-160x128.py'
_STAGE1 = 'configs/quickstart/td-hm_cpn-res18_pgpg_synthetic-128x96.py'
_STAGE2 = 'configs/quickstart/td-hm_cpn-res18_sstn_synthetic-128x96.py'
#: Padding of width and height of the crops.
PADDING = PADDINGS['CPNBBoxCenterScale']


@dataclass(frozen=True)
class AblationFiles:
    """Paths of the ablation's files.

    Attributes:
        folder (Path): The folder of all files, absolute.
        size (Size): Size of the ablation.
    """

    folder: Path
    size: Size

    @property
    def data(self) -> Path:
        """Data set of the synthetic people."""
        return self.folder / 'people'

    @property
    def proposals(self) -> Path:
        """Proposal model."""
        return self.folder / 'pgpg.json'

    @property
    def detector(self) -> Path:
        """Config of the detector, in its work directory."""
        return self.folder / 'detector' / 'detector.py'

    @property
    def training_boxes(self) -> Path:
        """Proposal model of the training boxes."""
        return self.proposals

    def detector_checkpoint(self, epoch: int | None = None) -> Path:
        """Checkpoint of the detector after an epoch, by default the last one."""
        return self.detector.parent / f'epoch_{epoch or self.size.detector_epochs}.pth'

    @staticmethod
    def split_of(boxes: str) -> str:
        """Split of the test boxes ``'val'``, ``'tune'`` or ``'gt'``."""
        return 'val' if boxes == 'gt' else boxes

    def annotations(self, split: str) -> Path:
        """COCO annotations of a split."""
        return self.data / 'annotations' / f'person_keypoints_{split}.json'

    def detections(self, split: str, epoch: int | None = None) -> Path:
        """The detector's boxes of a split, by default those after the last epoch.

        They are simulated if there is no detector.
        """
        if not self.size.detector_epochs:
            return self.data / 'annotations' / f'person_detections_{split}.json'
        name = split if epoch is None else f'{split}-epoch_{epoch}'
        return self.detector.parent / f'{name}.json'

    def work_dir(self, name: str, seed: int) -> Path:
        """Work directory of a training; all seeds have the same initialisation."""
        folder = '' if name == INITIALISATION else f'seed-{seed}'
        return self.folder / folder / name

    def checkpoint(self, name: str, seed: int) -> Path:
        """Last checkpoint of a training."""
        return self.work_dir(name, seed) / f'epoch_{self.epochs(name)}.pth'

    def epochs(self, name: str) -> int:
        """Epochs of a training."""
        training = TRAININGS[name]
        return self.size.epochs[training.stage] * training.length

    def padding(self, name: str, seed: int) -> float:
        """Factor of the padding of a training's crops."""
        padding = TRAININGS[name].padding
        if padding is None:
            raise ValueError(f'the padding of {name!r} is not measured here')
        return padding

    def config(self, name: str, seed: int, boxes: str) -> Path:
        """Config that a training or test is run with."""
        return self.work_dir(name, seed) / f'{boxes}.py'

    def predictions(self, name: str, seed: int, boxes: str) -> Path:
        """Predicted poses: of a split's detections, or of the ground-truth boxes."""
        return self.work_dir(name, seed) / f'{boxes}.keypoints.json'


def build_detector_config(files: AblationFiles) -> Config:
    """Build the config of the detector, trained on a split of its own.

    Args:
        files (AblationFiles): The files.

    Returns:
        Config: The config.
    """
    config = Config.fromfile(find_shipped(_DETECTOR))
    for loader, split in (
        (config.train_dataloader, 'detector'),
        (config.val_dataloader, 'val'),
    ):
        loader.dataset.update(
            data_root=str(files.data),
            ann_file=str(files.annotations(split)),
            data_prefix=dict(img=f'{split}/'),
        )
        loader.num_workers = files.size.num_workers
    config.val_evaluator.ann_file = str(files.annotations('val'))
    config.test_dataloader = copy.deepcopy(config.val_dataloader)
    config.test_evaluator = copy.deepcopy(config.val_evaluator)
    _set_epochs(config, files.size.detector_epochs)
    config.default_hooks.checkpoint.update(max_keep_ckpts=-1)
    return config


def build_training_config(files: AblationFiles, name: str, seed: int) -> Config:
    """Build the config of a training.

    Its validation is the test on the detections of the validation split, and writes
    the predicted poses.

    Args:
        files (AblationFiles): The files.
        name (str): A key of :data:`TRAININGS`.
        seed (int): Seed of the training.

    Returns:
        Config: The config.
    """
    training = TRAININGS[name]
    config = Config.fromfile(find_shipped(_STAGE1 if training.stage < 2 else _STAGE2))
    _set_model(config, files, name, seed)
    _set_training_data(config, files, training.boxes)
    _set_evaluation(config, files, 'val', files.predictions(name, seed, 'val'))
    config.test_dataloader.dataset.bbox_file = str(files.detections('val'))
    config.val_dataloader = copy.deepcopy(config.test_dataloader)
    config.val_evaluator = copy.deepcopy(config.test_evaluator)
    _set_epochs(config, files.epochs(name))
    _set_padding(config, files.padding(name, seed))
    config.merge_from_dict(dict(optim_wrapper=copy.deepcopy(training.optim)))
    if training.hooks:
        config.custom_imports.imports.append('experiments.ablation.topk_schedule')
        config.custom_hooks += copy.deepcopy([*training.hooks])
    if training.stage == 0:
        # It starts from random weights.
        config.optim_wrapper.optimizer.lr *= 2
    if training.stage < 2:
        # Only the windows of an SSTN need float32.
        config.optim_wrapper.precision = 'auto'
    config.randomness.seed = seed
    return config


def build_test_config(files: AblationFiles, name: str, seed: int, boxes: str) -> Config:
    """Build the config of a test on other boxes than the training's validation.

    Args:
        files (AblationFiles): The files.
        name (str): The training, a key of :data:`TRAININGS`.
        seed (int): Seed of the training.
        boxes (str): ``'gt'`` for the ground-truth boxes of the validation split, or
            the split whose detections are used.

    Returns:
        Config: The config.
    """
    config = build_training_config(files, name, seed)
    split = files.split_of(boxes)
    detections = None if boxes == 'gt' else str(files.detections(split))
    config.test_dataloader.dataset.bbox_file = detections
    _set_evaluation(config, files, split, files.predictions(name, seed, boxes))
    return config


def build_window_config(files: AblationFiles, name: str, seed: int) -> Config:
    """Build the config that measures how precise an SSTN's windows are.

    The test boxes are sampled for the people of the validation split from the proposal
    model, which is fitted to the detector's matched boxes.

    Args:
        files (AblationFiles): The files.
        name (str): A training with an SSTN, a value of :data:`WINDOWS`.
        seed (int): Seed of the training.

    Returns:
        Config: The config, whose test reports the metrics of ``WindowIoUMetric``.
    """
    config = build_test_config(files, name, seed, 'gt')
    config.test_dataloader.dataset.pipeline = perturb_boxes(
        config.val_pipeline, str(files.proposals), NO_JITTER
    )
    config.test_evaluator = dict(type='WindowIoUMetric')
    config.load_from = str(files.checkpoint(name, seed))
    config.work_dir = str(files.work_dir(name, seed))
    config.experiment_name = f'windows-{name}-{seed}'
    config.log_level = 'WARNING'
    config.randomness.seed = 0  # the same proposals for all trainings
    return config


def _set_epochs(config: Config, epochs: int) -> None:
    """Set the length of a training, with a validation at its end.

    An interrupted training continues after its last epoch.
    """
    config.train_cfg.max_epochs = epochs
    config.param_scheduler[-1].end = epochs
    config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=1, save_best=None)


def _set_padding(config: Config, factor: float) -> None:
    """Multiply the padding of the crops, in training and in tests."""
    if factor == 1:
        return
    for loader in (config.train_dataloader, config.test_dataloader):
        for step in loader.dataset.pipeline:
            if step['type'] == 'CPNBBoxCenterScale':
                step['padding'] = [factor * side for side in PADDING]
    config.val_dataloader = copy.deepcopy(config.test_dataloader)


def _set_model(config: Config, files: AblationFiles, name: str, seed: int) -> None:
    """Set the width of the networks, what a training changes, and where it starts."""
    training = TRAININGS[name]
    channels = [files.size.width * 2**level for level in range(4)]
    backbone = dict(base_channels=channels[0], stem_channels=channels[0])
    model = config.model
    model.backbone.update(backbone)
    model.head.update(in_channels=channels, feat_channels=channels[1])
    model.test_cfg.flip_test = False
    config.merge_from_dict(dict(model=dict(head=copy.deepcopy(training.head))))
    if training.after is not None:
        config.load_from = str(files.checkpoint(training.after, seed))
    if training.stage == 2:
        model.stn.backbone.update(backbone)
        model.stn.backbone.init_cfg.checkpoint = config.load_from
        model.stn.in_channels = channels[-1]
        _change_sstn(config, copy.deepcopy(training.sstn))
        # The config of stage 1 has it already.
        config.custom_hooks.append(dict(type='ChannelsLastHook'))


def _change_sstn(config: Config, changes: dict | None) -> None:
    """Change the SSTN of a config of stage 2; ``None`` removes it."""
    if changes is None:
        config.model.type = 'TopdownPoseEstimator'
        for key in ('stn', 'parallel'):
            config.model.pop(key)
    else:
        config.model.update(changes)
    if config.model.get('parallel') is None:
        config.custom_hooks = [
            hook for hook in config.custom_hooks if hook.type != 'ParallelSPPEHook'
        ]


def _set_training_data(config: Config, files: AblationFiles, boxes: str) -> None:
    """Set the data set and the training boxes."""
    for loader in (config.train_dataloader, config.test_dataloader):
        loader.dataset.data_root = str(files.data)
        loader.batch_size = files.size.batch_size
        loader.num_workers = files.size.num_workers
        loader.persistent_workers = False
    model = str(files.training_boxes) if boxes == 'proposals' else None
    # Without PGPG: shift and scale of about the size of a detector's errors.
    jitter = (
        Config.fromfile(find_shipped(_STAGE2)).perturbation
        if boxes == 'jitter'
        else NO_JITTER
    )
    config.train_dataloader.dataset.pipeline = perturb_boxes(
        config.train_pipeline, model, jitter
    )


def _set_evaluation(
    config: Config, files: AblationFiles, split: str, predictions: Path
) -> None:
    """Set the test split, and the file of the predicted poses."""
    annotations = str(files.annotations(split))
    config.test_dataloader.dataset.update(
        ann_file=annotations, data_prefix=dict(img=f'{split}/')
    )
    config.test_evaluator.ann_file = annotations
    # CocoMetric appends '.keypoints.json'.
    prefix = predictions.with_suffix('').with_suffix('')
    config.test_evaluator.outfile_prefix = str(prefix)
