"""Answers compressed with gzip, for clients that accept it: JSON, CSV and text, whole and in pieces."""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LEAST_BYTES = 500
"""Bytes of an answer below which a packet is not saved."""
_LEVEL = 5
_COMPRESSED = ".mp4"
_WEIGHT = re.compile(r"q\s*=\s*(\d+(?:\.\d*)?)")


class CompressionMiddleware:
    """Starlette's, except for videos and for parts of files, whose bytes have to stay as they are.

    Args:
        app: what is inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._plain, self._gzip = app, GZipMiddleware(app, minimum_size=_LEAST_BYTES, compresslevel=_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        if scope["type"] != "http" or scope["path"].endswith(_COMPRESSED) or "range" in headers:
            await self._plain(scope, receive, send)
            return
        if not accepts_gzip(headers.get("accept-encoding", "")):
            await self._plain(scope, receive, _varied(send))
            return
        # Starlette looks for the word alone: "gzip;q=0" means the contrary, and names are not case sensitive. In place:
        # the route that the application writes into the scope is counted outside
        others = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        scope["headers"] = [*others, (b"accept-encoding", b"gzip")]
        await self._gzip(scope, receive, send)


def _varied(send: Send) -> Send:
    """With ``Vary: Accept-Encoding``: a cache keeps the answer for those who accept no gzip alone."""

    async def send_varied(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).add_vary_header("Accept-Encoding")
        await send(message)

    return send_varied


def accepts_gzip(header: str) -> bool:
    """Whether a client accepts gzip.

    Args:
        header: what it sent as ``Accept-Encoding``.

    Examples:
        >>> [accepts_gzip(header) for header in ("br, GZIP;q=0.5", "gzip;q=0, *", "identity", "*")]
        [True, False, False, False]
    """
    for part in header.lower().split(","):
        name, _, parameters = part.partition(";")
        if name.strip() in ("gzip", "x-gzip"):
            weight = _WEIGHT.search(parameters)
            return weight is None or float(weight[1]) > 0
    return False
