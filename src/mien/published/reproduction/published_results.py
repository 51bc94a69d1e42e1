"""The table of published results. A row names the recipe that runs it; this file loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mien.errors import unknown_name
from mien.networks.catalog import get_network
from mien.published.recipes.fusion import VARIANTS
from mien.published.recipes.svm import SVM_RECIPES
from mien.published.svm.recipe import SvmRecipe
from mien.recipes.catalog import get_recipe
from mien.training.config import Recipe

DatasetKey = Literal["fer2013", "clean", "fairface", "rafdb", "utkface"]

OPTIONS: Mapping[DatasetKey, str] = {
    "fer2013": "--data", "clean": "--clean-data", "fairface": "--age-data", "rafdb": "--rafdb-data",
    "utkface": "--utkface-data",
}  # fmt: skip
"""The option of ``mien reproduce`` for the file with a row's data."""
IMAGES: Mapping[DatasetKey, int] = {
    "fer2013": 28_709,
    "clean": 16_500,
    "fairface": 39_237,
    "rafdb": 12_271,
    "utkface": 23_440,
}
"""Approximate number of training images; it only decides the order of the queue."""
_SVM_STEPS = 10 * 10_000
"""Maximum steps of the solvers for the ten pairs of five classes."""

SOURCES: Mapping[str, str] = {
    "vgg": "Facial Emotion Recognition with CNNs in TensorFlow (blog post)",
    "bassani": "Bassani, Facial Emotion Recognition model (course report)",
    "horseman": "Horseman, Facial expression recognition using CNN in TensorFlow, and using SVM (repositories)",
    "touchy": "Amin, Chase & Sinha, Touchy Feely (course report)",
    "attention": "Chen, Yang & Ning, Facial Emotion Recognition by Attentional Convolutional Network (course report)",
    "arriaga": "Arriaga et al. 2017, Mini-Xception",
    "barsoum": "Barsoum et al. 2016, FER+",
}
"""Short name → title on the page."""

MIEN = "FER2013 and FER+ majority, official splits, best validation epoch"
BOTH = "FER2013, PublicTest and PrivateTest together"
PLAIN = "FER2013, official splits"
FIVE = "FER2013, 5 classes (angry, happy, sad, surprise, neutral), official splits"


@dataclass(frozen=True, slots=True)
class ReproductionRow:
    """One published result to run again.

    Attributes:
        name: of the row, and of its recipe where there is one.
        source: key of `SOURCES`.
        protocol: training and test data, for people.
        data: the dataset that it needs.
        published: "validation" or "test" → accuracy 0–1; empty for rows of Mien's own.
        keep: the weights that are scored: those of the "best" validation epoch or of the "last".
        seeds: one run per seed; the figure is their mean.
        improves: the row whose network this one trains with Mien's protocol; None for a source's own protocol.
        confusion: the source shows a confusion matrix.
        note: what differs from the source, or prevents a run.
    """

    name: str
    source: str
    protocol: str
    data: DatasetKey = "fer2013"
    published: Mapping[str, float] = field(default_factory=dict)
    keep: Literal["best", "last"] = "last"
    seeds: tuple[int, ...] = (0,)
    improves: str | None = None
    confusion: bool = False
    note: str = ""

    @property
    def recipe(self) -> Recipe | None:
        """Its recipe; None for support-vector machines."""
        return None if self.svm is not None else get_recipe(self.name)

    @property
    def svm(self) -> SvmRecipe | None:
        """Its recipe, where it is a support-vector machine."""
        return SVM_RECIPES.get(self.name)

    @property
    def network(self) -> str | None:
        """Name in the table of networks; None for support-vector machines."""
        recipe = self.recipe
        return (None if self.svm is not None else self.name) if recipe is None else recipe.network

    @property
    def features(self) -> tuple[str, ...]:
        """Feature vectors that its data must hold."""
        if self.svm is not None:
            return self.svm.features
        return tuple(get_network(self.network).features) if self.network is not None else ()

    @property
    def cost(self) -> float:
        """Forward multiply-adds of all its runs, in 10¹²: the order of the queue."""
        if self.svm is not None:
            return self.svm.length * IMAGES[self.data] * _SVM_STEPS / 1e12 / 3
        recipe = self.recipe
        if recipe is None:
            return float("inf")
        per_image = get_network(recipe.network).megamacs / 1e6
        return per_image * IMAGES[self.data] * recipe.epochs * len(self.seeds)


def _improved_row(
    of: str, source: str, data: DatasetKey = "fer2013", protocol: str = MIEN, note: str = ""
) -> ReproductionRow:
    return ReproductionRow(f"{of}-improved", source, protocol, data, keep="best", improves=of, note=note)


_FUSION = {"": (0.724, 0.735), "-landmarks": (0.735, 0.744), "-landmarks-hog": (0.687, 0.732),
           "-landmarks-sliding": (0.714, 0.751)}  # fmt: skip
_NORM_GAIN = {"": (0.074, 0.393), "-landmarks": (0.262, 0.500), "-landmarks-hog": (0.019, 0.501),
              "-landmarks-sliding": (0.167, 0.169)}  # fmt: skip


def _fusion(name: str) -> ReproductionRow:
    """A cell of the source's two tables; the second gives what batch norm gains."""
    model, plain = name.split("-")[1], name.endswith("-plain")
    features = name.removeprefix(f"fusion-{model}").removesuffix("-plain")
    which = "ab".index(model)
    figure = _FUSION[features][which] - (_NORM_GAIN[features][which] if plain else 0.0)
    return ReproductionRow(name, "horseman", FIVE, published={"test": round(figure, 3)})


_NOT_THESE_BINS = "FairFace's nine bins, not the source's seven ranges"
_RANGES = "UTKFace and facial-age, 7 age ranges, 30 % held out, the best epoch on these"
_SMALLER = "images of 96 pixels, enlarged to the source's 200; other images held out"

ROWS: Mapping[str, ReproductionRow] = {
    row.name: row
    for row in (
        ReproductionRow(
            "compact-vgg", "vgg", "FER+ votes of 7 emotions, PrivateTest as validation, PublicTest as test",
            published={"validation": 0.8421, "test": 0.8377}, confusion=True,
        ),
        ReproductionRow(
            "compact-vgg-rafdb", "vgg", "RAF-DB basic", "rafdb", {"validation": 0.8299, "test": 0.8272},
            confusion=True, note="needs RAF-DB, given on application",
        ),
        _improved_row("compact-vgg", "vgg"),
        ReproductionRow("small-cnn", "bassani", BOTH, published={"test": 0.621}),
        _improved_row("small-cnn", "bassani"),
        ReproductionRow("large-cnn", "bassani", BOTH, published={"test": 0.632}, keep="best"),
        _improved_row("large-cnn", "bassani"),
        ReproductionRow("mini-xception", "arriaga", BOTH, published={"test": 0.66}, keep="best"),
        _improved_row("mini-xception", "arriaga"),
        ReproductionRow(
            "age-cnn", "bassani", _RANGES, "utkface", {"validation": 0.5765}, keep="best", note=_SMALLER,
        ),
        _improved_row("age-cnn", "bassani", "fairface", "FairFace, 9 age bins, validation set", _NOT_THESE_BINS),
        ReproductionRow(
            "age-cnn-small", "bassani", _RANGES, "utkface", {"validation": 0.5409}, keep="best", note=_SMALLER,
        ),
        _improved_row("age-cnn-small", "bassani", "fairface", "FairFace, 9 age bins, validation set", _NOT_THESE_BINS),
        *(_fusion(variant.name) for variant in VARIANTS),
        *(
            ReproductionRow(
                svm.name, "horseman", PLAIN if len(svm.classes) == 7 else FIVE, published=svm.published, note=svm.note,
            )
            for svm in SVM_RECIPES.values()
            if svm.published
        ),
        ReproductionRow("fusion-b-seven", "horseman", PLAIN, published={"test": 0.614}),
        _improved_row("fusion-a", "horseman"),
        _improved_row("fusion-b", "horseman"),
        _improved_row("fusion-b-landmarks-sliding", "horseman", note="no geometric augmentation: features stay"),
        ReproductionRow("stack-baseline", "touchy", PLAIN, published={"validation": 0.3982}),
        _improved_row("stack-baseline", "touchy"),
        ReproductionRow("stack-pooled", "touchy", PLAIN, published={"validation": 0.51}),
        _improved_row("stack-pooled", "touchy"),
        ReproductionRow("stack-normed", "touchy", PLAIN, published={"validation": 0.5542}),
        _improved_row("stack-normed", "touchy"),
        ReproductionRow("stack-lean", "touchy", PLAIN, published={"validation": 0.565}),
        _improved_row("stack-lean", "touchy"),
        ReproductionRow(
            "stack-final", "touchy", PLAIN, published={"validation": 0.6037, "test": 0.6105}, seeds=(0, 1, 2, 3),
            confusion=True, note="mean of four runs, as the source's validation figure; its test figure is one run's",
        ),
        _improved_row("stack-final", "touchy"),
        ReproductionRow("attention-sequential", "attention", PLAIN, published={"test": 0.487}),
        _improved_row("attention-sequential", "attention"),
        ReproductionRow("attention-parallel", "attention", PLAIN, published={"test": 0.578}),
        _improved_row("attention-parallel", "attention"),
        ReproductionRow(
            "attention-deep", "attention", "FER2013 cleaned, 4 classes (angry, happy, sad, neutral)", "clean",
            {"test": 0.643}, note="needs a file that `mien data clean` wrote",
        ),
        ReproductionRow(
            "attention-deep-faster", "attention", "the same, at the learning rate of the two rows above", "clean",
            {"test": 0.643}, note="needs a file that `mien data clean` wrote",
        ),
        _improved_row("attention-deep", "attention"),
        ReproductionRow(
            "ferplus-vgg13", "barsoum", "FER+ majority, 8 classes, official splits", published={"test": 0.84716},
            keep="best", seeds=(0, 1, 2, 3, 4), note="mean of five runs; pixels normalised in another way",
        ),
        _improved_row("ferplus-vgg13", "barsoum"),
    )
}  # fmt: skip
"""Every published result, followed by the same network with Mien's training."""


def select_rows(names: tuple[str, ...]) -> tuple[ReproductionRow, ...]:
    """The rows with these names, or all, cheapest first; `InputError` lists the names there are."""
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise unknown_name("row", unknown[0], ROWS)
    rows = [ROWS[name] for name in dict.fromkeys(names)] if names else list(ROWS.values())
    return tuple(sorted(rows, key=lambda row: row.cost))
