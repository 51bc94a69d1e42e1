"""Who may use the service: the key and the names of the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from helpers.serving import (
    JPEG,
    PausableDetector,
    assert_problem,
    blank,
    service,
)
from mien.errors import InputError, MissingFileError
from mien.server.access import AccessPolicy, read_key

KEY = "k" * 40


def post(client: TestClient, data: bytes = b"", **more: Any) -> Any:
    return client.post("/v1/analyze", content=data or blank(), headers=JPEG | more.pop("headers", {}), **more)


def test_the_key(tmp_path: Path) -> None:
    with service(PausableDetector(), access=AccessPolicy(key=KEY), with_models=False) as client:
        answer = post(client)
        assert_problem(answer, 401, "key-missing")
        assert answer.headers["www-authenticate"] == "Bearer"
        for headers in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"Authorization": f"bearer {KEY}"}):
            assert post(client, headers=headers).status_code == 200
        for headers in (
            {"X-API-Key": KEY[:-1]}, {"X-API-Key": KEY + "k"}, {"Authorization": f"Basic {KEY}"},
            {"X-API-Key": b"\xff\xfe"}, {"Authorization": "Bearer"},
        ):  # fmt: skip
            assert_problem(post(client, headers=headers), 401, "key-missing")
        for path in ("/", "/healthz", "/readyz", "/docs", "/openapi.json", "/v1/limits"):
            assert client.get(path).status_code == 200, path
        for path in ("/metrics", "/v1/models", "/v1/videos/x", "/nothing", "/static"):
            assert client.get(path).status_code == 401, path
        assert client.get("/v1/limits").json()["key_required"] is True
        assert KEY not in client.get("/v1/limits").text + client.get("/openapi.json").text


def test_the_key_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert read_key(file, {}) == KEY
    assert read_key(None, {"MIEN_SERVE_KEY": KEY}) == KEY
    assert read_key(None, {"MIEN_SERVE_KEY": ""}) is None
    with pytest.raises(MissingFileError, match="no such file"):
        read_key(tmp_path / "none", {})
    with pytest.raises(InputError, match="cannot be read"):
        read_key(tmp_path, {})


def test_other_machines_need_a_key_unless_the_option_waives_it() -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::", "lab.example"):
        with pytest.raises(InputError, match="needs a key"):
            AccessPolicy(host)
        assert not AccessPolicy(host, key=KEY).is_loopback
        assert AccessPolicy(host, insecure_no_key=True).key is None
    for host in ("127.0.0.1", "localhost", "::1", "127.1.2.3"):
        assert AccessPolicy(host).is_loopback
    for key in ("short", "with spaces in the key", "clé" * 10, ""):
        with pytest.raises(InputError, match="16 characters"):
            AccessPolicy(key=key)
    for origin in ("lab.example", "https://lab.example/", "ftp://lab.example", "*"):
        with pytest.raises(InputError, match="an origin"):
            AccessPolicy(allow_origins=(origin,))


def test_other_names_of_the_host_are_refused_on_loopback() -> None:
    with service(PausableDetector(), access=AccessPolicy(allow_hosts=("mien.local",)), with_models=False) as client:
        for host in ("127.0.0.1", "localhost:8000", "[::1]:8000", "LOCALHOST", "mien.local:80"):
            assert client.get("/healthz", headers={"Host": host}).status_code == 200, host
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "evil.example:8000"):
            assert_problem(client.get("/v1/limits", headers={"Host": host}), 421, "host-unknown")
    everywhere = AccessPolicy("0.0.0.0", key=KEY)
    assert everywhere.accepts_host("any.example")
    assert not AccessPolicy("0.0.0.0", key=KEY, allow_hosts=("one.example",)).accepts_host("any.example")
