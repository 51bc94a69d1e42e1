"""``POST /analyze`` as deepface's service has it."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from helpers.serving import assert_problem, blank, photo, service


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with service() as client:
        yield client


def test_deepface_clients_get_deepface_s_shape(client: TestClient) -> None:
    url = "data:image/jpeg;base64," + base64.b64encode(photo()).decode()
    for call in (
        {"json": {"img": url, "actions": ["emotion", "age"], "detector_backend": "retinaface"}},
        {"json": {"img_path": url}},
        {"files": {"img": ("x.jpg", photo())}, "data": {"actions": "['emotion', 'age']"}},
        {"data": {"img": url}, "files": {"nothing": (None, "")}},
    ):
        answer = client.post("/analyze", **call)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        (face,) = answer.json()["results"]
        assert face["dominant_emotion"] == "happy"
        assert sum(face["emotion"].values()) == pytest.approx(100, abs=0.01)
        assert isinstance(face["age"], int)
        assert face["region"]["w"] > 40
    only = client.post("/analyze", json={"img": url, "actions": "emotion"}).json()["results"][0]
    assert "age" not in only


def test_deepface_clients_get_its_errors(client: TestClient) -> None:
    empty = base64.b64encode(blank()).decode()
    problem = assert_problem(client.post("/analyze", json={"img": empty}), 400, "no-face")
    assert problem["error"] == problem["detail"]
    none = client.post("/analyze", json={"img": empty, "enforce_detection": False})
    assert (none.status_code, none.json()) == (200, {"results": []})
    for given, code in (
        ({"img": "/data/photo.jpg"}, "base64-malformed"),
        ({"img_path": "https://lab.example/a.jpg"}, "address-refused"),
        ({"img": empty, "actions": ["emotion", "race"]}, "action-unsupported"),
        ({"img": empty, "actions": ["mood"]}, "input-invalid"),
        ({"img": empty, "actions": 3}, "input-invalid"),
        ({}, "image-missing"),
        ([], "json-malformed"),
    ):
        assert "error" in assert_problem(client.post("/analyze", json=given), 422, code)
    assert_problem(client.post("/analyze", files={"other": ("x", photo())}), 422, "image-missing")
    assert_problem(client.post("/analyze", content=b"x"), 415, "media-type")
