# SPDX-License-Identifier: Apache-2.0
"""Formats of exported pose estimators: inputs, outputs and their meaning."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rmpe_plugin.inference import PoseGraph
from rmpe_plugin.models.heads import predicts_heatmaps

from .metadata import PoseMetadata
from .rtmlib_graph import SPLIT_RATIO, RTMLibGraph

DTYPES = ('uint8', 'float32')

# Keypoints (B, K, 2), pixels of the crops, and scores (B, K).
Poses = tuple[np.ndarray, np.ndarray]


class PoseFormat:
    """Crops to keypoints and scores, the standard format.

    Args:
        graph (PoseGraph): The pose estimator.
        metadata (PoseMetadata): Its metadata.
        dtype (str): Type of the crops, ``'uint8'`` or ``'float32'``. Values are 0 to
            255. Defaults to ``'uint8'``.
        image_pixels (bool): Whether a second input, ``inverse_affine`` (B, 2, 3), maps
            the keypoints to pixels of the images. Defaults to ``False``.
    """

    outputs: tuple[str, ...] = ('keypoints', 'scores')
    #: Whether the batch size is any number, or 1.
    dynamic_batch = True

    def __init__(
        self,
        graph: PoseGraph,
        metadata: PoseMetadata,
        dtype: str = 'uint8',
        image_pixels: bool = False,
    ) -> None:
        self.graph: nn.Module = graph
        self.metadata = metadata
        self.dtype, self.image_pixels = dtype, image_pixels

    def feeds(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Convert crops to inputs by name.

        Args:
            images (np.ndarray): Crops (B, 3, h, w), BGR, uint8.

        Returns:
            dict[str, np.ndarray]: The inputs.
        """
        feeds = dict(crops=self.metadata.to_input(images, self.dtype))
        if self.image_pixels:
            identity = np.eye(2, 3, dtype=np.float32)
            feeds['inverse_affine'] = np.stack([identity] * len(images))
        return feeds

    def examples(self) -> dict[str, Tensor]:
        """Inputs with which the graph is traced."""
        width, height = self.metadata.input_size
        batch = 2 if self.dynamic_batch else 1
        feeds = self.feeds(np.zeros((batch, 3, height, width), np.uint8))
        return {name: torch.from_numpy(array) for name, array in feeds.items()}

    def poses(self, outputs: Sequence[np.ndarray]) -> Poses:
        """Read the poses from the outputs, for a comparison.

        Args:
            outputs (Sequence[np.ndarray]): Values of :attr:`outputs`.

        Returns:
            tuple[np.ndarray, np.ndarray]: Keypoints (B, K, 2) in pixels of the crops
            and scores (B, K).
        """
        keypoints, scores = outputs
        return keypoints, scores

    def expected(self, poses: Poses) -> Poses:
        """Convert the poses of the PyTorch model to what :meth:`poses` reads."""
        return poses


class HeatmapGraph(nn.Module):
    """The part of a :class:`PoseGraph` before decoding.

    Args:
        graph (PoseGraph): The graph.

    Raises:
        ValueError: If the head predicts no heatmaps, or an SSTN does not warp them to
            the frame of the crop.
    """

    def __init__(self, graph: PoseGraph) -> None:
        super().__init__()
        if not predicts_heatmaps(graph.model.head):
            raise ValueError(
                f'model.head, a {type(graph.model.head).__name__}, predicts no heatmaps'
            )
        if getattr(graph.model, 'sdtn_mode', 'heatmaps') != 'heatmaps':
            raise ValueError(
                "heatmaps of an SSTN need model.test_cfg.sdtn='heatmaps': 'keypoints' "
                'computes no heatmaps in the frame of the crop'
            )
        self.pose_graph = graph

    def forward(self, crops: Tensor) -> Tensor:
        """Predict heatmaps (B, K, H, W) of crops (B, 3, h, w)."""
        return self.pose_graph.encoded(crops)[0]


class HeatmapFormat(PoseFormat):
    """Crops to heatmaps (B, K, H, W), averaged over the flip test, without decoding.

    Raises:
        ValueError: See :class:`HeatmapGraph`.
    """

    outputs = ('heatmaps',)

    def __init__(
        self, graph: PoseGraph, metadata: PoseMetadata, dtype: str = 'uint8'
    ) -> None:
        super().__init__(graph, metadata, dtype)
        self.decode = graph.decode
        self.graph = HeatmapGraph(graph)

    def poses(self, outputs: Sequence[np.ndarray]) -> Poses:
        """See :meth:`PoseFormat.poses`."""
        keypoints, scores = self.decode(torch.from_numpy(outputs[0]))
        return keypoints.numpy(), scores.numpy()


class RTMLibFormat(PoseFormat):
    """Normalised crops to SimCC vectors, as rtmlib's class ``RTMPose`` expects them."""

    outputs = ('simcc_x', 'simcc_y')
    # rtmlib runs one crop at a time, and fixed shapes suit more runtimes.
    dynamic_batch = False

    def __init__(self, graph: PoseGraph, metadata: PoseMetadata) -> None:
        super().__init__(graph, metadata, 'float32')
        self.graph = RTMLibGraph(graph, metadata)

    def feeds(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """See :meth:`PoseFormat.feeds`."""
        return dict(input=self.graph.rtmlib.apply_to(images))

    def poses(self, outputs: Sequence[np.ndarray]) -> Poses:
        """See :meth:`PoseFormat.poses`."""
        bins = np.stack([x.argmax(axis=-1) for x in outputs], axis=-1)
        return bins / SPLIT_RATIO, outputs[0].max(axis=-1)

    def expected(self, poses: Poses) -> Poses:
        """Move the keypoints into the crop."""
        keypoints, scores = poses
        end = np.array(self.metadata.input_size) - 1 / SPLIT_RATIO
        return keypoints.clip(0, end), scores
