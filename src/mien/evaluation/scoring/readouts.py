"""Fit the read-outs of a model's heads: one for each prior of `mien.models.readout`.

Selected on the images of one split, on each head's own labels: "photos" keeps the frequencies of the training data and
has the share of the joined head with the best accuracy; "balanced" removes them and has the share with the best
balanced accuracy; the default has the power and the share with the best mean of both. Each gets a temperature of its
own, for which an image counts as much as its label would under that prior. Labels that the joined head lacks are kept
as they are, and do not count in the balanced accuracy. For labels with an order, such as age ranges, the default is
that of photographs: a wrong label is mostly the next one, and on FairFace any power that finds more old people costs
accuracy, also within one range and in the group with the lowest.

The images of the fit are scored by tenths, each with the read-outs fitted on the other nine, so that their scores are
not those of the selection (`predict_crosswise`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.datasets.exact_duplicates import image_ids
from mien.errors import InputError
from mien.evaluation.calibration import fit_temperature
from mien.evaluation.predictions import LEAK_FREE, subset_name
from mien.evaluation.scoring.evaluate import SplitPredictions, match_protocols, predict_split, split_rows
from mien.evaluation.scoring.protocols import HeadProtocol
from mien.evaluation.scoring.scored_model import ScoredModel
from mien.logger import get_logger
from mien.models.model import Probabilities
from mien.models.priors import BALANCED, DEFAULT, PHOTOS, PRIORS
from mien.models.readout import Readout, apply_readout

POWERS = tuple(round(0.1 * i, 1) for i in range(11))
"""Powers of the training frequencies that are tried for the default."""
SHARES = tuple(round(0.05 * i, 2) for i in range(11))
"""Shares of the joined head that are tried."""
CHANCE = 0.005
"""Differences of a criterion up to this are chance on a few thousand images; every step away from the photographs costs
accuracy on them, so the least is taken."""
FOLDS = 10
"""Parts of the images of the fit; each is scored with what was fitted on the others."""
_LEAST = 1e-30
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReadoutFits:
    """Head → frequencies of its labels in training, and its read-outs; heads that cannot have any are absent."""

    frequencies: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    readouts: Mapping[str, tuple[Readout, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "frequencies": {head: list(values) for head, values in self.frequencies.items()},
            "readouts": {head: [asdict(one) for one in each] for head, each in self.readouts.items()},
        }


def fit_readouts(
    model: ScoredModel, data: Dataset, predictions: SplitPredictions, images: NDArray[np.bool_] | None = None
) -> ReadoutFits:
    """Fit the heads whose labels are those of the dataset.

    Args:
        model: with the probabilities of its network alone.
        data: the whole dataset; frequencies are those of its training images.
        predictions: of the model on the split to fit on.
        images: ``(n,)`` which images of the split; None for all.

    Raises:
        InputError: no head can have read-outs.
    """
    matched, _ = match_protocols(model, data[split_rows(data, "train")])
    official = {one.protocol: one for one in predictions.by_protocol}
    frequencies: dict[str, tuple[float, ...]] = {}
    readouts: dict[str, tuple[Readout, ...]] = {}
    logs = {head: _logarithms(p) for head, p in predictions.probabilities.items()}
    for head, protocol in matched.items():
        if not np.array_equal(protocol.merge, np.eye(len(model.heads[head]))):
            continue
        frequencies[head] = _frequencies(protocol)
        chosen = official.get(subset_name(protocol.name, LEAK_FREE), official[protocol.name])
        chosen = chosen if images is None else chosen[images[chosen.rows]]
        other = _joined_head(model, head)
        fit = _HeadFit(
            chosen.truth,
            logs[head][chosen.rows],
            model.heads[head],
            frequencies[head],
            other,
            (logs[other][chosen.rows], model.heads[other]) if other else None,
        )
        photos = fit.best(PHOTOS, (0.0,), lambda accuracy, _: accuracy)
        readouts[head] = (
            replace(photos, prior=DEFAULT)
            if chosen.ordered
            else fit.best(DEFAULT, POWERS, lambda accuracy, balanced: (accuracy + balanced) / 2),
            photos,
            fit.best(BALANCED, (1.0,), lambda _, balanced: balanced),
        )
    if not readouts:
        raise InputError(
            "no head can have read-outs: its labels would be those of the dataset, in its order",
            advice="leave the option out",
        )
    return ReadoutFits(frequencies, readouts)


def predict_with(
    fits: ReadoutFits, model: ScoredModel, data: Dataset, before: SplitPredictions, prior: str
) -> SplitPredictions:
    """The predictions of a split under a prior, from those of the network alone; heads without read-outs stay."""
    after = _read_out(fits, model, before, prior)
    return predict_split(replace(model, predict=lambda *_: after), data, split=before.split)


def predict_crosswise(
    model: ScoredModel, data: Dataset, before: SplitPredictions, seed: int = 0
) -> dict[str, SplitPredictions]:
    """Prior → predictions of the split of the fit, each of `FOLDS` parts read out as fitted on the others.

    Copies of one image are in one part.

    Args:
        model: with the probabilities of its network alone.
        data: the whole dataset.
        before: predictions of the model on the split.
        seed: of the parts.

    Raises:
        InputError: as `fit_readouts`.
    """
    ids = image_ids(data[split_rows(data, before.split)])
    part = np.random.default_rng(seed).permutation(int(ids.max()) + 1)[ids] % FOLDS
    fits = {fold: fit_readouts(model, data, before, part != fold) for fold in np.unique(part)}
    crossed = {}
    for prior in PRIORS:
        after = {head: p.copy() for head, p in before.probabilities.items()}
        for fold, fit in fits.items():
            for head, p in _read_out(fit, model, before, prior).items():
                after[head][part == fold] = p[part == fold]
        read_out = replace(model, predict=lambda *_, after=after: after)
        crossed[prior] = predict_split(read_out, data, split=before.split)
    return crossed


def _read_out(fits: ReadoutFits, model: ScoredModel, before: SplitPredictions, prior: str) -> Probabilities:
    logs = {head: _logarithms(p) for head, p in before.probabilities.items()}
    after: Probabilities = dict(before.probabilities)
    for head, each in fits.readouts.items():
        readout = next(one for one in each if one.prior == prior)
        other = (logs[readout.joined], model.heads[readout.joined]) if readout.joined else None
        after[head] = apply_readout(readout, logs[head], model.heads[head], fits.frequencies[head], other)
    return after


@dataclass(frozen=True, slots=True, eq=False)
class _HeadFit:
    """A head on the images of the fit."""

    truth: NDArray[np.int64]
    logs: NDArray[np.float64]
    labels: tuple[str, ...]
    frequencies: tuple[float, ...]
    joined: str
    other: tuple[NDArray[np.float64], tuple[str, ...]] | None

    def best(self, prior: str, powers: tuple[float, ...], criterion: Any) -> Readout:
        """The read-out with the least power, then the least share, whose criterion is within `CHANCE` of the best."""
        shares = SHARES if self.joined else (0.0,)
        kept = () if self.other is None else tuple(label for label in self.labels if label not in self.other[1])
        candidates = [
            Readout(prior, power, self.joined if share else "", share, kept=kept)
            for power in powers
            for share in shares
        ]
        values = np.array([criterion(*self._accuracies(candidate)) for candidate in candidates])
        chosen = candidates[int(np.flatnonzero(values >= values.max() - CHANCE)[0])]
        expected = np.asarray(self.frequencies) ** -chosen.removed
        expected[[label in kept for label in self.labels]] = 1.0
        try:
            temperature = fit_temperature(self._probabilities(chosen), self.truth, expected[self.truth])
        except InputError as error:
            _log.info("prior %s stays at temperature 1: %s", prior, error)
            return chosen
        return replace(chosen, temperature=round(temperature, 4))

    def _probabilities(self, readout: Readout) -> NDArray[np.float32]:
        return apply_readout(readout, self.logs, self.labels, self.frequencies, self.other)

    def _accuracies(self, readout: Readout) -> tuple[float, float]:
        right = self._probabilities(readout).argmax(axis=1) == self.truth
        counts = np.bincount(self.truth, minlength=len(self.labels))
        used = (counts > 0) & [label not in readout.kept for label in self.labels]
        recall = np.bincount(self.truth, right, len(self.labels))[used] / counts[used]
        return float(right.mean()), float(recall.mean())


def _joined_head(model: ScoredModel, head: str) -> str:
    """The other head with most labels in common, two at least; empty where there is none."""
    common = {name: len(set(labels) & set(model.heads[head])) for name, labels in model.heads.items() if name != head}
    best = max(common, key=lambda name: common[name], default="")
    return best if best and common[best] >= 2 else ""


def _frequencies(protocol: HeadProtocol) -> tuple[float, ...]:
    """Of the labels in the raters' votes where there are any, else in the labels."""
    if protocol.raters is not None:
        counts = protocol.raters.sum(axis=0, dtype=np.float64)
    else:
        counts = np.bincount(protocol.truth[protocol.truth >= 0], minlength=len(protocol.labels)).astype(np.float64)
    counts = np.maximum(counts, 1.0)
    return tuple(float(round(value, 6)) for value in counts / counts.sum())


def _logarithms(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(probabilities.astype(np.float64), _LEAST)))
