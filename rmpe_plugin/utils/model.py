# SPDX-License-Identifier: Apache-2.0
"""Models and their wrappers for distributed training."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrap_model(model: nn.Module) -> nn.Module:
    """Return a model without its wrapper.

    Args:
        model (nn.Module): Model of a runner, for example wrapped in
            ``MMDistributedDataParallel``.

    Returns:
        nn.Module: The wrapped model, or ``model`` itself.
    """
    return model.module if is_model_wrapper(model) else model
