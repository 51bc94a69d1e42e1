"""The structure of a JSON body, counted before a parser makes objects of it: depth and number of values.

A body of a few MiB can hold millions of values. Each becomes an object of a hundred bytes or more, and an error
message if it is wrong. Photos are a few values with very long strings.
"""

from __future__ import annotations

import re

from mien.server.problems import ProblemError

MAX_VALUES = 1_000
"""Values and keys that a body may have."""
MAX_DEPTH = 8
"""Arrays and objects that may lie inside each other."""

_STRUCTURE = re.compile(rb'[\[\]{},:"]')
_MAX_CHARACTERS = 4 * MAX_VALUES
"""Characters of structure: a value has at most a separator, a colon and two brackets or quotes."""
_PIECE = 1 << 18
"""Bytes that are searched at a time: the interpreter serves no other thread during a search."""
_MAX_BACKSLASHES = 1024
"""Backslashes in a row before a quote; an even number."""


def check_json_structure(body: bytes) -> None:
    """Refuse a body with more values than any request needs, in little more time than it takes to read it.

    Whether the body is valid JSON is left to the parser; a string that does not end counts as one value.

    Raises:
        ProblemError: it is too deep, or has too many values.
    """
    depth = count = position = 0
    while position < len(body):
        found = _STRUCTURE.search(body, position, position + _PIECE)
        if found is None:
            position += _PIECE
            continue
        character, position = found[0], found.end()
        if character == b'"':
            position, escaped = _end_of_string(body, position)
            count += escaped
        elif character in b"[{":
            depth += 1
        elif character in b"]}":
            depth -= 1
        count += 1
        if depth > MAX_DEPTH:
            raise ProblemError("json-malformed", f"the JSON is more than {MAX_DEPTH} levels deep: send one object")
        if count > _MAX_CHARACTERS:
            detail = f"the JSON has more than {MAX_VALUES:,} values: send the images as strings, in one array"
            raise ProblemError("too-large", detail)


def _end_of_string(body: bytes, start: int) -> tuple[int, int]:
    """The position behind the closing quote, and how many quotes before it are escaped; ends early at too many."""
    escaped, position = 0, start
    while (quote := body.find(b'"', position)) >= 0 and escaped <= _MAX_CHARACTERS:
        before = body[max(position, quote - _MAX_BACKSLASHES) : quote]
        backslashes = len(before) - len(before.rstrip(b"\\"))
        if backslashes == _MAX_BACKSLASHES:
            raise ProblemError("json-malformed", f"the JSON has {backslashes:,} backslashes in a row")
        if backslashes % 2 == 0:
            return quote + 1, escaped
        escaped, position = escaped + 1, quote + 1
    return len(body), escaped
