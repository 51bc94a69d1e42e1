"""The table of figures: what an evaluation reports, what it means, and how it is written everywhere.

The console, the report page, the generated documentation and the model cards take names, units and digits from here.
The keys are those of result documents (JSON): the fields of `mien.evaluation.metrics.Scores` and of
`mien.evaluation.predictions.miss_rates`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mien.text import number, percent, span

Unit = Literal["share", "nats", "number"]
"""A share is 0–1 and written in per cent; nats and plain numbers are written as they are."""


@dataclass(frozen=True, slots=True)
class FigureInfo:
    """One figure of an evaluation.

    Attributes:
        key: in result documents.
        title: what tables call it.
        unit: "share", "nats" or "number".
        digits: decimals, of a share those of the per cent.
        better: which end is the good one.
        description: what it means.
    """

    key: str
    title: str
    unit: Unit
    digits: int
    better: Literal["higher", "lower"]
    description: str

    def value(self, value: float | None) -> str:
        """The figure as text; a dash where there is none."""
        return (percent if self.unit == "share" else number)(value, digits=self.digits)

    def interval(self, interval: Iterable[float] | None) -> str:
        """An interval of the figure as text, such as "50.0–56.0"; empty where there is none."""
        return "" if interval is None else span(tuple(interval), 100 if self.unit == "share" else 1, self.digits)


FIGURES: tuple[FigureInfo, ...] = (
    FigureInfo("accuracy", "accuracy", "share", 1, "higher", "share of images whose true label is the most probable"),
    FigureInfo("one_off", "one-off", "share", 1, "higher", "share in the true or an adjacent class (age ranges)"),
    FigureInfo("top2", "top-2", "share", 1, "higher",
               "share of images whose true label is one of the two most probable"),
    FigureInfo("macro_f1", "macro F1", "number", 3, "higher",
               "mean over classes of F1: rare classes count as much as common ones"),
    FigureInfo("balanced_accuracy", "balanced accuracy", "share", 1, "higher",
               "mean of recall over classes with images"),
    FigureInfo("log_loss", "log loss", "nats", 3, "lower",
               "mean negative logarithm of the true label's probability, nats"),
    FigureInfo("ece", "ECE", "number", 3, "lower",
               "mean gap between confidence and accuracy over 15 bins of the top probability (Guo et al. 2017)"),
    FigureInfo("kl", "KL to raters", "nats", 3, "lower",
               "mean Kullback–Leibler divergence of the prediction from the shares of the FER+ raters' votes, nats"),
    FigureInfo("miss_rate", "missed", "share", 1, "lower", "share of the faces that the detector does not find"),
    FigureInfo("accuracy_with_misses", "misses wrong", "share", 1, "higher",
               "accuracy when a face that the detector does not find counts as wrong"),
    FigureInfo("recall", "recall", "share", 1, "higher", "by class: share of its images that are predicted as it"),
    FigureInfo("precision", "precision", "share", 1, "higher",
               "by class: share of the predictions of it that are right"),
    FigureInfo("aurc", "AURC", "number", 4, "lower",
               "area under the curve of risk (share of wrong answers) over coverage (share of images answered)"),
)  # fmt: skip
"""In the order of the columns."""

BY_KEY: Mapping[str, FigureInfo] = {figure.key: figure for figure in FIGURES}
OF_RESULTS: tuple[FigureInfo, ...] = tuple(
    figure for figure in FIGURES if figure.key not in ("recall", "precision", "aurc")
)
"""Those of a whole set of images."""
OF_GROUPS: tuple[FigureInfo, ...] = tuple(
    BY_KEY[key] for key in ("accuracy", "one_off", "ece", "miss_rate", "accuracy_with_misses")
)
"""Those that are reported by group."""


def reported(rows: Iterable[Mapping[str, Any]], figures: Iterable[FigureInfo] = OF_RESULTS) -> tuple[FigureInfo, ...]:
    """The figures that at least one of the rows has."""
    found = list(rows)
    return tuple(figure for figure in figures if any(row.get(figure.key) is not None for row in found))
