"""A model as the folder that a hub of models takes: the ONNX file, its card, and a README with a YAML head."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.files import atomic_path, write_text
from mien.models.card import Card
from mien.output_checks import result_folder

README, MODEL, CARD = "README.md", "model.onnx", "card.json"
PIPELINE = "image-classification"
_LICENCES = {"Apache-2.0": "apache-2.0"}
"""SPDX identifiers as the hub of Hugging Face spells them; others go in as "other" with their name."""
_METRICS = {
    "accuracy": ("accuracy", "accuracy"),
    "balanced_accuracy": ("balanced_accuracy", "balanced accuracy"),
    "macro_f1": ("f1", "macro F1"),
    "ece": ("ece", "expected calibration error"),
}
"""Key of a card's scores → type and name of the metric."""


def write_hub_folder(content: bytes, card: Card, name: str, folder: str | os.PathLike[str]) -> Path:
    """Write ``README.md``, ``model.onnx`` and ``card.json`` into a folder, and return it.

    Args:
        content: the ONNX file.
        card: the card in it.
        name: of the model, such as "emotion".
        folder: is made.

    Raises:
        InputError: the folder holds a file of one of these names that need not be a result of Mien.
        OutputError: it cannot be written.
    """
    target = Path(folder)
    with result_folder(target, [README, MODEL, CARD]):
        write_text(target / README, readme(card, name))
        write_text(target / CARD, card.to_json() + "\n")
        with atomic_path(target / MODEL) as path:
            path.write_bytes(content)
    return target


def readme(card: Card, name: str) -> str:
    """The page: a YAML head as the hub of Hugging Face reads it, then use, limits, data and scores."""
    parts = [
        f"---\n{yaml_head(card, name)}---",
        f"# {name}",
        f"{card.parameters:,} parameters; input {card.size}×{card.size} {card.channels}. One ONNX file with its card "
        f"inside (`{CARD}` is a copy), for [Mien](https://pypi.org/project/mien).",
        "```python\nfrom mien import Analyzer\n\n"
        f'faces = Analyzer(models=["{name}={MODEL}"]).analyze("photo.jpg")\n```',
        "Outputs:",
        "\n".join(f"- `{head.name}`: {', '.join(head.labels)}" for head in card.heads),
        "## Limits",
        card.limits or "Not stated.",
        "## Data and training",
        card.data or "Not stated.",
        f"```sh\n{card.training['command']}\n```" if card.training.get("command") else "",
        *_score_table(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _score_table(card: Card) -> list[str]:
    names = [label for _, label in _METRICS.values()]
    lines = [f"| protocol | images | {' | '.join(names)} |", "|---" * (2 + len(names)) + "|"]
    for protocol, found in _results(card).items():
        values = " | ".join(f"{found[key]:.4f}" for key in _METRICS)
        lines.append(f"| {protocol} | {found['n']:,} | {values} |")
    return ["## Scores", "\n".join(lines)] if _results(card) else []


def yaml_head(card: Card, name: str) -> str:
    """The lines between the dashes; values are JSON, which YAML contains."""
    values: dict[str, Any] = {
        "license": _LICENCES.get(card.licence, "other"),
        **({} if card.licence in _LICENCES else {"license_name": card.licence}),
        "library_name": "mien",
        "pipeline_tag": PIPELINE,
        "tags": ["onnx", "face", card.task, *(["facial-expression-recognition"] if card.task == "emotion" else [])],
        "metrics": [kind for kind, _ in _METRICS.values()],
    }
    results = [
        {
            "task": {"type": PIPELINE, "name": card.task},
            "dataset": {"type": protocol.replace(" ", "-"), "name": protocol},
            "metrics": [
                {"type": kind, "name": label, "value": round(float(found[key]), 4)}
                for key, (kind, label) in _METRICS.items()
            ],
        }
        for protocol, found in _results(card).items()
    ]
    if results:
        values["model-index"] = [{"name": name, "results": results}]
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())


def _results(card: Card) -> Mapping[str, Mapping[str, Any]]:
    """Protocol → scores."""
    rows: Mapping[str, Mapping[str, Any]] = card.scores.get("results", {})
    return rows
