"""Networks rebuilt from ONNX files, and files that are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from mien.errors import ModelError
from mien.explain.from_onnx import rebuild_network
from mien.export import export
from mien.models.catalog import read_model
from mien.models.preprocessing import normalize
from mien.networks.catalog import get_network
from mien.recipes.catalog import get_recipe
from mien.training.config import recipe_to_dict
from mien.training.run_folder import BEST, CONFIG, save_weights, write_json


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
    content = (
        read_model("age")
        .replace(b'"recipe": "age"', b'"recipe": "xyz"')
        .replace(b'"network": "age"', b'"network": "xyz"')
    )
    with pytest.raises(ModelError, match="give the run folder"):
        rebuild_network(content, "other.onnx")


@pytest.mark.parametrize(("name", "biases"), [("small-cnn", 0.0), ("small-cnn", 0.02), ("mini-xception", 0.0)])
def test_exported_baselines_are_rebuilt(name: str, biases: float, tmp_path: Path) -> None:
    """The exporter folds batch norms, and leaves out biases of zeros; a recipe of one's own has no row in the table."""
    recipe = replace(get_recipe(name), name="of-my-own")
    torch.manual_seed(0)
    module = get_network(recipe.network).module(recipe.head_sizes).train()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(biases * torch.randn_like(parameter))
        for seed in range(20):  # so that running statistics are those of pixels
            pixels = np.random.default_rng(seed).integers(0, 256, (8, 48, 48, 1), np.uint8)
            module(torch.from_numpy(normalize(pixels, recipe.mean, recipe.std)))
    save_weights(module.state_dict(), tmp_path / BEST)
    write_json(tmp_path / CONFIG, recipe_to_dict(recipe))
    export(tmp_path, tmp_path / "m.onnx", name="m")
    _, network, rebuilt = rebuild_network((tmp_path / "m.onnx").read_bytes(), "m.onnx")
    assert network == recipe.network
    images = torch.from_numpy(normalize(pixels, recipe.mean, recipe.std))
    with torch.inference_mode():
        torch.testing.assert_close(rebuilt(images), module.eval()(images), atol=1e-3, rtol=1e-3)
