"""Predictions of one or several models as a document, and as a folder: report.json, report.html, pictures."""

from __future__ import annotations

import itertools
import json
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.errors import InputError
from mien.evaluation.bootstrap import SAMPLES, SEED
from mien.evaluation.comparison import compare
from mien.evaluation.predictions import is_subset
from mien.evaluation.scoring.evaluate import SplitPredictions, score_predictions
from mien.evaluation.scoring.label_sets import split_set_scores
from mien.evaluation.scoring.plots import confusion_png, groups_png, reliability_png, selective_png
from mien.evaluation.scoring.report_page import report_page
from mien.files import atomic_path, output_errors

JSON, HTML = "report.json", "report.html"
REPORT_FILES = (JSON, HTML, "*-confusion.png", "*-reliability.png", "*-risk-coverage.png", "*-by-*.png")
"""Names of the files of a report, and the patterns of those of its pictures."""
_WIDTH = 110


def compare_models(
    predictions: Sequence[SplitPredictions], *, samples: int = SAMPLES, seed: int = SEED
) -> dict[str, Any]:
    """The document of one model, or of several with every pair of them compared, JSON-ready.

    Args:
        predictions: of one split of one dataset, one per model.
        samples: bootstrap resamples; 0 for no intervals.
        seed: of the resampling.

    Returns:
        For one model what `mien.evaluation.scoring.evaluate.score_predictions` returns; for more
        ``{"models": […], "comparisons": […]}``, the latter `mien.evaluation.comparison.Comparison`s with the models'
        names "a" and "b". Models with a rule for sets of labels have "sets": protocol → coverage and size.

    Raises:
        InputError: no predictions.

    Examples:
        >>> from mien.evaluation.scoring import open_model, predict_split
        >>> models = [open_model(name, threads=1) for name in ("emotion", "emotion-int8")]
        >>> document = compare_models([predict_split(model, dataset) for model in models], samples=100)
        >>> [one["model"] for one in document["models"]], document["comparisons"][0]["n"]
        (['emotion', 'emotion-int8'], 14)
    """
    if not predictions:
        raise InputError("there is no model to score")
    documents = []
    for given in predictions:
        sets = split_set_scores(given)
        scores = score_predictions(given, samples=samples, seed=seed)
        documents.append(scores | ({"sets": sets} if sets else {}))
    if len(documents) == 1:
        return documents[0]
    names = unique_names([one.model for one in predictions])
    for document, name in zip(documents, names, strict=True):
        document["model"] = name
    comparisons = []
    for (a, name_a), (b, name_b) in itertools.combinations(zip(predictions, names, strict=True), 2):
        for first, second in _comparable_sets(a, b):
            one = compare(first, second, samples=samples, seed=seed)
            comparisons.append({"a": name_a, "b": name_b, **one.to_dict()})
    return {"models": documents, "comparisons": comparisons}


def write_report(document: Mapping[str, Any], folder: str | os.PathLike[str]) -> Path:
    """Write ``report.json``, ``report.html`` (everything inside, nothing loaded) and the pictures as PNG.

    Args:
        document: what `compare_models` returns.
        folder: made where it is not there; files of the same names are replaced.

    Returns:
        The page.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OutputError: a file cannot be written.

    Examples:
        >>> from mien.evaluation.scoring import open_model, predict_split
        >>> document = compare_models([predict_split(open_model("emotion", threads=1), dataset)], samples=100)
        >>> write_report(document, "scores").name
        'report.html'
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise InputError("is a file", path=target, advice="give a folder for the report")
    models: Sequence[Mapping[str, Any]] = document.get("models", [document])
    pictures: dict[str, list[bytes]] = {}
    named: dict[str, bytes] = {}
    for number, one in enumerate(models):
        prefix = f"{_slug(one['model'])}-" if len(models) > 1 else ""
        for key, name, png in _pictures(one):
            pictures.setdefault(f"{number}/{key}", []).append(png)
            named[f"{prefix}{name}.png"] = png
    html = report_page(document, pictures)
    contents = {**named, JSON: to_json(document).encode(), HTML: html.encode()}
    for name, content in contents.items():
        with output_errors(target / name), atomic_path(target / name) as temporary:
            temporary.write_bytes(content)
    return target / HTML


def to_json(document: Mapping[str, Any]) -> str:
    """JSON of result files: values that fit on one line stay on one, so that files are readable and small."""
    return _lines(document, "") + "\n"


def _lines(value: Any, indent: str) -> str:
    short = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if len(indent) + len(short) <= _WIDTH or not isinstance(value, (Mapping, list, tuple)):
        return short
    deeper = indent + " "
    if isinstance(value, Mapping):
        inner = (f"{json.dumps(str(key), ensure_ascii=False)}: {_lines(each, deeper)}" for key, each in value.items())
        return "{\n" + ",\n".join(deeper + line for line in inner) + f"\n{indent}}}"
    if all(each is None or isinstance(each, (int, float)) for each in value):
        numbers = textwrap.fill(
            ", ".join(map(json.dumps, value)), _WIDTH, initial_indent=deeper, subsequent_indent=deeper
        )
        return f"[\n{numbers}\n{indent}]"
    return "[\n" + ",\n".join(deeper + _lines(each, deeper) for each in value) + f"\n{indent}]"


def unique_names(names: Sequence[str]) -> list[str]:
    """Names with a number where two are equal."""
    out: list[str] = []
    for name in names:
        twins = sum(each == name or each.startswith(f"{name} #") for each in out)
        out.append(f"{name} #{twins + 1}" if twins else name)
    return out


def _comparable_sets(a: SplitPredictions, b: SplitPredictions) -> list[tuple[Any, Any]]:
    """Sets of images under the same protocol; where no name is shared, sets with the same true labels."""
    first = {one.protocol: one for one in a.by_protocol}
    second = {one.protocol: one for one in b.by_protocol}
    shared = [(first[name], second[name]) for name in first if name in second]
    if shared:
        return [pair for pair in shared if _comparable(*pair)]
    return [(one, other) for one in a.official for other in b.official if _comparable(one, other)]


def _comparable(one: Any, other: Any) -> bool:
    try:
        compare(one, other, samples=1)
    except InputError:
        return False
    return True


def _pictures(one: Mapping[str, Any]) -> list[tuple[str, str, bytes]]:
    """(key in the page, file name without suffix, PNG) of one model."""
    pictures = []
    for protocol, scores in one["results"].items():
        if is_subset(protocol):
            continue
        slug = _slug(protocol)
        pictures.append((protocol, f"{slug}-confusion", confusion_png(scores)))
        if protocol in one["details"]:
            details = one["details"][protocol]
            pictures.append((protocol, f"{slug}-reliability", reliability_png(details["reliability"], scores)))
            curve = selective_png({one["model"]: details["selective"]})
            pictures.append((protocol, f"{slug}-risk-coverage", curve))
    for protocol, tables in one["groups"].items():
        for title, table in tables.items():
            if any(each["accuracy"] is not None for each in table.values()):
                png = groups_png(table, "accuracy", f"{protocol} by {title}")
                pictures.append((f"{protocol}/{title}", f"{_slug(protocol)}-by-{_slug(title)}", png))
    return pictures


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "model"
