"""Addresses (URLs): how they are recognised, and how messages print them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)


def scheme_of(text: str) -> str | None:
    """The lower-case scheme of an address, such as "rtsp"; None of anything that is no address, such as a path."""
    match = _SCHEME.match(text)
    return None if match is None else match[1].lower()


def without_password(address: str) -> str:
    """An address as messages print it: no password, and no query, which may hold a key."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return f"{scheme_of(address)}://…"
    host = parts.netloc.rpartition("@")[2]
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    public = f"{parts.scheme}://{user + '@' if user else ''}{host}{parts.path}"
    return public + ("?…" if parts.query else "")
