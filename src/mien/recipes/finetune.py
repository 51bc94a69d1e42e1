"""Classes of your own from the weights of a trained network: its last stage learns, all before it stays as it is.

    mien data prepare pictures/ --labels own --out own.parquet
    mien train finetune --from emotion --data own.parquet --out runs/own
    mien export runs/own --out own.onnx
    mien calibrate own.onnx --data own.parquet --sets --flags --out complete.onnx

A linear classifier on the frozen network's features is fitted first and is where training starts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.datasets.dataset import Dataset
from mien.errors import DataError, InputError
from mien.labels import OWN
from mien.models.card import Card
from mien.models.catalog import FILES, MODELS, read_model
from mien.models.crop_frames import FRAMES
from mien.models.model import Model
from mien.networks.catalog import OWN_NETWORKS
from mien.recipes.catalog import trained_network
from mien.recipes.classes import CLASSES, classes_recipe
from mien.text import count
from mien.training.config import Augmentation, OptimizerConfig, Recipe, ScheduleConfig

FINETUNE = replace(
    CLASSES,
    name="finetune",
    summary="classes of your own from the weights of a trained network (--from); its last stage learns",
    epochs=12,
    batch_size=32,
    augment=Augmentation(rotate=10.0, translate=0.05, scale=(0.9, 1.1)),
    optimizer=OptimizerConfig(lr=4e-4, weight_decay=0.05),
    schedule=ScheduleConfig(warmup_epochs=1.0),
    ema=None,
    frozen=("stem.",),
    space=None,
)
MIN_IMAGES = 10
"""Training images of each class at least."""
TRAINED_BLOCKS = 2
"""Blocks at the end of the network that learn: the last stage of each of `mien.networks.catalog.OWN_NETWORKS`."""


def finetune_recipe(labels: Sequence[str], source: Card, blocks: int, *, own: bool) -> Recipe:
    """The recipe for classes with these labels from a trained network.

    Args:
        labels: of the classes, in order.
        source: the network's card.
        blocks: number of its residual blocks.
        own: whether they are classes of a dataset's own.

    Raises:
        InputError: a network that is not one of Mien's own, or in 8 bits.
    """
    try:
        network = trained_network(source.training)
    except InputError:
        network = ""
    if network not in OWN_NETWORKS or "quantized" in source.training:
        raise InputError(
            f"{source.name} cannot be trained further: it is in 8 bits or no network of mien.networks.catalog",
            advice="start from emotion or age, or from an export of a recipe with such a network",
            code="source-unfit",
        )
    named = classes_recipe(labels, own=own)
    frozen = ("stem.", *(f"blocks.{i}." for i in range(blocks - TRAINED_BLOCKS)))
    # a network that was itself trained from another has a task of its own, and the other's frame
    own_frame = source.task if source.task in FRAMES else ""
    frame = next((name for name, one in FRAMES.items() if one == source.frame), own_frame)
    return replace(
        FINETUNE, task=named.task, heads=named.heads, network=network, mean=source.mean, std=source.std,
        frozen=frozen, frame=frame,
    )  # fmt: skip


def read_source(model: str) -> tuple[Path, Card, int]:
    """The file of a shipped model or an export, its card, and the number of its residual blocks.

    Raises:
        InputError, MissingFileError, ModelError: as `mien.models.catalog.read_model`.
    """
    import onnx

    content = read_model(model)
    card = Model(content, threads=1, name=model).card
    names = [one.name for one in onnx.load_model_from_string(content).graph.initializer]
    numbers = [int(name.split("blocks.")[1].split(".")[0]) for name in names if ".blocks." in name]
    path = FILES / MODELS[model].filename if model in MODELS else Path(model)
    return path, card, max(numbers, default=-1) + 1


def input_note(data: Dataset, source: Card, path: Path) -> str | None:
    """What the images lack that a network takes, and how to prepare them; None where they lack nothing.

    Args:
        data: the images.
        source: the network's card.
        path: of the images, for the text.
    """
    gray = source.channels == "rgb" and data.channels == 1
    if not gray and min(data.size) >= source.size:
        return None
    held = f"{'gray ' if data.channels == 1 else ''}images of {data.size[1]}×{data.size[0]} pixels"
    taken = f"{'colour ' if source.channels == 'rgb' else ''}crops of {source.size}×{source.size}"
    crop = source.task if source.task in FRAMES and source.task != OWN else "emotion"
    return (
        f"{path} holds {held}, and {source.name} takes {taken}: accuracy is lost; prepare the "
        f"{'colour ' if gray else ''}pictures that they were made from with --crop {crop}"
    )


def check_classes(data: Dataset, labels: Sequence[str], path: Path) -> None:
    """Refuse data from which no classes can be learned.

    Raises:
        DataError: fewer than two classes, fewer than `MIN_IMAGES` training images of one, or one without a validation
            image.
    """
    if len(labels) < 2 or data.emotion is None:
        raise DataError(
            f"has {count(len(labels), 'class', 'classes')}, and training needs two",
            path=path,
            advice="add pictures of what is not in the class, in a folder of their own",
            code="one-class",
        )
    of = {split: Counter(data.emotion[np.asarray(data.split == split)].tolist()) for split in ("train", "validation")}
    for i, label in enumerate(labels):
        n = of["train"][i]
        if n < MIN_IMAGES:
            raise DataError(
                f"class {label!r} has {count(n, 'training image')}, and {MIN_IMAGES} are needed",
                path=path,
                advice=f"add pictures of {label!r}, or prepare the file again with --split 70,15,15",
                code="class-too-small",
            )
        if not of["validation"][i]:
            raise DataError(
                f"class {label!r} has no validation image",
                path=path,
                advice="prepare the file again with --split 70,15,15, which divides every class",
                code="class-in-one-split",
            )
