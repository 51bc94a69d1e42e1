"""Training by several processes at once, as ``torchrun`` starts them: who they are, and what they agree on.

Every process holds the whole dataset and takes its slice of each batch, so that a step learns from the images that one
process would learn from. Gradients are averaged over processes; losses are scaled so that the average is the gradient
of the whole batch's loss.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from mien.errors import MienError, TrainingError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ranks:
    """The place of this process among those that train together.

    Attributes:
        rank: number of this process, from 0; process 0 writes the run folder.
        world: processes in all.
        local: processes on this machine.
    """

    rank: int = 0
    world: int = 1
    local: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    @property
    def nodes(self) -> int:
        """Machines that take part."""
        return self.world // self.local

    def share(self, rows: Tensor) -> Tensor:
        """This process's slice of the rows of one batch; slices differ by at most one row."""
        return rows if self.world == 1 else rows.tensor_split(self.world)[self.rank]


ALONE = Ranks()
"""One process."""


def ranks_from(environment: Mapping[str, str]) -> Ranks:
    """The place that ``torchrun`` gave this process; `ALONE` where it did not start it.

    Raises:
        TrainingError: machines with different numbers of processes.
    """
    if "TORCHELASTIC_RUN_ID" not in environment:
        return ALONE
    world, local = int(environment["WORLD_SIZE"]), int(environment["LOCAL_WORLD_SIZE"])
    if world % local:
        raise TrainingError("torchrun: start as many processes on every machine (--nproc-per-node)")
    return Ranks(int(environment["RANK"]), world, local)


@contextmanager
def joined() -> Iterator[Ranks]:
    """Meet the other processes, and part from them in the end.

    Raises:
        TrainingError: a machine has fewer GPUs than processes.
    """
    ranks = ranks_from(os.environ)
    if ranks.world == 1 or distributed.is_initialized():
        yield ranks
        return
    gpus = torch.cuda.device_count()
    if 0 < gpus < ranks.local:
        raise TrainingError(
            f"{ranks.local} processes and {gpus} GPUs on a machine: start a process a GPU (--nproc-per-node {gpus}), "
            "or train on the processors alone with CUDA_VISIBLE_DEVICES="
        )
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo")
    try:
        yield ranks
    finally:
        distributed.destroy_process_group()


def first_does(ranks: Ranks, what: Callable[[], T]) -> T:
    """What the first process makes, on all; its error is raised on all."""
    if ranks.world == 1:
        return what()
    said: list[Any] = [None, None]
    if ranks.first:
        try:
            said = [what(), None]
        except MienError as error:
            said = [None, error]
    distributed.broadcast_object_list(said, src=0)
    made, failed = said
    if failed is not None:
        raise failed
    return made  # type: ignore[no-any-return]


def world_size() -> int:
    """Processes that train together now."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def mean_over_ranks(values: Tensor) -> Tensor:
    """The mean over processes of a vector that each has."""
    distributed.all_reduce(values)
    return values / distributed.get_world_size()
