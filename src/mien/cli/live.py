"""``mien live``."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mien.pipeline.video import VideoStream

EPILOG = """\b
Examples:
  mien live
  mien live 1 --record session.mp4 --csv rows.csv
  mien live rtsp://camera.local/stream --json | jq -c '.faces[].stable_emotion'
  mien live http://phone.local:8080/video --seconds 60 --detect-every 3

\b
q in the window, or Ctrl-C, ends it. Without a window (OpenCV's headless build
has none), results are JSON lines on stdout.

\b
Exit codes: 0 ended by q, Ctrl-C or --seconds; 1 the camera or stream could not
be opened, or was lost for good; 2 wrong call.
"""


@click.command("live", epilog=EPILOG)
@click.argument("source", default="0", metavar="[CAMERA|URL]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a frame and line on stdout, no window.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write one row a face and frame here.")
@click.option("--record", type=click.Path(path_type=Path), help="Write the annotated video here (.mp4).")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="End after this time.")
@click.option("--min-face", type=click.IntRange(8), default=60, show_default=True, help="Smallest face, pixels.")
@click.option("--emotion", default="emotion", show_default=True, help="Model name or .onnx file; 'none' for none.")
@click.option("--age", default="age", show_default=True, help="Model name or .onnx file; 'none' for none.")
@click.option("--detect-every", type=click.IntRange(1), default=3, show_default=True, help="Search every N-th frame.")
@click.option("--threads", type=click.IntRange(1), help="Processor threads.  [default: all, at most 4]")
def command(
    source: str,
    as_json: bool,
    csv_file: Path | None,
    record: Path | None,
    seconds: float | None,
    min_face: int,
    emotion: str,
    age: str,
    detect_every: int,
    threads: int | None,
) -> None:
    """Follow the faces of a camera or a network stream, and show what they look like to raters.

    SOURCE is a camera's number (0 is the first) or an address: rtsp://, http:// (MJPEG, HLS, MPEG-TS). Frames that
    arrive while one is being analysed are dropped, so that what is shown is now.
    """
    import contextlib

    from mien.cli.window import Window
    from mien.media.open import is_live
    from mien.pipeline.analyzer import Analyzer
    from mien.pipeline.video import FollowOptions

    where: str | int = int(source) if source.isdigit() else source
    if not is_live(where):
        raise click.UsageError(
            f"{source!r} is neither a camera's number nor an address; for a file: mien analyze {source}"
        )
    analyzer = Analyzer(
        emotion=None if emotion == "none" else emotion,
        age=None if age == "none" else age,
        min_face=min_face,
        threads=threads,
    )
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(analyzer.stream(where, options=FollowOptions(detect_every=detect_every)))
        window = None if as_json else Window.open(stream.info.name)
        if window is not None:
            stack.callback(window.close)
        rows = video = None
        if csv_file is not None:
            from mien.results.row_writers import CsvRows

            rows = stack.enter_context(CsvRows(csv_file))
        if record is not None:
            from mien.draw.annotated_video import AnnotatedVideo

            video = stack.enter_context(AnnotatedVideo(record))
        if seconds is not None:
            # a stream that stalls gives no frame after which the time could be looked at
            timer = threading.Timer(seconds, stream.close)
            timer.start()
            stack.callback(timer.cancel)
        lost = False
        with contextlib.suppress(KeyboardInterrupt):
            flushed = began = time.monotonic()
            for batch in stream.batches():
                if rows is not None:
                    rows.write(stream.rows(batch))
                for frame in batch:
                    if video is not None:
                        video.write(frame)
                    if window is None:
                        click.echo(frame.to_json())
                now = time.monotonic()
                if now - flushed > 2.0:
                    flushed = now
                    for writer in (rows, video):
                        if writer is not None:
                            writer.flush()
                if window is not None and window.show(batch[-1]):
                    break
            else:
                lost = seconds is None or time.monotonic() - began < seconds
    _tell(stream)
    if lost:
        raise click.exceptions.Exit(1)


def _tell(stream: VideoStream) -> None:
    coverage = stream.coverage
    for problem in coverage.problems:
        click.echo(f"mien: {problem}", err=True)
    rate = coverage.frames / coverage.seconds if coverage.seconds > 0 else 0.0
    click.echo(
        f"mien: {coverage.frames} frames in {coverage.seconds:.1f} s ({rate:.1f} a second), {coverage.dropped} dropped "
        f"so that the picture stays live, {coverage.without_face} without a face",
        err=True,
    )
