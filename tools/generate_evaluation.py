"""The parts of docs/evaluation.md and of the model cards that follow from docs/results/*.json; tools/generate.py writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_tables import drawn, table

from mien.evaluation.figures import BY_KEY, FIGURES
from mien.evaluation.tables import (
    DISTRIBUTIONS_NOTE,
    as_text,
    calibration_table,
    distribution_table,
    figure_cell,
    group_table,
    miss_table,
    results_table,
    temperature_line,
    worst_lines,
)
from mien.models.priors import DEFAULT, PRIORS
from mien.text import percent, signed_span

RESULTS = Path(__file__).parents[1] / "docs" / "results"
FAIRNESS_COMMAND = (
    "`mien evaluate age emotion --data fairface/validation.parquet --split validation --end-to-end "
    "--slices race,gender,race+gender --json docs/results/fairness.json`"
)
SHOWN = {
    "ferplus": "FER+ majority, test",
    "ferplus leak-free": "the same, leak-free",
    "fer2013": "FER2013, test",
    "fer2013 leak-free": "the same, leak-free",
    "age": "FairFace validation, age",
    "age found": "the same, faces the detector finds",
}
DIVISIONS = ("race", "gender")
MEANING = (
    "**What this does not show.** FairFace has no emotion labels. Its pictures are photos that people put on the web, and "
    "who is photographed smiling, how, and by whom differs between groups. So a difference can lie in the expressions "
    "that were photographed, in which photos were chosen, or in the network; these figures cannot separate them, and equal "
    "means would not prove that errors are equal. They show how much the model's predictions differ on this collection, which is "
    "what a user who compares groups with it would see: **do not compare groups of people by these outputs.** The groups are those of "
    "the dataset, assigned by annotators from the pictures. With eight emotions and nine groups, three or four of the intervals "
    "exclude 0 by chance alone."
)


def load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


REPORTED = ("accuracy", "one_off", "top2", "macro_f1", "ece", "kl")
"""Figures of the headline table."""


def figure(one: Mapping[str, Any], key: str) -> str:
    return as_text(figure_cell(one, BY_KEY[key]))


def figures_section() -> str:
    """What each figure means."""
    others = [
        ("reliability diagram", "accuracy over confidence, by bins of the top probability; ECE is its mean gap"),
        ("intervals", "95 %, percentile bootstrap over images, 1,000 resamples, seeded (`--bootstrap`, `--seed`)"),
        (
            "McNemar's test",
            "two models on the same images: how likely so uneven a split of the images on which they differ would be if "
            "neither were better; exact, and with continuity correction",
        ),
    ]
    rows = [(one.title, one.description) for one in FIGURES] + others
    return "\n".join(table(["figure", "meaning"], rows)).strip()


def reports_section() -> str:
    """The headline figures of both models with intervals, their diagrams, and what abstaining buys."""
    emotion, age, way = load("emotion_test"), load("age_report"), load("end_to_end")
    lines = [
        "`mien evaluate emotion --data fer2013.parquet --json docs/results/emotion_test.json --report out/emotion`<br>",
        "`mien evaluate age --data fairface.parquet --split validation --json docs/results/age_report.json --report out/age`"
        + ("" if "age leak-free" in age["results"] else " (`fairface.parquet` of the validation file alone)"),
        "",
        "Brackets hold the 95 % interval.",
        "",
    ]
    lines += drawn(*(results_table(one["results"], names=SHOWN, figures=REPORTED) for one in (emotion, age)))
    lines += [
        "| | reliability | risk over coverage |",
        "|---|---|---|",
        *(
            f"| {SHOWN[head]} | ![Reliability diagram of {SHOWN[head]}](images/evaluation/{head}-reliability.png) "
            f"| ![Risk over coverage of {SHOWN[head]}](images/evaluation/{head}-risk-coverage.png) |"
            for head in ("ferplus", "fer2013", "age")
        ),
        "",
        "Accuracy when the least confident faces get no label, and the top probability below which they get none, which is the argument of "
        "`Faces.labels(abstain=…)`:",
        "",
    ]
    rows = []
    for document, head in ((emotion, "ferplus"), (emotion, "fer2013"), (age, "age")):
        curve = document["details"][head]["selective"]
        cells = [f"{percent(row['accuracy'])} at {row['threshold']:.2f}" for row in curve["table"]]
        rows.append([SHOWN[head], *cells, BY_KEY["aurc"].value(curve["aurc"])])
    shares = [percent(row["coverage"], digits=0) for row in emotion["details"]["ferplus"]["selective"]["table"]]
    lines += table(["answered", *shares, "AURC"], rows)
    lines += [
        "Through detector and crop, on FER2013's test faces enlarged into whole pictures "
        "(`python benchmarks/end_to_end.py`, see [benchmarks](benchmarks.md#accuracy-through-detector-and-crop)); missed faces count as wrong:",
        "",
    ]
    rows = []
    for row in way["rows"]:
        cells = [f"{row['side']} px, ±{row['angle']:.0f}°", percent(1 - row["ferplus_found"])]
        for head in ("ferplus", "fer2013"):
            through, found = row[f"{head}_end_to_end"], row[f"{head}_found"]
            cells.append(f"{percent(through)} → {percent(through * found)}")
        rows.append(cells)
    lines += table(
        ["faces", "missed, FER+ majority", "FER+ majority, without → with missed faces", "FER2013, the same"], rows
    )
    lines += [
        "FER2013 was cropped by another detector and contains drawings, covered and cut-off faces; on FairFace's photos "
        f"{percent(load('fairness')['models'][0]['detection']['miss_rate'])} are missed (below).",
    ]
    return "\n".join(lines).strip()


def calibration_lines(document: Mapping[str, Any]) -> list[str]:
    """What was fitted, and the figures before and after."""
    lines = []
    for head, one in document["heads"].items():
        verdict = "used" if one["adopted"] else "not used, because the gain may be chance: the temperature stays 1"
        lines.append(f"- `{head}`: {temperature_line(one)}: {verdict}.")
    return [*lines, "", *drawn(calibration_table(document["scores"]))]


def calibration_section() -> str:
    document = load("calibration")
    lines = [
        "`mien calibrate emotion --data fer2013.parquet --json docs/results/calibration.json`",
        "",
        "One number per head, the temperature, divides the logits before the softmax (Guo et al. 2017). It minimises the log loss on "
        "PublicTest, without the images that are also in the training set, which the network has memorised and is more certain of. "
        "The order of the labels stays, and so does accuracy. The temperature is stored in the model's card and used by everything "
        "that reads the file. The figures below are those of temperatures alone (`--prior photos`); the "
        "[card](cards/emotion.md#calibration) has those of the default prior.",
        "",
        *calibration_lines(document),
        "**What it costs.** The FER+ head learnt the distribution of the raters' votes, which is softer than the label that most of them "
        "chose. Sharpened until its top probability is the chance of matching that majority, it is farther from the "
        "distribution of all votes: KL to raters rises. If you need the distribution of votes rather than the chance of being "
        "right, calibrate with `--target raters`, or use the logits as they are (`mien.models.model.Model.logits`).",
    ]
    return "\n".join(lines).strip()


def missed_lines(document: Mapping[str, Any]) -> list[str]:
    found = document["detection"]
    lines = [
        f"{found['missed']:,} of {found['faces']:,} faces are not found by the detector ({found['detector']}): "
        f"{percent(found['miss_rate'], found['interval'])}.",
        "",
    ]
    return lines + drawn(*(miss_table(found["groups"][kind], kind) for kind in DIVISIONS), first="group")


def age_lines(document: Mapping[str, Any]) -> list[str]:
    one = document["results"]["age"]
    lines = [
        f"Found faces: accuracy {figure(one, 'accuracy')}, one-off {figure(one, 'one_off')}, ECE {figure(one, 'ece')}. "
        f"With misses counted as wrong: accuracy {figure(one, 'accuracy_with_misses')}.",
        "",
    ]
    columns = ("accuracy", "accuracy_with_misses", "one_off", "ece")
    groups = document["groups"]["age"]
    lines += drawn(*(group_table(groups[kind], kind, figures=columns) for kind in DIVISIONS), first="group")
    for kind in (*DIVISIONS, "race and gender"):
        worst = [f"- {line}" for line in worst_lines(document["worst"]["age"][kind])]
        lines += [f"Worst group by {kind}:", "", *worst, ""]
    return lines


def emotion_lines(document: Mapping[str, Any]) -> list[str]:
    kinds = document["distributions"]["ferplus"]
    lines = [
        f"FER+ head, detected faces. {DISTRIBUTIONS_NOTE.format(mark='**bold**')}.",
        "",
        *drawn(*(distribution_table(kinds[kind], kind) for kind in DIVISIONS), first="group"),
    ]
    _, kind, group, label = max(
        (abs(difference), kind, group, label)
        for kind in DIVISIONS
        for group, one in kinds[kind].items()
        for label, difference in one["difference"].items()
    )
    one = kinds[kind][group]
    lines += [
        f"The largest difference: {label} for {group}, {100 * one['difference'][label]:+.1f} points "
        f"({signed_span(one['difference_intervals'][label], 100, 1)}).",
        "",
    ]
    return lines


def fairness_section() -> str:
    age, emotion = load("fairness")["models"]
    lines = [
        FAIRNESS_COMMAND,
        "",
        "FairFace's 5,000 validation photos, whole, through detector and crop; groups have the names of the dataset.",
        "",
        "### Faces that are not found",
        "",
        *missed_lines(age),
        "### Age",
        "",
        *age_lines(age),
        "By chance, the worst of several groups always seems worse than it is; compare the intervals. Groups also differ in age: "
        "the ages of children and of people in their twenties are predicted more accurately than others.",
        "",
        "### How predicted emotions differ",
        "",
        *emotion_lines(emotion),
        MEANING,
    ]
    return "\n".join(lines).strip()


def card_fairness(name: str) -> list[str]:
    """The section of a model card."""
    age, emotion = load("fairness")["models"]
    lines = [
        "## Groups of people, through detector and crop",
        "",
        FAIRNESS_COMMAND + ": FairFace's 5,000 validation photos; brackets hold the 95 % interval. "
        "[Evaluation](../evaluation.md) defines each figure.",
        "",
        *missed_lines(age),
    ]
    if name == "age":
        return [*lines, *age_lines(age)]
    return [*lines, *emotion_lines(emotion), MEANING, ""]


def card_calibration(calibration: Mapping[str, Any] | None, fitted_on: str) -> list[str]:
    """The section of a model card, from what the card itself holds."""
    if calibration is None:
        return []
    protocols = [one for each in calibration["scores"].values() for one in each.values()]
    raters = [
        "KL to raters rises because the majority's label is sharper than the distribution of all votes; see "
        "[evaluation](../evaluation.md#calibration).",
        "",
    ]
    return [
        "## Calibration",
        "",
        f"Temperatures fitted on {fitted_on}, without the images that are also in the training set. Before (temperature 1) → after, the",
        "default prior:",
        "",
        *calibration_lines(calibration),
        *(raters if any(one["after"]["kl"] is not None for one in protocols) else []),
    ]


def portraits_section() -> str:
    """Two portraits, several views, every prior."""
    rows = []
    for row in load("portraits")["rows"]:
        cells = [row["portrait"], row["view"]]
        for prior in PRIORS:
            faces = [
                ", ".join(f"{label} {percent(share, digits=0)}" for label, share in face["emotions"].items())
                for face in row["faces"][prior]
            ]
            cells.append("; ".join(faces) or "no face")
        ages = [f"{face['age_range']} ({face['age']:.0f})" for face in row["faces"][DEFAULT]]
        rows.append([*cells, "; ".join(ages) or "–"])
    lines = [
        "`python benchmarks/portraits.py --json docs/results/portraits.json --picture docs/images/evaluation/portraits.webp`: the",
        "portraits of Eileen Collins (astronaut; in her thirties) and Grace Hopper (hopper; 77), whole, through detector and crop;",
        "one face was found in each. The last column has the most probable range and, in brackets, the expected age under the default",
        "prior: the mean of the centres of the ranges, of which the last is 70–99, so it is 85 at most. No package contains a",
        "public-domain portrait with another expression than a smile or a neutral face; how each emotion is recognised is in the",
        "confusion matrices of the [card](cards/emotion.md).",
        "",
        "![Both portraits with boxes, emotions and ages](images/evaluation/portraits.webp)",
        "",
        *table(["portrait", "view", *(f"prior {prior}" for prior in PRIORS), "age, default"], rows),
    ]
    return "\n".join(lines).strip()


def evaluation_parts() -> dict[str, str]:
    """Mark in docs/evaluation.md → what stands there."""
    return {
        "figures": figures_section(),
        "reports": reports_section(),
        "calibration": calibration_section(),
        "fairness": fairness_section(),
        "portraits": portraits_section(),
    }
