"""The table of networks: Mien's own, and those of the published systems. To add one, write a file and a row here.

This file loads no torch; a network is imported when it is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.errors import unknown_name
from mien.networks.spec import Heads, NetworkSpec
from mien.published.networks.catalog import PUBLISHED_NETWORKS

if TYPE_CHECKING:
    from torch import nn


def _emotion(heads: Heads, dropout: float = 0.2) -> nn.Module:
    from mien.networks.seresnet import SEResNet

    return SEResNet(
        heads, channels=1, stem=((32, 1),), widths=(32, 64, 112, 160), depths=(1, 2, 2, 2), strides=(1, 2, 2, 2),
        dropout=dropout,
    )  # fmt: skip


def _emotion_fast(heads: Heads, dropout: float = 0.2) -> nn.Module:
    from mien.networks.seresnet import SEResNet

    return SEResNet(
        heads, channels=1, stem=((24, 1), (48, 2)), widths=(48, 96, 160), depths=(1, 2, 2), strides=(1, 2, 2),
        dropout=dropout,
    )  # fmt: skip


def _emotion_wide(heads: Heads, dropout: float = 0.3) -> nn.Module:
    from mien.networks.seresnet import SEResNet

    return SEResNet(
        heads, channels=1, stem=((64, 1),), widths=(96, 192, 320, 512), depths=(2, 2, 2, 2), strides=(1, 2, 2, 2),
        dropout=dropout,
    )  # fmt: skip


def _age(heads: Heads, dropout: float = 0.2) -> nn.Module:
    from mien.networks.seresnet import SEResNet

    return SEResNet(
        heads, channels=3, stem=((24, 2), (48, 1)), widths=(64, 96, 128), depths=(1, 2, 2), strides=(2, 2, 2),
        dropout=dropout,
    )  # fmt: skip


OWN_NETWORKS: Mapping[str, NetworkSpec] = {
    "emotion": NetworkSpec(
        _emotion,
        48,
        "gray",
        1_458_695,
        "SE-ResNet, full-resolution first stage",
        statistics=3_552,
        megamacs=209.1,
        dropout=0.2,
    ),
    "emotion-fast": NetworkSpec(
        _emotion_fast,
        48,
        "gray",
        1_215_693,
        "SE-ResNet, half-resolution first stage",
        statistics=2_896,
        megamacs=103.3,
        dropout=0.2,
    ),
    "emotion-wide": NetworkSpec(
        _emotion_wide,
        48,
        "gray",
        13_812_839,
        "SE-ResNet, wide: a teacher",
        statistics=11_328,
        megamacs=2196.3,
        dropout=0.3,
    ),
    "age": NetworkSpec(
        _age, 64, "rgb", 972_449, "SE-ResNet on quarter-resolution maps", {"age": 9}, 2_768, megamacs=57.5, dropout=0.2
    ),
}
"""Networks of the models that Mien ships, and of their teacher."""

NETWORKS: Mapping[str, NetworkSpec] = {**OWN_NETWORKS, **PUBLISHED_NETWORKS}
"""Every network by name.

Examples:
    >>> "emotion-fast" in NETWORKS, len(NETWORKS) > 10
    (True, True)
"""


def get_network(name: str) -> NetworkSpec:
    """The row with this name.

    Raises:
        InputError: no such name; the message lists those there are (code "network-unknown").

    Examples:
        >>> get_network("age").size
        64
    """
    try:
        return NETWORKS[name]
    except KeyError:
        raise unknown_name(
            "network", name, NETWORKS, code="network-unknown", details={"networks": list(NETWORKS)}
        ) from None
