"""``mien batch``."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien import defaults
from mien.cli.error_output import INTERRUPTED, error_output
from mien.cli.options import (
    coverage_options,
    detector_options,
    device_option,
    flip_option,
    frame_options,
    models_option,
    prior_option,
    tracking_options,
)
from mien.cli.output import progress_bar
from mien.draw.clock import duration
from mien.errors import MienError

if TYPE_CHECKING:
    from mien.batch.run import BatchRun
    from mien.detect.options import DetectionOptions
    from mien.media.selection import FrameSelection
    from mien.smoothing.options import SmoothingOptions
    from mien.tracking.options import TrackingOptions

EPILOG = """\b
Examples:
  mien batch photos/ results/
  mien batch 'album/**/*.jpg' results/ --workers 4
  mien batch list.txt results/ --resume
  mien batch faces.parquet results/ --column image
  mien batch s3://bucket/shards/ s3://bucket/results --engine ray
  mien batch clips/ results/ --fps 5 --engine ray --address 10.0.0.1:6379

\b
SRC is a folder (with its subfolders), a pattern, a text file with one path or
address per line, or a file: pictures, videos, Parquet files with a column of
encoded pictures, tar files of pictures (WebDataset). DST gets inputs/ (one row
per input, with its error where it could not be analysed), faces/ (one row per
face of a photo), frames/ (one row per face and frame of a video) and
manifest.json. A run that was killed at any moment is continued by --resume.

\b
Exit codes: 0 every input was analysed (also when it shows no face);
1 some could not be, with the reasons in their rows of inputs/; 2 wrong usage;
130 interrupted (143 by SIGTERM, 129 by SIGHUP).
"""
_PLAIN_SECONDS = 10.0
"""Seconds between two lines of progress where there is no terminal."""
INPUTS_FAILED = "inputs-failed"
"""Code of the error at the end of a run in which some inputs could not be analysed."""
_RECENT = 60.0
"""Seconds over which the throughput is measured."""


@click.command("batch", epilog=EPILOG)
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@click.option("--resume", is_flag=True, help="Continue the run in DST; start one where there is none.")
@click.option("--redo-errors", is_flag=True, help="With --resume: analyse shards with an error again.")
@click.option(
    "--engine",
    type=click.Choice(("local", "ray")),
    default="local",
    show_default=True,
    help="Processes of this machine, or a Ray cluster.",
)
@click.option("--address", help="Address of a Ray cluster.", show_default="the one on this machine, or a new one")
@click.option("--workers", type=click.IntRange(1), help="Number of worker processes.", show_default="one per CPU")
@click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Number of processor threads per worker."
)
@click.option(
    "--shard-size",
    type=click.IntRange(1),
    default=defaults.SHARD_SIZE,
    show_default=True,
    help="Number of photos per shard.",
)
@click.option("--column", help="Parquet column that holds the pictures.", show_default="image, img, bytes, …")
@detector_options()
@models_option
@flip_option
@prior_option
@coverage_options
@device_option
@frame_options
@tracking_options()
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
    detection: DetectionOptions,
    models: tuple[str, ...],
    flip: bool,
    prior: str,
    coverage: float | None,
    by_class: bool,
    device: str,
    selection: FrameSelection,
    tracking: TrackingOptions,
    smoothing: SmoothingOptions,
) -> None:
    """Analyse very many photos and videos into a folder of Parquet files.

    The output is how a face looks to raters, not what a person feels.
    """
    from mien.batch.run import BatchRun
    from mien.batch.settings import AnalysisSettings

    if redo_errors and not resume:
        raise click.UsageError("--redo-errors needs --resume")
    weights = detection.detector_model
    settings = AnalysisSettings(
        models=tuple(_absolute(model) for model in models),
        detection=replace(detection, detector_model=None if weights is None else weights.absolute()),
        selection=selection,
        tracking=tracking,
        smoothing=smoothing,
        flip=flip,
        prior=prior,
        coverage=coverage,
        by_class=by_class,
        device=device,
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
    _run(run, target)
    if run.counts.errors:
        error_output().print(
            MienError(
                f"{run.counts.errors:,} of {run.counts.inputs:,} inputs could not be analysed",
                path=f"{target.rstrip('/')}/inputs",
                advice="its column 'error' holds the reasons",
                code=INPUTS_FAILED,
                details={"errors": run.counts.errors, "inputs": run.counts.inputs},
            )
        )
        raise click.exceptions.Exit(1)


def _absolute(model: str) -> str:
    """A model file by its absolute path, which the manifest then holds and which means the same for every worker."""
    name, equals, file = model.rpartition("=")
    return f"{name}{equals}{Path(file).absolute()}" if file.endswith(".onnx") else model


def _run(run: BatchRun, target: str) -> None:
    for error in run.plan.skipped:
        click.echo(f"mien: skipped: {error}", err=True)
    if run.skipped:
        click.echo(f"mien: {run.skipped:,} of {len(run.plan.shards):,} shards were finished before", err=True)
    try:
        with BatchProgress(run) as progress:
            for _ in run.results():
                progress.update()
    except KeyboardInterrupt:
        done, total = run.finished_shards, len(run.plan.shards)
        error_output().print(
            MienError(
                f"interrupted: {done:,} of {total:,} shards are written",
                advice="the same call with --resume continues the run",
                code=INTERRUPTED,
            )
        )
        raise click.exceptions.Exit(130) from None
    counts = run.counts
    frames = f", {counts.frames:,} frames of videos" if counts.frames else ""
    click.echo(f"mien: {counts.inputs:,} inputs, {counts.faces:,} faces in photos{frames}: {target}", err=True)


class BatchProgress:
    """Shows the progress, speed and time left of a run: a bar, or a line every few seconds without a terminal."""

    def __init__(self, run: BatchRun) -> None:
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn

        columns = (TextColumn("analysing"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[status]}"))
        self._bar = progress_bar(*columns, transient=True, terminal_only=True)
        self._plain = self._bar.disable
        self._run = run
        # shards differ in length, photos hardly: inputs are counted where their number is known
        self._total = run.plan.inputs if not run.counts.frames else None
        self._shards = len(run.plan.shards)
        self._task = self._bar.add_task("", total=1.0, status="starting")
        self._start = self._printed = time.monotonic()
        first = (self._start, run.counts.inputs, self._fraction())
        self._recent: deque[tuple[float, int, float]] = deque([first])

    def update(self) -> None:
        """Show that one more shard is finished."""
        now, counts, share = time.monotonic(), self._run.counts, self._fraction()
        self._recent.append((now, counts.inputs, share))
        while len(self._recent) > 2 and now - self._recent[1][0] > _RECENT:
            self._recent.popleft()
        then, inputs, done = self._recent[0]
        seconds = max(now - then, 1e-3)
        speed = (share - done) / seconds
        left = (1 - share) / speed if speed > 0 else 0.0
        total = "" if self._run.plan.inputs is None else f" of {self._run.plan.inputs:,}"
        status = f"{counts.inputs:,}{total} inputs, {(counts.inputs - inputs) / seconds:.1f}/s, {duration(left)} left"
        if counts.errors:
            status += f", {counts.errors:,} errors"
        self._bar.update(self._task, completed=share, status=status)
        if self._plain and now - self._printed >= _PLAIN_SECONDS:
            self._printed = now
            click.echo(f"mien: {share:.0%}: {status}", err=True)

    def _fraction(self) -> float:
        if self._total:
            return min(self._run.counts.inputs / self._total, 1.0)
        return self._run.finished_shards / self._shards

    def __enter__(self) -> BatchProgress:
        if not self._plain:  # old releases of rich print an empty line at the end even of a hidden bar
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._plain:
            self._bar.stop()
