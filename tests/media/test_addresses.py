"""Addresses are recognised, and printed without what is secret."""

from __future__ import annotations

import pytest

from mien.media.addresses import scheme_of, without_password


@pytest.mark.parametrize(
    ("text", "scheme"),
    [("rtsp://host", "rtsp"), ("HTTP://host", "http"), ("a+b.c-d://x", "a+b.c-d"), ("C://x", None), ("a.mp4", None)],
)
def test_schemes(text: str, scheme: str | None) -> None:
    assert scheme_of(text) == scheme


@pytest.mark.parametrize(
    ("address", "printed"),
    [
        ("rtsp://a:b@c@host:1/p", "rtsp://a@host:1/p"),
        ("http://host/p", "http://host/p"),
        ("http://host/p?key=secret", "http://host/p?…"),
        ("http://user:secret@[::1/p", "http://…"),
    ],
)
def test_secrets_are_not_printed(address: str, printed: str) -> None:
    assert without_password(address) == printed
