"""What every request passes first: size, rate, origin; and what the log holds."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from helpers.serving import HERE, JPEG, PausableDetector, assert_problem, blank, photo, service
from helpers.waiting import PATIENCE, wait_until
from mien.server.access import AccessPolicy
from mien.server.admission import RateLimiter

KEY = "k" * 40


def post(client: TestClient, data: bytes = b"", **more: Any) -> Any:
    return client.post("/v1/analyze", content=data or blank(), headers=JPEG | more.pop("headers", {}), **more)


def test_a_body_is_cut_off_with_and_without_its_length() -> None:
    with service(PausableDetector(), with_models=False, body_bytes=20_000) as client:
        assert post(client).status_code == 200
        problem = assert_problem(post(client, b"x" * 20_001), 413, "too-large")
        assert "20,001" in problem["detail"]
        for kind in ("image/jpeg", "application/json", "multipart/form-data; boundary=B"):
            chunks = (b"--B\r\n" if i == 0 else b"x" * 1000 for i in range(40))
            answer = client.post("/v1/analyze", content=chunks, headers={"Content-Type": kind})
            assert answer.status_code in (400, 413), kind
        chunks = (b"x" * 1000 for _ in range(40))
        assert_problem(client.post("/v1/analyze", content=chunks, headers=JPEG), 413, "too-large")
        big = client.post("/v1/analyze", files={"image": b"x" * 20_000})
        assert_problem(big, 413, "too-large")
        assert post(client).status_code == 200


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def test_requests_in_flight_are_limited_in_total(threads: ThreadPoolExecutor) -> None:
    detector = PausableDetector(paused=True)
    with service(detector, with_models=False, requests=2) as client:
        under_way: list[Future[Any]] = [threads.submit(post, client) for _ in range(2)]
        detector.wait_for(1)
        wait_until(lambda: "mien_http_requests_in_flight 2.0" in client.get("/metrics").text)
        answer = post(client)
        assert_problem(answer, 503, "busy")
        assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200
        detector.resume.set()
        assert [one.result(PATIENCE).status_code for one in under_way] == [200, 200]
        assert post(client).status_code == 200


def test_requests_in_flight_are_limited_per_address(threads: ThreadPoolExecutor) -> None:
    detector = PausableDetector(paused=True)
    with service(detector, with_models=False, client_requests=1) as client:
        first = threads.submit(post, client)
        detector.wait_for(1)
        answer = post(client)
        assert_problem(answer, 429, "too-many-requests")
        assert "retry-after" in answer.headers
        detector.resume.set()
        assert first.result(PATIENCE).status_code == 200


def test_bytes_held_are_limited_in_total(threads: ThreadPoolExecutor) -> None:
    detector = PausableDetector(paused=True)
    with service(detector, with_models=False, memory_bytes=len(blank()) + 2000) as client:
        first = threads.submit(post, client)
        detector.wait_for(1)
        assert_problem(post(client), 503, "busy")
        detector.resume.set()
        assert first.result(PATIENCE).status_code == 200
        assert post(client).status_code == 200


def test_json_counts_with_the_memory_that_its_parsing_takes(threads: ThreadPoolExecutor) -> None:
    detector = PausableDetector(paused=True)
    size = len(blank())
    with service(detector, with_models=False, memory_bytes=7 * size) as client:
        first = threads.submit(post, client)
        detector.wait_for(1)
        body = b'{"images": ["' + b"A" * (size - 15) + b'"]}'
        assert_problem(
            client.post("/v1/analyze", content=body, headers={"Content-Type": "application/json"}), 503, "busy"
        )
        second = threads.submit(post, client)
        detector.resume.set()
        assert [one.result(PATIENCE).status_code for one in (first, second)] == [200, 200]
        # alone, a request within its own limit is always read
        alone = client.post("/v1/analyze", content=body * 2, headers={"Content-Type": "application/json"})
        assert_problem(alone, 422, "json-malformed")


def test_the_rate_of_an_address_is_limited() -> None:
    with service(PausableDetector(), with_models=False, rate=0.001, burst=3) as client:
        assert [post(client).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        answer = client.get("/v1/limits")
        assert_problem(answer, 429, "too-many-requests")
        assert int(answer.headers["retry-after"]) > 100
        assert client.get("/healthz").status_code == 200
        assert client.get("/").status_code == 200
        assert_problem(client.get("/static/nothing.js"), 404, "not-found")


def test_rates_refill_and_forget() -> None:
    limiter = RateLimiter(10.0, 2)
    assert [limiter.acquire("a", 0.0) for _ in range(3)] == [0.0, 0.0, pytest.approx(0.1)]
    assert limiter.acquire("b", 0.0) == 0.0
    assert limiter.acquire("a", 0.11) == 0.0
    for i in range(20_000):
        limiter.acquire(str(i), 1.0)
    assert len(limiter._buckets) <= 10_000
    assert RateLimiter(0.0, 1).acquire("a", 0.0) == 0.0


def test_heads_that_are_too_large_or_ambiguous() -> None:
    with service(PausableDetector(), with_models=False, header_bytes=2000) as client:
        assert_problem(client.get("/", headers={"X-A": "b" * 2000}), 431, "head-too-large")
        assert_problem(client.get("/" + "a" * 2000), 431, "head-too-large")
        both = {"Transfer-Encoding": "chunked", "Content-Length": "3"}
        assert_problem(post(client, headers=both), 400, "head-malformed")


def test_pages_of_other_sites_are_refused() -> None:
    with service(PausableDetector(), with_models=False) as client:
        for origin in ("https://evil.example", "null", "http://127.0.0.1:9", ""):
            assert_problem(post(client, headers={"Origin": origin}), 403, "origin-refused")
        assert post(client, headers={"Origin": HERE}).status_code == 200
        preflight = client.options(
            "/v1/analyze", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        )
        assert preflight.status_code == 405
        assert "access-control-allow-origin" not in preflight.headers


def test_an_allowed_site_is_answered_with_the_key() -> None:
    site = "https://lab.example"
    with service(PausableDetector(), access=AccessPolicy(key=KEY, allow_origins=(site,)), with_models=False) as client:
        asks = {"Origin": site, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
        preflight = client.options("/v1/analyze", headers=asks)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == site
        assert "access-control-allow-credentials" not in preflight.headers
        answer = post(client, headers={"Origin": site, "X-API-Key": KEY})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, site)
        refused = post(client, headers={"Origin": site})
        assert_problem(refused, 401, "key-missing")
        assert refused.headers["access-control-allow-origin"] == site
        assert_problem(
            post(client, headers={"Origin": "https://other.example", "X-API-Key": KEY}), 403, "origin-refused"
        )


class Broken(PausableDetector):
    def detect(self, rgb: Any) -> Any:
        # in two, because the traceback shows this line
        raise ZeroDivisionError("sec" + "ret")


def test_a_bug_is_answered_with_500_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    with service(Broken(), with_models=False) as client:
        client = TestClient(client.app, base_url=HERE, raise_server_exceptions=False)
        problem = assert_problem(post(client), 500, "internal")
        assert "secret" not in str(problem)
        assert "ZeroDivisionError" in caplog.text
        assert "secret" not in caplog.text
        assert client.get("/healthz").status_code == 200


def test_the_log_holds_no_names_keys_or_numbers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "mien.server")
    with service(PausableDetector(), access=AccessPolicy(key=KEY), with_models=False) as client:
        client.post(
            "/v1/analyze?min_face=secretly", files={"image": ("secret.jpg", photo())}, headers={"X-API-Key": KEY}
        )
        client.get("/v1/videos/secret-number/result?format=secret", headers={"X-API-Key": KEY})
        client.get("/secret%0aline")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("mien.server")]
    assert [" ".join(line.split()[:3]) for line in lines] == [
        "POST /v1/analyze 422", "GET /v1/videos/{video}/result 422", "GET other 401",
    ]  # fmt: skip
    assert "secret" not in caplog.text
    assert KEY not in caplog.text
