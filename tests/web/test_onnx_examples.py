"""The programs in ``examples/onnx``: the docs show them; JavaScript, C# and C++ compute what Python does."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from helpers.pictures import astronaut
from mien.detect.mien import MienDetector
from mien.models.catalog import read_model
from mien.models.model import Model
from mien.models.priors import DEFAULT
from mien.predict.classify import crop_faces
from mien.web.page_files import page_files
from mien.web.runtime import PACKAGES

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "onnx"
HEADERS = os.environ.get("MIEN_ONNXRUNTIME_HEADERS")
"""Folder of ``onnxruntime_cxx_api.h``, which the Python package does not have."""

CSHARP = os.environ.get("MIEN_CSHARP_EXAMPLE")
"""Command that runs ``Emotion.cs``, such as ``dotnet run --project FOLDER --``."""


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir()))
def test_the_docs_show_the_programs_as_they_are(name: str) -> None:
    assert (EXAMPLES / name).read_text(encoding="utf-8") in (ROOT / "docs" / "onnx.md").read_text(encoding="utf-8")


@pytest.mark.browser
def test_javascript_computes_what_python_does(tmp_path: Path) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("Node.js is not installed")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", PACKAGES[0].spec]
    installed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    if installed.returncode:
        pytest.skip(f"npm cannot install {PACKAGES[0].spec} here: {installed.stderr.strip()[-200:]}")
    scripts = tmp_path / "site" / "static"
    scripts.mkdir(parents=True)
    for name, text in page_files().items():
        (scripts / name).write_bytes(text)
    shutil.copy(EXAMPLES / "emotion.mjs", tmp_path)
    printed = probabilities([node, "emotion.mjs"], tmp_path)
    assert max(abs(printed - expected(DEFAULT))) < 1e-4


@pytest.mark.skipif(not CSHARP, reason="MIEN_CSHARP_EXAMPLE names no command that runs Emotion.cs")
def test_csharp_computes_what_python_does(tmp_path: Path) -> None:
    assert max(abs(probabilities(shlex.split(CSHARP or ""), tmp_path) - expected("photos"))) < 1e-4


@pytest.mark.skipif(not HEADERS, reason="MIEN_ONNXRUNTIME_HEADERS names no folder of ONNX Runtime's C++ headers")
def test_cpp_computes_what_python_does(tmp_path: Path) -> None:
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    # by the name that programs look for
    (tmp_path / "libonnxruntime.so.1").symlink_to(library)
    command = ["c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", f"-isystem{HEADERS}", str(EXAMPLES / "emotion.cpp")]
    command += [str(library), f"-Wl,-rpath,{tmp_path}", "-o", str(tmp_path / "emotion")]
    subprocess.run(command, check=True, timeout=600)
    assert max(abs(probabilities([str(tmp_path / "emotion")], tmp_path) - expected("photos"))) < 1e-4


def crop(model: Model) -> NDArray[np.uint8]:
    """The aligned face of the portrait."""
    rgb = astronaut()
    return crop_faces(model, rgb, MienDetector(threads=1).detect(rgb), MienDetector.name)


def expected(prior: str) -> NDArray[np.float32]:
    model = Model(read_model("emotion"), threads=1, prior=prior)
    return model(crop(model))[model.card.heads[0].name][0]


def probabilities(program: list[str], folder: Path) -> NDArray[np.float64]:
    """What a program prints of the portrait, in the order of the labels."""
    content = read_model("emotion")
    model = Model(content, threads=1)
    (folder / "emotion.onnx").write_bytes(content)
    (folder / "crop").write_bytes(crop(model).tobytes())
    run = subprocess.run(
        [*program, "emotion.onnx", "crop"], cwd=folder, capture_output=True, text=True, timeout=300, check=True
    )
    print(run.stdout)
    printed = {label: float(value) for label, value in map(str.split, run.stdout.splitlines())}
    labels = model.card.heads[0].labels
    assert printed.keys() == set(labels)
    return np.array([printed[label] for label in labels])
