# SPDX-License-Identifier: Apache-2.0
"""Gradients of two processes are those of one."""

import os

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.registry import init_default_scope
from torch.nn.parallel import DistributedDataParallel

from tests.factories import cpn_samples, quickstart_model, set_stn_bias

WINDOW_LOSS = dict(type='WindowCornerLoss', loss_weight=5000.0)
BATCH = 4


class Step(torch.nn.Module):
    """A model of the quickstart; forward is the loss of a part of a fixed batch."""

    def __init__(self, name):
        super().__init__()
        init_default_scope('mmpose')
        if name == '':
            self.net = quickstart_model()
        else:
            self.net = quickstart_model(name, window_loss=WINDOW_LOSS)
            set_stn_bias(self.net, 0.1, 0, 0.1, 0, -0.1, 0.1)
            torch.nn.init.normal_(self.net.stn.fc.weight, std=1e-3)
            self.net.init_parallel_sppe()
        # Batch statistics of half a batch differ, running statistics do not.
        self.eval()

    def forward(self, start, stop):
        images = torch.randn(BATCH, 3, 128, 96, generator=torch.manual_seed(1))
        batch = cpn_samples(BATCH)
        for sample, centred in zip(batch, cpn_samples(BATCH)[::-1], strict=True):
            sample.centred = centred
            sample.theta_gt = 0.9 * torch.eye(2, 3)
        losses = self.net(images[start:stop], batch[start:stop], mode='loss')
        return sum(loss for name, loss in losses.items() if 'loss' in name)


def gradients(module):
    return [p.grad.clone() for p in module.parameters() if p.requires_grad]


def worker(rank, world_size, port, folder, name):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=world_size)
    step = DistributedDataParallel(Step(name), find_unused_parameters=False)
    half = BATCH // world_size
    # DDP raises in the second step if a parameter had no gradient in the first.
    for _ in range(2):
        step.zero_grad()
        step(rank * half, (rank + 1) * half).backward()
    if rank == 0:
        torch.save(gradients(step), f'{folder}/gradients.pt')
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize('name', ['', 'sstn_'])
def test_gradients_of_two_processes_equal_those_of_one(name, tmp_path):
    port = 20000 + os.getpid() % 20000
    mp.spawn(worker, args=(2, port, str(tmp_path), name), nprocs=2)
    step, half = Step(name), BATCH // 2
    # Half by half: the SSTN clips gradients to the median norm of its batch.
    for start in (0, half):
        (step(start, start + half) / 2).backward()
    distributed = torch.load(tmp_path / 'gradients.pt', weights_only=True)
    for a, b in zip(distributed, gradients(step), strict=True):
        # float32 sums in another order: the error is relative to the largest entry
        atol = 1e-5 * b.abs().max().item()
        torch.testing.assert_close(a, b, rtol=1e-4, atol=atol)
