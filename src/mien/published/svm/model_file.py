"""The file of a trained support-vector machine (skops).

skops writes arrays and the names of types, never code; a file that names a type outside `TRUSTED_TYPES` is refused
before anything in it is loaded.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import Any

from mien.errors import MissingExtraError, ModelError
from mien.files import atomic_path

TRUSTED_TYPES = frozenset(
    {
        ("sklearn.pipeline", "Pipeline"),
        ("sklearn.preprocessing._data", "StandardScaler"),
        ("sklearn.svm._classes", "SVC"),
        ("sklearn.svm._classes", "LinearSVC"),
        ("numpy", "ndarray"),
        ("numpy", "float64"),
        ("numpy", "int32"),
        ("numpy", "int64"),
        ("builtins", "dict"),
        ("builtins", "list"),
        ("builtins", "str"),
        ("builtins", "tuple"),
    }
)
"""(module, type) of everything that a model file may name."""

_DAMAGE = (
    zipfile.BadZipFile, zlib.error, OSError, ArithmeticError, AttributeError, EOFError, ImportError, LookupError,
    RuntimeError, SyntaxError, TokenError, TypeError, ValueError,
)  # fmt: skip
"""What reading a damaged file raises: in the zip, in its JSON, and where objects and arrays are made of it."""


def save_svm_model(pipeline: Any, path: Path) -> None:
    """Write a fitted scikit-learn pipeline, atomically."""
    sio = import_skops()
    with atomic_path(path) as temporary:
        sio.dump(pipeline, temporary)


def load_svm_model(path: Path) -> Any:
    """Read a fitted scikit-learn pipeline.

    Raises:
        ModelError: a damaged file, or one that names a type outside `TRUSTED_TYPES` (code "model-untrusted").
        MissingExtraError: skops is not installed.
    """
    sio = import_skops()
    try:
        with zipfile.ZipFile(path) as archive:
            named = _named_types(json.loads(archive.read("schema.json")))
        untrusted = [".".join(name) for name in sorted(named - TRUSTED_TYPES)]
        if untrusted:
            raise ModelError(
                f"names the type {untrusted[0]}, which no model of Mien's holds",
                path=path,
                advice="do not use a file from a source you do not trust",
                code="model-untrusted",
                details={"types": untrusted},
            )
        return sio.load(path, trusted=[])
    except ModelError:
        raise
    except _DAMAGE as error:
        raise ModelError(f"not a readable model ({error})", path=path, advice="train it again") from None


def import_skops() -> Any:
    """``skops.io``; raises `MissingExtraError` where it is not installed."""
    try:
        import skops.io as sio
    except ImportError:
        raise MissingExtraError("skops", "train", "a support-vector machine") from None
    return sio


def _named_types(node: Any) -> set[tuple[str, str]]:
    """Every type that a schema of skops names, at any depth."""
    if isinstance(node, dict):
        here = {(str(node.get("__module__")), str(node["__class__"]))} if "__class__" in node else set()
        return here.union(*map(_named_types, node.values()))
    return set().union(*map(_named_types, node)) if isinstance(node, list) else set()
