"""Models that can be explained, and those that cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from helpers.datasets import noise
from mien.errors import InputError, ModelError
from mien.explain import model as explained
from mien.explain.methods import attribution_maps
from mien.explain.model import open_network, target_classes
from mien.models.catalog import MODELS, read_model
from mien.models.model import Model
from mien.networks.catalog import get_network
from mien.recipes.catalog import RECIPES


def test_targets() -> None:
    p = np.array([[0.1, 0.9], [0.8, 0.2]], np.float32)
    np.testing.assert_array_equal(target_classes("predicted", ("a", "b"), p), [[1], [0]])
    np.testing.assert_array_equal(target_classes("all", ("a", "b"), p), [[0, 1], [0, 1]])
    np.testing.assert_array_equal(target_classes("b", ("a", "b"), p), [[1], [1]])
    with pytest.raises(InputError, match="there are predicted, all, a, b"):
        target_classes("c", ("a", "b"), p)


@pytest.mark.parametrize("name", [name for name, row in MODELS.items() if not row.quantized])
def test_shipped_models_can_be_differentiated(name: str) -> None:
    model = open_network(name)
    loaded = Model(read_model(name), threads=1)
    images = noise(3, model.size, model.size, model.channels, seed=5)
    for head in model.heads:
        np.testing.assert_allclose(model.probabilities(model.input(images), head), loaded(images)[head.name], atol=1e-5)
        found = attribution_maps(model, head, images[:1], np.zeros(1, np.int64), "saliency")
        assert found.max() > 0


def test_a_network_in_8_bits_is_refused() -> None:
    with pytest.raises(ModelError, match="explain the network that it was made from"):
        open_network("emotion-int8")


def test_what_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        InputError, match=r"nothing: no such model; there are emotion, age, an \.onnx file, a run folder"
    ):
        open_network("nothing")
    (tmp_path / "model.skops").write_bytes(b"")
    with pytest.raises(InputError, match="support-vector"):
        open_network(tmp_path)
    chosen = next(r for r in RECIPES.values() if get_network(r.network).features)
    # the network itself is large, and what it computes is not asked
    monkeypatch.setattr(explained, "load_run", lambda path: (chosen, nn.Identity(), path))
    with pytest.raises(InputError, match="features in addition to pixels"):
        open_network(Path.cwd())
