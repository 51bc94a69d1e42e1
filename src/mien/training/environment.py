"""Provenance of a run: versions, machine, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from mien.cpus import available_cpus, processor_name
from mien.extras import installed_versions

PACKAGES = ("mien", "torch", "lightning", "kornia", "torchmetrics", "numpy", "opencv-python-headless", "onnxruntime")


def source_commit() -> str | None:
    """The git commit of the source tree that runs, with "-dirty" when the package's files differ from it; else None.

    The variable ``MIEN_COMMIT`` takes precedence: it names the commit of a copy on another machine.
    """
    override = os.environ.get("MIEN_COMMIT")
    if override:
        return override
    folder = Path(__file__).parent.parent
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return head + ("-dirty" if _git(folder, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    run = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return run.stdout.strip()


def collect_environment() -> dict[str, Any]:
    """JSON-ready facts about this process's machine and packages."""
    import torch

    return {
        "commit": source_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor_name(),
        "cpus": available_cpus(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "packages": installed_versions(PACKAGES),
    }
