"""The types of the modules that compute in the browser (JSDoc) are those that the compiler of TypeScript finds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TYPESCRIPT = "typescript@5.9.3"

pytestmark = pytest.mark.browser


def test_types_of_the_pipeline_are_consistent(tmp_path: Path) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("Node.js is not installed")
    (tmp_path / "package.json").write_text("{}")
    install = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", TYPESCRIPT]
    installed = subprocess.run(install, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    if installed.returncode:
        pytest.skip(f"npm cannot install {TYPESCRIPT} here: {installed.stderr.strip()[-200:]}")
    compiler = tmp_path / "node_modules" / "typescript" / "bin" / "tsc"
    command = [node, str(compiler), "-p", str(ROOT / "tools" / "jsconfig.json")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert found.returncode == 0, found.stdout
