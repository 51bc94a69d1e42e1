"""Whole runs of `mien.batch`, with worker processes, on the command line and off it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from helpers.batch_runs import LIGHT, LIMIT, OPTIONS, SIZE, parts
from helpers.photos import write_photos
from helpers.waiting import wait_until
from mien.batch.run import BatchRun
from mien.batch.settings import AnalysisSettings
from mien.batch.types import ShardResult
from mien.errors import InputError, MienError
from mien.output_checks import OUTPUT_IS_INPUT


def call(*arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mien", "batch", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, **options)  # type: ignore[call-overload,no-any-return]


def test_one_row_an_input_and_one_a_face(whole: dict[str, bytes], source: Path, tmp_path: Path) -> None:
    assert [sum(name.startswith(table) for name in whole) for table in ("inputs", "faces", "frames")] == [8, 7, 1]
    for name, content in whole.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    inputs, faces, frames = (pd.read_parquet(tmp_path / name) for name in ("inputs", "faces", "frames"))
    assert sorted(inputs["source"]) == sorted(map(str, source.iterdir()))
    assert inputs["error"].notna().sum() == 1
    photos = inputs[inputs["kind"] == "photo"].set_index("source")["faces"]
    assert photos[photos > 0].to_dict() == faces.groupby("source").size().to_dict()
    assert photos.sum() >= 20
    assert frames["frame"].nunique() == 14


def test_the_number_of_workers_changes_nothing(source: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    run = BatchRun(str(source), str(tmp_path / "out"), LIGHT, shard_size=SIZE, workers=1)
    assert [finished.deaths for finished in run.results()] == [0] * 8
    assert parts(tmp_path / "out") == whole


def test_killed_at_ten_random_moments(source: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    """Each time the whole group of processes, with SIGKILL; the last call is left alone."""
    target, moments = tmp_path / "out", random.Random(7)
    seen = []
    for _ in range(10):
        run = call(source, target, *OPTIONS, "--workers", 2, "--resume")
        try:
            # a call needs about a second until its workers analyse; nothing but the moment is random
            run.communicate(timeout=moments.uniform(0.1, 1.6))
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate(timeout=LIMIT)
        seen.append(len(list(target.glob("inputs/part-*"))))
    last = call(source, target, *OPTIONS, "--workers", 2, "--resume")
    message = last.communicate(timeout=LIMIT)[1]
    assert last.returncode == 1, message  # one photo is damaged
    assert seen == sorted(seen)
    assert seen[0] < 8
    assert parts(target) == whole
    assert not list(target.rglob(".*")), "no half written file is left"


def test_a_driver_that_dies_leaves_no_worker(source: Path, tmp_path: Path) -> None:
    run = call(source, tmp_path / "out", *OPTIONS, "--workers", 1)
    children = wait_until(lambda: _children(run.pid))
    run.kill()  # the driver alone
    run.communicate(timeout=LIMIT)
    wait_until(lambda: not any(map(_alive, children)))


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(
    source: Path, deadly: Callable[[str], None], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    written = "out/inputs/part-*"
    # so that it has not ended before the signal arrives
    deadly(f"if list(__import__('pathlib').Path({str(tmp_path)!r}).glob({written!r})): time.sleep(600)")
    run = call(source, tmp_path / "out", *OPTIONS, "--workers", 1)
    wait_until(lambda: list(tmp_path.glob(written)))
    os.killpg(run.pid, number)
    message = run.communicate(timeout=LIMIT)[1]
    assert run.returncode == code
    assert "the same call with --resume continues the run" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "spark"}, "no engine 'spark'"),
        ({"workers": 0}, "at least one worker"),
        ({"threads": 0}, "at least one thread"),
        ({"shard_size": 0}, "at least one photo"),
        ({"address": "10.0.0.1:6379"}, "--engine ray"),
        ({"settings": AnalysisSettings(models=("nobody",))}, "no model 'nobody'"),
    ],
)
def test_calls_that_cannot_be(source: Path, tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BatchRun(str(source), str(tmp_path / "out"), **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_target_that_cannot_be(source: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    (tmp_path / "file").touch()
    for target, message in (("full", "is not empty"), ("file", "is a file")):
        with pytest.raises(InputError, match=message):
            BatchRun(str(source), str(tmp_path / target))
    with pytest.raises(InputError, match="lies inside the source"):
        BatchRun(str(source), str(source / "results"))
    with pytest.raises(InputError, match="is the source") as same:
        BatchRun(str(source), str(source))
    assert same.value.code == OUTPUT_IS_INPUT


def test_shards_with_an_error_once_more(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "out"
    write_photos(source, 2)
    names = tmp_path / "names.txt"
    names.write_text("\n".join(str(source / name) for name in ("p000.jpg", "p001.jpg", "late.jpg")))
    run = BatchRun(str(names), str(target), LIGHT, shard_size=1, workers=1)
    assert [finished.counts.errors for finished in run.results()].count(1) == 1
    again = BatchRun(str(names), str(target), LIGHT, shard_size=1, workers=1, resume=True)
    assert list(again.results()) == []
    once_more = BatchRun(str(names), str(target), LIGHT, shard_size=1, workers=1, resume=True, redo_errors=True)
    assert [finished.counts.errors for finished in once_more.results()] == [1]
    assert once_more.counts.inputs == 3


def test_through_addresses(source: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    """Another way to the same files: only the names of the inputs differ."""
    run = BatchRun(f"file://{source}", f"file://{tmp_path}/out", LIGHT, shard_size=SIZE, workers=2)
    assert len(list(run.results())) == 8
    assert sorted(parts(tmp_path / "out")) == sorted(whole)
    faces = pd.read_parquet(tmp_path / "out" / "faces")
    assert faces["source"].str.startswith(f"file://{source}/p").all()
    assert len(faces) == run.counts.faces >= 20


def test_progress_shows_throughput_and_time_left(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import rich.progress  # noqa: F401 - it keeps the clock that it finds when it is imported

    from mien.cli import batch

    clock = iter(range(0, 2000, 11))
    monkeypatch.setattr(batch.time, "monotonic", lambda: next(clock))
    run = BatchRun(str(source), str(tmp_path / "out"), LIGHT, shard_size=SIZE, workers=1)
    monkeypatch.setattr(run, "_engine", _instantly)
    with batch.BatchProgress(run) as progress:
        for _ in run.results():
            progress.update()
    lines = capsys.readouterr().err.splitlines()
    assert "5 of 26 inputs" in lines[1]  # the video and four photos
    assert "errors" in lines[-1]
    assert all("/s, " in line and line.endswith(("left", "errors")) for line in lines)


def _instantly(shards: object, prepared: object) -> Iterator[ShardResult]:
    from mien.batch.shard_analysis import _shard_result
    from mien.batch.tables import InputRow

    for shard in shards:  # type: ignore[attr-defined]
        rows = [InputRow(file, file, None, "photo", error="no", error_code="error") for file in shard.files]
        yield _shard_result(shard, rows, {})


def test_without_the_extra(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    if _has("ray"):
        pytest.skip("Ray is installed")
    with pytest.raises(MienError, match=r"pip install 'mien\[ray\]'"):
        BatchRun(str(source), str(tmp_path / "out"), engine="ray")


def _has(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _children(pid: int) -> list[object]:
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.parent.parent.joinpath("self").exists():
        pytest.skip("needs /proc")
    return [int(child) for task in tasks.glob("*/children") for child in task.read_text().split()]


def _alive(pid: object) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"
