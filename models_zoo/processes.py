"""Several processes that train one model, each on its share of every batch (``torchrun``).

Gradients are summed over the processes before every step, so that each holds the same weights. A batch is the
same images with the same changes however many share it: with a network without batch statistics the weights
are those of one process but for the order of sums. Batch statistics are of the whole batch on GPUs
(synchronised batch normalisation) and of a process's own share on CPUs.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import distributed, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """The place of this process among those that train together; alone, every method is free."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    def share(self, number: int) -> slice:
        """Which places of a batch of ``number`` images are this process's own."""
        return slice(number * self.rank // self.count, number * (self.rank + 1) // self.count)

    def joined(self, own: torch.Tensor, number: int) -> torch.Tensor:
        """The rows of all processes in the order of the batch: (share, D) → (number, D), without gradient."""
        if self.count == 1:
            return own
        whole = own.new_zeros((number, *own.shape[1:]))
        whole[self.share(number)] = own
        distributed.all_reduce(whole)
        return whole

    def add_up(
        self, parameters: Sequence[nn.Parameter], loss: torch.Tensor, *, stop: bool
    ) -> tuple[torch.Tensor, bool]:
        """Sum the gradients and the loss, and tell whether any process was asked to stop."""
        if self.count == 1:
            return loss, stop
        moved = [parameter for parameter in parameters if parameter.requires_grad]
        # What one process alone has a gradient of (``models_zoo.contrastive``), the others add nothing to.
        grads = [torch.zeros_like(one) if one.grad is None else one.grad for one in moved]
        said = torch.stack([loss.detach().float(), loss.new_tensor(float(stop), dtype=torch.float32)])
        flat = torch.cat([*(grad.flatten() for grad in grads), said])
        distributed.all_reduce(flat)
        start = 0
        for parameter, grad in zip(moved, grads, strict=True):
            parameter.grad = flat[start : start + grad.numel()].view_as(grad).clone()
            start += grad.numel()
        return flat[-2], bool(flat[-1] > 0)

    def with_batch_statistics(self, network: nn.Module) -> nn.Module:
        """The network with batch statistics of the whole batch, where that can be had (on GPUs)."""
        if self.count == 1:
            return network
        convert = nn.SyncBatchNorm.convert_sync_batchnorm
        found: nn.Module = convert(network)  # type: ignore[no-untyped-call]  # torch leaves it so
        return found

    def wait(self) -> None:
        """Go on only when all have come here."""
        if self.count > 1:
            distributed.barrier()


def own_device(device: torch.device) -> torch.device:
    """This process's own GPU, where each has one."""
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    return device


def together(device: torch.device) -> Processes:
    """The processes that ``torchrun`` started, or this one alone; they stay joined until the program ends."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(distributed.destroy_process_group)
    return Processes(rank=distributed.get_rank(), count=distributed.get_world_size())
