# SPDX-License-Identifier: Apache-2.0
"""Compare the time of mmcv's operators on torchvision with that of compiled mmcv.

Both run in one process, called by the same functions of ``mmcv.ops``: box suppression,
RoIAlign with its gradient, a deformable convolution with its gradients, and the
inference of two detectors of MMDetection with random weights. mmcv must be compiled
(``bash tools/setup_env.sh --compiled``), for CUDA with CUDA.

Example:
    python -m experiments.benchmarks.mmcv_operators --boxes 100 1000 --rounds 5
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import mmcv.ops
import mmdet
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope

from experiments.benchmarks.side_by_side import (
    add_device_argument,
    compare,
    device_name,
)
from rmpe_plugin.compat import mmcv_ext
from rmpe_plugin.utils.arguments import at_least

CONFIGS = Path(mmdet.__file__).parent / '.mim' / 'configs'
DETECTORS = {
    'RTMDet-tiny': 'rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    'Faster R-CNN': 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
}
SIZE = 640


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--boxes',
        type=at_least(1),
        nargs='+',
        default=[100, 1000, 5000],
        help='boxes per call of NMS',
    )
    parser.add_argument('--rounds', type=at_least(1), default=10, help='timing rounds')
    add_device_argument(parser)
    return parser.parse_args()


def compare_operators(title: str, function: Callable, rounds: int) -> None:
    """Compare a function of ``mmcv.ops`` with both sets of operators.

    Args:
        title (str): Title of the table.
        function (Callable): Function without arguments.
        rounds (int): Timing rounds.
    """
    users = [
        module
        for name, module in sys.modules.items()
        if name.startswith('mmcv.ops.') and hasattr(module, 'ext_module')
    ]

    def run(operators):
        for user in users:
            user.ext_module = operators
        return function()

    functions = {
        'compiled mmcv': partial(run, mmcv._ext),
        'rmpe_plugin': partial(run, mmcv_ext),
    }
    torch.testing.assert_close(
        *(call() for call in functions.values()), rtol=1e-3, atol=1e-3
    )
    compare(title, functions, rounds)


def random_boxes(number: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes of 20 to 200 pixels, about ten per object, and their scores."""
    generator = torch.Generator().manual_seed(0)
    objects = torch.rand(-(-number // 10), 4, generator=generator)
    corner, size = objects[:, :2] * SIZE, objects[:, 2:] * 180 + 20
    boxes = torch.cat((corner, corner + size), 1).repeat(10, 1)[:number]
    boxes += torch.randn(number, 4, generator=generator) * 5
    scores = torch.rand(number, generator=generator)
    return boxes.to(device), scores.to(device)


def with_gradients(function: Callable, *tensors: torch.Tensor) -> Callable:
    """Make a function that returns an output and the gradients by tensors."""
    inputs = [tensor.requires_grad_() for tensor in tensors]
    gradient = torch.ones_like(function(*inputs))

    def run():
        output = function(*inputs)
        return output, *torch.autograd.grad(output, inputs, gradient)

    return run


def roi_align(device: str) -> Callable:
    """128 regions of feature maps with 256 channels."""
    boxes, _ = random_boxes(128, device)
    regions = torch.cat((torch.zeros_like(boxes[:, :1]), boxes), 1)
    features = torch.randn(1, 256, SIZE // 8, SIZE // 8, device=device)
    return with_gradients(lambda x: mmcv.ops.roi_align(x, regions, 7, 1 / 8), features)


def deform_conv(device: str) -> Callable:
    """A 3x3 convolution of 128 channels, as in ResNet-50."""
    features = torch.randn(1, 128, 40, 40, device=device)
    offset = torch.randn(1, 18, 40, 40, device=device)
    weight = torch.randn(128, 128, 3, 3, device=device) / 34
    return with_gradients(
        lambda *tensors: mmcv.ops.deform_conv2d(*tensors, 1, 1),
        features,
        offset,
        weight,
    )


def detector(name: str, device: str) -> Callable:
    """Inference of a detector on one image."""
    config = Config.fromfile(CONFIGS / DETECTORS[name])
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = revert_sync_batchnorm(MODELS.build(config.model)).to(device).eval()
    image = torch.randn(1, 3, SIZE, SIZE, device=device)
    size = (SIZE, SIZE)
    metainfo = dict(img_shape=size, ori_shape=size, batch_input_shape=size)
    metainfo.update(pad_shape=size, scale_factor=(1.0, 1.0))

    @torch.no_grad()
    def run():
        (sample,) = model(image, [DetDataSample(metainfo=metainfo)], mode='predict')
        return sample.pred_instances.bboxes

    return run


def main() -> int:
    args = parse_args()
    if mmcv._ext.__file__.endswith('.py'):
        print('error: mmcv is not compiled, so there is nothing to compare with; use '
              'an environment of `bash tools/setup_env.sh --compiled`',
              file=sys.stderr)  # fmt: skip
        return 1
    device = device_name(args.device)
    for number in args.boxes:
        boxes, scores = random_boxes(number, args.device)
        for name in ('nms', 'soft_nms'):
            function = partial(getattr(mmcv.ops, name), boxes, scores, 0.5)
            title = f'{name}, {number} boxes, {device}'
            compare_operators(title, function, args.rounds)
    for make in (roi_align, deform_conv):
        title = f'{make.__name__} with gradients, {device}'
        compare_operators(title, make(args.device), args.rounds)
    for name in DETECTORS:
        title = f'{name}, {SIZE}x{SIZE}, {device}'
        compare_operators(title, detector(name, args.device), args.rounds)
    return 0


if __name__ == '__main__':
    sys.exit(main())
