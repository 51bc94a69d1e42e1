"""The plan for a GPU: what travels, what runs in the time that there is, and what comes back."""

from __future__ import annotations

import json
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from helpers.datasets import made, votes_for
from mien.datasets.detection import HELD_OUT, TRAIN, PhotoLabels, from_labels, read_detection
from mien.datasets.detection_file import write_detection
from mien.datasets.prepared_file import read_prepared, write_prepared

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import gpu

    return gpu


@pytest.fixture
def gpu_data(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import gpu_data

    return gpu_data


def faces(n: int = 60, channels: int = 1) -> Any:
    rng = np.random.default_rng(0)
    emotion = (np.arange(n) % 7).astype(np.int8)
    split = np.array(["train", "train", "validation"])[np.arange(n) % 3]
    images = np.cumsum(rng.integers(-6, 7, (n, 48, 48, channels)), axis=2).clip(-120, 120) + 128
    data = made(n, channels=channels, side=48, votes=votes_for(emotion))
    return replace(data, images=images.astype(np.uint8), emotion=emotion, split=split)


def test_data_travels_without_loss_where_it_fits(gpu_data: Any, tmp_path: Path) -> None:
    data = faces(channels=3)
    path = write_prepared(data, tmp_path / "data.parquet")
    plenty = gpu_data.pack(path, tmp_path / "plenty.npz", 4 << 20)
    assert (plenty["quality"], plenty["quality_scored"]) == (101, 101)
    gpu_data.unpack(tmp_path / "plenty.npz", tmp_path / "again.parquet")
    again = read_prepared(tmp_path / "again.parquet")
    np.testing.assert_array_equal(again.images, data.images)
    np.testing.assert_array_equal(again.votes, data.votes)
    assert again.split.tolist() == data.split.tolist()
    limit = plenty["bytes"] * 2 // 3
    little = gpu_data.pack(path, tmp_path / "little.npz", limit)
    assert little["bytes"] <= limit
    assert little["quality"] < 100
    assert little["quality_scored"] >= little["quality"]
    gpu_data.unpack(tmp_path / "little.npz", tmp_path / "lossy.parquet")
    lossy = read_prepared(tmp_path / "lossy.parquet")
    error = np.abs(lossy.images.astype(int) - data.images).mean(axis=(1, 2, 3))
    assert 0 < error.mean() < 12
    assert "WebP" in lossy.info.notes[-1]
    with pytest.raises(SystemExit, match="too few"):
        gpu_data.pack(path, tmp_path / "none.npz", 9000)


def test_results_are_divided_and_joined(gpu: Any, tmp_path: Path) -> None:
    content = np.random.default_rng(0).integers(0, 256, 1000, np.uint8).tobytes()
    file = tmp_path / "a.tar"
    file.write_bytes(content)
    parts = gpu.divide(file, largest=300)
    assert [part.name for part in parts] == [f"a.tar.part-0{i}" for i in range(4)]
    assert b"".join(part.read_bytes() for part in parts) == content
    assert not file.exists()
    assert gpu.divide(parts[0], largest=300) == [parts[0]]


def _writes(gpu: Any, name: str, text: str, seconds: float = 0.0, **given: Any) -> Any:
    """A command that appends to its file, then takes its time."""
    code = (
        f"import time, pathlib; p = pathlib.Path('runs/gpu/{name}.txt'); p.parent.mkdir(parents=True, exist_ok=True); "
    )
    code += f"p.write_text((p.read_text() if p.exists() else '') + {text!r}); time.sleep({seconds})"
    return gpu.Command(name, (sys.executable, "-c", code), 1.0, (Path(f"runs/gpu/{name}.txt"),), **given)


def _fails(gpu: Any, name: str) -> Any:
    return gpu.Command(name, (sys.executable, "-c", "raise SystemExit('no such GPU')"), 1.0, ())


def _read_only(folder: Path) -> None:
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)


def test_steps_continue_where_the_time_ended_and_each_result_is_there_at_once(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(gpu, "REPORT_SECONDS", 0.1)
    there, results = tmp_path / "there", tmp_path / "results"
    there.mkdir()
    begun = there / "runs/gpu/slow.txt"

    def monotonic() -> float:
        """The hour is over once the slow command is under way, however long its process takes to start."""
        return time.monotonic() + 3600.0 * (begun.is_file() and begun.read_text() == "a")

    monkeypatch.setattr(gpu, "time", SimpleNamespace(monotonic=monotonic, sleep=time.sleep))
    first, slow = _writes(gpu, "first", "1"), _writes(gpu, "slow", "a", seconds=120)
    step = gpu.Step("step", (), (first, slow))
    assert gpu.run([step], 60, results, there) == gpu.Outcome(("first",), ())
    assert [path.name for path in results.iterdir()] == ["step.tar"]
    # the next call, on another machine that has what was brought back
    other = tmp_path / "other"
    other.mkdir()
    _read_only(results)
    gpu.restore(results, other)
    results.chmod(0o755)
    assert (other / "runs/gpu/first.txt").read_text() == "1"
    quick = replace(step, commands=(first, _writes(gpu, "slow", "b")))
    assert gpu.run([quick], 4, results, other).done == ("first", "slow")
    assert (other / "runs/gpu/first.txt").read_text() == "1"
    assert (other / "runs/gpu/slow.txt").read_text() == "ab"
    # another length is another command
    longer = replace(step, commands=(_writes(gpu, "first", "2"),))
    assert gpu.run([longer], 4, results, other).done == ("first",)
    assert (other / "runs/gpu/first.txt").read_text() == "12"


def test_what_fails_ends_what_needs_it_and_nothing_else(
    gpu: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = gpu.Step(
        "broken",
        (),
        (
            _fails(gpu, "bad"),
            _writes(gpu, "needs-it", "x", after=("bad",)),
            _writes(gpu, "needs-a-file", "x", needs=(Path("runs/gpu/none.npz"),)),
        ),
    )
    sound = gpu.Step("sound", (), (_writes(gpu, "other", "y"), _writes(gpu, "last", "z", after=("other",))))
    outcome = gpu.run([broken, sound], 4, tmp_path / "results", tmp_path, jobs=2)
    assert outcome.done == ("other", "last")
    assert set(outcome.failed) == {"bad", "needs-it", "needs-a-file"}
    printed = capsys.readouterr().out
    assert "no such GPU" in printed
    assert "none.npz is missing: run the step before it, or restore it" in printed
    restored = tmp_path / "restored"
    restored.mkdir()
    gpu.restore(tmp_path / "results", restored)
    assert "no such GPU" in (restored / "runs/gpu/logs/bad.log").read_text()
    assert set(json.loads((restored / gpu.DONE).read_text())) == {"other", "last"}


def test_commands_run_side_by_side_and_wait_for_those_before_them(gpu: Any, tmp_path: Path) -> None:
    def waits(name: str, awaited: str) -> Any:
        code = (
            "import time, pathlib; p = pathlib.Path('runs/gpu'); p.mkdir(parents=True, exist_ok=True); "
            f"(p / '{name}').touch(); end = time.monotonic() + 120\n"
            f"while not (p / '{awaited}').exists():\n  assert time.monotonic() < end\n  time.sleep(0.02)"
        )
        return gpu.Command(name, (sys.executable, "-c", code), 1.0, ())

    # each ends only once the other has begun
    pair = gpu.Step("pair", (), (waits("a", "b"), waits("b", "a")))
    both = gpu.Step("both", (), (_writes(gpu, "both", "x", after=("a", "b")),))
    assert gpu.run([pair, both], 4, tmp_path / "results", tmp_path, jobs=2).done == ("a", "b", "both")


def test_parts_of_an_earlier_call_are_not_joined_with_those_of_a_later_one(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "divide", lambda file, keep=gpu.divide: keep(file, largest=20_000))
    results, made = tmp_path / "results", tmp_path / gpu.RUNS / "made"
    results.mkdir()
    made.parent.mkdir(parents=True)
    (tmp_path / gpu.DONE).write_text("{}")
    for size in (60_000, 100, 30_000):
        content = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
        made.write_bytes(content)
        gpu.bring_back("step", [gpu.RUNS / "made", gpu.DONE], results, tmp_path)
        other = tmp_path / f"other-{size}"
        other.mkdir()
        gpu.restore(results, other)
        assert (other / gpu.RUNS / "made").read_bytes() == content
    assert max(path.stat().st_size for path in results.iterdir()) <= 20_000


def test_state_that_is_too_large_stays_on_the_machine(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "MOST", 50_000)
    results, runs = tmp_path / "results", tmp_path / gpu.RUNS
    results.mkdir()
    runs.mkdir(parents=True)
    (results / "earlier.tar").write_bytes(bytes(10_000))
    for name, size in (("result", 1_000), ("small", 20_000), ("large", 30_000)):
        (runs / name).write_bytes(bytes(size))
    state = [gpu.RUNS / "large", gpu.RUNS / "small"]
    (archive,) = gpu.bring_back("step", [gpu.RUNS / "result"], results, tmp_path, state)
    with tarfile.open(archive) as tar:
        assert tar.getnames() == ["runs/gpu/result", "runs/gpu/small"]
    assert "large: stays here" in capsys.readouterr().out
    teacher = gpu.steps()["teachers"].commands[0]
    assert [path.name for path in teacher.state] == ["last.ckpt", "last.safetensors", "best.safetensors"]
    assert "best.safetensors" not in {path.name for path in teacher.results}


def test_rows_of_reproduction_come_back_without_touching_other_rows(gpu: Any, tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    published = here / gpu.PUBLISHED
    published.mkdir(parents=True)
    (published / "other.json").write_text("newer than what the machine had")
    (there / gpu.ROW_RESULTS / "curves").mkdir(parents=True)
    (there / gpu.ROW_RESULTS / "row.json").write_text("made")
    (there / gpu.ROW_RESULTS / "curves" / "row-0.csv").write_text("curve")
    (there / gpu.DONE).write_text("{}")
    for one in gpu.steps()["rows"].commands:
        assert one.results[0] == gpu.ROW_RESULTS / f"{one.name.removeprefix('row-')}.json"
    (tmp_path / "results").mkdir()
    paths = [gpu.ROW_RESULTS / "row.json", gpu.ROW_RESULTS / "curves" / "row-0.csv", gpu.DONE]
    gpu.bring_back("rows", paths, tmp_path / "results", there)
    gpu.restore(tmp_path / "results", here)
    assert (published / "row.json").read_text() == "made"
    assert (published / "curves" / "row-0.csv").read_text() == "curve"
    assert (published / "other.json").read_text() == "newer than what the machine had"


def test_the_plan_is_printed_with_its_minutes(gpu: Any, capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main(["run", "--minutes", "9", "--results", "nowhere", "--steps", "teachers,student", "--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("teachers: ")
    assert sum("mien train emotion-student" in line for line in lines) == len(gpu.SEEDS)
    assert lines[-1].endswith("min in all, one after the other")
    with pytest.raises(SystemExit, match="no step nonsense"):
        gpu.main(["plan", "--steps", "nonsense"])
    assert tuple(gpu.steps()) == gpu.STEPS


def test_what_a_machine_lacks_is_named_before_anything_runs(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    monkeypatch.setattr(gpu, "install_wheels", lambda: None)
    monkeypatch.setattr(gpu, "find_spec", lambda name: None if name in ("kornia", "skops") else object())
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as raised:
        gpu.main(["run", "--steps", "student", "--minutes", "9", "--results", str(tmp_path / "results")])
    lines = str(raised.value).splitlines()
    # rows alone need skops
    assert [line for line in lines if "package" in line] == ["missing: package kornia"]
    assert any(line.startswith("missing: .gpu/fer2013.npz") for line in lines)
    assert any("a GPU that torch" in line for line in lines)
    assert not (tmp_path / "results").exists()


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
    gpu: Any, gpu_data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = faces(45)
    path = write_prepared(replace(data, info=replace(data.info, name="fer2013")), tmp_path / "data.parquet")
    packed = tmp_path / gpu.PACKED / "fer2013.npz"
    gpu_data.pack(path, packed, 4 << 20)
    rng = np.random.default_rng(0)
    heads = {"ferplus": rng.dirichlet(np.ones(8), 30), "fer2013": rng.dirichlet(np.ones(7), 30)}
    stored = tmp_path / gpu.RUNS / "teacher.npz"
    stored.parent.mkdir(parents=True)
    np.savez(stored, row=data.row[data.split == "train"], **heads)
    step = gpu.steps(epochs=1, seeds=(0,))["student"]
    (tmp_path / gpu.COMMIT).write_text("0123abc\n")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    gpu.prepare([step], tmp_path)
    outcome = gpu.run([step], 5, tmp_path / "results", tmp_path)
    assert outcome == gpu.Outcome(("emotion-student-0", "emotion-student-0-export"), ())
    there = tmp_path / "restored"
    there.mkdir()
    gpu.restore(tmp_path / "results", there)
    assert (there / gpu.RUNS / "emotion-student-0.onnx").is_file()
    folder = there / gpu.RUNS / "emotion-student-0"
    assert "epoch 1 of 1" in (there / gpu.RUNS / "logs" / "emotion-student-0.log").read_text()
    # the checkout there has no history: the commit travelled
    assert json.loads((folder / "environment.json").read_text())["commit"] == "0123abc"
    with pytest.raises(SystemExit, match="no data 'fairface'"):
        gpu.prepare([gpu.steps()["age"]], tmp_path)


def test_photos_to_train_on_travel_with_their_boxes(gpu_data: Any, tmp_path: Path) -> None:
    pictures = [gpu_data.encode(image, 101) for image in faces(12, channels=3).images]
    labels = [
        PhotoLabels(
            picture, np.array([[1, 2, 20 + i, 30]]), source=f"owner{i}", file=str(i),
            split=HELD_OUT if i in (3, 7) else TRAIN,
        )
        for i, picture in enumerate(pictures)
    ]  # fmt: skip
    source = write_detection(from_labels(labels), tmp_path / "photos.parquet")
    whole = gpu_data.pack_photos(source, tmp_path / "whole.parquet", 10 << 20)
    held = read_detection(tmp_path / "whole.parquet")
    assert whole["rows"] == len(held) == 10
    assert held.files == tuple(str(i) for i in range(12) if i not in (3, 7))
    assert held.boxes[:, 2].tolist() == [20 + int(file) for file in held.files]
    some = gpu_data.pack_photos(source, tmp_path / "some.parquet", sum(map(len, pictures)) // 60)
    assert 0 < some["rows"] < 10
    fewer = read_detection(tmp_path / "some.parquet")
    assert fewer.boxes[:, 2].tolist() == [20 + int(file) for file in fewer.files]


def test_what_runs_finds_a_version_of_mien_where_it_is_not_installed(gpu: Any, tmp_path: Path) -> None:
    import mien

    # without site-packages, as on a machine on which only the packages that it needs are installed
    code = (
        "import os, sys, pathlib, importlib.metadata; sys.path += os.environ['PYTHONPATH'].split(os.pathsep); "
        "pathlib.Path('version').write_text(importlib.metadata.version('mien'))"
    )
    one = gpu.Command("version", (sys.executable, "-I", "-S", "-c", code), 1.0, ())
    assert gpu.run([gpu.Step("step", (), (one,))], 4, tmp_path / "results", tmp_path).failed == ()
    assert (tmp_path / "version").read_text() == mien.__version__


def test_located_faces_travel_with_their_boxes_and_landmarks(
    gpu_data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mien.training.detection.face_tiles as located
    import mien.training.detection.mtcnn_faces as locate

    side = 96
    pictures = list(faces(6, channels=3).images.repeat(2, axis=1).repeat(2, axis=2))
    box, points = np.array([[2, 2, side - 2, side - 2]], np.float32), np.full((1, 5, 2), side / 2, np.float32)
    monkeypatch.setattr(located, "read_pictures", lambda path, count, seed: pictures[:count])
    monkeypatch.setattr(locate, "padded_mtcnn", lambda: lambda picture: (box, np.array([0.99], np.float32), points))
    told = gpu_data.pack_faces(tmp_path / "faces.parquet", tmp_path / "faces.npz", 1 << 20)
    assert told["faces"] == 6
    gpu_data.unpack_faces(tmp_path / "faces.npz", tmp_path / "tiles.npz")
    tiles = located.load_tiles(tmp_path / "tiles.npz")
    np.testing.assert_array_equal(tiles.boxes, np.repeat(box, 6, 0))
    assert np.abs(tiles.pixels.astype(int) - np.stack(pictures)).mean() < 12
    fewer = gpu_data.pack_faces(tmp_path / "faces.parquet", tmp_path / "faces.npz", told["bytes"] // 2)
    assert 0 < fewer["faces"] < 6
