"""Threads of torch, which the whole process shares."""

from __future__ import annotations

import torch

from mien.cpus import available_cpus


def set_torch_threads(threads: int | None) -> None:
    """Let torch use so many threads; for None its own number, but no more than there are processors.

    torch counts the processors of the process's affinity, and knows nothing of the quota of a container.
    """
    torch.set_num_threads(min(torch.get_num_threads(), available_cpus()) if threads is None else threads)
