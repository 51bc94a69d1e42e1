"""What docs/certainty.md, docs/training.md and the model cards say of flags, sets and own classes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markdown_tables import table

from mien import text
from mien.models.card import Card

RESULTS = Path(__file__).parents[1] / "docs" / "results"
FLAGS, OWN = RESULTS / "flags.json", RESULTS / "own_classes.json"
TITLES = {"emotion": "emotion, FER+ majority", "age": "age, FairFace"}
SHOWN = ("dark", "blurred", "covered", "unlike")
"""Flags of disturbed crops; the two others need a photo."""
TASKS = {"smiling": "smiling / not smiling", "child": "child / adult"}
WAYS = {"frozen": "frozen", "finetune": "finetune", "scratch": "from scratch"}
COLOURS = {"frozen": "#0072b2", "finetune": "#000000", "scratch": "#d55e00"}
WIDTH, HEIGHT = 360, 240
LEFT, TOP, RIGHT, BOTTOM = 44, 30, 12, 34
LEAST = 0.5
"""Accuracy at the bottom of the curves: that of chance."""


def percent(value: float | None, digits: int = 0) -> str:
    return text.NONE if value is None else f"{100 * value:.{digits}f} %"


def flags_parts() -> dict[str, str]:
    """Tables of docs/certainty.md."""
    measured = json.loads(FLAGS.read_text(encoding="utf-8"))
    parts = {f"flags {name}": "\n".join(disturbed(one)).strip() for name, one in measured.items()}
    parts["flags cost"] = "\n".join(costs(measured)).strip()
    parts["flags yaw"] = "\n".join(by_yaw(measured)).strip()
    parts["flags risk"] = "\n".join(risk(measured)).strip()
    return parts


def disturbed(measured: dict[str, Any]) -> list[str]:
    """Accuracy, flags and sets, one row per disturbance."""
    header = [
        "faces",
        "accuracy",
        "any flag",
        *SHOWN,
        "accuracy if flagged",
        "accuracy if not",
        "coverage of 90 % sets",
    ]
    rows = []
    for name, one in measured["sets"].items():
        shares = [percent(one["flags"][flag]) for flag in SHOWN]
        cells = [percent(one[key]) for key in ("accuracy_flagged", "accuracy_unflagged", "coverage")]
        row = [name, percent(one["accuracy"]), percent(one["flagged"]), *shares, *cells, f"{one['set_size']:.2f}"]
        rows.append(row)
    return table([*header, "labels per set"], rows)


def costs(measured: dict[str, Any]) -> list[str]:
    """What each flag costs: in photos, and in all disturbed sets together."""
    rows = []
    for name, one in measured.items():
        clean = one["photos"]["unflagged"]
        rows.append([TITLES[name], "none", percent(clean["accuracy"]), f"{clean['n']:,}", *unflagged(one)])
        for flag, found in one["photos"]["flags"].items():
            photos = (
                [percent(found["accuracy"]), f"{found['n']:,}"] if found["n"] >= 20 else [text.NONE, f"{found['n']:,}"]
            )
            rows.append(["", flag, *photos, *pooled(one, flag)])
    return table(["labels", "flag", "accuracy in photos", "faces", "accuracy in all disturbed sets", "faces"], rows)


def unflagged(one: dict[str, Any]) -> list[str]:
    sets = [each for each in one["sets"].values() if each["accuracy_unflagged"] is not None]
    n = [each["n"] * (1 - each["flagged"]) for each in sets]
    right = sum(count * each["accuracy_unflagged"] for count, each in zip(n, sets, strict=True))
    return [percent(right / sum(n)), f"{sum(n):,.0f}"]


def pooled(one: dict[str, Any], flag: str) -> list[str]:
    """Accuracy of the faces with a flag in those sets that have 20 of them at least, and their number."""
    sets = [each for each in one["sets"].values() if flag in each["by_flag"]]
    n = [each["n"] * each["flags"][flag] for each in sets]
    if not sets:
        return [text.NONE, "0"]
    right = sum(count * each["by_flag"][flag] for count, each in zip(n, sets, strict=True))
    return [percent(right / sum(n)), f"{sum(n):,.0f}"]


def by_yaw(measured: dict[str, Any]) -> list[str]:
    angles = list(next(iter(measured.values()))["photos"]["yaw"])
    rows = [
        [TITLES[name], *(f"{percent(part['accuracy'])} of {part['n']:,}" for part in one["photos"]["yaw"].values())]
        for name, one in measured.items()
    ]
    return table(["yaw, degrees", *(angle.replace("-", " to ") for angle in angles)], rows)


def risk(measured: dict[str, Any]) -> list[str]:
    shares = list(next(iter(measured.values()))["risk_coverage"]["entropy"]["accuracy_at"])
    rows = []
    for name, one in measured.items():
        for score, title in (("entropy", "entropy only"), ("combined", "combined")):
            found = one["risk_coverage"][score]
            accuracies = [percent(found["accuracy_at"][share], 1) for share in shares]
            rows.append([TITLES[name], title, f"{found['aurc']:.4f}", *accuracies])
    header = ["labels", "score", "area under the curve", *(f"most certain {share}" for share in shares)]
    return table(header, rows)


SETS = ["images", "coverage", "labels per set", "by class: coverage", "labels per set"]


def card_sets(card: Card) -> list[str]:
    """Coverage and size of a card's sets, by label and by group."""
    scores = card.scores.get("sets")
    if scores is None:
        return []
    halves = " in halves, each with the quantiles of the other half," if scores["split"] == scores["fitted_on"] else ""
    lines = [
        "## Sets of labels",
        "",
        f"Sets with {scores['coverage']:.0%} coverage (`--coverage {scores['coverage']:g}`), and the same with `--by-class`: fitted on the "
        f"{scores['fitted_on']} split and scored on the {scores['split']} split{halves} without the images that are also in the training set.",
        "",
    ]
    for protocol, kinds in scores["protocols"].items():
        lines += table([protocol, *SETS], set_table_rows(kinds, labels_of(card, kinds)))
        for title in kinds["all"]["groups"]:
            both = [kinds[way]["groups"][title] for way in ("all", "by_class")]
            lines += table([title, *SETS], [set_row(name, [one[name] for one in both]) for name in both[0]])
    return lines


def set_rows(card: Card) -> str:
    """The table of docs/certainty.md, of the first head."""
    scores = card.scores["sets"]["protocols"]
    name = next(one for one in scores if one.startswith(card.heads[0].name))
    return "\n".join(table(["right label", *SETS], set_table_rows(scores[name], card.heads[0].labels))).strip()


def labels_of(card: Card, kinds: dict[str, Any]) -> Sequence[str]:
    """The labels of a protocol in the order of the head that has them: JSON has them by the alphabet."""
    found = set(kinds["all"]["labels"])
    return next((head.labels for head in card.heads if set(head.labels) == found), sorted(found))


def set_table_rows(kinds: dict[str, Any], labels: Sequence[str]) -> list[list[str]]:
    """One row for all images and one per right label."""
    both = [kinds["all"], kinds["by_class"]]
    return [set_row("all", both), *(set_row(label, [one["labels"][label] for one in both]) for label in labels)]


def set_row(name: str, both: list[dict[str, Any]]) -> list[str]:
    cells = [cell for one in both for cell in (percent(one["coverage"], 1), size(one["size"]))]
    return [name, f"{both[0]['n']:,}", *cells]


def size(value: float | None) -> str:
    return text.NONE if value is None else f"{value:.2f}"


def own_classes_parts() -> dict[str, str]:
    """The table of docs/training.md."""
    measured = json.loads(OWN.read_text(encoding="utf-8"))
    rows = []
    for task, title in TASKS.items():
        for n, one in measured.get(task, {}).get("counts", {}).items():
            images = one["images"]
            cells = [cell(one.get(way)) for way in WAYS]
            rows.append([title, f"{int(n):,}", f"{images['test']:,}", *cells])
    header = ["classes", "training pictures per class", "test images", *WAYS.values()]
    return {"own classes": "\n".join(table(header, rows)).strip()}


def cell(one: dict[str, Any] | None) -> str:
    return text.NONE if one is None else f"{percent(one['accuracy'], 1)} ({one['seconds']:,.0f} s)"


def own_classes_picture() -> str:
    """The learning curves as SVG."""
    measured = json.loads(OWN.read_text(encoding="utf-8"))
    tasks = [task for task in TASKS if task in measured]
    width, height = WIDTH * len(tasks), HEIGHT + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        "<title>Accuracy on test images over the number of training pictures per class</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for k, task in enumerate(tasks):
        parts += panel(measured[task]["counts"], TASKS[task], k * WIDTH)
    for i, (way, title) in enumerate(WAYS.items()):
        x, y = LEFT + 120 * i, HEIGHT + 12
        parts.append(f'<path d="M{x},{y - 4} h18" stroke="{COLOURS[way]}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 24}" y="{y}">{title}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel(counts: dict[str, Any], title: str, left: int) -> list[str]:
    x0, x1, y0, y1 = left + LEFT, left + WIDTH - RIGHT, HEIGHT - BOTTOM, TOP
    parts = [f'<text x="{x0}" y="18" font-size="12">{title}</text>']
    for share in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        y = y0 + (y1 - y0) * (share - LEAST) / (1 - LEAST)
        parts.append(f'<path d="M{x0},{y:.1f} H{x1}" stroke="#ddd"/>')
        parts.append(f'<text x="{x0 - 4}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{100 * share:.0f} %</text>')
    names = list(counts)
    places = {n: x0 + 20 + (x1 - x0 - 40) * i / max(len(names) - 1, 1) for i, n in enumerate(names)}
    for n, x in places.items():
        parts.append(f'<text x="{x:.1f}" y="{y0 + 16}" text-anchor="middle" fill="#555">{int(n):,}</text>')
    for way in WAYS:
        found = [(places[n], one[way]["accuracy"]) for n, one in counts.items() if way in one]
        points = [(x, y0 + (y1 - y0) * (max(value, LEAST) - LEAST) / (1 - LEAST)) for x, value in found]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[way]}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOURS[way]}"/>' for x, y in points]
    return parts
