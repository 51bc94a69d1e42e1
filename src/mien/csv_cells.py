"""Values as cells of a CSV file, so that R, pandas and spreadsheets read what was written.

Truth values are TRUE and FALSE, which all of them know. A spreadsheet runs text that begins like a formula and turns
text that looks like a date into one, and a file name or a label may be either.
"""

from __future__ import annotations

import csv
import functools
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
_RANGE = re.compile(r"(\d{1,4})-(\d{1,4})")
_DATE = re.compile(
    r"\d{1,4}\s?[-/.:]\s?\d{1,4}(?:\s?[-/.:]\s?\d{1,4})?"
    r"|(?=\D*\d)(?:\d{1,4}[\s./-]?)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[\s./-]?(?:\d{1,4})?",
    re.IGNORECASE,
)


def csv_cells(values: Iterable[Any], *, labels: bool = False) -> list[Any]:
    """Values as `csv.writer` gets them.

    Text that a spreadsheet would run or turn into a date gets an apostrophe before it, also where it has one already;
    `cell_text` returns the text.

    Args:
        values: of one column; None is an empty cell.
        labels: they are names of classes: a range of numbers such as "3-9" is written as "3 to 9".

    Examples:
        >>> csv_cells([True, None, 0.5, "a.jpg", "=1+1.jpg"]), csv_cells(["3-9", "happy"], labels=True)
        (['TRUE', None, 0.5, 'a.jpg', "'=1+1.jpg"], ['3 to 9', 'happy'])
    """
    text = _label if labels else _text
    return [
        text(value) if isinstance(value, str) else str(value).upper() if isinstance(value, bool) else value
        for value in values
    ]


def csv_text(columns: Mapping[str, Iterable[Any]]) -> str:
    """A CSV file of columns of the same length: a header with their names, and lines that end in a line feed.

    Args:
        columns: name → values, from `csv_cells` where they may hold text.

    Examples:
        >>> csv_text({"label": ["happy", None], "start": [0.5, 1]}).splitlines()
        ['label,start', 'happy,0.5', ',1']
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def cell_text(cell: str) -> str:
    """The text that `csv_cells` wrote as this cell.

    Examples:
        >>> cell_text("'=1+1.jpg"), cell_text("'quoted'.jpg")
        ('=1+1.jpg', "'quoted'.jpg")
    """
    return cell[1:] if cell.startswith("'") and _text(cell[1:]) == cell else cell


@functools.lru_cache(maxsize=4096)
def _label(text: str) -> str:
    found = _RANGE.fullmatch(text)
    return f"{found[1]} to {found[2]}" if found else _text(text)


@functools.lru_cache(maxsize=4096)
def _text(text: str) -> str:
    bare = text.lstrip("'")
    return f"'{text}" if _FORMULA.match(bare) or _DATE.fullmatch(bare) else text
