"""Entity tags and ranges: a client that has an answer already gets 304 and no body; a malformed range is ignored."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

_RANGE = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")
_TAG = re.compile(r'(?:W/)?("[^"]*")')


def weak_tag(text: str) -> str:
    """An entity tag; weak, because the bytes differ with their compression."""
    return f'W/"{text}"'


def ignore_malformed_range(request: Request) -> None:
    """Take a Range out of a request that is of another unit than bytes, or malformed: the whole is sent (RFC 9110)."""
    text = request.headers.get("range")
    if text is None:
        return
    unit, _, ranges = text.partition("=")
    parts = [_RANGE.fullmatch(part.strip()) for part in ranges.split(",")]
    if unit.strip().lower() == "bytes" and all(part and _is_in_order(*part.groups()) for part in parts):
        return
    request.scope["headers"] = [(name, value) for name, value in request.scope["headers"] if name != b"range"]


def _is_in_order(first: str, last: str) -> bool:
    return bool(first or last) and not (first and last and int(first) > int(last))


def not_modified(request: Request, tag: str) -> Response | None:
    """The answer 304 where the client has what ``tag`` stands for (If-None-Match, RFC 9110), else None."""
    header = request.headers.get("if-none-match", "")
    known = header.strip() == "*" or _TAG.findall(tag)[0] in _TAG.findall(header)
    return Response(status_code=304, headers={"ETag": tag}) if known else None
