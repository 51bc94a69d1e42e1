"""The files of the page, as the service answers with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from helpers.serving import service


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
