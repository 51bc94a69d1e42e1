"""The table of results that people read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mien.faces import Face, Faces
from mien.render.palette import colour_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_CELLS = 10
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def print_results(results: Sequence[Faces], top: int, abstain: float, console: Console | None) -> None:
    """Print one line a face; columns that no result fills are left out."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if console is None:
        # a pipe has no width: cut or folded lines would only be harder to search
        console = Console(width=None if sys.stdout.isatty() else 1000)
    ascii_only = console.options.ascii_only
    times, dash = ("x", "-") if ascii_only else ("×", "–")
    emotions = any(faces.emotions is not None for faces in results)
    ages = any(faces.ages is not None for faces in results)
    table = Table(box=box.ASCII2 if ascii_only else box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("face", justify="right")
    table.add_column("size and place", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    if emotions:
        table.add_column("emotion", no_wrap=True)
        if top > 1:
            table.add_column("then", overflow="fold")
    if ages:
        table.add_column("age", no_wrap=True)
    for faces in results:
        name = Text(_one_line(faces.source or dash))
        if not faces:
            table.add_row(name, "", Text("no face", style="dim"))
        for i, face in enumerate(faces):
            x1, y1, x2, y2 = face.box
            cells: list[Text | str] = [
                name if i == 0 else "",
                str(i),
                f"{x2 - x1:.0f}{times}{y2 - y1:.0f} at {x1:.0f},{y1:.0f}",
                f"{face.score:.2f}",
            ]
            if emotions:
                cells.append(_emotion(face, abstain, ascii_only))
                if top > 1:
                    cells.append(_others(face, top))
            if ages:
                cells.append((face.age_range or "").replace("-", dash))
            table.add_row(*cells)
    console.print(table)
    if len(results) > 1:
        console.print(_summary(results), style="dim", highlight=False)


def _emotion(face: Face, abstain: float, ascii_only: bool) -> Text:
    from rich.text import Text

    share = face.confidence
    if face.emotion is None or share is None:
        return Text("")
    sure = share >= abstain
    bar = _bar(share, ascii_only)
    red, green, blue = colour_of(face.emotion if sure else None)
    text = Text(f"{face.emotion if sure else 'uncertain':<9} ", style="" if sure else "dim")
    text.append(bar, style=f"rgb({red},{green},{blue})")
    return text.append(f" {share:4.0%}")


def _bar(share: float, ascii_only: bool) -> str:
    filled = min(max(share, 0.0), 1.0) * _CELLS if share == share else 0.0
    if ascii_only:
        return f"{'#' * round(filled):<{_CELLS}}"
    whole = int(filled)
    part = _EIGHTHS[round((filled - whole) * 8)] if whole < _CELLS else ""
    return f"{'█' * whole + part:<{_CELLS}}"


def _others(face: Face, top: int) -> str:
    ranked = sorted(face.emotions.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {share:.0%}" for name, share in ranked[1:top])


def _summary(results: Sequence[Faces]) -> str:
    counts = [len(faces) for faces in results]
    without = counts.count(0)
    told = f"{len(counts)} pictures, {sum(counts)} faces"
    return f"{told}, {without} without a face" if without else told


def _one_line(name: str) -> str:
    return name if name.isprintable() else ascii(name)[1:-1]
