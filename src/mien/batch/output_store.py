"""The folder that a batch writes: manifest, plan, and one file a table and shard.

A shard is done when its part of the table of inputs is there: its other parts are written before, each file appears
whole or not at all, and the same shard always has the same names. So a shard that was half written is written again
over itself, and one that is done is never touched: no row is lost, none doubled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mien.batch.plan import Plan, encode_plan
from mien.batch.storage import Place
from mien.batch.tables import SCHEMA, TABLES, counts_of
from mien.batch.types import Counts, Finished
from mien.errors import InputError, MienError

MANIFEST, PLAN = "manifest.json", "plan.parquet"


class Store:
    """The results of one run, and of those that it resumes.

    Attributes:
        done: number of each finished shard → what it holds.
        counts: of all that is done.
        manifest: the document, JSON-ready.

    Raises:
        InputError: the folder holds something else, or a run of other inputs or settings.
    """

    def __init__(self, place: Place, plan: Plan, settings: Mapping[str, Any], *, resume: bool) -> None:
        self._place, self._plan = place, plan
        call = {"plan": plan.describe(), "settings": dict(settings)}
        self.done: dict[int, Counts] = {}
        self.counts = Counts()
        place.claim()
        try:
            self._open(call, resume)
        except MienError:
            place.release()
            raise

    def commit(self, finished: Finished) -> None:
        """Write a shard's tables, that of the inputs last."""
        for table in TABLES:
            if table in finished.tables:
                self._place.write(part(table, finished.shard), finished.tables[table])
        self.done[finished.shard] = finished.counts
        self.counts += finished.counts

    def forget_errors(self) -> None:
        """Take shards with an error as not done."""
        self.done = {number: counts for number, counts in self.done.items() if not counts.errors}
        self.counts = sum(self.done.values(), Counts())

    def save(self) -> None:
        """Write the manifest."""
        text = json.dumps(self.manifest, indent=1, ensure_ascii=False)
        # a file name need not be text
        self._place.write(MANIFEST, text.encode("utf-8", "backslashreplace") + b"\n")

    def close(self) -> None:
        """Let other runs write here."""
        self._place.release()

    def _open(self, call: dict[str, Any], resume: bool) -> None:
        place, plan = self._place, self._plan
        there = place.names()
        if MANIFEST in there:
            self.manifest = self._resumed(call, resume)
            self._find_done()
        elif there:
            raise InputError(
                f"{place.name}: is not empty, and holds no run of mien batch: give an empty or a new folder"
            )
        else:
            self.manifest = {"schema": SCHEMA, **call, "state": "running", "inputs": plan.inputs, "runs": []}
            self.save()
        if PLAN not in there:
            place.write(PLAN, encode_plan(plan))

    def _resumed(self, call: dict[str, Any], resume: bool) -> dict[str, Any]:
        name = f"{self._place.name}/{MANIFEST}"
        if not resume:
            raise InputError(
                f"{self._place.name}: holds a run already: add --resume to go on with it, or give a new folder"
            )
        try:
            manifest: dict[str, Any] = json.loads(self._place.read(MANIFEST))
            theirs = {"schema": manifest["schema"], "plan": manifest["plan"], "settings": manifest["settings"]}
            if not (isinstance(manifest["runs"], list) and all(isinstance(run, dict) for run in manifest["runs"])):
                raise ValueError("runs")
            differing = list(_differences(theirs, {"schema": SCHEMA, **call}))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(f"{name}: is damaged: give a new folder") from None
        if differing:
            raise InputError(
                f"{name}: belongs to a run with other inputs or settings ({', '.join(differing[:3])}): repeat that "
                "call, or give a new folder"
            )
        return manifest

    def _find_done(self) -> None:
        for table in TABLES:
            self._place.tidy(table)
        known = {part("inputs", shard.number): shard.number for shard in self._plan.shards}
        for name in self._place.names("inputs"):
            path = f"inputs/{name}"
            if path in known:
                self.done[known[path]] = counts_of(self._place.read(path), known[path], f"{self._place.name}/{path}")
        self.counts = sum(self.done.values(), Counts())


def part(table: str, shard: int) -> str:
    """The file of a shard's part of a table."""
    return f"{table}/part-{shard:06d}.parquet"


def _differences(theirs: Any, ours: Any, at: str = "") -> Any:
    """``min_face: 40, now 60`` for every value that differs."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        told = False
        # the digest of the plan, sorted last, differs with anything in it: then there is more to say than that
        for key in sorted({*theirs, *ours}, key=lambda name: (name == "sha256", name)):
            if not (told and at == "plan" and key == "sha256"):
                for one in _differences(theirs.get(key), ours.get(key), key):
                    told = True
                    yield one
    elif theirs != ours:
        short = [text if len(text) < 60 else f"{text[:12]}…" for text in (str(theirs), str(ours))]
        yield f"{'the files, their sizes or times' if at == 'sha256' else at}: {short[0]}, now {short[1]}"
