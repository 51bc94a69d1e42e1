"""Over every limit there is a clean answer; who may ask; and what is asked at once is worked on together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from helpers.hostile import bomb
from helpers.serving import HERE, JPEG, PATIENCE, Held, blank, encoded, is_problem, models, photo, service, until
from mien.errors import InputError, MienError, MissingFileError
from mien.models.catalog import read_model
from mien.models.model import Model
from mien.server.access import AccessPolicy, read_key
from mien.server.admission import RateLimiter
from mien.server.engine import InferenceEngine, PhotoRequest
from mien.server.limits import ServiceLimits, describe_limits, load_limits

KEY = "k" * 40


def post(client: TestClient, data: bytes = b"", **more: Any) -> Any:
    return client.post("/v1/analyze", content=data or blank(), headers=JPEG | more.pop("headers", {}), **more)


# ---------------------------------------------------------------- the values


def test_limits_come_from_options_then_the_environment_then_defaults() -> None:
    environment = {"MIEN_SERVE_IMAGES": "3", "MIEN_SERVE_RATE": "1.5", "MIEN_SERVE_KEY": KEY, "HOME": "/"}
    limits = load_limits(environment, {"images": 5, "faces": None})
    assert (limits.images, limits.rate, limits.faces) == (5, 1.5, ServiceLimits().faces)


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [({"MIEN_SERVE_IMAGES": "many"}, {}), ({"MIEN_SERVE_IMAGES": "0"}, {}), ({}, {"rate": -1.0}),
     ({}, {"request_seconds": float("inf")}), ({}, {"request_seconds": float("nan")})],
)  # fmt: skip
def test_limits_out_of_range_are_refused(environment: dict[str, str], chosen: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"images|rate|request_seconds|IMAGES"):
        load_limits(environment, chosen)


def test_every_limit_is_described() -> None:
    assert len({one.name for one in describe_limits()}) == len(describe_limits()) > 30
    assert all(one.text and one.unit and one.text[0].islower() for one in describe_limits())


# ---------------------------------------------------------------- sizes


def test_a_body_is_cut_off_with_and_without_its_length() -> None:
    with service(Held(), told=False, body_bytes=20_000) as client:
        assert post(client).status_code == 200
        told = is_problem(post(client, b"x" * 20_001), 413, "too-large")
        assert "20,001" in told["detail"]
        for kind in ("image/jpeg", "application/json", "multipart/form-data; boundary=B"):
            chunks = (b"--B\r\n" if i == 0 else b"x" * 1000 for i in range(40))
            answer = client.post("/v1/analyze", content=chunks, headers={"Content-Type": kind})
            assert answer.status_code in (400, 413), kind
        chunks = (b"x" * 1000 for _ in range(40))
        is_problem(client.post("/v1/analyze", content=chunks, headers=JPEG), 413, "too-large")
        big = client.post("/v1/analyze", files={"image": b"x" * 20_000})
        is_problem(big, 413, "too-large")
        assert post(client).status_code == 200


def test_pixels_images_and_faces() -> None:
    with service(Held(5), told=False, pixels=5000, images=2, faces=3) as client:
        assert "64 × 48" not in post(client).text
        is_problem(post(client, encoded_blank(100, 51)), 413, "too-large")
        is_problem(post(client, bomb()), 413, "too-large")
        is_problem(client.post("/v1/analyze", files=[("image", blank())] * 3), 413, "too-large")
        (result,) = post(client).json()["results"]
        assert (len(result["faces"]), result["left_out"]) == (3, 2)
        assert [face["score"] for face in result["faces"]] == [0.99, 0.9675, 0.945]


def encoded_blank(width: int, height: int) -> bytes:
    import numpy as np

    return encoded(np.zeros((height, width, 3), np.uint8), "PNG")


# ---------------------------------------------------------------- how much at once


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def test_requests_in_flight_are_bounded_in_all(threads: ThreadPoolExecutor) -> None:
    held = Held(go=False)
    with service(held, told=False, requests=2) as client:
        under_way: list[Future[Any]] = [threads.submit(post, client) for _ in range(2)]
        held.wait_for(1)
        until(lambda: "mien_requests_in_flight 2.0" in client.get("/metrics").text)
        answer = post(client)
        is_problem(answer, 503, "busy")
        assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200
        held.go.set()
        assert [one.result(PATIENCE).status_code for one in under_way] == [200, 200]
        assert post(client).status_code == 200


def test_requests_in_flight_are_bounded_for_each_address(threads: ThreadPoolExecutor) -> None:
    held = Held(go=False)
    with service(held, told=False, client_requests=1) as client:
        first = threads.submit(post, client)
        held.wait_for(1)
        answer = post(client)
        is_problem(answer, 429, "too-many-requests")
        assert "retry-after" in answer.headers
        held.go.set()
        assert first.result(PATIENCE).status_code == 200


def test_bytes_held_are_bounded_in_all(threads: ThreadPoolExecutor) -> None:
    held = Held(go=False)
    with service(held, told=False, memory_bytes=len(blank()) + 2000) as client:
        first = threads.submit(post, client)
        held.wait_for(1)
        is_problem(post(client), 503, "busy")
        held.go.set()
        assert first.result(PATIENCE).status_code == 200
        assert post(client).status_code == 200


def test_a_request_has_so_long(threads: ThreadPoolExecutor) -> None:
    held = Held(go=False)
    with service(held, told=False, request_seconds=0.2) as client:
        answer = post(client)
        is_problem(answer, 503, "too-slow")
        assert "retry-after" in answer.headers
        held.go.set()


def test_the_rate_of_an_address_is_bounded() -> None:
    with service(Held(), told=False, rate=0.001, burst=3) as client:
        assert [post(client).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        answer = client.get("/v1/limits")
        is_problem(answer, 429, "too-many-requests")
        assert int(answer.headers["retry-after"]) > 100
        assert client.get("/healthz").status_code == 200
        assert client.get("/").status_code == 200
        is_problem(client.get("/static/nothing.js"), 404, "not-found")


def test_rates_refill_and_forget() -> None:
    rates = RateLimiter(10.0, 2)
    assert [rates.wait("a", 0.0) for _ in range(3)] == [0.0, 0.0, pytest.approx(0.1)]
    assert rates.wait("b", 0.0) == 0.0
    assert rates.wait("a", 0.11) == 0.0
    for i in range(20_000):
        rates.wait(str(i), 1.0)
    assert len(rates._buckets) <= 10_000
    assert RateLimiter(0.0, 1).wait("a", 0.0) == 0.0


# ---------------------------------------------------------------- who asks


def test_the_key(tmp_path: Path) -> None:
    with service(Held(), access=AccessPolicy(key=KEY), told=False) as client:
        answer = post(client)
        is_problem(answer, 401, "key-missing")
        assert answer.headers["www-authenticate"] == "Bearer"
        for headers in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"Authorization": f"bearer {KEY}"}):
            assert post(client, headers=headers).status_code == 200
        for headers in (
            {"X-API-Key": KEY[:-1]}, {"X-API-Key": KEY + "k"}, {"Authorization": f"Basic {KEY}"},
            {"X-API-Key": b"\xff\xfe"}, {"Authorization": "Bearer"},
        ):  # fmt: skip
            is_problem(post(client, headers=headers), 401, "key-missing")
        for path in ("/", "/healthz", "/readyz", "/docs", "/openapi.json", "/v1/limits"):
            assert client.get(path).status_code == 200, path
        for path in ("/metrics", "/v1/models", "/v1/videos/x", "/nothing", "/static"):
            assert client.get(path).status_code == 401, path
        assert client.get("/v1/limits").json()["key_required"] is True
        assert KEY not in client.get("/v1/limits").text + client.get("/openapi.json").text


def test_where_keys_come_from(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert read_key(file, {}) == KEY
    assert read_key(None, {"MIEN_SERVE_KEY": KEY}) == KEY
    assert read_key(None, {"MIEN_SERVE_KEY": ""}) is None
    with pytest.raises(MissingFileError, match="no such file"):
        read_key(tmp_path / "none", {})
    with pytest.raises(InputError, match="cannot be read"):
        read_key(tmp_path, {})


def test_others_need_a_key_unless_told_otherwise() -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::", "lab.example"):
        with pytest.raises(InputError, match="needs a key"):
            AccessPolicy(host)
        assert not AccessPolicy(host, key=KEY).is_loopback
        assert AccessPolicy(host, insecure=True).key is None
    for host in ("127.0.0.1", "localhost", "::1", "127.1.2.3"):
        assert AccessPolicy(host).is_loopback
    for key in ("short", "with spaces in the key", "clé" * 10, ""):
        with pytest.raises(InputError, match="16 characters"):
            AccessPolicy(key=key)
    for origin in ("lab.example", "https://lab.example/", "ftp://lab.example", "*"):
        with pytest.raises(InputError, match="an origin"):
            AccessPolicy(origins=(origin,))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "needs a key"),
        (["--host", "256.1.1.1", "--insecure-no-key"], "cannot be listened on"),
        (["--key-file", "absent"], "no such file"),
        (["--key-file", "short"], "at least 16 characters"),
        (["--allow-origin", "lab.example"], "an origin is"),
        (["--max-images", "0"], "images is at least 1"),
        (["--models", "smile"], "no model 'smile'"),
        (["--detector", "eyes"], "eyes"),
    ],
)
def test_what_is_wrong_at_the_start_is_told(
    options: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from mien.cli.serve import command

    monkeypatch.chdir(tmp_path)
    Path("short").write_text("short")
    run = CliRunner().invoke(command, ["--port", "0", *options])
    assert isinstance(run.exception, MienError)
    assert words in str(run.exception)


def test_heads_that_are_too_large_or_ambiguous() -> None:
    with service(Held(), told=False, header_bytes=2000) as client:
        is_problem(client.get("/", headers={"X-A": "b" * 2000}), 431, "head-too-large")
        is_problem(client.get("/" + "a" * 2000), 431, "head-too-large")
        both = {"Transfer-Encoding": "chunked", "Content-Length": "3"}
        is_problem(post(client, headers=both), 400, "head-malformed")


def test_other_names_of_the_host_are_refused_on_loopback() -> None:
    with service(Held(), access=AccessPolicy(hosts=("mien.local",)), told=False) as client:
        for host in ("127.0.0.1", "localhost:8000", "[::1]:8000", "LOCALHOST", "mien.local:80"):
            assert client.get("/healthz", headers={"Host": host}).status_code == 200, host
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "evil.example:8000"):
            is_problem(client.get("/v1/limits", headers={"Host": host}), 421, "host-unknown")
    everywhere = AccessPolicy("0.0.0.0", key=KEY)
    assert everywhere.knows_host("any.example")
    assert not AccessPolicy("0.0.0.0", key=KEY, hosts=("one.example",)).knows_host("any.example")


def test_pages_of_other_sites_cannot_ask() -> None:
    with service(Held(), told=False) as client:
        for origin in ("https://evil.example", "null", "http://127.0.0.1:9", ""):
            is_problem(post(client, headers={"Origin": origin}), 403, "origin-refused")
        assert post(client, headers={"Origin": HERE}).status_code == 200
        preflight = client.options(
            "/v1/analyze", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        )
        assert preflight.status_code == 405
        assert "access-control-allow-origin" not in preflight.headers


def test_a_site_on_the_list_can_ask_with_the_key() -> None:
    site = "https://lab.example"
    with service(Held(), access=AccessPolicy(key=KEY, origins=(site,)), told=False) as client:
        asks = {"Origin": site, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
        preflight = client.options("/v1/analyze", headers=asks)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == site
        assert "access-control-allow-credentials" not in preflight.headers
        answer = post(client, headers={"Origin": site, "X-API-Key": KEY})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, site)
        refused = post(client, headers={"Origin": site})
        is_problem(refused, 401, "key-missing")
        assert refused.headers["access-control-allow-origin"] == site
        is_problem(post(client, headers={"Origin": "https://other.example", "X-API-Key": KEY}), 403, "origin-refused")


# ---------------------------------------------------------------- mistakes, and what is told of them


class Broken(Held):
    def detect(self, rgb: Any) -> Any:
        # in two, because the traceback shows this line
        raise ZeroDivisionError("sec" + "ret")


def test_a_mistake_inside_is_a_500_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with service(Broken(), told=False) as client:
        client = TestClient(client.app, base_url=HERE, raise_server_exceptions=False)
        told = is_problem(post(client), 500, "internal")
        assert "secret" not in str(told)
        assert "ZeroDivisionError" in caplog.text
        assert "secret" not in caplog.text
        assert client.get("/healthz").status_code == 200


def test_the_log_has_no_names_keys_or_numbers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "mien.serve")
    with service(Held(), access=AccessPolicy(key=KEY), told=False) as client:
        client.post(
            "/v1/analyze?min_face=secretly", files={"image": ("secret.jpg", photo())}, headers={"X-API-Key": KEY}
        )
        client.get("/v1/videos/secret-number/result?format=secret", headers={"X-API-Key": KEY})
        client.get("/secret%0aline")
    lines = [record.getMessage() for record in caplog.records if record.name == "mien.serve"]
    assert [" ".join(line.split()[:3]) for line in lines] == [
        "POST /v1/analyze 422", "GET /v1/videos/{video}/result 422", "GET other 401",
    ]  # fmt: skip
    assert "secret" not in caplog.text
    assert KEY not in caplog.text


# ---------------------------------------------------------------- together


class Counting(Model):
    """A model that keeps how many crops each call had."""

    def __init__(self, name: str) -> None:
        super().__init__(read_model(name), threads=1)
        self.calls: list[int] = []

    def __call__(self, crops: Any, **more: Any) -> Any:
        self.calls.append(len(crops))
        return super().__call__(crops, **more)


def test_photos_of_many_requests_are_classified_together_and_answered_apart() -> None:
    emotion, age = Counting("emotion"), Counting("age")
    engine = InferenceEngine(Held(2), emotion, age, ServiceLimits(batch=8, batch_ms=10_000.0), threads=2)
    sizes: list[int] = []
    engine.batches = sizes.append

    async def all_at_once() -> list[Any]:
        wishes = [PhotoRequest(), PhotoRequest(frozenset(["emotion"])), PhotoRequest(frozenset(["age"]))]
        photos = [photo(), blank(), photo("PNG")]
        return await asyncio.gather(*(engine.tell(photos[i % 3], wishes[i % 3]) for i in range(12)))

    told = asyncio.run(asyncio.wait_for(all_at_once(), PATIENCE))
    engine.close(PATIENCE)
    assert sum(sizes) == 12
    assert len(sizes) <= 4
    assert sum(emotion.calls) == sum(age.calls) == 16
    assert [one.faces.image_size for one in told[:3]] == [(256, 256), (64, 48), (256, 256)]
    assert [one.faces.emotions is None for one in told[:3]] == [False, False, True]
    assert [one.faces.ages is None for one in told[:3]] == [False, True, False]
    for i in range(3, 12):
        assert told[i].faces.to_dicts() == told[i % 3].faces.to_dicts()


def test_one_photo_alone_does_not_wait_for_others() -> None:
    engine = InferenceEngine(Held(1), None, models()[1], ServiceLimits(batch_ms=60_000.0), threads=1)
    told = asyncio.run(asyncio.wait_for(engine.tell(photo(), PhotoRequest()), PATIENCE))
    engine.close(PATIENCE)
    assert told.faces.ages is not None


def test_photos_that_nobody_waits_for_are_left_out() -> None:
    held = Held(go=False)
    engine = InferenceEngine(held, None, None, ServiceLimits(), threads=1)

    async def given_up() -> None:
        first = asyncio.ensure_future(engine.tell(photo(), PhotoRequest()))
        await asyncio.get_running_loop().run_in_executor(None, held.wait_for, 1)
        later = [asyncio.ensure_future(engine.tell(photo(), PhotoRequest())) for _ in range(5)]
        await asyncio.sleep(0)
        for task in later:
            task.cancel()
        await asyncio.gather(*later, return_exceptions=True)
        held.go.set()
        assert (await first).faces
        assert (await engine.tell(blank(), PhotoRequest())).faces

    asyncio.run(asyncio.wait_for(given_up(), PATIENCE))
    assert held.begun == 2
    engine.close(PATIENCE)
    assert threading.active_count() < 50


def test_answers_do_not_wait_for_acknowledgements() -> None:
    import socket

    import uvicorn
    from uvicorn.server import ServerState

    from mien.server.http_protocol import limited_protocol

    async def connected() -> int:
        loop = asyncio.get_running_loop()
        config = uvicorn.Config(lambda: None, ws="none", log_config=None)
        made = limited_protocol(1.0, 1.0, 5)
        listening = socket.create_server(("127.0.0.1", 0))
        connections: list[Any] = []

        def connection() -> Any:
            connections.append(made(config, ServerState(), {}))
            return connections[-1]

        server = await loop.create_server(connection, sock=listening)
        async with server:
            _, writer = await asyncio.open_connection(*listening.getsockname())
            while not connections or connections[0].transport is None:
                await asyncio.sleep(0)
            option = (
                connections[0].transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            )
            writer.close()
            connections[0].transport.abort()
            await writer.wait_closed()
        return int(option)

    assert asyncio.run(asyncio.wait_for(connected(), PATIENCE)) == 1
