"""How fast videos are analysed, where the time goes, and that neither memory nor time per frame grows with length.

    python benchmarks/video.py --json docs/results/video.json
    python benchmarks/video.py --minutes 5            the long clip shorter, for a quick look

Clips are generated (`benchmarks/sequences.py`): 640×480, 25 frames per second, H.264, people who sway before a photo.
Every run is a process of its own: it analyses the whole clip with the default settings, or with every fifth frame
searched and tracks carried between. The long clip is the minute's packets again and again. Times are wall clock, so run
it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

FPS, SECONDS = 25, 60


def clip(path: Path, people: int, seconds: int = SECONDS) -> None:
    """Faces of about 110 pixels, less where there are more than three."""
    import av
    from sequences import HEIGHT, WIDTH, Moment, Placed, Sequence

    size = 110 if people <= 3 else 80

    def moment(t: float) -> Moment:
        placed = []
        for i in range(people):
            phase = 1.7 * i
            x = WIDTH * (i + 0.5) / people + 30 * math.sin(0.7 * t + phase)
            y = HEIGHT * 0.42 + 14 * math.sin(1.1 * t + phase)
            placed.append(
                Placed(i, x, y, size * (1 + 0.06 * math.sin(0.5 * t + phase)), 6 * math.sin(t + phase), i + 1)
            )
        return Moment(tuple(placed))

    scene = Sequence("speed", moment, seconds, FPS, tuple(range(people)))
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "21"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(len(scene)):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(scene.frame(i)[0], format="rgb24")))
        output.mux(stream.encode())


def repeated(source: Path, target: Path, times: int) -> None:
    """The packets of a clip again and again."""
    import av

    with av.open(str(target), "w") as output:
        copy = None
        for k in range(times):
            with av.open(str(source)) as given:
                video = given.streams.video[0]
                if copy is None:
                    copy = output.add_stream_from_template(video)
                shift = round(k * SECONDS / video.time_base)
                for packet in given.demux(video):
                    if packet.dts is None:
                        continue
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = copy
                    output.mux(packet)


def worker(path: Path, mode: str, folder: Path) -> dict[str, Any]:
    """One run; prints what it measured."""
    import numpy as np

    if mode == "decode":
        from mien.media.read_ahead import ReadAhead
        from mien.media.video import open_video

        start, busy = time.perf_counter(), time.process_time()
        with ReadAhead(open_video(path)) as frames:
            n = sum(1 for _ in frames)
        wall = time.perf_counter() - start
        return {"frames": n, "wall": wall, "cpu": time.process_time() - busy, "peak_mb": peak()}
    from mien.pipeline.analyzer import Analyzer
    from mien.pipeline.jobs import VideoJob, VideoOutputs
    from mien.tracking.options import TrackingOptions

    tracking = TrackingOptions(detect_every=5 if "carried" in mode else 1)
    annotated = (lambda _: folder / "annotated.mp4") if "annotated" in mode else None
    outputs = VideoOutputs(csv=folder / "rows.csv", report=folder / "report", annotated=annotated)
    analyzer = Analyzer(threads=1 if "one thread" in mode else None)
    times: list[float] = []
    cpu: list[float] = []
    memory: list[float] = []

    def watch(_: object, batch: list[object]) -> None:
        times.extend([time.perf_counter()] * len(batch))
        cpu.append(time.process_time())
        memory.append(resident())

    start, busy = time.perf_counter(), time.process_time()
    with VideoJob(analyzer, [path], outputs, tracking=tracking) as run:
        for report in run.reports(watch):
            if isinstance(report, Exception):
                raise report
    steps = np.diff(np.array(times))
    tenth = len(steps) // 10
    return {
        "frames": len(times),
        "faces": len(report.tracks),
        "wall": times[-1] - start,
        "report_wall": time.perf_counter() - times[-1],
        "cpu": cpu[-1] - busy,
        "peak_mb": peak(),
        "resident_mb": float(np.max(memory)),
        "first_tenth_ms": 1000 * float(steps[:tenth].mean()),
        "last_tenth_ms": 1000 * float(steps[-tenth:].mean()),
    }


def resident() -> float:
    """Megabytes of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak() -> float:
    """Megabytes at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def run(path: Path, mode: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--worker", str(path), mode, folder]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{mode}: {done.stderr}")
    return json.loads(done.stdout) | {"mode": mode}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--only", choices=("speed", "length"))
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        path, mode, folder = args.worker
        print(json.dumps(worker(Path(path), mode, Path(folder))))
        return
    from speed import machine

    results: dict[str, Any] = {"machine": machine(), "speed": [], "length": []}
    with tempfile.TemporaryDirectory() as folder:
        clips = {people: Path(folder) / f"{people}.mp4" for people in (0, 1, 3, 5)}
        for people, path in clips.items():
            clip(path, people)
        if args.only != "length":
            for people, mode in SPEED:
                row = run(clips[people], mode) | {"people": people}
                results["speed"].append(row)
                rate = row["frames"] / row["wall"]
                busy = 1000 * row["cpu"] / row["frames"]
                print(f"{people} faces, {mode}: {rate:.0f} frames/s, {busy:.1f} ms of CPU a frame", flush=True)
        if args.only != "speed":
            long = Path(folder) / "long.mp4"
            repeated(clips[1], long, args.minutes)
            for mode in ("default", "carried"):
                for path, minutes in ((clips[1], 1), (long, args.minutes)):
                    row = run(path, mode) | {"minutes": minutes}
                    results["length"].append(row)
                    rate = row["frames"] / row["wall"]
                    print(
                        f"{minutes} min, {mode}: {rate:.0f} frames/s, resident {row['resident_mb']:.0f} MB, ms a frame "
                        f"{row['first_tenth_ms']:.2f} in the first tenth, {row['last_tenth_ms']:.2f} in the last",
                        flush=True,
                    )
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


SPEED = (
    (1, "decode"),
    (0, "default"),
    (1, "default"),
    (3, "default"),
    (5, "default"),
    (0, "carried"),
    (1, "carried"),
    (3, "carried"),
    (5, "carried"),
    (1, "default, one thread"),
    (1, "default, annotated"),
    (1, "carried, annotated"),
)

if __name__ == "__main__":
    main()
