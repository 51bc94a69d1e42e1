"""What reading a video costs before anything is found in it: frames a second, conversion to RGB, memory.

    python benchmarks/decoding.py

Clips of a photo that moves, 25 frames a second, H.264 with B-frames and a key frame each ten seconds, are generated in
a temporary folder. Rates are given by the clock and by processor time: the clock is only worth something on a machine
that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def moving(path: Path, size: tuple[int, int], frames: int) -> Path:
    from helpers.clips import Pan, clip

    pan = Pan.astronaut(size, eye_distance=size[0] / 8, step=(0.5, 0.1))
    shown = [pan(i) for i in range(60)]
    there_and_back = [*range(60), *range(58, 0, -1)]
    options = {"preset": "veryfast", "crf": "23"}
    return clip(path, frames=frames, draw=lambda i: shown[there_and_back[i % 118]], options=options, gop=250, bframes=3)


def rates(path: Path) -> None:
    from mien.media import decoder
    from mien.media.demuxer import VideoDemuxer
    from mien.media.probe import probe_video
    from mien.media.video import VideoFile

    probe = probe_video(path)
    for threads in (1, 2):
        decoder.thread_count = lambda given, threads=threads: given or threads
        for what in ("decoding", "decoding and RGB"):
            frames, clock, processor = 0, time.perf_counter(), time.process_time()
            if what == "decoding":
                with VideoDemuxer(str(path), probe.stream) as demuxer:
                    for _ in decoder.decode_frames(demuxer, probe, decoder.SeekPoint()):
                        frames += 1
            else:
                with VideoFile(probe) as video:
                    for _ in video:
                        frames += 1
            clock, processor = time.perf_counter() - clock, time.process_time() - processor
            size = f"{probe.info.width}×{probe.info.height}"
            print(
                f"{size:10} {what:18} {threads} threads: {frames / clock:6.0f} frames/s, "
                f"{processor / frames * 1000:5.2f} ms of processor a frame"
            )


def memory(path: Path) -> None:
    """Print what a process that reads the whole video has needed."""
    from mien.media.read_ahead import ReadAhead
    from mien.media.video import open_video

    frames = 0
    with ReadAhead(open_video(path)) as buffer:
        for _ in buffer:
            frames += 1
    print(json.dumps({"frames": frames, "peak_mb": peak()}))


def peak() -> float:
    """Greatest resident memory so far, megabytes."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage returns begins with the parent's
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory:
        memory(given.memory)
        return
    with tempfile.TemporaryDirectory() as folder:
        rates(moving(Path(folder, "vga.mp4"), (640, 480), 1500))
        rates(moving(Path(folder, "hd.mp4"), (1920, 1080), 250))
        for minutes in (1, 10):
            path = moving(Path(folder, f"{minutes}.mp4"), (640, 480), minutes * 1500)
            done = subprocess.run([sys.executable, __file__, "--memory", str(path)], capture_output=True, check=True)
            reported = json.loads(done.stdout)
            print(f"640×480, {minutes:2} min: {reported['frames']} frames, peak {reported['peak_mb']:.0f} MB")


if __name__ == "__main__":
    main()
