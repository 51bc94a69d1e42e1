from __future__ import annotations

import torch
from torch import nn

from helpers.network_inputs import example
from mien.networks.catalog import NETWORKS
from mien.published.features import FEATURES


def test_features_join_in_the_order_of_the_table() -> None:
    torch.manual_seed(0)
    row = NETWORKS["fusion-a-landmarks-hog"]
    assert list(row.features.items()) == [("landmarks", 136), ("hog", 72)]
    assert all(FEATURES[name].length == length for name, length in row.features.items())
    module = row.build({"emotion": 5}).eval()
    # a normal distribution cut at two deviations of 0.02
    weights = module.get_submodule("project")[0].weight
    assert weights.abs().max() <= 0.04
    assert abs(weights.std() - 0.0176) < 2e-4
    x, features = example(row, 2)
    turned = {name: features[name] for name in reversed(features)}
    with torch.no_grad():
        assert torch.equal(module(x, features)["emotion"], module(x, turned)["emotion"])
        changed = features | {"hog": features["hog"] + 1}
        assert not torch.equal(module(x, features)["emotion"], module(x, changed)["emotion"])


def test_batch_norm_can_be_left_out() -> None:
    with torch.device("meta"):
        plain = NETWORKS["fusion-b-plain"].build({"emotion": 5})
    assert not [m for m in plain.modules() if isinstance(m, nn.BatchNorm2d)]
    assert NETWORKS["fusion-b"].parameters - NETWORKS["fusion-b-plain"].parameters == 2 * (64 + 128 + 256)
