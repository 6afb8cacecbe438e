# SPDX-License-Identifier: Apache-2.0
"""Small detectors in ONNX files."""

import torch
from torch import nn

from rmpe_plugin.deploy import write_onnx

SIZE = 96, 64  # input [w, h]


class FixedBoxes(nn.Module):
    """YOLOX with NMS in the file: fixed boxes, the last score is the image's mean."""

    def forward(self, images):
        mean = images.mean(dim=(1, 2, 3))[:, None] / 255
        boxes = images.new_tensor(
            [[0, 0, 48, 32], [10, 4, 20, 30], [8, 0, 40, 99], [0, 0, 0, 0],
             [20, 10, 40, 30]]
        )  # fmt: skip
        scores = torch.cat((0 * mean + images.new_tensor([0.9, 0.8, 0.6, 0]), mean), 1)
        boxes, labels = 0 * mean[..., None] + boxes, torch.tensor([0, 5, 0, 0, 0])
        return torch.cat((boxes, scores[..., None]), 2), (0 * scores).long() + labels


class RandomGrid(nn.Module):
    """YOLOX without NMS, with random weights and three classes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Conv2d(3, 8, s, s) for s in (8, 16, 32))

    def forward(self, images):
        levels = [layer(images / 40).flatten(2) for layer in self.layers]
        output = torch.cat(levels, dim=2).transpose(1, 2)
        return torch.cat((output[..., :4], (3 * output[..., 4:]).sigmoid()), dim=-1)


def write_detector(module, outputs, folder, dynamic=True):
    """Export a detector; returns the file."""
    path = folder / 'detector.onnx'
    inputs = dict(images=torch.zeros(2 if dynamic else 1, 3, *SIZE[::-1]))
    write_onnx(module.eval(), inputs, outputs, path, {}, dynamic_batch=dynamic)
    return path
