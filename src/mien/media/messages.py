"""Messages between a process that decodes and the one that uses it: a JSON object, and bytes behind it.

JSON, not pickle: the process that reads hostile files is not to be trusted with what runs in the other one.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

from mien import errors
from mien.errors import MienError

_LENGTHS = struct.Struct(">IQ")
_MAX_HEAD = 1 << 24
_CHUNK = 1 << 20


class PipeChannel:
    """The two ends of pipes, unbuffered, as one.

    Args:
        reader: what messages come from.
        writer: what messages go to.
    """

    def __init__(self, reader: Any, writer: Any) -> None:
        self._reader, self._writer = reader, writer

    def send(self, head: Mapping[str, Any], payload: Any = b"") -> None:
        """Send a message.

        Args:
            head: JSON-ready.
            payload: bytes, or contiguous memory.

        Raises:
            OSError: the other end is gone.
        """
        data = json.dumps(head).encode("ascii")
        content = memoryview(payload).cast("B")
        self._write(memoryview(_LENGTHS.pack(len(data), len(content)) + data))
        self._write(content)

    def receive_head(self) -> tuple[dict[str, Any], int]:
        """The JSON object of the next message and the number of bytes behind it, which `receive_into` reads.

        Raises:
            EOFError: the other end is gone, or sends something else.
        """
        lengths = bytearray(_LENGTHS.size)
        self.receive_into(lengths)
        size, n_payload = _LENGTHS.unpack(lengths)
        if size > _MAX_HEAD:
            raise EOFError
        data = bytearray(size)
        self.receive_into(data)
        try:
            head = json.loads(data)
        except (ValueError, RecursionError):
            head = None
        if not isinstance(head, dict):
            raise EOFError  # whatever it is, it is not our program
        return head, n_payload

    def receive_into(self, memory: Any) -> None:
        """Fill memory with the next bytes.

        Raises:
            EOFError: the other end is gone.
        """
        left = memoryview(memory).cast("B")
        while left:
            n = self._reader.readinto(left[:_CHUNK])
            if not n:
                raise EOFError
            left = left[n:]

    def close(self) -> None:
        """Close both ends."""
        for end in (self._reader, self._writer):
            end.close()

    def _write(self, content: memoryview) -> None:
        while content:
            content = content[self._writer.write(content[:_CHUNK]) :]


def error_to_dict(error: MienError) -> dict[str, Any]:
    """The fields of an error, for `error_from_dict`."""
    return {
        "class": type(error).__name__,
        "reason": error.reason,
        "path": error.path,
        "advice": error.advice,
        "code": error.code,
        "details": dict(error.details),
    }


def error_from_dict(fields: Mapping[str, Any]) -> MienError:
    """The error of these fields."""
    kind = getattr(errors, str(fields.get("class")), MienError)
    if not (isinstance(kind, type) and issubclass(kind, MienError)) or kind is errors.MissingExtraError:
        kind = MienError
    named: dict[str, Any] = {name: fields.get(name) for name in ("path", "advice", "code", "details")}
    error: MienError = kind(str(fields.get("reason")), **named)
    return error
