"""Detectors on the command line: `mien data prepare`, `mien train detector`, `mien evaluate`, on made pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from helpers.commands import runner
from helpers.pictures import astronaut, noise
from mien.cli import cli
from mien.datasets.detection import read_detection
from mien.detect import DetectionOptions, make_detector
from mien.errors import DataError, InputError, MissingFileError, ModelError, TrainingError

FACE = (178, 63, 88, 110)
"""x, y, width, height of the astronaut's."""


def call(*words: object) -> Result:
    return runner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def wider(tmp_path: Path) -> Path:
    """WIDER FACE's own folders: two events to train on, one held out."""
    root = tmp_path / "WIDER"
    x, y, w, h = FACE
    for split, events in (("train", ("0--Parade", "1--Party")), ("val", ("2--Meeting",))):
        lines = []
        for event in events:
            save(astronaut(), root / f"WIDER_{split}" / "images" / event / "a.png")
            save(noise(120, 160), root / f"WIDER_{split}" / "images" / event / "b.png")
            lines += [f"{event}/a.png", "2", f"{x} {y} {w} {h} 0 0 0 0 0 0", "5 5 9 9 0 0 0 1 0 0"]
            lines += [f"{event}/b.png", "0", "0 0 0 0 0 0 0 0 0 0"]
        labels = root / "wider_face_split" / f"wider_face_{split}_bbx_gt.txt"
        labels.parent.mkdir(exist_ok=True)
        labels.write_text("\n".join(lines) + "\n")
    return root


def coco(root: Path) -> Path:
    save(astronaut(), root / "one" / "a.png")
    save(noise(100, 100), root / "two" / "b.png")
    images = [
        {"id": i, "file_name": name, "width": 512, "height": 512, "license": 1}
        for i, name in enumerate(("one/a.png", "two/b.png"))
    ]
    document = {
        "images": images,
        "licenses": [{"id": 1, "name": "CC BY 4.0"}],
        "categories": [{"id": 1, "name": "face"}],
        "annotations": [
            {"image_id": 0, "category_id": 1, "bbox": list(FACE), "keypoints": [1, 2, 2] * 5},
            {"image_id": 0, "category_id": 1, "bbox": [9, 9, 12, 12], "iscrowd": 1},
        ],
    }
    (root / "faces.json").write_text(json.dumps(document))
    return root / "faces.json"


def yolo(root: Path) -> Path:
    x, y, w, h = (value / 512 for value in FACE)
    save(astronaut(), root / "images" / "a.png")
    save(noise(100, 100), root / "images" / "b.png")
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text(f"0 {x + w / 2} {y + h / 2} {w} {h}\n")
    return root


def test_wider_face_becomes_one_file_with_its_own_split(wider: Path, tmp_path: Path) -> None:
    out = tmp_path / "detection.parquet"
    result = call("data", "prepare", wider, "--out", out)
    assert result.exit_code == 0, result.output
    photos = read_detection(out)
    assert photos.splits == ("train",) * 4 + ("validation",) * 2
    assert photos.face_counts.tolist() == [1, 0] * 3
    x, y, w, h = FACE
    np.testing.assert_allclose(photos.boxes, [[x, y, x + w, y + h]] * 3)
    np.testing.assert_allclose(photos.ignored, [[5, 5, 14, 14]] * 3)
    assert photos.sizes.tolist() == [[512, 512], [160, 120]] * 3
    np.testing.assert_array_equal(photos.pixels(0), astronaut())
    assert re.search(r"train\s+│\s+4 │\s+2 │\s+2 │", result.stdout), result.stdout
    assert "64-128" in result.stdout
    assert "none (research)" in result.stdout
    assert f"wrote {out} (" in result.stderr


@pytest.mark.parametrize(("make", "kind", "licence"), [(coco, "coco", "CC BY 4.0"), (yolo, "yolo", "not stated")])
def test_other_layouts_become_the_same_file(
    make: Callable[[Path], Path], kind: str, licence: str, tmp_path: Path
) -> None:
    source = make(tmp_path)
    for name in ("auto", kind):
        out = tmp_path / f"{name}.parquet"
        result = call("data", "prepare", source, "--kind", name, "--out", out)
        assert result.exit_code == 0, result.output
        assert licence in result.stdout
        assert "no photos are held out" in result.stderr
        photos = read_detection(out)
        assert photos.face_counts.tolist() == [1, 0]
        x, y, w, h = FACE
        np.testing.assert_allclose(photos.boxes, [[x, y, x + w, y + h]], rtol=1e-5)
        assert len(photos.ignored) == (kind == "coco")
    # the file itself is read again, with all that it holds
    again = tmp_path / "again.parquet"
    assert call("data", "prepare", out, "--out", again).exit_code == 0
    twice = read_detection(again)
    for name in ("boxes", "landmarks", "trust", "ignored", "sizes"):
        np.testing.assert_array_equal(getattr(photos, name), getattr(twice, name))
    assert photos.licences == twice.licences
    assert photos.sources == twice.sources


def test_whole_sources_are_held_out(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    rows = []
    for i in range(12):
        save(astronaut() if i % 3 else noise(64, 64), root / f"site{i}" / "a.png")
        rows.append({"id": i, "file_name": f"site{i}/a.png", "width": 512, "height": 512})
    boxes = [{"image_id": i, "category_id": 1, "bbox": list(FACE)} for i in range(12) if i % 3]
    document = {"images": rows, "categories": [{"id": 1, "name": "face"}], "annotations": boxes}
    (root / "faces.json").write_text(json.dumps(document))
    out = tmp_path / "out.parquet"
    result = call("data", "prepare", root / "faces.json", "--validation", 0.3, "--seed", 1, "--out", out)
    assert result.exit_code == 0, result.output
    held = np.array(read_detection(out).splits) == "validation"
    assert 2 <= held.sum() <= 6
    with pytest.raises(InputError, match="come from 1; leave --validation out"):
        call("data", "prepare", yolo(tmp_path / "yolo"), "--validation", 0.2, "--out", out)


def test_what_does_not_fit_photos_with_boxes_is_refused(wider: Path, tmp_path: Path) -> None:
    result = call("data", "prepare", wider, "--size", 48, "--crop", "age", "--out", tmp_path / "x.parquet")
    assert result.exit_code == 2
    assert "--size, --crop: for pictures of single faces" in result.stderr
    (wider / "WIDER_train" / "images" / "0--Parade" / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="not a readable image"):
        call("data", "prepare", wider, "--out", tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()
    with pytest.raises(MissingFileError):
        call("data", "prepare", tmp_path / "none.json", "--kind", "coco", "--out", tmp_path / "x.parquet")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe with a network and crops of a few pixels."""
    from mien.networks.detector import DetectorShape
    from mien.recipes import detector
    from mien.training.detection.run import DetectorConfig

    shape = DetectorShape(widths=(4, 4, 8, 8, 8), blocks=(1, 1, 1), pyramid=8, towers=(1, 1, 1))
    monkeypatch.setattr(detector, "CONFIG", DetectorConfig(shape=shape, side=64, batch=2, large_every=0))


@pytest.mark.usefixtures("small")
def test_a_detector_is_trained_resumed_and_scored_beside_the_one_that_ships(wider: Path, tmp_path: Path) -> None:
    data, run = tmp_path / "detection.parquet", tmp_path / "run"
    assert call("data", "prepare", wider, "--out", data).exit_code == 0
    words = ("train", "detector", "--data", data, "--out", run, "--workers", 0, "--threads", 1)
    result = call(*words, "--steps", 50)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{run}\n"
    lines = result.stderr.splitlines()
    assert lines[0].startswith("step 50 (100%): loss ")
    assert lines[-1] == f"next: mien evaluate {run} mien --data {data}"
    for name in ("config.json", "environment.json", "curves.csv", "curves.png", "checkpoint.pt", "detector.onnx"):
        assert (run / name).is_file(), name
    assert json.loads((run / "environment.json").read_text())["data"]["file"] == "detection.parquet"
    with pytest.raises(TrainingError, match="--resume to continue"):
        call(*words, "--steps", 100)
    other = tmp_path / "other.parquet"
    assert call("data", "prepare", yolo(tmp_path / "yolo"), "--out", other).exit_code == 0
    with pytest.raises(TrainingError, match="other data"):
        call("train", "detector", "--data", other, "--out", run, "--resume")
    result = call(*words, "--steps", 100, "--resume")
    assert result.exit_code == 0, result.output
    assert len((run / "curves.csv").read_text().splitlines()) == 3
    # a complete run is left as it is
    before = (run / "checkpoint.pt").read_bytes()
    assert call(*words, "--steps", 100, "--resume").exit_code == 0
    assert (run / "checkpoint.pt").read_bytes() == before
    result = call("evaluate", run, "mien", "--data", data, "--threads", 1, "--json", tmp_path / "scores.json")
    assert result.exit_code == 0, result.output
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert list(scores["detectors"]) == [str(run), "mien"]
    assert scores["data"]["photos"] == 2, "those held out"
    assert scores["detectors"]["mien"]["recall"]["all"] == 1
    assert "detection.parquet, validation" in result.stdout
    assert call("evaluate", "mien", "--data", data, "--split", "train", "--threads", 1).stdout.count("4 photos") == 1
    with pytest.raises(DataError, match="has no test photos, only train, validation"):
        call("evaluate", "mien", "--data", data, "--split", "test")


def test_a_trained_detector_takes_the_place_of_the_one_that_ships(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "src" / "mien" / "models" / "files"
    own = make_detector(DetectionOptions("mien", detector_model=shipped / "detector.onnx"), threads=1)
    assert len(own.detect(astronaut())) == 1
    with pytest.raises(ModelError, match=r"no network of this detector; give detector\.onnx"):
        make_detector(DetectionOptions("mien", detector_model=shipped / "landmarks.onnx"))
    with pytest.raises(MissingFileError):
        make_detector(DetectionOptions("mien", detector_model=tmp_path / "none.onnx"))


def test_bad_calls_of_the_recipe(wider: Path) -> None:
    for words, message in (
        (("train", "detector", "--data", wider, "--epochs", 3), "detector has no epochs"),
        (("train", "emotion-cpu", "--data", wider, "--steps", 3, "--faces", wider), "--faces, --steps: for recipe det"),
    ):
        result = call(*words)
        assert result.exit_code == 2
        assert message in result.stderr


def test_the_recipe_is_listed() -> None:
    assert "Mien's face detector" in call("train", "--list").stdout
