"""Contracts of the whole table of networks: counts, shapes, gradients, determinism, export."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helpers.network_inputs import example, run
from mien.networks.catalog import NETWORKS
from mien.published.networks.attention import AttentionalNetwork

# slow tests run one row per model of those that differ only in their features
FAMILIES = [
    name for name in NETWORKS if not name.startswith("fusion-") or name in ("fusion-a-landmarks-hog", "fusion-b-plain")
]


@pytest.mark.parametrize("name", NETWORKS)
def test_counts(name: str) -> None:
    row = NETWORKS[name]
    with torch.device("meta"):
        module = row.build(row.heads).eval()
        x, features = torch.empty(1, 1 if row.channels == "gray" else 3, row.size, row.size), {}
        features = {key: torch.empty(1, length) for key, length in row.features.items()}
    assert sum(p.numel() for p in module.parameters()) == row.parameters
    assert sum(b.numel() for key, b in module.named_buffers() if "running" in key) == row.statistics
    with FlopCounterMode(display=False) as counter:
        run(module, x, features)
    assert counter.get_total_flops() / 2e6 == pytest.approx(row.megamacs, rel=0.01, abs=0.1)


@pytest.mark.parametrize("name", FAMILIES)
def test_contract(name: str) -> None:
    torch.manual_seed(0)
    row = NETWORKS[name]
    heads = {"one": 3, "two": 5}
    module = row.build(heads)
    x, features = example(row, 3)
    out = run(module.train(), x, features)
    assert {key: tuple(v.shape) for key, v in out.items()} == {"one": (3, 3), "two": (3, 5)}
    sum((v**2).sum() for v in out.values()).backward()
    for parameter_name, parameter in module.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
    moved = [key for key, p in module.named_parameters() if p.ndim > 1 and not (p.grad != 0).any()]
    # blocks that start as the identity pass nothing back into their own layers at first; so does a transformer
    assert not [key for key in moved if "blocks." not in key and "localise" not in key], moved
    with torch.no_grad():
        module.eval()
        once, again = run(module, x, features), run(module, x, features)
    for key in heads:
        assert torch.isfinite(once[key]).all()
        assert torch.equal(once[key], again[key])


# the large ones and those whose layers a smaller one has as well
LONG = ("emotion", "emotion-wide", "age", "large-cnn", "fusion-b-plain", "stack-pooled", "stack-normed", "age-cnn")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in FAMILIES]
)
def test_onnx_parity(name: str) -> None:
    from mien.export import onnx_logit_difference, to_onnx

    torch.manual_seed(1)
    row = NETWORKS[name]
    module = row.build({"one": 3, "two": 5}).eval()
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm1d)):
            nn.init.uniform_(layer.running_mean, -0.2, 0.2)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    if isinstance(module, AttentionalNetwork):
        # away from the identity, where the grid samples between pixels and beyond the edge
        nn.init.normal_(module.localise[-1].weight, std=0.05)
    x, features = example(row, 3, seed=4)
    model = to_onnx(module, x[:2], {key: v[:2] for key, v in features.items()}, ("one", "two"))
    assert [i.name for i in model.graph.input] == ["images", *(f"feature_{key}" for key in row.features)]
    assert onnx_logit_difference(model.SerializeToString(), module, x, features) <= 1e-4
