# SPDX-License-Identifier: Apache-2.0
"""bfloat16 training on CPUs, which MMEngine's ``AmpOptimWrapper`` does not support."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmpose.models.heads.base_head import BaseHead
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn

from rmpe_plugin.models.heads import return_float32
from rmpe_plugin.utils.model import unwrap_model

PRECISIONS = ('auto', 'bfloat16', 'float32')
# x86 CPUs without these compute bfloat16 convolutions more slowly than float32 ones.
BFLOAT16_FLAGS = ('amx_bf16', 'avx512_bf16')


def bfloat16_flag(cpuinfo: str | Path = '/proc/cpuinfo') -> str | None:
    """Find the instruction set with which this CPU computes bfloat16 quickly.

    Args:
        cpuinfo (str | Path): Linux's description of the CPU. Defaults to
            ``'/proc/cpuinfo'``.

    Returns:
        str | None: ``'amx_bf16'`` or ``'avx512_bf16'``, or ``None`` if the CPU has
        neither or the file does not exist.
    """
    path = Path(cpuinfo)
    words = path.read_text().split() if path.is_file() else []
    return next((flag for flag in BFLOAT16_FLAGS if flag in words), None)


@OPTIM_WRAPPERS.register_module()
class CPUBFloat16OptimWrapper(OptimWrapper):
    """Optimizer wrapper with bfloat16 autocast on CPUs that compute it quickly.

    Parameters, gradients and the optimizer's state stay in float32, and bfloat16 has
    the exponent range of float32, so the loss is not scaled. The log says which
    precision is used and why. The heatmaps of MMPose's heads are converted to float32,
    because the heads compute the accuracy of every batch in NumPy, which has no
    bfloat16.

    Args:
        precision (str): ``'auto'`` is bfloat16 if the model is on a CPU with
            ``amx_bf16`` or ``avx512_bf16``, and float32 otherwise. ``'bfloat16'`` and
            ``'float32'`` are used unconditionally; ``'bfloat16'`` needs the model on
            the CPU. Defaults to ``'auto'``.
        kwargs: Arguments of :class:`mmengine.optim.OptimWrapper`.

    Raises:
        ValueError: If ``precision`` is unknown, or ``'bfloat16'`` for a model that is
            not on the CPU.

    Example:
        >>> optim_wrapper = dict(
        ...     type='CPUBFloat16OptimWrapper', optimizer=dict(type='Adam', lr=5e-4)
        ... )
    """

    def __init__(self, precision: str = 'auto', **kwargs) -> None:
        super().__init__(**kwargs)
        self.use_bfloat16, reason = self._choose(precision)
        name = 'bfloat16 autocast' if self.use_bfloat16 else 'float32'
        print_log(f'CPUBFloat16OptimWrapper: {name}, {reason}', logger='current')

    def _choose(self, precision: str) -> tuple[bool, str]:
        """Decide whether to use bfloat16, and give the reason."""
        if precision not in PRECISIONS:
            raise ValueError(
                f'optim_wrapper.precision must be one of {PRECISIONS}, got '
                f'{precision!r}'
            )
        device = self.optimizer.param_groups[0]['params'][0].device.type
        if precision == 'bfloat16' and device != 'cpu':
            raise ValueError(
                "optim_wrapper.precision='bfloat16' is for models on the CPU, got one "
                f'on {device}; use AmpOptimWrapper there'
            )
        if precision != 'auto':
            return precision == 'bfloat16', f'set by precision={precision!r}'
        if device != 'cpu':
            return False, f'the model is on {device}'
        if flag := bfloat16_flag():
            return True, f'the CPU has {flag}'
        return False, f'the CPU has neither {" nor ".join(BFLOAT16_FLAGS)}'

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass and the losses in the chosen precision.

        Args:
            model (nn.Module): The model that is trained.
        """
        with super().optim_context(model):
            if not self.use_bfloat16:
                yield
                return
            with torch.autocast('cpu', torch.bfloat16), _float32_heatmaps(model):
                yield


@contextmanager
def _float32_heatmaps(model: nn.Module) -> Iterator[None]:
    """Make the head of a pose estimator return float32."""
    head = getattr(unwrap_model(model), 'head', None)
    if not isinstance(head, BaseHead):
        yield
        return
    # Only during the step: a copy of a changed head would call the original.
    return_float32(head)
    try:
        yield
    finally:
        del head.forward
