"""The encoding of texts that other programs wrote: UTF-8, UTF-16 or UTF-32, with a byte order mark or without."""

from __future__ import annotations

import codecs

TEXT_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order mark → encoding of a text, in the order in which they are compared."""


def text_encoding(start: bytes) -> str:
    """The encoding of a text from its first bytes: that of its byte order mark, or else UTF-8.

    Windows writes such marks; UTF-16 without one is known by the zeros beside its first, ASCII, character.
    """
    for mark, encoding in TEXT_MARKS.items():
        if start.startswith(mark):
            return encoding
    if len(start) >= 2 and (start[0] == 0) != (start[1] == 0):
        return "utf-16-be" if start[0] == 0 else "utf-16-le"
    return "utf-8"


def decode_text(content: bytes, errors: str = "strict") -> str:
    """Text in UTF-8, UTF-16 or UTF-32, without its byte order mark.

    Args:
        content: the whole text.
        errors: what happens to bytes that are not UTF-8; those that are not UTF-16 or UTF-32 are always an error.

    Raises:
        UnicodeDecodeError: the bytes are not of the encoding.
    """
    encoding = text_encoding(content)
    return content.decode(encoding, errors if encoding.startswith("utf-8") else "strict")
