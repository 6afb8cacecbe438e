# SPDX-License-Identifier: Apache-2.0
"""RTMDet as one function of tensors, in the format of rtmlib's class ``RTMDet``."""

import torch
from mmdet.models import BaseDetector
from mmdet.models.dense_heads import RTMDetHead
from mmdet.structures.bbox import distance2bbox
from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image, nms

from rmpe_plugin.inference import normalise

from .letterboxing import MEAN, STD
from .rtmlib_graph import RTMLibNormalisation

# Boxes with the highest scores that NMS compares.
NMS_CANDIDATES = 1000


class PersonDetectorGraph(nn.Module):
    """RTMDet with NMS, for one class.

    The input is a BGR image that rtmlib has resized, padded and normalised. The
    normalisation is reverted and the detector's own is applied. NMS has the threshold
    of the detector's ``test_cfg``; rtmlib then drops boxes with low scores.

    Args:
        model (BaseDetector): A detector with ``RTMDetHead`` or ``RTMDetSepBNHead``, in
            eval mode.
        label (int): Index of the detected class, such as ``person``.

    Raises:
        ValueError: If the detector has another head.
    """

    def __init__(self, model: BaseDetector, label: int) -> None:
        super().__init__()
        head = getattr(model, 'bbox_head', None)
        if not isinstance(head, RTMDetHead):
            raise ValueError(
                'model.bbox_head must be RTMDetHead or RTMDetSepBNHead for an export, '
                f'got {type(head).__name__}'
            )
        self.model, self.label = model, label
        self.max_boxes = model.test_cfg.max_per_img
        self.iou_threshold = model.test_cfg.nms.iou_threshold
        self.rtmlib = RTMLibNormalisation(MEAN, STD)

    def forward(self, images: Tensor) -> Tensor:
        """Detect people.

        Args:
            images (Tensor): One image (1, 3, h, w), normalised by rtmlib.

        Returns:
            Tensor: Boxes (1, N, 5): x1, y1, x2, y2 in pixels of the input, and score,
            sorted by decreasing score.
        """
        x = normalise(self.model.data_preprocessor, self.rtmlib(images), 'bgr')
        outputs = self.model.bbox_head(self.model.extract_feat(x))
        scores, distances = (
            torch.cat([x[0].flatten(1) for x in level], dim=1) for level in outputs
        )
        sizes = [x.shape[-2:] for x in outputs[0]]
        priors = self.model.bbox_head.prior_generator
        points = torch.cat(priors.grid_priors(sizes, device=images.device))
        scores = scores[self.label].sigmoid()

        scores, best = scores.topk(min(NMS_CANDIDATES, len(scores)))
        # with max_shape, distance2bbox imports a missing module during an export
        boxes = distance2bbox(points[best], distances.T[best])
        boxes = clip_boxes_to_image(boxes, images.shape[-2:])
        kept = nms(boxes, scores, self.iou_threshold)[: self.max_boxes]
        return torch.cat((boxes, scores[:, None]), dim=1)[kept][None]
