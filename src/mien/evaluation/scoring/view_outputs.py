"""Two outputs beside the heads of a network: whether a part of a face is covered, and how unlike the training images
it is. Fitted on training images, set on validation images, and added to the graph of the ONNX file.

Both follow from the mean and the standard deviation of every channel of some feature maps. ``unlike`` is the
Mahalanobis distance of the early ones, in which blur, noise, darkness and things that are no face show best, or the
energy of the logits, whichever is further; 1 is what one in a hundred validation images exceeds. ``covered`` is a
logistic regression on all of them between faces with a drawn cover and faces disturbed in other ways.

Sources:
    Lee et al. 2018, "A simple unified framework for detecting out-of-distribution samples" (arXiv:1807.03888).
    Liu et al. 2020, "Energy-based out-of-distribution detection" (arXiv:2010.03759).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.errors import DataError, ModelError
from mien.evaluation.scoring.disturbances import DISTURBANCES, disturb
from mien.evaluation.scoring.onnx_card import load_with_card
from mien.files import atomic_path, output_errors
from mien.models.card import MEASURES, METADATA_KEY, Card
from mien.models.model import Model
from mien.models.preprocessing import normalize
from mien.models.session import open_session
from mien.opencv import cv2
from mien.training.resize import resize_images

Images = NDArray[np.uint8]
Matrix = NDArray[np.float64]

IMAGES = 1500
"""Training images of the fit, and validation images of the thresholds, at most."""
PREFIX = "view/"
"""Begin of the names of nodes and weights that are added."""
FURTHER = 0.01
"""Share of the validation images that lie further away than ``unlike`` 1."""
FALSE_COVERS = 0.02
"""Share of the whole validation images whose ``covered`` exceeds one half."""
_EARLY = 2
"""Stages of the network whose channels give the distance."""
_SHRINKAGE = 0.05
"""Added to the variances of the standardised channels."""
_RIDGE = 1.0
_STEPS = 12
_BATCH = 64


def add_view_outputs(model: str | Path, data: Dataset, out: Path, *, images: int = IMAGES, seed: int = 0) -> Card:
    """Write the model with the outputs ``covered`` and ``unlike``; heads, weights and their results stay.

    Args:
        model: a shipped model's name, or an ``.onnx`` file; outputs of an earlier call are replaced.
        data: prepared dataset with training and validation images.
        out: file to write.
        images: of each split that are used at most.
        seed: of the choice of images and of the covers.

    Returns:
        The new card.

    Raises:
        DataError: no training or validation images.
        ModelError: a network without two stages of feature maps.
        MissingExtraError: onnx is not installed.
    """
    proto, entry, card = load_with_card(model, "adding outputs")
    remove_view_outputs(proto, card)
    maps = _stages(proto, str(model))
    rng = np.random.default_rng(seed)
    train, validation = (_sample(data, split, images, rng, card) for split in ("train", "validation"))
    probe = _Probe(proto, card, maps)
    distance, cover = _fit(probe, train, validation, rng)
    _extend(proto, card.heads[0].name, maps, distance, cover)
    card = dataclasses.replace(card, measures=MEASURES)
    entry.value = card.to_json()
    content = proto.SerializeToString(deterministic=True)
    with output_errors(out), atomic_path(out) as temporary:
        temporary.write_bytes(content)
    return card


def remove_view_outputs(proto: Any, card: Card) -> None:
    """Take the outputs that `add_view_outputs` added out of a graph, in place; nothing where there are none."""
    graph = proto.graph
    for part, name in ((graph.node, "name"), (graph.initializer, "name"), (graph.value_info, "name")):
        kept = [one for one in part if not getattr(one, name).startswith(PREFIX)]
        del part[:]
        part.extend(kept)
    outputs = [one for one in graph.output if one.name not in card.measures]
    del graph.output[:]
    graph.output.extend(outputs)


def without_view_outputs(content: bytes, name: str) -> bytes:
    """An ONNX file without the outputs that `add_view_outputs` added; the same bytes where it has none.

    Raises:
        ModelError: not an ONNX file with a card.
    """
    import onnx

    card = Model(content, threads=1, name=name).card
    if not card.measures:
        return content
    proto = onnx.load_model_from_string(content)
    remove_view_outputs(proto, card)
    entry = next(prop for prop in proto.metadata_props if prop.key == METADATA_KEY)
    entry.value = dataclasses.replace(card, measures=()).to_json()
    return bytes(proto.SerializeToString(deterministic=True))


def covered(images: Images, rng: np.random.Generator) -> Images:
    """Copies of ``(n, h, w, c)`` images with a patch of 10 to 40 % of their area.

    It is a rectangle or an ellipse of one colour or a texture.
    """
    out = images.copy()
    for image in out:
        height, width, channels = image.shape
        area, ratio = rng.uniform(0.1, 0.4) * height * width, rng.uniform(0.4, 2.5)
        w, h = min(width, int((area * ratio) ** 0.5)), min(height, int((area / ratio) ** 0.5))
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        mask = np.zeros((height, width), np.uint8)
        if rng.random() < 0.4:
            mask[y : y + h, x : x + w] = 1
        else:
            axes = (max(w // 2, 1), max(h // 2, 1))
            cv2.ellipse(mask, (x + w // 2, y + h // 2), axes, float(rng.uniform(-40, 40)), 0, 360, 1, -1)
        grain = rng.normal(0, rng.uniform(0, 60), (height, width))
        texture = cv2.GaussianBlur(grain, (0, 0), float(rng.uniform(0.5, 3)))[..., None] + rng.uniform(0, 255, channels)
        image[mask > 0] = np.clip(texture, 0, 255).astype(np.uint8)[mask > 0]
    return out


def _sample(data: Dataset, split: str, images: int, rng: np.random.Generator, card: Card) -> Images:
    rows = np.flatnonzero(data.split == split)
    if not len(rows):
        raise DataError(
            f"{data.info.name} has no {split} images, which the outputs are fitted on", code="split-missing"
        )
    chosen = np.sort(rng.permutation(rows)[:images])
    return resize_images(data.images[chosen], card.size, card.n_channels)


def _stages(proto: Any, name: str) -> list[tuple[str, int]]:
    """The last feature map of every stage, with its channels; a stage is a width of the network."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(proto).graph
    last: dict[int, str] = {}
    shapes = {one.name: [d.dim_value for d in one.type.tensor_type.shape.dim] for one in graph.value_info}
    for node in graph.node:
        shape = shapes.get(node.output[0], [])
        if node.op_type in ("Relu", "Add") and len(shape) == 4 and shape[1] > 1 and shape[2] > 1:
            last[shape[1]] = node.output[0]
    order = [node.output[0] for node in graph.node]
    found = sorted(((tensor, width) for width, tensor in last.items()), key=lambda one: order.index(one[0]))
    if len(found) < _EARLY:
        raise ModelError(
            "has no two stages of feature maps to measure", path=name, advice="use a convolutional network"
        )
    return found[-3:] if len(found) > 3 else found


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Probe:
    """Runs a network for the channels' statistics and the logits of its first head."""

    proto: Any
    card: Card
    maps: Sequence[tuple[str, int]]

    def __call__(self, images: Images) -> tuple[Matrix, Matrix]:
        """``(n, features)`` statistics and ``(n,)`` energies."""
        import onnx

        head = self.card.heads[0].name
        copy = onnx.ModelProto()
        copy.CopyFrom(self.proto)
        for tensor, _ in self.maps:
            copy.graph.output.append(onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, None))
        session = open_session(copy.SerializeToString(), threads=None, name=self.card.name)
        names, rows, energies = [head, *(tensor for tensor, _ in self.maps)], [], []
        pixels = self.proto.graph.input[0].name
        for start in range(0, len(images), _BATCH):
            given = {pixels: normalize(images[start : start + _BATCH], self.card.mean, self.card.std)}
            logits, *maps = session.run(names, given)
            parts = [part for one in maps for part in (one.mean(axis=(2, 3)), one.std(axis=(2, 3)))]
            rows.append(np.concatenate(parts, axis=1))
            top = logits.max(axis=1)
            energies.append(-(top + np.log(np.exp(logits - top[:, None]).sum(axis=1))))
        return np.concatenate(rows).astype(np.float64), np.concatenate(energies).astype(np.float64)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Distance:
    """``max(|(x − mean) W|² · scale, (energy − centre) · slope)``."""

    mean: Matrix
    whitening: Matrix
    scale: float
    centre: float
    slope: float


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Cover:
    """``sigmoid(x · weights + bias)``."""

    weights: Matrix
    bias: float


def _fit(probe: _Probe, train: Images, validation: Images, rng: np.random.Generator) -> tuple[_Distance, _Cover]:
    width = sum(2 * channels for _, channels in probe.maps[:_EARLY])
    clean, _ = probe(train)
    held, energies = probe(validation)
    early = clean[:, :width]
    mean, deviation = early.mean(axis=0), early.std(axis=0) + 1e-6
    correlations = np.cov(((early - mean) / deviation).T) + _SHRINKAGE * np.eye(width)
    whitening = np.linalg.cholesky(np.linalg.inv(correlations)) / deviation[:, None]
    distances = (((held[:, :width] - mean) @ whitening) ** 2).sum(axis=1)
    centre = float(np.median(energies))
    scale = 1 / float(np.quantile(distances, 1 - FURTHER / 2))
    slope = 1 / (float(np.quantile(energies, 1 - FURTHER / 2)) - centre)
    both = np.maximum(distances * scale, (energies - centre) * slope)
    limit = float(np.quantile(both, 1 - FURTHER))
    distance = _Distance(mean, whitening, scale / limit, centre, slope / limit)
    others, _ = probe(_otherwise_disturbed(train, rng))
    with_cover, _ = probe(covered(train, rng))
    negatives = np.concatenate([clean, others])
    return distance, _fit_cover(negatives, with_cover, held)


def _otherwise_disturbed(images: Images, rng: np.random.Generator) -> Images:
    """Every image disturbed in one way that covers nothing."""
    kinds = [(how, strength) for how in DISTURBANCES if how.name != "cover" for strength in how.strengths[:4]]
    chosen = rng.integers(0, len(kinds), len(images))
    out = np.empty_like(images)
    for k, (how, strength) in enumerate(kinds):
        out[chosen == k] = disturb(images[chosen == k], how, strength, seed=k)
    return out


def _fit_cover(negatives: Matrix, positives: Matrix, held: Matrix) -> _Cover:
    """Ridge logistic regression by Newton's method; the bias is set on the held-out whole images."""
    x = np.concatenate([negatives, positives])
    centre, deviation = x.mean(axis=0), x.std(axis=0) + 1e-6
    z = np.concatenate([(x - centre) / deviation, np.ones((len(x), 1))], axis=1)
    truth = np.concatenate([np.zeros(len(negatives)), np.ones(len(positives))])
    weights = np.zeros(z.shape[1])
    penalty = _RIDGE * np.eye(z.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(z @ weights, -30, 30)))
        gradient = z.T @ (truth - p) - penalty @ weights
        hessian = (z * (p * (1 - p) + 1e-6)[:, None]).T @ z + penalty
        weights = weights + np.linalg.solve(hessian, gradient)
    plain = weights[:-1] / deviation
    return _Cover(plain, -float(np.quantile(held @ plain, 1 - FALSE_COVERS)))


def _extend(proto: Any, head: str, maps: Sequence[tuple[str, int]], distance: _Distance, cover: _Cover) -> None:
    """Add the nodes that compute both outputs, in place."""
    import onnx

    graph, helper = proto.graph, onnx.helper

    def weight(name: str, values: Any) -> str:
        tensor = onnx.numpy_helper.from_array(np.asarray(values, np.float32), PREFIX + name)
        graph.initializer.append(tensor)
        return PREFIX + name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        name = output if output in MEASURES else PREFIX + output
        graph.node.append(helper.make_node(kind, inputs, [name], name=PREFIX + output, **attributes))
        return name

    axes = PREFIX + "axes"
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([2, 3], np.int64), axes))
    last = PREFIX + "last"
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], np.int64), last))
    early, parts = [], []
    for i, (tensor, _) in enumerate(maps):
        mean = node("ReduceMean", [tensor, axes], f"mean{i}", keepdims=1)
        centred = node("Sub", [tensor, mean], f"centred{i}")
        square = node("Mul", [centred, centred], f"square{i}")
        deviation = node("Sqrt", [node("ReduceMean", [square, axes], f"variance{i}", keepdims=0)], f"deviation{i}")
        flat = node("Squeeze", [mean, axes], f"flat{i}")
        parts += [flat, deviation]
        early += [flat, deviation] if i < _EARLY else []
    features = node("Concat", parts, "features", axis=1)
    first = node("Concat", early, "early", axis=1)
    shifted = node("Sub", [first, weight("centre", distance.mean)], "shifted")
    root = distance.scale**0.5
    white = node("MatMul", [shifted, weight("whitening", distance.whitening * root)], "white")
    far = node("ReduceSumSquare", [white, last], "far", keepdims=1)
    energy = node("Neg", [node("ReduceLogSumExp", [head, last], "sum", keepdims=1)], "energy")
    higher = node("Sub", [energy, weight("usual", distance.centre)], "higher")
    energy = node("Mul", [higher, weight("slope", distance.slope)], "steep")
    node("Max", [far, energy], "unlike")
    score = node("MatMul", [features, weight("cover", cover.weights[:, None])], "score")
    node("Sigmoid", [node("Add", [score, weight("bias", cover.bias)], "shifted_score")], "covered")
    for name in MEASURES:
        graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 1]))
