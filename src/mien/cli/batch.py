"""``mien batch``."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien.cli.options import analyzer_options, follow_options, frame_options

if TYPE_CHECKING:
    from mien.batch.run import BatchRun
    from mien.batch.types import ShardResult

EPILOG = """\b
Examples:
  mien batch photos/ results/
  mien batch 'album/**/*.jpg' results/ --workers 4
  mien batch list.txt results/ --resume
  mien batch faces.parquet results/ --column image
  mien batch s3://bucket/shards/ s3://bucket/results --engine ray
  mien batch clips/ results/ --fps 5 --engine ray --address 10.0.0.1:6379

\b
SRC is a folder (read to its depth), a pattern, a text file with one path or
address a line, or a file: pictures, videos, Parquet files with a column of
encoded pictures, tar files of pictures (WebDataset). DST gets inputs/ (one row
an input, with its error where it could not be analysed), faces/ (one row a
face of a photo), frames/ (one row a face and frame of a video) and
manifest.json. Killed at any moment, --resume goes on.

\b
Exit codes: 0 every input was analysed (also when it shows no face);
1 some could not be, as their rows in inputs/ say; 2 wrong call;
130 interrupted.
"""
_PLAIN_SECONDS = 10.0
"""Between two lines of progress where there is no terminal."""
_RECENT = 60.0
"""Seconds over which the throughput is taken."""


@click.command("batch", epilog=EPILOG)
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@click.option("--resume", is_flag=True, help="Go on with the run in DST; begin it where there is none.")
@click.option("--redo-errors", is_flag=True, help="With --resume: shards with an error once more.")
@click.option("--engine", type=click.Choice(("local", "ray")), default="local", show_default=True)
@click.option("--address", help="Of a Ray cluster.  [default: the one on this machine, or a new one]")
@click.option("--workers", type=click.IntRange(1), help="Worker processes.  [default: one a CPU]")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Processor threads a worker.")
@click.option("--shard-size", type=click.IntRange(1), default=500, show_default=True, help="Photos a shard.")
@click.option("--column", help="Parquet column of pictures.  [default: image, img, bytes, …]")
@analyzer_options
@frame_options
@follow_options
def command(
    source: str,
    target: str,
    resume: bool,
    redo_errors: bool,
    engine: str,
    address: str | None,
    workers: int | None,
    threads: int,
    shard_size: int,
    column: str | None,
    detector: str,
    detector_model: Path | None,
    min_face: int,
    emotion: str,
    age: str,
    flip: bool,
    every: int,
    fps: float | None,
    start: float | None,
    end: float | None,
    detect_every: int,
    smooth: float,
    window: float,
) -> None:
    """Analyse very many photos and videos into a folder of Parquet files.

    The output is how a face looks to raters, not what a person feels.
    """
    from mien.batch.run import BatchRun
    from mien.batch.settings import AnalysisSettings

    if redo_errors and not resume:
        raise click.UsageError("--redo-errors goes with --resume")
    settings = AnalysisSettings(
        detector=detector,
        detector_model=None if detector_model is None else str(detector_model.absolute()),
        min_face=min_face,
        emotion=_model(emotion),
        age=_model(age),
        flip=flip,
        every=every,
        fps=fps,
        start=start,
        end=end,
        detect_every=detect_every,
        time_constant=smooth,
        window=window,
    )
    run = BatchRun(
        source,
        target,
        settings,
        engine=engine,
        workers=workers,
        threads=threads,
        shard_size=shard_size,
        column=column,
        resume=resume,
        redo_errors=redo_errors,
        address=address,
    )
    _drive(run, target)
    if run.counts.errors:
        click.echo(
            f"mien: {run.counts.errors:,} of {run.counts.inputs:,} inputs could not be analysed: "
            f"column error of {target.rstrip('/')}/inputs says why",
            err=True,
        )
        raise click.exceptions.Exit(1)


def _model(name: str) -> str | None:
    return None if name == "none" else str(Path(name).absolute()) if name.endswith(".onnx") else name


def _drive(run: BatchRun, target: str) -> None:
    for error in run.plan.skipped:
        click.echo(f"mien: skipped: {error}", err=True)
    if run.skipped:
        click.echo(f"mien: {run.skipped:,} of {len(run.plan.shards):,} shards were finished before", err=True)
    try:
        with Progress(run) as progress:
            for finished in run.results():
                progress.update(finished)
    except KeyboardInterrupt:
        done, total = run.finished_shards, len(run.plan.shards)
        click.echo(
            f"mien: interrupted: {done:,} of {total:,} shards are written; the same call with --resume goes on",
            err=True,
        )
        raise click.exceptions.Exit(130) from None
    counts = run.counts
    frames = f", {counts.frames:,} frames of videos" if counts.frames else ""
    click.echo(f"mien: {counts.inputs:,} inputs, {counts.faces:,} faces in photos{frames}: {target}", err=True)


class Progress:
    """How far the run is, how fast it goes and how long it will take: a bar, or a line now and then."""

    def __init__(self, run: BatchRun) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        self._plain = not console.is_terminal
        self._bar = Bar(
            TextColumn("analysing"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[told]}"),
            console=console, transient=True, disable=self._plain,
        )  # fmt: skip
        self._run = run
        # shards differ in length, photos hardly: photos and videos are counted where their number is known
        self._total = run.plan.inputs if not run.counts.frames else None
        self._shards = len(run.plan.shards)
        self._task = self._bar.add_task("", total=1.0, told="starting")
        self._began = self._said = time.monotonic()
        self._seen = run.counts.inputs
        self._share = self._fraction()
        self._recent: deque[tuple[float, int, float]] = deque([(self._began, self._seen, self._share)])

    def update(self, finished: ShardResult) -> None:
        """One more shard."""
        now, counts, share = time.monotonic(), self._run.counts, self._fraction()
        self._recent.append((now, counts.inputs, share))
        while len(self._recent) > 2 and now - self._recent[1][0] > _RECENT:
            self._recent.popleft()
        then, inputs, done = self._recent[0]
        seconds = max(now - then, 1e-3)
        speed = (share - done) / seconds
        left = (1 - share) / speed if speed > 0 else 0.0
        total = "" if self._run.plan.inputs is None else f" of {self._run.plan.inputs:,}"
        told = f"{counts.inputs:,}{total} inputs, {(counts.inputs - inputs) / seconds:.1f}/s, {spoken(left)} left"
        if counts.errors:
            told += f", {counts.errors:,} errors"
        self._bar.update(self._task, completed=share, told=told)
        if self._plain and now - self._said >= _PLAIN_SECONDS:
            self._said = now
            click.echo(f"mien: {share:.0%}: {told}", err=True)

    def _fraction(self) -> float:
        if self._total:
            return min(self._run.counts.inputs / self._total, 1.0)
        return self._run.finished_shards / self._shards

    def __enter__(self) -> Progress:
        if not self._plain:  # old releases of rich end even a bar that is not shown with an empty line
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._plain:
            self._bar.stop()


def spoken(seconds: float) -> str:
    """``75`` → ``1 min 15 s``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole // 60 % 60} min"
