"""Support-vector machines on landmarks and HOG: "Facial expressions recognition using SVM" (A. Horseman).

Source: github.com/amineHorseman/facial-expression-recognition-svm. An RBF SVM on vectors as they are (not scaled),
C 1, gamma 1 / features, all images of FER2013's five or seven classes; at most 10,000 steps of the solver, but 1,000
for landmarks alone: that was the limit in the source's settings when it first reported those two figures. Accuracies
it reports, in percent:

    features                  5 classes   7 classes
    HOG                       34.4        29.0
    landmarks                 46.9        39.2
    landmarks + HOG           55.0        48.2
    landmarks + sliding HOG   59.4        50.5

    mien data prepare fer2013.csv --features landmarks,hog,hog-sliding --out features.parquet
    mien train svm-landmarks --data features.parquet

Names: ``svm-FEATURES``, then ``-linear`` for the linear kernel, ``-scaled`` for scaled vectors (gamma 1 / features, the
variance then being 1, and no limit of steps), ``-seven`` for all seven classes.
"""

from __future__ import annotations

from collections.abc import Mapping

from mien.labels import FER2013
from mien.published.svm.recipe import SvmRecipe

FIVE = ("angry", "happy", "sad", "surprise", "neutral")
"""The expressions of the source's smaller experiments."""
SETS: Mapping[str, tuple[str, ...]] = {
    "landmarks": ("landmarks",),
    "hog": ("hog",),
    "landmarks-hog": ("landmarks", "hog"),
    "sliding": ("hog_sliding",),
    "landmarks-sliding": ("landmarks", "hog_sliding"),
}
"""Name of a set → its features."""

_FIVE: Mapping[str, float] = {"hog": 0.344, "landmarks": 0.469, "landmarks-hog": 0.550, "landmarks-sliding": 0.594}
_SEVEN: Mapping[str, float] = {"hog": 0.290, "landmarks": 0.392, "landmarks-hog": 0.482, "landmarks-sliding": 0.505}
_STEPS = 10_000
_STEPS_OF_LANDMARKS = 1_000
_OPEN = "the source does not state whether its figure is of PublicTest or PrivateTest"
_FIRST_LIMIT = "; solver ended at 1,000 steps, the source's limit when it reported this figure"


def _published(name: str, seven: bool) -> SvmRecipe:
    figure = (_SEVEN if seven else _FIVE).get(name)
    way = "in its author's way" if figure is None else "as its author ran it"
    return SvmRecipe(
        name=f"svm-{name}" + ("-seven" if seven else ""),
        summary=f"RBF SVM on {name.replace('-', ' + ')}, {'seven' if seven else 'five'} classes, {way}",
        features=SETS[name],
        classes=FER2013.names if seven else FIVE,
        iterations=_STEPS_OF_LANDMARKS if name == "landmarks" else _STEPS,
        published={} if figure is None else {"test": figure},
        note="" if figure is None else _OPEN + (_FIRST_LIMIT if name == "landmarks" else ""),
    )


def _variant(name: str, kernel: str, scaled: bool) -> SvmRecipe:
    rbf = kernel == "rbf"
    return SvmRecipe(
        name=f"svm-{name}" + ("" if rbf else "-linear") + ("-scaled" if scaled else ""),
        summary=f"{'RBF' if rbf else 'linear'} SVM on {'scaled ' if scaled else ''}{name.replace('-', ' + ')}",
        features=SETS[name],
        classes=FIVE,
        kernel="rbf" if rbf else "linear",
        scaled=scaled,
    )


SVM_RECIPES: Mapping[str, SvmRecipe] = {
    one.name: one
    for one in (
        *(_published(name, seven) for seven in (False, True) for name in SETS),
        *(_variant(name, "rbf", True) for name in SETS),
        *(_variant(name, "linear", scaled) for scaled in (False, True) for name in SETS),
    )
}
"""Name → recipe: the source's own first, then variants of Mien's."""
