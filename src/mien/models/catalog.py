"""The one table of shipped models. Adding one takes a file in ``files/`` and a row here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mien.errors import MissingFileError, ModelError, unknown_name

FILES = Path(__file__).parent / "files"
"""The folder of the shipped files."""
_REINSTALL = "pip install --force-reinstall --no-deps mien"


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A row of `MODELS`: a model that comes with the package.

    Attributes:
        filename: in the package's ``models/files``.
        sha256: of the file, hexadecimal; verified on every load.
        task: "emotion" or "age".
        summary: one line for people.
        trained_on: keys of `mien.dataset_terms.DATASET_TERMS`.
        quantized: whether its weights are in 8 bits; such a network cannot be differentiated.

    Examples:
        >>> MODELS["age"].task, MODELS["age"].summary
        ('age', '9 age ranges (FairFace)')
    """

    filename: str
    sha256: str
    task: str
    summary: str
    trained_on: tuple[str, ...]
    quantized: bool = False


_EMOTION_DATA = ("fer2013", "ferplus")

MODELS: Mapping[str, ShippedModel] = {
    "emotion": ShippedModel(
        "emotion.onnx",
        "be2b4ef5faf13648b8c99c3294f1e90c8aa463c61aacb331d5482740fe94ac91",
        "emotion",
        "8 emotions as FER+ raters see them, and 7 FER2013 labels",
        _EMOTION_DATA,
    ),
    "age": ShippedModel(
        "age.onnx",
        "1bfb6316daaff701535797a381d15150d8fc9908124b3596b9c11dbb08bf8a59",
        "age",
        "9 age ranges (FairFace)",
        ("fairface",),
    ),
    "emotion-int8": ShippedModel(
        "emotion-int8.onnx",
        "ee53d43b1a362bd510398d70d0ab7775704543f45a942feb7269ada1a18e68f7",
        "emotion",
        "the network of emotion in 8 bits: less than half the time, up to 0.2 points less accurate",
        _EMOTION_DATA,
        quantized=True,
    ),
}
"""Every shipped model by name.

Examples:
    >>> list(MODELS)
    ['emotion', 'age', 'emotion-int8']
"""


def read_model(model: str | Path) -> bytes:
    """The content of a shipped model, by its name, or of any ONNX file, by its path.

    Args:
        model: a name in `MODELS`, or the path of an ``.onnx`` file.

    Raises:
        InputError: neither a name in the table nor a path that ends in ``.onnx``.
        MissingFileError: no such file.
        ModelError: a shipped file whose hash is wrong.

    Examples:
        >>> content = read_model("emotion")
        >>> hashlib.sha256(content).hexdigest() == MODELS["emotion"].sha256
        True
    """
    row = MODELS.get(str(model))
    path = Path(model) if row is None else FILES / row.filename
    if row is None and path.suffix.lower() != ".onnx":
        raise unknown_name("model", str(model), (*MODELS, "any .onnx file"), code="model-unknown")
    if not path.is_file():
        advice = "check the path" if row is None else f"install mien again: {_REINSTALL}"
        raise MissingFileError("no such model file", path=path, advice=advice)
    content = path.read_bytes()
    if row is not None and (sha256 := hashlib.sha256(content).hexdigest()) != row.sha256:
        raise ModelError(
            f"SHA-256 is {sha256[:12]}…, expected {row.sha256[:12]}…: the file is damaged or was replaced",
            path=path,
            advice=_REINSTALL,
            code="hash-mismatch",
            details={"sha256": sha256, "expected": row.sha256},
        )
    return content
