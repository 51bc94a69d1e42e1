"""One batch: plan → what is left to do → an engine → parts that are written as they come → manifest."""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mien.batch.local_engine import run_local, worker_count
from mien.batch.output_store import Store
from mien.batch.plan import SHARD_SIZE, make_plan
from mien.batch.settings import Settings, prepare
from mien.batch.storage import is_address, open_place
from mien.batch.types import Counts, Finished, Shard
from mien.errors import InputError

ENGINES = ("local", "ray")


class BatchRun:
    """The analysis of everything that a source names into a folder of Parquet files. Use it once.

    Args:
        source: folder, pattern, list file, one file, or address; see `mien.batch.inputs.list_inputs`.
        target: folder or address to write to.
        settings: how to analyse.
        engine: "local" for processes of this machine, "ray" for a Ray cluster.
        workers: processes; by default what the CPUs, or the cluster's, carry.
        threads: processor threads of each.
        shard_size: photos in a shard at most.
        column: column of Parquet files that holds the pictures; by default it is looked for.
        resume: go on with the run in ``target``; begin one where there is none.
        redo_errors: with ``resume``: analyse shards again in which an input could not be analysed.
        address: of the Ray cluster; None for the one that runs here, or a new one.

    Attributes:
        plan: what there is to do.
        skipped: shards that earlier runs had finished.
        counts: of all that is done, by earlier runs too.

    Raises:
        MissingFileError, DataError, InputError, ModelError: nothing has been written then.
    """

    def __init__(
        self,
        source: str,
        target: str,
        settings: Settings | None = None,
        *,
        engine: str = "local",
        workers: int | None = None,
        threads: int = 1,
        shard_size: int = SHARD_SIZE,
        column: str | None = None,
        resume: bool = False,
        redo_errors: bool = False,
        address: str | None = None,
    ) -> None:
        if engine not in ENGINES:
            raise InputError(f"no engine {engine!r}: there are {' and '.join(ENGINES)}")
        worker_count(workers, threads)
        _check_apart(source, target)
        place = open_place(target)
        self._engine = _engine(engine, workers, threads, address)
        self._prepared = prepare(settings or Settings())
        self.plan = make_plan(source, size=shard_size, column=column)
        self._store = Store(place, self.plan, self._prepared.describe(), resume=resume)
        if redo_errors:
            self._store.forget_errors()
        self.skipped = len(self._store.done)
        self._about = {"engine": engine, "workers": workers, "threads": threads}

    @property
    def counts(self) -> Counts:
        """Of all that is done."""
        return self._store.counts

    @property
    def done(self) -> int:
        """Shards that are done."""
        return len(self._store.done)

    def finished(self) -> Iterator[Finished]:
        """Analyse what is left; every shard is written before it is given.

        Raises:
            OutputError: something cannot be written.
            MienError: nothing can be analysed, or the cluster is gone.
        """
        try:
            yield from self._finished()
        finally:
            self._store.close()

    def _finished(self) -> Iterator[Finished]:
        left = [shard for shard in self.plan.shards if shard.number not in self._store.done]
        runs: list[dict[str, Any]] = self._store.manifest["runs"]
        began = time.monotonic()
        this = {"started": _now(), **self._about, **_machine()}
        before, deaths = self.counts, 0
        if left:
            self._store.manifest["state"] = "running"
            runs.append(this)
            self._store.save()
        for result in self._engine(_longest_first(left), self._prepared) if left else ():
            self._store.commit(result)
            deaths += result.deaths
            yield result
        counts = self.counts
        if left:
            seconds = time.monotonic() - began
            inputs = counts.inputs - before.inputs
            this |= {
                "seconds": round(seconds, 2),
                "shards": len(left),
                "inputs": inputs,
                "inputs_per_second": round(inputs / seconds, 2),
                "worker_deaths": deaths,
            }
        self._store.manifest |= {"state": "finished", "inputs": counts.inputs, "counts": counts.to_dict()}
        self._store.save()


Engine = Callable[[Sequence[Shard], Any], Iterator[Finished]]


def _engine(name: str, workers: int | None, threads: int, address: str | None) -> Engine:
    if name == "local":
        if address is not None:
            raise InputError("an address is that of a Ray cluster: add --engine ray")
        return lambda shards, prepared: run_local(shards, prepared, workers=workers, threads=threads)
    from mien.batch.ray_engine import connect, run_ray

    connect(address)
    return lambda shards, prepared: run_ray(shards, prepared, workers=workers, threads=threads)


def _longest_first(shards: Sequence[Shard]) -> list[Shard]:
    """Videos before photos, large before small: the last shards to end are short ones."""
    return sorted(shards, key=lambda shard: (shard.kind != "video", -(shard.size or 0), shard.number))


def _check_apart(source: str, target: str) -> None:
    """Results inside the source would be inputs of the run that resumes."""
    if is_address(source) != is_address(target):
        return
    if is_address(source):
        inside = f"{target.rstrip('/')}/".startswith(f"{source.rstrip('/')}/")
    else:
        folder, where = Path(source).resolve(), Path(target).resolve()
        inside = folder.is_dir() and (where == folder or folder in where.parents)
    if inside:
        raise InputError(f"{target}: lies inside the source: give a folder beside it, or its results become inputs")


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _machine() -> dict[str, Any]:
    packages = ("numpy", "onnxruntime", "opencv-python-headless", "pillow", "av", "pyarrow")
    return {
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }
