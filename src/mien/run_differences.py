"""What differs between the call that a run began with and the one that resumes it, for the error that refuses it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from mien.errors import MienError

_Error = TypeVar("_Error", bound=MienError)

_LONGEST, _ENDS = 60, 24
"""Characters of a value in a message, and of its start and its end where it is longer."""
_SHOWN = 3
"""Differences in a message; its details have all."""


def differences(theirs: Any, ours: Any, names: Mapping[str, str] | None = None) -> list[str]:
    """``min_face: 40, now 60`` for every value that differs in two JSON-ready documents.

    Args:
        theirs: what the run began with.
        ours: what resumes it.
        names: key → what it is called in a message; by default the key itself.

    Examples:
        >>> differences({"detector": {"min_face": 40}, "flip": False}, {"detector": {"min_face": 60}, "flip": False})
        ['min_face: 40, now 60']
    """
    return list(_differences(theirs, ours, "", names or {}))


def list_differences(found: list[str]) -> str:
    """The first of them, as part of a message.

    Examples:
        >>> list_differences(["a: 1, now 2", "b: 1, now 2", "c: 1, now 2", "d: 1, now 2"])
        'a: 1, now 2; b: 1, now 2; c: 1, now 2 and 1 more'
    """
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more


def difference_error(
    kind: type[_Error], reason: str, found: list[str], *, path: str | os.PathLike[str], advice: str
) -> _Error:
    """The error that refuses to resume a run: the reason with the first differences, and all of them in its details."""
    return kind(
        f"{reason} ({list_differences(found)})",
        path=path,
        advice=advice,
        code="run-differs",
        details={"differences": found},
    )


def _differences(theirs: Any, ours: Any, key: str, names: Mapping[str, str]) -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in dict.fromkeys((*theirs, *ours)):
            yield from _differences(theirs.get(name), ours.get(name), name, names)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        # one of several that differ is enough
        pairs = zip(theirs, ours, strict=True)
        yield from itertools.islice((found for a, b in pairs for found in _differences(a, b, key, names)), 1)
    elif theirs != ours:
        yield f"{names.get(key, key)}: {_short(theirs)}, now {_short(ours)}"


def _short(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"{len(value)} of them"
    text = "none" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_ENDS]}…{text[-_ENDS:]}"
