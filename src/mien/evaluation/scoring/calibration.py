"""Fit a temperature per head on one split, report its effect on others, and write it into the card of an ONNX file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.errors import DataError, InputError, ModelError
from mien.evaluation.bootstrap import SAMPLES, SEED, Interval, paired_interval
from mien.evaluation.calibration import apply_temperature, fit_temperature
from mien.evaluation.predictions import LEAK_FREE, HeadPredictions, full_protocol, subset_name
from mien.evaluation.scoring.evaluate import SplitPredictions, predict_split
from mien.evaluation.scoring.onnx_card import load_with_card
from mien.evaluation.scoring.readouts import FOLDS, ReadoutFits, fit_readouts, predict_crosswise, predict_with
from mien.evaluation.scoring.scored_model import ScoredModel
from mien.files import atomic_path, output_errors
from mien.logger import get_logger
from mien.models.card import Card
from mien.models.priors import DEFAULT, PRIORS
from mien.models.readout import Readout

FitTarget = Literal["label", "raters"]
_LEAST = 1e-12
"""Lower limit of a probability in a logarithm."""
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TemperatureFit:
    """The temperature of one head.

    Attributes:
        head: its name.
        protocol: the images it was fitted on, "… leak-free" where some of the split are in training too: the network
            has memorised those and is more confident of them than it will be of others.
        n: number of those images.
        temperature: what its logits are to be divided by.
        change: of the log loss on the images of the fit, with its paired bootstrap ``interval`` (95 %).
        adopted: whether that interval lies below 0; otherwise the gain may be chance and the head is better left at 1.
    """

    head: str
    protocol: str
    n: int
    temperature: float
    change: float
    interval: Interval | None
    adopted: bool


def fit_temperatures(
    predictions: SplitPredictions,
    *,
    target: FitTarget = "label",
    required: bool = True,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> tuple[TemperatureFit, ...]:
    """Fit every head that has labels.

    Args:
        predictions: of the model at temperature 1 on the split to fit on, heads scored on their own labels.
        target: "label" maximises the likelihood of the true labels; "raters" that of the FER+ votes, which softens.
        required: whether one head at least must have a temperature that fits.
        samples: bootstrap resamples.
        seed: of the resampling.

    Raises:
        InputError: nothing to fit on, or no temperature that fits any head; see `fit_temperature`. Where one of several
            heads has one, the others are left at 1.
    """
    fits = []
    failure: InputError | None = None
    for official in predictions.official:
        head = official.protocol
        one = next(
            (each for each in predictions.by_protocol if each.protocol == subset_name(head, LEAK_FREE)), official
        )
        one, truth = _truth(one, target)
        probabilities = _probabilities(one)
        try:
            # four decimals are more than the images can resolve, and the same on every machine
            temperature = round(fit_temperature(probabilities, truth), 4)
        except InputError as error:
            failure = error
            _log.info("head %s stays at temperature 1: %s", head, error)
            fits.append(TemperatureFit(head, one.protocol, len(one), 1.0, 0.0, None, False))
            continue
        before, after = _loss(probabilities, truth), _loss(apply_temperature(probabilities, temperature), truth)
        interval = paired_interval(before, after, samples, seed)
        fits.append(
            TemperatureFit(
                head=head,
                protocol=one.protocol,
                n=len(one),
                temperature=temperature,
                change=float((after - before).mean()),
                interval=interval,
                adopted=interval is not None and interval[1] < 0,
            )
        )
    if required and failure is not None and all(one.interval is None for one in fits):
        raise failure
    if not fits:
        raise InputError("no head has labels in this dataset, so there is nothing to fit a temperature on")
    return tuple(fits)


def rescale(predictions: SplitPredictions, factors: Mapping[str, float]) -> SplitPredictions:
    """The same predictions with the logits of each head divided by its factor; order and labels stay."""
    by_protocol = []
    for one in predictions.by_protocol:
        factor = factors.get(full_protocol(one.protocol), 1.0)
        by_protocol.append(
            one
            if factor == 1.0
            else dataclasses.replace(one, probabilities=apply_temperature(_probabilities(one), factor))
        )
    heads = {head: apply_temperature(p, factors.get(head, 1.0)) for head, p in predictions.probabilities.items()}
    return dataclasses.replace(predictions, by_protocol=tuple(by_protocol), probabilities=heads)


def calibrate(
    model: ScoredModel,
    data: Dataset,
    *,
    split: str = "validation",
    check: Sequence[str] = ("validation", "test"),
    target: FitTarget = "label",
    priors: bool = False,
    required: bool = True,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> dict[str, Any]:
    """Fit on one split and compare before with after on others.

    Args:
        model: any model, with the probabilities of its network alone (`wrap_uncalibrated`).
        data: the whole dataset, so that images that are in training too are known and left out of the fit.
        split: images to fit on.
        check: splits to report; those the dataset does not have are left out.
        target: see `fit_temperatures`.
        priors: whether to fit read-outs as well, see `mien.evaluation.scoring.readouts`; "after" is the default's. The
            images of the fit are then scored by tenths, each with the read-outs that were fitted on the others.
        required: see `fit_temperatures`.
        samples: bootstrap resamples.
        seed: of the resampling.

    Returns:
        JSON-ready: ``{"model", "dataset", "fitted_on", "target", "heads": {head: Fit}, "scores": {split: {protocol:
        {"before": …, "after": …}}}}`` with ``n``, ``accuracy``, ``balanced_accuracy``, ``log_loss``, ``ece`` and ``kl``
        of each; with ``priors`` also ``"frequencies"`` and ``"readouts"`` by head, and ``"priors"``: {split: {protocol:
        {prior: figures}}}, and ``"crosswise"``, the ``"split"`` that is scored by ``"folds"``.

    Raises:
        InputError: no head has labels in the dataset, or no temperature fits best.
        DataError: the dataset has no such split.

    Examples:
        >>> from dataclasses import replace
        >>> from mien.evaluation.scoring import from_callable
        >>> numbers = np.arange(70, dtype=np.uint8)[:, None, None, None]
        >>> numbered = replace(dataset, images=np.ascontiguousarray(np.broadcast_to(numbers, dataset.images.shape)))
        >>> def guess(images):  # right for four images in five, and too sure of all
        ...     number = images[:, 0, 0, 0].astype(int)
        ...     return np.eye(7)[(number + (number % 5 == 0)) % 7] * 0.993 + 0.001
        >>> model = from_callable(guess, dataset.taxonomy.names, size=48, channels=1)
        >>> document = calibrate(model, numbered, samples=100)
        >>> document["heads"]["emotion"]["temperature"] > 1
        True
    """
    splits = [name for name in dict.fromkeys((split, *check)) if (data.split == name).any()]
    if split not in splits:
        have = ", ".join(sorted(set(data.split.tolist())))
        raise DataError(f"the dataset has no {split!r} images to fit on, only {have}", code="split-missing")
    before = {name: predict_split(model, data, split=name) for name in splits}
    fits = fit_temperatures(before[split], target=target, required=required, samples=samples, seed=seed)
    factors = {one.head: one.temperature for one in fits if one.adopted}
    fitted = fit_readouts(model, data, before[split]) if priors else ReadoutFits()
    scores: dict[str, Any] = {}
    by_prior: dict[str, Any] = {}
    for name in splits:
        if name not in check:
            continue
        after = rescale(before[name], factors)
        if fitted.readouts:
            chosen = (
                predict_crosswise(model, data, before[name])
                if name == split
                else {prior: predict_with(fitted, model, data, before[name], prior) for prior in PRIORS}
            )
            by_prior[name] = {
                one.protocol: {prior: _figures(each.by_protocol[i]) for prior, each in chosen.items()}
                for i, one in enumerate(after.by_protocol)
            }
            after = chosen[DEFAULT]
        scores[name] = {
            one.protocol: {"before": _figures(one), "after": _figures(other)}
            for one, other in zip(before[name].by_protocol, after.by_protocol, strict=True)
        }
    crosswise = {"split": split, "folds": FOLDS}
    return {
        "model": model.name,
        "dataset": data.info.name,
        "fitted_on": split,
        "target": target,
        "heads": {one.head: dataclasses.asdict(one) for one in fits},
        "scores": scores,
        **({"priors": by_prior, "crosswise": crosswise, **fitted.to_dict()} if fitted.readouts else {}),
    }


def fitted_temperatures(document: Mapping[str, Any]) -> dict[str, float]:
    """Head → temperature: the fitted one where it is adopted, 1 elsewhere."""
    return {head: one["temperature"] if one["adopted"] else 1.0 for head, one in document["heads"].items()}


def rewrite_card(model: str | Path, change: Callable[[Card], Card], out: Path) -> Card:
    """Write an ONNX file with another card; graph and weights stay bit by bit. The same input gives the same bytes.

    Args:
        model: a shipped model's name, or an ``.onnx`` file.
        change: the card → the new card.
        out: file to write.

    Raises:
        MissingExtraError: the package onnx is not installed.
        ModelError: not a file with a card, or one whose graph would not survive.

    Examples:
        >>> from dataclasses import replace
        >>> rewrite_card("emotion", lambda card: replace(card, limits="portraits only"), Path("mine.onnx")).limits
        'portraits only'
    """
    loaded, entry, before = load_with_card(model, "writing a card")
    card = change(before)
    graph = loaded.graph.SerializeToString(deterministic=True)
    entry.value = card.to_json()
    content = loaded.SerializeToString(deterministic=True)
    if type(loaded).FromString(content).graph.SerializeToString(deterministic=True) != graph:
        raise ModelError("its graph changes when it is written again", path=model, advice="export the model again")
    with output_errors(out), atomic_path(out) as temporary:
        temporary.write_bytes(content)
    return card


def calibrated_card(card: Card, document: Mapping[str, Any], scores: Mapping[str, Any] | None = None) -> Card:
    """The card with what `calibrate` fitted, its earlier read-outs and sets gone, and, where given, other scores.

    Raises:
        ModelError: a head was fitted that the card lacks.
    """
    temperatures = fitted_temperatures(document)
    for head in temperatures:
        card.head(head)
    frequencies, readouts = document.get("frequencies", {}), document.get("readouts", {})
    heads = tuple(
        dataclasses.replace(
            head,
            temperature=temperatures.get(head.name, head.temperature),
            frequencies=tuple(frequencies.get(head.name, ())),
            readouts=tuple(Readout.from_dict(one) for one in readouts.get(head.name, ())),
            sets=(),  # they belong to other probabilities
        )
        for head in card.heads
    )
    return dataclasses.replace(card, heads=heads, scores=dict(card.scores if scores is None else scores))


def _truth(one: HeadPredictions, target: FitTarget) -> tuple[HeadPredictions, NDArray[Any]]:
    """The target of the fit: labels, or raters' distributions on the images that have one."""
    if target == "label" or one.raters is None:
        return one, one.truth
    known = one.raters.sum(axis=1) > 0
    part = one[known]
    return part, one.raters[known]


def _loss(probabilities: NDArray[np.floating], truth: NDArray[Any]) -> NDArray[np.float64]:
    """``(n,)`` cross-entropies, nats."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), _LEAST))
    if truth.ndim == 2:
        return np.asarray(-(truth * logs).sum(axis=1))
    return np.asarray(-logs[np.arange(len(truth)), truth])


def _probabilities(one: HeadPredictions) -> NDArray[np.float32]:
    if one.probabilities is None:
        raise InputError(f"the classifier of {one.protocol} predicts only labels, no probabilities to calibrate")
    return one.probabilities


def _figures(one: HeadPredictions) -> dict[str, Any]:
    scores = one.scores()
    return {name: getattr(scores, name) for name in ("n", "accuracy", "balanced_accuracy", "log_loss", "ece", "kl")}
