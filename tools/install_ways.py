"""Install the built wheel and sdist in the ways that people do, and use Mien there, far from the checkout.

    python tools/install_ways.py                                    all of them
    python tools/install_ways.py --only pipx deepface --keep
    python tools/install_ways.py --json docs/results/install_ways.json

pip, uv and pipx fetch packages from the package index. Each way gets a folder of its own, which is removed when it is
done. deepface's own weights are not on the package index, so what it does with OpenCV's cascade is what runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from release_check import ROOT, build, built

SECONDS = 1800
_DEMO = """
import json, mien
from pathlib import Path
portrait = Path(mien.__file__).parent / "web" / "static" / "sample-collins.webp"
[face] = mien.analyze(portrait)
found = {"mien": f"{face.emotion}, {face.age_range}"}
"""
_VERSIONS = """
import importlib.metadata as m
names = ("mien", "deepface", "onnxruntime", "numpy", "opencv-python", "opencv-python-headless",
         "opencv-contrib-python", "opencv-contrib-python-headless")
have = {}
for name in names:
    try: have[name] = m.version(name)
    except m.PackageNotFoundError: pass
print(json.dumps({"found": found, "versions": have}))
"""
_OPENCV = """
import cv2
from mien.errors import MienError
from mien.pipeline.analyzer import Analyzer
found["cv2"] = cv2.__version__
for name in ("haar", "res10"):
    try: found[name] = f"{len(Analyzer(detector=name).analyze(portrait))} face"
    except MienError as error: found[name] = str(error)
import numpy as np
from PIL import Image
from mien.tracking.optical_flow import track_box
picture = np.asarray(Image.open(portrait).convert("RGB"))
moved = np.roll(picture, 3, axis=1)
box = np.array(face.box, np.float32)
tracked = track_box(picture, moved, box, np.full((5, 2), np.nan, np.float32), box)
found["optical flow"] = "lost" if tracked is None else f"moved by {float((tracked[0] - box)[0]):.1f} of 3 pixels"
"""
_DEEPFACE = """
import numpy as np
import cv2, deepface
from deepface import DeepFace
from PIL import Image
found["cv2"] = cv2.__version__
bgr = np.asarray(Image.open(portrait).convert("RGB"))[:, :, ::-1].copy()
for backend in ("opencv", "skip"):
    try:
        faces = DeepFace.extract_faces(bgr, detector_backend=backend, enforce_detection=False)
        found[f"deepface {backend}"] = f"{len(faces)} face"
    except Exception as error:
        found[f"deepface {backend}"] = f"{type(error).__name__}: {error}"[:300]
try:
    DeepFace.analyze(bgr, actions=["emotion"], detector_backend="skip")
    found["deepface emotion"] = "runs"
except Exception as error:
    found["deepface emotion"] = f"{type(error).__name__}: {error}"[:300]
[again] = mien.analyze(portrait)
found["mien after deepface"] = f"{again.emotion}, {again.age_range}"
"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to install.

    Attributes:
        command: as a person writes it.
        packages: what pip installs; "{wheel}" and "{sdist}" stand for what was built.
        check: Python code that runs in the environment and fills ``found``.
        tool: "pip", "uv" (as a tool) or "pipx" (run).
    """

    command: str
    packages: tuple[str, ...] = ()
    check: str = ""
    tool: str = "pip"


WAYS = {
    "wheel": Way("pip install mien", ("mien @ {wheel}",)),
    "sdist": Way("pip install --no-binary mien mien", ("mien @ {sdist}",)),
    "uv": Way("uv tool install mien", tool="uv"),
    "pipx": Way("pipx run mien demo", tool="pipx"),
    "deepface": Way("pip install mien 'deepface[api]'", ("mien @ {wheel}", "deepface[api]"), _DEEPFACE),
    "deepface-opencv": Way(
        "pip install 'mien[opencv]' 'deepface[api]'", ("mien[opencv] @ {wheel}", "deepface[api]"), _DEEPFACE
    ),
    "opencv": Way("pip install 'mien[opencv]'", ("mien[opencv] @ {wheel}",), _OPENCV),
    "opencv5": Way(
        "pip install mien 'opencv-python-headless>=5'", ("mien @ {wheel}", "opencv-python-headless>=5"), _OPENCV
    ),
    "opencv5-windows": Way("pip install mien 'opencv-python>=5'", ("mien @ {wheel}", "opencv-python>=5"), _OPENCV),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(os.environ.get("TMPDIR", "/tmp")) / "mien-ways")
    parser.add_argument("--only", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--built", action="store_true", help="take what an earlier call built")
    parser.add_argument("--keep", action="store_true", help="leave the environments")
    parser.add_argument("--json", type=Path, help="write the results here, beside those of earlier calls")
    options = parser.parse_args()
    work = options.work.resolve()
    if work.is_relative_to(ROOT):
        parser.error("--work must lie outside the checkout")
    work.mkdir(parents=True, exist_ok=True)
    wheel, sdist = built(work) if options.built else build(work)
    results = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    bad = 0
    for name in options.only:
        folder = work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        results[name] = outcome = try_way(WAYS[name], folder, wheel, sdist)
        print(name, json.dumps(outcome, ensure_ascii=False), flush=True)
        bad += "failed" in outcome
        if options.json:
            options.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if bad else 0


def try_way(way: Way, folder: Path, wheel: Path, sdist: Path) -> dict[str, Any]:
    """Install and use Mien in one way; ``found`` and ``versions``, or ``failed`` with the reason."""
    start = time.monotonic()
    tools = Path(sys.executable).parent
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MIEN", "VIRTUAL"))}
    clean |= {
        "OMP_NUM_THREADS": "1", "UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin"),
        "PIPX_HOME": str(folder / "pipx"), "PIPX_BIN_DIR": str(folder / "bin"), "DEEPFACE_HOME": str(folder),
    }  # fmt: skip
    base = {"command": way.command, "python": platform.python_version(), "system": platform.platform()}
    calls: list[list[str | Path]]
    if way.tool == "uv":
        calls = [
            [tools / "uv", "tool", "install", "-q", "--python", sys.executable, f"mien @ {wheel.as_uri()}"],
            [folder / "bin" / "mien", "demo", "--out", folder / "demo.png"],
        ]
    elif way.tool == "pipx":
        calls = [[tools / "pipx", "run", "--spec", str(wheel), "mien", "demo", "--out", folder / "demo.png"]]
    else:
        python = folder / "env" / "bin" / "python"
        files = {"wheel": wheel.as_uri(), "sdist": sdist.as_uri()}
        calls = [
            [tools / "uv", "venv", "-q", "--python", sys.executable, folder / "env"],
            [tools / "uv", "pip", "install", "-q", "--python", python, *(one.format(**files) for one in way.packages)],
            [python, "-c", _DEMO + way.check + _VERSIONS],
        ]
    for call in calls:
        done = subprocess.run(
            [str(one) for one in call],
            cwd=folder,
            env=clean,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode:
            return base | {"failed": (done.stderr.strip() or done.stdout.strip())[-600:]}
    if way.tool != "pip":
        label = next(word for word in done.stdout.split() if word in ("happy", "neutral", "surprise"))
        outcome: dict[str, Any] = {"found": {"mien demo": label}, "versions": {"mien": wheel.name.split("-")[1]}}
    else:
        outcome = json.loads(done.stdout.strip().splitlines()[-1])
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return base | outcome | {"mb": round(size / 1e6), "seconds": round(time.monotonic() - start)}


if __name__ == "__main__":
    sys.exit(main())
