"""Score a trained network, as a run folder or as an exported file, on a prepared dataset under its protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.leaks import leaked
from mien.datasets.prepared import Prepared
from mien.errors import DataError, InputError
from mien.evaluation.metrics import Scores, score
from mien.runtime.model import Model, Probabilities, softmax, with_mirror
from mien.training.config import HeadSpec
from mien.training.fitting import fit_images
from mien.training.targets import head_targets
from mien.weights.catalog import MODELS, read_model

Features = Mapping[str, NDArray[np.float32]]
"""Name → ``(n, length)`` vectors that a network takes beside the pixels; empty for most networks."""
Predict = Callable[[NDArray[np.uint8], Features, bool], Probabilities]
"""uint8 ``(n, size, size, channels)`` images, features, whether to average with the mirrored → head → probabilities."""


@dataclass(frozen=True, slots=True)
class Scorable:
    """A model as evaluation sees it."""

    name: str
    size: int
    channels: int
    heads: dict[str, tuple[str, ...]]
    predict: Predict
    features: Mapping[str, int] = field(default_factory=dict)


def open_scorable(model: str | Path, threads: int | None = None) -> Scorable:
    """A shipped model's name, an ``.onnx`` file, or a run folder or ``.safetensors`` file of `mien train`."""
    path = Path(model)
    if str(model) in MODELS or path.suffix.lower() == ".onnx":
        loaded = Model(read_model(model), threads=threads, name=str(model))
        card = loaded.card
        return Scorable(
            card.name,
            card.size,
            card.n_channels,
            {head.name: head.labels for head in card.heads},
            lambda images, features, flip: loaded(images, flip=flip, vectors=None if flip else features),
            card.features,
        )
    if not path.exists():
        raise InputError(f"no model {str(model)!r}: give {', '.join(MODELS)}, an .onnx file, or a run folder")
    return _open_run(path, threads)


def _open_run(path: Path, threads: int | None) -> Scorable:
    import torch

    from mien.networks.catalog import network
    from mien.training.checkpoint import load_run

    if threads is not None:
        torch.set_num_threads(threads)
    recipe, module, weights = load_run(path)
    row = network(recipe.network)
    mean = np.asarray(recipe.mean, np.float32).reshape(1, -1, 1, 1)
    std = np.asarray(recipe.std, np.float32).reshape(1, -1, 1, 1)

    def probabilities(images: NDArray[np.uint8], features: Features) -> Probabilities:
        parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in recipe.head_sizes}
        for start in range(0, len(images), 256):
            chunk = slice(start, start + 256)
            x = torch.from_numpy((images[chunk].transpose(0, 3, 1, 2).astype(np.float32) / 255 - mean) / std)
            given = {name: torch.from_numpy(np.ascontiguousarray(features[name][chunk])) for name in row.features}
            with torch.inference_mode():
                for name, logits in (module(x, given) if given else module(x)).items():
                    parts[name].append(softmax(logits.numpy()))
        return {name: np.concatenate(chunks).astype(np.float32, copy=False) for name, chunks in parts.items()}

    def predict(images: NDArray[np.uint8], features: Features, flip: bool) -> Probabilities:
        if flip and row.features:
            raise InputError("features of mirrored images are not at hand: score this network without flip averaging")
        return with_mirror(lambda x: probabilities(x, {}), images) if flip else probabilities(images, features)

    heads = {head.name: head.labels for head in recipe.heads}
    return Scorable(f"{recipe.name} ({weights.name})", row.size, len(recipe.mean), heads, predict, row.features)


def predict(model: Scorable, data: Prepared, *, flip: bool = False) -> Probabilities:
    """Probabilities of every head on every image of ``data``: head → ``(n, classes)``.

    Raises:
        DataError: the network takes features that the dataset lacks.
    """
    missing = [name for name in model.features if name not in data.features]
    if missing:
        raise DataError(
            f"{model.name} takes {', '.join(missing)} features, which this file lacks: "
            "add them with `mien data prepare FILE --features … --out FILE`"
        )
    return model.predict(fit_images(data.images, model.size, model.channels), data.features, flip)


def evaluate(model: Scorable, data: Prepared, *, split: str = "test", flip: bool = False) -> dict[str, Any]:
    """Every figure of every head the dataset has labels for.

    Returns:
        JSON-ready: ``{"model", "dataset", "split", "flip", "results": {protocol: Scores}, "groups": {…}}``. Protocols
        are "ferplus" (Barsoum's majority), "fer2013" and "age", each official and, where test images also stand in the
        training set, "… leak-free" without those. For datasets with race and gender there is accuracy by group.

    Raises:
        DataError: the dataset has no such split, or its images do not fit the network.
    """
    rows = data.split == split
    part = data[rows]
    if len(part) == 0:
        raise DataError(f"the dataset has no {split!r} images: it has {', '.join(sorted(set(data.split.tolist())))}")
    dirty = leaked(data)[rows]
    probabilities = predict(model, part, flip=flip)
    results: dict[str, Scores] = {}
    groups: dict[str, Any] = {}
    for name, labels in model.heads.items():
        target = _target(name, part)
        if target is None:
            continue
        truth = head_targets(part, HeadSpec(name, labels, target)).label
        scored = truth >= 0
        ordered = target == "age"
        results[name] = score(probabilities[name][scored], truth[scored], labels, ordered=ordered)
        if (dirty & scored).any():
            clean = scored & ~dirty
            results[f"{name} leak-free"] = score(probabilities[name][clean], truth[clean], labels, ordered=ordered)
        if part.found is not None and not part.found.all():
            seen = scored & part.found
            results[f"{name} found"] = score(probabilities[name][seen], truth[seen], labels, ordered=ordered)
        groups[name] = _groups(part, probabilities[name], truth, scored, labels, ordered)
    if not results:
        raise DataError(f"none of the model's heads ({', '.join(model.heads)}) has labels in this dataset")
    return {
        "model": model.name,
        "dataset": data.info.name,
        "split": split,
        "flip": flip,
        "results": {name: one.to_dict() for name, one in results.items()},
        "groups": {name: one for name, one in groups.items() if one},
    }


def _target(head: str, data: Prepared) -> Any:
    """Which of the dataset's labels a head is scored on; None when it has none of them."""
    if head == "ferplus" and data.votes is not None:
        return "majority"
    if head == "fer2013" and data.emotion is not None and data.info.taxonomy == "fer2013":
        return "emotion"
    if head == "age" and data.age is not None:
        return "age"
    return None


def _groups(
    data: Prepared,
    probabilities: NDArray[np.float32],
    truth: NDArray[np.int64],
    scored: NDArray[np.bool_],
    labels: tuple[str, ...],
    ordered: bool,
) -> dict[str, Any]:
    """Accuracy by race, by gender and by both."""
    if data.race is None or data.gender is None:
        return {}
    both = np.array([f"{race}, {gender}" for race, gender in zip(data.race, data.gender, strict=True)])
    table: dict[str, Any] = {}
    for title, column in (("race", data.race), ("gender", data.gender), ("race and gender", both)):
        table[title] = {}
        for group in sorted(set(column.tolist())):
            rows = scored & (column == group)
            one = score(probabilities[rows], truth[rows], labels, ordered=ordered)
            table[title][group] = {"n": one.n, "accuracy": one.accuracy, "one_off": one.one_off}
    return table
