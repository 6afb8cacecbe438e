# SPDX-License-Identifier: Apache-2.0
"""A model without what wraps it in distributed training."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """The model itself.

    Args:
        model (nn.Module): A runner's model, which may be in
            ``MMDistributedDataParallel``.

    Returns:
        nn.Module: The model without it.
    """
    return model.module if is_model_wrapper(model) else model
