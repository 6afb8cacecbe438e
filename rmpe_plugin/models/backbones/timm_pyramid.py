# SPDX-License-Identifier: Apache-2.0
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import CheckpointLoader
from mmpose.registry import MODELS
from mmpose.utils.typing import OptConfigType
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

try:
    import timm
    from timm.models._features import FeatureGetterNet, FeatureListNet
except ImportError:
    timm = None


# Arguments of timm.create_model that TimmPyramid sets.
RESERVED = {'out_indices', 'features_only', 'pretrained'}


@MODELS.register_module()
class TimmPyramid(BaseModule):
    """Feature pyramid of an image classification model of timm.

    Blocks after the last level are removed. Parameters that no level depends on, as in
    HRNet without its deepest level, are not trained.

    Args:
        model_name (str): Name of a model in ``timm.list_models()``.
        strides (Sequence[int]): Strides of the levels, fine to coarse. A head at
            stride 4, such as :class:`CPNHead`, needs 4 as the first. Defaults to
            (4, 8, 16, 32).
        frozen_stages (int): Number of levels whose layers, and all layers before them,
            are not trained and whose batch normalisation uses its running statistics.
            Defaults to 0.
        norm_eval (bool): Whether batch normalisation uses its running statistics in
            training too. Defaults to ``False``.
        with_cp (bool): Whether to use gradient checkpointing: less memory, slower.
            Defaults to ``False``.
        model_args (dict, optional): Further arguments of ``timm.create_model``, such as
            ``drop_path_rate``. Defaults to ``None``.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=...)`` with the
            weights of the whole classification model: a file, a URL of MMEngine, or
            ``'package://NAME'`` for an installed package, see
            :func:`~rmpe_plugin.utils.checkpoint.load_from_package`. The parameters have
            the names of timm, or other names in the same order with the same shapes.
            With ``prefix``, MMEngine loads part of a checkpoint as usual. Defaults to
            ``None``: timm's random initialisation.

    Raises:
        ImportError: If timm is not installed.
        ValueError: If timm has no such model, the model has no level with a stride, or
            a setting is not valid or not supported by the model; in
            :meth:`init_weights`, if the checkpoint does not fit the model.
    """

    def __init__(
        self,
        model_name: str,
        strides: Sequence[int] = (4, 8, 16, 32),
        frozen_stages: int = 0,
        norm_eval: bool = False,
        with_cp: bool = False,
        model_args: dict | None = None,
        init_cfg: OptConfigType = None,
    ) -> None:
        super().__init__(init_cfg)
        if timm is None:
            raise ImportError(
                "backbone type 'TimmPyramid' needs timm: "
                "pip install 'rmpe_plugin[light]'"
            )
        if not timm.is_model(model_name):
            raise ValueError(
                f'backbone.model_name {model_name!r} is unknown to timm '
                f'{timm.__version__}; timm.list_models() lists the names'
            )
        self.model_name = model_name
        self.model_args = dict(model_args or {})
        self.norm_eval = norm_eval
        reserved = self.model_args.keys() & RESERVED
        if reserved:
            raise ValueError(
                f'backbone.model_args must not contain {", ".join(sorted(reserved))}: '
                'use backbone.strides and backbone.init_cfg'
            )
        self.model_args['out_indices'] = self._levels(strides)
        self.net = self._create(pretrained=False)
        self._freeze_unused()
        if with_cp:
            self._checkpoint_gradients()
        self.strides = tuple(self.net.feature_info.reduction())
        self.channels = tuple(self.net.feature_info.channels())
        self.frozen = self._modules_before(frozen_stages)
        for name in self.frozen:
            self.net.get_submodule(name).requires_grad_(False)

    def _levels(self, strides: Sequence[int]) -> list[int]:
        """Indices of timm's features with these strides, the deepest of each."""
        info = self._create(pretrained=False).feature_info
        level_of = dict(zip(info.reduction(), info.out_indices, strict=True))
        missing = [stride for stride in strides if stride not in level_of]
        if missing or list(strides) != sorted(set(strides)) or not strides:
            raise ValueError(
                f'backbone.strides must increase and be among {sorted(level_of)}, the '
                f'strides of {self.model_name}, got {tuple(strides)}'
            )
        return [level_of[stride] for stride in strides]

    def _create(self, **kwargs) -> nn.Module:
        """Create the feature extractor, without the blocks after the last level."""
        args = dict(self.model_args, **kwargs)
        net = timm.create_model(self.model_name, features_only=True, **args)
        # timm keeps them in EfficientNets and MobileNets.
        name, _, index = net.feature_info.module_name()[-1].rpartition('.')
        blocks = getattr(net, name, None)
        if isinstance(blocks, nn.Sequential):
            del blocks[int(index) + 1 :]
        return net

    def _freeze_unused(self) -> None:
        """Freeze parameters that no level depends on, which DDP does not accept."""
        # timm ends these networks at the last level.
        if isinstance(self.net, (FeatureListNet, FeatureGetterNet)):
            return
        # Models that are built in this mode cannot be trained.
        if torch.is_inference_mode_enabled():
            return
        with torch.enable_grad():
            levels = self.net.eval()(torch.zeros(1, 3, 64, 64))
            total = sum(level.sum() for level in levels)
        parameters = [p for p in self.net.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(total, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.requires_grad_(gradient is not None)
        self.net.train()

    def _checkpoint_gradients(self) -> None:
        """Enable gradient checkpointing."""
        if not hasattr(self.net, 'set_grad_checkpointing'):
            raise ValueError(f'backbone.with_cp is not supported for {self.model_name}')
        self.net.set_grad_checkpointing()

    def _modules_before(self, num_levels: int) -> list[str]:
        """Names of the modules with parameters, up to the end of the first levels."""
        if not 0 <= num_levels <= len(self.channels):
            raise ValueError(
                f'backbone.frozen_stages must be 0 to {len(self.channels)}, the number '
                f'of levels, got {num_levels}'
            )
        if num_levels == 0:
            return []
        end = self.net.feature_info.module_name()[num_levels - 1]
        leaves = [
            name
            for name, module in self.net.named_modules()
            if next(module.parameters(recurse=False), None) is not None
        ]
        prefixes = (f'{end}.', f'{end.replace(".", "_")}.')
        inside = [name.startswith(prefixes) for name in leaves]
        if not any(inside):
            raise ValueError(
                f'backbone.frozen_stages is not supported for {self.model_name}, whose '
                f'level {end!r} is not a module with parameters'
            )
        last = max(i for i, is_inside in enumerate(inside) if is_inside)
        return leaves[: last + 1]

    def init_weights(self) -> None:
        """Load the pretrained weights of ``init_cfg``."""
        config = self.init_cfg or {}
        if config.get('type') != 'Pretrained' or 'prefix' in config:
            super().init_weights()
            return
        state = read_classifier(config['checkpoint'], self.model_name)
        # timm knows how its feature extractors name and select these parameters.
        with _quiet_timm():
            source = self._create(
                pretrained=True, pretrained_cfg_overlay=dict(state_dict=state)
            )
        self.net.load_state_dict(source.state_dict())
        self._is_init = True

    def train(self, mode: bool = True) -> 'TimmPyramid':
        """Set the mode; frozen layers, and all with ``norm_eval``, use statistics."""
        super().train(mode)
        for name, module in self.net.named_modules():
            fixed = self.norm_eval or name in self.frozen
            if fixed and isinstance(module, _BatchNorm):
                module.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the feature pyramid.

        Args:
            x (Tensor): Images (B, 3, h, w).

        Returns:
            tuple[Tensor, ...]: Features (B, C_i, h / s, w / s), one per stride s.
        """
        levels = self.net(x)
        if getattr(self.net, 'output_fmt', 'NCHW') == 'NHWC':
            levels = [level.permute(0, 3, 1, 2) for level in levels]
        return tuple(levels)


def read_classifier(filename: str, model_name: str) -> dict[str, Tensor]:
    """Read the weights of a classification model of timm.

    Args:
        filename (str): Checkpoint, see :class:`TimmPyramid`.
        model_name (str): Name of the model.

    Returns:
        dict[str, Tensor]: State dict with timm's names.

    Raises:
        ValueError: If a tensor is missing, superfluous or of another shape.
    """
    checkpoint = CheckpointLoader.load_checkpoint(filename, map_location='cpu')
    state = checkpoint.get('state_dict', checkpoint)
    expected = timm.create_model(model_name).state_dict()
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f'{filename} is not a state dict, it contains {[*state][:3]}')
    same_names = state.keys() == expected.keys()
    names = expected.keys() if same_names else state.keys()
    if not same_names:
        # Other implementations have the same tensors in the same order.
        print_log(
            f'{filename} has other names than timm: tensors are matched by their order',
            logger='current',
        )
    for name, wanted in zip(names, expected, strict=False):
        if state[name].shape != expected[wanted].shape:
            raise ValueError(
                f'{filename} does not fit backbone.model_name {model_name!r}: {name} '
                f'has shape {tuple(state[name].shape)}, {wanted} has '
                f'{tuple(expected[wanted].shape)}'
            )
    if len(state) != len(expected):
        raise ValueError(
            f'{filename} does not fit backbone.model_name {model_name!r}: it has '
            f'{len(state)} tensors, the model has {len(expected)}'
        )
    return dict(zip(expected, map(state.get, names), strict=True))


@contextmanager
def _quiet_timm() -> Iterator[None]:
    """Suppress timm's warning that a feature extractor has no classifier."""
    logger = logging.getLogger('timm.models._builder')
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False
