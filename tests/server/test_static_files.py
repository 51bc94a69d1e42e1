"""The files of the page, as the service answers with them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from helpers.serving import HERE, assert_problem, service
from helpers.tiny_models import OneFace, write_model
from mien.predict.model_set import ModelSet
from mien.server.access import AccessPolicy
from mien.server.app import create_app
from mien.server.engine import InferenceEngine
from mien.server.limits import ServiceLimits
from mien.web.device_offer import DeviceOffer
from mien.web.runtime import BINARY, SCRIPT, VIDEO_READER


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with service() as client:
        yield client


def test_the_page_and_its_files(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    again = client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/docs").text.count("<h2>") >= 10


def test_pictures_have_their_type(client: TestClient) -> None:
    assert client.get("/static/sample-hopper.webp").headers["content-type"] == "image/webp"


def test_what_the_page_computes_with_needs_the_cache_and_the_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = write_model(tmp_path / "mood.onnx", "mood", ("calm", "tense"))
    cached: list[dict[str, bytes] | None] = [None]
    monkeypatch.setattr("mien.web.device_offer.cached_runtime", lambda: cached[0])
    limits = ServiceLimits(rate=0.0)
    engine = InferenceEngine(OneFace(), ModelSet(), limits, threads=1)
    key = "a-key-of-enough-characters"
    app = create_app(engine, AccessPolicy(key=key), limits, device=DeviceOffer([str(own)]))
    with TestClient(app, base_url=HERE) as client:
        assert client.get("/assets/settings.json").status_code == 401
        headers = {"X-API-Key": key}
        problem = assert_problem(client.get("/assets/settings.json", headers=headers), 404, "not-found")
        assert "mien web --single" in problem["detail"]
        cached[0] = {SCRIPT: b"script", BINARY: b"binary", VIDEO_READER: b"reader"}
        settings = client.get("/assets/settings.json", headers=headers)
        assert settings.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert list(settings.json()["models"]["heads"]) == ["mood"]
        file = settings.json()["files"]["mood"]
        answer = client.get(f"/assets/{file['file']}", headers=headers)
        assert hashlib.sha256(gzip.decompress(answer.content)).hexdigest() == file["sha256"]
        assert "immutable" in answer.headers["Cache-Control"]
        assert client.get(f"/static/{SCRIPT}").content == b"script"
        assert client.get("/assets/../settings.json", headers=headers).status_code == 404


def test_a_service_that_offers_nothing_has_no_files_to_compute_with(client: TestClient) -> None:
    assert_problem(client.get("/assets/settings.json"), 404, "not-found")
    assert_problem(client.get(f"/static/{SCRIPT}"), 404, "not-found")
