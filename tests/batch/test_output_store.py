"""`mien.batch.output_store`: which shards are finished, and which run may be resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mien.batch.output_store import OutputStore
from mien.batch.plan import make_plan
from mien.batch.settings import AnalysisSettings, load_setup
from mien.batch.storage import open_output_folder
from mien.batch.types import ResultCounts, Shard, ShardResult
from mien.detect.options import DetectionOptions
from mien.errors import DataError, InputError


def finished(shard: int) -> ShardResult:
    from mien.batch.shard_analysis import _shard_result
    from mien.batch.tables import InputRow

    return _shard_result(Shard(shard, "photos", ("a",)), [InputRow("a", "a", None, "photo")], {"faces": b"faces"})


def test_a_shard_is_done_when_its_inputs_are_there(photos: Path, tmp_path: Path) -> None:
    plan, where = make_plan(str(photos), size=4), str(tmp_path / "out")
    store = OutputStore(open_output_folder(where), plan, {"flip": False}, resume=False)
    store.commit(finished(1))
    Path(where, "faces", "part-000002.parquet").write_bytes(b"its other table is missing")
    Path(where, "inputs", ".part-000002-x1.parquet").write_bytes(b"half")
    del store
    again = OutputStore(open_output_folder(where), plan, {"flip": False}, resume=True)
    assert again.finished == {1: ResultCounts(inputs=1)}
    assert not list(Path(where, "inputs").glob(".part*"))


def test_a_run_of_something_else_is_not_resumed(photos: Path, tmp_path: Path) -> None:
    plan, where = make_plan(str(photos), size=4), str(tmp_path / "out")
    settings = load_setup(AnalysisSettings(detection=DetectionOptions(min_face=40))).describe()
    OutputStore(open_output_folder(where), plan, settings, resume=False)
    other = load_setup(AnalysisSettings(detection=DetectionOptions(min_face=60))).describe()
    for ours, reported, resume, message in (
        (plan, settings, False, "add --resume"),
        (plan, other, True, "min_face: 40, now 60"),
        (plan, load_setup(AnalysisSettings()).describe(), True, "min_face: 40, now None"),
        (make_plan(str(photos), size=3), settings, True, "shard_size: 4, now 3"),
        (replace(plan, digest="0"), settings, True, "sizes or times"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            OutputStore(open_output_folder(where), ours, reported, resume=resume)
        assert "\n" not in str(caught.value)
    Path(where, "manifest.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        OutputStore(open_output_folder(where), plan, settings, resume=True)


def test_two_runs_do_not_write_into_one_folder(photos: Path, tmp_path: Path) -> None:
    plan, where = make_plan(str(photos)), str(tmp_path / "out")
    first = OutputStore(open_output_folder(where), plan, {}, resume=False)
    with pytest.raises(InputError, match="another run"):
        OutputStore(open_output_folder(where), plan, {}, resume=True)
    del first
    OutputStore(open_output_folder(where), plan, {}, resume=True)


def test_a_damaged_part_is_reported(photos: Path, tmp_path: Path) -> None:
    plan, where = make_plan(str(photos)), tmp_path / "out"
    OutputStore(open_output_folder(str(where)), plan, {}, resume=False)
    (where / "inputs").mkdir()
    (where / "inputs" / "part-000000.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="is damaged; remove it"):
        OutputStore(open_output_folder(str(where)), plan, {}, resume=True)


def test_the_manifest_names_models_and_plan(photos: Path, tmp_path: Path) -> None:
    plan = make_plan(str(photos))
    OutputStore(
        open_output_folder(str(tmp_path / "out")),
        plan,
        load_setup(AnalysisSettings(models=("emotion",))).describe(),
        resume=False,
    )
    reported = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert reported["plan"]["sha256"] == plan.digest
    assert set(reported["settings"]["sha256"]) == {"emotion"}
    assert reported["state"] == "running"
