"""One batch: plan → shards left to analyse → an engine → parts written as they arrive → manifest."""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mien.batch.local_engine import run_local, worker_count
from mien.batch.output_store import OutputStore
from mien.batch.plan import make_plan
from mien.batch.settings import AnalysisSettings, AnalysisSetup, load_setup
from mien.batch.storage import is_address, open_output_folder
from mien.batch.types import ResultCounts, Shard, ShardResult
from mien.defaults import SHARD_SIZE
from mien.errors import InputError
from mien.extras import installed_versions, require_extra
from mien.logger import get_logger
from mien.output_checks import OUTPUT_IS_INPUT

_log = get_logger(__name__)

ENGINES = ("local", "ray")
ShardEngine = Callable[[Sequence[Shard], AnalysisSetup], Iterator[ShardResult]]


class BatchRun:
    """The analysis of everything that a source names into a folder of Parquet files. Use it once.

    Args:
        source: folder, pattern, list file, one file, or address; see `mien.batch.inputs.list_inputs`.
        target: folder or address to write to.
        settings: how to analyse.
        engine: "local" for processes of this machine, "ray" for a Ray cluster.
        workers: processes; by default as many as the CPUs, or the cluster's, allow.
        threads: processor threads of each.
        shard_size: photos in a shard at most.
        column: column of Parquet files that holds the pictures; by default it is detected by its name and type.
        resume: continue the run in ``target``; start one where there is none.
        redo_errors: with ``resume``: analyse shards again in which an input could not be analysed.
        address: of the Ray cluster; None for the one that runs here, or a new one.

    Attributes:
        plan: what there is to analyse.
        skipped: shards that earlier runs had finished.
        counts: of all finished shards, those of earlier runs included.

    Raises:
        MissingExtraError, MissingFileError, DataError, InputError, ModelError: nothing has been written then.

    Examples:
        >>> run = BatchRun("*.jpg", "faces", AnalysisSettings(models=("emotion",)), workers=1)
        >>> for shard in run.results():
        ...     print(shard.counts.inputs)
        2
        >>> run.counts.faces, run.finished_shards
        (2, 1)
    """

    def __init__(
        self,
        source: str,
        target: str,
        settings: AnalysisSettings | None = None,
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
            raise InputError(f"no engine {engine!r}", advice=f"choose {' or '.join(ENGINES)}")
        worker_count(workers, threads)
        require_extra("batch", "a batch", "pyarrow")
        _check_target_outside(source, target)
        folder = open_output_folder(target)
        self._engine = _make_engine(engine, workers, threads, address)
        self._setup = load_setup(settings or AnalysisSettings())
        self.plan = make_plan(source, size=shard_size, column=column)
        for error in self.plan.skipped:
            _log.info("skipped: %s", error)
        if any(shard.kind == "video" for shard in self.plan.shards):
            require_extra("video", "reading a video", "av")
        self._store = OutputStore(folder, self.plan, self._setup.describe(), resume=resume)
        if redo_errors:
            self._store.forget_errors()
        self.skipped = len(self._store.finished)
        self._options = {"engine": engine, "workers": workers, "threads": threads}

    @property
    def counts(self) -> ResultCounts:
        """Of all finished shards."""
        return self._store.counts

    @property
    def finished_shards(self) -> int:
        """Number of finished shards."""
        return len(self._store.finished)

    def results(self) -> Iterator[ShardResult]:
        """Analyse what is left; every shard is written before its result is yielded.

        Raises:
            OutputError: something cannot be written.
            MienError: nothing can be analysed, or the cluster is lost.
        """
        try:
            yield from self._results()
        finally:
            self._store.close()

    def _results(self) -> Iterator[ShardResult]:
        left = [shard for shard in self.plan.shards if shard.number not in self._store.finished]
        runs: list[dict[str, Any]] = self._store.manifest["runs"]
        start = time.monotonic()
        this = {"started": _now(), **self._options, **_machine()}
        before, deaths = self.counts, 0
        if left:
            self._store.manifest["state"] = "running"
            runs.append(this)
            self._store.save_manifest()
        for result in self._engine(_longest_first(left), self._setup) if left else ():
            self._store.commit(result)
            deaths += result.deaths
            yield result
        counts = self.counts
        if left:
            seconds = time.monotonic() - start
            inputs = counts.inputs - before.inputs
            this |= {
                "seconds": round(seconds, 2),
                "shards": len(left),
                "inputs": inputs,
                "inputs_per_second": round(inputs / seconds, 2),
                "worker_deaths": deaths,
            }
        self._store.manifest |= {"state": "finished", "inputs": counts.inputs, "counts": counts.to_dict()}
        self._store.save_manifest()


def _make_engine(name: str, workers: int | None, threads: int, address: str | None) -> ShardEngine:
    if name == "local":
        if address is not None:
            raise InputError("an address is that of a Ray cluster", advice="add --engine ray")
        return lambda shards, setup: run_local(shards, setup, workers=workers, threads=threads)
    from mien.batch.ray_engine import connect, run_ray

    connect(address)
    return lambda shards, setup: run_ray(shards, setup, workers=workers, threads=threads)


def _longest_first(shards: Sequence[Shard]) -> list[Shard]:
    """Videos before photos, large before small: the last shards to end are short ones."""
    return sorted(shards, key=lambda shard: (shard.kind != "video", -(shard.size or 0), shard.number))


def _check_target_outside(source: str, target: str) -> None:
    """Results inside the source would be inputs of the run that resumes."""
    if is_address(source) != is_address(target):
        return
    if is_address(source):
        same = source.rstrip("/") == target.rstrip("/")
        inside = f"{target.rstrip('/')}/".startswith(f"{source.rstrip('/')}/")
    else:
        folder, where = Path(source).resolve(), Path(target).resolve()
        same = where == folder
        inside = folder.is_dir() and (same or folder in where.parents)
    if inside:
        raise InputError(
            "is the source" if same else "lies inside the source",
            path=target,
            advice="give a folder beside it, or the results become inputs",
            code=OUTPUT_IS_INPUT if same else None,
        )


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _machine() -> dict[str, Any]:
    packages = ("numpy", "onnxruntime", "opencv-python-headless", "pillow", "av", "pyarrow")
    return {
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": installed_versions(packages),
    }
