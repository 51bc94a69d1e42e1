"""Tables of an evaluation on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mien.cli.output import table_console

if TYPE_CHECKING:
    from mien.evaluation.tables import FigureTable

_WIDTH = 160
"""Columns where stdout is no terminal."""


def print_table(table: FigureTable, *, notes: bool = True, caption: str | None = None) -> None:
    """Print a table.

    Args:
        table: what to print.
        notes: with intervals and differences, in brackets.
        caption: what has to be known to read it.
    """
    from rich import table as rich
    from rich.markup import escape

    from mien.evaluation.tables import as_text

    drawn = rich.Table(title=escape(table.title) or None, caption=caption)
    for i, title in enumerate(table.header):
        drawn.add_column(escape(title), justify="left" if i < table.text_columns else "right")
    for row in table.rows:
        cells = (as_text(cell, "{}*".format) if notes else cell.value for cell in row.cells)
        drawn.add_row(*map(escape, cells), style="dim" if row.empty else None)
    table_console(_WIDTH).print(drawn)


def print_lines(lines: Iterable[str]) -> None:
    """Print sentences, each on a line of its own."""
    console = table_console(_WIDTH, highlight=False, markup=False)
    for line in lines:
        console.print(line, soft_wrap=True)
