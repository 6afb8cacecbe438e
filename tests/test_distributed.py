# SPDX-License-Identifier: Apache-2.0
"""Two processes compute the gradients of one."""

import os

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch.nn.parallel import DistributedDataParallel

from tests.conftest import ROOT
from tests.test_models.test_cpn_head import samples

QUICKSTART = ROOT / 'configs' / 'quickstart'
CONFIGS = (
    'td-hm_cpn-res18_synthetic-128x96.py',
    'td-hm_cpn-res18_sstn_synthetic-128x96.py',
)
BATCH = 4


class Step(torch.nn.Module):
    """A quickstart's model on a part of one fixed batch, giving its loss."""

    def __init__(self, config):
        super().__init__()
        init_default_scope('mmpose')
        model = Config.fromfile(QUICKSTART / config).model
        if 'stn' in model:
            model.stn.backbone.init_cfg = None
            model.window_loss = dict(type='WindowCornerLoss', loss_weight=5000.0)
        torch.manual_seed(0)
        self.net = MODELS.build(model)
        if 'stn' in model:
            self.net.stn.fc.bias.data[:] = torch.tensor([0.1, 0, 0.1, 0, -0.1, 0.1])
            torch.nn.init.normal_(self.net.stn.fc.weight, std=1e-3)
            self.net.fill_parallel()
        # Batch norm would see half of the batch in each process; its stored
        # statistics do not depend on that.
        self.eval()

    def forward(self, start, stop):
        images = torch.randn(BATCH, 3, 128, 96, generator=torch.manual_seed(1))
        batch = samples(BATCH)
        for sample, centred in zip(batch, samples(BATCH)[::-1], strict=True):
            sample.centred = centred
            sample.theta_gt = 0.9 * torch.eye(2, 3)
        losses = self.net(images[start:stop], batch[start:stop], mode='loss')
        return sum(loss for name, loss in losses.items() if 'loss' in name)


def gradients(module):
    return [p.grad.clone() for p in module.parameters()]


def worker(rank, world_size, port, folder, config):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=world_size)
    step = DistributedDataParallel(Step(config), find_unused_parameters=False)
    half = BATCH // world_size
    # The second step is where parameters without a gradient would be found.
    for _ in range(2):
        step.zero_grad()
        step(rank * half, (rank + 1) * half).backward()
    if rank == 0:
        torch.save(gradients(step), f'{folder}/gradients.pt')
    dist.destroy_process_group()


@pytest.mark.parametrize('config', CONFIGS)
def test_two_processes_give_the_gradients_of_one(config, tmp_path):
    port = 20000 + os.getpid() % 20000
    mp.spawn(worker, args=(2, port, str(tmp_path), config), nprocs=2)
    step, half = Step(config), BATCH // 2
    # One after the other: the SSTN's gradient depends on its batch's median.
    for start in (0, half):
        (step(start, start + half) / 2).backward()
    found = torch.load(tmp_path / 'gradients.pt', weights_only=True)
    for a, b in zip(found, gradients(step), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
