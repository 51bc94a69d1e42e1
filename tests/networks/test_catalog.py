"""Contracts of the whole table of networks: counts, shapes, gradients, determinism, export."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mien.networks.catalog import NETWORKS
from mien.networks.spec import NetworkSpec
from mien.published.features import FEATURES
from mien.published.networks.attention import AttentionalNetwork

# of the rows that differ only in what joins the dense layers, one a model stands for the others where a test is slow
FAMILIES = [
    name for name in NETWORKS if not name.startswith("fusion-") or name in ("fusion-a-landmarks-hog", "fusion-b-plain")
]


def example(row: NetworkSpec, n: int, seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(n, 1 if row.channels == "gray" else 3, row.size, row.size, generator=generator)
    return pixels, {name: torch.randn(n, length, generator=generator) for name, length in row.features.items()}


def run(module: nn.Module, x: Tensor, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    logits: dict[str, Tensor] = module(x, features) if features else module(x)
    return logits


# counts that the sources print or that follow from their layers, without and with batch statistics
PRINTED = {
    "compact-vgg": (668_583, 670_183),
    "small-cnn": (2_863_495, 2_864_903),
    "large-cnn": (4_474_759, 4_478_727),
    "mini-xception": (56_951, 58_423),
    "age-cnn": (422_695, 422_695),
    "age-cnn-small": (64_983, 64_983),
    "attention-sequential": (66_877, 66_897),
    "attention-parallel": (47_524, 47_544),
    "attention-deep": (48_434, 48_454),
    "ferplus-vgg13": (8_757_704, 8_757_704),
}


@pytest.mark.parametrize("name", PRINTED)
def test_parameters_are_those_of_the_source(name: str) -> None:
    row = NETWORKS[name]
    assert (row.parameters, row.parameters + row.statistics) == PRINTED[name]


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
    from mien.export import onnx_parity, to_onnx

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
    assert onnx_parity(model.SerializeToString(), module, x, features) <= 1e-4


def test_features_join_in_the_order_of_the_table() -> None:
    torch.manual_seed(0)
    row = NETWORKS["fusion-a-landmarks-hog"]
    assert list(row.features.items()) == [("landmarks", 136), ("hog", 72)]
    assert all(FEATURES[name].length == length for name, length in row.features.items())
    module = row.build({"emotion": 5}).eval()
    x, features = example(row, 2)
    turned = {name: features[name] for name in reversed(features)}
    with torch.no_grad():
        assert torch.equal(module(x, features)["emotion"], module(x, turned)["emotion"])
        changed = features | {"hog": features["hog"] + 1}
        assert not torch.equal(module(x, features)["emotion"], module(x, changed)["emotion"])


@pytest.mark.parametrize("parallel", [False, True])
def test_a_transformer_starts_as_the_identity(parallel: bool) -> None:
    torch.manual_seed(0)
    module = AttentionalNetwork({"emotion": 7}, parallel=parallel).eval()
    x = torch.randn(2, 1, 48, 48)
    regions = module.regions(x)
    np.testing.assert_allclose(regions.detach(), np.tile(np.eye(2, 3, dtype=np.float32), (2, 1, 1)))
    with torch.no_grad():
        straight = module.extract(x).flatten(1)
        wanted = module.heads["emotion"](torch.relu(module.dense(straight)))
        torch.testing.assert_close(module(x)["emotion"], wanted, atol=1e-4, rtol=1e-4)


def test_batch_norm_can_be_left_out() -> None:
    with torch.device("meta"):
        plain = NETWORKS["fusion-b-plain"].build({"emotion": 5})
    assert not [m for m in plain.modules() if isinstance(m, nn.BatchNorm2d)]
    assert NETWORKS["fusion-b"].parameters - NETWORKS["fusion-b-plain"].parameters == 2 * (64 + 128 + 256)
