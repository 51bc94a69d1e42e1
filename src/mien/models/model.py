"""A classifier: an ONNX file with its card, and the preprocessing that the card specifies."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.defaults import DEVICE
from mien.errors import InputError, ModelError
from mien.models.card import METADATA_KEY, Card, Head
from mien.models.devices import DeviceWarning, parse_device
from mien.models.extra_inputs import ExtraInput, find_extra_input
from mien.models.label_sets import check_coverage
from mien.models.preprocessing import normalize
from mien.models.priors import DEFAULT, PRIORS
from mien.models.readout import apply_readout
from mien.models.session import Session, open_session, run_session
from mien.text import listing

Probabilities = dict[str, NDArray[np.float32]]
"""Head name → ``(n, classes)``, rows sum to 1."""
Vectors = Mapping[str, NDArray[np.float32]]
"""Feature → ``(n, length)`` vectors, inputs of a network beside the pixels."""
Predict = Callable[[NDArray[np.uint8]], Probabilities]
"""uint8 ``(n, size, size, channels)`` → `Probabilities`."""

CHUNK = 64
"""Crops per run of the network; bounds memory on pictures with many faces."""
FEATURE_PREFIX = "feature_"
"""Prefix of the names of a network's feature inputs."""
_EXPORT_AGAIN = "export it again"


class Model:
    """A network with its card. Built once, safe to call from several threads.

    A network that takes feature vectors beside the pixels gets those of its crops, computed here.

    Args:
        model: the ONNX file, or its content.
        threads: threads inside one operator; None takes the available CPUs, at most 4.
        name: stands for the path in error messages, such as the name of a shipped model; by default the path.
        prior: how often its labels are expected, a key of `mien.models.priors.PRIORS`; of no effect on models whose
            card offers no choice.
        coverage: probability with which sets of labels hold the right one, 0.5 to 0.99 in steps of 0.01; None for no
            sets. Heads whose card has none fitted get none.
        by_class: sets that do so for the faces of each label, not only over all of them.
        device: what it runs on, see `mien.models.devices.DEVICES`; the processor where that does not load.

    Warns:
        DeviceWarning: the device did not load, or computes networks in 8 bits, as this one is, with other results.

    Raises:
        InputError: no such prior or device, a coverage out of range, or ``by_class`` without a coverage.
        ModelError: not an ONNX file, or one without a card, or one whose features are not those of this version.
        MissingFileError: no such file.
        MissingExtraError: the network takes a feature that needs a package that is not installed.

    Examples:
        >>> from mien.models.catalog import read_model
        >>> model = Model(read_model("emotion"), threads=1)
        >>> model
        Model('emotion', heads ferplus, fer2013)
        >>> crops = np.zeros((2, model.card.size, model.card.size, model.card.n_channels), np.uint8)
        >>> model(crops)["ferplus"].shape, model.logits(crops)["ferplus"].shape
        ((2, 8), (2, 8))
        >>> probabilities, measures = model.predict(crops, flip=True)
        >>> sorted(measures), model.network_inputs(crops)["images"].shape
        (['covered', 'unlike'], (2, 1, 48, 48))
    """

    def __init__(
        self,
        model: bytes | Path,
        *,
        threads: int | None = None,
        name: str = "",
        prior: str = DEFAULT,
        coverage: float | None = None,
        by_class: bool = False,
        device: str = DEVICE,
    ) -> None:
        if prior not in PRIORS:
            raise InputError(f"no prior {prior!r}", advice=f"choose one of {', '.join(PRIORS)}", code="prior-unknown")
        if by_class and coverage is None:
            raise InputError("sets by class need a coverage", advice="such as 0.9", code="coverage-missing")
        self.prior = prior
        path = name or (None if isinstance(model, bytes) else str(model))
        self._session = open_session(model, threads=threads, name=name, device=device)
        try:
            self.card = _read_card(self._session, path)
            if coverage is not None:
                share = check_coverage(coverage)
                heads = tuple(head.with_rule(prior, share, by_class=by_class) for head in self.card.heads)
                self.card = replace(self.card, heads=heads)
            self._extra = _extra_inputs(self.card)
            self._input = _pixel_input(self._session, self.card)
            _check_outputs(self._session, self.card)
            _warn_of_8_bits(self._session, self.card, device)
        except UnicodeDecodeError as error:
            raise ModelError(
                f"the model is damaged: a name in it is not UTF-8 text ({error})",
                path=path,
                advice="get the file again",
            ) from error

    def __repr__(self) -> str:
        heads = listing([ascii(head.name)[1:-1] for head in self.card.heads])
        return f"Model({self.card.name!a}, heads {heads})"

    def logits(self, crops: NDArray[np.uint8], vectors: Vectors | None = None) -> dict[str, NDArray[np.float32]]:
        """Raw outputs of the network, before temperature and softmax.

        Args:
            crops: uint8 ``(n, card.size, card.size, card.n_channels)``, RGB or gray.
            vectors: the crops' feature vectors if they are known; by default they are computed.

        Returns:
            Head name → ``(n, classes)`` float32.

        Raises:
            InputError: crops of another shape or dtype.
            ModelError: the network cannot be computed, or returns other shapes than its card specifies.
        """
        return self._outputs(crops, vectors, {head.name: len(head.labels) for head in self.card.heads})

    def _outputs(
        self, crops: NDArray[np.uint8], vectors: Vectors | None, widths: Mapping[str, int]
    ) -> dict[str, NDArray[np.float32]]:
        """Outputs of the network: name → ``(n, width)``, for names and widths that are given."""
        card = self.card
        expected = (card.size, card.size, card.n_channels)
        if crops.dtype != np.uint8 or crops.shape[1:] != expected:
            sides = ", ".join(map(str, expected))
            raise InputError(f"model {card.name!r} takes uint8 crops (n, {sides}), got {crops.dtype} {crops.shape}")
        parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in widths}
        for start in range(0, len(crops), CHUNK):
            chunk = slice(start, start + CHUNK)
            part = None if vectors is None else {name: each[chunk] for name, each in vectors.items()}
            outputs = run_session(self._session, list(widths), self.network_inputs(crops[chunk], part), card.name)
            for (name, width), output in zip(widths.items(), outputs, strict=True):
                parts[name].append(_check_output(output, (len(crops[chunk]), width), card.name))
        return {name: _concatenate(parts[name], width) for name, width in widths.items()}

    def network_inputs(
        self, crops: NDArray[np.uint8], vectors: Vectors | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """The network's inputs: name → float32 array. Arguments as for `logits`.

        Args:
            crops: as for `logits`.
            vectors: as for `logits`.

        Raises:
            InputError: as `logits`.
        """
        inputs = {self._input: normalize(crops, self.card.mean, self.card.std)}
        for name in self.card.features:
            part = vectors[name] if vectors and name in vectors else self._extra[name].vectors(crops)
            inputs[FEATURE_PREFIX + name] = np.ascontiguousarray(part)
        return inputs

    def __call__(
        self, crops: NDArray[np.uint8], *, flip: bool = False, vectors: Vectors | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Probabilities: head name → ``(n, classes)`` float32, rows sum to 1.

        Args:
            crops: as for `logits`.
            flip: average with the mirrored crops.
            vectors: as for `logits`; those of mirrored crops are always computed, so they must not be given with
                ``flip``.

        Raises:
            InputError: as for `logits`.
            ModelError: as for `logits`.
        """
        return average_with_mirror(self._probabilities, crops) if flip else self._probabilities(crops, vectors)

    def predict(
        self, crops: NDArray[np.uint8], *, flip: bool = False, view: bool = True
    ) -> tuple[Probabilities, Probabilities]:
        """Probabilities as from a call, and the measures that the card lists: name → ``(n,)``.

        Args:
            crops: as for `logits`.
            flip: average the probabilities with those of the mirrored crops.
            view: whether the measures are computed; else there are none.

        Raises:
            InputError: as for `logits`.
            ModelError: as for `logits`.
        """
        card = self.card
        wanted = card.measures if view else ()
        widths = {head.name: len(head.labels) for head in card.heads} | dict.fromkeys(wanted, 1)
        outputs = self._outputs(crops, None, widths)
        measures = {name: outputs.pop(name)[:, 0] for name in wanted}
        probabilities = read_out(card.heads, outputs, self.prior)
        if flip:
            mirrored = self._probabilities(np.ascontiguousarray(crops[:, :, ::-1]))
            probabilities = {
                name: np.asarray((p + mirrored[name]) / 2, np.float32) for name, p in probabilities.items()
            }
        return probabilities, measures

    def _probabilities(
        self, crops: NDArray[np.uint8], vectors: Vectors | None = None
    ) -> dict[str, NDArray[np.float32]]:
        return read_out(self.card.heads, self.logits(crops, vectors), self.prior)


def read_out(heads: Sequence[Head], logits: Probabilities, prior: str = DEFAULT) -> Probabilities:
    """Probabilities of every head from the logits (or logarithms of probabilities) of all of them."""
    labels = {head.name: head.labels for head in heads}
    probabilities = {}
    for head in heads:
        readout = head.readout(prior)
        other = (logits[readout.joined], labels[readout.joined]) if readout.joined else None
        probabilities[head.name] = apply_readout(readout, logits[head.name], head.labels, head.frequencies, other)
    return probabilities


def average_with_mirror(predict: Predict, images: NDArray[np.uint8]) -> Probabilities:
    """Mean of the probabilities of ``(n, h, w, c)`` images and of their mirror images."""
    mirrored = predict(np.ascontiguousarray(images[:, :, ::-1]))
    return {name: np.asarray((p + mirrored[name]) / 2, np.float32) for name, p in predict(images).items()}


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Over the last axis of ``(n, k)``, stable."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def _read_card(session: Session, path: str | None) -> Card:
    text = session.metadata.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            "the model holds no card", path=path, advice="use a file that `mien export` wrote", code="card-missing"
        )
    return Card.from_json(text)


def _pixel_input(session: Session, card: Card) -> str:
    """Name of the pixel input; `ModelError` where the network has other inputs than its card specifies."""
    pixels, *others = session.inputs or [None]
    declared = [] if pixels is None else [pixels, *others]
    expected = [FEATURE_PREFIX + name for name in card.features]
    if (
        pixels is None
        or sorted(each.name for each in others) != sorted(expected)
        or any(each.type != "tensor(float)" for each in declared)
        or not _shape_fits(pixels.shape, (len(card.mean), card.size, card.size))
        or any(not _shape_fits(each.shape, (card.features[each.name.removeprefix(FEATURE_PREFIX)],)) for each in others)
    ):
        raise ModelError(f"model {card.name!r} takes other inputs than its card specifies", advice=_EXPORT_AGAIN)
    return str(pixels.name)


def _check_outputs(session: Session, card: Card) -> None:
    outputs = {output.name: output for output in session.outputs}
    missing = [name for name in (*(head.name for head in card.heads), *card.measures) if name not in outputs]
    if missing:
        raise ModelError(f"model {card.name!r} has no output {', '.join(missing)}", advice=_EXPORT_AGAIN)
    for head in card.heads:
        output = outputs[head.name]
        if output.type != "tensor(float)" or not _shape_fits(output.shape, (len(head.labels),)):
            raise ModelError(
                f"model {card.name!r}: output {head.name} is not one number for each of {len(head.labels)} labels",
                advice=_EXPORT_AGAIN,
            )
    for name in card.measures:
        if outputs[name].type != "tensor(float)" or not _shape_fits(outputs[name].shape, (1,)):
            raise ModelError(f"model {card.name!r}: output {name} is not one number per face", advice=_EXPORT_AGAIN)


def _shape_fits(shape: list[Any], expected: tuple[int, ...]) -> bool:
    """Whether a declared shape, in which names stand for any length, can be ``(n, *expected)``."""
    return len(shape) == 1 + len(expected) and all(
        not isinstance(side, int) or side == length for side, length in zip(shape[1:], expected, strict=True)
    )


def _extra_inputs(card: Card) -> dict[str, ExtraInput]:
    """The extra inputs that the card names; raises at once, not at the first face, where one cannot be computed."""
    inputs: dict[str, ExtraInput] = {}
    for name, length in card.features.items():
        feature = find_extra_input(name)
        if feature is None or feature.length != length:
            raise ModelError(
                f"model {card.name!r} takes {length} {name} features, which this version does not compute",
                advice="export it again with this version of mien",
            )
        if (card.size, card.channels) != (feature.side, "gray"):
            raise ModelError(
                f"model {card.name!r} takes {name} features of {feature.side}-pixel gray crops, "
                f"but crops of {card.size} pixels"
            )
        # raises where a package is missing, and loads dlib's model into memory for later faces
        feature.vectors(np.zeros((1, feature.side, feature.side, 1), np.uint8))
        inputs[name] = feature
    return inputs


def _check_output(output: Any, shape: tuple[int, int], model: str) -> NDArray[np.float32]:
    """``output``; `ModelError` unless it is finite and has this shape: a graph need not keep what it declares."""
    if not isinstance(output, np.ndarray) or output.shape != shape or not np.isfinite(output).all():
        raise ModelError(
            f"model {model!r} does not return {shape[1]} finite numbers per face: its file is damaged",
            advice="get the file again",
        )
    return output


def _concatenate(parts: list[NDArray[np.float32]], classes: int) -> NDArray[np.float32]:
    return np.concatenate([np.zeros((0, classes), np.float32), *parts]).astype(np.float32, copy=False)


def _warn_of_8_bits(session: Session, card: Card, device: str) -> None:
    info = parse_device(device).info
    if "quantized" in card.training and info.difference_in_8_bits and info.provider in session.providers:
        warnings.warn(
            f"model {card.name} is in 8 bits, and device {device} rounds such networks differently from the processor: "
            f"probabilities differ by up to {info.difference_in_8_bits}; take the model in floats there",
            DeviceWarning,
            stacklevel=3,
        )
