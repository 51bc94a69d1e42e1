"""Figures of matplotlib as PNG, SVG or PDF files; the same figure gives the same bytes."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mien.files import is_special, write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_METADATA: Mapping[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
"""Suffix → what would differ from one run or release of matplotlib to the next."""
FIGURE_SUFFIXES = tuple(_METADATA)


def figure_suffix(path: str | os.PathLike[str], target: Path) -> str:
    """The suffix that is the format, in small letters: that of ``path``; ``.png`` for a device without one.

    A link has the suffix of its own name, whatever it leads to.

    Args:
        path: as it was given.
        target: what it leads to, from `mien.files.output_file`.
    """
    suffix = Path(path).suffix
    return ".png" if not suffix and is_special(target) else suffix.lower()


def save_figure(figure: Figure, target: Path, suffix: str, *, dpi: int) -> Path:
    """Write a figure, whole or not at all, and return ``target``.

    Args:
        figure: on white.
        target: the file.
        suffix: one of `FIGURE_SUFFIXES`.
        dpi: pixels per inch of a PNG.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib import rc_context

    # the salt makes the names inside an SVG file the same every time
    content = io.BytesIO()  # to a full disk, matplotlib fails in ways of its own
    with rc_context({"svg.hashsalt": "mien"}):
        figure.savefig(content, format=suffix[1:], dpi=dpi, facecolor="white", metadata=_METADATA[suffix])
    write_bytes(target, content.getvalue())
    return target
