"""A network of three made-up classes, from folders of pictures to photos, a video, tables, pages and the service."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien
from helpers.clips import Pan, clip
from helpers.commands import runner
from helpers.pictures import astronaut
from mien.cli import cli
from mien.recipes.catalog import get_recipe
from mien.training.config import NO_AUGMENTATION, HeadSpec, OptimizerConfig
from mien.training.recipe_file import write_recipe

CLASSES = {"bright": 1.0, "dim": 0.45, "dark": 0.15}
"""Class → factor of the picture's brightness."""


def lit(factor: float) -> np.ndarray:
    return (astronaut() * factor).astype(np.uint8)


def run(*arguments: object, folder: Path) -> str:
    """What a command prints on stdout, called in this process; the pages of the docs call it as one of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = runner().invoke(cli, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of crops of one portrait in three kinds of light, and the network that `mien train` made of them."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    face = Image.fromarray(astronaut()).crop((170, 60, 275, 165)).resize((48, 48)).convert("L")
    for split, count in (("train", 48), ("validation", 16), ("test", 16)):
        for name, factor in CLASSES.items():
            target = folder / "pictures" / split / name
            target.mkdir(parents=True)
            for i in range(count):
                pixels = np.asarray(face, np.float32) * factor * rng.uniform(0.9, 1.05) + rng.normal(0, 3, (48, 48))
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(target / f"{i}.png")
    run("data", "prepare", "pictures", "--labels", "own", "--out", "own.parquet", folder=folder)
    own = replace(
        get_recipe("emotion-cpu"),
        name="light",
        summary="three kinds of light",
        task="own",
        network="stack-baseline",
        heads=(HeadSpec("light", tuple(sorted(CLASSES)), "emotion"),),
        epochs=8,
        batch_size=16,
        augment=NO_AUGMENTATION,
        optimizer=OptimizerConfig(lr=1e-3),
        ema=None,
        space=None,
    )
    write_recipe(own, folder / "light.json", {"made": "for a test"})
    run("train", "light.json", "--data", "own.parquet", "--out", "run", "--threads", 1, "--no-progress", folder=folder)
    run("export", "run", "--out", "light.onnx", "--name", "light", folder=folder)
    return folder


@pytest.mark.slow
def test_photos_tables_and_pictures_show_the_classes(folder: Path) -> None:
    analyzer = mien.Analyzer(models={"emotion": "emotion", "light": folder / "light.onnx"}, threads=1)
    assert list(analyzer.heads) == ["emotion", "light"]
    found = {name: analyzer.analyze(lit(factor), color="rgb") for name, factor in CLASSES.items()}
    assert [found[name][0].predictions["light"].label for name in CLASSES] == list(CLASSES)
    faces = found["dim"]
    assert faces[0].emotion is not None
    assert set(faces[0].predictions["light"].probabilities) == set(CLASSES)
    assert faces.to_pandas()["light"].tolist() == ["dim"]
    assert {"light_confidence", "light_entropy", "light_bright", "light_dim", "light_dark"} <= set(faces.to_pandas())
    assert json.loads(faces.to_json())["faces"][0]["predictions"]["light"]["label"] == "dim"
    assert (faces.draw() != lit(CLASSES["dim"])).any()


@pytest.mark.slow
def test_a_video_becomes_tables_an_annotated_copy_and_a_page(folder: Path) -> None:
    clip(folder / "clip.mp4", frames=30, draw=Pan.astronaut((320, 288), eye_distance=40.0))
    run(
        *("analyze", "clip.mp4", "--models", "light=light.onnx,age", "--csv", "rows.csv", "--parquet", "rows.parquet"),
        *("--save", "annotated.mp4", "--report", "report", "--threads", 1),
        folder=folder,
    )
    with (folder / "rows.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["light_stable"] for row in rows[10:]} == {"bright"}
    assert all(row["age_range"] for row in rows)
    assert (folder / "annotated.mp4").stat().st_size > 5_000
    summary = json.loads((folder / "report" / "clip" / "summary.json").read_text())
    assert summary["heads"]["light"] == {"labels": sorted(CLASSES), "ordered": False}
    track = summary["tracks"][0]["predictions"]["light"]
    assert (track["label"], track["vote"]["label"]) == ("bright", "bright")
    assert {episode["head"] for episode in summary["tracks"][0]["episodes"]} == {"light"}
    page = (folder / "report" / "clip" / "report.html").read_text()
    assert "Light over the whole time" in page
    with (folder / "report" / "tracks.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["light"] == "bright"
    lines = run("analyze", "clip.mp4", "--models", "light=light.onnx", "--json", folder=folder).splitlines()
    assert json.loads(lines[-1])["faces"][0]["predictions"]["light"]["stable"] == "bright"
    assert "emotion" not in json.loads(lines[-1])["faces"][0]


@pytest.mark.slow
def test_batch_and_service_take_the_network(folder: Path) -> None:
    import io

    import pyarrow.parquet as pq
    from starlette.testclient import TestClient

    from mien.server.access import AccessPolicy
    from mien.server.app import create_app
    from mien.server.engine import InferenceEngine
    from mien.server.limits import ServiceLimits

    (folder / "photos").mkdir()
    for name, factor in CLASSES.items():
        Image.fromarray(lit(factor)).save(folder / "photos" / f"{name}.png")
    run("batch", "photos", "out", "--models", "light=light.onnx", "--workers", 1, folder=folder)
    table = pq.read_table(folder / "out" / "faces").to_pandas()
    assert {Path(row["source"]).stem: row["light"] for _, row in table.iterrows()} == {name: name for name in CLASSES}

    limits = ServiceLimits()
    engine = InferenceEngine.load(limits, models=(f"light={folder / 'light.onnx'}", "age"), threads=1)
    with TestClient(create_app(engine, AccessPolicy("127.0.0.1", None), limits), base_url="http://localhost") as client:
        data = io.BytesIO()
        Image.fromarray(lit(CLASSES["dark"])).save(data, "PNG")
        answer = client.post("/v1/analyze", content=data.getvalue(), headers={"Content-Type": "image/png"}).json()
        face = answer["results"][0]["faces"][0]
        assert face["predictions"]["light"]["label"] == "dark"
        assert answer["models"]["models"].keys() == {"light", "age"}
