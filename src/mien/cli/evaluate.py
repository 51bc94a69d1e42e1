"""``mien evaluate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

EPILOG = """\b
Examples:
  mien evaluate emotion --data fer2013.parquet
  mien evaluate runs/emotion-cpu --data fer2013.parquet --split validation
  mien evaluate age.onnx --data fairface.parquet --split validation --json age.json
"""


@click.command("evaluate", epilog=EPILOG)
@click.argument("model")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="File written by `mien data prepare`.")
@click.option("--split", default="test", show_default=True, help="Which images: train, validation or test.")
@click.option("--flip/--no-flip", default=False, show_default=True, help="Average with the mirrored images.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every figure here.")
@click.option("--threads", type=click.IntRange(1), help="Processor threads.")
def command(model: str, data: Path, split: str, flip: bool, json_file: Path | None, threads: int | None) -> None:
    """Score MODEL (a shipped model's name, an .onnx file, or a run folder) on a prepared dataset.

    FER2013 is scored under both protocols, FER+ majority and the original labels, each with all test images and
    without those that also stand in the training set ("leak-free").
    """
    from mien.errors import MissingExtraError

    try:
        from mien.datasets.prepared import read_prepared
        from mien.training.evaluate import evaluate, open_scorable
        from mien.training.svm import evaluate_svm, is_svm_run
    except ImportError as error:
        raise MissingExtraError(error.name or "pyarrow", "train", "evaluation") from error
    from mien.files import atomic_path

    if is_svm_run(Path(model)):
        if flip:
            raise click.UsageError("--flip is for networks: features of mirrored images are not at hand.")
        document = evaluate_svm(Path(model), read_prepared(data), split=split)
    else:
        document = evaluate(open_scorable(model, threads), read_prepared(data), split=split, flip=flip)
    if json_file is not None:
        with atomic_path(json_file) as temporary:
            temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _print(document)


def _print(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    # a pipe has no width: folded cells would only be harder to read
    console = Console(width=None if sys.stdout.isatty() else 120)
    title = f"{document['model']} on {document['dataset']}, {document['split']}"
    table = Table(title=title + (", flip averaging" if document["flip"] else ""))
    for column in ("protocol", "images", "accuracy", "one-off", "macro F1", "balanced", "log loss", "ECE"):
        table.add_column(column, justify="left" if column == "protocol" else "right")
    for name, one in document["results"].items():
        off = "" if one["one_off"] is None else f"{one['one_off']:.2%}"
        figures = (f"{one['accuracy']:.2%}", off, f"{one['macro_f1']:.3f}", f"{one['balanced_accuracy']:.2%}")
        unsure = ("–" if one[figure] is None else f"{one[figure]:.3f}" for figure in ("log_loss", "ece"))
        table.add_row(name, str(one["n"]), *figures, *unsure)
    console.print(table)
    for name, one in document["results"].items():
        if " " not in name:
            console.print(_confusion(name, one))
    for head, kinds in document["groups"].items():
        for kind, rows in kinds.items():
            table = Table(title=f"{head} by {kind}")
            for column in (kind, "images", "accuracy", "one-off"):
                table.add_column(column, justify="left" if column == kind else "right")
            for group, one in rows.items():
                off = "" if one["one_off"] is None else f"{one['one_off']:.2%}"
                table.add_row(group, str(one["n"]), f"{one['accuracy']:.2%}", off)
            console.print(table)


def _confusion(name: str, one: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title=f"{name}: confusion matrix (rows true, columns predicted) and recall")
    table.add_column("true")
    for label in one["labels"]:
        table.add_column(label, justify="right")
    table.add_column("recall", justify="right")
    for label, counts in zip(one["labels"], one["confusion"], strict=True):
        recall = one["recall"][label]
        table.add_row(label, *(str(count) for count in counts), "–" if recall is None else f"{recall:.1%}")
    return table
