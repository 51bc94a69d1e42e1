"""The web page with its files, and a plain page that lists the HTTP interface.

The files are read once, so that no path from a client is ever opened.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import html
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mien.errors import MienError
from mien.server.entity_tags import not_modified, weak_tag
from mien.server.problems import ProblemError
from mien.web.device_offer import DeviceOffer
from mien.web.page_files import page_files

router = APIRouter(include_in_schema=False)

_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".gz": "application/octet-stream",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".webp": "image/webp",
}


class StaticFile(NamedTuple):
    """A file of the page.

    Attributes:
        content: its bytes.
        type: its media type.
        tag: its entity tag (ETag).
    """

    content: bytes
    type: str
    tag: str


@functools.cache
def static_files() -> dict[str, StaticFile]:
    """Name → file of the page."""
    return {name: _file(name, content) for name, content in page_files().items()}


def _file(name: str, content: bytes) -> StaticFile:
    return StaticFile(content, _TYPES[PurePath(name).suffix], weak_tag(hashlib.sha256(content).hexdigest()[:32]))


@router.get("/")
async def index(request: Request) -> Response:
    """The page."""
    return _respond(request, "index.html")


@router.get("/static/{name:path}")
async def static(request: Request, name: str) -> Response:
    """A file of the page."""
    if name.endswith(".mjs"):  # of others, where they are at hand
        return _respond(request, name, await _offered(request, "modules"))
    return _respond(request, name)


@router.get("/assets/{name:path}")
async def assets(request: Request, name: str) -> Response:
    """What the page computes with in the browser; needs the key, because it may be models of one's own."""
    files = await _offered(request, "assets")
    if not files:
        detail = "run `mien web --single page.html` on this server once: it fetches what computing in the page takes"
        raise ProblemError("not-found", detail)
    return _respond(request, name, files)


@router.get("/favicon.ico")
async def favicon(request: Request) -> Response:
    """The icon that browsers request on their own."""
    return _respond(request, "icon.svg")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The interface as a plain page; tools read /openapi.json."""
    return Response(_interface_page(request.app.openapi()), media_type="text/html; charset=utf-8")


async def _offered(request: Request, which: str) -> Mapping[str, StaticFile]:
    """The ``assets`` or ``modules`` with which the page computes; none where they are not offered."""
    state = request.app.state
    if state.device is not None and not state.device_files:
        try:
            state.device_files = await asyncio.to_thread(_read_offer, state.device)
        except MienError as error:
            raise ProblemError("not-found", f"this server cannot let the page compute: {error}") from None
    files: Mapping[str, StaticFile] = state.device_files.get(which, {})
    return files


def _read_offer(offer: DeviceOffer) -> dict[str, dict[str, StaticFile]]:
    """Empty where nothing is offered yet."""
    found = {"assets": offer.assets(), "modules": offer.modules()}
    return {
        which: {name: _file(name, content) for name, content in files.items()}
        for which, files in found.items()
        if files
    }


def _respond(request: Request, name: str, files: Mapping[str, StaticFile] | None = None) -> Response:
    file = (static_files() if files is None else files).get(name)
    if file is None:
        raise ProblemError("not-found", "there is no such file of the page")
    response = not_modified(request, file.tag) or Response(file.content, media_type=file.type)
    # browsers ask every time, and get an empty answer while the file is the same; those with a hash in the name stay so
    named = name.endswith(".gz")
    response.headers["ETag"] = file.tag
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable" if named else "no-cache"
    return response


def _interface_page(openapi: dict[str, Any]) -> str:
    text = html.escape
    about = openapi["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{text(about['title'])} – interface</title>",
        '<script src="static/theme.js"></script>',
        '<link rel="stylesheet" href="static/style.css"></head><body><main class="interface">',
        f"<h1>{text(about['title'])} {text(about['version'])}: interface</h1><p>{text(about['description'])}</p>",
        '<p><a href="./">The page</a> · <a href="openapi.json">OpenAPI</a></p>',
        "<h2>WS /v1/live</h2><p>Frames in (binary: JPEG, PNG, WebP), results out (JSON); the newest frame wins.</p>",
    ]
    for path, methods in openapi["paths"].items():
        for method, one in methods.items():
            parts.append(f"<h2>{method.upper()} {text(path)}</h2><p>{text(one.get('description') or '')}</p>")
            body = one.get("requestBody", {}).get("content", {})
            if body:
                parts.append(f"<p>Body: {', '.join(text(kind) for kind in body)}</p>")
            parameters = one.get("parameters", [])
            if parameters:
                items = (
                    f"<dt><code>{text(each['name'])}</code></dt><dd>{text(each['description'])}</dd>"
                    for each in parameters
                )
                parts.append(f"<dl>{''.join(items)}</dl>")
    return "".join(parts) + "</main></body></html>"
