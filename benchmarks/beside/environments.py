"""Makes an environment for each package, and says how large it is."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from beside.table import WHEEL, Environment

ROOT = Path(__file__).parents[2]
INSTALLING = 3600
"""Seconds an installation may take."""


def site_of(folder: Path) -> Path:
    """Where a Python environment's packages lie."""
    return next((folder / "lib").glob("python*")) / "site-packages"


def wheel(folder: Path) -> Path:
    """Build this repository's wheel into the folder."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=INSTALLING)
    return next(folder.glob("mien-*.whl"))


def make(environment: Environment, folder: Path, wheels: Path) -> dict[str, Any]:
    """Install it into an empty folder; what was installed, its size, and how long that took.

    An environment that is already there, whole, is taken as it is: ``made.json`` in it says what it is.
    """
    note = folder / "made.json"
    if note.is_file():
        return json.loads(note.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start = time.perf_counter()
    if environment.kind == "python":
        packages = [str(wheel(wheels)) if name == WHEEL else name for name in environment.packages]
        # without pip of its own, so that all that lies in it is the package and what it needs
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=600)
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
        subprocess.run([*pip, *packages], check=True, timeout=INSTALLING)
        about = python_sizes(site_of(folder), environment.named)
    else:
        (folder / "package.json").write_text('{"private": true}\n')
        # --ignore-scripts: what an installation script fetches from outside the registry is not part of the package
        npm = ["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", *environment.packages]
        subprocess.run(npm, check=True, cwd=folder, timeout=INSTALLING)
        about = node_sizes(folder, environment.named)
    about = {"install_s": time.perf_counter() - start, **about}
    note.write_text(json.dumps(about, indent=1))
    return about


def megabytes(folder: Path) -> dict[str, float]:
    """Megabytes of each top-level entry, links not counted."""
    sizes: dict[str, float] = {}
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            top = file.relative_to(folder).parts[0]
            sizes[top] = sizes.get(top, 0.0) + file.stat().st_size / 1e6
    return sizes


def python_sizes(site: Path, named: tuple[str, ...]) -> dict[str, Any]:
    sizes = megabytes(site)
    installed = {normal(d.metadata["Name"]): d.version for d in importlib.metadata.distributions(path=[str(site)])}
    cuda = sum(size for name, size in sizes.items() if name.lower().startswith(("nvidia", "triton")))
    return {
        "mb": sum(sizes.values()),
        "cuda_mb": cuda,
        "packages": len(installed),
        "versions": {name: installed[normal(name)] for name in named if normal(name) in installed},
        "largest": largest(sizes),
    }


def node_sizes(folder: Path, named: tuple[str, ...]) -> dict[str, Any]:
    modules = folder / "node_modules"
    sizes = megabytes(modules)
    lock = json.loads((modules / ".package-lock.json").read_text())["packages"]
    return {
        "mb": sum(sizes.values()),
        "cuda_mb": 0.0,
        "packages": len(lock),
        "versions": {name: lock[f"node_modules/{name}"]["version"] for name in named},
        "largest": largest(sizes),
    }


def largest(sizes: dict[str, float], count: int = 4) -> dict[str, float]:
    return dict(sorted(sizes.items(), key=lambda item: -item[1])[:count])


def normal(name: str) -> str:
    """A distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
