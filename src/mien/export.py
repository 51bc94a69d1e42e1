"""torch → ONNX: one file with the card inside, refused when it does not compute what the trained network does."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from mien.errors import ExportError
from mien.files import atomic_path
from mien.networks.catalog import network
from mien.runtime.model import Model
from mien.training.checkpoint import ENVIRONMENT, load_run
from mien.training.config import Recipe
from mien.weights.card import METADATA_KEY, Card, Head
from mien.weights.frames import FRAMES

TOLERANCE = 1e-4
"""Greatest difference of a logit between torch and ONNX Runtime."""
OPSET = 18

LIMITS = (
    "The output is how a face looks to raters, not what a person feels. Not for decisions about people; emotion "
    "recognition at work and in education is banned in the EU (AI Act, Art. 5(1)(f)). Trained on posed and web "
    "photographs of mostly frontal faces; accuracy differs between groups of people."
)
DATA = {
    "emotion": "FER2013 (Goodfellow et al. 2013) with FER+ votes (Barsoum et al. 2016): 28,709 training images",
    "age": "FairFace (Kärkkäinen & Joo 2021, CC BY 4.0): 40,000 training faces, cropped by Mien's own pipeline",
}


class _Tuple(nn.Module):
    """ONNX outputs are a tuple; the network's is a dictionary."""

    def __init__(self, module: nn.Module, heads: tuple[str, ...]) -> None:
        super().__init__()
        self.module, self.heads = module, heads

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The logits of the heads, in the card's order."""
        logits = self.module(x)
        return tuple(logits[head] for head in self.heads)


def export(
    run: Path,
    out: Path,
    *,
    name: str,
    scores: Mapping[str, Any] | None = None,
    temperatures: Mapping[str, float] | None = None,
) -> Card:
    """Write a trained network as one ONNX file with its card inside. The same input gives the same bytes.

    Args:
        run: run folder (its best weights) or one of its ``.safetensors`` files.
        out: file to write.
        name: the model's name.
        scores: figures for the card, as ``mien evaluate --json`` writes them.
        temperatures: head → calibration temperature, 1 where absent.

    Raises:
        ExportError: the ONNX file's outputs differ from torch's by more than `TOLERANCE`.
        MissingFileError, ModelError: the run cannot be read.
    """
    recipe, module, weights = load_run(run)
    card = make_card(recipe, module, weights, name=name, scores=scores or {}, temperatures=temperatures or {})
    model = _to_onnx(module, recipe)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card.to_json()
    content = model.SerializeToString(deterministic=True)
    difference = parity(content, module, recipe)
    if not difference <= TOLERANCE:
        raise ExportError(
            f"{out}: ONNX Runtime's logits differ from torch's by {difference:.1e}, more than {TOLERANCE:.0e}; "
            "nothing was written"
        )
    with atomic_path(out) as temporary:
        temporary.write_bytes(content)
    return card


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
    row = network(recipe.network)
    environment = weights.parent / ENVIRONMENT
    facts = json.loads(environment.read_text(encoding="utf-8")) if environment.is_file() else {}
    return Card(
        name=name,
        task=recipe.task,
        size=row.size,
        channels=row.channels,
        mean=recipe.mean,
        std=recipe.std,
        heads=tuple(Head(head.name, head.labels, temperatures.get(head.name, 1.0)) for head in recipe.heads),
        frame=FRAMES[recipe.task],
        parameters=sum(p.numel() for p in module.parameters()),
        licence="Apache-2.0",
        data=DATA[recipe.task],
        training={
            "recipe": recipe.name,
            "epochs": recipe.epochs,
            "seed": recipe.seed,
            "weights": weights.name,
            "command": f"mien train {recipe.name} --data {facts.get('data', {}).get('file', 'FILE')}",
            "commit": facts.get("commit"),
            "started": facts.get("started"),
            "earlier": facts.get("earlier", []),
            "data_sha256": facts.get("data", {}).get("sha256"),
            "packages": facts.get("packages", {}),
        },
        scores=dict(scores),
        limits=LIMITS,
        project_version=version("mien"),
    )


def parity(content: bytes, module: nn.Module, recipe: Recipe) -> float:
    """Greatest difference of any logit between torch and the ONNX file, on 64 seeded random images."""
    onnx_model = Model(content, threads=1)
    card = onnx_model.card
    images = np.random.default_rng(0).integers(0, 256, (64, card.size, card.size, card.n_channels), np.uint8)
    mean = np.asarray(recipe.mean, np.float32).reshape(1, -1, 1, 1)
    std = np.asarray(recipe.std, np.float32).reshape(1, -1, 1, 1)
    x = (images.transpose(0, 3, 1, 2).astype(np.float32) / 255 - mean) / std
    with torch.inference_mode():
        wanted = {name: logits.numpy() for name, logits in module.eval()(torch.from_numpy(x)).items()}
    got = onnx_model.logits(images)
    return max(float(np.abs(wanted[name] - got[name]).max()) for name in wanted)


def _to_onnx(module: nn.Module, recipe: Recipe) -> onnx.ModelProto:
    row = network(recipe.network)
    heads = tuple(head.name for head in recipe.heads)
    example = torch.zeros(2, len(recipe.mean), row.size, row.size)
    with _quiet():
        program = torch.onnx.export(
            _Tuple(module.eval(), heads).eval(),
            (example,),
            dynamo=True,
            input_names=["images"],
            output_names=list(heads),
            dynamic_shapes={"x": {0: torch.export.Dim("n")}},
            opset_version=OPSET,
        )
    if program is None:
        raise ExportError(f"torch could not export network {recipe.network!r}")
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    onnx.checker.check_model(model)
    return model


def _strip(model: onnx.ModelProto) -> None:
    """Take out what depends on the machine: source paths and stack traces that the exporter leaves on nodes."""
    model.producer_version = ""
    model.doc_string = ""
    del model.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter reports progress on stdout and warns about its own internals; errors still come through."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
