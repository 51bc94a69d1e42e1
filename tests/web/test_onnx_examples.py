"""The programs in ``examples/onnx``: the docs show them as they are; that in JavaScript computes what Python does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mien.models.catalog import read_model
from mien.models.model import Model
from mien.web.page_files import page_files
from mien.web.runtime import PACKAGES

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "onnx"


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
    content = read_model("emotion")
    (tmp_path / "emotion.onnx").write_bytes(content)
    model = Model(content, threads=1)
    crop = np.random.default_rng(3).integers(0, 256, (1, model.card.size, model.card.size, 1), np.uint8)
    (tmp_path / "crop").write_bytes(crop.tobytes())
    run = subprocess.run(
        [node, "emotion.mjs", "emotion.onnx", "crop"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    printed = {label: float(value) for label, value in map(str.split, run.stdout.splitlines())}
    head = model.card.heads[0]
    expected = dict(zip(head.labels, model(crop)[head.name][0].tolist(), strict=True))
    assert printed.keys() == expected.keys()
    assert max(abs(printed[label] - expected[label]) for label in expected) < 1e-4
