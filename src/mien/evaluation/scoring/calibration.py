"""Fit a temperature a head on one split, say what it does on another, and write it into the card of an ONNX file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.errors import DataError, InputError, MissingExtraError, ModelError
from mien.evaluation.bootstrap import SAMPLES, SEED, Interval, paired_interval
from mien.evaluation.calibration import apply_temperature, fit_temperature
from mien.evaluation.predictions import LEAK_FREE, HeadPredictions, full_protocol, subset_name
from mien.evaluation.scoring.evaluate import SplitPredictions, predict_split
from mien.evaluation.scoring.scored_model import ScoredModel
from mien.files import atomic_path, writing
from mien.models.card import METADATA_KEY, Card
from mien.models.catalog import read_model

FitTarget = Literal["label", "raters"]
_BARELY = 1e-12


@dataclass(frozen=True, slots=True)
class TemperatureFit:
    """The temperature of one head.

    Attributes:
        head: its name.
        protocol: the images it was fitted on, "… leak-free" where some of the split stand in training too: those the
            network has learnt by heart, and is surer of than it will be of others.
        n: how many.
        temperature: what its logits are to be divided by.
        change: of the log loss on the images of the fit, with its paired bootstrap ``interval`` (95 %).
        adopted: that interval lies below 0, so that the gain is no chance; otherwise the head is better left at 1.
    """

    head: str
    protocol: str
    n: int
    temperature: float
    change: float
    interval: Interval | None
    adopted: bool


def fit_temperatures(
    given: SplitPredictions,
    *,
    target: FitTarget = "label",
    samples: int = SAMPLES,
    seed: int = SEED,
) -> tuple[TemperatureFit, ...]:
    """Fit every head that has labels.

    Args:
        given: what the model says at temperature 1 on the split to fit on, heads scored on what they are about.
        target: "label" makes the true labels likeliest; "raters" the votes of FER+ raters, which softens.
        samples: bootstrap resamples.
        seed: of the resampling.

    Raises:
        InputError: nothing to fit on, or no temperature that fits any head; see `fit_temperature`. Where it fits one of
            several, the others are left at 1.
    """
    fits = []
    hopeless: InputError | None = None
    for official in given.official:
        head = official.protocol
        one = next((each for each in given.scored if each.protocol == subset_name(head, LEAK_FREE)), official)
        one, truth = _truth(one, target)
        probabilities = _probabilities(one)
        try:
            # four decimals are more than the images can tell, and the same on every machine
            temperature = round(fit_temperature(probabilities, truth), 4)
        except InputError as error:
            hopeless = error
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
    if hopeless is not None and all(one.interval is None for one in fits):
        raise hopeless
    if not fits:
        raise InputError("no head has labels in this dataset: there is nothing to fit a temperature on")
    return tuple(fits)


def rescale(given: SplitPredictions, factors: Mapping[str, float]) -> SplitPredictions:
    """The same answers as the heads give them with their logits divided by ``factors``; order and labels stay."""
    scored = []
    for one in given.scored:
        factor = factors.get(full_protocol(one.protocol), 1.0)
        scored.append(
            one
            if factor == 1.0
            else dataclasses.replace(one, probabilities=apply_temperature(_probabilities(one), factor))
        )
    heads = {head: apply_temperature(p, factors.get(head, 1.0)) for head, p in given.probabilities.items()}
    return dataclasses.replace(given, scored=tuple(scored), probabilities=heads)


def calibrate(
    model: ScoredModel,
    data: Dataset,
    *,
    current: Mapping[str, float] | None = None,
    split: str = "validation",
    check: Sequence[str] = ("validation", "test"),
    target: FitTarget = "label",
    samples: int = SAMPLES,
    seed: int = SEED,
) -> dict[str, Any]:
    """Fit on one split and set before beside after on others.

    Args:
        model: any model.
        data: the whole dataset, so that images that stand in training too are known and left out of the fit.
        current: head → the temperature that the model already divides its logits by; 1 where absent. It is undone
            first, so that "before" is the network as it was trained, and fitting again gives the same.
        split: fitted on.
        check: splits to report; those the dataset does not have are left out.
        target: see `fit_temperatures`.
        samples: bootstrap resamples.
        seed: of the resampling.

    Returns:
        JSON-ready: ``{"model", "dataset", "fitted_on", "target", "heads": {head: Fit}, "scores": {split: {protocol:
        {"before": …, "after": …}}}}`` with ``n``, ``accuracy``, ``log_loss``, ``ece`` and ``kl`` of each.
    """
    had = [name for name in dict.fromkeys((split, *check)) if (data.split == name).any()]
    if split not in had:
        have = ", ".join(sorted(set(data.split.tolist())))
        raise DataError(f"the dataset has no {split!r} images to fit on: it has {have}")
    undo = {head: 1 / value for head, value in (current or {}).items()}
    told = {name: rescale(predict_split(model, data, split=name), undo) for name in had}
    fits = fit_temperatures(told[split], target=target, samples=samples, seed=seed)
    factors = {one.head: one.temperature for one in fits if one.adopted}
    scores: dict[str, Any] = {}
    for name in had:
        if name not in check:
            continue
        after = rescale(told[name], factors)
        scores[name] = {
            one.protocol: {"before": _figures(one), "after": _figures(other)}
            for one, other in zip(told[name].scored, after.scored, strict=True)
        }
    return {
        "model": model.name,
        "dataset": data.info.name,
        "fitted_on": split,
        "target": target,
        "heads": {one.head: dataclasses.asdict(one) for one in fits},
        "scores": scores,
    }


def fitted_temperatures(document: Mapping[str, Any]) -> dict[str, float]:
    """Head → temperature: the fitted one where that is a gain, 1 elsewhere."""
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
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("onnx", "train", "writing a card") from None
    loaded = onnx.load_model_from_string(read_model(model))
    entry = next((prop for prop in loaded.metadata_props if prop.key == METADATA_KEY), None)
    if entry is None:
        raise ModelError(f"{model} holds no card: use a file that `mien export` wrote")
    card = change(Card.from_json(entry.value))
    graph = loaded.graph.SerializeToString(deterministic=True)
    entry.value = card.to_json()
    content = loaded.SerializeToString(deterministic=True)
    if onnx.load_model_from_string(content).graph.SerializeToString(deterministic=True) != graph:
        raise ModelError(f"{model}: its graph changes when it is written again; export the model again instead")
    with writing(out), atomic_path(out) as temporary:
        temporary.write_bytes(content)
    return card


def with_temperatures(card: Card, temperatures: Mapping[str, float], scores: Mapping[str, Any] | None = None) -> Card:
    """The card with other temperatures, and, where given, other scores; `ModelError` for a head that it has not."""
    for head in temperatures:
        card.head(head)
    heads = tuple(
        dataclasses.replace(head, temperature=temperatures.get(head.name, head.temperature)) for head in card.heads
    )
    return dataclasses.replace(card, heads=heads, scores=dict(card.scores if scores is None else scores))


def _truth(one: HeadPredictions, target: FitTarget) -> tuple[HeadPredictions, NDArray[Any]]:
    """What is to be made likely: labels, or raters' distributions on the images that have one."""
    if target == "label" or one.raters is None:
        return one, one.truth
    known = one.raters.sum(axis=1) > 0
    part = one[known]
    return part, one.raters[known]


def _loss(probabilities: NDArray[np.floating], truth: NDArray[Any]) -> NDArray[np.float64]:
    """``(n,)`` cross-entropies, nats."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), _BARELY))
    if truth.ndim == 2:
        return np.asarray(-(truth * logs).sum(axis=1))
    return np.asarray(-logs[np.arange(len(truth)), truth])


def _probabilities(one: HeadPredictions) -> NDArray[np.float32]:
    if one.probabilities is None:
        raise InputError(f"{one.protocol}: this classifier gives labels alone, no probabilities to calibrate")
    return one.probabilities


def _figures(one: HeadPredictions) -> dict[str, Any]:
    scores = one.scores()
    return {name: getattr(scores, name) for name in ("n", "accuracy", "log_loss", "ece", "kl")}
