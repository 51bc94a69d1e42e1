"""Answers compressed with gzip, for clients that accept it: JSON, CSV and text, whole and in pieces."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_LEAST_BYTES = 500
"""Bytes of an answer below which a packet is not saved."""
_LEVEL = 5
_COMPRESSED = ".mp4"


class CompressionMiddleware:
    """Starlette's, except for videos and for parts of files, whose bytes have to stay as they are.

    Args:
        app: what is inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._plain, self._gzip = app, GZipMiddleware(app, minimum_size=_LEAST_BYTES, compresslevel=_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        as_it_is = scope["type"] != "http" or scope["path"].endswith(_COMPRESSED) or "range" in Headers(scope=scope)
        await (self._plain if as_it_is else self._gzip)(scope, receive, send)
