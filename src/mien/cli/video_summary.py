"""Results of a video as a table for people: one line per track."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.cli.output import table_console
from mien.cli.photo_table import bar, one_line
from mien.draw.clock import clock, duration
from mien.draw.palette import colour_of
from mien.results.face_columns import nominal_heads
from mien.results.track import Track, TrackPrediction
from mien.results.video import Coverage, VideoReport
from mien.text import count

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_WIDE, _NARROW, _SMALL, _TINY = 132, 106, 84, 58
"""Columns below which episodes are only counted; times are short, without bars; intervals, episodes and ages are left
out; shares are."""
_SHORT = 600.0
"""Seconds of a video below which times are shown with tenths."""


def print_report(report: VideoReport, console: Console | None = None) -> None:
    """Print one line per track, in order of appearance, and one on how much was analysed.

    A line shows when the face was visible and for how long it was detected, its prevailing label with the mean
    probability, the vote of its frames with the interval in which their true share lies ("undecided" where that is not
    above one half), its episodes, and the labels of other heads, as far as the models ran and the terminal is wide.

    Args:
        report: of one video.
        console: where to print; by default stdout, as wide as the terminal, or as needed where there is none.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # a pipe has no width: cut or folded lines would only be harder to search
    console = console or table_console(1000)
    width = console.width
    style = _CellFormat(console.options.ascii_only, width, report.coverage.seconds < _SHORT and width >= _NARROW)
    predicted = {name: one.head for track in report.tracks for name, one in track.predictions.items()}
    first = next(iter(nominal_heads(predicted)), None)
    others = [name for name in predicted if name != first] if width >= _SMALL else []
    console.print(Text(one_line(report.source or style.dash), style="bold"), style.size(report), highlight=False)
    table = Table(
        box=box.ASCII2 if style.ascii_only else box.SIMPLE_HEAD,
        header_style="bold",
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("face" if width >= _TINY else "#", justify="right", no_wrap=True)
    table.add_column(f"from{style.dash}to", no_wrap=True)
    if width >= _NARROW:
        table.add_column("seen", justify="right", no_wrap=True)
    if first is not None:
        table.add_column(first, no_wrap=True)
        table.add_column("vote of its frames" if width >= _SMALL else "vote", no_wrap=True)
        if width >= _SMALL:
            table.add_column("episodes", no_wrap=width < _WIDE)
    for name in others:
        table.add_column(name, no_wrap=True)
    for track in report.tracks:
        cells: list[Text | str] = [str(track.id), style.span(track)]
        if width >= _NARROW:
            cells.append(duration(track.seen))
        if first is not None:
            prediction = track.predictions.get(first)
            cells += [style.leader(prediction), style.vote(prediction)]
            if width >= _SMALL:
                cells.append(style.episodes(prediction))
        for name in others:
            other = track.predictions.get(name)
            cells.append("" if other is None else other.label.replace("-", style.dash))
        table.add_row(*cells)
    if report.tracks:
        console.print(table)
    console.print(coverage_line(report.coverage), style="dim", highlight=False)


def coverage_line(coverage: Coverage) -> str:
    """How much was analysed: ``1,500 frames in 1:00 min, 12 without a face, 3 could not be decoded``."""
    parts = [f"{count(coverage.frames, 'frame')} in {duration(coverage.seconds)}"]
    if coverage.frames:
        everywhere = "a face in each" if not coverage.without_face else f"{coverage.without_face:,} without a face"
        parts.append("no face in any" if coverage.without_face == coverage.frames else everywhere)
    if coverage.lost:
        parts.append(f"{coverage.lost:,} could not be decoded")
    if coverage.dropped:
        parts.append(f"{coverage.dropped:,} skipped to keep up")
    return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class _CellFormat:
    """How cells are written on this console."""

    ascii_only: bool
    width: int
    tenths: bool

    @property
    def dash(self) -> str:
        return "-" if self.ascii_only else "–"

    @property
    def name(self) -> int:
        """Cells of a label before a figure."""
        return 9 if self.width >= _TINY else 0

    def size(self, report: VideoReport) -> str:
        width, height = report.size
        size = f"{width}{'x' if self.ascii_only else '×'}{height}, " if width else ""
        return f"{size}{count(len(report.tracks), 'face')}"

    def span(self, track: Track) -> str:
        return f"{clock(track.start, tenths=self.tenths)}{self.dash}{clock(track.end, tenths=self.tenths)}"

    def leader(self, prediction: TrackPrediction | None) -> Text:
        from rich.text import Text

        if prediction is None:
            return Text("")
        share = prediction.probabilities[prediction.label]
        text = Text(f"{prediction.label:<{self.name}}")
        if self.width >= _NARROW:
            red, green, blue = colour_of(prediction.label, prediction.head.labels)
            text.append(f" {bar(share, self.ascii_only)}", style=f"rgb({red},{green},{blue})")
        if self.width >= _TINY:
            text.append(f" {share:4.0%}")
        return text

    def vote(self, prediction: TrackPrediction | None) -> Text:
        from rich.text import Text

        vote = None if prediction is None else prediction.vote
        if vote is None or vote.label is None:
            return Text(self.dash, style="dim")
        if not vote.decided:
            leading = f" ({vote.label} {vote.share:.0%})" if self.width >= _SMALL else ""
            return Text(f"undecided{leading}", style="dim")
        text = Text(f"{vote.label:<{self.name}}")
        if self.width >= _TINY:
            text.append(f" {vote.share:4.0%}")
        if self.width >= _SMALL:
            text.append(f" ({100 * vote.low:.0f}{self.dash}{100 * vote.high:.0f})", style="dim")
        return text

    def episodes(self, prediction: TrackPrediction | None) -> str:
        episodes = () if prediction is None else prediction.episodes
        counts = Counter(episode.label for episode in episodes).most_common()
        if self.width < _WIDE or not counts:
            return str(len(episodes))
        text = ", ".join(f"{n} {label}" for label, n in counts[:3])
        return f"{text}, {sum(n for _, n in counts[3:])} more" if len(counts) > 3 else text
