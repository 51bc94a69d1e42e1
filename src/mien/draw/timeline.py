"""Timelines as pictures: the labels of one face over the whole video, or all faces below each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.draw.clock import clock, duration
from mien.draw.palette import colour_of, luminance
from mien.draw.track_series import (
    LabelRun,
    TrackSeries,
    episode_runs,
    scene_cut_times,
    series_by_track,
    time_span,
    time_ticks,
)
from mien.errors import InputError, MissingExtraError
from mien.figure_file import figure_suffix, save_figure
from mien.files import output_file
from mien.results.face_columns import nominal_heads
from mien.results.track import Track
from mien.results.video import VideoReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _DPI = 12.0, 120
"""Inches, and pixels an inch."""
_COLUMNS = {".png": 400, ".pdf": 160, ".svg": 160}
"""Number of columns of time; within each, every label keeps its extremes. Points cost bytes in SVG."""
_SHARP = 2_000
"""Gaps shorter than this fraction of the video would not be visible."""
_LINES = 100
"""Changes of the leading label above which areas are drawn without lines between them."""
_EPISODES, _FACES = 2_000, 40
"""Most episodes of a face that are drawn one by one, and most faces: the longest tracks."""
_INK, _QUIET, _VISIBLE, _GRID = "#1f2328", "#59636e", "#e4e7eb", "#d0d7de"


def save_timeline(
    report: VideoReport, path: str | os.PathLike[str], track: int | None = None, *, head: str | None = None
) -> Path:
    """Write a timeline as PNG, SVG or PDF, by the suffix, and return the path; needs matplotlib (extra ``plots``).

    The picture of one face has its episodes on top, the filtered probabilities below, and the vote of the sliding
    window at the bottom, grey where its majority may be chance. Where the face was not visible, nothing is drawn. The
    picture of all faces has one row per face with its episodes. Dotted lines are scene cuts.

    Args:
        report: of one video.
        path: the file.
        track: number of a track, None for all.
        head: name of a head whose labels have no order; None for the first one.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InputError: there is no such track, or no such format.
        OutputError: the file cannot be written.

    Examples:
        >>> save_timeline(report, "timeline.svg", track=1).name
        'timeline.svg'
    """
    target = output_file(path)
    suffix = figure_suffix(path, target)
    if suffix not in _COLUMNS:
        raise InputError("a timeline is a picture", path=target, advice="use the suffix .png or .svg")
    figure = (
        draw_timeline(report, head=head)
        if track is None
        else draw_track(report, track, head=head, columns=_COLUMNS[suffix])
    )
    return save_figure(figure, target, suffix, dpi=_DPI)


def draw_track(report: VideoReport, number: int, *, head: str | None = None, columns: int = 400) -> Figure:
    """The timeline of one face as a matplotlib figure; ``columns`` limits the number of points.

    Args:
        report: of the video.
        number: of the track.
        head: name of a head whose labels have no order; None for the first one.
        columns: points over time at most.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InputError: no such track or head.

    Examples:
        >>> draw_track(report, 1).get_size_inches().tolist()
        [12.0, 3.9]
    """
    track = report.track(number)
    name = _head(report, head)
    series = series_by_track(report, name)[number]
    prediction = None if name is None else track.predictions.get(name)
    span = time_span(report)
    labelled = len(series.labels) > 0
    figure = _figure(3.9 if labelled else 1.4)
    heights = [0.3, 2.4, 0.16] if labelled else [0.3]
    panels: list[Any] = list(
        figure.subplots(len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    )
    _title(figure, _name(report), _summary(track, name))
    _frame(panels[0], "episodes" if labelled else "visible", 0)
    _draw_visible(panels[0], series, 0, span)
    episodes = () if prediction is None else prediction.episodes
    _ribbon(panels[0], episode_runs(episodes, span, _EPISODES), 0, span, series.labels, names=True)
    if labelled:
        _shares(panels[1], series, span, columns)
        _frame(panels[2], "vote", 0)
        _draw_visible(panels[2], series, 0, span)
        votes = series.vote_runs(span, 2 * columns)
        _ribbon(panels[2], votes, 0, span, series.labels)
        unsure = any(run.label is None for run in votes)
        _legend(panels[1], series.labels, tuple(reversed(series.labels)), "undecided" if unsure else None)
    _time_axis(panels, report, span)
    return figure


def draw_timeline(report: VideoReport, *, head: str | None = None) -> Figure:
    """The timelines of all faces as a matplotlib figure.

    Args:
        report: of the video.
        head: name of a head whose labels have no order; None for the first one.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InputError: no such head.

    Examples:
        >>> len(draw_timeline(report).axes)
        1
    """
    span = time_span(report)
    name = _head(report, head)
    labels = () if name is None else report.heads[name].labels
    every = series_by_track(report, name)
    episodes = {t.id: t.predictions[name].episodes if name and name in t.predictions else () for t in report.tracks}
    tracks = sorted(sorted(report.tracks, key=lambda t: -t.seen)[:_FACES], key=lambda t: t.id)
    left_out = len(report.tracks) - len(tracks)
    figure = _figure(1.35 + 0.3 * max(len(tracks), 2))
    axes = figure.subplots()
    more = f", the {len(tracks)} visible longest" if left_out else ""
    _title(figure, _name(report), f"{len(report.tracks):,} {'face' if len(report.tracks) == 1 else 'faces'}{more}")
    for row, track in enumerate(tracks):
        _draw_visible(axes, every[track.id], row, span)
        _ribbon(axes, episode_runs(episodes[track.id], span, _EPISODES), row, span, labels)
    axes.set_ylim(max(len(tracks), 1) - 0.4, -0.6)
    axes.set_yticks(range(len(tracks)), [f"face {track.id}" for track in tracks])
    axes.tick_params(axis="y", length=0, labelsize=9, labelcolor=_INK)
    axes.spines[["left", "right", "top"]].set_visible(False)
    _time_axis([axes], report, span)
    if not tracks:
        axes.text(0.5, 0.5, "no face", transform=axes.transAxes, ha="center", va="center", color=_QUIET)
    used = {episode.label for track in tracks for episode in episodes[track.id]}
    bare = sum(t.seen for t in tracks) - sum(e.duration for t in tracks for e in episodes[t.id])
    rest = "no episode" if used and bare > 0.01 * (span[1] - span[0]) else None
    _legend(axes, labels, tuple(label for label in labels if label in used), rest)
    return figure


def _head(report: VideoReport, head: str | None) -> str | None:
    nominal = nominal_heads(report.heads)
    if head is None:
        return nominal[0] if nominal else None
    if head not in nominal:
        raise InputError(f"no timeline of {head!r}", advice=f"choose one of {', '.join(nominal) or 'none'}")
    return head


def _figure(height: float) -> Figure:
    try:
        # the object interface needs no display and no global state
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plots", "a timeline") from None
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    below = 1 - 0.32 / height
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.05, hspace=0.0, rect=(0, 0, 1, below))  # type: ignore[union-attr, call-arg]
    return figure


def _title(figure: Figure, name: str, summary: str) -> None:
    # a dollar sign in a file name would start a formula
    top = 1 - 0.1 / figure.get_figheight()
    name, summary = name.replace("$", r"\$"), summary.replace("$", r"\$")
    figure.text(0.012, top, name, ha="left", va="top", fontsize=12, fontweight="bold", color=_INK)
    figure.text(0.988, top, summary, ha="right", va="top", fontsize=10, color=_QUIET)


def _name(report: VideoReport) -> str:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    name = Path(report.source).name if report.source else "video"
    # characters that the font lacks would be drawn as boxes, with a warning each
    known = get_font(findfont(FontProperties())).get_charmap()
    text = "".join(letter if ord(letter) in known and letter.isprintable() else "?" for letter in name)
    return text if len(text) <= 60 else f"{text[:28]}…{text[-28:]}"


def _summary(track: Track, head: str | None) -> str:
    parts = [f"face {track.id}", f"visible for {duration(track.seen)}"]
    shown = None if head is None else track.predictions.get(head)
    vote = None if shown is None else shown.vote
    if vote is not None and vote.label is not None:
        low, high = f"{100 * vote.low:.0f}", f"{100 * vote.high:.0f}"
        leading = f"{vote.label} {100 * vote.share:.0f} % ({low}–{high} %)"
        parts.append(f"vote {leading}" if vote.decided else f"undecided: {leading}")
    others = {name: one for name, one in track.predictions.items() if name != head}
    parts += [f"{name} {one.label.replace('-', '–')}" for name, one in others.items()]
    return ", ".join(parts)


def _draw_visible(axes: Axes, series: TrackSeries, row: float, span: tuple[float, float]) -> None:
    least = (span[1] - span[0]) / _SHARP
    spans = [(start, end - start) for start, end in series.visible_spans(least)]
    axes.broken_barh(spans, (row - 0.36, 0.72), facecolors=_VISIBLE, linewidth=0)


def _ribbon(
    axes: Axes,
    runs: Sequence[LabelRun],
    row: float,
    span: tuple[float, float],
    labels: Sequence[str],
    *,
    names: bool = False,
) -> None:
    shown = [run for run in runs if run.label is not None]
    bars = [(run.start, run.end - run.start) for run in shown]
    axes.broken_barh(bars, (row - 0.36, 0.72), facecolors=[_hex(run.label, labels) for run in shown], linewidth=0)
    if not names:
        return
    for run in shown:
        # a letter is about 0.6 of the font size wide, and the panel about 10 inches
        room = (run.end - run.start) / (span[1] - span[0]) * 10.0 * 72
        if run.label is not None and room > len(run.label) * 5.4 + 6:
            middle = (run.start + run.end) / 2
            axes.text(
                middle, row + 0.03, run.label, ha="center", va="center", fontsize=8.5, color=_on(run.label, labels)
            )


def _shares(axes: Axes, series: TrackSeries, span: tuple[float, float], columns: int) -> None:
    colours = [_hex(label, series.labels) for label in series.labels]
    # lines between the areas, unless they would hide short peaks
    leading = np.count_nonzero(np.diff(series.smoothed.argmax(axis=1)))
    line = 0.5 if leading <= _LINES else 0.0
    for stretch in series.stretches((span[1] - span[0]) / _SHARP):
        rows = series.thin(stretch, span, columns)
        # the last frame lasts until the next one
        times = np.append(series.times[rows], series.ends[stretch[1] - 1])
        layers = np.concatenate([series.smoothed[rows], series.smoothed[rows[-1:]]]).T.astype(float)
        # painted over each other from the top: areas beside each other would leave seams
        for colour, top in reversed(list(zip(colours, np.cumsum(layers, axis=0), strict=True))):
            axes.fill_between(times, 0, top, color=colour, edgecolor="white", linewidth=line)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.tick_params(axis="y", labelsize=9, color=_GRID, labelcolor=_QUIET)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=_GRID, linewidth=0.6)


def _frame(axes: Axes, label: str, row: float) -> None:
    axes.set_ylim(row - 0.42, row + 0.42)
    axes.set_yticks([row], [label])
    axes.tick_params(axis="y", length=0, labelsize=9, labelcolor=_QUIET)
    axes.spines[:].set_visible(False)


def _time_axis(panels: Sequence[Any], report: VideoReport, span: tuple[float, float]) -> None:
    last = panels[-1]
    marks = time_ticks(*span, most=12)
    tenths = any(mark % 1 for mark in marks)
    for axes in panels:
        axes.set_xlim(*span)
        for cut in scene_cut_times(report)[:200]:
            axes.axvline(cut, color=_INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=3)
        axes.tick_params(axis="x", length=0, labelbottom=False)
    last.set_xticks(marks, [clock(mark, tenths=tenths) for mark in marks])
    last.tick_params(axis="x", length=3, labelsize=9, color=_QUIET, labelcolor=_QUIET, labelbottom=True)
    last.spines["bottom"].set_visible(True)
    last.spines["bottom"].set_color(_GRID)


def _legend(axes: Axes, labels: Sequence[str], shown: Sequence[str], rest: str | None) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=_hex(label, labels), label=label) for label in shown]
    if rest is not None:
        handles.append(Patch(facecolor=_VISIBLE, label=rest))
    if handles:
        axes.legend(
            handles=handles, loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False, fontsize=9.5,
            handlelength=1.1, handleheight=1.1, labelcolor=_INK, borderaxespad=0.2,
        )  # fmt: skip


def _hex(label: str | None, labels: Sequence[str]) -> str:
    red, green, blue = colour_of(label, labels)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _on(label: str, labels: Sequence[str]) -> str:
    """Dark or white, whichever has more contrast with a label's colour."""
    return _INK if luminance(colour_of(label, labels)) > 0.18 else "white"
