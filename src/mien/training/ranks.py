"""Training with several processes, as ``torchrun`` starts them: their ranks, and how they synchronise.

Every process holds the whole dataset and takes its slice of each batch, so that a step uses the same images as with one
process. Gradients are averaged over processes; losses are scaled so that the average is the gradient of the whole
batch's loss.
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
class ProcessRank:
    """The rank of this process among those that train together.

    Attributes:
        rank: number of this process, from 0; process 0 writes the run folder.
        world: number of processes.
        local: number of processes on this machine.
    """

    rank: int = 0
    world: int = 1
    local: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    @property
    def nodes(self) -> int:
        """Number of machines."""
        return self.world // self.local

    def slice_of(self, rows: Tensor) -> Tensor:
        """This process's slice of the rows of one batch; slices differ by at most one row."""
        return rows if self.world == 1 else rows.tensor_split(self.world)[self.rank]


SINGLE_PROCESS = ProcessRank()
"""One process."""


def read_rank(environment: Mapping[str, str]) -> ProcessRank:
    """The rank that ``torchrun`` gave this process; `SINGLE_PROCESS` where it did not start it.

    Raises:
        TrainingError: machines with different numbers of processes.
    """
    if "TORCHELASTIC_RUN_ID" not in environment:
        return SINGLE_PROCESS
    world, local = int(environment["WORLD_SIZE"]), int(environment["LOCAL_WORLD_SIZE"])
    if world % local:
        raise TrainingError(
            "the machines run different numbers of processes",
            advice="give torchrun the same --nproc-per-node on every machine",
        )
    return ProcessRank(int(environment["RANK"]), world, local)


@contextmanager
def process_group() -> Iterator[ProcessRank]:
    """Join the other processes, and leave them in the end.

    Raises:
        TrainingError: a machine has fewer GPUs than processes.
    """
    process = read_rank(os.environ)
    if process.world == 1 or distributed.is_initialized():
        yield process
        return
    gpus = torch.cuda.device_count()
    if 0 < gpus < process.local:
        raise TrainingError(
            f"{process.local} processes share {gpus} GPUs on this machine",
            advice=f"start one process per GPU (--nproc-per-node {gpus}), or train on processors only with "
            "CUDA_VISIBLE_DEVICES=",
        )
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo")
    try:
        yield process
    finally:
        distributed.destroy_process_group()


def run_on_first(process: ProcessRank, function: Callable[[], T]) -> T:
    """Run a function on the first process; all return its result or raise its error."""
    if process.world == 1:
        return function()
    outcome: list[Any] = [None, None]
    if process.is_first:
        try:
            outcome = [function(), None]
        except MienError as error:
            outcome = [None, error]
    distributed.broadcast_object_list(outcome, src=0)
    result, failure = outcome
    if failure is not None:
        raise failure
    return result  # type: ignore[no-any-return]


def world_size() -> int:
    """Number of processes that train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def mean_over_ranks(values: Tensor) -> Tensor:
    """The mean of a vector over processes."""
    distributed.all_reduce(values)
    return values / distributed.get_world_size()
