"""An ONNX file of `mien export` as a graph that can be changed, with the card inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mien.errors import MissingExtraError, ModelError
from mien.models.card import METADATA_KEY, Card
from mien.models.catalog import read_model


def load_with_card(model: str | Path, purpose: str) -> tuple[Any, Any, Card]:
    """The ``ModelProto``, its metadata entry that holds the card as JSON, and the card.

    Args:
        model: a shipped model's name, or an ``.onnx`` file.
        purpose: what onnx is needed for, for the error where it is not installed.

    Raises:
        MissingExtraError: the package onnx is not installed.
        ModelError: not a file with a card.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("onnx", "train", purpose) from None
    proto = onnx.load_model_from_string(read_model(model))
    entry = next((prop for prop in proto.metadata_props if prop.key == METADATA_KEY), None)
    if entry is None:
        raise ModelError("holds no card", path=model, advice="use a file that `mien export` wrote", code="card-missing")
    return proto, entry, Card.from_json(entry.value)
