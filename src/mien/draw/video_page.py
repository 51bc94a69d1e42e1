"""The report on a video as one self-contained HTML page: summary, all faces, and one section per face."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from mien.draw import svg
from mien.draw.clock import clock, duration
from mien.draw.pages import data_uri, render
from mien.draw.palette import colour_of
from mien.draw.track_series import episode_runs, longest_episodes, scene_cut_times, series_by_track, time_span
from mien.errors import InputError
from mien.files import output_file, write_text
from mien.results.columns import readable
from mien.results.face_columns import nominal_heads
from mien.results.track import Episode, Track, TrackPrediction
from mien.results.video import VideoReport
from mien.text import percent, short_percent

_SECTIONS, _ROWS, _EPISODES = 60, 300, 2_000
"""Most faces with a section, most with a row of the table (the longest tracks), and most episodes listed in all."""
_COLUMNS = 4_000
"""Columns of time in which labels keep their extremes, over all faces."""
_PROBLEMS = 100
"""Most problems that are listed."""
_FEW = 12
"""Most episodes that are listed unfolded; a longer table is folded."""
_THUMBNAIL = 192
"""Longer side of a picture of a face, pixels."""


def write_html(
    report: VideoReport,
    path: str | os.PathLike[str],
    *,
    thumbnails: Mapping[int, NDArray[np.uint8]] | None = None,
) -> Path:
    """Write the report as one self-contained page and return its path.

    However long the video, the page stays small: it shows the longest episodes and tracks, and states that it does.

    Args:
        report: of one video.
        path: the file; its folder is made.
        thumbnails: number of a track → a picture of its face, RGB uint8 ``(h, w, 3)``. None shows none: faces in a
            file that is shared are personal data.

    Raises:
        InputError: ``path`` is a folder, or a thumbnail is not a picture.
        OutputError: the file cannot be written.

    Examples:
        >>> write_html(report, "report.html").read_text(encoding="utf-8").startswith("<!")
        True
    """
    target = output_file(path)
    text = _page(report, thumbnails or {})
    return write_text(target, text)


@dataclass(frozen=True, slots=True)
class _FaceRow:
    """One face in the table of all; ``linked`` where it has a section."""

    track: Track
    ribbon: str
    linked: bool


@dataclass(frozen=True, slots=True)
class _Timeline:
    """The part of a section about one head whose labels have no order.

    Attributes:
        head: its name.
        prediction: over the whole track.
        kinds: label → CSS class of its colour.
        bars: (label, mean probability, share of time), most probable first.
        episodes: the longest, in order of time.
        count: number of all episodes.
        folded: whether the list of episodes is folded because it is long.
        ribbon: SVG of the episodes.
        names: HTML of the episodes' names, shown over ``ribbon``.
        shares: SVG of the probabilities.
        votes: SVG of the votes.
    """

    head: str
    prediction: TrackPrediction
    kinds: Mapping[str, str]
    bars: Sequence[tuple[str, float, float]]
    episodes: Sequence[Episode]
    count: int
    folded: bool
    ribbon: str
    names: str
    shares: str
    votes: str


@dataclass(frozen=True, slots=True)
class _Section:
    """The section of one face.

    Attributes:
        track: the face.
        picture: address of its picture, None for none.
        hidden: seconds between its first and last frame in which it was not visible.
        seen: SVG of the times at which it was visible, for a video without timelines.
        text: text alternative of the drawings.
        timelines: one per head.
    """

    track: Track
    picture: str | None
    hidden: float
    seen: str
    text: str
    timelines: Sequence[_Timeline]


def _page(report: VideoReport, thumbnails: Mapping[int, NDArray[np.uint8]]) -> str:
    span, cuts, heads = time_span(report), scene_cut_times(report)[:200], report.heads
    nominal = nominal_heads(heads)
    plain = series_by_track(report)
    series = {name: series_by_track(report, name) for name in nominal}
    colours = [colour_of(label, heads[name].labels) for name in nominal for label in heads[name].labels]
    classes = (f"e{i}" for i in range(len(colours)))
    kinds = {name: {label: next(classes) for label in heads[name].labels} for name in nominal}
    first = nominal[0] if nominal else None
    ranked = sorted(report.tracks, key=lambda track: (-track.seen, track.id))
    rows = sorted(ranked[:_ROWS], key=lambda track: track.id)
    detailed = sorted(ranked[:_SECTIONS], key=lambda track: track.id)
    linked = {track.id for track in detailed}
    columns = max(40, min(300, _COLUMNS // max(len(detailed) * max(len(nominal), 1), 1)))
    listed = max(10, min(500, _EPISODES // max(len(detailed), 1)))

    def row(track: Track) -> _FaceRow:
        if first is None:
            return _FaceRow(track, svg.ribbon(plain[track.id], [], span, cuts, {}), track.id in linked)
        runs = episode_runs(_episodes(track, first), span, 250)
        return _FaceRow(track, svg.ribbon(series[first][track.id], runs, span, cuts, kinds[first]), track.id in linked)

    def timeline(track: Track, name: str, prediction: TrackPrediction) -> _Timeline:
        own, runs = series[name][track.id], episode_runs(prediction.episodes, span, 500)
        means = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        return _Timeline(
            head=name,
            prediction=prediction,
            kinds=kinds[name],
            bars=[(label, mean, prediction.shares.get(label, 0.0)) for label, mean in means],
            episodes=longest_episodes(prediction.episodes, listed),
            count=len(prediction.episodes),
            folded=len(prediction.episodes) > _FEW,
            ribbon=svg.ribbon(own, runs, span, cuts, kinds[name]),
            names=svg.names(runs, span),
            shares=svg.shares(own, span, cuts, columns, kinds[name]),
            votes=svg.ribbon(own, own.vote_runs(span, columns), span, cuts, kinds[name]),
        )

    def section(track: Track) -> _Section:
        picture = thumbnails.get(track.id)
        return _Section(
            track=track,
            picture=None if picture is None else _jpeg(picture, track.id),
            hidden=track.end - track.start - track.seen,
            seen=svg.ribbon(plain[track.id], [], span, cuts, {}),
            text=_timeline_text(track, span, first),
            timelines=[timeline(track, n, track.predictions[n]) for n in nominal if n in track.predictions],
        )

    return render(
        "draw/video_page.html",
        name=_name(report.source),
        colours=["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours],
        kinds=kinds,
        first=first,
        others=[n for n in heads if n != first and any(n in track.predictions for track in rows)],
        facts=_facts(report),
        problems=[readable(problem) or "" for problem in report.coverage.problems],
        listed=_PROBLEMS,
        rows=[row(track) for track in rows],
        left_out=len(ranked) - len(rows),
        axis=svg.axis(span),
        short_axis=svg.axis(span, 5),
        sections=[section(track) for track in detailed],
    )


def _episodes(track: Track, head: str) -> Sequence[Episode]:
    found = track.predictions.get(head)
    return () if found is None else found.episodes


def _facts(report: VideoReport) -> list[tuple[str, str]]:
    """Name and text of each figure of the summary."""
    coverage, (width, height) = report.coverage, report.size
    facts = [("Length analysed", duration(coverage.seconds))]
    if width:
        facts.append(("Picture", f"{width} × {height}"))
    without = f"{coverage.without_face:,}"
    if coverage.frames and coverage.without_face:
        without += f" ({short_percent(coverage.without_face / coverage.frames)})"
    facts += [
        ("Faces tracked", f"{len(report):,}"),
        ("Frames analysed", f"{coverage.frames:,}"),
        ("Frames without a face", without),
    ]
    if coverage.lost:
        facts.append(("Frames not decoded", f"{coverage.lost:,}"))
    if coverage.dropped:
        facts.append(("Frames skipped to keep up", f"{coverage.dropped:,}"))
    return facts


def _timeline_text(track: Track, span: tuple[float, float], head: str | None) -> str:
    """Text alternative of the drawings of a face."""
    text = f"Timeline of face {track.id} from {clock(span[0])} to {clock(span[1])}"
    if head is not None and head in track.predictions:
        most = sorted(track.predictions[head].shares.items(), key=lambda item: -item[1])[:3]
        shares = (f"{label} {percent(share, digits=0)} of the time" for label, share in most if share > 0)
        text += ": " + ", ".join(shares)
    return text


def _name(source: str | None) -> str:
    text = readable(source)
    return "Video" if not text else PurePosixPath(text.replace("\\", "/")).name or text


def _jpeg(picture: NDArray[np.uint8], track: int) -> str:
    from PIL import Image

    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
        raise InputError(f"the thumbnail of face {track} is not an RGB uint8 picture: {picture.dtype} {picture.shape}")
    image = Image.fromarray(picture)
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=85)
    return data_uri(data.getvalue(), "image/jpeg")
