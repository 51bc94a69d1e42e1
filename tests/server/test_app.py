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
from starlette.testclient import WebSocketDenialResponse

from helpers.pictures import astronaut
from helpers.serving import JPEG, PausableDetector, assert_problem, encoded, service
from mien.server.access import AccessPolicy
from mien.server.openapi import OPERATION_PROBLEMS
from mien.server.problems import PROBLEM_TYPES
from mien.server.v1.schemas import PhotosResponse, ProblemDetails, VideoState


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
        assert "unsafe" not in policy.replace("'wasm-unsafe-eval'", "")  # what lets a page compute, not more
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
    assert "HTTPValidationError" not in json.dumps(described)
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


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_description_names_operations_keys_and_problems(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    names = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(set(names)) == len(names)
    assert set(names) == set(OPERATION_PROBLEMS)
    assert all(re.fullmatch("[a-z]+[A-Za-z]+", name) for name in names)
    for path, method, operation in operations(described):
        for status, response in operation["responses"].items():
            if not status.startswith(("4", "5")):
                continue
            (kind, content), *more = response["content"].items()
            assert (kind, more) == ("application/problem+json", [])
            assert content["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}
            for code, example in content.get("examples", {}).items():
                ProblemDetails.model_validate(example["value"])
                assert example["value"]["status"] == int(status), f"{method} {path} {code}"
    assert "ProblemDetails" in described["components"]["schemas"]
    documented = {
        code
        for _, _, operation in operations(described)
        for response in operation["responses"].values()
        for content in response.get("content", {}).values()
        for code in content.get("examples", {})
    }
    # the others are of addresses that there are not, or of live connections
    elsewhere = {"not-found", "method-not-allowed", "request-invalid", "upgrade-required", "message-unknown",
                 "live-idle", "live-over", "key-missing"}  # fmt: skip
    assert documented | elsewhere == set(PROBLEM_TYPES)


def test_the_description_holds_how_the_key_is_sent() -> None:
    for key in (None, "k" * 40):
        with service(PausableDetector(), access=AccessPolicy(key=key), with_models=False) as client:
            described = client.get("/openapi.json").json()
        schemes = described["components"]["securitySchemes"]
        assert schemes["apiKey"] == {"type": "apiKey", "in": "header", "name": "X-API-Key"}
        assert schemes["bearer"] == {"type": "http", "scheme": "bearer"}
        assert described["security"] == ([{}] if key is None else []) + [{"apiKey": []}, {"bearer": []}]
        open_ = {path for path, _, operation in operations(described) if operation.get("security") == []}
        assert open_ == {"/healthz", "/readyz", "/v1/limits"}
        with_401 = {path for path, _, operation in operations(described) if "401" in operation["responses"]}
        assert with_401 == (set() if key is None else set(described["paths"]) - open_)


def test_json_is_compressed_for_those_who_accept_it(client: TestClient) -> None:
    plain = client.get("/openapi.json", headers={"Accept-Encoding": "identity"})
    packed = client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in packed.headers["vary"].lower()
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 4
    assert packed.json() == plain.json()
    photo_of_one = client.post("/v1/analyze", content=encoded(astronaut()), headers=JPEG | {"Accept-Encoding": "gzip"})
    assert photo_of_one.headers["content-encoding"] == "gzip"
    assert len(faces_of(photo_of_one)) == 1
    for header in ("gzip;q=0", "br, gzip; q=0.0", "identity", "deflate"):
        plain = client.get("/openapi.json", headers={"Accept-Encoding": header})
        assert "content-encoding" not in plain.headers, header
        assert plain.headers["vary"] == "Accept-Encoding"
    for header in ("GZIP", "br;q=1, gzip;q=0.5"):
        assert client.get("/openapi.json", headers={"Accept-Encoding": header}).headers["content-encoding"] == "gzip"
    small = client.get("/healthz", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers


def test_head_is_answered_as_get_is(client: TestClient) -> None:
    for path in ("/", "/docs", "/static/app.js", "/healthz", "/readyz", "/v1/limits", "/v1/models", "/metrics"):
        get, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers["content-type"] == get.headers["content-type"]
    assert client.head("/nothing").status_code == 404
    assert client.head("/v1/analyze").headers["allow"] == "POST"
    assert 'method="HEAD",route="/v1/limits",status="200"' in client.get("/metrics").text


def test_a_request_has_an_id_in_answer_problem_and_log(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "mien.server")
    answers = [client.get("/healthz"), client.get("/healthz"), client.get("/nothing")]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 3
    assert answers[2].json()["instance"] == f"urn:mien:request:{ids[2]}"
    given = client.get("/nothing", headers={"X-Request-Id": "trace-4711.a_b"})
    assert given.headers["x-request-id"] == "trace-4711.a_b"
    assert given.json()["instance"] == "urn:mien:request:trace-4711.a_b"
    refused = client.post("/v1/analyze", headers={"Origin": "https://evil.example"})
    assert refused.json()["instance"].endswith(refused.headers["x-request-id"])
    for bad in ("with space", "x" * 65, "new%0aline", "é".encode(), ""):
        assert client.get("/healthz", headers={"X-Request-Id": bad}).headers["x-request-id"] != bad
    logged = [record.getMessage().split()[-1] for record in caplog.records]
    assert logged[:4] == [*ids, "trace-4711.a_b"]


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("POST", "/v1/analyze?min_fce=3", "did you mean min_face?"),
        ("POST", "/v1/analyze?min_face=3&x=1", "there are min_face, min_score"),
        ("POST", "/analyze?actions=age", "there is none here"),
        ("POST", "/v1/videos?evry=2", "did you mean every?"),
        ("GET", "/v1/videos?all=1", "there is none here"),
        ("GET", "/v1/models?x=", "there is none here"),
        ("GET", "/v1/limits?x=%0a", "no query parameter"),
        ("POST", "/v1/analyze?models=emotion&models=age", "models is given more than once"),
        ("POST", "/v1/videos?every=2&every=3", "every is given more than once"),
    ],
)
def test_unknown_and_repeated_query_parameters_are_refused(
    client: TestClient, method: str, path: str, words: str
) -> None:
    answer = client.request(method, path, content=b"" if method == "GET" else encoded(astronaut()), headers=JPEG)
    assert words in assert_problem(answer, 422, "input-invalid")["detail"]


def test_probes_may_have_parameters_of_their_own(client: TestClient) -> None:
    for path in ("/healthz?probe=1", "/readyz?x=1", "/metrics?name[]=up", "/?utm=1", "/static/app.js?v=2"):
        assert client.get(path).status_code == 200


def test_what_is_no_websocket_and_where_there_is_none(client: TestClient) -> None:
    answer = client.get("/v1/live")
    assert_problem(answer, 426, "upgrade-required")
    assert answer.headers["upgrade"] == "websocket"
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("ws://127.0.0.1/v1/nothing"):
        pass
    assert denied.value.status_code == 404
    assert denied.value.headers["content-type"] == "application/problem+json"
    problem = json.loads(denied.value.content)
    assert problem["code"] == "not-found"
    assert problem["instance"].endswith(denied.value.headers["x-request-id"])
