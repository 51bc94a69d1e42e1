"""What two processes send each other arrives as it was; damage ends the connection, and nothing is run."""

from __future__ import annotations

import io
import os

import pytest

from mien.errors import ImageTooLargeError, InputError, MienError, MissingExtraError
from mien.media.messages import PipeChannel, error_from_dict, error_to_dict


def test_messages_arrive_as_they_were_sent() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", 0) as here, os.fdopen(writer, "wb", 0) as there:
        channel = PipeChannel(here, there)
        channel.send({"path": "a\udcff"}, b"12345")
        channel.send({"n": [1, None]})
        assert channel.receive_head() == ({"path": "a\udcff"}, 5)
        content = bytearray(5)
        channel.receive_into(content)
        assert content == b"12345"
        assert channel.receive_head() == ({"n": [1, None]}, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        b"\0\0\0\2" + bytes(8) + b"[]",
        b"\xff" * 12,
        b"\0\0\0\x09" + bytes(8) + b"{}",
        b"\0\0\0\1" + bytes(8) + b"x",
    ],
)
def test_damage_ends_the_connection(data: bytes) -> None:
    with pytest.raises(EOFError):
        PipeChannel(io.BytesIO(data), io.BytesIO()).receive_head()


@pytest.mark.parametrize(
    "error",
    [
        ImageTooLargeError("is large", path="a", advice="shrink it", details={"pixels": 5, "limit": 4}),
        InputError("is wrong", code="own-code"),
    ],
)
def test_errors_keep_their_class_and_fields(error: MienError) -> None:
    again = error_from_dict(error_to_dict(error))
    assert type(again) is type(error)
    assert error_to_dict(again) == error_to_dict(error)


@pytest.mark.parametrize("name", ["os", "annotations", "one_line", MissingExtraError.__name__, "ValueError"])
def test_names_of_other_things_are_the_base_class(name: str) -> None:
    assert type(error_from_dict({"class": name, "reason": "r"})) is MienError
