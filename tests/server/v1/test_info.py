"""Limits, models, health and metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

import mien
from helpers.serving import JPEG, photo, service
from mien.draw.palette import COLOURS
from mien.server.v1.schemas import (
    LimitsResponse,
    ModelsResponse,
    ReadyResponse,
)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with service() as client:
        yield client


def test_health_readiness_and_limits(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ReadyResponse.model_validate(client.get("/readyz").json())
    limits = LimitsResponse.model_validate(client.get("/v1/limits").json())
    assert not limits.key_required
    assert limits.limits["images"] == 16


def test_models_list_heads_columns_and_cards(client: TestClient) -> None:
    answer = client.get("/v1/models").json()
    ModelsResponse.model_validate(answer)
    assert {name: card["task"] for name, card in answer["cards"].items()} == {"emotion": "emotion", "age": "age"}
    assert {name: head["ordered"] for name, head in answer["heads"].items()} == {"emotion": False, "age": True}
    assert answer["heads"]["emotion"]["labels"][:2] == ["neutral", "happy"]
    assert answer["heads"]["age"]["ranges"][1] == [3, 9]
    colours = answer["heads"]["emotion"]["colours"]
    assert {label: tuple(bytes.fromhex(colour[1:])) for label, colour in colours.items()} == dict(COLOURS)
    result = mien.analyze(photo())
    (row,) = result.to_rows()
    (face,) = result.to_dicts()
    assert [column["name"] for column in answer["columns"]] == list(row)
    for column in answer["columns"][2:]:
        value: Any = face
        for key in column["path"]:
            # what this model does not measure is absent from JSON, and empty in tables
            value = None if value is None or (isinstance(value, dict) and key not in value) else value[key]
        assert value == row[column["name"]], column
    assert sum(row[column["name"]] is not None for column in answer["columns"]) > 30


def test_metrics_count_by_route_and_never_by_what_was_sent(client: TestClient) -> None:
    client.post("/v1/analyze", content=photo(), headers=JPEG)
    client.get("/v1/videos/secret-number")
    client.get("/no/such/page")
    client.request("BREW", "/healthz")
    text = client.get("/metrics").text
    assert 'mien_http_requests_total{method="POST",route="/v1/analyze",status="200"}' in text
    assert 'route="/v1/videos/{video}",status="404"' in text
    assert 'mien_http_requests_total{method="GET",route="other",status="404"}' in text
    assert 'method="other"' in text
    assert "mien_batch_photos_count" in text
    assert "secret" not in text
    assert "BREW" not in text


def test_metrics_are_named_as_prometheus_names_them(client: TestClient) -> None:
    client.post("/v1/analyze", content=photo(), headers=JPEG)
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    own = {name: family for name, family in families.items() if name.startswith("mien_")}
    for name, family in own.items():
        assert family.documentation, name
        assert not re.search(r"_(ms|milliseconds|minutes|mb|kb|percent)$", name)
        if family.type == "counter":
            assert all(sample.name.endswith(("_total", "_created")) for sample in family.samples), name
    assert {"mien_http_requests", "mien_http_request_duration_seconds", "mien_http_requests_in_flight"} <= set(own)
    (build,) = own["mien_build_info"].samples
    assert build.value == 1
    assert build.labels["version"] == mien.__version__
    assert build.labels["detector"] == client.get("/v1/models").json()["models"]["detector"]
    stages = {sample.labels["stage"] for sample in own["mien_inference_duration_seconds"].samples}
    assert stages == {"decode", "detect", "classify"}
    waits = [one for one in own["mien_queue_wait_seconds"].samples if one.name.endswith("_count")]
    assert {one.labels["kind"]: one.value > 0 for one in waits} == {"photo": True}
    assert {one.labels["kind"] for one in own["mien_queue_tasks"].samples} == {"photo", "live", "video"}
    new = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert new.headers["content-type"].startswith("application/openmetrics-text")
    assert new.text.endswith("# EOF\n")
