"""A model as the folder that a hub of models takes: the file, and a README whose YAML head holds what the card states."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.files import atomic_path, make_folder, refuse_foreign_files, write_text
from mien.models.card import Card

README, MODEL, CARD = "README.md", "model.onnx", "card.json"
FILES = (README, MODEL, CARD)
"""What the folder holds."""
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
        folder: is made; what it holds of these names is replaced.

    Raises:
        OutputError: the folder holds other files, or cannot be written.
    """
    target = make_folder(folder)
    refuse_foreign_files(target, [path.name for path in target.iterdir() if path.name not in FILES])
    write_text(target / README, readme(card, name))
    write_text(target / CARD, card.to_json() + "\n")
    with atomic_path(target / MODEL) as path:
        path.write_bytes(content)
    return target


def readme(card: Card, name: str) -> str:
    """The page: a YAML head as the hub of Hugging Face reads it, then how to use the model, its limits, data, scores."""
    heads = "".join(f"- `{head.name}`: {', '.join(head.labels)}\n" for head in card.heads)
    scores = _rows(card)
    table = "".join(
        f"| {protocol} | {found['n']:,} | {found['accuracy']:.4f} | {found['balanced_accuracy']:.4f} | "
        f"{found['macro_f1']:.4f} | {found['ece']:.4f} |\n"
        for protocol, found in scores.items()
    )
    score_part = (
        "\n## Scores\n\n| protocol | images | accuracy | balanced accuracy | macro F1 | ECE |\n|---|---|---|---|---|---|\n"
        + table
        if table
        else ""
    )
    return (
        f"---\n{yaml_head(card, name)}---\n\n# {name}\n\n"
        f"{card.parameters:,} parameters; input {card.size}×{card.size} {card.channels}. One ONNX file with its card "
        "inside (`card.json` is a copy), for [Mien](https://pypi.org/project/mien).\n\n"
        f'```python\nfrom mien import Analyzer\n\nfaces = Analyzer(models=["{name}={MODEL}"]).analyze("photo.jpg")\n'
        "```\n\n"
        f"Outputs:\n\n{heads}\n## Limits\n\n{card.limits}\n\n## Data and training\n\n{card.data}.\n\n"
        f"```sh\n{card.training.get('command', '')}\n```\n{score_part}"
    )


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
            "dataset": {"type": protocol, "name": f"{card.scores.get('dataset', '')} {protocol}".strip()},
            "metrics": [
                {"type": kind, "name": label, "value": round(float(found[key]), 4)}
                for key, (kind, label) in _METRICS.items()
            ],
        }
        for protocol, found in _rows(card).items()
    ]
    if results:
        values["model-index"] = [{"name": name, "results": results}]
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())


def _rows(card: Card) -> Mapping[str, Mapping[str, Any]]:
    """Protocol → scores."""
    rows: Mapping[str, Mapping[str, Any]] = card.scores.get("results", {})
    return rows
