"""``mien live``."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien import defaults
from mien.cli.error_output import error_output
from mien.cli.options import (
    OUTPUT,
    TABLE,
    OutputCommand,
    coverage_options,
    detector_options,
    device_option,
    models_option,
    prior_option,
    refuse_json_file,
    threads_option,
    tracking_options,
)
from mien.errors import VideoError
from mien.files import STDOUT

if TYPE_CHECKING:
    from mien.cli.window import FrameWindow
    from mien.detect.options import DetectionOptions
    from mien.draw.annotated_video import AnnotatedVideo
    from mien.pipeline.video import VideoStream
    from mien.results.row_writers import RowWriter
    from mien.smoothing.options import SmoothingOptions
    from mien.tracking.options import TrackingOptions

STREAM_LOST = "stream-lost"
"""Code of the error at the end where the camera or stream was lost for good."""

EPILOG = """\b
Examples:
  mien live
  mien live 1 --record session.mp4 --csv rows.csv
  mien live rtsp://camera.local/stream --json | jq -c '.faces[].predictions.emotion.stable'
  mien live http://phone.local:8080/video --seconds 60 --detect-every 3

\b
Press q in the window, or Ctrl-C, to stop. Where Python has no Tk, the camera tab
of the page opens in the browser (extra serve), if only a camera's number is given
and options that the page takes: detector, models, prior, coverage, device,
threads. Without a display, results are printed as JSON lines on stdout.

\b
Exit codes: 0 stopped by q, Ctrl-C or --seconds; 1 the camera or stream could not
be opened, or was lost for good; 2 wrong usage.
"""


@click.command("live", cls=OutputCommand, epilog=EPILOG)
@click.argument("source", default="0", metavar="[CAMERA|URL]")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per frame and line on stdout, without a window."
)
@click.option(
    "--csv",
    "csv_file",
    type=TABLE,
    help="Write one row per face and frame to this CSV file; '-' is stdout.",
)
@click.option("--record", type=OUTPUT, help="Write the annotated video to this .mp4 file.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop after this time.")
@detector_options(defaults.LIVE_MIN_FACE)
@models_option
@prior_option
@coverage_options
@device_option
@tracking_options(defaults.LIVE_DETECT_EVERY, note="")
@threads_option()
def command(
    source: str,
    as_json: bool,
    csv_file: Path | None,
    record: Path | None,
    seconds: float | None,
    detection: DetectionOptions,
    models: tuple[str, ...],
    prior: str,
    coverage: float | None,
    by_class: bool,
    device: str,
    tracking: TrackingOptions,
    smoothing: SmoothingOptions,
    threads: int | None,
) -> None:
    """Track the faces of a camera or a network stream, and show how they look to raters.

    SOURCE is a camera's number (0 is the first) or an address: rtsp://, http:// (MJPEG, HLS, MPEG-TS). Frames that
    arrive while one is being analysed are dropped, so that the picture stays live.
    """
    from mien.cli.live_page import open_camera_page
    from mien.cli.window import FrameWindow, has_display, has_tk
    from mien.media.open import is_live
    from mien.pipeline.analyzer import Analyzer

    if as_json and csv_file == STDOUT:
        raise click.UsageError("only one of --json and --csv - can go to stdout")
    address: str | int = int(source) if source.isdigit() else source
    if not is_live(address):
        if as_json:
            refuse_json_file(source)
        raise click.UsageError(
            f"{source!r} is neither a camera's number nor an address; for a file: mien analyze {source}"
        )
    if not as_json and has_display() and not has_tk():
        problem = _page_problem(click.get_current_context(), address)
        if problem is None:
            open_camera_page(
                detection=detection, models=models, prior=prior, coverage=coverage, by_class=by_class, device=device,
                threads=threads,
            )  # fmt: skip
            return
        click.echo(f"mien: no window, for this Python has no Tk; {problem}; JSON lines follow", err=True)
    analyzer = Analyzer(
        models=models,
        **asdict(detection),
        threads=threads,
        prior=prior,
        coverage=coverage,
        by_class=by_class,
        device=device,
    )
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(analyzer.stream(address, tracking=tracking, smoothing=smoothing))
        screen = None if as_json else FrameWindow.open(stream.info.name)
        if screen is not None:
            stack.callback(screen.close)
        rows = video = None
        if csv_file is not None:
            from mien.results.row_writers import CsvRows

            rows = stack.enter_context(CsvRows(csv_file))
        if record is not None:
            from mien.draw.annotated_video import AnnotatedVideo

            video = stack.enter_context(AnnotatedVideo(record))
        if seconds is not None:
            # a stalled stream gives no frame after which the time could be checked
            timer = threading.Timer(seconds, stream.close)
            timer.start()
            stack.callback(timer.cancel)
        lost = _show_frames(stream, screen, rows, video, seconds)
    _print_coverage(stream, lost)
    if lost:
        raise click.exceptions.Exit(1)


def _show_frames(
    stream: VideoStream,
    screen: FrameWindow | None,
    rows: RowWriter | None,
    video: AnnotatedVideo | None,
    seconds: float | None,
) -> bool:
    """Show, print and write frames until the end; returns whether the camera or stream was lost before it."""
    stop = threading.Event()

    def handle_window() -> None:
        if screen is not None and screen.is_closed():
            stop.set()

    with contextlib.suppress(KeyboardInterrupt):
        flushed = start = time.monotonic()
        for batch in stream.batches(stop, handle_window):
            if rows is not None:
                rows.write(stream.rows(batch))
            for frame in batch:
                if video is not None:
                    video.write(frame)
                if screen is None:
                    click.echo(frame.to_json())
            now = time.monotonic()
            if now - flushed > defaults.FLUSH_SECONDS:
                flushed = now
                for writer in (rows, video):
                    if writer is not None:
                        writer.flush()
            if screen is not None and screen.show(batch[-1]):
                return False
        return not stop.is_set() and (seconds is None or time.monotonic() - start < seconds)
    return False


def _page_problem(context: click.Context, address: str | int) -> str | None:
    """Why the camera tab of the page cannot stand for this call; None where it can."""
    from mien.cli.live_page import PAGE_OPTIONS, page_problem

    if not isinstance(address, int):
        return "the page shows cameras alone"
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if context.get_parameter_source(str(parameter.name)) is click.core.ParameterSource.COMMANDLINE
    ]
    others = [name for name in given if name not in PAGE_OPTIONS and name != "source"]
    return f"the page does not take {others[0]}" if others else page_problem()


def _print_coverage(stream: VideoStream, lost: bool) -> None:
    coverage = stream.coverage
    *earlier, last = coverage.problems or (None,)
    for problem in earlier:
        click.echo(f"mien: {problem}", err=True)
    if lost:
        reason = last or "the camera or stream was lost"
        error_output().print(VideoError(reason, code=STREAM_LOST, details={"source": stream.info.name}))
    elif last is not None:
        click.echo(f"mien: {last}", err=True)
    rate = coverage.frames / coverage.seconds if coverage.seconds > 0 else 0.0
    click.echo(
        f"mien: {coverage.frames} frames in {coverage.seconds:.1f} s ({rate:.1f} per second), {coverage.dropped} "
        f"dropped so that the picture stays live, {coverage.without_face} without a face",
        err=True,
    )
