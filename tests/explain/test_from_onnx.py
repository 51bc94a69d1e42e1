"""Networks rebuilt from ONNX files, and files that are refused."""

from __future__ import annotations

import onnx
import pytest

from mien.errors import ModelError
from mien.explain.from_onnx import rebuild_network
from mien.models.catalog import read_model


def test_a_file_of_another_network_is_refused() -> None:
    model = onnx.load_from_string(read_model("age"))
    model.graph.initializer[0].name = "other"
    for node in model.graph.node:
        node.input[:] = ["other" if name == "module.stem.0.weight" else name for name in node.input]
    with pytest.raises(ModelError, match="give the run folder"):
        rebuild_network(model.SerializeToString(), "other.onnx")


def test_a_file_that_computes_something_else_is_refused() -> None:
    model = onnx.load_from_string(read_model("age"))
    added = onnx.helper.make_node("Add", ["raw", "raw"], ["age"])
    for node in model.graph.node:
        node.output[:] = ["raw" if name == "age" else name for name in node.output]
    model.graph.node.append(added)
    with pytest.raises(ModelError, match="logits would differ"):
        rebuild_network(model.SerializeToString(), "other.onnx")


def test_a_file_of_an_unknown_recipe_is_refused() -> None:
    content = read_model("age").replace(b'"recipe": "age-cpu"', b'"recipe": "age-xyz"')
    with pytest.raises(ModelError, match="give the run folder"):
        rebuild_network(content, "other.onnx")
