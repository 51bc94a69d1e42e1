"""``mien serve --coverage``: photos, videos and live frames have sets of labels, and the description names them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

import mien
from helpers.clips import Pan, clip
from helpers.serving import HERE, JPEG, photo
from helpers.waiting import wait_until
from mien.cli import cli
from mien.errors import InputError
from mien.server.v1.schemas import LiveFrame, ModelsResponse, PhotosResponse, VideoResponse

COVERAGE = 0.9


def started(*options: str) -> TestClient:
    """A client of the service that a call of ``mien serve`` starts."""
    apps: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mien.server.run.serve", lambda app, *_, **__: apps.append(app))
        done = CliRunner().invoke(cli, ["serve", "--port", "0", "--threads", "1", *options])
    assert done.exit_code == 0, done.output
    return TestClient(apps[0], base_url=HERE)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with started("--coverage", str(COVERAGE), "--by-class") as client:
        yield client


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """What the package reports for the photo."""
    analyzer = mien.Analyzer(coverage=COVERAGE, by_class=True, threads=1)
    (face,) = analyzer.analyze(photo()).to_dicts()
    return {name: {key: one.get(key) for key in ("set", "low", "high")} for name, one in face["predictions"].items()}


def test_a_photo_has_the_sets_of_the_package(client: TestClient, expected: dict[str, Any]) -> None:
    answer = client.post("/v1/analyze", content=photo(), headers=JPEG).json()
    PhotosResponse.model_validate(answer)
    (face,) = answer["results"][0]["faces"]
    assert "happy" in face["predictions"]["emotion"]["set"]
    assert face["predictions"]["age"]["low"] <= face["age"] <= face["predictions"]["age"]["high"]
    for name, one in expected.items():
        assert {key: face["predictions"][name].get(key) for key in one} == one


def test_the_description_names_the_coverage(client: TestClient) -> None:
    answer = client.get("/v1/models").json()
    ModelsResponse.model_validate(answer)
    assert {(one["coverage"], one["by_class"]) for one in answer["heads"].values()} == {(COVERAGE, True)}
    assert {"emotion_set", "age_set", "age_low", "age_high"} <= {column["name"] for column in answer["columns"]}
    assert answer["models"]["models"]["emotion"].endswith("sets 0.9 by class")
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert {"set", "low", "high"} <= set(schemas["FacePrediction"]["properties"])
    assert {"coverage", "by_class"} <= set(schemas["HeadDescription"]["properties"])


def test_a_live_frame_has_sets(client: TestClient) -> None:
    with client.websocket_connect("ws://127.0.0.1/v1/live") as socket:
        socket.send_bytes(photo())
        answer = socket.receive_json()
    LiveFrame.model_validate(answer)
    (face,) = answer["faces"]
    assert "happy" in face["predictions"]["emotion"]["set"]
    assert {"low", "high"} <= set(face["predictions"]["age"])


def test_frames_and_tracks_of_a_video_have_sets(client: TestClient, tmp_path: Path) -> None:
    film = clip(tmp_path / "clip.mp4", frames=12, size=(160, 144), draw=Pan.astronaut((160, 144), eye_distance=30.0))
    sent = client.post("/v1/videos", content=film.read_bytes(), headers={"Content-Type": "video/mp4"})
    here = urljoin(str(sent.url), sent.headers["location"])
    wait_until(lambda: client.get(here).json()["status"] == "done")
    result = client.get(f"{here}/result").json()
    VideoResponse.model_validate(result)
    assert all(face["predictions"]["emotion"]["set"] for row in result["rows"] for face in row["faces"])
    (track,) = result["tracks"]
    assert "happy" in track["predictions"]["emotion"]["set"]
    assert "emotion_set" in client.get(f"{here}/result?format=csv").text.splitlines()[0].split(",")


def test_without_the_option_nothing_has_sets() -> None:
    with started() as client:
        answer = client.post("/v1/analyze", content=photo(), headers=JPEG).json()
        assert "set" not in answer["results"][0]["faces"][0]["predictions"]["emotion"]
        assert {one["coverage"] for one in client.get("/v1/models").json()["heads"].values()} == {None}


def test_sets_by_class_without_a_coverage_start_nothing() -> None:
    done = CliRunner().invoke(cli, ["serve", "--port", "0", "--by-class"])
    assert isinstance(done.exception, InputError)
    assert done.exception.code == "coverage-missing"
