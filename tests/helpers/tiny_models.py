"""An ONNX file of some kilobytes with a card, for tests that damage one or the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.pictures import FRAME
from mien.models.card import METADATA_KEY, Card, CropFrame, Head
from mien.results.faces import Faces


def tiny_card(**changes: Any) -> dict[str, Any]:
    """A valid card of three emotions as JSON has it, with some of its fields changed."""
    frame = CropFrame(FRAME.landmarks, FRAME.boxes, 0.5)
    heads = (Head("emotion", ("happy", "sad", "neutral")),)
    card = Card("tiny", "emotion", 12, "gray", (0.5,), (0.25,), heads, frame, 432, "Apache-2.0", "drawn")
    return asdict(card) | changes


def write_model(path: Path, task: str, labels: Sequence[str], *, ordered: bool = False) -> Path:
    """A model of a head that no code knows, as a file."""
    head = Head("emotion", tuple(labels), ordered=ordered)
    card = json.dumps(tiny_card(name=f"tiny-{task}", task=task, heads=[asdict(head)]))
    path.write_bytes(tiny_network(card, labels=len(labels)))
    return path


def tiny_network(card: str, size: int = 12, labels: int = 3, values: float = 0.1) -> bytes:
    """The ONNX file: one matrix product from ``size``² gray pixels to ``labels`` logits."""
    onnx = pytest.importorskip("onnx")
    kind, helper = onnx.TensorProto.FLOAT, onnx.helper
    weights = np.random.default_rng(0).normal(0, 1, (size * size, labels)).astype(np.float32) * np.float32(values)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["pixels"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["emotion"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("pixels", kind, ["n", 1, size, size])],
        [helper.make_tensor_value_info("emotion", kind, ["n", labels])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: card})
    return bytes(model.SerializeToString())


class OneFace:
    """A detector that finds one face in every picture."""

    name = "fixed"

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        height, width = rgb.shape[:2]
        boxes = np.array([[4, 4, width - 4, height - 4]], np.float32)
        points = np.array([[[14, 15], [26, 15], [20, 21], [15, 28], [25, 28]]], np.float32)
        return Faces.detected(boxes, np.ones(1, np.float32), points, (width, height))
