# SPDX-License-Identifier: Apache-2.0
"""Two processes compute the gradients of one."""

import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch.nn.parallel import DistributedDataParallel

from tests.conftest import ROOT
from tests.test_models.test_cpn_head import samples

CONFIG = ROOT / 'configs' / 'quickstart' / 'td-hm_cpn-res18_synthetic-128x96.py'

BATCH = 4


class Step(torch.nn.Module):
    """The quickstart's model on a part of one fixed batch, giving its loss."""

    def __init__(self):
        super().__init__()
        init_default_scope('mmpose')
        torch.manual_seed(0)
        self.net = MODELS.build(Config.fromfile(CONFIG).model)
        # Batch norm would see half of the batch in each process; its stored
        # statistics do not depend on that.
        self.eval()

    def forward(self, start, stop):
        images = torch.randn(BATCH, 3, 128, 96, generator=torch.manual_seed(1))
        part = samples(BATCH)[start:stop]
        losses = self.net(images[start:stop], part, mode='loss')
        return losses['loss_global'] + losses['loss_refine']


def gradients(module):
    return [p.grad.clone() for p in module.parameters()]


def worker(rank, world_size, port, folder):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=world_size)
    step = DistributedDataParallel(Step(), find_unused_parameters=False)
    half = BATCH // world_size
    # The second step is where parameters without a gradient would be found.
    for _ in range(2):
        step.zero_grad()
        step(rank * half, (rank + 1) * half).backward()
    if rank == 0:
        torch.save(gradients(step), f'{folder}/gradients.pt')
    dist.destroy_process_group()


def test_two_processes_give_the_gradients_of_one(tmp_path):
    port = 20000 + os.getpid() % 20000
    mp.spawn(worker, args=(2, port, str(tmp_path)), nprocs=2)
    step = Step()
    step(0, BATCH).backward()
    found = torch.load(tmp_path / 'gradients.pt', weights_only=True)
    for a, b in zip(found, gradients(step), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
