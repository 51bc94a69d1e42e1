"""Does the analysis of a stream stay as it is however long it runs? Memory, threads, descriptors, what is remembered.

    python benchmarks/soak.py --json docs/results/soak.json
    python benchmarks/soak.py --frames 5000            a quick look

A hundred thousand frames are drawn as they are asked for: 96×72 pixels, 25 a second by their times, two public-domain
portraits that come, drift, shrink and grow, cover one another, and leave for longer than a face may be hidden, so that
tracks begin and end all the time. `Analyzer.stream` analyses them with the default models, one thread, and nothing that
it gives is kept. Every thousand frames the process is measured. Needs Linux (`/proc`).
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import re
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import cv2
import numpy as np

from mien.media.frame import Frame
from mien.media.source import SourceInfo
from mien.pipeline.analyzer import Analyzer
from mien.pipeline.video import VideoStream
from mien.tracking.options import TrackingOptions

WIDTH, HEIGHT, FPS = 96, 72, 25
CYCLE, SHOWN = 11.0, 4.5
"""Seconds from one coming of a portrait to its next, and of them those in which it is seen."""
EVERY = 1000
"""Frames between two looks at the process."""
SETTLED = 0.1
"""Share of the frames after which nothing may grow any more: by then every allocator and cache has its size."""
TRACED = 8000
"""Frames that are analysed once more while every allocation of Python is watched, which takes three times as long."""
GROWTH_MB = 8.0
"""Resident memory may end so much above what it was once settled: a hundred bytes per frame would show."""


class Drawn:
    """The frames, a `mien.media.source.FrameSource`."""

    lost = dropped = 0
    problems: tuple[str, ...] = ()

    def __init__(self, frames: int) -> None:
        from helpers.pictures import ASTRONAUT_EYES, HOPPER_EYES, astronaut, hopper

        self._frames, self._open = frames, True
        self._people = []
        for picture, eyes in ((astronaut(), ASTRONAUT_EYES), (hopper(), HOPPER_EYES)):
            # a coarse copy is quick to draw
            shrink = 40 / math.dist(*eyes)
            small = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
            middle = np.mean(eyes, axis=0) * shrink
            self._people.append((small, middle))
        self._ground = np.random.default_rng(0).integers(60, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        self._ground = np.asarray(cv2.GaussianBlur(self._ground, (0, 0), 3), np.uint8)
        self.info = SourceInfo("drawn", WIDTH, HEIGHT, FPS, frames, frames / FPS, codec="drawn")

    def draw(self, index: int) -> Any:
        """RGB of one frame."""
        t = index / FPS
        rgb = np.roll(self._ground, index // 3 % WIDTH, axis=1)
        for who, (small, middle) in enumerate(self._people):
            # the second one's cycle is another, so that they meet now and then
            phase = (t + 2.0 * who) % (CYCLE + 3.7 * who)
            if phase > SHOWN:
                continue
            scale = (0.5 + 0.06 * math.sin(0.9 * t)) * (1.0 + 0.2 * who)
            x = WIDTH * (-0.2 + 1.4 * phase / SHOWN if who else 0.5 + 0.2 * math.sin(1.3 * t))
            y = HEIGHT * (0.42 + 0.05 * math.sin(1.7 * t + who))
            matrix = np.array([[scale, 0, x - scale * middle[0]], [0, scale, y - scale * middle[1]]])
            cv2.warpAffine(small, matrix, (WIDTH, HEIGHT), dst=rgb, borderMode=cv2.BORDER_TRANSPARENT)
        return rgb

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._frames):
            if not self._open:
                return
            yield Frame(np.ascontiguousarray(self.draw(index)), None, index, index / FPS)

    def close(self) -> None:
        self._open = False

    def __enter__(self) -> Drawn:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def regions() -> dict[str, float]:
    """Resident megabytes of the heap, of mapped files, and of all other mappings."""
    found = {"heap": 0.0, "files": 0.0, "mapped": 0.0}
    kind = "mapped"
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            name = words[5] if len(words) > 5 else ""
            kind = "heap" if name == "[heap]" else "files" if name.startswith("/") else "mapped"
        elif words[0] == "Rss:":
            found[kind] += int(words[1]) / 1000
    return found


def traced(frames: int, detect_every: int) -> dict[str, Any]:
    """What Python itself keeps of a thousand frames more, by `tracemalloc`: bytes, and where the most was asked for."""
    analyzer, looks = Analyzer(threads=1), []
    seen = 0
    ours = [tracemalloc.Filter(False, name) for name in (tracemalloc.__file__, __file__)]
    with analyzer.stream(Drawn(frames), tracking=TrackingOptions(detect_every=detect_every)) as stream:
        tracemalloc.start()
        for batch in stream.batches():
            seen += len(batch)
            if seen // (frames // 4) > len(looks):
                gc.collect()
                looks.append((seen, tracemalloc.take_snapshot().filter_traces(ours)))
        tracemalloc.stop()
    (first, before), (last, after) = looks[0], looks[-1]
    grown = after.compare_to(before, "lineno")
    thousands = (last - first) / 1000
    return {
        "frames": last - first,
        "bytes_per_thousand": sum(one.size_diff for one in grown) / thousands,
        "most": [
            {"where": _named(str(one.traceback[0])), "bytes_per_thousand": one.size_diff / thousands}
            for one in sorted(grown, key=lambda one: -one.size_diff)[:5]
        ],
    }


def _named(place: str) -> str:
    """A file and line without the folders of this machine."""
    root = f"{Path(__file__).parents[1]}/src/"
    return place.removeprefix(root) if place.startswith(root) else re.sub(r"^.*/python3\.\d+/", "", place)


def look(stream: VideoStream, frames: int, faces: int) -> dict[str, Any]:
    """What the process holds now."""
    status = Path("/proc/self/status").read_text()
    threads = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Threads:"))
    state = stream.pipeline.state()
    ended = state["smoother"].pop("ended")
    return {
        "frames": frames,
        "faces": faces,
        "resident_mb": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6,
        "regions_mb": regions(),
        "threads": threads,
        "descriptors": len(os.listdir("/proc/self/fd")) - 1,  # noqa: PTH208 - the listing is one itself
        "objects": len(gc.get_objects()),
        "live": len(state["smoother"]["live"]),
        "state_bytes": len(json.dumps(state)),
        "ended": len(ended),
        "ended_bytes": len(json.dumps(ended)),
        "cpu": time.process_time(),
    }


def soak(frames: int, detect_every: int) -> list[dict[str, Any]]:
    analyzer = Analyzer(threads=1)
    looks: list[dict[str, Any]] = []
    seen = faces = 0
    with analyzer.stream(Drawn(frames), tracking=TrackingOptions(detect_every=detect_every)) as stream:
        for batch in stream.batches():
            seen += len(batch)
            faces += sum(len(frame.faces) for frame in batch)
            if seen // EVERY > len(looks):
                gc.collect()
                looks.append(look(stream, seen, faces))
                if len(looks) % 10 == 0:
                    print(json.dumps(looks[-1]), file=sys.stderr, flush=True)
    return looks


def grown(looks: list[dict[str, Any]]) -> list[str]:
    """What went wrong, one line each; empty when all is flat."""
    settled = looks[max(1, round(SETTLED * len(looks))) - 1 :]
    first, rest = settled[0], settled[1:]
    wrong = []
    more = float(np.median([one["resident_mb"] for one in rest[-len(rest) // 5 :]])) - first["resident_mb"]
    if more > GROWTH_MB:
        wrong.append(f"resident memory grew by {more:.1f} MB")
    for name in ("threads", "descriptors"):
        if max(one[name] for one in rest) > first[name]:
            wrong.append(f"{name} grew from {first[name]} to {max(one[name] for one in rest)}")
    # people come and go, so that the least of early and late stretches is compared: one with no one in the picture
    for name in ("live", "state_bytes"):
        early, late = (min(one[name] for one in part) for part in (rest[: len(rest) // 4], rest[-len(rest) // 4 :]))
        if late > 1.5 * max(early, 1):
            wrong.append(f"{name} grew from {early} to {late}")
    if rest[-1]["ended"] < 10:
        wrong.append("too few tracks ended for this to show anything")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--detect-every", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.frames < 5 * EVERY:
        raise SystemExit(f"--frames: at least {5 * EVERY:,}, so that something can be reported")
    cv2.setNumThreads(1)
    began = time.perf_counter()
    looks = soak(options.frames, options.detect_every)
    wrong = grown(looks)
    done = {
        "date": time.strftime("%Y-%m-%d"),
        "size": [WIDTH, HEIGHT],
        "frames": options.frames,
        "detect_every": options.detect_every,
        "wall": time.perf_counter() - began,
        "cpu": time.process_time(),
        "wrong": wrong,
        "traced": traced(TRACED, options.detect_every),
        "looks": looks,
    }
    if options.json:
        options.json.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")
    print("; ".join(wrong) or f"flat over {options.frames:,} frames")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
