"""The processor, and how much of it this process may use: by affinity and by the quota of its control groups."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Iterator, MutableMapping
from pathlib import Path, PurePosixPath

from mien.arguments import whole_number
from mien.defaults import MAX_THREADS
from mien.errors import InputError

_MAX_CPUINFO = 1 << 16


def available_cpus(root: Path = Path("/")) -> int:
    """Processors this process may use, at least 1.

    A container or ``taskset`` may grant fewer than the machine has: by a set of processors, which the process's
    affinity reports, or by a quota of time, which the files of its control groups (versions 1 and 2) hold. A quota of
    1.5 processors counts as 2.

    Args:
        root: folder in which ``proc`` and ``sys`` are mounted; another one in tests.
    """
    cpus = _cpus_by_affinity()
    quotas = [quota for folder in _cgroup_folders(root) if (quota := _quota(folder)) is not None]
    return max(1, min([cpus, *(math.ceil(quota) for quota in quotas)]))


def limit_libraries(environment: MutableMapping[str, str], root: Path = Path("/")) -> None:
    """Let libraries that know nothing of quotas (OpenBLAS, Arrow, torch, OpenMP) start no more threads than processors.

    They read ``OMP_NUM_THREADS`` when they are loaded, so this comes first; a value that is set stays. Child processes
    inherit it.

    Args:
        environment: of the process.
        root: as for `available_cpus`.
    """
    cpus = available_cpus(root)
    if cpus < _cpus_by_affinity():
        environment.setdefault("OMP_NUM_THREADS", str(cpus))


def machine_cpus() -> int | None:
    """Processors of the machine, of which this process may use `available_cpus`; None where that is not known."""
    return os.cpu_count()


def processor_name() -> str:
    """As the system reports it."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", file.read(_MAX_CPUINFO), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine() or "unknown"


def _cpus_by_affinity() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # macOS and Windows have no affinity call
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def thread_count(threads: int | None) -> int:
    """``threads``, or for None the available processors up to `mien.defaults.MAX_THREADS`.

    Raises:
        InputError: ``threads`` is below 1.
    """
    if threads is None:
        return min(available_cpus(), MAX_THREADS)
    if whole_number("threads", threads) < 1:
        raise InputError(
            f"threads must be at least 1, got {threads}", advice="leave it out to use the available processors"
        )
    return whole_number("threads", threads)


def _cgroup_folders(root: Path) -> Iterator[Path]:
    """Folders whose quota holds for this process: those of its control groups and of all groups above them.

    A container may see a path of its host here that is not mounted; the quota then lies in the mounted root.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux, or a container without /proc, whose own group is mounted
        yield from (root / "sys/fs/cgroup", root / "sys/fs/cgroup/cpu")
        return
    for line in lines:
        # hierarchy:controllers:path; version 2 is hierarchy 0 without controllers
        parts = line.split(":", 2)
        if len(parts) < 3 or not (line.startswith("0::") or "cpu" in parts[1].split(",")):
            continue
        mount = root / "sys/fs/cgroup" / parts[1]
        if parts[1] and not mount.is_dir():
            mount = mount.with_name("cpu")
        path = PurePosixPath(parts[2].lstrip("/"))
        yield from (mount / group for group in (path, *path.parents))


def _quota(folder: Path) -> float | None:
    """Processors that a control group may use on average; None where its files name no limit."""
    try:
        # version 2: "max 100000" or "150000 100000", microseconds per period
        limit, period = (folder / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            # version 1: -1 is no limit
            limit = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
        except (OSError, ValueError):
            return None
    try:
        quota = int(limit) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return quota if quota > 0 else None
