"""Optional packages: checked before a command works, so that one line names the extra; versions of those installed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from mien.errors import MissingExtraError

DATA = ("cv2", "pyarrow")
"""Modules without which no dataset is read or written (extra ``data``, which ``train`` and ``audit`` include)."""
NETWORKS = (
    *DATA, "torch", "lightning", "torchmetrics", "kornia", "safetensors", "onnx", "onnxscript", "matplotlib",
    "tensorboard",
)  # fmt: skip
"""Modules without which no network is trained, exported, or scored by the laboratory (extra ``train``)."""
MACHINES = (*DATA, "sklearn", "skops")
"""Modules without which no support-vector machine is trained (extra ``train``)."""
PACKAGES = {"cv2": "opencv-python-headless", "sklearn": "scikit-learn"}
"""Module → the package that holds it, where the names differ."""


def require_extra(extra: str, what: str, *modules: str) -> None:
    """`MissingExtraError` for the first of some modules that is not installed; nothing is imported.

    Args:
        extra: the extra of Mien that installs them all.
        what: what needs them, as the subject of the message.
        modules: top-level names, such as ``cv2``.
    """
    for module in modules:
        if find_spec(module) is None:
            raise MissingExtraError(PACKAGES.get(module, module), extra, what)


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Package → its version, of those that are installed."""
    return {name: version for name in packages if (version := installed_version(name)) is not None}


def installed_version(package: str) -> str | None:
    """The version of a package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def require_for_videos(clips: Iterable[Path], *, annotated: bool = False, parquet: bool = False) -> None:
    """`MissingExtraError` where a run of these videos needs a package that is not installed; nothing is opened.

    Args:
        clips: video files, and folders of numbered pictures, which need no package.
        annotated: annotated videos are written.
        parquet: a Parquet table is written.
    """
    if any(not clip.is_dir() for clip in clips):
        require_extra("video", "reading a video", "av")
    if annotated:
        require_extra("video", "writing a video", "av")
    if parquet:
        require_extra("tables", "Parquet output", "pyarrow")
