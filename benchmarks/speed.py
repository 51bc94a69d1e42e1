"""How fast, how large, how much memory; and where the time goes.

    python benchmarks/speed.py --json docs/results/speed.json
    python benchmarks/speed.py --install          also measures a fresh core installation (needs the package index)

The picture is scikit-image's astronaut: 512×512 as a JPEG for whole processes, and its face pasted into a 640×480 frame
for warm times. Whole processes are started afresh, the first start is not counted; warm times are medians, one thread
unless stated otherwise. Times are wall clock, so run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine_load import load
from PIL import Image
from public_portraits import portrait

from mien.cpus import processor_name
from mien.detect.mien import MienDetector
from mien.media.frame import Frame
from mien.media.image import load_image
from mien.models.catalog import read_model
from mien.models.model import Model
from mien.pipeline.analyzer import Analyzer
from mien.predict.classify import crop_faces, predict
from mien.results.faces import Faces

PACKAGES = ("numpy", "onnxruntime", "pillow")


def median_ms(work: Callable[[], object], seconds: float = 2.0) -> float:
    work()
    times, stop = [], time.perf_counter() + seconds
    while time.perf_counter() < stop or len(times) < 10:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def process(command: list[str], runs: int) -> dict[str, float]:
    """Median wall seconds and peak megabytes of a command; the first run only fills the disk cache."""
    walls, peaks = [], []
    for i in range(runs + 1):
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"{command}: ended with {status}")
        child.returncode = 0
        if i:
            walls.append(time.perf_counter() - start)
            peaks.append(usage.ru_maxrss / 1024)
    return {"wall_s": statistics.median(walls), "peak_mb": max(peaks)}


def profile(detector: MienDetector, frame: np.ndarray, photo: str) -> list[dict[str, Any]]:
    """Milliseconds inside the networks of the detector, and of importing and building what a cold process needs."""
    spent: dict[str, float] = {}

    def timed(name: str, run: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
        def work(images: np.ndarray) -> Any:
            start = time.perf_counter()
            out = run(images)
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - start
            return out

        return work

    names = {"_forward": "network of boxes", "_points": "network of landmarks"}
    for attribute, name in names.items():
        setattr(detector, attribute, timed(name, getattr(detector, attribute)))
    runs, start = 60, time.perf_counter()
    for _ in range(runs):
        detector.detect(frame)
    whole = time.perf_counter() - start
    for attribute in names:
        delattr(detector, attribute)
    rows = [{"part": f"detection: {name}", "ms": 1000 * value / runs} for name, value in spent.items()]
    rest = 1000 * (whole - sum(spent.values())) / runs
    rows.append({"part": "detection: smaller copies, candidates, suppression, crops", "ms": rest})
    code = (
        "import time; t = time.perf_counter(); out = []\n"
        "def lap(name):\n    global t\n    now = time.perf_counter(); out.append((name, 1000 * (now - t))); t = now\n"
        "import numpy; lap('import NumPy')\n"
        "import onnxruntime; lap('import ONNX Runtime')\nimport PIL.Image; lap('import Pillow')\n"
        "import click, rich.console, rich.table; lap('import click and rich')\n"
        "from mien.pipeline.analyzer import Analyzer; lap('import mien')\n"
        "analyzer = Analyzer(); lap('build four ONNX sessions')\n"
        f"faces = analyzer.analyze({photo!r}); lap('first analysis')\n"
        "from mien.cli.photo_table import print_table; import sys, io; sys.stdout = io.StringIO()\n"
        "print_table(faces); sys.stdout = sys.__stdout__; lap('table')\n"
        "import json; print(json.dumps(out))"
    )
    command = [sys.executable, "-c", code]
    laps = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(5)]
    for i, (name, _) in enumerate(laps[0]):
        rows.append({"part": f"cold process: {name}", "ms": statistics.median(lap[i][1] for lap in laps)})
    return rows


def machine() -> dict[str, Any]:
    from importlib.metadata import version

    return {
        "processor": processor_name(),
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "date": time.strftime("%Y-%m-%d"),
        "load": load(),
    }


def frame_with_one_face(rgb: np.ndarray) -> np.ndarray:
    """The portrait's upper part in a 640×480 frame: one face, about 90 pixels wide."""
    frame = np.full((480, 640, 3), 120, np.uint8)
    frame[40:440, 100:500] = rgb[0:400, 30:430]
    return frame


def crowd(rgb: np.ndarray, columns: int = 8, rows: int = 8) -> np.ndarray:
    return np.tile(rgb[30:180, 150:300], (rows, columns, 1))


def installed_mb(root: Path) -> dict[str, float]:
    """Megabytes of each top-level folder of a fresh core installation."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(python.parent.parent)], check=True)
        site = next((python.parent.parent / "lib").glob("python*")) / "site-packages"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site)]
        subprocess.run([*pip, "-c", str(root / "constraints.txt"), str(root)], check=True)
        sizes: dict[str, float] = {}
        for file in site.rglob("*"):
            if file.is_file() and not file.is_symlink():
                top = file.relative_to(site).parts[0].removesuffix(".libs")
                top = {"pillow": "PIL"}.get(top, top)
                sizes[top] = sizes.get(top, 0.0) + file.stat().st_size / 1e6
        return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()

    with Image.open(portrait()) as opened:
        rgb = np.asarray(opened.convert("RGB"))
    rows: list[tuple[str, float, str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        Image.fromarray(rgb).save(photo, quality=92)
        python = sys.executable
        empty = process([python, "-c", "pass"], options.runs)["wall_s"]
        bare = process([python, "-c", "import mien"], options.runs)["wall_s"]
        rows.append(("import mien (over an empty python)", 1000 * (bare - empty), "ms", "≤ 60"))
        cold = process([python, "-m", "mien", "analyze", str(photo)], options.runs)
        rows.append(("mien analyze photo.jpg, cold process", cold["wall_s"], "s", "≤ 1.2"))
        rows.append(("its peak memory", cold["peak_mb"], "MB", "≤ 350"))
        imports = process([python, "-c", "import numpy, onnxruntime, PIL.Image, rich.console, click"], options.runs)
        rows.append(("of it: importing the libraries alone", imports["wall_s"], "s", ""))
        path = str(photo)
        decode = median_ms(lambda: load_image(path))
        frame = frame_with_one_face(rgb)
        detector = MienDetector(threads=1)
        parts_of_it = profile(detector, frame, path)

    emotion, age = (Model(read_model(name), threads=1) for name in ("emotion", "age"))
    found = detector.detect(frame)
    assert len(found) == 1, "the benchmark's picture must show one face"

    def classify(faces: Faces = found, picture: np.ndarray = frame) -> Faces:
        return predict([Frame(picture)], [faces], detector.name, {"emotion": emotion, "age": age})[0]

    rows.append(("640×480, one face, one thread: detection", median_ms(lambda: detector.detect(frame)), "ms", ""))
    larger = MienDetector(40, 1)
    rows.append(("the same: detection of faces from 40 pixels", median_ms(lambda: larger.detect(frame)), "ms", ""))
    classification = median_ms(classify)
    rows.append(("the same: emotion + age with alignment", classification, "ms", "≤ 12"))
    crops_e, crops_a = crop_faces(emotion, frame, found, detector.name), crop_faces(age, frame, found, detector.name)
    parts = {
        "decode a 512×512 JPEG": decode,
        "align for emotion": median_ms(lambda: crop_faces(emotion, frame, found, detector.name)),
        "align for age": median_ms(lambda: crop_faces(age, frame, found, detector.name)),
        "emotion network": median_ms(lambda: emotion(crops_e)),
        "age network": median_ms(lambda: age(crops_a)),
    }
    rows += [(f"  {name}", value, "ms", "") for name, value in parts.items()]

    many = crowd(rgb)
    faces = Analyzer(models=(), threads=1).analyze(many, color="rgb")[:64]
    if len(faces) < 64:
        raise SystemExit(f"the crowd picture must show 64 faces, {len(faces)} were found")
    threads = os.cpu_count() or 1
    emotion, age = (Model(read_model(name), threads=threads) for name in ("emotion", "age"))
    together = median_ms(lambda: classify(faces, many))
    singles = median_ms(lambda: [classify(faces[[i]], many) for i in range(64)])
    rows.append((f"64 faces in a batch, {threads} threads", together, "ms", ""))
    rows.append(("64 faces one by one", singles, "ms", ""))
    rows.append(("batch throughput over one by one", singles / together, "×", "≥ 1.5"))
    analyzer = Analyzer()
    whole = median_ms(lambda: analyzer.analyze(frame, color="rgb"))
    rows.append((f"whole pipeline, 640×480 array, {threads} threads", whole, "ms", ""))
    if options.install:
        sizes = installed_mb(Path(__file__).parents[1])
        rows.append(("core installation", sum(sizes.values()), "MB", "≤ 300"))
        largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
        rows += [(f"  of it: {name}", size, "MB", "") for name, size in largest]

    about = machine()
    print(f"{about['processor']}, {about['cpus']} CPUs, Python {about['python']}, load {about['load']:.1f}")
    print("| what | measured | target |\n|---|---|---|")
    for name, value, unit, target in rows:
        print(f"| {name} | {value:.2f} {unit} | {target} |")
    print("\n| part | ms |\n|---|---|")
    for part in parts_of_it:
        print(f"| {part['part']} | {part['ms']:.2f} |")
    print(f"(this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at its peak)")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        keys = ("what", "value", "unit", "target")
        named = [dict(zip(keys, row, strict=True)) for row in rows]
        document = {"machine": about, "profile": parts_of_it, "rows": named}
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
