"""Timelines as small inline SVG without text, so that it can be stretched to any width."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np

from mien.draw.clock import clock
from mien.draw.track_series import LabelRun, TrackSeries, time_ticks

Span = tuple[float, float]
WIDTH, HEIGHT = 2_000, 200
"""Units of a drawing; coordinates are whole numbers, which keeps the text short."""


def ribbon(
    series: TrackSeries, runs: Iterable[LabelRun], span: Span, cuts: Sequence[float], kinds: Mapping[str, str]
) -> str:
    """A bar where the face was visible, and on it one for each run, in the colour of the class of its label."""
    shapes = [_rect(start, end, span, "seen") for start, end in series.visible_spans(_least(span))]
    for run in runs:
        if run.label is not None:
            title = f"{run.label} {clock(run.start, tenths=True)}–{clock(run.end, tenths=True)}"
            shapes.append(_rect(run.start, run.end, span, kinds[run.label], title))
    return _svg([*shapes, *_cuts(cuts, span)], 10)


def names(runs: Iterable[LabelRun], span: Span) -> str:
    """The names of runs that are wide enough for them, as HTML elements to show over a `ribbon`."""
    elements = []
    for run in runs:
        share = 100 * (run.end - run.start) / (span[1] - span[0])
        if run.label is not None and share > 1.1 * len(run.label):
            left = 100 * (run.start - span[0]) / (span[1] - span[0])
            elements.append(f'<span style="left:{left:.2f}%;width:{share:.2f}%">{escape(run.label)}</span>')
    return "".join(elements)


def shares(series: TrackSeries, span: Span, cuts: Sequence[float], columns: int, kinds: Mapping[str, str]) -> str:
    """The smoothed probabilities as areas on top of each other."""
    paths = [""] * len(series.labels)
    for a, b in series.stretches(_least(span)):
        rows = series.thin((a, b), span, columns)
        times = np.append(series.times[rows], series.ends[b - 1])
        x = np.round((times - span[0]) / (span[1] - span[0]) * WIDTH).astype(int)
        known = np.nan_to_num(series.smoothed[rows].astype(np.float64))
        tops = np.cumsum(np.concatenate([known, known[-1:]]), axis=1)
        y = np.round(HEIGHT * (1 - np.clip(tops, 0, 1))).astype(int)
        for k in range(len(paths)):
            paths[k] += _area(x, y[:, k])
    # painted over each other from the top: areas beside each other would leave seams
    areas = [
        f'<path class="{kinds[series.labels[k]]}" d="{path}"/>' for k, path in reversed(list(enumerate(paths))) if path
    ]
    return _svg([*areas, *_cuts(cuts, span)], HEIGHT)


def axis(span: Span, most: int = 8) -> str:
    """The times below a drawing, as text."""
    marks = time_ticks(*span, most=most)
    tenths = any(mark % 1 for mark in marks)
    elements = []
    for mark in marks:
        left = 100 * (mark - span[0]) / (span[1] - span[0])
        last = ' class="last"' if left > 97 else ""
        elements.append(f'<span{last} style="left:{left:.2f}%">{clock(mark, tenths=tenths)}</span>')
    return f'<div class="axis" aria-hidden="true">{"".join(elements)}</div>'


def _least(span: Span) -> float:
    """Length of a gap that is too short to be visible, seconds."""
    return (span[1] - span[0]) / WIDTH


def _area(x: np.ndarray, y: np.ndarray) -> str:
    """A path from the ground up along the points and down again; steps are relative, as they are short."""
    steps = np.stack([np.diff(x), np.diff(y)], axis=1)
    # points on the same spot, and straight lines through several
    steps = steps[steps.any(axis=1)]
    moves = "".join(f"{dx},{dy} " if dy >= 0 else f"{dx}{dy} " for dx, dy in steps.tolist()).rstrip()
    return f"M{x[0]},{HEIGHT}V{y[0]}{'l' + moves if moves else ''}V{HEIGHT}z"


def _rect(start: float, end: float, span: Span, kind: str, tooltip: str | None = None) -> str:
    x = (start - span[0]) / (span[1] - span[0]) * WIDTH
    width = max((end - start) / (span[1] - span[0]) * WIDTH, 0.5)
    title = "" if tooltip is None else f"<title>{escape(tooltip)}</title>"
    return f'<rect class="{kind}" x="{x:.1f}" width="{width:.1f}" height="10">{title}</rect>'


def _cuts(cuts: Sequence[float], span: Span) -> list[str]:
    places = [(cut - span[0]) / (span[1] - span[0]) * WIDTH for cut in cuts]
    return [f'<path class="cut" d="M{x:.0f},0V{HEIGHT}"/>' for x in places]


def _svg(shapes: Sequence[str], height: int) -> str:
    content = "".join(shapes)
    return f'<svg viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none" aria-hidden="true">{content}</svg>'
