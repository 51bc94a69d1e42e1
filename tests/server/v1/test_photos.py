"""``POST /v1/analyze`` and ``/v1/rendition``: what they answer to photos and to everything else."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import mien
from helpers.hostile import KINDS, bomb, corrupted, saved
from helpers.pictures import astronaut, hopper, noise
from helpers.serving import JPEG, PausableDetector, assert_problem, blank, encoded, photo, service
from mien.server.v1.schemas import (
    PhotosResponse,
    ProblemDetails,
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
    faces = faces_of(client.post("/v1/analyze", content=photo(kind), headers={"Content-Type": f"image/{kind.lower()}"}))
    assert faces == mien.analyze(photo(kind)).to_dicts()
    assert [face["emotion"] for face in faces] == ["happy"]


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
    assert [len(one.get("faces", [])) for one in results] == [1, 0, 0, 1, 1]
    assert results[2]["error"]["type"] == "urn:mien:problem:image-unreadable"
    assert (results[1]["width"], results[1]["height"]) == (64, 48)
    assert results[0] == results[4] != results[3]
    singles = [faces_of(client.post("/v1/analyze", content=data, headers=JPEG)) for data in (names[0], names[3])]
    # a batch may differ in the last digit
    for one, alone in zip((results[0], results[3]), singles, strict=True):
        assert one["faces"][0]["box"] == alone[0]["box"]
        for head, prediction in alone[0]["predictions"].items():
            batched = one["faces"][0]["predictions"][head]["probabilities"]
            assert batched == pytest.approx(prediction["probabilities"], abs=2e-4)


def test_the_answer_follows_the_parameters(client: TestClient) -> None:
    def ask(query: str, data: bytes = photo()) -> list[dict[str, Any]]:
        return faces_of(client.post(f"/v1/analyze?{query}", content=data, headers=JPEG))

    assert set(ask("")[0]["predictions"]) == {"emotion", "age"}
    assert "emotion" not in ask("models=age")[0]
    assert "age" not in ask("models=emotion")[0]
    face = ask("abstain=1", encoded(hopper()))[0]
    assert (face["emotion"], face["age_range"], face["predictions"]["emotion"]["label"]) == (None, None, None)
    assert face["age"] > 0
    assert ask("min_face=200") == []
    assert ask("min_score=1") == []


def test_a_rendition_is_an_upright_jpeg_that_any_browser_shows(client: TestClient) -> None:
    turned = np.rot90(astronaut())
    exif = Image.Exif()
    exif[0x0112] = 6
    answer = client.post("/v1/rendition?max_side=256", content=encoded(turned.copy(), exif=exif), headers=JPEG)
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (256, 256))
        upright = np.asarray(Image.fromarray(astronaut()).resize((256, 256)), float)
        assert np.abs(np.asarray(picture.convert("RGB"), float) - upright).mean() < 6
    assert_problem(client.post("/v1/rendition", content=b"x", headers=JPEG), 422, "image-unreadable")
    two = [("image", photo()), ("image", photo())]
    assert_problem(client.post("/v1/rendition", files=two), 422, "input-invalid")
    assert_problem(client.post("/v1/rendition?max_side=5000", content=photo(), headers=JPEG), 422, "input-invalid")


def test_the_orientation_of_a_photo_is_applied(client: TestClient) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    turned = astronaut()[:256, 100:300].transpose(1, 0, 2)[::-1]
    answer = client.post("/v1/analyze", content=encoded(turned.copy(), exif=exif), headers=JPEG)
    assert len(faces_of(answer)) == 1
    assert [answer.json()["results"][0][k] for k in ("width", "height")] == [200, 256]


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "image-unreadable"),
        (b"dear diary\n", 422, "image-unreadable"),
        (photo()[:3000], 422, "image-unreadable"),
        (photo("PNG")[:3000], 422, "image-unreadable"),
        (bomb(), 413, "image-too-large"),
        (bomb(40_000, 600), 422, "image-unreadable"),
        (encoded(astronaut()[:2].repeat(80, 1)), 413, "image-too-large"),
    ],
    ids=["empty", "text", "cut JPEG", "cut PNG", "bomb", "false size", "long"],
)
def test_photos_that_cannot_be_read(client: TestClient, data: bytes, status: int, code: str) -> None:
    for answer in (
        client.post("/v1/analyze", content=data, headers=JPEG),
        client.post("/v1/analyze", files={"image": ("a.jpg", data)}),
    ):
        problem = assert_problem(answer, status, code)
        ProblemDetails.model_validate(problem)
        assert problem["detail"].startswith("the image ")
        assert "given bytes" not in problem["detail"]
        assert "max_pixels" not in problem["detail"]


def test_none_of_several_can_be_read(client: TestClient) -> None:
    problem = assert_problem(
        client.post("/v1/analyze", files=[("image", b"x"), ("image", b"y")]), 422, "image-unreadable"
    )
    assert [one["error"]["status"] for one in problem["results"]] == [422, 422]


@pytest.mark.parametrize(
    ("call", "status", "code"),
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
        ({"content": photo(), "headers": JPEG, "params": {"abstain": "2"}}, 422, "input-invalid"),
        ({"content": photo(), "headers": JPEG, "params": {"min_face": "nan"}}, 422, "input-invalid"),
        ({"content": photo(), "headers": JPEG, "params": {"models": "smile"}}, 422, "input-invalid"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else str(value),
)
def test_invalid_requests(client: TestClient, call: dict[str, Any], status: int, code: str) -> None:
    assert_problem(client.post("/v1/analyze", **call), status, code)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"files": {"image": photo()}, "data": {"min_face": "400"}}, "min_face is a field of the form: options stand"),
        ({"files": {"image": photo()}, "data": {"note": "x"}}, "has other fields than files named 'image'"),
        ({"files": [("image", photo()), ("image2", photo())]}, "has other fields than files named 'image'"),
        ({"json": {"images": ["AAAA"], "min_face": 400}}, "see min_face: options stand in the address"),
        ({"content": b"\xff\xfe{\0}\0", "headers": {"Content-Type": "application/json"}}, "no valid JSON in UTF-8"),
    ],
    ids=["option in a form", "another field", "another file", "option in JSON", "UTF-16"],
)
def test_nothing_in_a_request_is_left_out_silently(client: TestClient, call: dict[str, Any], words: str) -> None:
    answer = client.post("/v1/analyze", **call)
    assert words in assert_problem(answer, 422, answer.json()["code"])["detail"]


@pytest.mark.parametrize("kind", KINDS)
def test_corrupt_pictures(kind: str) -> None:
    whole = saved(noise(24, 32, blur=2.0), kind)
    rng = np.random.default_rng(KINDS.index(kind))
    statuses: Counter[int] = Counter()
    with service(PausableDetector(0), with_models=False) as client:
        for _ in range(30):
            answer = client.post(
                "/v1/analyze",
                content=corrupted(whole, rng),
                headers={"Content-Type": "application/octet-stream"},
            )
            statuses[answer.status_code] += 1
            if answer.status_code != 200:
                assert_problem(
                    answer, answer.status_code, "image-too-large" if answer.status_code == 413 else "image-unreadable"
                )
        good = client.post("/v1/analyze", content=blank(), headers={"Content-Type": "image/jpeg"})
        assert good.status_code == 200
    assert set(statuses) <= {200, 413, 422}
    assert statuses[422] >= 5
