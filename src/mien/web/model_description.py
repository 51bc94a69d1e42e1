"""What the page needs to know of the models: their heads with colours, the columns of tables, their cards."""

from __future__ import annotations

import json
from typing import Any

from mien.draw.palette import Rgb, label_colours
from mien.predict.model_set import ModelSet, named_heads
from mien.results.columns import Column
from mien.results.face_columns import face_columns


def describe_models(models: ModelSet) -> dict[str, Any]:
    """``heads``, ``columns`` and ``cards``; JSON-ready."""
    return {
        "heads": _heads(models),
        "columns": described_columns(models, video=False),
        "cards": {name: json.loads(model.card.to_json()) for name, model in models.models.items()},
    }


def described_columns(models: ModelSet, *, video: bool) -> list[dict[str, Any]]:
    """The columns of the table of photos or videos, in order; JSON-ready."""
    return [_column(column) for column in face_columns(models.heads, video=video) if column.flat]


def _heads(models: ModelSet) -> dict[str, Any]:
    """Name → labels, order, sets, colours and model, in the order of the results."""
    described: dict[str, Any] = {}
    for model_name, model in models.models.items():
        for name, head in named_heads(model_name, model.card).items():
            if name in models.heads:
                described[name] = {
                    "labels": list(head.labels),
                    "ordered": head.ordered,
                    "coverage": None if head.rule is None else head.rule.coverage,
                    "by_class": head.rule is not None and head.rule.by_class,
                    "ranges": None if head.ranges is None else [list(one) for one in head.ranges],
                    "colours": {label: _hex(rgb) for label, rgb in label_colours(head.labels).items()},
                    "model": model_name,
                }
    return described


def _hex(rgb: Rgb) -> str:
    return "#" + bytes(rgb).hex()


def _column(column: Column[Any]) -> dict[str, Any]:
    return {
        "name": column.name,
        "path": list(column.path),
        "description": column.description,
        "unit": column.unit or None,
        "label": column.is_label,
    }
