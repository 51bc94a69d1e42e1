"""Ranges that are no ranges of bytes are taken out of a request, so that the whole is sent."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from mien.server.entity_tags import ignore_malformed_range


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("bytes=0-99", True),
        ("bytes=5-5", True),
        ("bytes=-100", True),
        ("Bytes=100-", True),
        ("bytes=0-1, 5-6", True),
        ("bytes=5-1", False),
        ("bytes=-", False),
        ("bytes=abc", False),
        ("bytes=", False),
        ("bytes=0-1,x", False),
        ("items=0-1", False),
        ("5-6", False),
    ],
)
def test_a_malformed_range_is_ignored_and_others_are_kept(text: str, kept: bool) -> None:
    scope = {"type": "http", "headers": [(b"host", b"localhost"), (b"range", text.encode())]}
    ignore_malformed_range(Request(scope))
    assert scope["headers"] == [(b"host", b"localhost"), (b"range", text.encode())][: 2 if kept else 1]
