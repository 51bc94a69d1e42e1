"""How long the outputs of a video take: tables, drawn frames, MP4, timelines, the page.

python benchmarks/video_outputs.py [--frames 54000]

The results are fabricated (tests/made_videos.py), so no model runs. Times are the best of three runs: on the clock, and
of the processor over all threads. Tables and video are flushed every 300 rows or 50 frames, as a run does that must
survive a kill.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.videos import made_frame, made_rows, report_of
from mien.draw.annotated_video import AnnotatedVideo
from mien.draw.overlay import VideoOverlay
from mien.draw.timeline import save_timeline
from mien.draw.video_page import write_html
from mien.results.face_columns import FaceTable
from mien.results.row_writers import CsvRows, JsonlRows, ParquetRows, RawRows, RowWriter


def best(what: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    clocks, processors = [], []
    for _ in range(3):
        clock, processor = time.perf_counter(), time.process_time()
        what()
        clocks.append(time.perf_counter() - clock)
        processors.append(time.process_time() - processor)
    return min(clocks), min(processors)


def write(writer: RowWriter, rows: FaceTable) -> None:
    with writer:
        for start in range(0, len(rows), 300):
            writer.write(rows.rows(start, start + 300))
            writer.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=54_000)
    count = parser.parse_args().frames
    rows = made_rows(count)
    report = report_of(rows)
    frames = [made_frame(i) for i in range(100)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def show(what: str, took: tuple[float, float], each: tuple[float, str], path: Path | None = None) -> None:
            size = f"{path.stat().st_size / 1e6:.2f} MB" if path else ""
            one = f"{took[0] / each[0] * 1e3:.2f} ms ({took[1] / each[0] * 1e3:.2f} of the processor) {each[1]}"
            print(f"{what:34} {took[0]:6.2f} s  {one:58} {size}")

        for kind, suffix in ((CsvRows, "csv"), (JsonlRows, "jsonl"), (ParquetRows, "parquet"), (RawRows, "rows")):
            path = folder / f"a.{suffix}"
            took = best(lambda kind=kind, path=path: write(kind(path), rows))
            show(f"{count:,} rows, {kind.__name__}", took, (count / 1000, "a 1,000 rows"), path)

        def draw() -> None:
            overlay = VideoOverlay()
            for frame in frames:
                overlay.draw(frame)

        show("100 frames 640×480, 2 faces drawn", best(draw), (200, "a face"))

        def encode() -> None:
            with AnnotatedVideo(folder / "a.mp4") as video:
                for i in range(500):
                    frame = frames[i % 100]
                    video.write(replace(frame, frame=replace(frame.frame, time=i / 25)))
                    if i % 50 == 49:
                        video.flush()

        show("500 frames 640×480, 2 faces, MP4", best(encode), (500, "a frame"), folder / "a.mp4")
        for suffix in ("png", "svg"):
            path = folder / f"t.{suffix}"
            took = best(lambda path=path: save_timeline(report, path, track=1))
            show(f"{count:,} frames, timeline {suffix}", took, (1, "a picture"), path)
        page = folder / "r.html"
        show(f"{count:,} frames, page", best(lambda: write_html(report, page)), (1, "a page"), page)


if __name__ == "__main__":
    main()
