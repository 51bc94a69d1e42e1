"""float32 → int8: a network's weights and activations in 8 bits, with ranges measured on training images.

Static quantisation of ONNX Runtime: weights signed, one scale per channel; activations unsigned, one scale per tensor,
for all values of the calibration images except the most extreme 0.001 %. Weights use 7 of the 8 bits, so that older x86
processors, which add pairs of products in 16 bits, do not overflow: the results are the same everywhere. Layers with
less than a hundredth of the multiplications stay in float32: the first convolution and small dense layers lose the most
and gain the least. Processors with VNNI (x86 since about 2019) or its equivalent on ARM gain the most speed.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader

from mien import defaults
from mien.datasets.dataset import Dataset
from mien.errors import DataError, ExportError
from mien.evaluation.scoring.evaluate import evaluate
from mien.evaluation.scoring.scored_model import wrap_onnx
from mien.evaluation.scoring.view_outputs import without_view_outputs
from mien.logger import get_logger
from mien.models.card import METADATA_KEY
from mien.models.model import CHUNK, Model
from mien.training.environment import source_commit
from mien.training.onnx_export import quantize_content
from mien.training.resize import resize_images

MIN_SHARE = 0.01
"""Share of the multiplications below which a layer stays in float32."""
_log = get_logger(__name__)


def quantize(
    content: bytes, data: Dataset, *, images: int = defaults.CALIBRATION_IMAGES, split: str = "train", name: str = ""
) -> bytes:
    """An exported network in 8 bits; the same input gives the same bytes.

    Args:
        content: an ONNX file that `mien export` wrote.
        data: a prepared dataset; ranges are measured on evenly spaced images of ``split``.
        images: number of images.
        split: of the images.
        name: of the model, for messages.

    Returns:
        An ONNX file with the same inputs and heads; outputs of `mien calibrate --flags`, which 8 bits would blur, are
        left out and can be fitted again. Its card is the network's, named "…-int8" and without scores,
        and describes the quantisation.

    Raises:
        ModelError: not an ONNX file with a card.
        DataError: no image in ``split``.
        ExportError: the network is in 8 bits already.

    Examples:
        >>> from mien.models.catalog import read_model
        >>> small = quantize(read_model("emotion"), dataset, images=10)
        >>> len(small) < len(read_model("emotion")), Model(small).card.name
        (True, 'emotion-int8')
    """
    source_hash = hashlib.sha256(content).hexdigest()
    content = without_view_outputs(content, name)
    model = Model(content, threads=1, name=name)
    card = model.card
    if "quantized" in card.training:
        raise ExportError(
            f"{card.name} is in 8 bits already",
            advice="quantise the network it was made from",
            code="already-quantised",
        )
    rows = np.flatnonzero(data.split == split)
    if len(rows) == 0:
        raise DataError(f"{data.info.name} has no {split} images to measure ranges on", code="split-missing")
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(images, len(rows))).round().astype(np.int64))]
    crops = resize_images(data.images[rows], card.size, card.n_channels)
    small: list[str] = []

    def cheap_layers(prepared: onnx.ModelProto) -> list[str]:
        adds = multiply_adds(prepared.SerializeToString())
        small.extend(name for name, count in adds.items() if count < MIN_SHARE * sum(adds.values()))
        return small

    graph = quantize_content(content, _CalibrationBatches(model, crops), exclude=cheap_layers)
    _log.info("%s in 8 bits, except the layers %s", card.name, ", ".join(small) or "none")
    quantisation = {
        "images": len(rows),
        "split": split,
        "data": data.info.name,
        "from": source_hash,
        "commit": source_commit(),
    }
    training = {**card.training, "quantized": quantisation}
    new_card = replace(card, name=f"{card.name}-int8", scores={}, training=training)
    entry = graph.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, new_card.to_json()
    return bytes(graph.SerializeToString(deterministic=True))


def multiply_adds(content: bytes) -> dict[str, int]:
    """Convolution or dense layer of an ONNX file → multiply-adds for one image."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(content)).graph
    weights = {each.name: tuple(each.dims) for each in graph.initializer}
    known = (*graph.value_info, *graph.output)
    shapes = {each.name: [d.dim_value for d in each.type.tensor_type.shape.dim] for each in known}
    counts = {}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in weights:
            positions = int(np.prod(shapes[node.output[0]][2:])) if node.op_type == "Conv" else 1
            counts[node.name] = int(np.prod(weights[node.input[1]])) * positions
    return counts


def accuracy_losses(
    before: bytes, after: bytes, data: Dataset, split: str, threads: int | None = None
) -> dict[str, Any]:
    """Loss of accuracy through 8 bits on one split.

    Returns:
        Protocol → ``{"n", "before", "after", "loss"}``: accuracies 0–1, and the loss in points.
    """
    first, second = (
        evaluate(wrap_onnx(Model(each, threads=threads)), data, split=split)["results"] for each in (before, after)
    )
    return {
        protocol: {
            "n": one["n"],
            "before": one["accuracy"],
            "after": second[protocol]["accuracy"],
            "loss": round(100 * (one["accuracy"] - second[protocol]["accuracy"]), 3),
        }
        for protocol, one in first.items()
    }


class _CalibrationBatches(CalibrationDataReader):  # type: ignore[misc]
    """The calibration images in batches of one size: ONNX Runtime cannot merge ranges of several shapes."""

    def __init__(self, model: Model, crops: NDArray[np.uint8]) -> None:
        size = next(size for size in range(CHUNK, 0, -1) if len(crops) % size == 0)
        self._batches = (model.network_inputs(crops[start : start + size]) for start in range(0, len(crops), size))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next batch, None after the last."""
        return next(self._batches, None)
