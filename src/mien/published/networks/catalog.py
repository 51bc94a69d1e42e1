"""The networks of the published systems, as rows of `mien.networks.catalog.NETWORKS`; loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from mien.networks.spec import Heads, NetworkSpec
from mien.published.features import FEATURES

if TYPE_CHECKING:
    from torch import nn

SEVEN: Heads = {"emotion": 7}


def _compact_vgg(heads: Heads) -> nn.Module:
    from mien.published.networks.compact_vgg import compact_vgg

    return compact_vgg(heads)


def _small_cnn(heads: Heads) -> nn.Module:
    from mien.published.networks.plain_cnn import plain_cnn

    return plain_cnn(heads, convolutions=((64, 3), (128, 5), (256, 3)), dense=(256,))


def _large_cnn(heads: Heads, dropout: float = 0.25) -> nn.Module:
    from mien.published.networks.plain_cnn import plain_cnn

    convolutions = ((64, 3), (128, 5), (512, 3), (512, 3))
    return plain_cnn(heads, convolutions=convolutions, dense=(256, 512), dropout=dropout)


def _mini_xception(heads: Heads) -> nn.Module:
    from mien.published.networks.mini_xception import MiniXception

    return MiniXception(heads)


def _age_cnn(heads: Heads) -> nn.Module:
    from mien.published.networks.age_cnn import age_cnn

    return age_cnn(heads, filters=(32, 64, 128, 256), dense=132)


def _age_cnn_small(heads: Heads) -> nn.Module:
    from mien.published.networks.age_cnn import age_cnn

    return age_cnn(heads, filters=(16, 32, 64, 64), dense=66)


def _fusion(
    heads: Heads, dropout: float | None = None, *, model: str, features: tuple[str, ...], batch_norm: bool
) -> nn.Module:
    from mien.published.networks import fusion

    build = fusion.model_a if model == "a" else fusion.model_b
    return build(heads, features, batch_norm, fusion.DROPOUT if dropout is None else dropout)


def _stack(heads: Heads, dropout: float | None = None, *, name: str) -> nn.Module:
    from mien.published.networks import stacked

    builders: Mapping[str, Callable[..., nn.Module]] = {
        "baseline": stacked.baseline_network,
        "pooled": stacked.pooled_network,
        "normed": stacked.normed_network,
        "lean": stacked.lean_network,
        "final": stacked.final_network,
    }
    return builders[name](heads) if dropout is None else builders[name](heads, dropout)


def _attention(heads: Heads, dropout: float = 0.5, *, parallel: bool, deep: bool = False) -> nn.Module:
    from mien.published.networks.attention import AttentionalNetwork

    return AttentionalNetwork(heads, parallel=parallel, deep=deep, dropout=dropout)


def _ferplus_vgg13(heads: Heads) -> nn.Module:
    from mien.published.networks.ferplus_vgg import ferplus_vgg13

    return ferplus_vgg13(heads)


def _fusion_rows() -> dict[str, NetworkSpec]:
    """Models A and B with every set of features, with and without batch norm."""
    sets: Mapping[str, tuple[str, ...]] = {
        "": (), "-landmarks": ("landmarks",), "-hog": ("hog",), "-landmarks-hog": ("landmarks", "hog"),
        "-sliding": ("hog_sliding",), "-landmarks-sliding": ("landmarks", "hog_sliding"),
    }  # fmt: skip
    # pixels alone: trained parameters with five classes; what features add follows from the widths of the branch
    base = {"a": (19_116_357, 40, 512, 100.4), "b": (42_323_845, 128, 896, 128.2)}
    rows = {}
    for model, (parameters, joint, statistics, cost) in base.items():
        for suffix, names in sets.items():
            features = {name: FEATURES[name].length for name in names}
            count = parameters
            if features:
                count += (sum(features.values()) + 1) * 1024 + 2 * 1025 * joint + (2 * joint - 1024) * 5
            for batch_norm in (True, False):
                rows[f"fusion-{model}{suffix}{'' if batch_norm else '-plain'}"] = NetworkSpec(
                    partial(_fusion, model=model, features=names, batch_norm=batch_norm),
                    48,
                    "gray",
                    count - (0 if batch_norm else statistics),
                    f"A. Horseman, FER with CNN in TensorFlow, model {model.upper()}",
                    {"emotion": 5},
                    statistics if batch_norm else 0,
                    features,
                    cost + sum(features.values()) / 1000,
                    dropout=0.044,
                )
    return rows


PUBLISHED_NETWORKS: Mapping[str, NetworkSpec] = {
    "compact-vgg": NetworkSpec(
        _compact_vgg, 100, "rgb", 668_583, "FER with CNNs in TensorFlow", SEVEN, 1_600, megamacs=675.9
    ),
    "small-cnn": NetworkSpec(
        _small_cnn, 48, "gray", 2_863_495, "Bassani, FER model: first network", SEVEN, 1_408, megamacs=164.1
    ),
    "large-cnn": NetworkSpec(
        _large_cnn,
        48,
        "gray",
        4_474_759,
        "Bassani, FER model: larger network",
        SEVEN,
        3_968,
        megamacs=290.5,
        dropout=0.25,
    ),
    "mini-xception": NetworkSpec(
        _mini_xception, 64, "gray", 56_951, "Arriaga et al. 2017", SEVEN, 1_472, megamacs=10.2
    ),
    "age-cnn": NetworkSpec(_age_cnn, 200, "gray", 422_695, "Bassani, age detection", {"age": 7}, megamacs=470.8),
    "age-cnn-small": NetworkSpec(
        _age_cnn_small, 200, "gray", 64_983, "Bassani, age detection: smaller", {"age": 7}, megamacs=104.3
    ),
    **_fusion_rows(),
    **{
        f"stack-{name}": NetworkSpec(
            partial(_stack, name=name),
            48,
            "gray",
            parameters,
            f"Amin et al., Touchy Feely: {name}",
            SEVEN,
            statistics,
            megamacs=cost,
            dropout=dropout,
        )
        for name, parameters, statistics, cost, dropout in (
            ("baseline", 516_423, 0, 1.2, None),
            ("pooled", 38_042_023, 0, 102.4, None),
            ("normed", 3_407_047, 960, 35.5, 0.5),
            ("lean", 503_271, 64, 128.1, None),
            ("final", 5_651_783, 4_992, 476.0, 0.2),
        )
    },
    "attention-sequential": NetworkSpec(
        partial(_attention, parallel=False),
        48,
        "gray",
        66_877,
        "Deep-Emotion, sequential",
        SEVEN,
        20,
        megamacs=3.9,
        dropout=0.5,
    ),
    "attention-parallel": NetworkSpec(
        partial(_attention, parallel=True),
        48,
        "gray",
        47_524,
        "Deep-Emotion, parallel",
        {"emotion": 4},
        20,
        megamacs=2.9,
        dropout=0.5,
    ),
    "attention-deep": NetworkSpec(
        partial(_attention, parallel=True, deep=True),
        48,
        "gray",
        48_434,
        "Deep-Emotion, parallel with one more convolution",
        {"emotion": 4},
        20,
        megamacs=4.8,
        dropout=0.5,
    ),
    "ferplus-vgg13": NetworkSpec(
        _ferplus_vgg13, 64, "gray", 8_757_704, "Barsoum et al. 2016", {"ferplus": 8}, megamacs=875.8
    ),
}
"""Name → network, grouped by source."""
