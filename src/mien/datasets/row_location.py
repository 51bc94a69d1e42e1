"""Where a row of a dataset is stored, for errors that name it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mien.errors import DataError, MienError

DAMAGED = "data-damaged"
"""Code of errors about damaged files."""


@dataclass(frozen=True, slots=True)
class RowLocation:
    """A row of a file, or a file that holds a single image.

    Attributes:
        path: the file.
        row: row of data, from 1; None where rows are not counted.
        line: line of a text file, from 1; None for other files.
    """

    path: Path
    row: int | None = None
    line: int | None = None

    @property
    def name(self) -> str:
        """The row, or the file's name, for errors about another row."""
        return str(self) or self.path.name

    def __str__(self) -> str:
        """The row in words, such as ``row 3 (line 4)``; "" for a whole file."""
        if self.row is None:
            return "" if self.line is None else f"line {self.line}"
        return f"row {self.row}" + ("" if self.line is None else f" (line {self.line})")

    def error(
        self, reason: str, *, advice: str | None = None, kind: type[MienError] = DataError, code: str | None = None
    ) -> MienError:
        """An error about this row; ``details`` holds ``row`` and ``line`` where they are known."""
        where = str(self)
        numbers = {"row": self.row, "line": self.line}
        details = {name: number for name, number in numbers.items() if number is not None}
        text = f"{where}: {reason}" if where else reason
        return kind(text, path=self.path, advice=advice, code=code, details=details)
