"""The videos of ``mien analyze``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien.cli.output import Failures, unique_name

if TYPE_CHECKING:
    from rich.progress import TaskID

    from mien.pipeline.analyzer import Analyzer
    from mien.pipeline.video import VideoStream
    from mien.results.video import VideoFrame


@dataclass(frozen=True, slots=True)
class VideoCall:
    """What the call asks for beyond the photos' options."""

    every: int
    fps: float | None
    start: float | None
    end: float | None
    detect_every: int
    smooth: float
    window: float
    report: Path | None
    resume: bool
    thumbnails: bool

    @property
    def asks(self) -> bool:
        """Whether any option concerns videos alone."""
        return (
            self.every != 1
            or any(value is not None for value in (self.fps, self.start, self.end, self.report))
            or self.resume
            or self.thumbnails
        )


def analyse_videos(
    analyzer: Analyzer,
    clips: Sequence[Path],
    call: VideoCall,
    failures: Failures,
    *,
    as_json: bool,
    csv_file: Path | None,
    parquet_file: Path | None,
    save: Path | None,
) -> None:
    """Analyse videos as `mien.pipeline.jobs.VideoRun` does; a table of the faces of each goes to stdout, or JSON lines.

    Failures of single videos are added to ``failures``.
    """
    from mien.cli.video_summary import print_report
    from mien.errors import MienError
    from mien.pipeline.jobs import Outputs, Selection, VideoRun
    from mien.pipeline.video import FollowOptions

    outputs = Outputs(
        csv=csv_file,
        parquet=parquet_file,
        report=call.report,
        annotated=None if save is None else Annotated(save, clips),
        thumbnails=call.thumbnails,
    )
    selection = Selection(call.every, call.fps, call.start, call.end)
    options = FollowOptions(detect_every=call.detect_every, time_constant=call.smooth, window=call.window)
    run = VideoRun(analyzer, clips, outputs, selection=selection, options=options, resume=call.resume)
    bar = Bar(len(clips) - run.skipped, lines=as_json)
    try:
        with run, bar:
            for result in run.reports(bar.watch):
                bar.end()
                if isinstance(result, MienError):
                    failures.add(result)
                    continue
                for problem in result.coverage.problems:
                    click.echo(f"mien: {result.source}: {problem}", err=True)
                if not as_json:
                    print_report(result)
    except KeyboardInterrupt:
        more = "; the same call with --resume goes on" if call.report is not None else ""
        click.echo(f"mien: interrupted{bar.where}: what was analysed until then is written{more}", err=True)
        raise click.exceptions.Exit(130) from None
    if run.skipped:
        click.echo(f"mien: {run.skipped} of {len(clips)} videos were finished before", err=True)
    if call.report is not None:
        click.echo(f"mien: reports are in {call.report}", err=True)


class Annotated:
    """Where the annotated video of a clip goes: one file for one clip, else a folder."""

    def __init__(self, target: Path, clips: Sequence[Path]) -> None:
        self._names: dict[Path, Path] = {}
        used: set[str] = set()
        for clip in clips:
            single = len(clips) == 1 and target.suffix != "" and not target.is_dir()
            self._names[clip] = target if single else target / unique_name(clip.stem, ".mp4", used)

    def __call__(self, clip: Path) -> Path:
        """The file of this clip's annotated video."""
        return self._names[clip]


class Bar:
    """Shows how far an analysis is and how fast it goes, and prints JSON lines."""

    def __init__(self, clips: int, *, lines: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn() if clips else TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._lines, self._clips, self._number = lines, clips, 0
        self._task: TaskID | None = None
        self._began = 0.0
        self._frames = 0
        self.where = ""

    def watch(self, stream: VideoStream, frames: Sequence[VideoFrame]) -> None:
        """One more batch of the current video."""
        if self._lines:
            for frame in frames:
                click.echo(frame.to_json())
        if self._task is None:
            self._number += 1
            self._began, self._frames = time.monotonic(), 0
            count = f"{self._number}/{self._clips} " if self._clips > 1 else ""
            name = Path(stream.info.name).name
            self._task = self._progress.add_task(f"{count}{name}", total=stream.info.frames, speed="")
        self._frames += len(frames)
        self.where = f" at {clock(frames[-1].time)} of {stream.info.name}"
        speed = self._frames / max(time.monotonic() - self._began, 1e-3)
        self._progress.update(self._task, completed=stream.done.frames, speed=f"{speed:.0f} frames/s")

    def end(self) -> None:
        """The current video is done."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def clock(seconds: float) -> str:
    """``75.2`` → ``1:15``."""
    whole = int(seconds)
    return (
        f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"
    )
