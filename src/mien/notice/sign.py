"""The notice as a sign to print: a pictogram, and per language a heading and what the law asks to inform about."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import InputError, MissingExtraError
from mien.figure_file import FIGURE_SUFFIXES, figure_suffix, save_figure
from mien.files import output_file
from mien.notice.texts import Notice

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT, _DPI = 8.27, 11.69, 200
"""A4 in inches, and pixels an inch of a PNG."""
_MARGIN, _PICTOGRAM = 0.7, 2.2
"""Inches: around everything, and the side of the pictogram."""
_LARGEST, _SMALLEST = 26.0, 8.0
"""Points of the headings: the greatest that fits is used; sentences have two thirds, sources half."""
_LINE, _GAP = 1.3, 0.9
"""Height of a line, and the room between two languages, in sizes of their text."""
_SPACE, _MEASURED = 0.4, 100
"""Width of a space in sizes of the text, a little more than the font's, and the size at which words are measured."""
_INK, _QUIET = "#14181d", "#4a525b"


@dataclass(frozen=True, slots=True)
class _SignLine:
    text: str
    size: float
    bold: bool
    colour: str
    before: float


def save_sign(notices: Sequence[Notice], path: str | os.PathLike[str]) -> Path:
    """Write a sign of A4 size as PDF, SVG or PNG, by the suffix, and return the path; needs matplotlib (``plots``).

    A device gets PNG. It shows the sentences of `Notice.short` with their articles; letters are outlines, so that no
    font is needed.

    Args:
        notices: one per language, in the order of the sign.
        path: the file.

    Raises:
        InputError: another suffix, no notice, or more languages than fit on one page.
        MissingExtraError: matplotlib is not installed.
        OutputError: the file cannot be written.

    Examples:
        >>> from mien.notice.texts import notice
        >>> save_sign([notice("en"), notice("de")], "sign.pdf").name
        'sign.pdf'
    """
    target = output_file(path)
    suffix = figure_suffix(path, target)
    if suffix not in FIGURE_SUFFIXES:
        raise InputError("a sign is a page to print", path=target, advice="use the suffix .pdf, .svg or .png")
    return save_figure(draw_sign(notices), target, suffix, dpi=_DPI)


def draw_sign(notices: Sequence[Notice]) -> Figure:
    """The sign as a matplotlib figure; errors as those of `save_sign`.

    Raises:
        InputError: as `save_sign`.
        MissingExtraError: as `save_sign`.

    Examples:
        >>> from mien.notice.texts import notice
        >>> draw_sign([notice("en")]).get_size_inches().round(1).tolist()
        [8.3, 11.7]
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plots", "a sign") from None
    if not notices:
        raise InputError("a sign needs a language")
    figure = Figure(figsize=(_WIDTH, _HEIGHT))
    _draw_pictogram(figure)
    bottom = _MARGIN + 0.25
    top = _HEIGHT - _MARGIN - _PICTOGRAM - 0.3
    size = _LARGEST
    while _height(lines := _lines(notices, size)) > top - bottom:
        size -= 0.5
        if size < _SMALLEST:
            raise InputError(
                f"{len(notices)} languages do not fit on one sign", advice="write one sign for some of them each"
            )
    y = top
    for line in lines:
        y -= (line.before + line.size * _LINE) / 72
        figure.text(
            _MARGIN / _WIDTH, y / _HEIGHT, line.text, fontsize=line.size, color=line.colour, va="baseline",
            fontweight="bold" if line.bold else "normal", parse_math=False,
        )  # fmt: skip
    review = " · ".join(dict.fromkeys(one.review for one in notices))
    small = [_SignLine(text, 6.0, False, _QUIET, 0.0) for text in _wrapped(review, 6.0, bold=False)]
    for at, line in enumerate(reversed(small)):
        figure.text(_MARGIN / _WIDTH, (0.35 + at * 6 * _LINE / 72) / _HEIGHT, line.text, fontsize=6, color=_QUIET)
    return figure


def _lines(notices: Sequence[Notice], size: float) -> list[_SignLine]:
    lines: list[_SignLine] = []
    for number, one in enumerate(notices):
        gap = size * _GAP if number else 0.0
        for text in _wrapped(one.heading, size, bold=True):
            lines.append(_SignLine(text, size, True, _INK, gap))
            gap = 0.0
        short = one.short().sentences
        body = " ".join(sentence.text for sentence in short)
        lines += [_SignLine(text, size * 2 / 3, False, _INK, 0.0) for text in _wrapped(body, size * 2 / 3, bold=False)]
        sources = "; ".join(dict.fromkeys(source for sentence in short for source in sentence.sources))
        lines += [_SignLine(text, size / 2, False, _QUIET, 0.0) for text in _wrapped(sources, size / 2, bold=False)]
    return lines


def _height(lines: Sequence[_SignLine]) -> float:
    return sum(line.before + line.size * _LINE for line in lines) / 72


def _wrapped(text: str, size: float, *, bold: bool) -> list[str]:
    """The text in lines that are no wider than the page."""
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _width(longer, size, bold) <= _WIDTH - 2 * _MARGIN:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _width(text: str, size: float, bold: bool) -> float:
    """Inches."""
    words = text.split(" ")
    ems = sum(_ems(word, bold) for word in words) + _SPACE * (len(words) - 1)
    return ems * size / 72


@functools.cache
def _ems(word: str, bold: bool) -> float:
    """Width of a word in sizes of its text."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    if not word:
        return 0.0
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal", size=_MEASURED)
    # a dollar sign would begin a formula
    return float(TextPath((0, 0), word.replace("$", "S"), prop=font).get_extents().width) / _MEASURED


def _draw_pictogram(figure: Figure) -> None:
    """A face between the corners of a view finder."""
    from matplotlib.patches import Arc, Circle

    side = _PICTOGRAM
    axes = figure.add_axes((_MARGIN / _WIDTH, (_HEIGHT - _MARGIN - side) / _HEIGHT, side / _WIDTH, side / _HEIGHT))
    axes.set_xlim(-1.1, 1.1)
    axes.set_ylim(-1.1, 1.1)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.add_patch(Circle((0, 0), 0.62, fill=False, linewidth=7, edgecolor=_INK))
    for x in (-0.22, 0.22):
        axes.add_patch(Circle((x, 0.14), 0.07, color=_INK))
    axes.add_patch(Arc((0, -0.08), 0.62, 0.5, theta1=205, theta2=335, linewidth=6, color=_INK))
    for x in (-1, 1):
        for y in (-1, 1):
            axes.plot([x * 0.55, x, x], [y, y, y * 0.55], color=_INK, linewidth=7, solid_capstyle="butt")
