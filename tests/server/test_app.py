"""The whole app: unknown addresses, the headers of every answer, the description of the interface."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

from helpers.pictures import astronaut
from helpers.serving import JPEG, assert_problem, encoded, service
from mien.server.v1.schemas import (
    PhotosResponse,
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


def test_what_is_not_there(client: TestClient) -> None:
    assert_problem(client.get("/nothing"), 404, "not-found")
    answer = client.get("/v1/analyze")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"
    for path in ("/static/../limits.py", "/static/%2e%2e/limits.py", "/static//etc/passwd", "/static/..%2flimits.py"):
        assert_problem(client.get(path), 404, "not-found")


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
    for head, prediction in face["predictions"].items():
        assert prediction["probabilities"] == pytest.approx(example["predictions"][head]["probabilities"], abs=0.01)
        assert set(prediction) == set(example["predictions"][head])
    assert set(face) == set(example)
    VideoState.model_validate(described["components"]["schemas"]["VideoState"]["examples"][0])
    (example,) = described["components"]["schemas"]["DeepfaceResponse"]["examples"][0]["results"]
    image = base64.b64encode(encoded(astronaut(), quality=92)).decode()
    (face,) = client.post("/analyze", json={"img": image}).json()["results"]
    assert (face["age"], face["region"]) == (example["age"], example["region"])
    assert face["emotion"] == pytest.approx(example["emotion"], abs=0.1)
    assert set(face) == set(example)


def test_behind_a_path_prefix_all_links_hold(client: TestClient) -> None:
    """A proxy that strips a prefix: whatever a page links to has to lie below the prefix."""
    prefix = "http://127.0.0.1/tools/mien"
    for page in ("/", "/docs"):
        links = re.findall(r'(?:href|src)="([^"#]+)"', client.get(page).text)
        assert len(links) >= 3
        for link in links:
            address = urljoin(prefix + page, link)
            assert address.startswith(f"{prefix}/"), f"{page} links to {link}"
            assert client.get(address.removeprefix(prefix)).status_code == 200
    (server,) = client.get("/openapi.json").json()["servers"]
    assert urljoin(f"{prefix}/openapi.json", server["url"] + "/v1/analyze") == f"{prefix}/v1/analyze"
