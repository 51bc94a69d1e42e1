"""The Ray engine: shards flow through Ray Data, read by tasks and analysed by actors on every node of a cluster.

Each actor drives a worker process of its own, as the local engine does, so that an input that crashes the decoder is
found and named here too, instead of being tried again for ever. A lost actor or node is Ray's to replace; the results
come back to the driver, which alone writes.
"""

from __future__ import annotations

import logging
import pickle
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from mien.batch.local_engine import worker_count
from mien.batch.settings import Prepared
from mien.batch.shard_analysis import read_items
from mien.batch.types import Finished, Shard
from mien.batch.worker import Worker
from mien.errors import InputError, MienError, MissingExtraError, OutputError

LARGEST = 256 << 20
"""Bytes of a shard above which its worker reads it bit by bit, instead of taking it whole from the object store."""
_ANSWER_SECONDS = 10.0
READERS = 2
"""Tasks that read at once, for each actor: enough to keep it busy while files come over a network."""


def connect(address: str | None) -> None:
    """Join a cluster, or start one on this machine.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: no cluster answers at the address.
    """
    ray = _ray()
    from ray.exceptions import RayError

    # Ray Data tells of every execution, and where its progress bars went
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        return
    _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError, TimeoutError, RayError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"Ray at {address}: no cluster answers ({reason[:200]}): start one with ray start --head"
        ) from None


def _check_answers(address: str | None) -> None:
    """Ray itself tries for minutes to reach a cluster that is not there."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"Ray at {address}: no cluster answers ({error}): start one with ray start --head") from None


def run_ray(
    shards: Sequence[Shard], prepared: Prepared, *, workers: int | None = None, threads: int = 1
) -> Iterator[Finished]:
    """Analyse shards on the cluster that `connect` joined; they come out as they are finished.

    Args:
        shards: what to do.
        prepared: what to analyse with; it travels with the actors.
        workers: actors at most; by default one for every ``threads`` CPUs of the cluster.
        threads: CPUs that an actor takes, and threads of its worker process.

    Raises:
        MienError: nothing can be analysed.
        OutputError: the cluster is gone.
    """
    ray = _ray()
    import ray.data as data
    from ray.exceptions import RayError

    if workers is None:
        workers = worker_count(max(int(ray.cluster_resources().get("CPU", 1)) // threads, 1), threads)
    count = min(workers, len(shards))
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    planned = data.from_items([{"shard": pickle.dumps(shard)} for shard in shards], override_num_blocks=len(shards))
    # reading takes no CPU from the actors, and has resources of its own so that Ray does not melt the two into one
    read = planned.map(_read, num_cpus=0, compute=data.TaskPoolStrategy(READERS * count))
    # inside a list, so that an actor that is started again fetches it from the driver, where it stays
    shared = [ray.put(prepared)]
    analysed = read.map(
        _Actor,
        fn_constructor_args=(shared, threads),
        num_cpus=threads,
        compute=data.ActorPoolStrategy(min_size=1, max_size=count),
    )
    seen: set[int] = set()
    try:
        for row in analysed.iter_rows():
            result = pickle.loads(row["finished"])
            if isinstance(result, MienError):
                raise result
            if result.shard not in seen:
                seen.add(result.shard)
                yield result
    except RayError as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise OutputError(
            f"the Ray cluster failed ({reason}): what was finished is written; --resume goes on"
        ) from None


class _Actor:
    """What analyses on a node."""

    def __init__(self, shared: list[Any], threads: int) -> None:
        self._worker = Worker(_ray().get(shared[0]), threads=threads)

    def __call__(self, row: dict[str, Any]) -> dict[str, bytes]:
        shard, items = pickle.loads(row["shard"]), row["items"]
        try:
            result: Finished | MienError = self._worker.run(shard, pickle.loads(items) if items else None)
        except MienError as error:
            result = error
        return {"finished": pickle.dumps(result)}


def _read(row: dict[str, Any]) -> dict[str, bytes]:
    """A shard with its inputs; those of a video or a very large file stay where they are."""
    shard: Shard = pickle.loads(row["shard"])
    if shard.kind == "video" or shard.size is None or shard.size > LARGEST:
        return {"shard": row["shard"], "items": b""}
    return {"shard": row["shard"], "items": pickle.dumps(list(read_items(shard)), pickle.HIGHEST_PROTOCOL)}


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtraError("ray", "ray", "the engine ray") from None
    return ray
