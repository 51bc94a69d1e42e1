"""The count of processors, with fabricated files of control groups."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

import mien
from mien.cpus import available_cpus, limit_libraries, thread_count
from mien.defaults import MAX_THREADS
from mien.errors import InputError

V2, V1 = "0::/", "11:cpu,cpuacct:/\n4:memory:/\n"


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def machine(folder: Path, groups: str, files: Mapping[str, str]) -> Path:
    """A root with ``/proc/self/cgroup`` and files below ``/sys/fs/cgroup``."""
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = folder / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def v1(folder: str, quota: int, period: int = 100_000) -> dict[str, str]:
    return {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": f"{period}\n"}


@pytest.mark.parametrize(
    ("groups", "files", "cpus"),
    [
        (V2, {"cpu.max": "200000 100000\n"}, 2),
        (V2, {"cpu.max": "150000 100000\n"}, 2),
        (V2, {"cpu.max": "10000 100000\n"}, 1),
        (V2, {"cpu.max": "max 100000\n"}, 8),
        (V2, {"cpu.max": "6400000 100000\n"}, 8),
        (V2, {}, 8),
        ("0::/a.slice/b.scope", {"a.slice/b.scope/cpu.max": "300000 100000"}, 3),
        ("0::/a.slice/b.scope", {"a.slice/b.scope/cpu.max": "max 100000", "a.slice/cpu.max": "50000 25000"}, 2),
        ("0::/docker/not-mounted-here", {"cpu.max": "400000 100000"}, 4),
        ("0::/../../outside", {"cpu.max": "400000 100000"}, 4),
        (V1, v1("cpu,cpuacct", 300_000), 3),
        (V1, v1("cpu,cpuacct", -1), 8),
        ("3:cpu:/x\n", v1("cpu/x", 100_000, 50_000), 2),
        ("11:cpu,cpuacct:/docker/not-mounted-here\n", v1("cpu,cpuacct", 250_000), 3),
        ("11:cpuacct,cpu:/\n", v1("cpu", 200_000), 2),
        ("2:cpuset:/\n0::/\n", {**v1("cpuset", 100_000), "cpu.max": "500000 100000"}, 5),
        (V2, {"cpu.max": "nonsense\n"}, 8),
        (V2, {"cpu.max": "100000 0\n"}, 8),
        (V2, {"cpu.max": ""}, 8),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "100000"}, 8),
        ("no group at all\n", {"cpu.max": "100000 100000"}, 8),
    ],
)
def test_a_quota_of_time_limits_the_count(tmp_path: Path, groups: str, files: Mapping[str, str], cpus: int) -> None:
    assert available_cpus(machine(tmp_path, groups, files)) == cpus


def test_affinity_limits_the_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5}, raising=False)
    assert available_cpus(machine(tmp_path, V2, {"cpu.max": "400000 100000"})) == 2


def test_without_proc_affinity_alone_counts(tmp_path: Path) -> None:
    assert available_cpus(tmp_path) == 8


def test_without_proc_the_mounted_group_counts(tmp_path: Path) -> None:
    root = machine(tmp_path, V2, {"cpu.max": "300000 100000"})
    (root / "proc/self/cgroup").unlink()
    assert available_cpus(root) == 3


@pytest.mark.parametrize(
    ("quota", "before", "after"), [("200000", {}, "2"), ("200000", {"OMP_NUM_THREADS": "5"}, "5"), ("max", {}, None)]
)
def test_libraries_start_no_more_threads_than_the_quota(
    tmp_path: Path, quota: str, before: dict[str, str], after: str | None
) -> None:
    environment = dict(before)
    limit_libraries(environment, machine(tmp_path, V2, {"cpu.max": f"{quota} 100000"}))
    assert environment.get("OMP_NUM_THREADS") == after


def test_torch_takes_no_more_threads_than_there_are_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from mien.training.torch_threads import set_torch_threads

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        monkeypatch.setattr("mien.training.torch_threads.available_cpus", lambda: 3)
        set_torch_threads(None)
        assert torch.get_num_threads() == 3
        set_torch_threads(2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_no_pool_counts_the_processors_of_the_machine() -> None:
    """Every number of threads and processes comes from `mien.cpus`, which knows quotas."""
    counts = re.compile(r"\bcpu_count\(|(?:Thread|Process)PoolExecutor\(\s*\)|multiprocessing\.Pool\(\s*\)")
    sources = [path for path in Path(mien.__file__).parent.rglob("*.py") if path.name != "cpus.py"]
    assert [path.name for path in sources if counts.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(("known", "cpus"), [(6, 6), (None, 1)])
def test_without_affinity_the_machine_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: int | None, cpus: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: known)
    assert available_cpus(tmp_path) == cpus


def test_threads_default_to_few_and_are_checked() -> None:
    assert thread_count(None) == min(available_cpus(), MAX_THREADS)
    assert thread_count(3) == 3
    with pytest.raises(InputError, match="at least 1"):
        thread_count(0)
