"""The report on a video as one HTML page that loads nothing: summary, all faces, and a section for each."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path, PurePosixPath
from string import Template

import numpy as np
from numpy.typing import NDArray

from mien.draw import svg
from mien.draw.clock import clock, duration
from mien.draw.palette import colour_of
from mien.draw.track_series import Series, cuts_of, episode_runs, longest, series_of, span_of
from mien.errors import InputError
from mien.files import atomic_path, output_file, writing
from mien.results.track import Track, Vote
from mien.results.video import Coverage, VideoReport, readable

_SECTIONS, _ROWS, _EPISODES = 60, 300, 2_000
"""Faces that get a section and a row of the table at most, the longest seen, and episodes that are listed in all."""
_COLUMNS = 4_000
"""Stretches of time in which emotions keep their extremes, over all faces."""
_FEW = 12
"""Episodes that are listed openly; a longer table is folded."""
_THUMBNAIL = 192
"""Pixels of the longer side of a picture of a face."""


def write_html(
    report: VideoReport,
    path: str | os.PathLike[str],
    *,
    thumbnails: Mapping[int, NDArray[np.uint8]] | None = None,
) -> Path:
    """Write the report as one self-contained page and return its path.

    However long the video, the page stays small: it shows the longest episodes and the faces seen longest, and says so.

    Args:
        report: of one video.
        path: the file; its folder is made.
        thumbnails: number of a track → a picture of its face, RGB uint8 ``(h, w, 3)``. None shows none: a face in a
            file that is passed on is personal data.

    Raises:
        InputError: ``path`` is a folder, or a thumbnail is no picture.
        OutputError: the file cannot be written.
    """
    target = output_file(path)
    parts = _Page(report, series_of(report), span_of(report), cuts_of(report)[:200], thumbnails or {})
    page = Template(files("mien.draw").joinpath("video_page.html").read_text(encoding="utf-8"))
    text = page.substitute(
        version=escape(version("mien")),
        name=escape(_name(report.source)),
        colours="\n".join(parts.colours()),
        summary=parts.summary(),
        problems=_problems(report.coverage),
        faces=parts.faces(),
    )
    with writing(target), atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


@dataclass(frozen=True, slots=True, eq=False)
class _Page:
    """The parts of one report's page."""

    report: VideoReport
    series: Mapping[int, Series]
    span: tuple[float, float]
    cuts: Sequence[float]
    thumbnails: Mapping[int, NDArray[np.uint8]]

    @property
    def labels(self) -> tuple[str, ...]:
        return self.report.rows.emotion_labels

    def colours(self) -> list[str]:
        rules = []
        for i, label in enumerate(self.labels):
            red, green, blue = colour_of(label)
            rules.append(
                f".e{i} {{ fill: #{red:02x}{green:02x}{blue:02x}; background: #{red:02x}{green:02x}{blue:02x}; }}"
            )
        return rules

    def summary(self) -> str:
        coverage, (width, height) = self.report.coverage, self.report.size
        facts = [("Length analysed", duration(coverage.seconds))]
        if width:
            facts.append(("Picture", f"{width} × {height}"))
        facts += [
            ("Faces followed", f"{len(self.report):,}"),
            ("Frames analysed", f"{coverage.frames:,}"),
            ("Frames without a face", _part(coverage.without_face, coverage.frames)),
        ]
        if coverage.lost:
            facts.append(("Frames not decoded", f"{coverage.lost:,}"))
        if coverage.dropped:
            facts.append(("Frames skipped to keep up", f"{coverage.dropped:,}"))
        told = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
        return f'<dl class="facts">{told}</dl>'

    def faces(self) -> str:
        if not self.report.tracks:
            return "<h2>Faces</h2>\n<p>No face was seen.</p>"
        ranked = sorted(self.report.tracks, key=lambda track: (-track.seen, track.id))
        rows = sorted(ranked[:_ROWS], key=lambda track: track.id)
        sections = sorted(ranked[:_SECTIONS], key=lambda track: track.id)
        parts = ["<h2>All faces</h2>", self._table(rows, {track.id for track in sections})]
        if len(ranked) > len(rows):
            parts.append(f'<p class="quiet">{len(ranked) - len(rows):,} more faces were seen for a shorter time.</p>')
        parts += [_legend(self.labels, "no episode"), _HOW if self.labels else ""]
        parts += [self._section(track, len(sections)) for track in sections]
        return "\n".join(part for part in parts if part)

    def _table(self, tracks: Sequence[Track], linked: set[int]) -> str:
        emotions, ages = bool(self.labels), any(track.ages for track in tracks)
        head = ["Face", "Episodes over time" if emotions else "Seen", "From–to", "Seen for"]
        head += ["Emotion", "Vote of the frames"] if emotions else []
        head += ["Age"] if ages else []
        rows = []
        for track in tracks:
            name = f'<a href="#face-{track.id}">Face {track.id}</a>' if track.id in linked else f"Face {track.id}"
            runs = episode_runs(track.episodes, self.span, 250)
            ribbon = svg.ribbon(self.series[track.id], runs, self.span, self.cuts, self.labels)
            cells = [
                f'<th scope="row">{name}</th>',
                f'<td class="wide"><div class="plot ribbon">{ribbon}</div></td>',
                f"<td>{clock(track.start)}–{clock(track.end)}</td>",
                f'<td class="n">{duration(track.seen)}</td>',
            ]
            if emotions:
                cells += [f"<td>{self._swatch(track.emotion)}</td>", f"<td>{_vote_cell(track.vote)}</td>"]
            if ages:
                cells.append(f"<td>{_age(track)}</td>")
            rows.append(f"<tr>{''.join(cells)}</tr>")
        rest = f'<td colspan="{len(head) - 2}"></td>'
        rows.append(
            f'<tr class="axisrow" aria-hidden="true"><td></td><td class="wide">{svg.axis(self.span, 5)}</td>{rest}</tr>'
        )
        titles = "".join(f'<th scope="col"{_RIGHT.get(title, "")}>{title}</th>' for title in head)
        return (
            f'<div class="scroll"><table><caption>All faces that were followed, in order of appearance</caption>'
            f"<thead><tr>{titles}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        )

    def _section(self, track: Track, sections: int) -> str:
        picture = self.thumbnails.get(track.id)
        parts = [
            f'<section id="face-{track.id}" aria-labelledby="name-{track.id}">',
            f'<h2 id="name-{track.id}">Face {track.id}</h2>',
        ]
        parts.append('<div class="face">')
        if picture is not None:
            alt = f"Face {track.id} at {clock(track.best[1], tenths=True)}"
            parts.append(f'<img src="{_jpeg(picture, track.id)}" alt="{alt}">')
        parts.append(f"<div>{self._facts(track)}</div>")
        if track.emotions:
            parts.append(f"<div>{self._bars(track)}</div>")
        parts.append("</div>")
        parts.append(self._figure(track, max(40, min(300, _COLUMNS // sections))))
        if track.emotions:
            parts.append(self._episodes(track, max(10, min(500, _EPISODES // sections))))
        parts.append("</section>")
        return "\n".join(parts)

    def _facts(self, track: Track) -> str:
        away = track.end - track.start - track.seen
        hidden = f", not seen for {duration(away)} in between" if away > 0.5 else ""
        told = [
            f"<p>Seen from {clock(track.start, tenths=True)} to {clock(track.end, tenths=True)}, for "
            f"{duration(track.seen)} in {track.frames:,} {'frame' if track.frames == 1 else 'frames'}{hidden}.</p>",
        ]
        if track.emotions:
            told.append(_vote_told(track.vote))
        if track.ages and track.age is not None:
            sure = track.ages[track.age_range or ""]
            told.append(
                f"<p>Looks <strong>{_age(track)}</strong> years old ({_percent(sure)} of the probability; about "
                f"{track.age:.0f} on average).</p>"
            )
        return "".join(told)

    def _bars(self, track: Track) -> str:
        rows = []
        for label, mean in sorted(track.emotions.items(), key=lambda item: -item[1]):
            kind = f"e{self.labels.index(label)}" if label in self.labels else "seen"
            rows.append(
                f'<tr><th scope="row">{escape(label)}</th>'
                f'<td><span class="bar"><i class="{kind}" style="width:{100 * mean:.1f}%"></i></span></td>'
                f'<td class="n">{_percent(mean)}</td><td class="n">{_percent(track.shares.get(label, 0.0))}</td></tr>'
            )
        return (
            "<table><caption>Emotions over the whole time</caption><thead><tr>"
            '<th scope="col">Emotion</th><th scope="col" colspan="2">Mean probability</th>'
            f'<th scope="col" class="n">Share of time</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
        )

    def _figure(self, track: Track, columns: int) -> str:
        series = self.series[track.id]
        runs = episode_runs(track.episodes, self.span, 500)
        ribbon = svg.ribbon(series, runs, self.span, self.cuts, self.labels)
        lines = [
            (
                "episodes" if self.labels else "seen",
                f'<div class="plot ribbon">{ribbon}{svg.names(runs, self.span)}</div>',
            )
        ]
        if self.labels:
            votes = svg.ribbon(series, series.voted(self.span, columns), self.span, self.cuts, self.labels)
            areas = svg.shares(series, self.span, self.cuts, columns)
            lines.append((_SCALE, f'<div class="plot shares">{areas}</div>'))
            lines.append(("vote", f'<div class="plot vote">{votes}</div>'))
        lines.append(("", svg.axis(self.span)))
        drawn = "".join(f'<div class="line"><div>{name}</div>{plot}</div>' for name, plot in lines)
        about = f"Timeline of face {track.id} from {clock(self.span[0])} to {clock(self.span[1])}"
        if track.emotions:
            most = sorted(track.shares.items(), key=lambda item: -item[1])[:3]
            about += ": " + ", ".join(f"{label} {share:.0%} of the time" for label, share in most if share > 0)
        legend = _legend(self.labels, "undecided")
        return f'<figure><div role="img" aria-label="{escape(about)}">{drawn}</div>{legend}</figure>'

    def _episodes(self, track: Track, most: int) -> str:
        if not track.episodes:
            return '<p class="quiet">No emotion lasted long enough for an episode.</p>'
        rows = [
            f'<tr><td class="n">{clock(e.start, tenths=True)}</td><td class="n">{duration(e.duration)}</td>'
            f'<td>{self._swatch(e.label)}</td><td class="n">{_percent(e.mean)}</td>'
            f'<td class="n">{_percent(e.peak)} at {clock(e.peak_time, tenths=True)}</td></tr>'
            for e in longest(track.episodes, most)
        ]
        count = len(track.episodes)
        which = (
            f"The {most:,} longest of {count:,} episodes"
            if count > most
            else f"{count:,} {'episode' if count == 1 else 'episodes'}"
        )
        table = (
            f'<div class="scroll"><table><caption>{which} of face {track.id}</caption><thead><tr>'
            '<th scope="col" class="n">Start</th><th scope="col" class="n">Lasts</th><th scope="col">Emotion</th>'
            '<th scope="col" class="n">Mean probability</th><th scope="col" class="n">Peak</th></tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div>"
        )
        return table if count <= _FEW else f"<details><summary>{which}</summary>{table}</details>"

    def _swatch(self, label: str | None) -> str:
        if label is None:
            return ""
        kind = f"e{self.labels.index(label)}" if label in self.labels else "seen"
        return f'<span class="swatch {kind}" aria-hidden="true"></span>{escape(label)}'


_RIGHT = {"Seen for": ' class="n"'}
_SCALE = '<span class="scale"><span>100 %</span><span>probability</span><span>0</span></span>'
_HOW = """<details><summary>How to read this page</summary>
<p><strong>Probability</strong>: each frame gets a distribution over the emotions; it is filtered over time, and the
areas show it. Where a face was not seen, nothing is drawn. Dotted lines are cuts.</p>
<p><strong>Episode</strong>: a stretch of time in which one emotion stays in front.</p>
<p><strong>Vote</strong>: every frame votes for its most probable emotion. The interval tells how far the share of the
winner may be off; frames that follow each other repeat each other, so it is wider than their number suggests. The strip
under a timeline is the vote of a sliding window.</p>
<p><strong>Undecided</strong>: the interval reaches down to one half, so that the majority may be chance.</p>
</details>"""


def _vote_told(vote: Vote) -> str:
    if vote.label is None:
        return ""
    label, share = escape(vote.label), _percent(vote.share)
    interval = f"interval {100 * vote.low:.0f}–{100 * vote.high:.0f} %"
    worth = f", worth about {vote.effective:,.0f} independent ones" if vote.effective else ""
    of = f'<span class="quiet">({vote.n:,} {"vote" if vote.n == 1 else "votes"}{worth})</span>'
    if vote.decided:
        return f"<p>The frames vote <strong>{label}</strong>: {share}, {interval} {of}.</p>"
    return (
        f"<p>The vote of the frames is <strong>undecided</strong>: {label} leads with {share}, but the {interval} "
        f"reaches down to one half, so that its majority may be chance {of}.</p>"
    )


def _vote_cell(vote: Vote) -> str:
    if vote.label is None:
        return ""
    told = f"{escape(vote.label)} {_percent(vote.share)}"
    if not vote.decided:
        return f'undecided <span class="quiet">({told})</span>'
    return f'{told} <span class="quiet">({100 * vote.low:.0f}–{100 * vote.high:.0f} %)</span>'


def _legend(labels: Sequence[str], rest: str) -> str:
    if not labels:
        return ""
    items = [
        f'<li><span class="swatch e{i}" aria-hidden="true"></span>{escape(name)}</li>' for i, name in enumerate(labels)
    ]
    items.append(f'<li><span class="swatch" style="background:var(--seen)" aria-hidden="true"></span>{rest}</li>')
    return f'<ul class="legend" aria-label="Colours">{"".join(items)}</ul>'


def _problems(coverage: Coverage) -> str:
    if not coverage.problems:
        return ""
    items = "".join(f"<li>{escape(readable(problem) or '')}</li>" for problem in coverage.problems[:100])
    more = len(coverage.problems) - 100
    items += f"<li>{more:,} more</li>" if more > 0 else ""
    return f'<div class="problems" role="note"><strong>What went wrong</strong><ul>{items}</ul></div>'


def _age(track: Track) -> str:
    return escape((track.age_range or "").replace("-", "–"))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.1f} %"


def _part(count: int, whole: int) -> str:
    return f"{count:,} ({_percent(count / whole)})" if whole and count else f"{count:,}"


def _name(source: str | None) -> str:
    text = readable(source)
    return "Video" if not text else PurePosixPath(text.replace("\\", "/")).name or text


def _jpeg(picture: NDArray[np.uint8], track: int) -> str:
    from PIL import Image

    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
        raise InputError(f"the thumbnail of face {track} is no RGB uint8 picture: {picture.dtype} {picture.shape}")
    image = Image.fromarray(picture)
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
