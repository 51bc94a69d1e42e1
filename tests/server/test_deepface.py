"""``POST /analyze`` as deepface's service has it."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from helpers.hostile import bomb
from helpers.serving import PausableDetector, assert_problem, blank, photo, service


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
        unsupported = answer.json().get("unsupported_actions", [])
        assert unsupported == ([] if "actions" in str(call) else ["gender", "race"])
    only = client.post("/analyze", json={"img": url, "actions": "emotion"}).json()["results"][0]
    assert "age" not in only
    four = {"img": url, "actions": ["age", "gender", "emotion", "race"], "anti_spoofing": False}
    answer = client.post("/analyze", json=four).json()
    assert answer["unsupported_actions"] == ["gender", "race"]
    assert set(answer["results"][0]) == {"age", "emotion", "dominant_emotion", "region", "face_confidence"}


def test_without_a_face_the_whole_photo_is_one_entry_where_detection_is_not_enforced(client: TestClient) -> None:
    empty = base64.b64encode(blank(64, 48)).decode()
    for off in (False, "false", "False"):
        answer = client.post("/analyze", json={"img": empty, "enforce_detection": off})
        assert answer.status_code == 200, answer.text
        (entry,) = answer.json()["results"]
        assert entry["face_confidence"] == 0
        region = {"x": 0, "y": 0, "w": 64, "h": 48, "left_eye": None, "right_eye": None}
        assert entry["region"] == region
        assert sum(entry["emotion"].values()) == pytest.approx(100, abs=0.01)
        assert isinstance(entry["age"], int)
    photo_of_one = {"img": base64.b64encode(photo()).decode(), "enforce_detection": False}
    (face,) = client.post("/analyze", json=photo_of_one).json()["results"]
    assert face["face_confidence"] > 0.9


def test_deepface_clients_get_its_errors_and_statuses(client: TestClient) -> None:
    empty = base64.b64encode(blank()).decode()
    problem = assert_problem(client.post("/analyze", json={"img": empty}), 400, "no-face")
    assert problem["error"] == problem["detail"]
    assert problem["error"].startswith("Face could not be detected")
    for given, code, key in (
        ({"img": "/data/photo.jpg"}, "base64-malformed", "error"),
        ({"img": base64.b64encode(b"no photo").decode()}, "image-unreadable", "error"),
        ({"img": base64.b64encode(bomb()).decode()}, "image-too-large", "error"),
        ({"img_path": "https://lab.example/a.jpg"}, "address-refused", "error"),
        ({"img": empty, "actions": ["gender", "race"]}, "action-unsupported", "error"),
        ({"img": empty, "actions": ["mood"]}, "input-invalid", "error"),
        ({"img": empty, "actions": []}, "input-invalid", "error"),
        ({"img": empty, "actions": [[]]}, "input-invalid", "error"),
        ({"img": empty, "actions": 3}, "input-invalid", "error"),
        ({"img": empty, "anti_spoofing": True}, "action-unsupported", "error"),
        ({}, "image-missing", "exception"),
        ({"img": 3}, "image-missing", "exception"),
        ([], "json-malformed", "exception"),
    ):
        problem = assert_problem(client.post("/analyze", json=given), 400, code)
        assert problem[key] == problem["detail"]
        assert len({"error", "exception"} & set(problem)) == 1
    spoofing = {"data": {"anti_spoofing": "true"}, "files": {"img": ("x", photo())}}
    assert "anti_spoofing" in assert_problem(client.post("/analyze", **spoofing), 400, "action-unsupported")["error"]  # type: ignore[arg-type]
    other = client.post("/analyze", files={"other": ("x", photo())})
    assert "exception" in assert_problem(other, 400, "image-missing")
    assert_problem(client.post("/analyze", content=b"x"), 400, "media-type")


def test_actions_of_models_that_do_not_run_are_listed() -> None:
    with service(PausableDetector(), with_models=False) as client:
        everything = client.post("/analyze", json={"img": base64.b64encode(blank()).decode(), "actions": ["age"]})
        assert "age" in assert_problem(everything, 400, "action-unsupported")["error"]
