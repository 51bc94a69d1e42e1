"""What the recipes of published systems share; each file holds only the settings of its source.

A recipe with the name of a network trains it as its source did. ``…-improved`` trains the same network in the way of
Mien's own models: both label sets as two heads, soft targets, AdamW, cosine, averaged weights, augmentation, and the
official splits of FER2013.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from mien.labels import FER2013
from mien.networks.catalog import NETWORKS
from mien.recipes.emotion import EMOTION_CPU
from mien.training.config import NO_AUGMENTATION, HeadSpec, OptimizerConfig, Recipe, ScheduleConfig, SplitRoles
from mien.training.search_space import Choice, Dimension, Integer, LogUniform, SearchSpace, Uniform

EMOTIONS = (HeadSpec("emotion", FER2013.names, "emotion"),)
"""FER2013's seven labels."""
RAW_MEAN, RAW_STD = (0.0,), (1 / 255,)
"""Gray pixels without normalisation, 0–255."""
FLIP = replace(NO_AUGMENTATION, flip=0.5)
CONSTANT = ScheduleConfig("constant", warmup_epochs=0.0)
BOTH_TESTS = SplitRoles(validation=("validation", "test"), test=("validation", "test"))
"""Validation and test on PublicTest and PrivateTest together, the test folder of FER2013's Kaggle layout."""
KERAS_EPS = 1e-7
DROPOUT, MIRROR = Uniform("dropout", 0.0, 0.6), Uniform("augment.flip", 0.0, 0.5)
"""What a search may change, here and below."""
PLATEAU = (Uniform("schedule.factor", 0.05, 0.7), Integer("schedule.patience", 0, 4))
ROTATE, TRANSLATE = Uniform("augment.rotate", 0.0, 20.0), Uniform("augment.translate", 0.0, 0.15)
SMOOTHING = Uniform("heads.emotion.smoothing", 0.0, 0.2)


def adam(lr: float, *, keras: bool = False) -> OptimizerConfig:
    """Adam without weight decay."""
    return OptimizerConfig("adam", lr=lr, weight_decay=0.0, eps=KERAS_EPS if keras else 1e-8)


def search_space(lr: tuple[float, float], batch_sizes: tuple[int, ...], *more: Dimension) -> SearchSpace:
    """What `mien tune` may change: the learning rate within these limits, the batch size, and more."""
    return SearchSpace((LogUniform("optimizer.lr", *lr), Choice("batch_size", batch_sizes), *more))


def space_for(network: str, space: SearchSpace | None, *, without: Collection[str] = ()) -> SearchSpace | None:
    """The part of a search space that applies to the network: no dropout where it has none, no field in ``without``."""
    if space is None:
        return None
    has_dropout = NETWORKS[network].dropout is not None
    kept = (one for one in space.dimensions if one.field not in without)
    return SearchSpace(tuple(one for one in kept if has_dropout or one.field != "dropout"))


def improved_recipe(network: str, *, epochs: int = 40, lr: float = 3e-3, channels: int = 1) -> Recipe:
    """The network with the training of Mien's own emotion model."""
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
