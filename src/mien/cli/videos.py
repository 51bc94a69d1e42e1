"""The videos of ``mien analyze``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien import defaults
from mien.cli.error_output import INTERRUPTED, error_output
from mien.cli.output import FailureReport, one_file, progress_bar
from mien.draw.clock import clock
from mien.files import STDOUT, marked_folder, unique_name
from mien.media.selection import FrameSelection
from mien.output_checks import refuse_foreign_files

if TYPE_CHECKING:
    from rich.progress import TaskID

    from mien.draw.blur import Blur
    from mien.media.decoder_pool import DecoderPool
    from mien.pipeline.analyzer import Analyzer
    from mien.pipeline.video import VideoStream
    from mien.results.row_writers import RowWriter
    from mien.results.video import VideoFrame
    from mien.smoothing.options import SmoothingOptions
    from mien.tracking.options import TrackingOptions


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """The options of `mien analyze` for videos."""

    selection: FrameSelection
    tracking: TrackingOptions
    smoothing: SmoothingOptions
    report: Path | None
    resume: bool
    thumbnails: bool
    export: tuple[str, ...]
    export_to: Path | None
    baseline: str | None = None

    @property
    def for_videos(self) -> bool:
        """Whether an option is set that makes no sense without a video."""
        return (
            self.selection != FrameSelection()
            or self.report is not None
            or self.thumbnails
            or self.baseline is not None
            or bool(self.export)
        )


def analyse_videos(
    analyzer: Analyzer,
    clips: Sequence[Path],
    options: VideoOptions,
    failures: FailureReport,
    *,
    as_json: bool,
    csv_file: Path | None,
    parquet_file: Path | None,
    save: Path | None,
    blur: Blur | None,
    decoders: DecoderPool,
    photos: Sequence[Path] = (),
    tables: Sequence[RowWriter] | None = None,
) -> None:
    """Analyse videos as `mien.pipeline.jobs.VideoJob` does; prints a table of the faces of each, or JSON lines.

    Failures of single videos are added to ``failures``. Tables that are open behind the rows of ``photos`` are closed.
    """
    from mien.cli.video_summary import print_report
    from mien.errors import MienError
    from mien.pipeline.jobs import VideoJob, VideoOutputs
    from mien.smoothing.baseline import Baseline

    export_folder = (options.export_to or Path(defaults.EXPORTS)) if options.export else None
    with ExitStack() as stack:
        for table in tables or ():
            stack.callback(table.close)
        annotated = None if save is None else AnnotatedVideoNames(save, clips)
        marked = nullcontext() if annotated is None or annotated.folder is None else marked_folder(annotated.folder)
        if annotated is not None and annotated.folder is not None and not options.resume:
            refuse_foreign_files(annotated.folder, [annotated(clip).name for clip in clips])
        outputs = VideoOutputs(
            csv=csv_file,
            parquet=parquet_file,
            report=options.report,
            annotated=annotated,
            thumbnails=options.thumbnails,
            baseline=None if options.baseline is None else Baseline.parse(options.baseline),
            blur=blur,
            exports=options.export,
            export_folder=export_folder,
            photos=tuple(photos),
        )
        run = VideoJob(
            analyzer,
            clips,
            outputs,
            selection=options.selection,
            tracking=options.tracking,
            smoothing=options.smoothing,
            resume=options.resume,
            tables=tables,
            decoders=decoders,
        )
        stack.pop_all()  # the run closes them
    bar = ProgressDisplay(len(clips) - run.skipped, as_json=as_json)
    try:
        with marked, run, bar:
            for result in run.reports(bar.update):
                bar.finish_video()
                if isinstance(result, MienError):
                    failures.add(result)
                    continue
                for problem in result.coverage.problems:
                    click.echo(f"mien: {result.source}: {problem}", err=True)
                if not as_json and STDOUT not in (csv_file, parquet_file):
                    print_report(result)
    except KeyboardInterrupt:
        error_output().print(
            MienError(
                f"interrupted{bar.position}: what was analysed until then is written",
                advice="the same call with --resume continues the run" if options.report is not None else None,
                code=INTERRUPTED,
            )
        )
        raise click.exceptions.Exit(130) from None
    for missing in run.left_out:
        click.echo(f"mien: the reports have no pictures of timelines: {missing}", err=True)
    if run.skipped:
        click.echo(f"mien: {run.skipped} of {len(clips)} videos were finished before", err=True)
    if options.report is not None:
        click.echo(f"mien: reports are in {options.report}", err=True)
    if export_folder is not None:
        click.echo(f"mien: exports are in {export_folder}", err=True)


class AnnotatedVideoNames:
    """Names of annotated videos: one file for one clip, else files in a folder.

    Attributes:
        folder: the folder, None for one file.
    """

    def __init__(self, target: Path, clips: Sequence[Path]) -> None:
        self.folder = None if one_file(target, single=len(clips) == 1) else target
        self._names: dict[Path, Path] = {}
        used: set[str] = set()
        for clip in clips:
            self._names[clip] = target if self.folder is None else target / unique_name(clip.stem, ".mp4", used)

    def __call__(self, clip: Path) -> Path:
        """The file of this clip's annotated video."""
        return self._names[clip]


class ProgressDisplay:
    """Shows the progress and speed of an analysis, and prints JSON lines where they are wanted."""

    def __init__(self, clips: int, *, as_json: bool) -> None:
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._progress = progress_bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn() if clips else TimeElapsedColumn(),
            transient=True,
            terminal_only=True,
        )
        self._as_json, self._clips, self._number = as_json, clips, 0
        self._task: TaskID | None = None
        self._start = 0.0
        self._frames = 0
        self.position = ""

    def update(self, stream: VideoStream, frames: Sequence[VideoFrame]) -> None:
        """Show one more batch of the current video."""
        if self._as_json:
            for frame in frames:
                click.echo(frame.to_json())
        if self._task is None:
            self._number += 1
            self._start, self._frames = time.monotonic(), 0
            count = f"{self._number}/{self._clips} " if self._clips > 1 else ""
            name = Path(stream.info.name).name
            self._task = self._progress.add_task(f"{count}{name}", total=stream.info.frames, speed="")
        self._frames += len(frames)
        self.position = f" at {clock(frames[-1].time)} of {stream.info.name}"
        speed = self._frames / max(time.monotonic() - self._start, 1e-3)
        self._progress.update(self._task, completed=stream.progress.frames, speed=f"{speed:.0f} frames/s")

    def finish_video(self) -> None:
        """Remove the bar of the current video."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None

    def __enter__(self) -> ProgressDisplay:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
