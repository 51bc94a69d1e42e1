"""Results of photos as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.cli.output import table_console
from mien.defaults import ABSTAIN, TOP
from mien.draw.palette import colour_of
from mien.errors import InputError
from mien.results.face_columns import nominal_heads
from mien.results.faces import Face, Faces
from mien.results.prediction import Prediction

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_CELLS = 8
_NARROW, _TINY = 110, 76
"""Columns below which the less probable emotions move under the first one, and size and score are left out."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def print_table(
    results: Faces | Iterable[Faces], *, top: int = TOP, abstain: float = ABSTAIN, console: Console | None = None
) -> None:
    """Print results for people: one line per face, and one for each picture without a face.

    Args:
        results: one result or several.
        top: number of emotions to show per face, the most probable first.
        abstain: a face whose most probable label is below this (0–1) is shown as uncertain.
        console: where to print; by default stdout, as wide as the terminal, or as needed where there is none.

    Raises:
        InputError: ``top`` or ``abstain`` out of range.
    """
    if top < 1:
        raise InputError(f"top is at least 1, got {top}")
    if not 0.0 <= abstain <= 1.0:
        raise InputError(f"abstain is a probability between 0 and 1, got {abstain}")
    _print([results] if isinstance(results, Faces) else list(results), top, abstain, console)


def _print(results: Sequence[Faces], top: int, abstain: float, console: Console | None) -> None:
    """Print one line per face; columns that no result fills are left out."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # a pipe has no width: cut or folded lines would only be harder to search
    console = console or table_console(1000)
    style = _CellFormat(console.options.ascii_only, console.width < _NARROW, top, abstain)
    heads = {name: head for faces in results for name, head in faces.heads.items()}
    first = next(iter(nominal_heads(heads)), None)
    others = [name for name in heads if name != first]
    table = Table(
        box=box.ASCII2 if style.ascii_only else box.SIMPLE_HEAD,
        header_style="bold",
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("file", overflow="fold", min_width=12)
    table.add_column("face", justify="right")
    if where := console.width >= _TINY:
        table.add_column("size" if style.narrow else "size and place", no_wrap=True)
        table.add_column("score", justify="right", no_wrap=True)
    if first is not None:
        table.add_column(first, no_wrap=not style.narrow)
        if style.rest_apart:
            table.add_column("then", no_wrap=True)
    for other in others:
        table.add_column(other, no_wrap=True)
    for head_name, head in heads.items():
        if head.rule is not None:
            table.add_column(f"{head_name}, {head.rule.coverage:.0%}", overflow="fold")
    for faces in results:
        name = Text(one_line(faces.source or style.dash))
        if not faces:
            table.add_row(name, "", Text("no face", style="dim"))
        for i, face in enumerate(faces, 1):
            cells: list[Text | str] = [name if i == 1 else "", str(i)]
            if where:
                cells += [style.size(face), f"{face.score:.2f}"]
            if first is not None:
                prediction = face.predictions.get(first)
                cells.append(Text("") if prediction is None else style.leader(prediction))
                if style.rest_apart:
                    cells.append("" if prediction is None else style.rest(prediction))
            for name_of_head in others:
                prediction = face.predictions.get(name_of_head)
                cells.append("" if prediction is None else prediction.label.replace("-", style.dash))
            for name_of_head, head in heads.items():
                if head.rule is not None:
                    prediction = face.predictions.get(name_of_head)
                    cells.append("" if prediction is None else style.label_set(prediction))
            table.add_row(*cells)
    console.print(table)
    if len(results) > 1:
        console.print(_summary(results), style="dim", highlight=False)


@dataclass(frozen=True, slots=True)
class _CellFormat:
    """How cells are written on this console."""

    ascii_only: bool
    narrow: bool
    top: int
    abstain: float

    @property
    def dash(self) -> str:
        return "-" if self.ascii_only else "–"

    @property
    def rest_apart(self) -> bool:
        return self.top > 1 and not self.narrow

    def size(self, face: Face) -> str:
        x1, y1, x2, y2 = face.box
        size = f"{x2 - x1:.0f}{'x' if self.ascii_only else '×'}{y2 - y1:.0f}"
        return size if self.narrow else f"{size} at {x1:.0f},{y1:.0f}"

    def leader(self, prediction: Prediction) -> Text:
        """The most probable label, as a name with a bar."""
        from rich.text import Text

        share = prediction.confidence
        sure = share >= self.abstain
        labels = prediction.head.labels
        red, green, blue = colour_of(prediction.label if sure else None, labels)
        room = max(9, *map(len, labels))
        text = Text(f"{prediction.label if sure else 'uncertain':<{room}} ", style="" if sure else "dim")
        text.append(bar(share, self.ascii_only), style=f"rgb({red},{green},{blue})")
        text.append(f" {share:4.0%}")
        if self.narrow and self.top > 1:
            text.append(f"\n{self.rest(prediction)}", style="dim")
        return text

    def label_set(self, prediction: Prediction) -> str:
        """The set of labels: an interval where they are ranges."""
        labels, ranges = prediction.set, prediction.head.ranges
        if not labels or ranges is None:
            return ", ".join(labels)
        order = prediction.head.labels
        return f"{ranges[order.index(labels[0])][0]}{self.dash}{ranges[order.index(labels[-1])][1]}"

    def rest(self, prediction: Prediction) -> str:
        """The next labels with their probabilities."""
        ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        # the first label of an uncertain face is not shown elsewhere
        shown = 1 if prediction.confidence >= self.abstain else 0
        return ", ".join(f"{name} {share:.0%}" for name, share in ranked[shown : self.top])


def bar(share: float, ascii_only: bool) -> str:
    """A probability (0–1) as a bar of eight cells."""
    filled = min(max(share, 0.0), 1.0) * _CELLS if share == share else 0.0
    if ascii_only:
        return f"{'#' * round(filled):<{_CELLS}}"
    whole = int(filled)
    part = _EIGHTHS[round((filled - whole) * 8)] if whole < _CELLS else ""
    return f"{'█' * whole + part:<{_CELLS}}"


def _summary(results: Sequence[Faces]) -> str:
    counts = [len(faces) for faces in results]
    without = counts.count(0)
    text = f"{len(counts)} pictures, {sum(counts)} faces"
    return f"{text}, {without} without a face" if without else text


def one_line(name: str) -> str:
    """A name as one printable line, whatever characters it has."""
    return name if name.isprintable() else ascii(name)[1:-1]
