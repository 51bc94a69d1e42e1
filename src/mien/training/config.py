"""Recipes: typed, frozen, without torch, so that listing them costs nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mien.errors import InputError, TrainingError
from mien.training.search_space import SearchSpace, search_space_from_dict

TargetRule = Literal["majority", "crossentropy", "distribution", "emotion", "age"]


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """One head of the network and what it learns.

    Attributes:
        name: the head's name, an output of the network.
        labels: of the columns, in order.
        target: "emotion" (the dataset's own integer label), "majority" | "crossentropy" | "distribution" (FER+ votes
            under that rule), or "age" (bins).
        weight: factor of this head's loss.
        smoothing: share of the target spread evenly over all classes, 0–1.
        neighbour_smoothing: share of the target given to the two adjacent classes (ordered labels such as ages), 0–1.
        subset: the labels are a part of the dataset's; images of the others are left out ("emotion" only).
        scored_on: FER+ heads are scored on the "majority" vote where there is one, or on the largest class of their own
            "target".
        ordered: whether the labels have an order; None where they are all ranges of numbers.
        auxiliary: whether the head answers the question of the first head in another way, see `mien.models.card.Head`.

    Examples:
        >>> HeadSpec("mood", ("calm", "tense"), "emotion", smoothing=0.1).labels
        ('calm', 'tense')
    """

    name: str
    labels: tuple[str, ...]
    target: TargetRule
    weight: float = 1.0
    smoothing: float = 0.0
    neighbour_smoothing: float = 0.0
    subset: bool = False
    scored_on: Literal["majority", "target"] = "majority"
    ordered: bool | None = None
    auxiliary: bool = False

    def __post_init__(self) -> None:
        if not self.name or not self.labels or not all(isinstance(text, str) for text in (self.name, *self.labels)):
            raise InputError(f"head {self.name!r} needs a name and labels, which are strings")


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Random augmentation of a training batch. Ranges are (low, high) factors; probabilities are 0–1.

    Attributes:
        flip: probability of a horizontal flip.
        rotate: greatest rotation either way, degrees.
        translate: greatest shift as a fraction of the side.
        scale: range of zoom factors.
        shear: greatest shear either way, degrees.
        contrast: range of contrast factors.
        brightness: range of brightness factors.
        gamma: range of gamma exponents.
        saturation: range of saturation factors (colour only).
        erase: probability that a rectangle is erased.
        erase_area: its area as a fraction of the image.
        mixup: Beta parameter of mixup, 0 for none.
        noise: largest standard deviation of Gaussian noise, of the range 0–1; this and the three below change three
            images in ten each.
        sharpness: range of the amount of sharpening, from -1 (blurred) upwards.
        resolution: smallest fraction of the side to which images are reduced before they are enlarged again.
        light: largest slope of a ramp of light across half the image.

    Examples:
        >>> Augmentation(rotate=5.0, erase=0.0).flip
        0.5
    """

    flip: float = 0.5
    rotate: float = 15.0
    translate: float = 0.08
    scale: tuple[float, float] = (0.85, 1.15)
    contrast: tuple[float, float] = (0.7, 1.3)
    brightness: tuple[float, float] = (0.8, 1.2)
    gamma: tuple[float, float] = (0.7, 1.4)
    saturation: tuple[float, float] = (1.0, 1.0)
    erase: float = 0.25
    erase_area: tuple[float, float] = (0.02, 0.12)
    mixup: float = 0.0
    shear: float = 0.0
    noise: float = 0.0
    sharpness: tuple[float, float] = (0.0, 0.0)
    resolution: float = 1.0
    light: float = 0.0


NO_AUGMENTATION = Augmentation(
    flip=0.0, rotate=0.0, translate=0.0, scale=(1.0, 1.0), contrast=(1.0, 1.0), brightness=(1.0, 1.0), gamma=(1.0, 1.0),
    erase=0.0,
)  # fmt: skip
"""Images stay as they are.

Examples:
    >>> NO_AUGMENTATION.rotate, NO_AUGMENTATION.scale
    (0.0, (1.0, 1.0))
"""


@dataclass(frozen=True, slots=True)
class SplitRoles:
    """Which of the dataset's splits a run trains on, chooses its checkpoint by, and is tested on.

    Attributes:
        train: splits to train on.
        validation: splits to validate on after every epoch.
        test: splits to score on.
        cap: images of each emotion and role at most, the first of the file; None for all.

    Examples:
        >>> SplitRoles(train=("train", "validation"), validation=("test",), test=("test",)).train
        ('train', 'validation')
    """

    train: tuple[str, ...] = ("train",)
    validation: tuple[str, ...] = ("validation",)
    test: tuple[str, ...] = ("test",)
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """AdamW, Adam or SGD. Weight decay of AdamW and SGD applies to matrices and kernels only.

    Attributes:
        name: "adamw", "adam" or "sgd".
        lr: learning rate.
        weight_decay: of AdamW and SGD.
        momentum: of SGD.
        eps: of Adam and AdamW, added to the denominator.

    Examples:
        >>> OptimizerConfig(lr=1e-3).name
        'adamw'
    """

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.05
    momentum: float = 0.9
    eps: float = 1e-8


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """Learning rate over time.

    Attributes:
        name: "cosine" (linear warm-up, then cosine to ``final`` × lr), "plateau" (× ``factor`` after more than
            ``patience`` epochs without a better validation loss), "exponential" (lr × factor^(step / ``every``)),
            "steps" (lr × the factor of the last of ``steps`` reached) or "constant".
        warmup_epochs: epochs of linear warm-up (all but the plateau).
        final: fraction of lr at the end of the cosine.
        factor: of the plateau and the exponential decay.
        patience: of the plateau, epochs; Keras counts one more for the same behaviour.
        least: the plateau's lowest lr.
        every: optimiser steps over which the exponential decay multiplies by ``factor``.
        steps: (epoch counted from 0, factor of lr from there on), epochs ascending.

    Examples:
        >>> ScheduleConfig("steps", steps=((10, 0.1), (20, 0.01))).steps
        ((10, 0.1), (20, 0.01))
    """

    name: Literal["cosine", "plateau", "constant", "exponential", "steps"] = "cosine"
    warmup_epochs: float = 2.0
    final: float = 0.01
    factor: float = 0.1
    patience: int = 3
    least: float = 0.0
    every: int = 1
    steps: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Distillation:
    """Learn from a trained network's outputs as well.

    Attributes:
        teacher: recipe that trains the teacher; its run folder is given to the train command.
        weight: share of the teacher in the loss, 0–1.
        temperature: softens both distributions; of a teacher that runs alone.
        stored: the teacher is a file of predictions (`mien.training.stored_predictions`), which become a share of the
            targets.

    Examples:
        >>> Distillation(teacher="emotion-teacher").weight
        0.7
    """

    teacher: str
    weight: float = 0.7
    temperature: float = 2.0
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Consistency:
    """Learn from images without labels as well: an altered one keeps the prediction of the original.

    The target of an augmented image is the mean prediction of the same network for the image as it is and for its
    mirror image, so the network becomes less dependent on side, quality and source of an image.

    Attributes:
        weight: of this loss beside that of the labelled images.
        batch_size: images without labels per step.

    Source:
        Xie et al. 2020, "Unsupervised Data Augmentation for Consistency Training", without its sharpening.

    Examples:
        >>> Consistency(batch_size=32).weight
        1.0
    """

    weight: float = 1.0
    batch_size: int = 64

    def __post_init__(self) -> None:
        if not (_are_numbers([self.weight]) and self.weight >= 0 and self.batch_size >= 1):
            raise InputError("consistency: weight must not be negative, and batch_size at least 1")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that determines a training run, except the data file.

    Attributes:
        name: name in the table of recipes.
        summary: one line.
        task: "emotion", "age", or "own" for classes of a dataset's own; results name the first head by it.
        network: name in `mien.networks.catalog.NETWORKS`.
        heads: outputs and targets.
        epochs: passes over the training split.
        batch_size: images per step.
        mean: per channel, of pixel values 0–1.
        std: per channel, of pixel values 0–1.
        ema: decay of the averaged weights, which are validated and saved; None for none.
        early_stopping: epochs without a better score after which training stops, None for never.
        seed: of weights, order, augmentation.
        precision: "auto" is bf16 where the device is faster with it, else float32.
        gradient_clip: greatest gradient norm, None for no limit.
        distill: a teacher, or None.
        consistency: what images without labels teach, or None.
        splits: which split plays which role.
        select: criterion of the best epoch and of early stopping: the "score" (mean validation accuracy of the heads)
            or the validation "loss".
        dropout: probability of the network's dropout, where it can be set; None for the network's own.
        frozen: begins of the names of the network's layers that keep the weights that the run started from.
        frame: name in `mien.models.crop_frames.FRAMES` of where faces lie in the images; empty for that of the task.
        space: what `mien tune` may change, None for nothing. It affects no run and is ignored in comparisons.

    Examples:
        >>> small = Recipe(
        ...     name="small",
        ...     summary="one epoch",
        ...     task="own",
        ...     network="emotion-fast",
        ...     heads=(HeadSpec("mood", ("calm", "tense"), "emotion"),),
        ...     epochs=1,
        ...     mean=(0.5,),
        ...     std=(0.25,),
        ...     frame="emotion",
        ... )
        >>> small.head_sizes, small.frame_name
        ({'mood': 2}, 'emotion')
    """

    name: str
    summary: str
    task: Literal["emotion", "age", "own"]
    network: str
    heads: tuple[HeadSpec, ...]
    epochs: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    batch_size: int = 128
    augment: Augmentation = field(default_factory=Augmentation)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    ema: float | None = 0.999
    early_stopping: int | None = None
    seed: int = 0
    precision: Literal["auto", "bf16", "float32"] = "auto"
    gradient_clip: float | None = 5.0
    distill: Distillation | None = None
    consistency: Consistency | None = None
    splits: SplitRoles = field(default_factory=SplitRoles)
    select: Literal["score", "loss"] = "score"
    dropout: float | None = None
    frozen: tuple[str, ...] = ()
    frame: str = ""
    space: SearchSpace | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not all(isinstance(text, str) for text in (self.name, self.task, self.network)):
            raise InputError(f"recipe {self.name!r}: name, task and network must be strings")
        numbers = _are_numbers([*self.mean, *self.std]) and all(value > 0 for value in self.std)
        if not numbers or len(self.mean) not in (1, 3) or len(self.std) != len(self.mean):
            raise InputError(
                f"recipe {self.name!r}: mean and std must be numbers, std above 0, one for gray and three for colour"
            )
        if self.epochs < 1 or self.batch_size < 1:
            raise InputError(f"recipe {self.name!r}: epochs and batch_size must be at least 1")
        if not self.heads:
            raise InputError(f"recipe {self.name!r}: at least one head is needed")
        if self.ema is not None and not 0.0 < self.ema < 1.0:
            raise InputError(f"recipe {self.name!r}: ema must be a decay between 0 and 1, or None")
        if self.dropout is not None and not 0.0 <= self.dropout < 1.0:
            raise InputError(f"recipe {self.name!r}: dropout must be a probability from 0 to below 1, or None")

    @property
    def head_sizes(self) -> dict[str, int]:
        """Head name → number of classes."""
        return {head.name: len(head.labels) for head in self.heads}

    @property
    def frame_name(self) -> str:
        """Key of `mien.models.crop_frames.FRAMES`: its own frame, or that of the task."""
        return self.frame or self.task


def _are_numbers(values: Sequence[Any]) -> bool:
    """Whether all are numbers within the range of float32."""
    return all(isinstance(value, float | int) and abs(value) < 1e30 for value in values)


def recipe_to_dict(recipe: Recipe, *, space: bool = False) -> dict[str, Any]:
    """The recipe as JSON-ready values: tuples are lists. The search space is left out by default, as in run folders.

    Args:
        recipe: the recipe.
        space: whether its search space is included.

    Examples:
        >>> recipe_to_dict(recipe)["network"]
        'emotion-fast'
    """
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    if not space or recipe.space is None:
        del values["space"]
    for name in ("dropout", "consistency"):
        # keeps files as they were before these fields existed
        if values[name] is None:
            del values[name]
    for name in ("frozen", "frame"):
        if not values[name]:
            del values[name]
    return values


def recipe_from_dict(raw: dict[str, Any]) -> Recipe:
    """The recipe in a run folder's ``config.json``; `TrainingError` when it is not one.

    Examples:
        >>> recipe_from_dict(recipe_to_dict(recipe)) == recipe
        True
    """
    try:
        values = dict(raw)
        heads = tuple(HeadSpec(**(h | {"labels": tuple(h["labels"])})) for h in values.pop("heads"))
        ranges: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.pop("augment").items()}
        distill, consistency = values.pop("distill"), values.pop("consistency", None)
        schedule, splits = dict(values.pop("schedule")), dict(values.pop("splits", {}))
        schedule["steps"] = tuple((int(epoch), float(factor)) for epoch, factor in schedule.get("steps", ()))
        space = values.pop("space", None)
        values["frozen"] = tuple(values.pop("frozen", ()))
        roles: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in splits.items()}
        return Recipe(
            heads=heads,
            augment=Augmentation(**ranges),
            optimizer=OptimizerConfig(**values.pop("optimizer")),
            schedule=ScheduleConfig(**schedule),
            splits=SplitRoles(**roles),
            distill=None if distill is None else Distillation(**distill),
            consistency=None if consistency is None else Consistency(**consistency),
            space=None if space is None else search_space_from_dict(space),
            mean=tuple(values.pop("mean")),
            std=tuple(values.pop("std")),
            **values,
        )
    except InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise TrainingError(f"config.json is not a recipe of this version ({error})", advice="train again") from error
