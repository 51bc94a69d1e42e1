"""The Ray engine: shards flow through Ray Data, read by tasks and analysed by actors on every node of a cluster.

Each actor drives a worker process of its own, as the local engine does, so that an input that crashes the decoder is
found and named here too, instead of being retried for ever. Ray replaces a lost actor or node; the results come back to
the driver, which alone writes.
"""

from __future__ import annotations

import logging
import pickle
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from mien.batch.local_engine import worker_count
from mien.batch.settings import AnalysisSetup
from mien.batch.shard_analysis import read_items
from mien.batch.types import Shard, ShardResult
from mien.batch.worker import WorkerProcess
from mien.errors import InputError, MienError, MissingExtraError, OutputError

MAX_STORED_BYTES = 256 << 20
"""Bytes of a shard above which its worker reads it piece by piece, instead of whole from the object store."""
_CONNECT_SECONDS = 10.0
READERS_PER_ACTOR = 2
"""Tasks that read at once, for each actor: enough to keep it busy while files arrive over a network."""


def connect(address: str | None) -> None:
    """Join a cluster, or start one on this machine.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: no cluster answers at the address.
    """
    ray = _import_ray()
    from ray.exceptions import RayError

    # Ray Data logs every execution, and where its progress bars went
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        return
    _check_reachable(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError, TimeoutError, RayError) as error:
        raise _no_cluster(address, error) from None


def _check_reachable(address: str | None) -> None:
    """Ray itself tries for minutes to reach a cluster that does not exist."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from None


def _no_cluster(address: str | None, error: Exception) -> InputError:
    return InputError(
        f"no cluster answers ({' '.join(str(error).split())[:200]})",
        path=f"Ray at {address}",
        advice="start one with ray start --head",
        code="cluster-unreachable",
    )


def run_ray(
    shards: Sequence[Shard], setup: AnalysisSetup, *, workers: int | None = None, threads: int = 1
) -> Iterator[ShardResult]:
    """Analyse shards on the cluster that `connect` joined; results are yielded as they are finished.

    Args:
        shards: what to analyse.
        setup: what to analyse with; it is sent to the actors.
        workers: actors at most; by default one for every ``threads`` CPUs of the cluster.
        threads: CPUs that an actor takes, and threads of its worker process.

    Raises:
        MienError: nothing can be analysed.
        OutputError: the cluster is lost.
    """
    ray = _import_ray()
    import ray.data as data
    from ray.exceptions import RayError

    if workers is None:
        workers = worker_count(max(int(ray.cluster_resources().get("CPU", 1)) // threads, 1), threads)
    count = min(workers, len(shards))
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    planned = data.from_items([{"shard": pickle.dumps(shard)} for shard in shards], override_num_blocks=len(shards))
    # reading takes no CPU from the actors, and has its own resources so that Ray does not fuse the two
    read = planned.map(_read_shard, num_cpus=0, compute=data.TaskPoolStrategy(READERS_PER_ACTOR * count))
    # inside a list, so that a restarted actor fetches it from the driver, where it stays
    shared = [ray.put(setup)]
    analysed = read.map(
        _AnalysisActor,
        fn_constructor_args=(shared, threads),
        num_cpus=threads,
        compute=data.ActorPoolStrategy(min_size=1, max_size=count),
    )
    finished: set[int] = set()
    try:
        for row in analysed.iter_rows():
            result = pickle.loads(row["result"])
            if isinstance(result, MienError):
                raise result
            if result.shard not in finished:
                finished.add(result.shard)
                yield result
    except RayError as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise OutputError(
            f"the Ray cluster failed ({reason}); finished shards are written",
            advice="--resume continues the run",
            code="cluster-lost",
        ) from None


class _AnalysisActor:
    """Analyses shards on a node."""

    def __init__(self, shared: list[Any], threads: int) -> None:
        self._worker = WorkerProcess(_import_ray().get(shared[0]), threads=threads)

    def __call__(self, row: dict[str, Any]) -> dict[str, bytes]:
        shard, items = pickle.loads(row["shard"]), row["items"]
        try:
            result: ShardResult | MienError = self._worker.run(shard, pickle.loads(items) if items else None)
        except MienError as error:
            result = error
        return {"result": pickle.dumps(result)}


def _read_shard(row: dict[str, Any]) -> dict[str, bytes]:
    """A shard with its inputs; those of a video or a very large file are left to the worker."""
    shard: Shard = pickle.loads(row["shard"])
    if shard.kind == "video" or shard.size is None or shard.size > MAX_STORED_BYTES:
        return {"shard": row["shard"], "items": b""}
    return {"shard": row["shard"], "items": pickle.dumps(list(read_items(shard)), pickle.HIGHEST_PROTOCOL)}


def _import_ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtraError("ray", "ray", "the engine ray") from None
    return ray
