"""Photos over HTTP: every way to send them, what is answered, and the description of it all."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

import mien
from helpers.hostile import bomb
from helpers.pictures import astronaut, hopper
from helpers.serving import JPEG, blank, encoded, is_problem, photo, service
from mien.server.v1.schemas import (
    LimitsResponse,
    ModelsResponse,
    PhotosResponse,
    ProblemDetails,
    ReadyResponse,
    VideoState,
)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with service() as client:
        yield client


def faces_of(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    PhotosResponse.model_validate(answer.json())
    (result,) = answer.json()["results"]
    return result["faces"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_gives_what_the_package_gives(client: TestClient, kind: str) -> None:
    told = faces_of(client.post("/v1/analyze", content=photo(kind), headers={"Content-Type": f"image/{kind.lower()}"}))
    assert told == mien.analyze(photo(kind)).to_dicts()
    assert [face["emotion"] for face in told] == ["happy"]


def test_form_raw_and_json_are_the_same(client: TestClient) -> None:
    text = base64.b64encode(photo()).decode()
    answers = [
        client.post("/v1/analyze", files={"image": ("secret name.jpg", photo())}),
        client.post("/v1/analyze", content=photo(), headers=JPEG),
        client.post("/v1/analyze", content=photo(), headers={"Content-Type": "application/octet-stream"}),
        client.post("/v1/analyze", json={"images": [text]}),
        client.post("/v1/analyze", json={"images": [f"data:image/jpeg;base64,{text}"]}),
    ]
    first = faces_of(answers[0])
    assert first
    assert all(faces_of(answer) == first for answer in answers)
    assert all("secret" not in answer.text for answer in answers)


def test_several_photos_come_back_in_order_with_their_errors(client: TestClient) -> None:
    names = [photo(), blank(), b"no picture", encoded(hopper()), photo()]
    answer = client.post("/v1/analyze", files=[("image", data) for data in names])
    assert answer.status_code == 200
    PhotosResponse.model_validate(answer.json())
    results = answer.json()["results"]
    assert [len(one.get("faces", "-")) for one in results] == [1, 0, 1, 1, 1]
    assert results[2]["error"]["type"] == "urn:mien:problem:image-unreadable"
    assert (results[1]["width"], results[1]["height"]) == (64, 48)
    assert results[0] == results[4] != results[3]
    singles = [faces_of(client.post("/v1/analyze", content=data, headers=JPEG)) for data in (names[0], names[3])]
    # a batch may differ in the last digit that is told
    for one, alone in zip((results[0], results[3]), singles, strict=True):
        assert one["faces"][0]["box"] == alone[0]["box"]
        assert one["faces"][0]["emotions"] == pytest.approx(alone[0]["emotions"], abs=2e-4)
        assert one["faces"][0]["ages"] == pytest.approx(alone[0]["ages"], abs=2e-4)


def test_what_is_asked_is_told(client: TestClient) -> None:
    def ask(query: str, data: bytes = photo()) -> list[dict[str, Any]]:
        return faces_of(client.post(f"/v1/analyze?{query}", content=data, headers=JPEG))

    assert {"emotions", "ages"} <= set(ask("")[0])
    assert "emotion" not in ask("models=age")[0]
    assert "age" not in ask("models=emotion")[0]
    assert ask("abstain=1", encoded(hopper()))[0]["emotion"] is None
    assert ask("min_face=200") == []
    assert ask("min_score=1") == []


def test_the_orientation_of_a_photo_is_heeded(client: TestClient) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    turned = astronaut()[:256, 100:300].transpose(1, 0, 2)[::-1]
    answer = client.post("/v1/analyze", content=encoded(turned.copy(), exif=exif), headers=JPEG)
    assert len(faces_of(answer)) == 1
    assert [answer.json()["results"][0][k] for k in ("width", "height")] == [200, 256]


@pytest.mark.parametrize(
    ("data", "status", "kind"),
    [
        (b"", 422, "image-unreadable"),
        (b"dear diary\n", 422, "image-unreadable"),
        (photo()[:3000], 422, "image-unreadable"),
        (photo("PNG")[:3000], 422, "image-unreadable"),
        (bomb(), 413, "too-large"),
        (bomb(40_000, 600), 422, "image-unreadable"),
        (encoded(astronaut()[:2].repeat(80, 1)), 413, "too-large"),
    ],
    ids=["empty", "text", "cut JPEG", "cut PNG", "bomb", "false size", "long"],
)
def test_photos_that_cannot_be_read(client: TestClient, data: bytes, status: int, kind: str) -> None:
    for answer in (
        client.post("/v1/analyze", content=data, headers=JPEG),
        client.post("/v1/analyze", files={"image": ("a.jpg", data)}),
    ):
        told = is_problem(answer, status, kind)
        ProblemDetails.model_validate(told)
        assert told["detail"].startswith("the image ")
        assert "given bytes" not in told["detail"]
        assert "max_pixels" not in told["detail"]


def test_none_of_several_can_be_read(client: TestClient) -> None:
    told = is_problem(client.post("/v1/analyze", files=[("image", b"x"), ("image", b"y")]), 422, "image-unreadable")
    assert [one["error"]["status"] for one in told["results"]] == [422, 422]


@pytest.mark.parametrize(
    ("call", "status", "kind"),
    [
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "media-type"),
        ({"content": b"x"}, 415, "media-type"),
        ({"content": photo(), "headers": JPEG | {"Content-Encoding": "gzip"}}, 415, "media-type"),
        ({"json": {"images": []}}, 422, "json-malformed"),
        ({"json": {"images": [1]}}, 422, "json-malformed"),
        ({"json": {"images": ["AAAA"], "more": 1}}, 422, "json-malformed"),
        ({"json": ["AAAA"]}, 422, "json-malformed"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, "json-malformed"),
        ({"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, 422, "json-malformed"),
        ({"json": {"images": ["/etc/passwd"]}}, 422, "base64-malformed"),
        ({"json": {"images": ["../photo.jpg"]}}, 422, "base64-malformed"),
        ({"json": {"images": ["http://127.0.0.1/a.jpg"]}}, 422, "address-refused"),
        ({"json": {"images": ["file:///etc/passwd"]}}, 422, "address-refused"),
        ({"json": {"images": ["data:image/png,abc"]}}, 422, "base64-malformed"),
        ({"json": {"images": ["AAAA"] * 17}}, 413, "too-large"),
        ({"data": {"image": "text"}}, 415, "media-type"),
        ({"files": {"photo": b"x"}}, 422, "image-missing"),
        ({"files": {"image": (None, "text")}}, 422, "image-missing"),
        ({"files": [("image", b"x")] * 17}, 413, "too-large"),
        ({"content": photo(), "headers": JPEG, "params": {"abstain": "2"}}, 422, "parameter-invalid"),
        ({"content": photo(), "headers": JPEG, "params": {"min_face": "nan"}}, 422, "parameter-invalid"),
        ({"content": photo(), "headers": JPEG, "params": {"age": "perhaps"}}, 422, "parameter-invalid"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else str(value),
)
def test_calls_that_are_wrong(client: TestClient, call: dict[str, Any], status: int, kind: str) -> None:
    is_problem(client.post("/v1/analyze", **call), status, kind)


_END = b"\r\n--B--\r\n"
_HEAD = b'--B\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'


@pytest.mark.parametrize(
    ("body", "boundary"),
    [
        (b"", "B"),
        (b"--B", "B"),
        (b"--B\r\n\r\n" + photo() + _END, "B"),
        (_HEAD + photo(), "B"),
        (_HEAD + photo() + _END, "other"),
        (_HEAD + photo() + _END, ""),
        (_HEAD + photo() + _END, "b" * 300),
        (b"--B\r\nno header\r\n\r\n" + _END, "B"),
        (b"--B\r\n" + b"x" * 20_000 + b": y\r\n\r\n" + _END, "B"),
        (b"--B\r\nContent-Disposition: form-data\r\n\r\nx" + _END, "B"),
        (b"\0" * 1000, "B"),
        ((b'--B\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' * 500) + b"--B--\r\n", "B"),
    ],
    ids=["empty", "begun", "no head", "no end", "other boundary", "no boundary", "long boundary", "no colon",
         "long header", "no name", "zeros", "many parts"],
)  # fmt: skip
def test_forms_that_are_malformed(client: TestClient, body: bytes, boundary: str) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = client.post("/v1/analyze", content=body, headers=headers)
    assert answer.status_code in (400, 413)
    is_problem(answer, answer.status_code, "form-malformed" if answer.status_code == 400 else "too-large")


def test_a_form_may_arrive_byte_by_byte(client: TestClient) -> None:
    body = _HEAD + blank() + _END
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    answer = client.post("/v1/analyze", content=(body[i : i + 1] for i in range(len(body))), headers=headers)
    assert faces_of(answer) == []


# ---------------------------------------------------------------- deepface's clients


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
    told = is_problem(client.post("/analyze", json={"img": empty}), 400, "no-face")
    assert told["error"] == told["detail"]
    none = client.post("/analyze", json={"img": empty, "enforce_detection": False})
    assert (none.status_code, none.json()) == (200, {"results": []})
    for given, kind in (
        ({"img": "/data/photo.jpg"}, "base64-malformed"),
        ({"img_path": "https://lab.example/a.jpg"}, "address-refused"),
        ({"img": empty, "actions": ["emotion", "race"]}, "not-told"),
        ({"img": empty, "actions": ["mood"]}, "parameter-invalid"),
        ({"img": empty, "actions": 3}, "parameter-invalid"),
        ({}, "image-missing"),
        ([], "json-malformed"),
    ):
        assert "error" in is_problem(client.post("/analyze", json=given), 422, kind)
    is_problem(client.post("/analyze", files={"other": ("x", photo())}), 422, "image-missing")
    is_problem(client.post("/analyze", content=b"x"), 415, "media-type")


# ---------------------------------------------------------------- about the service


def test_about(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ReadyResponse.model_validate(client.get("/readyz").json())
    limits = LimitsResponse.model_validate(client.get("/v1/limits").json())
    assert not limits.key_required
    assert limits.limits["images"] == 16
    models = client.get("/v1/models").json()
    ModelsResponse.model_validate(models)
    assert [card["task"] for card in models["cards"]] == ["emotion", "age"]


def test_metrics_count_by_route_and_never_by_what_was_sent(client: TestClient) -> None:
    client.post("/v1/analyze", content=photo(), headers=JPEG)
    client.get("/v1/videos/secret-number")
    client.get("/no/such/page")
    client.request("BREW", "/healthz")
    text = client.get("/metrics").text
    assert 'mien_requests_total{method="POST",route="/v1/analyze",status="200"}' in text
    assert 'route="/v1/videos/{video}",status="404"' in text
    assert 'mien_requests_total{method="GET",route="other",status="404"}' in text
    assert 'method="other"' in text
    assert "mien_batch_photos_count" in text
    assert "secret" not in text
    assert "BREW" not in text


def test_what_is_not_there(client: TestClient) -> None:
    is_problem(client.get("/nothing"), 404, "not-found")
    answer = client.get("/v1/analyze")
    is_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"
    for path in ("/static/../limits.py", "/static/%2e%2e/limits.py", "/static//etc/passwd", "/static/..%2flimits.py"):
        is_problem(client.get(path), 404, "not-found")


def test_the_page_and_its_files(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    again = client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/docs").text.count("<h2>") >= 10


def test_every_answer_has_the_headers_of_safety(client: TestClient) -> None:
    for answer in (client.get("/"), client.get("/nothing"), client.post("/v1/analyze"), client.get("/v1/limits")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "camera=(self)" in answer.headers["permissions-policy"]
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


def test_the_description_has_examples_that_are_true(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert {"/v1/analyze", "/v1/videos", "/v1/videos/{video}", "/analyze", "/metrics"} <= set(described["paths"])
    post = described["paths"]["/v1/analyze"]["post"]
    PhotosResponse.model_validate(post["responses"]["200"]["content"]["application/json"]["example"])
    assert set(post["requestBody"]["content"]) == {
        "multipart/form-data", "image/*", "application/octet-stream", "application/json",
    }  # fmt: skip
    for path in described["paths"].values():
        for one in path.values():
            assert "application/problem+json" in one["responses"]["4XX"]["content"]
            assert "HTTPValidationError" not in json.dumps(one)
    example = described["components"]["schemas"]["Face"]["examples"][0]
    (face,) = faces_of(client.post("/v1/analyze", content=encoded(astronaut(), quality=92), headers=JPEG))
    assert face["box"] == pytest.approx(example["box"], abs=1.0)
    assert face["emotions"] == pytest.approx(example["emotions"], abs=0.01)
    assert set(face) == set(example)
    VideoState.model_validate(described["components"]["schemas"]["VideoState"]["examples"][0])
    (example,) = described["components"]["schemas"]["DeepfaceResponse"]["examples"][0]["results"]
    image = base64.b64encode(encoded(astronaut(), quality=92)).decode()
    (face,) = client.post("/analyze", json={"img": image}).json()["results"]
    assert (face["age"], face["region"]) == (example["age"], example["region"])
    assert face["emotion"] == pytest.approx(example["emotion"], abs=0.1)
    assert set(face) == set(example)
