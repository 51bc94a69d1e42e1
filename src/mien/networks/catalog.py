"""The one table of networks. Adding one is a file and a row here; this file loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.errors import InputError

if TYPE_CHECKING:
    from torch import nn

Heads = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Network:
    """A row of the table.

    Attributes:
        build: head name → number of classes, to a module whose forward gives head name → logits.
        size: side of the square input, pixels.
        channels: "gray" or "rgb".
        parameters: trainable parameters with the heads of the recipe that introduced it.
        source: paper or origin.
    """

    build: Callable[[Heads], nn.Module]
    size: int
    channels: str
    parameters: int
    source: str


def _emotion(heads: Heads) -> nn.Module:
    from mien.networks.seresnet import SEResNet

    return SEResNet(
        heads, channels=1, stem=((32, 1),), widths=(32, 64, 112, 160), depths=(1, 2, 2, 2), strides=(1, 2, 2, 2),
        dropout=0.2,
    )  # fmt: skip


def _emotion_fast(heads: Heads) -> nn.Module:
    from mien.networks.seresnet import SEResNet

    return SEResNet(
        heads, channels=1, stem=((24, 1), (48, 2)), widths=(48, 96, 160), depths=(1, 2, 2), strides=(1, 2, 2),
        dropout=0.2,
    )  # fmt: skip


def _emotion_wide(heads: Heads) -> nn.Module:
    from mien.networks.seresnet import SEResNet

    return SEResNet(
        heads, channels=1, stem=((64, 1),), widths=(96, 192, 320, 512), depths=(2, 2, 2, 2), strides=(1, 2, 2, 2),
        dropout=0.3,
    )  # fmt: skip


def _age(heads: Heads) -> nn.Module:
    from mien.networks.seresnet import SEResNet

    return SEResNet(
        heads, channels=3, stem=((24, 2), (48, 1)), widths=(64, 96, 128), depths=(1, 2, 2), strides=(2, 2, 2),
        dropout=0.2,
    )  # fmt: skip


NETWORKS: Mapping[str, Network] = {
    "emotion": Network(_emotion, 48, "gray", 1_458_695, "SE-ResNet, full-resolution first stage"),
    "emotion-fast": Network(_emotion_fast, 48, "gray", 1_215_693, "SE-ResNet, half-resolution first stage"),
    "emotion-wide": Network(_emotion_wide, 48, "gray", 13_812_839, "SE-ResNet, wide: a teacher"),
    "age": Network(_age, 64, "rgb", 972_449, "SE-ResNet on quarter-resolution maps"),
}


def network(name: str) -> Network:
    """The row of this name; `InputError` lists the names there are."""
    try:
        return NETWORKS[name]
    except KeyError:
        raise InputError(f"no network {name!r}: there are {', '.join(NETWORKS)}") from None
