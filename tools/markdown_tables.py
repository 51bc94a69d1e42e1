"""Tables in Markdown, for all generated pages."""

from __future__ import annotations

from collections.abc import Sequence

from mien.evaluation.tables import FigureTable, as_text


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, and an empty one."""
    return [f"| {' | '.join(header)} |", "|" + "---|" * len(header), *(f"| {' | '.join(row)} |" for row in rows), ""]


def drawn(*tables: FigureTable, first: str | None = None, notes: bool = True) -> list[str]:
    """Tables of an evaluation, which share their columns, as one.

    Args:
        tables: one below the other.
        first: title of the first column; where it is given, its cells begin with their own table's title of it.
        notes: with intervals and differences in brackets; a difference that is more than chance in bold.
    """
    header = [first or tables[0].header[0], *tables[0].header[1:]]
    rows = []
    for one in tables:
        for row in one.rows:
            cells = [as_text(cell, "**{}**".format) if notes else cell.value for cell in row.cells]
            rows.append([f"{one.header[0]}: {cells[0]}" if first else cells[0], *cells[1:]])
    return table(header, rows)
