"""ONNX files without a card, as other packages ship them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from helpers.scoring import SEVEN, labelled_faces
from mien.errors import InputError, ModelError
from mien.evaluation.scoring import evaluate, from_onnx

SIDE = 12


def reader(
    path: Path, *, shape: tuple[object, ...] = ("n", 1, SIDE, SIDE), columns: int = 7, softmax: bool = True
) -> Path:
    """A network that reads the label off the first pixel: of k the logit is 2kx − k², largest for k = x."""
    classes = np.arange(columns, dtype=np.float32)
    weights = np.zeros((int(np.prod([side for side in shape[1:] if isinstance(side, int)])), columns), np.float32)
    weights[0] = 2 * classes
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["product"]),
        helper.make_node("Add", ["product", "offsets"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "reader",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(
                "probabilities" if softmax else "logits", TensorProto.FLOAT, (shape[0], columns)
            )
        ],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(-(classes**2), "offsets")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize("shape", [("n", 1, SIDE, SIDE), (4, 1, SIDE, SIDE), ("n", SIDE, SIDE, 1), (1, SIDE, SIDE, 3)])
@pytest.mark.parametrize("softmax", [True, False])
def test_a_network_without_a_card_is_scored(tmp_path: Path, shape: tuple[object, ...], softmax: bool) -> None:
    model = from_onnx(reader(tmp_path / "theirs.onnx", shape=shape, softmax=softmax), SEVEN, pixels=(0, 1), threads=1)
    assert (model.name, model.size) == ("theirs", SIDE)
    results = evaluate(model, labelled_faces(70), split="train", flip=False)["results"]
    assert results["fer2013"]["accuracy"] == results["ferplus"]["accuracy"] == 1
    assert results["fer2013"]["log_loss"] < 0.7


def test_pixels_are_scaled_as_the_network_expects(tmp_path: Path) -> None:
    path = reader(tmp_path / "theirs.onnx")
    images = np.full((1, SIDE, SIDE, 1), 103, np.uint8)
    answers = {
        pixels: from_onnx(path, SEVEN, pixels=pixels, threads=1).predict(images, {}, False)["fer2013"].argmax()
        for pixels in ((0.0, 255.0), (100.0, 1.0), (3.0, 20.0))
    }
    assert answers == {(0.0, 255.0): 0, (100.0, 1.0): 3, (3.0, 20.0): 5}


def test_labels_choose_what_is_scored(tmp_path: Path) -> None:
    def heads(*labels: str) -> list[str]:
        path = reader(tmp_path / "theirs.onnx", columns=len(labels))
        return list(from_onnx(path, labels, threads=1).heads)

    assert heads(*SEVEN) == ["ferplus", "fer2013"]
    assert heads(*SEVEN, "contempt") == ["ferplus"]
    assert heads("cat", "dog") == ["emotion"]


def test_what_does_not_fit_is_reported(tmp_path: Path) -> None:
    wide = reader(tmp_path / "wide.onnx", shape=("n", 1, SIDE, 2 * SIDE))
    with pytest.raises(ModelError, match="not gray or RGB images of one fixed size"):
        from_onnx(wide, SEVEN, threads=1)
    few = reader(tmp_path / "few.onnx")
    with pytest.raises(InputError, match="returns 7 values per image for 3 labels"):
        from_onnx(few, SEVEN[:3], threads=1)
    with pytest.raises(InputError, match="second is not 0"):
        from_onnx(few, SEVEN, pixels=(0, 0))
    with pytest.raises(InputError, match="more than one column is labelled 'happy'"):
        from_onnx(few, ("happy", "happy", *SEVEN[2:]), threads=1)
