"""Praat TextGrids: an interval tier per face and head; time without a label is an interval without text.

A tier of Praat holds intervals or points. Points of a tier that also has intervals become a tier of their own.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mien.errors import DataError
from mien.exchange.coding import Coding, Interval, Tier
from mien.exchange.text_files import not_unicode
from mien.text_encodings import decode_text

_TOKEN = re.compile(r'"(?:[^"]|"")*"|\[[^\]]*\]|![^\n]*|[^\s"\[!]+')
"""A string, which may go over lines; what is in brackets; a comment; a word or a number."""
_NUMBER = re.compile(r"[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?")
_FACE = re.compile(r"(face \d+) (\S+)")
"""A tier that Mien named: of a face and a head."""


def textgrid_file(coding: Coding, path: Path) -> bytes:
    """A TextGrid in the long form. Times are those of the frames, in double precision; ``path`` is not used."""
    start, end = coding.start, max(coding.end, coding.start + 1e-3)
    tiers = [part for tier in coding.tiers for part in _parts(tier)]
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        f"xmin = {start!r}",
        f"xmax = {end!r}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, found, points) in enumerate(tiers, 1):
        kind, entry = ("TextTier", "points") if points else ("IntervalTier", "intervals")
        entries = found if points else list(_filled(found, start, end))
        lines += [
            f"    item [{number}]:",
            f'        class = "{kind}"',
            f"        name = {_quoted(name)}",
            f"        xmin = {start!r}",
            f"        xmax = {end!r}",
            f"        {entry}: size = {len(entries)}",
        ]
        for at, one in enumerate(entries, 1):
            times = (f"number = {one.start!r}",) if points else (f"xmin = {one.start!r}", f"xmax = {one.end!r}")
            text = f"{'mark' if points else 'text'} = {_quoted(one.label)}"
            lines += [f"        {entry} [{at}]:", *(f"            {line}" for line in (*times, text))]
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")


def _parts(tier: Tier) -> Iterator[tuple[str, Sequence[Interval], bool]]:
    """Name, entries and whether they are points, of the tiers that Praat needs for one."""
    lasting = [one for one in tier.intervals if one.end > one.start]
    points = [one for one in tier.intervals if one.end <= one.start]
    if lasting or not points:
        yield tier.name, lasting, False
    if points:
        yield f"{tier.name} (points)" if lasting else tier.name, points, True


def _filled(intervals: Sequence[Interval], start: float, end: float) -> Iterator[Interval]:
    """With intervals without text between them, so that all of the time is covered."""
    at = start
    for one in intervals:
        first, last = max(one.start, at), min(one.end, end)
        if last <= first:
            continue
        if first > at:
            yield Interval(at, first, "")
        yield Interval(first, last, one.label)
        at = last
    if at < end:
        yield Interval(at, end, "")


def _quoted(text: str) -> str:
    return '"' + text.replace("\n", " ").replace('"', '""') + '"'


def is_textgrid(path: Path) -> bool:
    """Whether a file begins as a TextGrid, whatever its name is; one that cannot be decoded is none."""
    try:
        return list(itertools.islice(_values(decode_text(path.read_bytes())), 2)) == ["ooTextFile", "TextGrid"]
    except UnicodeDecodeError:
        return False


def read_textgrid(path: Path) -> Coding:
    """The interval and point tiers of a TextGrid in the long or the short form.

    A tier's name is its subject; where Mien named it, such as "face 1 emotion", subject and head.

    Raises:
        DataError: the file is no TextGrid, or one that is damaged.
    """
    try:
        values = iter(_values(decode_text(path.read_bytes())))
        if next(values) != "ooTextFile" or next(values) != "TextGrid":
            raise ValueError("it does not begin as a TextGrid")
        start, end = _number(next(values)), _number(next(values))
        tiers = []
        for _ in range(int(_number(next(values)))):
            tiers.append(_read_tier(values))
    except UnicodeDecodeError as error:
        raise not_unicode(path, error) from None
    except (OverflowError, ValueError) as error:
        raise DataError(f"is no TextGrid that can be read ({error})", path=path) from None
    except StopIteration:
        raise DataError("is no TextGrid that can be read (it ends too early)", path=path) from None
    return Coding(None, tuple(tiers), start, end)


def _read_tier(values: Iterator[str | float]) -> Tier:
    kind, name = next(values), str(next(values))
    if kind not in ("IntervalTier", "TextTier"):
        raise ValueError(f"a tier of the class {kind}")
    next(values), next(values)
    found = []
    for _ in range(int(_number(next(values)))):
        first = _number(next(values))
        last = _number(next(values)) if kind == "IntervalTier" else first
        label = str(next(values)).strip()
        if label:
            found.append(Interval(first, last, label))
    own = _FACE.fullmatch(name)
    return Tier(own[1] if own else name, own[2] if own else "", tuple(sorted(found)))


def _values(text: str) -> Iterator[str | float]:
    """The strings and numbers of a TextGrid; the words between them are for people."""
    for token in _TOKEN.findall(text):
        if token.startswith('"'):
            yield token[1:-1].replace('""', '"')
        elif _NUMBER.fullmatch(token):
            yield float(token.replace(",", "."))


def _number(value: str | float) -> float:
    if isinstance(value, str):
        raise ValueError(f"a text where a number should be: {value!r}")
    return value
