"""Where the time goes from a file to what is reported of its faces, at stages of the history.

    python benchmarks/whole_path.py --json docs/results/whole_path.json
    python benchmarks/whole_path.py --commits HEAD~1,HEAD --rounds 3

Every commit is checked out beside the others and kept loaded in a process of its own; they take turns, so that what
disturbs one disturbs its neighbours too. Pictures are made of scikit-image's public-domain astronaut. Times of one
thread and of the cold process are processor time, those of all processors are wall clock: run it on a machine that does
nothing else. *Parts* are what each network takes, and what is left of the steps around them. Needs the repository's
history.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CHANGES = (
    ("f04bce3", "Mien's own detector, faces from 16 pixels; OpenCV"),
    ("90c7203", "the core without OpenCV and PyAV: pixels by Pillow and NumPy"),
    ("be96653", "faces in doubt get a second look; large photos and smaller copies by whole blocks of pixels"),
    ("741f0d6", "large photos at whole blocks only; small products of matrices on one thread"),
)
"""Commits in order, and what each changed."""
CASES = {
    "portrait": "512×512 JPEG, one face",
    "crowd": "800×800 JPEG, 16 faces",
    "large": "4000×3000 JPEG, one face",
    "large faces": "the same, faces from 130 pixels on, in a batch",
    "video": "a frame of 1280×720, H.264, one face",
    "portrait, all processors": "512×512 JPEG, one face",
    "crowd, all processors": "800×800 JPEG, 16 faces",
    "large, all processors": "4000×3000 JPEG, one face",
    "batch, all processors": "a photo of 16 portraits given together",
    "cold process": "`mien analyze portrait.jpg --json` from start to end",
}
REPEATS = {
    "portrait": 12,
    "crowd": 3,
    "large": 2,
    "large faces": 3,
    "video": 1,
    "batch, all processors": 2,
    "cold process": 3,
}
FRAMES, TOGETHER = 50, 16


# ---------------------------------------------------------------- in the process of a commit


def write_inputs(folder: Path) -> None:
    import av
    import cv2
    import numpy as np
    from PIL import Image
    from public_portraits import portrait

    with Image.open(portrait()) as opened:
        rgb = np.asarray(opened.convert("RGB"))
    Image.fromarray(rgb).save(folder / "portrait.jpg", quality=92)
    Image.fromarray(np.tile(rgb[30:230, 120:320], (4, 4, 1))).save(folder / "crowd.jpg", quality=92)
    large = np.pad(cv2.resize(rgb, (3000, 3000)), ((0, 0), (500, 500), (0, 0)), mode="reflect")
    Image.fromarray(large).save(folder / "large.jpg", quality=92)
    with av.open(str(folder / "video.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        tall = cv2.resize(rgb, (900, 900))[:720]
        for i in range(FRAMES):
            frame = np.full((720, 1280, 3), 90, np.uint8)
            frame[:, 50 + 2 * i : 950 + 2 * i] = tall
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def cases(folder: Path) -> dict[str, tuple[Callable[[], object], float, Callable[[], int]]]:
    """Name → what is timed, how many results it gives, which clock in nanoseconds."""
    from mien.pipeline.analyzer import Analyzer

    one, every, wide = Analyzer(threads=1), Analyzer(), Analyzer(threads=1, min_face=130)
    photo, crowd, large = (str(folder / f"{name}.jpg") for name in ("portrait", "crowd", "large"))
    cpu, wall = time.process_time_ns, time.perf_counter_ns

    def children() -> int:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return round(1e9 * (used.ru_utime + used.ru_stime))

    def cold() -> None:
        command = [sys.executable, "-m", "mien", "analyze", photo, "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    return {
        "portrait": (lambda: one.analyze(photo), 1, cpu),
        "crowd": (lambda: one.analyze(crowd), 1, cpu),
        "large": (lambda: one.analyze(large), 1, cpu),
        "large faces": (lambda: wide.analyze_batch([large]), 1, cpu),
        "video": (lambda: one.video(str(folder / "video.mp4")), FRAMES, cpu),
        "portrait, all processors": (lambda: every.analyze(photo), 1, wall),
        "crowd, all processors": (lambda: every.analyze(crowd), 1, wall),
        "large, all processors": (lambda: every.analyze(large), 1, wall),
        "batch, all processors": (lambda: every.analyze_batch([photo] * TOGETHER), TOGETHER, wall),
        "cold process": (cold, 1, children),
    }


def parts(folder: Path) -> dict[str, dict[str, float]]:
    """Case of one thread → part → milliseconds of processor time."""
    import mien.pipeline.analyzer
    import mien.predict.classify
    from mien.pipeline.analyzer import Analyzer

    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **options: Any) -> Any:
            start = time.process_time_ns()
            try:
                return work(*given, **options)
            finally:
                spent[name] = spent.get(name, 0.0) + (time.process_time_ns() - start) / 1e6

        return run

    class Timed:
        def __init__(self, name: str, session: Any) -> None:
            self.run = timed(name, session.run)

    analyzer: Any = Analyzer(threads=1)
    analyzer._detector.detect = timed("detection", analyzer._detector.detect)
    for name, model in analyzer.models.models.items():
        model._session = Timed(f"{name} network", model._session)
    mien.pipeline.analyzer.load_image = timed("decoding", mien.pipeline.analyzer.load_image)
    mien.predict.classify.crop_faces = timed("crops, turned upright", mien.predict.classify.crop_faces)
    reported = {}
    for case in ("portrait", "crowd", "large"):
        path, runs = str(folder / f"{case}.jpg"), 4 * REPEATS[case]
        analyzer.analyze(path)
        spent.clear()
        start = time.process_time_ns()
        for _ in range(runs):
            analyzer.analyze(path)
        whole = (time.process_time_ns() - start) / 1e6
        spent["the rest"] = whole - sum(spent.values())
        reported[case] = {name: ms / runs for name, ms in spent.items()}
    return reported


def serve(folder: Path) -> None:
    """Answer the parent's questions: the name of a case, or "parts"."""
    import cv2

    if not (folder / "video.mp4").exists():
        write_inputs(folder)
    known = cases(folder)
    print("ready", flush=True)
    for line in sys.stdin:
        name = line.strip()
        if name == "parts":
            cv2.setNumThreads(1)
            print(json.dumps(parts(folder)), flush=True)
            continue
        work, results, clock = known[name]
        cv2.setNumThreads(os.cpu_count() or 1 if "processors" in name else 1)
        work()
        times = []
        for _ in range(REPEATS.get(name, REPEATS.get(name.split(",")[0], 1))):
            start = clock()
            work()
            times.append((clock() - start) / 1e6 / results)
        print(json.dumps(statistics.median(times)), flush=True)


# ---------------------------------------------------------------- in the parent


class Worker:
    """A process with the code of one commit."""

    def __init__(self, source: Path, folder: Path) -> None:
        env = os.environ | {"PYTHONPATH": str(source / "src")}
        command = [sys.executable, str(Path(__file__).resolve()), "--worker", str(folder)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=folder
        )
        self._answer()

    def ask(self, question: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return json.loads(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a worker ended: see its messages above")
        return line

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", help="separated by commas; by default those of CHANGES")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve(options.worker)
        return
    from speed import machine

    chosen = CHANGES if options.commits is None else tuple((one, one) for one in options.commits.split(","))
    about = machine()
    reported: dict[str, list[list[float]]] = {case: [[] for _ in chosen] for case in CASES}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers = []
        for commit, _ in chosen:
            workers.append(Worker(stack.enter_context(checked_out(commit)), folder))
            stack.callback(workers[-1].close)
        for turn in range(options.rounds):
            order = list(range(len(workers)))
            for case in CASES:
                for i in order if turn % 2 == 0 else order[::-1]:
                    reported[case][i].append(workers[i].ask(case))
        inside = [workers[i].ask("parts") for i in (0, -1)]
    rows = [
        {
            "commit": commit,
            "change": change,
            "ms": {case: statistics.median(reported[case][i]) for case in CASES},
            "least_ms": {case: min(reported[case][i]) for case in CASES},
            "of_before": {
                case: statistics.median(a / b for a, b in zip(reported[case][i], reported[case][i - 1], strict=True))
                for case in CASES
            }
            if i
            else None,
            "of_first": {
                case: statistics.median(a / b for a, b in zip(reported[case][i], reported[case][0], strict=True))
                for case in CASES
            },
        }
        for i, (commit, change) in enumerate(chosen)
    ]
    for row in rows:
        print(row["commit"], row["change"])
        for case in CASES:
            print(f"    {case:26} {row['ms'][case]:8.1f} ms   {row['of_first'][case]:.2f} of the first")
    for commit, part in zip((chosen[0][0], chosen[-1][0]), inside, strict=True):
        print(commit, json.dumps({case: {k: round(v, 2) for k, v in each.items()} for case, each in part.items()}))
    if options.json:
        document = {"machine": about, "rounds": options.rounds, "cases": CASES, "changes": rows}
        document["parts"] = {"before": inside[0], "after": inside[1]}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
