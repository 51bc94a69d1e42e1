"""The pictures of an evaluation, as PNG: confusion matrix, reliability diagram, risk over coverage, groups."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import MissingExtraError
from mien.evaluation.figures import BY_KEY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Of Okabe and Ito, distinguishable by most colour-blind readers."""
_INK, _QUIET = "#1f2328", "#57606a"
_DPI = 100
_PALETTE = 96
_FEW = 10
"""Images of a bin whose accuracy is hardly more than chance."""


def confusion_png(one: Mapping[str, Any]) -> bytes:
    """Rows true, columns predicted: colour is the share of the row, figures are counts.

    Args:
        one: `mien.evaluation.metrics.Scores` as a dictionary.
    """
    labels = one["labels"]
    counts = np.asarray(one["confusion"])
    occurs = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, occurs, out=np.zeros(counts.shape), where=occurs > 0)
    side = 1.6 + 0.52 * len(labels)
    figure, axes = _axes(side + 0.4, side)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(counts):
        colour = "white" if share[i, j] > 0.55 else _INK
        axes.text(j, i, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(
        range(len(labels)),
        [f"{label}" if n else f"{label} (none)" for label, n in zip(labels, occurs[:, 0], strict=True)],
    )
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("Confusion: counts, and share of the row as colour", fontsize=10)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return _png(figure)


def reliability_png(bars: Sequence[Mapping[str, Any]], one: Mapping[str, Any]) -> bytes:
    """Accuracy over confidence in bins, with how many images lie in each.

    Args:
        bars: `mien.evaluation.calibration.ReliabilityBin`s as dictionaries.
        one: the figures of the same images.
    """
    figure, axes = _axes(4.6, 4.2)
    full = [bar for bar in bars if bar["n"]]
    most = max((bar["n"] for bar in full), default=1)
    for bar in full:
        width = bar["high"] - bar["low"]
        middle = (bar["low"] + bar["high"]) / 2
        axes.bar(middle, bar["accuracy"], width * 0.94, color=COLOURS[0], alpha=0.25 + 0.65 * (bar["n"] / most) ** 0.5)
    axes.plot([0, 1], [0, 1], color=_QUIET, linestyle="--", linewidth=1, label="perfectly calibrated")
    points = [(bar["confidence"], bar["accuracy"]) for bar in full if bar["n"] >= _FEW]
    axes.plot(*_columns(points), "o-", color=COLOURS[1], markersize=4, linewidth=1.2, label="this model")
    rare = [(bar["confidence"], bar["accuracy"]) for bar in full if bar["n"] < _FEW]
    if rare:
        axes.plot(
            *_columns(rare), "o", color=COLOURS[1], markersize=4, markerfacecolor="white", label=f"under {_FEW} images"
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("mean confidence (top probability)")
    axes.set_ylabel("accuracy")
    axes.set_title(f"Reliability: ECE {one['ece']:.3f}, {one['n']:,} images", fontsize=10)
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    return _png(figure)


def selective_png(curves: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Share of wrong answers over the share of images answered, one line a model.

    Args:
        curves: name → what `mien.evaluation.risk_coverage.selective_risk` returns.
    """
    figure, axes = _axes(4.6, 4.2)
    for i, (name, curve) in enumerate(curves.items()):
        label = f"{name}, AURC {curve['aurc']:.3f}"
        axes.plot(curve["coverage"], curve["risk"], color=COLOURS[i % len(COLOURS)], label=label)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, None)
    axes.set_xlabel("coverage: share of images answered")
    axes.set_ylabel("risk: share of answers that are wrong")
    axes.set_title("Leaving the least confident unanswered", fontsize=10)
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    return _png(figure)


def groups_png(table: Mapping[str, Mapping[str, Any]], figure_name: str, title: str) -> bytes:
    """One figure by group with its 95 % interval.

    Args:
        table: group → its figures, as `mien.evaluation.slices.group_scores` returns them.
        figure_name: which, such as "accuracy".
        title: of the picture.
    """
    known = [(name, one) for name, one in table.items() if one.get(figure_name) is not None]
    figure, axes = _axes(5.6, 1.2 + 0.28 * max(len(known), 1))
    for i, (_, one) in enumerate(known):
        value, around = one[figure_name], (one.get("intervals") or {}).get(figure_name)
        if around is not None:
            axes.plot(around, [i, i], color=COLOURS[0], linewidth=2, alpha=0.6)
        axes.plot([value], [i], "o", color=COLOURS[0], markersize=5)
    axes.set_yticks(range(len(known)), [f"{name} ({one['n']:,})" for name, one in known])
    axes.invert_yaxis()
    axes.grid(axis="x", color="#d0d7de", linewidth=0.6)
    axes.set_xlabel(f"{BY_KEY[figure_name].title}, with its 95 % interval")
    axes.set_title(title, fontsize=10)
    return _png(figure)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plots", "an evaluation report") from None
    # no pyplot: it would keep every figure and may want a screen
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.tick_params(labelsize=8, colors=_INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _png(figure: Figure) -> bytes:
    from PIL import Image

    drawn, stream = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    with Image.open(drawn) as image:
        # a palette takes a third of the bytes, and reports hold many pictures
        image.convert("RGB").quantize(_PALETTE, method=Image.Quantize.MEDIANCUT).save(stream, "PNG", optimize=True)
    return stream.getvalue()
