"""Bodies of requests: forms, and how long an answer may take."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from helpers.serving import (
    JPEG,
    PausableDetector,
    assert_problem,
    blank,
    photo,
    service,
)
from mien.server.v1.schemas import (
    PhotosResponse,
)


def post(client: TestClient, data: bytes = b"", **more: Any) -> Any:
    return client.post("/v1/analyze", content=data or blank(), headers=JPEG | more.pop("headers", {}), **more)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with service() as client:
        yield client


def faces_of(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    PhotosResponse.model_validate(answer.json())
    (result,) = answer.json()["results"]
    return result["faces"]  # type: ignore[no-any-return]


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
    ids=["empty", "start", "no head", "no end", "other boundary", "no boundary", "long boundary", "no colon",
         "long header", "no name", "zeros", "many parts"],
)  # fmt: skip
def test_forms_that_are_malformed(client: TestClient, body: bytes, boundary: str) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = client.post("/v1/analyze", content=body, headers=headers)
    assert answer.status_code in (400, 413)
    assert_problem(answer, answer.status_code, "form-malformed" if answer.status_code == 400 else "too-large")


def test_a_form_may_arrive_byte_by_byte(client: TestClient) -> None:
    body = _HEAD + blank() + _END
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    answer = client.post("/v1/analyze", content=(body[i : i + 1] for i in range(len(body))), headers=headers)
    assert faces_of(answer) == []


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def test_the_time_to_answer_a_request_is_limited(threads: ThreadPoolExecutor) -> None:
    detector = PausableDetector(paused=True)
    with service(detector, with_models=False, request_seconds=0.2) as client:
        answer = post(client)
        assert_problem(answer, 503, "too-slow")
        assert "retry-after" in answer.headers
        detector.resume.set()


@pytest.mark.parametrize("path", ["/v1/analyze", "/analyze"])
def test_the_time_limit_holds_for_the_parsing_of_json_too(threads: ThreadPoolExecutor, path: str) -> None:
    detector = PausableDetector(paused=True)
    with service(detector, with_models=False, request_seconds=2.0) as client:
        first = threads.submit(post, client)
        detector.wait_for(1)
        # the one thread is busy, so the body waits to be parsed
        answer = client.post(path, json={"images": ["AAAA"]})
        assert_problem(answer, 503, "too-slow")
        detector.resume.set()
        first.result()


def test_a_file_name_in_an_encoding_alone_makes_a_file(client: TestClient) -> None:
    head = b"--B\r\nContent-Disposition: form-data; name=\"image\"; filename*=UTF-8''%C3%A4.jpg\r\n\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=B"}
    assert faces_of(client.post("/v1/analyze", content=head + photo() + _END, headers=kind))
