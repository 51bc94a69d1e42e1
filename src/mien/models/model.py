"""A classifier: an ONNX file, and the preprocessing that its own card asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, ModelError
from mien.models.card import METADATA_KEY, Card
from mien.models.extra_inputs import ExtraInput, extra_input
from mien.models.preprocessing import normalize
from mien.models.session import open_session, run

if TYPE_CHECKING:
    import onnxruntime

Probabilities = dict[str, NDArray[np.float32]]
"""Head name → ``(n, classes)``, rows sum to 1."""
Vectors = Mapping[str, NDArray[np.float32]]
"""Feature → ``(n, length)`` vectors that a network takes beside the pixels."""
Predict = Callable[[NDArray[np.uint8]], Probabilities]
"""uint8 ``(n, size, size, channels)`` → `Probabilities`."""

CHUNK = 64
"""Crops that go through the network at once; bounds memory on a crowd."""
FEATURE = "feature_"
"""What the names of a network's inputs of feature vectors begin with."""


class Model:
    """A network with its card. Built once, safe to call from several threads.

    A network that takes feature vectors beside the pixels gets those of its crops, computed here.

    Args:
        model: the ONNX file, or its content.
        threads: processor threads, None for a sensible number.
        name: what messages call it; by default its path.

    Raises:
        ModelError: not an ONNX file, or one without a card, or one whose features are not those of this version.
        MissingFileError: no such file.
        MissingExtraError: the network takes a feature that needs a package that is not installed.
    """

    def __init__(self, model: bytes | Path, *, threads: int | None = None, name: str = "") -> None:
        name = name or ("the model" if isinstance(model, bytes) else str(model))
        self._session = open_session(model, threads=threads, name=name)
        try:
            self.card = _card(self._session, name)
            self._extra = _extra_inputs(self.card)
            self._input = _fed(self._session, self.card)
            _check_outputs(self._session, self.card)
        except UnicodeDecodeError as error:
            raise ModelError(f"{name}: a name in it is no text: its file is damaged, get it again ({error})") from error

    def logits(self, crops: NDArray[np.uint8], vectors: Vectors | None = None) -> dict[str, NDArray[np.float32]]:
        """Raw outputs.

        Args:
            crops: uint8 ``(n, size, size, channels)`` as the card says, RGB or gray.
            vectors: the crops' feature vectors where they are at hand; by default they are computed.

        Returns:
            Head name → ``(n, classes)`` float32.
        """
        card = self.card
        expected = (card.size, card.size, card.n_channels)
        if crops.dtype != np.uint8 or crops.shape[1:] != expected:
            raise InputError(f"model {card.name!r} takes uint8 crops (n, {expected}), got {crops.dtype} {crops.shape}")
        names = [head.name for head in card.heads]
        parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
        for start in range(0, len(crops), CHUNK):
            chunk = slice(start, start + CHUNK)
            part = None if vectors is None else {name: each[chunk] for name, each in vectors.items()}
            outputs = run(self._session, names, self.feed(crops[chunk], part), card.name)
            for head, output in zip(card.heads, outputs, strict=True):
                parts[head.name].append(_checked(output, (len(crops[chunk]), len(head.labels)), card.name))
        return {head.name: _joined(parts[head.name], len(head.labels)) for head in card.heads}

    def feed(self, crops: NDArray[np.uint8], vectors: Vectors | None = None) -> dict[str, NDArray[np.float32]]:
        """What goes into the network: input → float32 array; arguments as for `logits`."""
        given = {self._input: normalize(crops, self.card.mean, self.card.std)}
        for name in self.card.features:
            part = vectors[name] if vectors and name in vectors else self._extra[name].vectors(crops)
            given[FEATURE + name] = np.ascontiguousarray(part)
        return given

    def __call__(
        self, crops: NDArray[np.uint8], *, flip: bool = False, vectors: Vectors | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Probabilities: head name → ``(n, classes)`` float32, rows sum to 1.

        Args:
            crops: as for `logits`.
            flip: average with the mirrored crops.
            vectors: as for `logits`; those of mirrored crops are always computed, so not to be given with ``flip``.
        """
        return with_mirror(self._probabilities, crops) if flip else self._probabilities(crops, vectors)

    def _probabilities(
        self, crops: NDArray[np.uint8], vectors: Vectors | None = None
    ) -> dict[str, NDArray[np.float32]]:
        logits = self.logits(crops, vectors)
        return {head.name: softmax(logits[head.name] / head.temperature) for head in self.card.heads}


def with_mirror(predict: Predict, images: NDArray[np.uint8]) -> Probabilities:
    """Mean of the probabilities of ``(n, h, w, c)`` images and of their mirror images."""
    mirrored = predict(np.ascontiguousarray(images[:, :, ::-1]))
    return {name: np.asarray((p + mirrored[name]) / 2, np.float32) for name, p in predict(images).items()}


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Over the last axis of ``(n, k)``, stable."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def _card(session: onnxruntime.InferenceSession, name: str) -> Card:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelError(f"{name} holds no card: use a file that `mien export` wrote")
    return Card.from_json(text)


def _fed(session: onnxruntime.InferenceSession, card: Card) -> str:
    """Name of the input of pixels; `ModelError` where the network takes something else than its card says."""
    pixels, *others = session.get_inputs() or [None]
    given = [] if pixels is None else [pixels, *others]
    named = [FEATURE + name for name in card.features]
    if (
        pixels is None
        or sorted(one.name for one in others) != sorted(named)
        or any(one.type != "tensor(float)" for one in given)
        or not _fits(pixels.shape, (len(card.mean), card.size, card.size))
        or any(not _fits(one.shape, (card.features[one.name.removeprefix(FEATURE)],)) for one in others)
    ):
        raise ModelError(f"model {card.name!r} takes other inputs than its card says: export it again")
    return str(pixels.name)


def _check_outputs(session: onnxruntime.InferenceSession, card: Card) -> None:
    outputs = {output.name: output for output in session.get_outputs()}
    missing = [head.name for head in card.heads if head.name not in outputs]
    if missing:
        raise ModelError(f"model {card.name!r} has no output {', '.join(missing)}: export it again")
    for head in card.heads:
        output = outputs[head.name]
        if output.type != "tensor(float)" or not _fits(output.shape, (len(head.labels),)):
            raise ModelError(
                f"model {card.name!r}: output {head.name} is not one number for each of {len(head.labels)} labels: "
                "export it again"
            )


def _fits(shape: list[Any], wanted: tuple[int, ...]) -> bool:
    """Whether a declared shape, in which names stand for any length, can be ``(n, *wanted)``."""
    return len(shape) == 1 + len(wanted) and all(
        not isinstance(one, int) or one == length for one, length in zip(shape[1:], wanted, strict=True)
    )


def _extra_inputs(card: Card) -> dict[str, ExtraInput]:
    """The inputs that the card names; refused now, not at the first face, where they cannot be computed here."""
    found: dict[str, ExtraInput] = {}
    for name, length in card.features.items():
        known = extra_input(name)
        if known is None or known.length != length:
            raise ModelError(
                f"model {card.name!r} takes {length} {name} features, which this version does not compute: "
                "export it again with this version of mien"
            )
        if (card.size, card.channels) != (known.side, "gray"):
            raise ModelError(
                f"model {card.name!r} takes {name} features of {known.side}-pixel gray crops, "
                f"but crops of {card.size} pixels"
            )
        # reports what is not installed, and keeps dlib's model in memory for the faces to come
        known.vectors(np.zeros((1, known.side, known.side, 1), np.uint8))
        found[name] = known
    return found


def _checked(output: Any, shape: tuple[int, int], who: str) -> NDArray[np.float32]:
    """An output as it has to be: what a graph declares it need not keep."""
    if not isinstance(output, np.ndarray) or output.shape != shape or not np.isfinite(output).all():
        raise ModelError(f"model {who!r} does not give {shape[1]} numbers a face: its file is damaged, get it again")
    return output


def _joined(parts: list[NDArray[np.float32]], classes: int) -> NDArray[np.float32]:
    return np.concatenate([np.zeros((0, classes), np.float32), *parts]).astype(np.float32, copy=False)
