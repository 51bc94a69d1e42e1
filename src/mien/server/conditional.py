"""Entity tags: a client that has an answer already gets 304 and no body."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

_TAG = re.compile(r'(?:W/)?("[^"]*")')


def weak_tag(text: str) -> str:
    """An entity tag; weak, because the bytes differ with their compression."""
    return f'W/"{text}"'


def not_modified(request: Request, tag: str) -> Response | None:
    """The answer 304 where the client has what ``tag`` stands for (If-None-Match, RFC 9110), else None."""
    header = request.headers.get("if-none-match", "")
    known = header.strip() == "*" or _TAG.findall(tag)[0] in _TAG.findall(header)
    return Response(status_code=304, headers={"ETag": tag}) if known else None
