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


def test_the_demo_needs_nothing_but_the_core(tmp_path: Path) -> None:
    result = run("demo", "--out", str(tmp_path / "d.png"), without=("cv2", "av", "skimage", "matplotlib"))
    assert result.returncode == 0, result.stderr
    assert "happy" in result.stdout
    assert (tmp_path / "d.png").is_file()


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


def test_a_video_without_pyav_is_one_line_that_names_what_to_install(tmp_path: Path) -> None:
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


LABORATORY = [
    ("data prepare {0} --out {0}.parquet", "mien data prepare", "data", ("cv2", "pyarrow")),
    ("data audit {0} --html {0}.html", "mien data audit", "audit", ("cv2", "pyarrow", "cleanlab")),
    ("data audit {0} --model emotion --html {0}.html", "checking labels with a model", "train", ("torch",)),
    ("data clean {0} --out {0}.parquet", "mien data clean", "data", ("cv2", "pyarrow")),
    ("train --list", "mien train", "train", ("cv2", "pyarrow")),
    (
        "train emotion-cpu --data {0} --out {0}.run",
        "mien train",
        "train",
        ("cv2", "torch", "matplotlib", "tensorboard"),
    ),
    ("train detector --data {0} --out {0}.run", "mien train", "train", ("torch", "matplotlib")),
    ("train svm-hog --data {0} --out {0}.run", "mien train", "train", ("sklearn", "skops")),
    ("tune emotion-cpu --data {0} --out {0}.run", "mien tune", "tune", ("pyarrow", "optuna", "matplotlib")),
    ("reproduce --data {0} --out {0}.run", "mien reproduce", "train", ("torch", "skops")),
    ("export {0} --out {0}.onnx", "mien export", "train", ("torch", "onnxscript")),
    ("evaluate emotion --data {0} --report {0}.report", "mien evaluate", "train", ("cv2", "pyarrow", "matplotlib")),
    ("evaluate mien --data {0} --json {0}.json", "mien evaluate", "train", ("cv2", "pyarrow")),
    ("calibrate emotion --data {0} --out {0}.onnx", "mien calibrate", "train", ("cv2", "pyarrow", "onnx")),
    ("quantize emotion --data {0} --out {0}.onnx", "mien quantize", "train", ("cv2", "pyarrow", "onnx")),
    ("explain {0} --out {0}.maps", "mien explain", "explain", ("cv2", "captum", "matplotlib")),
]
"""Call, subject of the message, extra, modules that may be missing; {0} is the photo."""
INFERENCE_CALLS = [
    ("analyze {1} --csv {0}.csv", "reading a video", "video", ("av",)),
    ("analyze {1} --save {0}.mp4 --csv {0}.csv", "reading a video", "video", ("av",)),
    ("analyze {1} --report {0}.report --export boris --export-to {0}.out", "reading a video", "video", ("av",)),
    ("analyze {0} {1} --report {0}.report", "reading a video", "video", ("av",)),
    ("analyze {2} --sequence 25 --save {0}.mp4 --csv {0}.csv", "writing a video", "video", ("av",)),
    ("analyze {0} --parquet {0}.parquet --csv {0}.csv --save {0}.faces.png", "Parquet output", "tables", ("pyarrow",)),
    ("analyze {2} --sequence 25 --parquet {0}.parquet --report {0}.report", "Parquet output", "tables", ("pyarrow",)),
    ("live 0 --csv {0}.csv --record {0}.mp4", "reading a camera", "video", ("av",)),
    ("batch {0} {0}.batch", "a batch", "batch", ("pyarrow",)),
    ("batch {1} {0}.batch", "reading a video", "video", ("av",)),
    ("notice --out {0}.txt --sign {0}.pdf", "a sign", "plots", ("matplotlib",)),
    ("agree {3} {3} --json {0}.json --timeline {0}.svg", "a timeline", "plots", ("matplotlib",)),
]
"""As `LABORATORY`; {1} is a video, {2} a folder of numbered pictures, {3} a coding."""


@pytest.mark.parametrize(
    ("call", "what", "extra", "missing"),
    [(*row[:3], module) for row in (*LABORATORY, *INFERENCE_CALLS) for module in row[3]],
)
def test_commands_name_their_extra_before_anything_is_opened(
    photo: Path, tmp_path: Path, call: str, what: str, extra: str, missing: str
) -> None:
    video, pictures, coding = photo.with_name("clip.mp4"), photo.with_name("pictures"), photo.with_name("coding.csv")
    video.write_bytes(b"no video; it is not read")
    pictures.mkdir(exist_ok=True)
    coding.write_text("tier,label,start,end\n", encoding="utf-8")
    old = photo.with_name(f"{photo.name}.csv")
    old.write_text("rows of an earlier run\n", encoding="utf-8")
    before = set(photo.parent.rglob("*"))
    result = run(*call.format(photo, video, pictures, coding).split(), without=(missing,))
    package = PACKAGES.get(missing, missing)
    assert result.stderr == f"mien: {what} needs the package '{package}'; pip install 'mien[{extra}]'\n"
    assert (result.returncode, result.stdout, set(photo.parent.rglob("*"))) == (1, "", before)
    assert old.read_text(encoding="utf-8") == "rows of an earlier run\n"


def test_photos_beside_a_video_are_analysed_without_pyav(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video; it is not read")
    result = run("analyze", str(photo), str(tmp_path / "clip.mp4"), "--csv", str(tmp_path / "f.csv"), without=("av",))
    assert result.returncode == 1
    assert result.stderr == "mien: reading a video needs the package 'av'; pip install 'mien[video]'\n"
    assert len((tmp_path / "f.csv").read_text(encoding="utf-8").splitlines()) == 2


def test_a_batch_runs_where_only_its_own_extra_is_installed(photo: Path, tmp_path: Path) -> None:
    code = (
        "import importlib.metadata as metadata\n"
        "def version(name, known=metadata.version):\n"
        "    if name in ('opencv-python-headless', 'av'):\n"
        "        raise metadata.PackageNotFoundError(name)\n"
        "    return known(name)\n"
        "metadata.version = version\n"
        "from mien.cli import main\n"
        "main()"
    )
    call = [sys.executable, "-c", code, "batch", str(photo), str(tmp_path / "out"), "--workers", "1"]
    result = subprocess.run(call, capture_output=True, text=True, timeout=250)
    assert result.returncode == 0, result.stderr
    [made] = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))["runs"]
    assert "pyarrow" in made["packages"]
    assert "av" not in made["packages"]
