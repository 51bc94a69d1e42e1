"""Maps of shuffled networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.datasets import noise
from helpers.patch_network import IDENTITY, attention_network
from mien.explain.sanity import _spearman, randomisation_test, shuffle_weights
from mien.networks.catalog import get_network


def test_shuffling_keeps_the_values_and_the_network() -> None:
    module = get_network("attention-parallel").build({"answer": 2})
    before = module.state_dict()["dense.weight"].clone()
    other = shuffle_weights(module, ["dense"], 0)
    after = other.state_dict()["dense.weight"]
    assert torch.equal(module.state_dict()["dense.weight"], before)
    assert not torch.equal(after, before)
    assert torch.equal(after.flatten().sort().values, before.flatten().sort().values)
    assert torch.equal(other.state_dict()["extract.0.weight"], module.state_dict()["extract.0.weight"])


def test_maps_of_gradients_change_when_weights_are_shuffled() -> None:
    torch.manual_seed(0)
    model = attention_network("attention-parallel", IDENTITY)
    crops = noise(4, 48, 48, 1, seed=3)
    found = randomisation_test(model, model.head(), crops, np.zeros(4, np.int64), ("saliency",), stages=3)
    assert found["shuffled"] == [1, 6, 11]
    assert found["layers"][0] == "heads.answer"
    one = found["methods"]["saliency"]
    assert len(one["spearman"]) == len(one["ssim"]) == 3
    assert abs(one["spearman"][-1]) < 0.5
    assert all(-1 <= value <= 1 for value in (*one["spearman"], *one["ssim"]))


def test_likeness_of_maps() -> None:
    a = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)
    assert _spearman(a, a) == pytest.approx(1)
    assert _spearman(a, -(a**3)) == pytest.approx(1), "magnitudes are compared"
    assert _spearman(a, 1 - a) == pytest.approx(-1)
    flat = a.copy()
    flat[0] = 0
    assert _spearman(a, flat) == pytest.approx(0.5), "a flat map correlates with nothing"
    assert _spearman(a, np.zeros_like(a)) == 0
