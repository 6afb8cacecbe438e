# SPDX-License-Identifier: Apache-2.0
import re
from collections.abc import Sequence

import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpose.registry import HOOKS, MODELS
from torch import Tensor

from rmpe_plugin.utils.checkpoint import load_state, read_weights
from rmpe_plugin.utils.model import unwrap_model
from rmpe_plugin.utils.model_zoo import find_weights


@HOOKS.register_module()
class FinetuneHook(Hook):
    """Starts a training from a checkpoint of a model for the same or other keypoints.

    MMEngine's ``load_from`` keeps every layer whose shape fits. COCO and Human3.6M both
    have 17 keypoints, but not the same ones. Here the layers of the head that have a
    row for each keypoint are kept by the names of the keypoints: the row of a keypoint
    that the checkpoint and the training data both name, in the same spelling, is copied
    to its new place. The other rows start anew. All other layers are kept, and must be
    in the checkpoint in their shape. The log lists what was kept. A training that was
    resumed is not changed.

    Names of the checkpoint are in its ``meta.dataset_meta``, where MMEngine writes
    them. Layers with rows for keypoints are those that change with
    ``model.head.out_channels``.

    Args:
        checkpoint (str): File or URL of the weights, or the name of a model, such as
            ``'photo'``, see :func:`rmpe_plugin.apis.find_model`.
        reinitialize (Sequence[str]): Regular expressions for the beginnings of the
            names of parameters that start anew, whatever their keypoints and shapes.
            Defaults to ``()``.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
        ValueError: If an expression fits no parameter; if the checkpoint lacks another
            parameter of the model or has it in another shape; if it does not name its
            keypoints; or if the model has not the number of keypoints of the data.
    """

    # Runs before ParallelSPPEHook, which copies the weights.
    priority = 'HIGH'

    def __init__(self, checkpoint: str, reinitialize: Sequence[str] = ()) -> None:
        self.checkpoint, self.reinitialize = checkpoint, tuple(reinitialize)

    def before_train(self, runner: Runner) -> None:
        """Load the weights."""
        # MMEngine has loaded the checkpoint to resume, if there is one.
        if runner.iter > 0:
            return
        model = unwrap_model(runner.model)
        own = model.state_dict()
        state, meta = read_weights(find_weights(self.checkpoint))
        new = self._new_names([*own])
        state.update({name: own[name] for name in new})
        names = _names(runner.train_dataloader.dataset.metainfo)
        saved = _names(meta.get('dataset_meta', {}))
        head = runner.cfg.get('model', {}).get('head', {})
        layers = _layers_by_keypoint(head, own) - new
        if layers:
            self._check_names(layers, head['out_channels'], names, saved)
            notes = self._copy_rows(layers, own, state, names, saved)
        elif not new and saved != names:
            raise ValueError(
                f'{self.checkpoint} is of other keypoints, and {head.get("type")} has '
                'no out_channels that would tell which layers depend on them: name '
                'those in FinetuneHook.reinitialize'
            )
        else:
            notes = []
        load_state(model, state, self.checkpoint)
        lines = [
            f'{self.checkpoint}: of {len(own)} parameters and buffers, '
            f'{len(own) - len(new) - len(layers)} are kept, {len(layers)} are kept by '
            f'the names of keypoints, {len(new)} start anew',
            *notes,
            *sorted(new),
        ]
        print_log('\n'.join(lines), logger='current')

    def _check_names(
        self,
        layers: set[str],
        number: int,
        names: list[str],
        saved: list[str],
    ) -> None:
        """Raise if keypoints have no names, or the model has another number of them."""
        if not saved:
            raise ValueError(
                f'{self.checkpoint} does not name its keypoints in meta.dataset_meta: '
                'name the layers that start anew in FinetuneHook.reinitialize, of '
                f'{", ".join(sorted(layers))}; or set load_from if the keypoints are '
                'those of the data'
            )
        if number != len(names):
            raise ValueError(
                f'model.head.out_channels is {number}, but the training data have '
                f'{len(names)} keypoints: {", ".join(names)}'
            )

    def _copy_rows(
        self,
        layers: set[str],
        own: dict[str, Tensor],
        state: dict[str, Tensor],
        names: list[str],
        saved: list[str],
    ) -> list[str]:
        """Move the rows of ``layers`` in ``state`` to the model's keypoints."""
        shared = [name for name in names if name in saved]
        sources = torch.tensor([saved.index(n) for n in shared], dtype=torch.long)
        places = torch.tensor([names.index(n) for n in shared], dtype=torch.long)
        # load_state raises for those that the checkpoint lacks.
        for layer in sorted(layers & state.keys()):
            rows = own[layer].clone()
            expected = (len(saved), *rows.shape[1:])
            if len(rows) != len(names) or state[layer].shape != expected:
                raise ValueError(
                    f'{self.checkpoint} does not fit the model: {layer} must have the '
                    f'shape {expected}, a row for each keypoint, got '
                    f'{tuple(state[layer].shape)}; FinetuneHook.reinitialize lets it '
                    'start anew'
                )
            rows[places] = state[layer][sources].to(rows)
            state[layer] = rows
        anew = [name for name in names if name not in saved]
        return [
            f'{len(shared)} keypoints are kept: {", ".join(shared) or "none"}',
            f'{len(anew)} keypoints start anew: {", ".join(anew) or "none"}',
        ]

    def _new_names(self, names: Sequence[str]) -> set[str]:
        """Names of the parameters and buffers that start anew."""
        new: set[str] = set()
        for expression in self.reinitialize:
            matches = {name for name in names if re.match(expression, name)}
            if not matches:
                raise ValueError(
                    f'FinetuneHook.reinitialize: {expression!r} fits no parameter of '
                    f'the model, such as {names[-1]}'
                )
            new |= matches
        return new


def _names(metainfo: dict) -> list[str]:
    """Names of the keypoints in MMPose's description; empty without them."""
    return [*metainfo.get('keypoint_name2id', ())]


def _layers_by_keypoint(head: ConfigDict, own: dict[str, Tensor]) -> set[str]:
    """Parameters and buffers that change with the number of keypoints of the head."""
    if 'out_channels' not in head:
        return set()
    # The random numbers of the training must not depend on a second head.
    with torch.random.fork_rng(devices=[]):
        larger = MODELS.build(dict(head, out_channels=head['out_channels'] + 1))
    shapes = {f'head.{name}': x.shape for name, x in larger.state_dict().items()}
    return {name for name, shape in shapes.items() if shape != own[name].shape}
