"""What the recipes of published systems share, so that each file holds only what its source says.

A recipe named after a network alone trains it as its source did. ``…-improved`` trains the same network as Mien's own
models are trained: both label sets as two heads, soft targets, AdamW, cosine, averaged weights, augmentation, and the
official splits of FER2013.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from mien.labels import FER2013
from mien.networks.catalog import NETWORKS
from mien.recipes.emotion import EMOTION_CPU
from mien.training.config import NO_AUGMENT, HeadSpec, Optimizer, Recipe, Schedule, Splits
from mien.training.search_space import Space

EMOTIONS = (HeadSpec("emotion", FER2013.names, "emotion"),)
"""FER2013's seven labels."""
RAW_MEAN, RAW_STD = (0.0,), (1 / 255,)
"""Gray pixels as they are, 0–255."""
FLIP = replace(NO_AUGMENT, flip=0.5)
CONSTANT = Schedule("constant", warmup_epochs=0.0)
BOTH_TESTS = Splits(validation=("validation", "test"), test=("validation", "test"))
"""PublicTest and PrivateTest together, as the test folder of FER2013's Kaggle layout, validated and tested on."""
KERAS_EPS = 1e-7


def adam(lr: float, *, keras: bool = False) -> Optimizer:
    """Adam without weight decay."""
    return Optimizer("adam", lr=lr, weight_decay=0.0, eps=KERAS_EPS if keras else 1e-8)


def space_for(network: str, space: Space | None, *, without: Collection[str] = ()) -> Space | None:
    """The part of a search space that fits the network: no dropout where it has none, and no field in ``without``."""
    if space is None:
        return None
    has_dropout = NETWORKS[network].dropout is not None
    kept = (one for one in space.dimensions if one.field not in without)
    return Space(tuple(one for one in kept if has_dropout or one.field != "dropout"))


def improved(network: str, *, epochs: int = 40, lr: float = 3e-3, channels: int = 1) -> Recipe:
    """The network trained as Mien's own emotion model is."""
    return replace(
        EMOTION_CPU,
        name=f"{network}-improved",
        summary=f"{network} with Mien's training",
        network=network,
        epochs=epochs,
        mean=EMOTION_CPU.mean * channels,
        std=EMOTION_CPU.std * channels,
        optimizer=replace(EMOTION_CPU.optimizer, lr=lr),
        space=space_for(network, EMOTION_CPU.space),
    )
