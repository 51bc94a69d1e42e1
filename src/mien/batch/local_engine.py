"""The local engine: a pool of worker processes on this machine."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence

from mien.batch.settings import Prepared
from mien.batch.types import Finished, Shard
from mien.batch.worker import Worker
from mien.errors import InputError, MienError
from mien.models.session import available_cpus


def run_local(
    shards: Sequence[Shard], prepared: Prepared, *, workers: int | None = None, threads: int = 1
) -> Iterator[Finished]:
    """Analyse shards; they come out as they are finished.

    Args:
        shards: what to do, the longest first.
        prepared: what to analyse with.
        workers: processes; by default so many that each available CPU has one thread.
        threads: processor threads of each.

    Raises:
        MienError: no process can analyse at all.
    """
    count = min(worker_count(workers, threads), len(shards))
    todo: queue.SimpleQueue[Shard] = queue.SimpleQueue()
    for shard in shards:
        todo.put(shard)
    # bounded, so that a slow disk or network holds the workers back instead of filling the memory
    done: queue.Queue[Finished | MienError] = queue.Queue(maxsize=2 * max(count, 1))
    pool = [Worker(prepared, threads=threads) for _ in range(count)]
    for worker in pool:
        threading.Thread(target=_serve, args=(worker, todo, done), daemon=True).start()
    try:
        for _ in shards:
            result = done.get()
            if isinstance(result, MienError):
                raise result
            yield result
    finally:
        for worker in pool:
            worker.close()


def worker_count(workers: int | None, threads: int) -> int:
    """``workers``, or for None what the available CPUs carry at so many threads each; `InputError` below 1."""
    if threads < 1:
        raise InputError(f"a worker has at least one thread, got {threads}")
    if workers is None:
        return max(available_cpus() // threads, 1)
    if workers < 1:
        raise InputError(f"there is at least one worker, got {workers}")
    return workers


def _serve(worker: Worker, todo: queue.SimpleQueue[Shard], done: queue.Queue[Finished | MienError]) -> None:
    while True:
        try:
            shard = todo.get_nowait()
        except queue.Empty:
            return
        try:
            done.put(worker.run(shard))
        except MienError as error:
            done.put(error)
            return
