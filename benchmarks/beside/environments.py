"""Makes an environment for each package, and reports how large it is."""

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


def make(environment: Environment, folder: Path, wheels: Path, weights_only: bool = False) -> dict[str, Any]:
    """Install it into an empty folder; what was installed, its size, and how long that took.

    An environment that is already there, whole, is taken as it is: ``made.json`` in it states what it is. With
    ``weights_only`` it gets what its classifiers need, which is enough to score them.
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
        if weights_only and environment.weights:
            subprocess.run([*pip, "--no-deps", environment.packages[0]], check=True, timeout=INSTALLING)
            packages = list(environment.weights)
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


def versions(environment: Environment, folder: Path) -> dict[str, str]:
    """The versions of the packages that are reported of it."""
    if environment.kind == "python":
        return _python_versions(site_of(folder), environment.named)
    return _node_versions(folder, environment.named)


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
    cuda = sum(size for name, size in sizes.items() if name.lower().startswith(("nvidia", "triton")))
    return {
        "mb": sum(sizes.values()),
        "cuda_mb": cuda,
        "packages": len(_installed(site)),
        "versions": _python_versions(site, named),
        "largest": largest(sizes),
    }


def node_sizes(folder: Path, named: tuple[str, ...]) -> dict[str, Any]:
    modules = folder / "node_modules"
    sizes = megabytes(modules)
    return {
        "mb": sum(sizes.values()),
        "cuda_mb": 0.0,
        "packages": len(_lock(folder)),
        "versions": _node_versions(folder, named),
        "largest": largest(sizes),
    }


def _installed(site: Path) -> dict[str, str]:
    return {normal(d.metadata["Name"]): d.version for d in importlib.metadata.distributions(path=[str(site)])}


def _python_versions(site: Path, named: tuple[str, ...]) -> dict[str, str]:
    installed = _installed(site)
    return {name: installed[normal(name)] for name in named if normal(name) in installed}


def _lock(folder: Path) -> dict[str, Any]:
    lock: dict[str, Any] = json.loads((folder / "node_modules" / ".package-lock.json").read_text())["packages"]
    return lock


def _node_versions(folder: Path, named: tuple[str, ...]) -> dict[str, str]:
    lock = _lock(folder)
    return {name: lock[f"node_modules/{name}"]["version"] for name in named}


def largest(sizes: dict[str, float], count: int = 4) -> dict[str, float]:
    return dict(sorted(sizes.items(), key=lambda item: -item[1])[:count])


def normal(name: str) -> str:
    """A distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
