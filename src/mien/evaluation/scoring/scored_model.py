"""A model that can be scored: a run folder, an ONNX file, a shipped name, or any function of yours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.errors import DataError, InputError, ModelError, choose_one
from mien.labels import canonical
from mien.models.card import CropFrame
from mien.models.catalog import MODELS, read_model
from mien.models.crop_frames import FRAMES
from mien.models.label_sets import SetRule
from mien.models.model import Model, Probabilities, average_with_mirror, softmax
from mien.models.preprocessing import normalize
from mien.models.priors import DEFAULT
from mien.training.config import HeadSpec
from mien.training.resize import resize_images

Features = Mapping[str, NDArray[np.float32]]
"""Name → ``(n, length)`` vectors that a network takes in addition to pixels; empty for most networks."""
Predict = Callable[[NDArray[np.uint8], Features, bool], Probabilities]
"""uint8 ``(n, size, size, channels)`` images, features, whether to average with the mirrored → head → probabilities."""
ModelOutput = NDArray[np.floating] | Mapping[str, NDArray[np.floating]]

_BATCH = 256
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class ScoredModel:
    """A model that can be scored.

    Attributes:
        name: in reports.
        size: side of its input, pixels.
        channels: 1 (gray) or 3 (RGB).
        heads: name → labels, in the order of the columns.
        predict: the model.
        features: name → length of the vectors that it takes in addition to pixels.
        frame: where a face lies in its input, for whole photos; None where that is not known.
        specs: name of a head → the head in the recipe that trained it.
        rules: name of a head → the rule of its sets of labels, where one was chosen.
        prior: how often labels are expected; the default where another was chosen that the model does not offer.

    Examples:
        >>> model = open_model("emotion", threads=1)
        >>> model.name, model.size, model.channels, list(model.heads)
        ('emotion', 48, 1, ['ferplus', 'fer2013'])
    """

    name: str
    size: int
    channels: int
    heads: dict[str, tuple[str, ...]]
    predict: Predict
    features: Mapping[str, int] = field(default_factory=dict)
    frame: CropFrame | None = None
    specs: Mapping[str, HeadSpec] = field(default_factory=dict)
    rules: Mapping[str, SetRule] = field(default_factory=dict)
    prior: str = DEFAULT


def open_model(
    model: str | Path,
    threads: int | None = None,
    prior: str = DEFAULT,
    *,
    coverage: float | None = None,
    by_class: bool = False,
) -> ScoredModel:
    """A shipped model's name, an ``.onnx`` file, or a run folder or ``.safetensors`` file of `mien train`.

    The ``prior``, a key of `mien.models.priors.PRIORS`, counts for models whose card offers the choice;
    ``coverage`` and ``by_class``, as for `mien.models.model.Model`, for those whose card has sets.

    Args:
        model: name, file or folder.
        threads: processor threads; None for the available CPUs, at most 4.
        prior: how often labels are expected.
        coverage: probability with which sets of labels hold the right one; None for no sets.
        by_class: sets that do so for the images of each label.

    Raises:
        InputError: no such model.
        ModelError: a file that is damaged.

    Examples:
        >>> list(open_model("emotion", threads=1).heads), list(open_model(run, threads=1).heads)
        (['ferplus', 'fer2013'], ['fer2013'])
    """
    path = Path(model)
    if str(model) in MODELS or path.suffix.lower() == ".onnx":
        content = read_model(model)
        return wrap_onnx(
            Model(content, threads=threads, name=str(model), prior=prior, coverage=coverage, by_class=by_class)
        )
    if not path.exists():
        raise InputError(
            "no such model",
            path=path,
            advice=choose_one(str(model), (*MODELS, "an .onnx file", "a run folder")),
            code="model-missing",
        )
    return _open_run(path, threads)


def wrap_onnx(loaded: Model) -> ScoredModel:
    """An ONNX model that is already loaded."""
    card = loaded.card
    chosen = loaded.prior in card.priors and loaded.prior != DEFAULT
    return ScoredModel(
        f"{card.name}, prior {loaded.prior}" if chosen else card.name,
        card.size,
        card.n_channels,
        {head.name: head.labels for head in card.heads},
        lambda images, features, flip: loaded(images, flip=flip, vectors=None if flip else features),
        card.features,
        card.frame,
        rules={head.name: head.rule for head in card.heads if head.rule is not None},
        prior=loaded.prior if chosen else DEFAULT,
    )


def wrap_uncalibrated(loaded: Model) -> ScoredModel:
    """The same with the network's own probabilities: no temperature, no read-out."""

    def once(images: NDArray[np.uint8], features: Features | None) -> Probabilities:
        return {name: softmax(logits) for name, logits in loaded.logits(images, features).items()}

    return replace(
        wrap_onnx(loaded),
        name=loaded.card.name,
        predict=lambda images, features, flip: (
            average_with_mirror(lambda mirrored: once(mirrored, None), images) if flip else once(images, features)
        ),
    )


def from_callable(
    function: Callable[[NDArray[np.uint8]], ModelOutput],
    labels: Sequence[str] | Mapping[str, Sequence[str]],
    *,
    size: int,
    channels: int = 3,
    name: str = "callable",
    frame: CropFrame | None = None,
) -> ScoredModel:
    """Any classifier as a model that is scored by the same code as Mien's.

    Args:
        function: uint8 images ``(n, size, size, channels)``, RGB or gray, to probabilities ``(n, k)`` whose rows sum to
            1; or, for several heads, to a mapping of head → such an array. It gets at most 256 images at a time.
        labels: the k labels in the order of the columns, in any spelling; or head → labels.
        size: side of its input images, pixels.
        channels: 1 for gray, 3 for RGB.
        name: in reports.
        frame: where a face lies in its images, needed for whole photos only; `mien.models.crop_frames` has FER2013's.

    Raises:
        InputError: no label, two columns of one label, or channels other than 1 and 3. When it is called: output of
            another shape, or that is no probability.

    Examples:
        >>> model = from_callable(
        ...     lambda images: np.full((len(images), 2), 0.5, np.float32), ("happy", "sad"), size=48, channels=1
        ... )
        >>> model.heads
        {'emotion': ('happy', 'sad')}
    """
    if isinstance(labels, str):
        raise InputError(f"labels are a sequence, one for each column; got the text {labels!r}")
    heads = {"emotion": tuple(labels)} if not isinstance(labels, Mapping) else {k: tuple(v) for k, v in labels.items()}
    if channels not in (1, 3) or size < 1 or not heads or not all(heads.values()):
        raise InputError("a callable needs labels, a size of 1 pixel or more, and 1 or 3 channels")
    for names in heads.values():
        _check_labels(names)

    def once(images: NDArray[np.uint8]) -> Probabilities:
        parts: dict[str, list[NDArray[np.float32]]] = {head: [] for head in heads}
        for start in range(0, len(images), _BATCH):
            chunk = images[start : start + _BATCH]
            output = function(chunk)
            outputs = output if isinstance(output, Mapping) else dict.fromkeys(tuple(heads)[:1], output)
            for head, names in heads.items():
                if head not in outputs:
                    raise InputError(f"{name} returned no head {head!r}")
                parts[head].append(_checked(outputs[head], (len(chunk), len(names)), f"{name}, head {head!r}"))
        return {
            head: np.concatenate([np.zeros((0, len(heads[head])), np.float32), *chunks])
            for head, chunks in parts.items()
        }

    return ScoredModel(
        name,
        size,
        channels,
        heads,
        lambda images, features, flip: average_with_mirror(once, images) if flip else once(images),
        frame=frame,
    )


def _check_labels(names: Sequence[str]) -> None:
    meant = [_meaning(name) for name in names]
    for name, meaning in zip(names, meant, strict=True):
        if meant.count(meaning) > 1:
            raise InputError(f"more than one column is labelled {name!r}", advice="give each column its own label")


def _meaning(label: str) -> str:
    try:
        return canonical(label)
    except InputError:
        return label  # ages, or classes of its own


def predict(model: ScoredModel, data: Dataset, *, flip: bool = False) -> Probabilities:
    """Probabilities of every head on every image of ``data``: head → ``(n, classes)``.

    Raises:
        DataError: the network takes features that the dataset lacks.
    """
    missing = [name for name in model.features if name not in data.features]
    if missing:
        raise DataError(
            f"{model.name} takes {', '.join(missing)} features, which this file lacks",
            advice="add them with `mien data prepare FILE --features … --out FILE`",
            code="features-missing",
        )
    return model.predict(resize_images(data.images, model.size, model.channels), data.features, flip)


def _checked(output: NDArray[np.floating], shape: tuple[int, int], name: str) -> NDArray[np.float32]:
    values = np.asarray(output)
    if values.shape != shape:
        raise InputError(f"{name}: expected probabilities of the shape {shape}, got {values.shape}")
    if not np.isfinite(values).all() or (values < 0).any():
        raise InputError(f"{name}: a probability is negative or not a number", advice="apply a softmax to the logits")
    if np.abs(values.sum(axis=1) - 1).max(initial=0) > _SUM_TOLERANCE:
        raise InputError(
            f"{name}: the probabilities of an image do not sum to 1", advice="apply a softmax to the logits"
        )
    return values.astype(np.float32)


def _open_run(path: Path, threads: int | None) -> ScoredModel:
    import torch

    from mien.networks.catalog import get_network
    from mien.training.run_folder import load_run
    from mien.training.torch_threads import set_torch_threads

    set_torch_threads(threads)
    recipe, module, weights = load_run(path)
    row = get_network(recipe.network)

    def probabilities(images: NDArray[np.uint8], features: Features) -> Probabilities:
        parts: dict[str, list[NDArray[np.float32]]] = {
            name: [np.zeros((0, size), np.float32)] for name, size in recipe.head_sizes.items()
        }
        for start in range(0, len(images), _BATCH):
            chunk = slice(start, start + _BATCH)
            x = torch.from_numpy(normalize(images[chunk], recipe.mean, recipe.std))
            given = {name: torch.from_numpy(np.ascontiguousarray(features[name][chunk])) for name in row.features}
            try:
                with torch.inference_mode():
                    outputs = module(x, given) if given else module(x)
            except RuntimeError as error:
                raise ModelError(
                    f"cannot be computed ({error})", path=weights, advice="train the network again"
                ) from error
            for name, logits in outputs.items():
                parts[name].append(softmax(logits.numpy()))
        return {name: np.concatenate(chunks).astype(np.float32, copy=False) for name, chunks in parts.items()}

    def predict_run(images: NDArray[np.uint8], features: Features, flip: bool) -> Probabilities:
        if flip and row.features:
            raise InputError(
                f"{weights.name} takes features, which are not known for mirrored images",
                advice="score it without flip averaging",
            )
        return average_with_mirror(lambda x: probabilities(x, {}), images) if flip else probabilities(images, features)

    return ScoredModel(
        f"{recipe.name} ({weights.name})",
        row.size,
        len(recipe.mean),
        {head.name: head.labels for head in recipe.heads},
        predict_run,
        row.features,
        FRAMES.get(recipe.frame_name),
        {head.name: head for head in recipe.heads},
    )
