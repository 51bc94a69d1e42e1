"""Optional packages that a command needs, checked before it works: one line names the extra that brings them."""

from __future__ import annotations

from importlib.util import find_spec

from mien.errors import MissingExtraError

DATA = ("cv2", "pyarrow")
"""Modules without which no dataset is read or written (extra ``data``, which ``train`` and ``audit`` include)."""
NETWORKS = (*DATA, "torch", "lightning", "torchmetrics", "kornia", "safetensors", "onnx")
"""Modules without which no network is trained, or scored by the laboratory (extra ``train``)."""
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
