"""What a core installation does without OpenCV and PyAV, and what is printed where they are missing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import mien
from helpers.clips import Pan, clip
from helpers.pictures import astronaut
from mien.extras import PACKAGES

SRC = Path(mien.__file__).parent
OPENCV_ALONE = {"detect/haar.py", "detect/opencv_threads.py", "detect/res10.py", "detect/yunet.py"}
OPENCV_ALONE |= {"tracking/optical_flow.py"}
"""Modules of inference that do what only OpenCV does."""
INFERENCE = (
    "batch",
    "cli",
    "detect",
    "draw",
    "exchange",
    "media",
    "models",
    "pipeline",
    "predict",
    "results",
    "server",
)
INFERENCE += ("smoothing", "tracking", "web")


def run(*arguments: str, without: tuple[str, ...] = ("cv2", "av")) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.modules |= dict.fromkeys({without!r})\nfrom mien.cli import main\nmain()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=250)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "portrait.png"
    Image.fromarray(astronaut()).save(path)
    return path


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_inference_imports_opencv_nowhere_else() -> None:
    files = [path for path in SRC.rglob("*.py") if path.relative_to(SRC).parts[0] in INFERENCE or path.parent == SRC]
    using = {path.relative_to(SRC).as_posix() for path in files if {"cv2", "cv2.data", "mien.opencv"} & imported(path)}
    assert using - {"opencv.py"} == OPENCV_ALONE


def test_no_module_imports_opencv_without_saying_what_to_install() -> None:
    assert [path.name for path in SRC.rglob("*.py") if "cv2" in imported(path)] == ["opencv.py"]


def test_photos_need_neither(photo: Path, tmp_path: Path) -> None:
    result = run("analyze", str(photo), "--json", "--save", str(tmp_path / "out.png"), "--csv", str(tmp_path / "f.csv"))
    assert result.returncode == 0, result.stderr
    [face] = json.loads(result.stdout)["faces"]
    assert max(face["predictions"]["emotion"]["probabilities"].items(), key=lambda item: item[1])[0] == "happy"
    with Image.open(tmp_path / "out.png") as drawn:
        assert drawn.size == (512, 512)


def test_videos_need_no_opencv(tmp_path: Path) -> None:
    video = clip(tmp_path / "clip.mp4", draw=Pan.astronaut((192, 144), eye_distance=30.0, step=(0.3, 0.1)), frames=8)
    result = run("analyze", str(video), "--json", "--report", str(tmp_path / "report"), without=("cv2",))
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[0])
    assert list((tmp_path / "report").rglob("*.html"))


def test_a_camera_and_a_stream_say_that_pyav_is_missing() -> None:
    for source in ("0", "rtsp://127.0.0.1:9/stream"):
        result = run("live", source, "--json")
        assert result.returncode == 1
        what = "a camera" if source == "0" else "a stream"
        assert result.stderr == f"mien: reading {what} needs the package 'av'; pip install 'mien[video]'\n"


def test_a_video_without_pyav_is_one_line_that_says_what_to_install(tmp_path: Path) -> None:
    video = clip(tmp_path / "clip.mp4", draw=Pan.astronaut((192, 144), eye_distance=30.0, step=(0.3, 0.1)), frames=4)
    result = run("analyze", str(video), without=("av",))
    assert (result.returncode, result.stdout) == (1, "")
    assert "needs the package 'av'; pip install 'mien[video]'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("detector", ["haar", "res10", "yunet"])
def test_detectors_of_opencv_say_that_it_is_missing(photo: Path, detector: str) -> None:
    result = run("analyze", str(photo), "--detector", detector)
    assert result.returncode == 1
    assert "needs the package 'opencv-python-headless'; pip install 'mien[opencv]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_service_starts_without_opencv() -> None:
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "from mien.server.engine import InferenceEngine\n"
        "from mien.server.limits import load_limits\n"
        "engine = InferenceEngine.load(load_limits({}, {}), threads=1)\n"
        "engine.warm_up(); engine.close(1.0); print('warm')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250)
    assert result.stdout == "warm\n", result.stderr


@pytest.mark.parametrize("missing", ["cv2", "pyarrow"])
@pytest.mark.parametrize(
    ("call", "command", "extra"),
    [
        ("data prepare {0} --out {0}.parquet", "data prepare", "data"),
        ("data audit {0}", "data audit", "audit"),
        ("data clean {0} --out {0}.parquet", "data clean", "data"),
        ("train --list", "train", "train"),
        ("train emotion-cpu --data {0} --out {0}.run", "train", "train"),
        ("tune emotion-cpu --data {0} --out {0}.run", "tune", "tune"),
        ("evaluate emotion --data {0}", "evaluate", "train"),
        ("evaluate mien --data {0}", "evaluate", "train"),
        ("calibrate emotion --data {0} --out {0}.onnx", "calibrate", "train"),
        ("quantize emotion --data {0} --out {0}.onnx", "quantize", "train"),
        ("explain {0} --out {0}.maps", "explain", "explain"),
    ],
)
def test_commands_of_the_laboratory_name_their_extra_before_they_work(
    photo: Path, missing: str, call: str, command: str, extra: str
) -> None:
    before = set(photo.parent.iterdir())
    result = run(*call.format(photo).split(), without=(missing,))
    package = PACKAGES.get(missing, missing)
    assert result.stderr == f"mien: mien {command} needs the package '{package}'; pip install 'mien[{extra}]'\n"
    assert (result.returncode, result.stdout, set(photo.parent.iterdir())) == (1, "", before)
