"""The classes of any dataset: one head on its labels alone, no votes needed.

    mien data prepare pictures/ --labels own --out own.parquet
    mien train classes --data own.parquet --out runs/own

The network and the training of the shipped emotion model; the labels are taken from the data when training starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mien.labels import FER2013
from mien.recipes.emotion import EMOTION_CPU
from mien.training.config import HeadSpec, Recipe
from mien.training.search_space import Choice, LogUniform, SearchSpace, Uniform


def classes_recipe(labels: Sequence[str], *, own: bool) -> Recipe:
    """The recipe for a dataset with these labels; ``own`` are classes of the dataset's own, others are emotions."""
    head = HeadSpec("own" if own else "emotion", tuple(labels), "emotion", smoothing=0.05)
    return replace(CLASSES, task="own" if own else "emotion", heads=(head,))


CLASSES = replace(
    EMOTION_CPU,
    name="classes",
    summary="the classes of any dataset, own ones too: one head, no votes; for two processor cores",
    heads=(HeadSpec("emotion", FER2013.names, "emotion", smoothing=0.05),),
    space=SearchSpace(
        (
            LogUniform("optimizer.lr", 3e-4, 1e-2),
            LogUniform("optimizer.weight_decay", 1e-3, 0.3),
            Uniform("dropout", 0.0, 0.5),
            Uniform("augment.rotate", 0.0, 30.0),
            Uniform("augment.translate", 0.0, 0.15),
            Uniform("augment.erase", 0.0, 0.5),
            Choice("augment.mixup", (0.0, 0.1, 0.2, 0.4)),
        )
    ),
)
