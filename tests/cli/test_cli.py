"""The command line as a person uses it: every kind of output, and every kind of bad input."""

from __future__ import annotations

import csv
import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers.commands import CommandRun
from helpers.pictures import astronaut, noise
from mien import cli as cli_module
from mien.cli import COMMANDS
from mien.files import OUTPUT_MARKER


def test_a_table_for_people(mien: Callable[..., CommandRun], photos: Path) -> None:
    run = mien("analyze", photos / "face.jpg", photos / "none.png", "--threads", 1)
    assert run.code == 0
    assert run.err == ""
    assert "happy" in run.out
    assert "no face" in run.out


def test_json_lines(mien: Callable[..., CommandRun], photos: Path) -> None:
    run = mien("analyze", photos, "--json")
    documents = [json.loads(line) for line in run.out.splitlines()]
    assert [len(d["faces"]) for d in documents] == [1, 0]
    face = documents[0]["faces"][0]
    assert face["emotion"] == "happy"
    assert set(face) >= {"box", "score", "landmarks", "predictions", "emotion", "age_range", "age"}
    assert set(face["predictions"]) == {"emotion", "age"}
    assert documents[0]["width"] == 512


def test_large_faces_of_large_files(mien: Callable[..., CommandRun], tmp_path: Path) -> None:
    """Decoded smaller, boxes in pixels of the file; annotations are drawn at full size."""
    large = np.asarray(cv2.resize(astronaut(), (1600, 1600), interpolation=cv2.INTER_CUBIC), np.uint8)
    Image.fromarray(large).save(tmp_path / "large.jpg", quality=92)
    document = json.loads(mien("analyze", tmp_path / "large.jpg", "--min-face", 150, "--json").out)
    assert (document["width"], document["height"]) == (1600, 1600)
    x1, y1, x2, y2 = document["faces"][0]["box"]
    assert x1 < 203 * 3.125 < 247 * 3.125 < x2
    assert y1 < 100 * 3.125 < y2
    mien("analyze", tmp_path / "large.jpg", "--min-face", 150, "--save", tmp_path / "out")
    with Image.open(tmp_path / "out" / "large.jpg") as drawn:
        assert drawn.size == (1600, 1600)


def test_files_and_annotated_pictures(mien: Callable[..., CommandRun], photos: Path, tmp_path: Path) -> None:
    import pandas as pd

    out = tmp_path / "out"
    run = mien(
        "analyze", str(photos / "*"), "--csv", out / "f.csv", "--parquet", out / "f.parquet", "--save", out / "p"
    )
    assert run.code == 0
    with (out / "f.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["emotion"] for row in rows] == ["happy", ""]
    assert pd.read_parquet(out / "f.parquet")["emotion"].tolist()[0] == "happy"
    assert sorted(p.name for p in (out / "p").iterdir()) == [OUTPUT_MARKER, "face.jpg", "none.png"]
    with Image.open(out / "p" / "face.jpg") as picture:
        assert picture.size == (512, 512)
    assert mien("analyze", photos / "face.jpg", "--save", out / "one.png").code == 0
    assert (out / "one.png").is_file()


def test_pictures_of_one_name_do_not_overwrite_each_other(
    mien: Callable[..., CommandRun], photos: Path, tmp_path: Path
) -> None:
    (photos / "sub").mkdir()
    Image.fromarray(astronaut()[:200, :300]).save(photos / "sub" / "face.jpg")
    assert mien("analyze", photos, "--save", tmp_path / "p").code == 0
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == [OUTPUT_MARKER, "face-2.jpg", "face.jpg", "none.png"]


def test_standard_input(photos: Path) -> None:
    with (photos / "face.jpg").open("rb") as file:
        run = subprocess.run(
            [sys.executable, "-m", "mien", "analyze", "-", "--json"],
            stdin=file,
            capture_output=True,
            text=True,
            check=True,
        )
    assert json.loads(run.stdout)["faces"][0]["emotion"] == "happy"


def test_progress_bar_on_many_files_goes_to_stderr(mien: Callable[..., CommandRun], photos: Path) -> None:
    for i in range(6):
        Image.fromarray(noise(40, 40, seed=i)).save(photos / f"{i}.png")
    run = mien("analyze", photos, "--json")
    assert len(run.out.splitlines()) == 8
    assert "8/8" in run.err


@pytest.mark.parametrize("detector", ["mtcnn", "haar", "res10"])
def test_detectors(detector: str, mien: Callable[..., CommandRun], photos: Path) -> None:
    run = mien("analyze", photos / "face.jpg", "--detector", detector, "--json", "--min-face", 48)
    assert "happy" in [face["emotion"] for face in json.loads(run.out)["faces"]]


def test_options_change_the_answer(mien: Callable[..., CommandRun], photos: Path) -> None:
    assert json.loads(mien("analyze", photos / "face.jpg", "--min-face", 300, "--json").out)["faces"] == []
    face = json.loads(mien("analyze", photos / "face.jpg", "--models", "emotion", "--json").out)["faces"][0]
    assert "age_range" not in face
    assert "uncertain" in mien("analyze", photos / "face.jpg", "--abstain", 1).out


def bomb() -> bytes:
    """A PNG that states it is 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(astronaut()).save(stream, "JPEG", quality=90)
    return stream.getvalue()


BAD = {
    "empty.jpg": lambda: b"",
    "truncated.jpg": lambda: jpeg()[: len(jpeg()) // 2],
    "text.jpg": lambda: b"this is not a picture\n" * 20,
    "bomb.png": bomb,
    "page.png": lambda: b"<!doctype html><p>not found</p>",
    "cut.png": lambda: bomb()[:20],
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line_and_the_others_are_done(
    name: str, mien: Callable[..., CommandRun], photos: Path
) -> None:
    (photos / name).write_bytes(BAD[name]())
    run = mien("analyze", photos, "--json")
    assert run.code == 1
    assert len(run.out.splitlines()) == 2
    lines = [line for line in run.err.splitlines() if line.startswith("mien: ")]
    assert len(lines) == 1
    assert name in lines[0]
    assert "Traceback" not in run.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["analyze", "{tmp}/absent.jpg"], "absent.jpg"),
        (["analyze", "{tmp}"], "{tmp}"),
        (["analyze", "{tmp}/*.jpg"], "*.jpg"),
        (["analyze", "{photos}/face.jpg", "--csv", "{tmp}"], "folder"),
        (["analyze", "{photos}/face.jpg", "--models", "nonsense"], "there are emotion, age, "),
        (["analyze", "{photos}/face.jpg", "--detector", "yunet"], "yunet"),
        (["analyze", "{photos}/face.jpg", "--save", "{photos}/face.nonsense"], "suffix"),
        (["models", "nonsense"], "there are emotion, age, "),
        (["train", "nonsense", "--data", "{tmp}/x.parquet"], "emotion-cpu"),
        (["train", "emotion-cpu", "--data", "{tmp}/x.parquet", "--out", "{tmp}/run"], "x.parquet"),
        (["evaluate", "emotion", "--data", "{tmp}/x.parquet"], "x.parquet"),
        (["export", "{tmp}/run", "--out", "{tmp}/x.onnx"], "mien train"),
        (["data", "prepare", "{tmp}/absent.csv", "--out", "{tmp}/o.parquet"], "absent.csv"),
    ],
)
def test_bad_calls_name_what_is_wrong(
    arguments: list[str], words: str, mien: Callable[..., CommandRun], photos: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    names = {"{tmp}": str(empty), "{photos}": str(photos)}
    if arguments[0] in ("train", "export"):
        pytest.importorskip("torch")

    def fill(text: str) -> str:
        for key, value in names.items():
            text = text.replace(key, value)
        return text

    run = mien(*map(fill, arguments))
    assert run.code == 1
    lines = [line for line in run.err.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("mien: ")
    assert fill(words) in lines[0]


def test_a_wrong_call_is_exit_code_2(mien: Callable[..., CommandRun]) -> None:
    for arguments in (["analyze"], ["nonsense"], ["analyze", "x.jpg", "--top", "many"]):
        run = mien(*arguments)
        assert run.code == 2
        assert "Usage" in run.err


def test_models_and_cards(mien: Callable[..., CommandRun]) -> None:
    run = mien("models")
    assert run.code == 0
    assert "emotion" in run.out
    card = json.loads(mien("models", "emotion").out)
    assert card["heads"][0]["labels"][1] == "happy"


def test_fetch_reports_when_the_network_is_out_of_reach(
    mien: Callable[..., CommandRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mien.detect.yunet as yunet  # type: ignore[import-not-found, unused-ignore]

    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    monkeypatch.setattr(yunet, "URL", "https://127.0.0.1:9/yunet.onnx")
    run = mien("models", "--fetch", "yunet")
    assert run.code == 1
    assert run.err.startswith("mien: ")
    assert len(run.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_demo(mien: Callable[..., CommandRun], photos: Path, tmp_path: Path) -> None:
    run = mien("demo", "--out", tmp_path / "d.png")
    assert run.code == 0
    assert "happy" in run.out
    assert str((tmp_path / "d.png").resolve()) in run.out
    assert mien("demo", "--photo", photos / "none.png", "--out", tmp_path / "e.png").code == 0
    assert (tmp_path / "e.png").is_file()


def test_train_evaluate_export_and_use(mien: Callable[..., CommandRun], photos: Path, tmp_path: Path) -> None:
    """The whole way from a CSV to an answer on a photo, on a fabricated dataset."""
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    lines = ["emotion,pixels,Usage"]
    for i in range(60):
        pixels = " ".join(map(str, rng.integers(0, 256, 48 * 48)))
        lines.append(f"{i % 7},{pixels},{('Training', 'PublicTest', 'PrivateTest')[min(i // 40, 1) + i // 50]}")
    (tmp_path / "fer2013.csv").write_text("\n".join(lines) + "\n")
    votes = ["Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"]
    order = [4, 5, 6, 1, 3, 2, 0]
    for i, line in enumerate(lines[1:]):
        row = [0] * 10
        row[order[i % 7]] = 10
        votes.append(f"{line.rsplit(',', 1)[1]},fer{i:07d}.png,{','.join(map(str, row))}")
    (tmp_path / "votes.csv").write_text("\n".join(votes) + "\n")
    data, run = tmp_path / "f.parquet", tmp_path / "run"
    made = mien("data", "prepare", tmp_path / "fer2013.csv", "--ferplus", tmp_path / "votes.csv", "--out", data)
    assert made.code == 0, made.err
    trained = mien(
        "train", "emotion-cpu", "--data", data, "--out", run, "--epochs", 1, "--batch-size", 20, "--threads", 1
    )
    assert trained.code == 0, trained.err
    assert str(run) in trained.out
    scored = mien("evaluate", run, "--data", data, "--json", tmp_path / "s.json")
    assert scored.code == 0, scored.err
    assert "ferplus" in scored.out
    exported = mien(
        "export", run, "--out", tmp_path / "m.onnx", "--scores", tmp_path / "s.json", "--temperature", "ferplus=1.5"
    )
    assert exported.code == 0, exported.err
    scores = json.loads((tmp_path / "s.json").read_text())["results"]
    again = mien("evaluate", tmp_path / "m.onnx", "--data", data, "--json", tmp_path / "t.json")
    assert again.code == 0
    assert (
        json.loads((tmp_path / "t.json").read_text())["results"]["fer2013"]["confusion"]
        == scores["fer2013"]["confusion"]
    )
    used = json.loads(mien("analyze", photos / "face.jpg", "--models", tmp_path / "m.onnx", "--json").out)
    first = next(iter(used["faces"][0]["predictions"].values()))
    assert set(first["probabilities"]) == set(json.loads(mien("models", "emotion").out)["heads"][0]["labels"])
    assert mien("export", run, "--out", tmp_path / "n.onnx", "--temperature", "ferplus=-1").code == 1


def test_an_interrupt_leaves_no_half_file(
    photos: Path, tmp_path: Path, mien: Callable[..., CommandRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.results import row_writers

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(row_writers.CsvRows, "_append", stopped)
    out = tmp_path / "out"
    run = mien("analyze", photos, "--csv", out / "f.csv")
    assert run.code == 130
    assert "interrupted" in run.err
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_and_imports_nothing_heavy(name: str) -> None:
    path = ["data", "prepare"] if name == "data" else [name]
    code = (
        "import sys; from click.testing import CliRunner; from mien.cli import cli; "
        f"result = CliRunner().invoke(cli, [*{path!r}, '--help']); assert result.exit_code == 0, result.output; "
        "assert 'Examples:' in result.output; "
        "heavy = {'torch', 'cv2', 'onnxruntime', 'numpy', 'pandas', 'rich'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version_and_overview(mien: Callable[..., CommandRun]) -> None:
    assert "0.1.0" in mien("--version").out
    overview = mien("--help").out
    assert all(name in overview for name in cli_module.COMMANDS)
    assert "Exit codes" in overview
