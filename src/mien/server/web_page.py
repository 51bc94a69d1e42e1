"""The web page with its files, and a plain page that lists the HTTP interface.

The files are read once, so that no path from a client is ever opened.
"""

from __future__ import annotations

import functools
import hashlib
import html
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response

import mien.web
from mien.server.conditional import not_modified, weak_tag
from mien.server.problems import ProblemError

router = APIRouter(include_in_schema=False)

_STATIC = Path(mien.web.__file__).parent / "static"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
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
    """Name in ``static/`` → file."""
    files: dict[str, StaticFile] = {}
    for file in _STATIC.iterdir():
        if file.suffix in _TYPES:
            content = file.read_bytes()
            tag = weak_tag(hashlib.sha256(content).hexdigest()[:32])
            files[file.name] = StaticFile(content, _TYPES[file.suffix], tag)
    return files


@router.get("/")
async def index(request: Request) -> Response:
    """The page."""
    return _respond(request, "index.html")


@router.get("/static/{name:path}")
async def static(request: Request, name: str) -> Response:
    """A file of the page."""
    return _respond(request, name)


@router.get("/favicon.ico")
async def favicon(request: Request) -> Response:
    """The icon that browsers request on their own."""
    return _respond(request, "icon.svg")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The interface as a plain page; tools read /openapi.json."""
    return Response(_interface_page(request.app.openapi()), media_type="text/html; charset=utf-8")


def _respond(request: Request, name: str) -> Response:
    file = static_files().get(name)
    if file is None:
        raise ProblemError("not-found", "there is no such file of the page")
    response = not_modified(request, file.tag) or Response(file.content, media_type=file.type)
    # browsers ask every time, and get an empty answer while the file is the same
    response.headers["ETag"], response.headers["Cache-Control"] = file.tag, "no-cache"
    return response


def _interface_page(openapi: dict[str, Any]) -> str:
    text = html.escape
    about = openapi["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{text(about['title'])} – interface</title>",
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
