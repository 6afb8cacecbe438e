# SPDX-License-Identifier: Apache-2.0
"""Two processes compute the gradients of one."""

import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from tests.test_models.test_cpn_head import features, make, samples

BATCH = 4


class Step(torch.nn.Module):
    """A head's loss as a module, as a pose estimator wraps it."""

    def __init__(self):
        super().__init__()
        self.head = make()
        # Batch norm sees half of the batch in each process; its stored statistics do
        # not depend on that.
        self.eval()

    def forward(self, start, stop):
        feats = [x[start:stop] for x in features(BATCH)]
        losses = self.head.loss(feats, samples(BATCH)[start:stop])
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
