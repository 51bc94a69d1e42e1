"""The results of a batch: manifest, plan, and one file per table and shard.

A shard is finished when its part of the table of inputs exists: its other parts are written before, each file appears
whole or not at all, and the same shard always has the same names. So a shard that was half written is written again
over itself, and a finished one is never touched: no row is lost or doubled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mien.batch.plan import ShardPlan, encode_plan
from mien.batch.storage import OutputFolder
from mien.batch.tables import SCHEMA_VERSION, TABLES, read_counts
from mien.batch.types import ResultCounts, ShardResult
from mien.errors import InputError, MienError

MANIFEST, PLAN = "manifest.json", "plan.parquet"


class OutputStore:
    """The results of one run, and of the runs that it resumes.

    Attributes:
        finished: number of each finished shard → its counts.
        counts: of all finished shards.
        manifest: the document, JSON-ready.

    Raises:
        InputError: the folder holds something else, or a run with other inputs or settings.
    """

    def __init__(self, folder: OutputFolder, plan: ShardPlan, settings: Mapping[str, Any], *, resume: bool) -> None:
        self._folder, self._plan = folder, plan
        call = {"plan": plan.describe(), "settings": dict(settings)}
        self.finished: dict[int, ResultCounts] = {}
        self.counts = ResultCounts()
        folder.claim()
        try:
            self._open(call, resume)
        except MienError:
            folder.release()
            raise

    def commit(self, result: ShardResult) -> None:
        """Write a shard's tables, that of the inputs last."""
        for table in TABLES:
            if table in result.tables:
                self._folder.write(part_path(table, result.shard), result.tables[table])
        self.finished[result.shard] = result.counts
        self.counts += result.counts

    def forget_errors(self) -> None:
        """Treat shards with an error as not finished."""
        self.finished = {number: counts for number, counts in self.finished.items() if not counts.errors}
        self.counts = sum(self.finished.values(), ResultCounts())

    def save_manifest(self) -> None:
        """Write the manifest."""
        text = json.dumps(self.manifest, indent=1, ensure_ascii=False)
        # a file name need not be text
        self._folder.write(MANIFEST, text.encode("utf-8", "backslashreplace") + b"\n")

    def close(self) -> None:
        """Allow other runs to write here."""
        self._folder.release()

    def _open(self, call: dict[str, Any], resume: bool) -> None:
        folder, plan = self._folder, self._plan
        names = folder.names()
        if MANIFEST in names:
            self.manifest = self._read_manifest(call, resume)
            self._find_finished()
        elif names:
            raise InputError(
                "is not empty, and holds no run of mien batch", path=folder.name, advice="give an empty or a new folder"
            )
        else:
            self.manifest = {"schema": SCHEMA_VERSION, **call, "state": "running", "inputs": plan.inputs, "runs": []}
            self.save_manifest()
        if PLAN not in names:
            folder.write(PLAN, encode_plan(plan))

    def _read_manifest(self, call: dict[str, Any], resume: bool) -> dict[str, Any]:
        name = f"{self._folder.name}/{MANIFEST}"
        if not resume:
            raise InputError(
                "holds a run already",
                path=self._folder.name,
                advice="add --resume to continue it, or give a new folder",
                code="run-exists",
            )
        try:
            manifest: dict[str, Any] = json.loads(self._folder.read(MANIFEST))
            theirs = {"schema": manifest["schema"], "plan": manifest["plan"], "settings": manifest["settings"]}
            if not (isinstance(manifest["runs"], list) and all(isinstance(run, dict) for run in manifest["runs"])):
                raise ValueError("runs")
            differences = list(_differences(theirs, {"schema": SCHEMA_VERSION, **call}))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError("is damaged", path=name, advice="give a new folder") from None
        if differences:
            raise InputError(
                f"belongs to a run with other inputs or settings ({', '.join(differences[:3])})",
                path=name,
                advice="repeat that call, or give a new folder",
                code="run-differs",
                details={"differences": differences},
            )
        return manifest

    def _find_finished(self) -> None:
        for folder in ("", *TABLES):
            self._folder.remove_partial_files(folder)
        numbers = {part_path("inputs", shard.number): shard.number for shard in self._plan.shards}
        for name in self._folder.names("inputs"):
            path = f"inputs/{name}"
            if path in numbers:
                part = self._folder.read(path)
                self.finished[numbers[path]] = read_counts(part, numbers[path], f"{self._folder.name}/{path}")
        self.counts = sum(self.finished.values(), ResultCounts())


def part_path(table: str, shard: int) -> str:
    """The file of a shard's part of a table."""
    return f"{table}/part-{shard:06d}.parquet"


def _differences(theirs: Any, ours: Any, key: str = "") -> Iterator[str]:
    """``min_face: 40, now 60`` for every value that differs."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        reported = False
        # the digest of the plan, sorted last, differs with anything in it: it is reported only when it alone does
        for name in sorted({*theirs, *ours}, key=lambda name: (name == "sha256", name)):
            if not (reported and key == "plan" and name == "sha256"):
                for difference in _differences(theirs.get(name), ours.get(name), name):
                    reported = True
                    yield difference
    elif theirs != ours:
        short = [text if len(text) < 60 else f"{text[:12]}…" for text in (str(theirs), str(ours))]
        yield f"{'the files, their sizes or times' if key == 'sha256' else key}: {short[0]}, now {short[1]}"
