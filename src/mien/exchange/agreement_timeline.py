"""Two codings as a picture: per pair of tiers one row for each, and red below where they differ."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.draw.clock import clock
from mien.draw.palette import colour_of
from mien.draw.track_series import time_ticks
from mien.errors import InputError, MissingExtraError
from mien.exchange.agreement import Agreement
from mien.exchange.coding import Tier
from mien.figure_file import FIGURE_SUFFIXES, figure_suffix, save_figure
from mien.files import output_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _DPI = 12.0, 120
_MOST = 40
"""Pairs that a picture holds."""
_DIFFERS = "#c62828"


def save_agreement_timeline(
    agreement: Agreement, tiers: Sequence[tuple[Tier, Tier]], path: str | os.PathLike[str]
) -> Path:
    """Write the timeline of two codings as PNG, SVG or PDF, by the suffix (PNG for a device), and return the path.

    Args:
        agreement: of these tiers.
        tiers: pairs, as from `mien.exchange.agreement.pair_tiers`.
        path: the picture.

    Raises:
        InputError: another suffix.
        MissingExtraError: matplotlib is not installed (extra ``plots``).
        OutputError: the file cannot be written.

    Examples:
        >>> from mien.exchange.agreement import measure_agreement, pair_tiers
        >>> from mien.exchange.coding import report_coding
        >>> tiers = pair_tiers(report_coding(report), report_coding(report), head="emotion")
        >>> save_agreement_timeline(measure_agreement(tiers), tiers, "agreement.png").name
        'agreement.png'
    """
    target = output_file(path)
    suffix = figure_suffix(path, target)
    if suffix not in FIGURE_SUFFIXES:
        raise InputError("a timeline is a picture", path=target, advice="use the suffix .png, .svg or .pdf")
    return save_figure(_draw(agreement, tiers[:_MOST]), target, suffix, dpi=_DPI)


def _draw(agreement: Agreement, tiers: Sequence[tuple[Tier, Tier]]) -> Figure:
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError:
        raise MissingExtraError("matplotlib", "plots", "a timeline") from None
    height = 1.3 + 0.95 * len(tiers)
    figure = Figure(figsize=(_WIDTH, height))
    axes = figure.add_axes((0.14, 0.55 / height, 0.84, 1 - 1.15 / height))
    names = agreement.labels
    ticks: list[tuple[float, str]] = []
    for row, (one, other) in enumerate(tiers):
        base = -row * 1.0
        for offset, tier, which in ((0.55, one, "first"), (0.2, other, "second")):
            for label in names:
                spans = [(i.start, i.end - i.start) for i in tier.intervals if i.label == label]
                if spans:
                    axes.broken_barh(spans, (base + offset, 0.3), facecolors=_colour(label, names), linewidth=0)
            ticks.append((base + offset + 0.15, f"{one.name}, {which}" if which == "first" else which))
        spans = [(d.start, d.end - d.start) for d in agreement.differences if d.pair == one.name]
        if spans:
            axes.broken_barh(spans, (base + 0.06, 0.1), facecolors=_DIFFERS, linewidth=0)
    ends = [i.end for pair in tiers for tier in pair for i in tier.intervals]
    starts = [i.start for pair in tiers for tier in pair for i in tier.intervals]
    start, end = min(starts, default=0.0), max(ends, default=1.0)
    axes.set_xlim(start, max(end, start + 1e-3))
    axes.set_ylim(-len(tiers) + 1.0, 1.0)
    axes.set_yticks([at for at, _ in ticks], [text for _, text in ticks], fontsize=8, parse_math=False)
    times = time_ticks(start, max(end, start + 1e-3))
    axes.set_xticks(times, [clock(t) for t in times], fontsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    handles = [Patch(color=_colour(label, names), label=label) for label in names]
    handles.append(Patch(color=_DIFFERS, label="differ"))
    figure.legend(handles=handles, loc="upper center", ncol=min(len(handles), 10), fontsize=8, frameon=False)
    return figure


def _colour(label: str, names: Sequence[str]) -> tuple[float, float, float]:
    red, green, blue = colour_of(label, tuple(names))
    return red / 255, green / 255, blue / 255
