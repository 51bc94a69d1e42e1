"""Pictures of a search, from its document: history, importance, and score over each setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from mien.files import atomic_path

_COMPLETE, _PRUNED, _LINE = "#1f6f8b", "#c9c9c9", "#d1495b"
_COLUMNS = 3


def _save(figure: Any, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, metadata={"Software": None})


def _split(document: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Complete trials and pruned ones, of those with a score."""
    scored = [row for row in document["trials"] if row["score"] is not None]
    return [r for r in scored if r["state"] == "complete"], [r for r in scored if r["state"] == "pruned"]


def draw_history(document: Mapping[str, Any], path: Path) -> None:
    """Validation score of every trial in order of their start, and the best so far."""
    # the object-oriented interface needs no display and no global state
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    complete, pruned = _split(document)
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.scatter(
        [r["number"] for r in pruned], [100 * r["score"] for r in pruned], c=_PRUNED, marker="x", label="pruned"
    )
    axes.scatter([r["number"] for r in complete], [100 * r["score"] for r in complete], c=_COMPLETE, label="finished")
    tops = accumulate((100 * r["score"] for r in complete), max)
    axes.step([r["number"] for r in complete], list(tops), where="post", c=_LINE, label="best so far")
    if document["own"] is not None:
        axes.axhline(100 * document["own"], c="black", lw=0.8, ls="--", label="the recipe's own settings")
    axes.set_title(f"{document['recipe']}, {document['epochs']} epochs a trial")
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("validation score, %")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    _save(figure, path)


def draw_importance(importance: Mapping[str, float], path: Path) -> None:
    """Share of the scores' variance that each setting explains."""
    from matplotlib.figure import Figure

    names = list(importance)[::-1]
    figure = Figure(figsize=(7, 0.8 + 0.35 * len(names)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(names, [100 * importance[name] for name in names], color=_COMPLETE)
    axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
    axes.set_xlabel("share of the variance of the score explained, % (functional ANOVA)")
    axes.set_xlim(0, 110 * max(importance.values()))
    _save(figure, path)


def draw_settings(document: Mapping[str, Any], path: Path) -> None:
    """Score over each setting, one panel each."""
    from matplotlib.figure import Figure

    complete, pruned = _split(document)
    space: Sequence[Mapping[str, Any]] = document["space"]
    rows = -(-len(space) // _COLUMNS)
    figure = Figure(figsize=(11, 3 * rows), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False, sharey=True).flatten()
    for axes, one in zip(panels, space, strict=False):
        for group, look in ((pruned, {"c": _PRUNED, "marker": "x"}), (complete, {"c": _COMPLETE})):
            having = [row for row in group if one["field"] in row["settings"]]
            values = [row["settings"][one["field"]] for row in having]
            if one["kind"] == "choice":
                values = [one["values"].index(value) for value in values]
            axes.scatter(values, [100 * row["score"] for row in having], s=18, **look)
        if one["kind"] == "choice":
            axes.set_xticks(range(len(one["values"])), [str(value) for value in one["values"]])
        elif one["kind"] == "log-uniform":
            axes.set_xscale("log")
        axes.axvline(_position(one, document["best"]["settings"][one["field"]]), c=_LINE, lw=0.8)
        axes.set_xlabel(one["field"])
        axes.grid(alpha=0.3)
    for axes in panels[len(space) :]:
        axes.set_visible(False)
    for axes in panels[::_COLUMNS]:
        axes.set_ylabel("validation score, %")
    _save(figure, path)


def _position(one: Mapping[str, Any], value: Any) -> float:
    return float(one["values"].index(value) if one["kind"] == "choice" else value)
