"""The local engine: a pool of worker processes on this machine."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence

from mien.batch.settings import AnalysisSetup
from mien.batch.types import Shard, ShardResult
from mien.batch.worker import WorkerProcess
from mien.cpus import available_cpus
from mien.errors import InputError, MienError


def run_local(
    shards: Sequence[Shard], setup: AnalysisSetup, *, workers: int | None = None, threads: int = 1
) -> Iterator[ShardResult]:
    """Analyse shards; results are yielded as they are finished.

    Args:
        shards: what to analyse, the longest first.
        setup: what to analyse with.
        workers: processes; by default as many as give each available CPU one thread.
        threads: processor threads of each.

    Raises:
        MienError: no process can analyse at all.
    """
    count = min(worker_count(workers, threads), len(shards))
    pending: queue.SimpleQueue[Shard] = queue.SimpleQueue()
    for shard in shards:
        pending.put(shard)
    # bounded, so that a slow disk or network slows the workers down instead of filling the memory
    results: queue.Queue[ShardResult | MienError] = queue.Queue(maxsize=2 * max(count, 1))
    pool = [WorkerProcess(setup, threads=threads) for _ in range(count)]
    for worker in pool:
        threading.Thread(target=_analyse_pending, args=(worker, pending, results), daemon=True).start()
    try:
        for _ in shards:
            result = results.get()
            if isinstance(result, MienError):
                raise result
            yield result
    finally:
        for worker in pool:
            worker.close()


def worker_count(workers: int | None, threads: int) -> int:
    """``workers``, or for None what the available CPUs allow at so many threads each; `InputError` below 1."""
    if threads < 1:
        raise InputError(f"a worker has at least one thread, got {threads}")
    if workers is None:
        return max(available_cpus() // threads, 1)
    if workers < 1:
        raise InputError(f"there is at least one worker, got {workers}")
    return workers


def _analyse_pending(
    worker: WorkerProcess, pending: queue.SimpleQueue[Shard], results: queue.Queue[ShardResult | MienError]
) -> None:
    while True:
        try:
            shard = pending.get_nowait()
        except queue.Empty:
            return
        try:
            results.put(worker.run(shard))
        except MienError as error:
            results.put(error)
            return
