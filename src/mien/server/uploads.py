"""Bodies of requests → bytes in memory, or a file in a private folder; nothing is read beyond what is allowed."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from mien.server.problems import ProblemError

_FIELD_BYTES = 16 << 20
"""A form field that is no file; deepface's form sends pictures as text."""
_PARTS = 64
_NAME = 200


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


@dataclass(slots=True)
class FormPart:
    """One field of a form.

    Attributes:
        name: of the field.
        is_file: whether the client gave it a file name, which is never looked at.
        data: what it holds, where it is kept in memory.
    """

    name: str
    is_file: bool = False
    data: bytearray = field(default_factory=bytearray)


FileSink = Callable[[FormPart, bytes], None]


def media_type(request: Request) -> tuple[str, dict[str, str]]:
    """The type that a request says its body has, in lower case, and its parameters."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    return kind.decode("latin-1").lower(), {k.decode("latin-1"): v.decode("latin-1") for k, v in options.items()}


async def read_body(request: Request) -> bytes:
    """The whole body; its size has been bounded by `mien.server.admission`."""
    chunks = [chunk async for chunk in _chunks(request)]
    return b"".join(chunks)


async def read_form(request: Request, *, files: int, keep: FileSink | None = None) -> list[FormPart]:
    """The fields of a multipart form, in order.

    Args:
        request: its content type is multipart/form-data.
        files: fields with a file name at most.
        keep: what takes the bytes of files; by default they are in the parts.

    Raises:
        Problem: it is malformed, or has too many parts.
    """
    boundary = media_type(request)[1].get("boundary", "")
    if not boundary or len(boundary) > 200 or not boundary.isascii():
        raise ProblemError(400, "form-malformed", "the multipart form names no boundary: let the HTTP library set it")
    form = _FormHandler(files, keep)
    try:
        parser = MultipartParser(boundary.encode("latin-1"), form.callbacks())
        async for chunk in _chunks(request):
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise ProblemError(400, "form-malformed", f"the multipart form is malformed: {_plain(str(error))}") from None
    if not form.ended:
        raise ProblemError(400, "form-malformed", "the multipart form ends before its last boundary: send it again")
    return form.parts


def decode_base64(text: str, which: str) -> bytes:
    """The bytes of base64, with or without the head of a data URL.

    Raises:
        Problem: it is an address, a path, or no base64.
    """
    head, comma, rest = text.partition(",")
    if head[:5].lower() == "data:":
        if not comma or not head.lower().endswith(";base64"):
            raise ProblemError(
                422, "base64-malformed", f"{which}: the data URL is not base64: write data:image/jpeg;base64,…"
            )
        text = rest
    elif "://" in text[:20]:
        raise ProblemError(422, "address-refused", f"{which}: addresses are not fetched: send the image itself")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ProblemError(
            422, "base64-malformed", f"{which}: is not base64; paths are not opened: send the image itself"
        ) from None


async def run_until_disconnect(request: Request, work: Awaitable[Any], seconds: float) -> Any:
    """The result of ``work``, which is cancelled when the client goes away or the time is over.

    Raises:
        ClientGoneError: nobody waits any more.
        Problem: the time is over.
    """
    doing = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({doing, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        if gone.done():
            raise ClientGoneError
        raise ProblemError(
            503, "too-slow", f"the answer took longer than {seconds:g} s: send less, or later", retry_after=5
        )
    finally:
        for task in (doing, gone):
            task.cancel()
        await asyncio.wait({doing, gone})
        if not doing.cancelled():
            doing.exception()  # of work that ended in the same moment, which nobody asks for any more


async def save_upload(request: Request, path: Path) -> list[FormPart]:
    """Write an uploaded video to ``path``: the one file of a form, or the body itself. The other fields of the form.

    Raises:
        Problem: there is no file, or it cannot be stored.
    """
    import os

    try:
        # only the user of the service may read it
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            kind = media_type(request)[0]
            if kind == "multipart/form-data":
                parts = await read_form(request, files=1, keep=lambda part, data: _into(file, part, data))
                if not any(part.is_file for part in parts):
                    raise ProblemError(
                        422, "video-missing", "the form has no file: send the video as the field 'video'"
                    )
            elif kind.startswith("video/") or kind == "application/octet-stream":
                parts = []
                async for chunk in _chunks(request):
                    file.write(chunk)
            else:
                raise unsupported_media_type("a form with a field 'video', or the video itself as video/*")
            if not file.tell():
                raise ProblemError(422, "video-missing", "the video is empty (0 bytes)")
    except OSError:
        raise ProblemError(
            507, "storage-full", "the video cannot be stored: the disk of the service may be full"
        ) from None
    return [part for part in parts if not part.is_file]


def unsupported_media_type(wanted: str) -> ProblemError:
    """415."""
    return ProblemError(415, "media-type", f"send {wanted}, and say so in Content-Type")


def _into(file: Any, part: FormPart, data: bytes) -> None:
    if part.name != "video":
        raise ProblemError(422, "video-missing", "send the video as the field 'video'")
    file.write(data)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ProblemError(415, "media-type", "compressed requests are not read: send the body as it is")
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise ClientGoneError from None


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _FormHandler:
    """What python-multipart finds, within bounds."""

    def __init__(self, files: int, keep: FileSink | None) -> None:
        self.parts: list[FormPart] = []
        self.ended = False
        self._files, self._keep = files, keep
        self._name, self._value, self._disposition = b"", b"", b""
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
        if len(self.parts) >= _PARTS + self._files:
            raise ProblemError(413, "too-large", f"the form has too many parts: {self._files} files at most")
        self._disposition = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def _headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise ProblemError(400, "form-malformed", "a part of the form has no name: let the HTTP library write it")
        name = options[b"name"][:_NAME].decode("utf-8", "replace")
        self._part = FormPart(name, b"filename" in options)
        self.parts.append(self._part)
        if sum(part.is_file for part in self.parts) > self._files:
            raise ProblemError(413, "too-large", f"the form has more than {self._files} files: send them in parts")

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part.is_file and self._keep is not None:
            self._keep(part, data[start:end])
            return
        if not part.is_file and len(part.data) + end - start > _FIELD_BYTES:
            raise ProblemError(413, "too-large", "a field of the form is too long: send images as files")
        part.data += data[start:end]

    def _end(self) -> None:
        self.ended = True


def _plain(text: str) -> str:
    """A library's message on one line, without what the client sent in it."""
    return text.split(",")[0].split(":")[0][:80] if text.isascii() else "unexpected bytes"
