"""The page of reproduced results, written from the result files alone; images are SVG text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median, stdev
from typing import Any

from mien.evaluation.predictions import LEAK_FREE, subset_name
from mien.networks.catalog import get_network
from mien.published.reproduction.deviations import DEVIATIONS
from mien.published.reproduction.learning_curves import curves_svg
from mien.published.reproduction.published_results import OPTIONS, ROWS, SOURCES, ReproductionRow, select_rows
from mien.published.reproduction.results import RowResult, curve_path, read_curve, read_results
from mien.text import NONE, percent

INTRODUCTION = """\
# Published results run again

Written by `python tools/generate.py` from the files in `docs/results/reproduction/`, which `mien reproduce` writes; no
figure in our columns was typed by hand. A row is one published result. *Ours* is the source's own training and
protocol: its splits, classes, optimiser, schedule, epochs and choice of weights, from its text and public code; where
these are silent, the module of the network or recipe documents the choice. *Improved* is the same network with the
training of Mien's own models (both label sets as two heads, soft targets, AdamW, cosine, averaged weights,
augmentation), scored on the official test splits, without flip averaging; figures in brackets leave out the test images
that are also in the training set. A source may validate and test on the same images, or swap the names of the splits:
its figures are compared with ours under the same convention, and only the improved column is a fair test score.

Seconds are medians over the epochs, validation included; the machine did other work at the same time, so processor
seconds measure the cost better than wall-clock seconds.
"""


MISSING = """\
## What has not run, and what it would cost

Cheapest first, which is the order of `mien reproduce`; with `--background` it runs on its own, and the same call
continues after a stop. The costs are estimates: multiply-adds of the forward passes of all epochs, times what was taken
per multiply-add by the run of this page whose network is nearest in size.
"""

PHOTOS = """\
## One photo, five systems

Any trained network is exported (`mien export RUN --out model.onnx`) and then read by `mien analyze --models
model.onnx`, by `mien live`, and by the Python interface; its inputs beside pixels are computed from the face's
crop. The portraits of Eileen Collins and Grace Hopper that scikit-image and matplotlib ship, through one network of
each system (`python benchmarks/five_systems.py RUN … --json docs/results/five_systems.json`):
"""


def published_figures(row: ReproductionRow) -> str:
    """The source's figures, for one cell."""
    return ", ".join(f"{100 * value:.4g} % {name}" for name, value in row.published.items()) or "–"


def our_figures(row: ReproductionRow, result: RowResult | None) -> str:
    """The scores of the row's runs, for one cell."""
    if result is None:
        return f"not run yet: {row.note}" if row.note.startswith("needs") else "not run yet"
    if row.improves is not None:
        return ", ".join(
            f"{name} {_with_clean(result, name)}" for name in ("fer2013", "ferplus", "age") if _has(result, name)
        )
    wanted = [name for name in row.published if _has(result, name)]
    cell = ", ".join(f"{_with_clean(result, name)} {name}" for name in wanted)
    if len(row.seeds) > 1:
        cell += f" ({len(result.runs)} of {len(row.seeds)} runs{_spread(result, wanted)})"
    return cell


def is_below_published(row: ReproductionRow, result: RowResult) -> bool:
    """Whether ours is lower than published by more than a point, on any split the source reports."""
    pairs = ((result.mean_score(name), figure) for name, figure in row.published.items())
    return any(mine is not None and mine < figure - 0.01 for mine, figure in pairs)


def reproduction_page(results: Path) -> str:
    """The Markdown of docs/reproduction.md."""
    found = read_results(results)
    lines = [INTRODUCTION]
    for source, title in SOURCES.items():
        rows = [row for row in ROWS.values() if row.source == source and row.improves is None]
        lines += [f"## {title}", "", *_table(rows, found)]
        lines += [
            f"`{row.name}`: {DEVIATIONS[row.name]}\n" for row in rows if row.name in DEVIATIONS and row.name in found
        ]
        lines += _costs([row for row in ROWS.values() if row.source == source], found)
        for row in (row for row in ROWS.values() if row.source == source):
            if row.name in found:
                lines += _details(row, found[row.name])
    lines += _missing(found)
    return "\n".join([*lines, *_photos(results.parent / "five_systems.json")]).rstrip() + "\n"


def learning_curve_images(results: Path) -> dict[str, str]:
    """File name → SVG of the learning curves of every row that has run; of several seeds the first."""
    drawn = {}
    for name, result in read_results(results).items():
        path = curve_path(results, name, result.runs[0]["seed"])
        if path.is_file():
            drawn[f"{name}.svg"] = curves_svg(read_curve(path), ROWS[name].name)
    return drawn


def _table(rows: Sequence[ReproductionRow], found: Mapping[str, RowResult]) -> list[str]:
    header = ["network", "parameters", "protocol", "published", "ours", "improved: FER2013", "improved: FER+"]
    cells = []
    for row in rows:
        better = next((one for one in ROWS.values() if one.improves is not None and one.improves == row.network), None)
        result = None if better is None else found.get(better.name)
        improved = ["–", "–"] if better is None else ["not run yet", "not run yet"]
        if result is not None and better is not None:
            improved = [_with_clean(result, "fer2013"), _with_clean(result, "ferplus")]
            if better.data == "fairface":
                one_off = percent(result.mean_score("age", "one_off"))
                improved = [f"FairFace: {percent(result.mean_score('age'))}, one-off {one_off}", "–"]
        note = f" ({row.note})" if row.note and not row.note.startswith("needs") else ""
        cells.append(
            [f"`{row.name}`", _parameters(row, found.get(row.name)), row.protocol + note, published_figures(row),
             our_figures(row, found.get(row.name)), *improved]
        )  # fmt: skip
    return _markdown(header, cells)


def _missing(found: Mapping[str, RowResult]) -> list[str]:
    """The rows without a complete result, cheapest first, with what they would take."""
    cells = []
    for row, seeds in unfinished_rows(found):
        cost = row.cost * seeds / len(row.seeds)
        needs = OPTIONS[row.data]
        if row.features:
            needs += f" with features {', '.join(name.replace('_', '-') for name in row.features)}"
        times = [
            NONE if rate is None else f"{cost * rate / unit:{digits}}"
            for rate, unit, digits in (
                (_seconds_per_cost(found, row, on_gpu=False), 3600, ",.1f"),
                (_seconds_per_cost(found, row, on_gpu=True), 60, ",.0f"),
            )
        ]
        cells.append([f"`{row.name}`", str(seeds), needs, f"{cost:,.0f}", *times])
    if not cells:
        return []
    header = ["row", "runs", "data", "10¹² multiply-adds", "hours of one processor core", "minutes of one GPU"]
    return [MISSING, *_markdown(header, cells)]


def unfinished_rows(found: Mapping[str, RowResult]) -> list[tuple[ReproductionRow, int]]:
    """The rows of networks without a complete result, cheapest first, each with the number of runs that it lacks."""
    rows = []
    for row in select_rows(()):
        result = found.get(row.name)
        if row.svm is None and not (result is not None and result.is_complete(row)):
            rows.append((row, len(row.seeds) - (0 if result is None else len(result.runs))))
    return rows


def gpu_minutes(found: Mapping[str, RowResult], row: ReproductionRow, runs: int) -> float:
    """Estimate of what so many runs of a row take on one GPU, from the rows that ran on one; 0 where none did."""
    return row.cost * runs / len(row.seeds) * (_seconds_per_cost(found, row, True) or 0.0) / 60


def _seconds_per_cost(found: Mapping[str, RowResult], of: ReproductionRow, on_gpu: bool) -> float | None:
    """Seconds per 10¹² multiply-adds of the run with the network nearest in size, on a GPU or a core; None without."""

    def size(row: ReproductionRow) -> float:
        return 0.0 if row.recipe is None else math.log(get_network(row.recipe.network).megamacs)

    seconds = "seconds_per_epoch" if on_gpu else "cpu_seconds_per_epoch"
    rates = [
        (abs(size(row) - size(of)), run["epochs"] * run[seconds] / (row.cost / len(row.seeds)))
        for row in ROWS.values()
        for run in (found[row.name].runs if row.name in found else ())
        if "epochs" in run and bool(run.get("gpus")) == on_gpu
    ]
    nearest = min((distance for distance, _ in rates), default=0.0)
    return median(rate for distance, rate in rates if distance == nearest) if rates else None


def _photos(file: Path) -> list[str]:
    """Predictions of a network of each system on two portraits."""
    if not file.is_file():
        return []
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    photos = list(rows[0]["photos"])
    cells = []
    for row in rows:
        predictions = []
        for name in photos:
            top = [sorted(face["emotions"].items(), key=lambda pair: -pair[1])[:3] for face in row["photos"][name]]
            predictions.append(
                "; ".join(", ".join(f"{label} {percent(p, digits=0)}" for label, p in face) for face in top) or "–"
            )
        epochs = f"{row['epochs']} of {row['of']}"
        cells.append([f"`{row['network']}`", row["source"], f"{row['parameters']:,}", epochs, *predictions])
    return [PHOTOS, *_markdown(["network", "source", "parameters", "epochs", *photos], cells)]


def _costs(rows: Sequence[ReproductionRow], found: Mapping[str, RowResult]) -> list[str]:
    """Cost and settings of the finished runs."""
    cells = []
    for row in rows:
        for run in found[row.name].runs if row.name in found else ():
            commits = [*(part["commit"] for part in run.get("earlier", [])), run["commit"]]
            short = ", ".join(dict.fromkeys(f"`{str(commit)[:10]}`" for commit in commits))
            threads = f"{run['threads']} thread{'s' if run['threads'] > 1 else ''}"
            machine = run["gpus"][0] if run.get("gpus") else f"{run['processor']}, {threads}"
            if "epochs" in run:
                times = [f"{run['cpu_seconds_per_epoch']:.0f}", f"{run['seconds_per_epoch']:.0f}"]
                kept, precision = f"epoch {run['kept_epoch']} of {run['epochs']}", run["precision"]
            else:
                vectors = found[row.name].parameters.get("support_vectors")
                kept, precision = f"{vectors:,} support vectors" if vectors else "–", "float64"
                times = ["–", f"{run['seconds']:.0f} in all"]
            cells.append(
                [f"`{run['command']}`", str(run["seed"]), kept, *times, machine, precision, short, run["date"]]
            )
    header = ["command", "seed", "weights of", "CPU s / epoch", "s / epoch", "hardware", "precision", "commit", "date"]
    return _markdown(header, cells) if cells else []


def _details(row: ReproductionRow, result: RowResult) -> list[str]:
    if row.svm is not None:
        return []
    lines = [f"### {row.name}", "", f"![Learning curves of {row.name}](images/reproduction/{row.name}.svg)", ""]
    shown = ["fer2013", "ferplus"] if row.improves else ["test", "validation"]
    if row.confusion or (row.improves is not None and ROWS[row.improves].confusion):
        last = result.runs[-1]
        for protocol in (name for name in shown if name in last["scores"]):
            lines += _confusion(protocol, last["scores"][protocol])
    return lines


def _confusion(protocol: str, one: Mapping[str, Any]) -> list[str]:
    title = f"{protocol}, {one['n']:,} images: confusion matrix, rows true, columns predicted"
    rows = [
        [label, *map(str, counts), percent(one["recall"][label])]
        for label, counts in zip(one["labels"], one["confusion"], strict=True)
    ]
    return [title, "", *_markdown(["true", *one["labels"], "recall"], rows)]


def _parameters(row: ReproductionRow, result: RowResult | None) -> str:
    if result is None:
        return "–" if row.network is None else f"{get_network(row.network).parameters:,}"
    return f"{result.parameters['trained']:,}"


def _has(result: RowResult, protocol: str) -> bool:
    return result.mean_score(protocol) is not None


def _with_clean(result: RowResult, protocol: str) -> str:
    """The official figure, and in brackets the one without leaked images where there is one."""
    clean = result.mean_score(subset_name(protocol, LEAK_FREE))
    return percent(result.mean_score(protocol)) + (f" ({percent(clean)})" if clean is not None else "")


def _spread(result: RowResult, protocols: Sequence[str]) -> str:
    if len(result.runs) < 2:
        return ""
    spreads = [100 * stdev(run["scores"][name]["accuracy"] for run in result.runs) for name in protocols]
    return f", standard deviation {', '.join(f'{value:.1f}' for value in spreads)}"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(header)} |", "|" + "---|" * len(header), *(f"| {' | '.join(row)} |" for row in rows), ""]
