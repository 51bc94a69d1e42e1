"""ONNX files of other packages, which have no card: what is not in the file is given by the caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, ModelError
from mien.evaluation.scoring.scored_model import ScoredModel, from_callable
from mien.labels import FER2013, canonical
from mien.models.model import Probabilities, softmax
from mien.models.session import open_session, run_session

UNIT_RANGE = (0.0, 255.0)
"""Mean and divisor that bring pixels of 0–255 to 0–1."""
_TYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(uint8)": np.uint8,
}  # fmt: skip
_TOLERANCE = 1e-3


def from_onnx(
    path: str | Path,
    labels: Sequence[str],
    *,
    pixels: tuple[float, float] = UNIT_RANGE,
    threads: int | None = None,
) -> ScoredModel:
    """A classifier of another package as a model that is scored by the same code as Mien's.

    Side, channels and layout of the images are those of the network's one input: ``(n, c, h, w)`` or ``(n, h, w, c)``,
    gray or RGB. Its first output has a column per label; columns that are no probabilities go through a softmax.
    Emotions are scored as FER+ raters and as FER2013 label them: the answer stands for both heads.

    Args:
        path: the ``.onnx`` file.
        labels: of the columns, in order and in any spelling.
        pixels: (mean, divisor): the network gets ``(pixel - mean) / divisor`` of pixels of 0–255.
        threads: processor threads; None for the available CPUs, at most 4.

    Raises:
        MissingFileError: no such file.
        ModelError: no ONNX file, or one with other inputs than images of one size.
        InputError: a divisor of 0, no label, two columns of one label, or another number of columns than labels.

    Examples:
        >>> from mien.labels import FERPLUS
        >>> from mien.models.catalog import FILES
        >>> model = from_onnx(FILES / "emotion.onnx", FERPLUS.names, pixels=(127.5, 63.75), threads=1)
        >>> model.name, model.size, model.channels
        ('emotion', 48, 1)
    """
    file = Path(path)
    mean, divisor = pixels
    if not divisor or not np.isfinite([mean, divisor]).all():
        raise InputError(f"pixels are (mean, divisor), numbers of which the second is not 0; got {pixels}")
    session = open_session(file, threads=threads)
    size, channels, first, batch = _image_input(session.inputs, file)
    given, output = session.inputs[0], session.outputs[0].name
    columns = session.outputs[0].shape[1:]
    if len(columns) != 1 or (isinstance(columns[0], int) and columns[0] != len(labels)):
        raise _column_error(columns, labels, file)

    def function(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        x = ((images.astype(np.float32) - mean) / divisor).astype(_TYPES[given.type])
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2) if first else x)
        step = batch or len(x)
        parts = [_run(x[i : i + step], step) for i in range(0, len(x), step)]
        values = np.concatenate(parts)
        if values.shape != (len(images), len(labels)):
            raise _column_error(values.shape[1:], labels, file)
        sums = values.sum(axis=1)
        return values if (values >= 0).all() and (np.abs(sums - 1) < _TOLERANCE).all() else softmax(values)

    def _run(part: NDArray[Any], step: int) -> NDArray[np.float32]:
        # a file may hold a fixed number of images per call
        filled = part if len(part) == step else np.concatenate([part, np.repeat(part[-1:], step - len(part), axis=0)])
        return np.asarray(run_session(session, [output], {given.name: filled}, file.stem)[0], np.float32)[: len(part)]

    return from_callable(_by_head(function, labels), _heads(labels), size=size, channels=channels, name=file.stem)


def _heads(labels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Emotions are scored on both label sets; FER2013's has no contempt."""
    try:
        meant = {canonical(label) for label in labels}
    except InputError:
        # ages, or classes of its own
        return {"emotion": tuple(labels)}
    names = ("ferplus", "fer2013") if meant <= set(FER2013.names) else ("ferplus",)
    return dict.fromkeys(names, tuple(labels))


def _by_head(
    function: Callable[[NDArray[np.uint8]], NDArray[np.float32]], labels: Sequence[str]
) -> Callable[[NDArray[np.uint8]], Probabilities]:
    return lambda images: dict.fromkeys(_heads(labels), function(images))


def _column_error(columns: Sequence[object], labels: Sequence[str], path: Path) -> InputError:
    have = " × ".join(map(str, columns)) or "no"
    return InputError(
        f"the network returns {have} values per image for {len(labels)} labels", path=path,
        advice="name the label of every column, in order",
    )  # fmt: skip


def _image_input(inputs: Sequence[Any], path: Path) -> tuple[int, int, bool, int | None]:
    """Side, channels, whether channels come first, and a fixed number of images per call."""
    shape = list(inputs[0].shape) if len(inputs) == 1 else []
    if len(shape) == 4 and inputs[0].type in _TYPES:
        for first, (channels, *sides) in ((True, shape[1:]), (False, [shape[3], *shape[1:3]])):
            if channels in (1, 3) and isinstance(sides[0], int) and sides[0] == sides[1]:
                batch = shape[0] if isinstance(shape[0], int) else None
                return sides[0], channels, first, batch
    have = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs) or "nothing"
    raise ModelError(
        f"takes {have}, not gray or RGB images of one fixed size",
        path=path,
        advice="wrap it in a function instead (mien.evaluation.scoring.from_callable)",
        code="model-input",
    )
