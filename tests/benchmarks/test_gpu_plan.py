"""The plan for a GPU: what travels, what runs in the time that there is, and what comes back."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.datasets import made, textured, votes_for
from mien.datasets.prepared_file import read_prepared, write_prepared

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import gpu

    return gpu


def faces(n: int = 60, channels: int = 1) -> Any:
    rng = np.random.default_rng(0)
    emotion = (np.arange(n) % 7).astype(np.int8)
    split = np.array(["train", "train", "validation"])[np.arange(n) % 3]
    images = np.cumsum(rng.integers(-6, 7, (n, 48, 48, channels)), axis=2).clip(-120, 120) + 128
    data = made(n, channels=channels, side=48, votes=votes_for(emotion))
    return replace(data, images=images.astype(np.uint8), emotion=emotion, split=split)


def test_data_travels_without_loss_where_it_fits(gpu: Any, tmp_path: Path) -> None:
    data = faces(channels=3)
    path = write_prepared(data, tmp_path / "data.parquet")
    plenty = gpu.pack(path, tmp_path / "plenty.npz", 4 << 20)
    assert (plenty["quality"], plenty["quality_scored"]) == (101, 101)
    gpu.unpack(tmp_path / "plenty.npz", tmp_path / "again.parquet")
    again = read_prepared(tmp_path / "again.parquet")
    np.testing.assert_array_equal(again.images, data.images)
    np.testing.assert_array_equal(again.votes, data.votes)
    assert again.split.tolist() == data.split.tolist()
    limit = plenty["bytes"] * 2 // 3
    little = gpu.pack(path, tmp_path / "little.npz", limit)
    assert little["bytes"] <= limit
    assert little["quality"] < 100
    assert little["quality_scored"] >= little["quality"]
    gpu.unpack(tmp_path / "little.npz", tmp_path / "lossy.parquet")
    lossy = read_prepared(tmp_path / "lossy.parquet")
    error = np.abs(lossy.images.astype(int) - data.images).mean(axis=(1, 2, 3))
    assert 0 < error.mean() < 12
    assert "WebP" in lossy.info.notes[-1]
    with pytest.raises(SystemExit, match="too few"):
        gpu.pack(path, tmp_path / "none.npz", 9000)


def test_results_are_divided_and_joined(gpu: Any, tmp_path: Path) -> None:
    content = np.random.default_rng(0).integers(0, 256, 1000, np.uint8).tobytes()
    file = tmp_path / "a.tar"
    file.write_bytes(content)
    parts = gpu.divide(file, largest=300)
    assert [part.name for part in parts] == [f"a.tar.part-0{i}" for i in range(4)]
    assert b"".join(part.read_bytes() for part in parts) == content
    assert not file.exists()
    assert gpu.divide(parts[0], largest=300) == [parts[0]]


def _writes(gpu: Any, name: str, text: str, seconds: float = 0.0) -> Any:
    """A command that appends to its file, then takes its time."""
    code = (
        f"import time, pathlib; p = pathlib.Path('runs/gpu/{name}.txt'); p.parent.mkdir(parents=True, exist_ok=True); "
    )
    code += f"p.write_text((p.read_text() if p.exists() else '') + {text!r}); time.sleep({seconds})"
    return gpu.Command(name, (sys.executable, "-c", code), 1.0, (Path(f"runs/gpu/{name}.txt"),))


def test_steps_continue_where_the_time_ended_and_each_result_is_there_at_once(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "LEAST_SECONDS", 0.0)
    there, results = tmp_path / "there", tmp_path / "results"
    there.mkdir()
    first, slow = _writes(gpu, "first", "1"), _writes(gpu, "slow", "a", seconds=120)
    step = gpu.Step("step", (), (first, slow))
    assert gpu.run([step], 8 / 60, results, there) == ["first"]
    assert {path.name for path in results.iterdir()} == {"first.tar", "slow.tar"}
    # the next call, on another machine that has what was brought back
    other = tmp_path / "other"
    other.mkdir()
    gpu.restore(results, other)
    assert (other / "runs/gpu/first.txt").read_text() == "1"
    quick = replace(step, commands=(first, _writes(gpu, "slow", "b")))
    assert gpu.run([quick], 4, results, other) == ["first", "slow"]
    assert (other / "runs/gpu/first.txt").read_text() == "1"
    assert (other / "runs/gpu/slow.txt").read_text() == "ab"
    failing = replace(step, commands=(gpu.Command("bad", (sys.executable, "-c", "raise SystemExit(3)"), 1.0, ()),))
    assert gpu.run([failing], 4, results, other) == ["first", "slow"]


def test_the_plan_is_printed_with_its_minutes(gpu: Any, capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main(["run", "--minutes", "9", "--results", "nowhere", "--steps", "teachers,student", "--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("teachers: ")
    assert sum("mien train emotion-student" in line for line in lines) == len(gpu.SEEDS)
    assert lines[-1].endswith("min in all")
    with pytest.raises(SystemExit, match="no step nonsense"):
        gpu.main(["plan", "--steps", "nonsense"])
    names = list(gpu.steps())
    assert names == ["teachers", "student", "age", "detector", "rows"]


def test_every_command_of_the_plan_is_one_that_the_package_has(gpu: Any) -> None:
    import click

    from mien.cli import cli

    lines = [one.line for step in gpu.steps(epochs=1).values() for one in step.commands]
    calls = [line[3:] for line in lines if line[1:3] == ("-m", "mien")]
    assert [line for line in lines if line[1:3] != ("-m", "mien")] == [
        line for line in lines if line[1:3] == ("tools/gpu.py", "predictions")
    ]
    for name, *arguments in calls:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        # options that the command lacks are errors here
        command.make_parser(click.Context(command)).parse_args(arguments)
    assert {name for name, *_ in calls} == {"train", "export", "reproduce"}


def test_the_student_step_runs_on_a_processor_with_what_was_packed(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = faces(45)
    path = write_prepared(replace(data, info=replace(data.info, name="fer2013")), tmp_path / "data.parquet")
    packed = tmp_path / gpu.PACKED / "fer2013.npz"
    gpu.pack(path, packed, 4 << 20)
    rng = np.random.default_rng(0)
    heads = {"ferplus": rng.dirichlet(np.ones(8), 30), "fer2013": rng.dirichlet(np.ones(7), 30)}
    stored = tmp_path / gpu.RUNS / "teacher.npz"
    stored.parent.mkdir(parents=True)
    np.savez(stored, row=data.row[data.split == "train"], **heads)
    step = gpu.steps(epochs=1, seeds=(0,))["student"]
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    gpu.prepare([step], tmp_path)
    assert gpu.run([step], 5, tmp_path / "results", tmp_path) == ["emotion-student-0", "emotion-student-0-export"]
    assert (tmp_path / gpu.RUNS / "emotion-student-0.onnx").is_file()
    assert {one.name for one in (tmp_path / "results").iterdir()} == {
        "emotion-student-0.tar",
        "emotion-student-0-export.tar",
    }
    assert json.loads((tmp_path / gpu.RUNS / "done.json").read_text())
    with pytest.raises(SystemExit, match="no data 'fairface'"):
        gpu.prepare([gpu.steps()["age"]], tmp_path)


def test_photos_travel_with_their_boxes(gpu: Any, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pictures = [gpu.encode(image, 101) for image in textured(12, channels=3).images]
    rows = {"image": [{"bytes": one, "path": str(i)} for i, one in enumerate(pictures)], "width": list(range(12))}
    source = tmp_path / "photos.parquet"
    pq.write_table(pa.table(rows), source)
    whole = gpu.pack_photos(source, tmp_path / "whole.parquet", 10 << 20)
    assert whole["rows"] == 12
    some = gpu.pack_photos(source, tmp_path / "some.parquet", sum(map(len, pictures)) // 8)
    assert 0 < some["rows"] < 12
    held = pq.read_table(tmp_path / "some.parquet")
    assert [int(one["path"]) for one in held.column("image").to_pylist()] == held.column("width").to_pylist()
