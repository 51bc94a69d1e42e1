"""The recipe of a support-vector machine: typed, frozen, without scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mien.errors import InputError, TrainingError
from mien.published.features import FEATURES, parse_feature_names


@dataclass(frozen=True, slots=True)
class SvmRecipe:
    """A support-vector machine on feature vectors.

    Attributes:
        name: name in the table of recipes.
        summary: one line for people.
        features: names of `mien.published.features.FEATURES`, joined in that table's order.
        classes: emotions to classify; images of the others are left out.
        kernel: "rbf" (libsvm, one against one) or "linear" (liblinear, one against the rest).
        scaled: standardise every feature to mean 0 and deviation 1 over the training images.
        c: penalty of errors.
        gamma: of the RBF kernel exp(−gamma × distance²): "auto" is 1 / features, "scale" is 1 / (features × variance).
        iterations: maximum steps of the solver for each pair of classes, None for no limit.
        per_class: maximum images of each emotion in each split, in the order of the file; None for all.
        seed: of the solver.
        published: "test" → accuracy 0–1 that the source reports; empty for variants of Mien's own.
        note: what the source does not specify.
    """

    name: str
    summary: str
    features: tuple[str, ...]
    classes: tuple[str, ...]
    kernel: Literal["rbf", "linear"] = "rbf"
    scaled: bool = False
    c: float = 1.0
    gamma: Literal["auto", "scale"] | float = "auto"
    iterations: int | None = None
    per_class: int | None = None
    seed: int = 0
    published: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        if parse_feature_names(self.features) != self.features:
            raise InputError(f"recipe {self.name!r}: features are in the order {', '.join(FEATURES)}")
        if len(set(self.classes)) < 2:
            raise InputError(f"recipe {self.name!r}: at least two classes are needed")
        if self.per_class is not None and (not isinstance(self.per_class, int) or self.per_class < 1):
            raise InputError(
                f"recipe {self.name!r}: per_class must be a positive number or None, got {self.per_class!r}"
            )
        if self.c <= 0 or (self.iterations is not None and self.iterations < 1):
            raise InputError(f"recipe {self.name!r}: c must be above 0 and iterations at least 1")

    @property
    def length(self) -> int:
        """Numbers per face."""
        return sum(FEATURES[name].length for name in self.features)


def svm_recipe_from_dict(raw: dict[str, Any]) -> SvmRecipe:
    """The recipe in a run folder's ``config.json``; `TrainingError` when it is not one."""
    try:
        lists = {name: tuple(raw[name]) for name in ("features", "classes")}
        return SvmRecipe(**{**raw, **lists})
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise TrainingError(f"config.json is not a recipe of this version ({error})", advice="train again") from error
