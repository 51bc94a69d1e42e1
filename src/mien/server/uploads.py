"""Bodies of requests → bytes in memory, or a file in the work folder; nothing is read beyond what is allowed."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from mien.server.problems import ProblemError

_FIELD_BYTES = 16 << 20
"""Bytes of a form field that is not a file; deepface's form sends pictures as text."""
_MAX_FIELDS = 64
_MAX_PART_HEAD = 8192
"""Bytes of the headers of a part of a form, which are parsed one by one; clients send some hundred."""
_MAX_NAME = 200
_MAX_BOUNDARY = 200
_WHITESPACE = b" \t\n\r\f\v"


class ClientGoneError(Exception):
    """The client closed the connection; no one waits for the answer."""


@dataclass(slots=True)
class FormPart:
    """One field of a form.

    Attributes:
        name: of the field.
        is_file: whether the client gave it a file name, which is ignored.
        data: its content, where it is kept in memory.
    """

    name: str
    is_file: bool = False
    data: bytearray = field(default_factory=bytearray)


FileSink = Callable[[FormPart, bytes], None]


def media_type(request: Request) -> tuple[str, dict[str, str]]:
    """The type of the body that a request declares, in lower case, and its parameters."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    return kind.decode("latin-1").lower(), {k.decode("latin-1"): v.decode("latin-1") for k, v in options.items()}


async def read_body(request: Request) -> bytes:
    """The whole body; `mien.server.admission` bounds its size."""
    chunks = [chunk async for chunk in _chunks(request)]
    return b"".join(chunks)


async def read_form(request: Request, *, max_files: int, file_sink: FileSink | None = None) -> list[FormPart]:
    """The fields of a multipart form, in order.

    Args:
        request: its content type is multipart/form-data.
        max_files: number of fields with a file name at most.
        file_sink: takes the bytes of files; by default they are kept in the parts.

    Raises:
        ProblemError: it is malformed, or has too many parts.
    """
    boundary = media_type(request)[1].get("boundary", "")
    if not boundary or len(boundary) > _MAX_BOUNDARY or not boundary.isascii():
        raise ProblemError("form-malformed", "the multipart form names no boundary: let the HTTP library set it")
    form = _FormHandler(max_files, file_sink)
    try:
        parser = MultipartParser(boundary.encode("latin-1"), form.callbacks())
        async for chunk in _chunks(request):
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        # the parser's message may quote what the client sent
        raise ProblemError("form-malformed", "the multipart form is malformed: let the HTTP library write it") from None
    if not form.ended:
        raise ProblemError("form-malformed", "the multipart form ends before its last boundary: send it again")
    return form.parts


def decode_base64(text: str, name: str) -> bytes:
    """The bytes of base64, with or without the head of a data URL.

    Args:
        text: the base64 text.
        name: of the image, for the problem.

    Raises:
        ProblemError: it is an address, a path, or not base64.
    """
    head, comma, rest = text.partition(",")
    if head[:5].lower() == "data:":
        if not comma or not head.lower().endswith(";base64"):
            detail = f"{name}: the data URL is not base64: write data:image/jpeg;base64,…"
            raise ProblemError("base64-malformed", detail)
        text = rest
    elif "://" in text[:20]:
        raise ProblemError("address-refused", f"{name}: addresses are not fetched: send the image itself")
    try:
        # not text.split(), which makes an object of every word
        return base64.b64decode(text.encode("ascii").translate(None, _WHITESPACE), validate=True)
    except (binascii.Error, ValueError):
        detail = f"{name}: is not base64; paths are not opened: send the image itself"
        raise ProblemError("base64-malformed", detail) from None


async def run_until_disconnect(request: Request, work: Awaitable[Any], seconds: float) -> Any:
    """The result of ``work``, which is cancelled when the client disconnects or the time is over.

    Raises:
        ClientGoneError: the client disconnected.
        ProblemError: the time is over.
    """
    task = asyncio.ensure_future(work)
    disconnect = asyncio.ensure_future(_wait_for_disconnect(request))
    try:
        await asyncio.wait({task, disconnect}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if disconnect.done():
            raise ClientGoneError
        detail = f"the answer took longer than {seconds:g} s: send less, or later"
        raise ProblemError("too-slow", detail, retry_after=5)
    finally:
        for one in (task, disconnect):
            one.cancel()
        await asyncio.wait({task, disconnect})
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would log it where the task ended at the same moment


async def save_upload(request: Request, path: Path) -> list[FormPart]:
    """Write an uploaded video to ``path``: the one file of a form, or the body itself.

    Returns:
        The other fields of the form.

    Raises:
        ProblemError: there is no file, or it cannot be stored.
    """
    try:
        # only the user of the service may read it
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            kind = media_type(request)[0]
            if kind == "multipart/form-data":
                sink = lambda part, data: _write_video(file, part, data)  # noqa: E731
                parts = await read_form(request, max_files=1, file_sink=sink)
                if not any(part.is_file for part in parts):
                    raise ProblemError("video-missing", "the form has no file: send the video as the field 'video'")
            elif kind.startswith("video/") or kind == "application/octet-stream":
                parts = []
                async for chunk in _chunks(request):
                    file.write(chunk)
            else:
                raise unsupported_media_type("a form with a field 'video', or the video itself as video/*")
            if not file.tell():
                raise ProblemError("video-missing", "the video is empty (0 bytes)")
    except OSError:
        raise ProblemError("output-unwritable") from None
    return [part for part in parts if not part.is_file]


def unsupported_media_type(supported: str) -> ProblemError:
    """The problem of a body whose type is not ``supported``."""
    return ProblemError("media-type", f"send {supported}, and set Content-Type accordingly")


def _write_video(file: Any, part: FormPart, data: bytes) -> None:
    if part.name != "video":
        raise ProblemError("video-missing", "send the video as the field 'video'")
    file.write(data)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ProblemError("media-type", "compressed requests are not read: send the body as it is")
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise ClientGoneError from None


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _FormHandler:
    """Collects what python-multipart parses, within limits."""

    def __init__(self, max_files: int, file_sink: FileSink | None) -> None:
        self.parts: list[FormPart] = []
        self.ended = False
        self._max_files, self._file_sink = max_files, file_sink
        self._name, self._value, self._disposition = b"", b"", b""
        self._head_bytes = 0
        self._part = FormPart("")

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._data,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) >= _MAX_FIELDS + self._max_files:
            raise ProblemError("too-large", f"the form has too many parts: {self._max_files} files at most")
        self._disposition = b""
        self._head_bytes = 0

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_head(end - start)
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_head(end - start)
        self._value += data[start:end]

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _MAX_PART_HEAD:
            raise ProblemError("form-malformed", "the headers of a part of the form are too long")

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def _headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise ProblemError("form-malformed", "a part of the form has no name: let the HTTP library write it")
        name = options[b"name"][:_MAX_NAME].decode("utf-8", "replace")
        # the parser does not know the parameter with an encoding (RFC 5987), which some clients send alone
        self._part = FormPart(name, b"filename" in options or b"filename*=" in self._disposition.lower())
        self.parts.append(self._part)
        if sum(part.is_file for part in self.parts) > self._max_files:
            more = "one file: send one" if self._max_files == 1 else f"{self._max_files} files: send them in parts"
            raise ProblemError("too-large", f"the form has more than {more}")

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part.is_file and self._file_sink is not None:
            self._file_sink(part, data[start:end])
            return
        if not part.is_file and len(part.data) + end - start > _FIELD_BYTES:
            raise ProblemError("too-large", "a field of the form is too long: send images as files")
        part.data += data[start:end]

    def _end(self) -> None:
        self.ended = True
