"""torch → ONNX: one file with the card inside, refused if it does not compute the same as the trained network."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import torch
from torch import nn

from mien.defaults import POOLED_INTERVAL
from mien.errors import ExportError, InputError, MissingFileError
from mien.files import atomic_path
from mien.labels import number_ranges
from mien.logger import get_logger
from mien.models.card import METADATA_KEY, Card, Head
from mien.models.crop_frames import FRAMES
from mien.models.model import FEATURE_PREFIX
from mien.models.preprocessing import normalize
from mien.models.session import open_session
from mien.networks.catalog import get_network
from mien.recipes.catalog import RECIPES
from mien.training.config import HeadSpec, Recipe
from mien.training.onnx_export import export_program
from mien.training.run_folder import ENVIRONMENT, load_run

TOLERANCE = 1e-4
"""Greatest difference of a logit between torch and ONNX Runtime, as a share of the greatest logit where that is above
1: some networks take raw pixels and give logits in the hundreds, whose rounding alone is more than this."""
_log = get_logger(__name__)
IMAGES = "images"
"""Name of the input of pixels."""

LIMITS = (
    "The output is how a face looks to raters, not what a person feels. Not for decisions about people; emotion "
    "recognition at work and in education is banned in the EU (AI Act, Art. 5(1)(f)). Trained on posed and web "
    "photographs of mostly frontal faces; accuracy differs between groups of people."
)
DATASETS = {
    "fer2013": "FER2013 (Goodfellow et al. 2013)",
    "fairface": "FairFace (Kärkkäinen & Joo 2021, CC BY 4.0)",
    "rafdb": "RAF-DB (Li et al. 2017)",
}
"""Name of a prepared dataset → its name on cards."""
UNKNOWN_DATA = "data that the run folder does not name"
FERPLUS_VOTES = "FER+ votes (Barsoum et al. 2016)"


class _TupleOutput(nn.Module):
    """The network with a tuple as output, as ONNX needs it; features, where it takes any, remain a dictionary."""

    def __init__(self, module: nn.Module, heads: tuple[str, ...]) -> None:
        super().__init__()
        self.module, self.heads = module, heads

    def forward(self, x: torch.Tensor, features: dict[str, torch.Tensor] | None = None) -> tuple[torch.Tensor, ...]:
        """The logits of the heads, in the card's order."""
        logits = self.module(x, features) if features else self.module(x)
        return tuple(logits[head] for head in self.heads)


def export(
    run: Path,
    out: Path,
    *,
    name: str,
    scores: Mapping[str, Any] | None = None,
    temperatures: Mapping[str, float] | None = None,
    blend: Path | None = None,
    blend_share: float = 0.5,
) -> Card:
    """Write a trained network as one ONNX file with its card inside. The same input gives the same bytes.

    Args:
        run: run folder (its best weights) or one of its ``.safetensors`` files.
        out: file to write.
        name: the model's name.
        scores: figures for the card, as ``mien evaluate --json`` writes them.
        temperatures: head → calibration temperature, 1 where absent.
        blend: an exported float32 model of the same network, from which the run started: the file gets the mean of the
            weights of both, see `blend_weights`. None for the run's own.
        blend_share: share of that model in the mean, 0–1.

    Raises:
        InputError: the model to blend is of another network.
        ExportError: the ONNX file's outputs differ from torch's by more than `TOLERANCE` allows.
        MissingFileError, ModelError: the run cannot be read.

    Examples:
        >>> card = export(run, Path("small.onnx"), name="small")
        >>> card.name, card.heads[0].labels[:2]
        ('small', ('angry', 'disgust'))
        >>> mien.Analyzer(models=["small.onnx"], threads=1).analyze("photo.jpg").heads.keys()
        dict_keys(['emotion'])
    """
    if blend is not None:
        _check_blend(blend, blend_share)
    recipe, module, weights = load_run(run)
    card = make_card(recipe, module, weights, name=name, scores=scores or {}, temperatures=temperatures or {})
    row = get_network(recipe.network)
    example = torch.zeros(2, len(card.mean), row.size, row.size)
    features = {key: torch.zeros(2, length) for key, length in row.features.items()}
    model = to_onnx(module, example, features, tuple(head.name for head in recipe.heads))
    difference = logit_difference(model.SerializeToString(deterministic=True), module, recipe)
    if not difference <= TOLERANCE:
        raise ExportError(
            f"ONNX Runtime's logits differ from torch's by {difference:.1e}, more than {TOLERANCE:.0e}, so nothing "
            "was written",
            path=out,
            details={"difference": difference, "tolerance": TOLERANCE},
        )
    if blend is not None:
        blend_weights(model, blend, blend_share)
        origin = {"file": blend.name, "sha256": hashlib.sha256(blend.read_bytes()).hexdigest(), "share": blend_share}
        card = dataclasses.replace(card, training={**card.training, "blend": origin})
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card.to_json()
    content = model.SerializeToString(deterministic=True)
    with atomic_path(out) as temporary:
        temporary.write_bytes(content)
    _log.info("exported %s to %s; greatest difference of a logit %.1e", run, out, difference)
    return card


def blend_weights(model: onnx.ModelProto, path: Path, share: float) -> None:
    """Replace the weights by their mean with those of another model of the same network.

    A run that started from a model keeps more of what that model knew, and of what it learned itself, in the mean of
    both than in either.

    Args:
        model: changed in place.
        path: the other ONNX file; batch norms are folded in both.
        share: of the other model, 0–1.

    Raises:
        MissingFileError: no such file.
        InputError: another network, or a share out of range.

    Source:
        Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (https://arxiv.org/abs/2109.01903).
    """
    _check_blend(path, share)
    try:
        others = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    except Exception as error:
        # onnx raises protobuf's errors, and others besides
        raise InputError(f"cannot be read as a model ({error})", path=path) from None
    for one in model.graph.initializer:
        own = onnx.numpy_helper.to_array(one)
        if own.dtype != np.float32:
            continue
        other = others.get(one.name)
        if other is None or other.shape != own.shape:
            raise InputError(
                f"has no weights {one.name} of shape {own.shape}", path=path, advice="give the same network"
            )
        mean = ((1 - share) * own + share * other).astype(np.float32)
        one.CopyFrom(onnx.numpy_helper.from_array(mean, one.name))


def _check_blend(path: Path, share: float) -> None:
    """Refuse what can be refused before a network is converted."""
    if not 0 <= share <= 1:
        raise InputError(f"the share of the other model is 0 to 1, got {share}")
    if not path.is_file():
        raise MissingFileError("no such file", path=path, advice="give a model that `mien export` wrote")


def make_card(
    recipe: Recipe,
    module: nn.Module,
    weights: Path,
    *,
    name: str,
    scores: Mapping[str, Any],
    temperatures: Mapping[str, float],
) -> Card:
    """The card of a trained network."""
    row = get_network(recipe.network)
    environment = weights.parent / ENVIRONMENT
    facts = json.loads(environment.read_text(encoding="utf-8")) if environment.is_file() else {}
    return Card(
        name=name,
        task=recipe.task,
        size=row.size,
        # a network of RGB that was trained on repeated gray does not know colour
        channels="gray" if facts.get("data", {}).get("channels") == 1 else row.channels,
        mean=recipe.mean,
        std=recipe.std,
        heads=tuple(_head(spec, temperatures.get(spec.name, 1.0)) for spec in recipe.heads),
        frame=FRAMES[recipe.frame_name],
        parameters=sum(p.numel() for p in module.parameters()),
        licence="Apache-2.0",
        data=_data(recipe, facts.get("data", {}), facts.get("unlabelled", {})),
        training={
            "recipe": recipe.name,
            "network": recipe.network,
            "epochs": recipe.epochs,
            "seed": recipe.seed,
            "weights": weights.name,
            "command": _command(recipe, facts),
            "commit": facts.get("commit"),
            "started": facts.get("started"),
            "earlier": facts.get("earlier", []),
            "data_sha256": facts.get("data", {}).get("sha256"),
            **{f"{name}_sha256": facts[name]["sha256"] for name in SOURCES if name in facts},
            "packages": facts.get("packages", {}),
        },
        scores=dict(scores),
        limits=LIMITS,
        project_version=version("mien"),
        features=dict(row.features),
    )


SOURCES: Mapping[str, str] = {
    "teacher": "--teacher",
    "unlabelled": "--unlabelled",
    "initial": "--init",
}
"""File that a run learned from beside its data, as its ``environment.json`` calls it → option of `mien train`."""


def _command(recipe: Recipe, facts: Mapping[str, Any]) -> str:
    """The command line that trains the network again, without paths of the machine."""
    words = ["mien train", recipe.name, "--data", facts.get("data", {}).get("file", "FILE")]
    for name, option in SOURCES.items():
        words += [option, facts[name]["file"]] if name in facts else []
    usual = RECIPES.get(recipe.name)
    if usual is not None and usual.epochs != recipe.epochs:
        words += ["--epochs", str(recipe.epochs)]
    return " ".join(words)


def _head(spec: HeadSpec, temperature: float) -> Head:
    ordered = number_ranges(spec.labels) is not None if spec.ordered is None else spec.ordered
    interval = POOLED_INTERVAL if ordered else 0.0
    return Head(spec.name, spec.labels, temperature, ordered, interval, spec.auxiliary)


def _data(recipe: Recipe, facts: Mapping[str, Any], unlabelled: Mapping[str, Any]) -> str:
    """The training data for the card: the dataset, how it was processed, classes, and images without labels."""
    name = facts.get("name", UNKNOWN_DATA)
    text = DATASETS.get(name, name)
    if any(head.target in ("majority", "crossentropy", "distribution") for head in recipe.heads):
        text += f" with {FERPLUS_VOTES}"
    parts = [text, *facts.get("notes", ())]
    if recipe.distill is not None and recipe.distill.stored:
        share = f"{recipe.distill.weight:.0%}"
        parts.append(f"{share} of each target is the stored prediction of larger networks trained on the same images")
    if recipe.consistency is not None:
        faces = unlabelled.get("name", UNKNOWN_DATA)
        parts.append(f"images of {DATASETS.get(faces, faces)} without their labels, altered and as they are")
    parts += [f"images of {', '.join(head.labels)} alone" for head in recipe.heads if head.subset]
    return "; ".join(parts)


def logit_difference(content: bytes, module: nn.Module, recipe: Recipe) -> float:
    """Greatest difference of any logit between torch and the ONNX file, on 64 seeded random images; see `TOLERANCE`."""
    row = get_network(recipe.network)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (64, row.size, row.size, len(recipe.mean)), np.uint8)
    x = torch.from_numpy(normalize(images, recipe.mean, recipe.std))
    features = {
        name: torch.from_numpy(random.random((64, length), np.float32)) for name, length in row.features.items()
    }
    return onnx_logit_difference(content, module, x, features)


def onnx_logit_difference(
    content: bytes, module: nn.Module, pixels: torch.Tensor, features: Mapping[str, torch.Tensor]
) -> float:
    """Greatest difference of any logit between a network and its ONNX file, on given inputs; see `TOLERANCE`.

    Args:
        content: the ONNX file.
        module: the network it was exported from.
        pixels: ``(n, channels, size, size)`` normalised.
        features: name → ``(n, length)``; empty for networks that take none.
    """
    vectors = dict(features)
    with torch.inference_mode():
        logits = module.eval()(pixels, vectors) if vectors else module.eval()(pixels)
    inputs = {IMAGES: pixels.numpy()} | {FEATURE_PREFIX + name: value.numpy() for name, value in vectors.items()}
    outputs = open_session(content, threads=1, name="the exported model").run(list(logits), inputs)
    pairs = zip(logits.values(), outputs, strict=True)
    differences = [np.abs(w.numpy() - other).max() / max(1.0, np.abs(w.numpy()).max()) for w, other in pairs]
    # a NaN in either is passed on
    return float(np.max(differences))


def to_onnx(
    module: nn.Module, pixels: torch.Tensor, features: Mapping[str, torch.Tensor], heads: tuple[str, ...]
) -> onnx.ModelProto:
    """The network as ONNX: inputs ``images`` and one ``feature_…`` per feature, one output per head, any batch size.

    Args:
        module: the network.
        pixels: an example of two images or more.
        features: as many examples of each feature vector; empty for networks without.
        heads: names of the outputs.
    """
    given = dict(features)
    n = torch.export.Dim("n")
    shapes: dict[str, Any] = {"x": {0: n}} | ({"features": {name: {0: n} for name in given}} if given else {})
    return export_program(
        _TupleOutput(module.eval(), heads).eval(),
        (pixels,),
        kwargs={"features": given} if given else None,
        inputs=[IMAGES, *(FEATURE_PREFIX + name for name in given)],
        outputs=heads,
        dynamic_shapes=shapes,
    )
