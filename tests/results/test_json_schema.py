"""What is written keeps to the published schema, key by key."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from helpers.clips import Pan, clip
from helpers.commands import runner
from helpers.pictures import astronaut
from mien import Faces
from mien.cli import cli
from mien.cli.schema import KINDS
from mien.results.json_schema import results_schema
from mien.results.schema_ids import VERSION, schema_id

jsonschema = pytest.importorskip("jsonschema")
DOCS = Path(__file__).parents[2] / "docs"


def checker(kind: str | None, *, closed: bool = True) -> Any:
    """Holds a result against the schema; with ``closed``, a key that the schema does not name is an error as well."""
    return jsonschema.Draft202012Validator(results_schema(kind, closed=closed))


def strict(text: str) -> Any:
    """Parsed JSON, without the NaN that Python alone would read."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inputs")
    Image.fromarray(astronaut()).save(path / "photo.png")
    Image.new("RGB", (64, 64)).save(path / "nobody.png")
    clip(path / "clip.mp4", frames=12, draw=Pan.astronaut((160, 144), eye_distance=30.0))
    return path


@pytest.mark.parametrize("kind", [None, *KINDS])
@pytest.mark.parametrize("closed", [False, True])
def test_it_is_a_schema(kind: str | None, closed: bool) -> None:
    schema = results_schema(kind, closed=closed)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"].endswith(f":{VERSION}")
    assert all("description" in shape for shape in schema["$defs"].values())


@pytest.mark.parametrize(
    "options", [[], ["--models", "age"], ["--models", "emotion"], ["--models", "none"], ["--detector", "haar"]]
)
def test_photos(folder: Path, options: list[str]) -> None:
    inputs = [str(folder / "photo.png"), str(folder / "nobody.png")]
    done = runner().invoke(cli, ["analyze", *inputs, "--json", "--threads", "1", *options])
    assert done.exit_code == 0, done.output
    documents = [strict(line) for line in done.stdout.splitlines()]
    assert sorted(len(one["faces"]) for one in documents) == [0, 1]
    for document in documents:
        checker("photo").validate(document)
        checker(None).validate(document)
    checker("photo").validate(strict(Faces.empty((3, 2)).to_json()))


@pytest.mark.parametrize("options", [[], ["--models", "none"], ["--every", "3"]])
def test_frames_and_reports(folder: Path, tmp_path: Path, options: list[str]) -> None:
    call = ["analyze", str(folder / "clip.mp4"), "--json", "--threads", "1", "--report", str(tmp_path / "report")]
    call += options
    done = runner().invoke(cli, call)
    assert done.exit_code == 0, done.output
    frames = [strict(line) for line in done.stdout.splitlines()]
    assert len(frames) == (4 if "--every" in options else 12)
    assert any(frame["faces"] for frame in frames)
    for frame in frames:
        checker("frame").validate(frame)
    (summary,) = tmp_path.rglob("summary.json")
    report = strict(summary.read_text(encoding="utf-8"))
    assert report["tracks"]
    checker("report").validate(report)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"width": "64"}, "width"),
        ({"faces": [{"box": [1, 2, 3], "score": 0.5}]}, "box"),
        ({"faces": [{"box": [1, 2, 3, 4], "score": 1.5}]}, "score"),
        ({"faces": [{"box": [1, 2, 3, 4]}]}, "faces"),
        ({"schema": "urn:mien:schema:photo:1"}, "schema"),
        ({"schema": schema_id("frame")}, "schema"),
        ({"unheard": 1}, None),
    ],
)
def test_what_breaks_it_is_found(change: dict[str, Any], where: str | None) -> None:
    document = {"schema": schema_id("photo"), "source": None, "width": 4, "height": 4, "faces": []} | change
    errors = list(checker("photo").iter_errors(document))
    assert errors
    assert where is None or where in list(errors[0].absolute_path)
    # new keys may come without a new version
    assert checker("photo", closed=False).is_valid(document) == (where is None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_states_which_schema_it_keeps_to(kind: str) -> None:
    schema = results_schema(kind)
    root = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    assert root["properties"]["schema"]["const"] == schema["$id"]
    assert "schema" in root["required"]


def test_the_command_prints_it() -> None:
    kinds = [ref["$ref"].rpartition("/")[2].lower() for ref in results_schema()["anyOf"]]
    assert kinds == list(KINDS)
    for kind in KINDS:
        assert json.loads(runner().invoke(cli, ["schema", kind]).stdout) == results_schema(kind)
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mien", "schema"], capture_output=True, text=True, timeout=240
    )
    assert json.loads(run.stdout) == results_schema()
    assert "onnxruntime" not in run.stderr, "printing a schema needs no model"


def test_the_published_copy_is_current() -> None:
    """A difference here changes what readers of results rely on: does `VERSION` rise?"""
    assert json.loads((DOCS / "results.schema.json").read_text(encoding="utf-8")) == results_schema()
