"""Write the pages that follow from code and files: model cards and the command-line reference.

python tools/generate.py            write docs/cards/*.md, docs/cli.md, docs/http.md, docs/openapi.json, docs/results.schema.json, docs/benchmarks.md,
                                   docs/detector.md, docs/licences.md, docs/robustness.md, docs/scoreboard.md,
                                   docs/reproduction.md with their pictures,
                                   the tables of docs/batch.md, docs/certainty.md, docs/evaluation.md, docs/training.md, docs/explain.md, docs/faults.md,
                                   docs/install.md, docs/page.md, docs/releases.md, docs/results.md, docs/serve.md and
                                   docs/video.md, and those of README.md,
                                   and the notice of the browser page, src/mien/web/static/notice_text.js
python tools/generate.py --check    only print which of them are out of date
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from generate_audit import audit_page
from generate_batch import batch_parts
from generate_comparison import comparison_table
from generate_detectors import detector_page, detector_pictures, detectors_section
from generate_evaluation import card_calibration, card_fairness, evaluation_parts
from generate_explain import explain_section
from generate_faults import faults_parts
from generate_http import describe_service, http_page, openapi_text
from generate_install import install_parts
from generate_laboratory import card_sets, flags_parts, own_classes_parts, own_classes_picture, set_rows
from generate_licences import licences_page
from generate_page import page_parts
from generate_peers import peers_section
from generate_release import release_parts
from generate_results import columns_section
from generate_robustness import pictures as robustness_pictures
from generate_robustness import robustness_page
from generate_scoreboard import scoreboard_page
from generate_serve import serve_parts
from generate_video import tracking_section
from generate_whole_path import whole_path_section
from markdown_tables import drawn, table

from mien import defaults
from mien.cli import cli
from mien.cli.batch import INPUTS_FAILED
from mien.cli.error_output import INTERRUPTED, VARIABLE
from mien.cli.live import STREAM_LOST
from mien.errors import ImageError, MienError
from mien.evaluation.figures import BY_KEY
from mien.evaluation.predictions import is_subset
from mien.evaluation.tables import (
    confusion_table,
    group_table,
    prior_table,
    quantisation_table,
    results_table,
    worst_lines,
)
from mien.labels import number_ranges
from mien.models.card import Card
from mien.models.catalog import MODELS, read_model
from mien.models.model import Model
from mien.models.priors import PRIORS
from mien.notice.texts import page_script
from mien.predict.model_set import ModelSet
from mien.published.reproduction import report_page as reproduction
from mien.published.reproduction.published_results import ROWS
from mien.published.reproduction.results import read_result
from mien.recipes.catalog import RECIPES
from mien.results.json_schema import results_schema
from mien.text import percent
from mien.training.curves import read_epochs

LEAK_FREE_MEANING = (
    "*Leak-free* leaves out the test images that are also in the training set, pixel for pixel. "
    "[Evaluation](../evaluation.md#what-each-figure-means) explains the figures."
)
DOCS = Path(__file__).parents[1] / "docs"
README = DOCS.parent / "README.md"
SRC = DOCS.parent / "src" / "mien"
SPLIT = {"emotion": "test", "emotion-int8": "test", "age": "validation"}
EVALUATED = {"emotion": "fer2013.parquet", "emotion-int8": "fer2013.parquet", "age": "fairface.parquet"}
TITLE = {
    "ferplus": "FER+ majority, test, official",
    "ferplus leak-free": "FER+ majority, test, leak-free",
    "fer2013": "FER2013 test, official",
    "fer2013 leak-free": "FER2013 test, leak-free",
    "age": "FairFace validation, all faces",
    "age leak-free": "FairFace validation, without the 6 pictures that are also in training",
    "age found": "FairFace validation, faces the detector finds",
}


def card_page(name: str, card: Card) -> str:
    training, results = card.training, card.scores["results"]
    commits = [*(part["commit"] for part in training["earlier"]), training["commit"]]
    lines = [
        f"# Model card: {name}",
        "",
        f"{MODELS[name].summary}. {card.parameters:,} parameters, input {card.size}×{card.size} {card.channels}. "
        f"Licence of the weights: {card.licence}.",
        "",
        "**What the output means.** " + card.limits,
        "",
        "## Training",
        "",
        *table(
            ["", ""],
            [
                ["data", card.data],
                ["recipe", f"`{training['recipe']}`, {training['epochs']} epochs, seed {training['seed']}"],
                ["command", f"`{training['command']}`"],
                ["commit", ", resumed at ".join(f"`{commit}`" for commit in dict.fromkeys(commits))],
                ["data file", f"SHA-256 `{training['data_sha256']}`"],
                *(
                    [text, f"SHA-256 `{training[key]}`"]
                    for key, text in (("teacher_sha256", "stored predictions"), ("initial_sha256", "started from"))
                    if key in training
                ),
                ["weights", _weights(training)],
                ["packages", ", ".join(f"{k} {v}" for k, v in training["packages"].items())],
                *([["8 bits", quantized(training["quantized"])]] if "quantized" in training else []),
                ["file", f"SHA-256 `{MODELS[name].sha256}`"],
            ],
        ),
        "## Scores",
        "",
        f"`mien evaluate {name} --data {EVALUATED[name]} --split {SPLIT[name]}`",
        "",
    ]
    lines += drawn(results_table(results, names=TITLE), notes=False)
    if any(TITLE[key].endswith("leak-free") for key in results):
        lines += [LEAK_FREE_MEANING, ""]
    for key, one in results.items():
        if is_subset(key):
            continue
        lines += [f"### {TITLE[key]}: confusion matrix", "", "Rows are true labels, columns predictions, counts.", ""]
        lines += drawn(confusion_table(one), notes=False)
    for kinds in card.scores.get("groups", {}).values():
        lines += [
            "## By group",
            "",
            "Groups have the names of the dataset, whose annotators assigned them from the pictures.",
            "",
        ]
        for kind, rows in kinds.items():
            lines += drawn(group_table(rows, kind), notes=False)
    for kinds in card.scores.get("worst", {}).values():
        for kind, worst in kinds.items():
            lines += [f"Worst group by {kind}:", "", *(f"- {line}" for line in worst_lines(worst)), ""]
    lines += card_children(results)
    lines += card_priors(card)
    fitted = card.scores.get("calibration")
    lines += card_calibration(fitted, split_title(card, fitted["fitted_on"]) if fitted else "")
    lines += card_sets(card)
    lines += card_fairness(name)
    return "\n".join(lines).rstrip() + "\n"


CHILDREN = 10
"""Years; people below it must not be taken for adults."""


def card_children(results: Mapping[str, Any]) -> list[str]:
    """How many children a model of age ranges reports as children, and how many older people; per protocol."""
    rows = []
    for key, one in results.items():
        ranges = number_ranges(one["labels"])
        if ranges is None:
            continue
        young = np.array([high < CHILDREN for _, high in ranges])
        counts = np.asarray(one["confusion"])
        children, others = counts[young].sum(), counts[~young].sum()
        right, wrong = counts[young][:, young].sum(), counts[~young][:, young].sum()
        rows.append([TITLE[key], f"{children:,}", percent(right / children), f"{others:,}", percent(wrong / others)])
    if not rows:
        return []
    header = ["protocol", f"under {CHILDREN}", f"reported as under {CHILDREN}", f"{CHILDREN} and older"]
    return ["## Children", "", *table([*header, f"reported as under {CHILDREN}"], rows)]


def card_priors(card: Card) -> list[str]:
    """The read-outs of a card and what they score."""
    if not card.priors:
        return []
    calibration = card.scores.get("calibration", {})
    fitted_on = split_title(card, calibration.get("fitted_on", "validation"))
    crosswise = calibration.get("crosswise")
    parts = "halves" if isinstance(crosswise, str) else "tenths"
    how = f"; those images are scored in {parts}, each with the read-outs fitted on the others" if crosswise else ""
    lines = [
        "## Priors",
        "",
        f"How often labels are expected (`--prior`, `Analyzer(prior=…)`), fitted on {fitted_on} without the images that are also in "
        f"the training set{how}. The scores above are those of the default.",
        "",
    ]
    rows = []
    for head in card.heads:
        kept = ", ".join(sorted({label for readout in head.readouts for label in readout.kept}))
        for readout in head.readouts:
            joined = f"{readout.share:g} of `{readout.joined}`" if readout.joined else "–"
            row = [f"`{head.name}`", f"`{readout.prior}`: {PRIORS[readout.prior]}"]
            rows.append([*row, f"{readout.removed:g}", joined, kept or "–", f"{readout.temperature:.4f}"])
    header = ["head", "prior", "power of the training frequencies removed", "joined with", "unchanged", "temperature"]
    lines += table(header, rows)
    scores = calibration.get("priors")
    if scores is not None:
        lines += drawn(prior_table(scores), notes=False)
    return lines


def split_title(card: Card, split: str) -> str:
    """A split as its dataset calls it."""
    if card.scores["dataset"] == "fer2013":
        return {"validation": "PublicTest", "test": "PrivateTest"}[split]
    return f"FairFace's {split} images"


def quantized(made: dict[str, Any]) -> str:
    return (
        f"`{made['command']}` at commit `{made['commit']}`, from the file with SHA-256 `{made['from']}`; ranges of activations "
        f"from {made['images']} {made['split']} images"
    )


def cli_page() -> str:
    lines = ["# Command line", "", "Generated from the help of the commands by `python tools/generate.py`.", ""]

    def walk(command: click.Command, path: list[str]) -> None:
        context = click.Context(command, info_name=" ".join(path), max_content_width=100, terminal_width=100)
        lines.extend([f"## {' '.join(path)}", "", "```text", command.get_help(context).rstrip(), "```", ""])
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                if inner is not None:
                    walk(inner, [*path, name])

    walk(cli, ["mien"])
    lines[4:4] = errors_section()
    return "\n".join(lines).rstrip() + "\n"


def errors_section() -> list[str]:
    """What `--json-errors` prints, and the codes of the classes of errors."""
    kinds, rows = [MienError], []
    while kinds:
        kind = kinds.pop(0)
        kinds += sorted(kind.__subclasses__(), key=lambda one: one.__name__)
        if kind.__module__ == MienError.__module__ and kind is not MienError:
            rows.append([f"`{kind.default_code}`", inspect.cleandoc(kind.__doc__ or "").split("\n")[0], "1"])
    rows += [
        ["`usage`", "Wrong usage: an unknown option, a value out of range, a missing argument.", "2"],
        [f"`{INTERRUPTED}`", "Ctrl-C, SIGTERM, or SIGHUP (the terminal was closed).", "130, 143, 129"],
        [f"`{INPUTS_FAILED}`", "`mien batch`: some inputs could not be analysed; their rows hold the reasons.", "1"],
        [f"`{STREAM_LOST}`", "`mien live`: the camera or stream was lost for good.", "1"],
    ]
    example = ImageError("holds no picture", path="a.jpg", advice="check the file").to_dict() | {"command": "analyze"}
    return [
        "## Errors",
        "",
        "Errors go to stderr, one line each: `mien: path: reason; advice`. With `--json-errors`, which is accepted anywhere on the "
        f"line, or with the environment variable `{VARIABLE}=1`, each is one JSON object per line instead, with the fields `code`, "
        "`reason`, `path`, `advice`, `details` and `command`; those that do not apply are left out:",
        "",
        "```json",
        json.dumps(example),
        "```",
        "",
        "Other messages on stderr (notes, progress) stay text; they do not begin with `{`. Codes are stable; special cases have "
        "further ones, such as `output-locked`.",
        "",
        *table(["code", "meaning", "exit code"], rows),
    ]


def _weights(training: dict[str, Any]) -> str:
    """The file of the run, and the network whose weights are mixed with its own."""
    text = f"`{training['weights']}` of the run"
    if blend := training.get("blend"):
        text += f", averaged with the network of SHA-256 `{blend['sha256']}` (share {blend['share']})"
    return text


def benchmarks_page() -> str:
    """From the JSON files that the benchmarks wrote."""
    speed, way, frame = (
        json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("speed", "end_to_end", "fer2013_frame")
    )
    about = speed["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in about["packages"].items())
    lines = [
        "# Benchmarks",
        "",
        "Generated from `docs/results/*.json` by `python tools/generate.py`; each table names the command that measured it.",
        "",
        "## Speed, size and memory",
        "",
        "`python benchmarks/speed.py --install --json docs/results/speed.json`, whose header describes what is measured and how.",
        "",
        f"{about['processor']}, {about['cpus']} cores, {about['platform']}, Python {about['python']}, {packages}; "
        f"{about['date']}, load {about['load']:.1f} at the start.",
        "",
        *table(
            ["what", "measured", "target"],
            [[row["what"].strip(), f"{row['value']:.2f} {row['unit']}", row["target"]] for row in speed["rows"]],
        ),
        "### Where the time goes",
        "",
        "Wall-clock milliseconds of one detection (the 640×480 frame, one thread), and of a new process from import to table "
        "(all threads).",
        "",
        *table(["part", "ms"], [[row["part"], f"{row['ms']:.2f}"] for row in speed["profile"]]),
        *whole_path_section(json.loads((DOCS / "results" / "whole_path.json").read_text(encoding="utf-8"))),
        *networks_section(),
        *detectors_section(json.loads((DOCS / "results" / "detector.json").read_text(encoding="utf-8"))),
        "## Accuracy through detector and crop",
        "",
        "`python benchmarks/end_to_end.py --data fer2013.parquet "
        f"--detector {way['detector']} --json docs/results/end_to_end.json`",
        "",
        "Does the network get crops like those it was trained on? FER2013's test faces are pasted into larger pictures at several sizes "
        "and angles, four per picture, and the whole pictures are analysed. The first figure is the accuracy of the same network on the "
        "original 48×48 pixels, the second that through detector and crop, both over the faces that were found.",
        "",
    ]
    rows = []
    for row in way["rows"]:
        cells = [f"{row['side']} px", f"±{row['angle']:.0f}°", percent(row["found"] / row["faces"])]
        cells.append(percent(row["ferplus_found"]))
        for head in ("ferplus", "fer2013"):
            direct, through = row[f"{head}_direct"], row[f"{head}_end_to_end"]
            cells.append(f"{percent(direct)} → {percent(through)} ({100 * (through - direct):+.1f})")
        rows.append([*cells, str(row["spurious"])])
    header = ["face", "tilted", "found", "found, FER+ majority", "FER+ majority", "FER2013", "false detections"]
    lines += table(header, rows)
    lines += [
        f"{way['rows'][0]['faces']:,} faces per row. FER2013 contains pictures without a face, drawings, and faces cut off by the "
        "frame; here they are on a plain background with hard edges, which is harder for a detector than a photo.",
        "",
        "## Where faces lie in FER2013's frame",
        "",
        "`python benchmarks/fer2013_frame.py --data fer2013.parquet --detectors mien,mtcnn,res10,haar --step 32 "
        "--json docs/results/fer2013_frame.json`",
        "",
        "Medians over enlarged training images, as fractions of the frame; `mien.models.crop_frames` contains them, made symmetric.",
        "",
    ]
    rows = []
    for name, one in frame.items():
        box = ", ".join(f"{v:.3f}" for v in one["box"])
        points = "; ".join(f"({x:.3f}, {y:.3f})" for x, y in one.get("landmarks", [])) or "–"
        rows.append([name, f"{one['images']:,}", percent(one["found"]), box, points])
    lines += table(["detector", "images", "found", "box (x1, y1, x2, y2)", "landmarks"], rows)
    lines.append(peers_section(json.loads((DOCS / "results" / "peers.json").read_text(encoding="utf-8"))))
    return "\n".join(lines).rstrip() + "\n"


def networks_section() -> list[str]:
    """How much of the processor the networks use, and what 8 bits cost and gain."""
    measured = json.loads((DOCS / "results" / "networks.json").read_text(encoding="utf-8"))
    cost = json.loads((DOCS / "results" / "quantize.json").read_text(encoding="utf-8"))
    peak = measured["peak_gflops"]
    rows = []
    for one in measured["networks"]:
        single, batch = one["batches"]["1"], one["batches"]["64"]
        rows.append(
            [one["name"], f"{one['mb']:.1f}", f"{one['multiply_adds'] / 1e6:.0f}", f"{single['ms_per_face']:.2f}",
             f"{batch['ms_per_face']:.2f}", f"{single['gflops']:.0f}", f"{100 * single['of_peak']:.0f} %"]
        )  # fmt: skip
    return [
        "## How much of the processor the networks use",
        "",
        "`python benchmarks/networks.py --json docs/results/networks.json`, whose header describes what is "
        "measured and how.",
        "",
        f"One core multiplies float32 matrices at {max(peak['onnxruntime'], peak['numpy']):.0f} GFLOP/s at best, 8-bit ones "
        f"at {peak['int8']:.0f}. Only fewer multiplications or fewer bits would make the networks much faster.",
        "",
        *table(["network", "MB", "M multiply-adds", "ms per face", "in a batch of 64", "GFLOP/s", "of the peak"], rows),
        "`mien quantize emotion --data fer2013.parquet --out emotion-int8.onnx --json docs/results/quantize.json` wrote the "
        "8-bit network, which is shipped too: `--models emotion-int8,age`. Layers with less than a hundredth of the multiplications stay "
        "in float32, and weights use 7 bits, so that it predicts the same on processors without 8-bit dot products (VNNI), "
        "where it gains less speed. Among the ways to quantise, the one was chosen that changes the predictions on validation images least.",
        "",
        *drawn(quantisation_table(cost["losses"])),
    ]


def scores_table(cards: dict[str, Card]) -> str:
    rows = []
    for name, card in cards.items():
        for key, one in card.scores["results"].items():
            off = "" if one["one_off"] is None else f", one-off {percent(one['one_off'])}"
            rows.append(
                [
                    f"[{name}](docs/cards/{name}.md)",
                    f"{card.parameters / 1e6:.2f} M",
                    TITLE[key],
                    f"{percent(one['accuracy'])}{off}",
                    BY_KEY["macro_f1"].value(one["macro_f1"]),
                    BY_KEY["ece"].value(one["ece"]),
                ]
            )
    return "\n".join(table(["model", "parameters", "test", "accuracy", "macro F1", "ECE"], rows)).strip()


def video_mode(mode: str) -> str:
    """A mode of `benchmarks/video.py` in the words of the page."""
    words = {"default": "detected", "carried": "propagated", "decode": "decoding alone, into RGB"}
    first, *rest = mode.split(",")
    return ",".join([words.get(first, first), *rest])


def video_speed_section(measured: dict[str, Any]) -> str:
    """From what `benchmarks/video.py` wrote."""
    about = measured["machine"]
    lines = [
        "## How fast, and how much memory",
        "",
        "`python benchmarks/video.py --json docs/results/video.json`, whose header describes what is measured and how. "
        f"{about['processor']}, {about['cpus']} cores, {about['platform']}, Python {about['python']}; {about['date']}, "
        f"load {about['load']:.1f} at the start.",
        "",
        "640×480, one minute. *Detected*: the detector runs on every frame (the default). *Propagated*: it runs on every fifth "
        "frame (`--detect-every 5`). Every run also writes a table and the checkpoints.",
        "",
    ]
    decoding = next(row for row in measured["speed"] if row["mode"] == "decode")
    rows = []
    for row in measured["speed"]:
        rate, share = row["frames"] / row["wall"], decoding["cpu"] / decoding["frames"] * row["frames"] / row["cpu"]
        name = video_mode(row["mode"])
        rows.append(
            [
                name,
                "–" if row["mode"] == "decode" else str(row["people"]),
                f"{rate:.0f}",
                f"{1000 * row['cpu'] / row['frames']:.1f}",
                percent(share),
                f"{row['peak_mb']:.0f}",
            ]
        )
    lines += table(["mode", "faces", "frames per second", "ms of CPU per frame", "of it decoding", "peak MB"], rows)
    lines += ["Over the length of a video, one face:", ""]
    rows = []
    for row in measured["length"]:
        name = video_mode(row["mode"])
        tenths = f"{row['first_tenth_ms']:.2f} → {row['last_tenth_ms']:.2f}"
        change = percent(row["last_tenth_ms"] / row["first_tenth_ms"] - 1)
        rows.append([name, f"{row['minutes']} min", f"{row['frames']:,}", f"{row['resident_mb']:.0f}", tenths, change])
    lines += table(
        ["mode", "length", "frames", "resident MB, at most", "ms per frame, first tenth → last", "change"], rows
    )
    for mode in dict.fromkeys(row["mode"] for row in measured["length"]):
        short, long = (row for row in measured["length"] if row["mode"] == mode)
        change = long["resident_mb"] / short["resident_mb"] - 1
        lines.append(f"- {video_mode(mode)}: {long['minutes']} minutes take {100 * change:+.1f} % of memory.")
    return "\n".join(lines).strip()


def video_page() -> str:
    """The written page, with its tables from the JSON files that the benchmarks wrote."""
    results = {
        name: json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("video", "tracking", "scene_cuts")
    }
    parts = {
        "speed": video_speed_section(results["video"]).strip(),
        "tracking": tracking_section(results["tracking"], results["scene_cuts"]).strip(),
    }
    return filled("video", parts)


def filled(name: str, parts: dict[str, str]) -> str:
    """The written page with these texts between its marks."""
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    for mark, text in parts.items():
        between = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
        page = between.sub(lambda m, text=text: f"{m[1]}{text}\n{m[2]}", page)
    return page


def measured_recipes(cards: dict[str, Card]) -> str:
    """Hours and scores of recipes: those of the models that are shipped, and of the results of reproduction."""
    found: dict[str, dict[str, Any]] = {}
    for card in cards.values():
        name = card.training["recipe"]
        path = DOCS / "results" / f"{name.replace('-', '_')}_metrics.csv"
        if path.is_file() and name not in found:
            seconds = sum(epoch["seconds"] for epoch in read_epochs(path))
            scores = {
                TITLE[one].partition(",")[0]: round(figures["accuracy"], 4)
                for one, figures in card.scores["results"].items()
                if one in TITLE and not is_subset(one)
            }
            found[name] = {"hours": round(seconds / 3600, 3), "machine": "2 processor cores", "scores": scores}
    for name, recipe in RECIPES.items():
        # recipes whose network is not, or no longer, the one that is shipped: scores of the best epoch on validation
        path = DOCS / "results" / f"{name.replace('-', '_')}_metrics.csv"
        if name in found or not path.is_file():
            continue
        epochs = read_epochs(path)
        best = max(epochs, key=lambda epoch: epoch["val_score"])
        scores = {f"{h.name} validation": round(best[f"val_{h.name}_accuracy"], 4) for h in recipe.heads}
        hours = sum(epoch["seconds"] for epoch in epochs) / 3600
        found[name] = {"hours": round(hours, 3), "machine": "2 processor cores", "scores": scores}
    for row in ROWS.values():
        result = read_result(DOCS / "results" / "reproduction", row.name)
        if result is None or not result.runs or (row.recipe is None and row.svm is None):
            continue
        run = result.runs[0]
        seconds = run["seconds"] if row.svm is not None else run["epochs"] * run["seconds_per_epoch"]
        cores = f"{run['threads']} processor core{'s' if run['threads'] > 1 else ''}"
        titles = {"test": row.protocol, "ferplus": "FER+ majority", "fer2013": "FER2013", "age": "FairFace validation"}
        scores = {titles[one]: round(result.mean_score(one) or 0, 4) for one in run["scores"] if one in titles}
        machine = run["gpus"][0] if run.get("gpus") else cores
        found[row.name] = {"hours": round(seconds / 3600, 3), "machine": machine, "scores": scores}
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def pages() -> dict[Path, str]:
    cards = {name: Model(read_model(name), threads=1).card for name in MODELS}
    out = {DOCS / "cards" / f"{name}.md": card_page(name, card) for name, card in cards.items()}
    out[DOCS / "cli.md"] = cli_page()
    out[SRC / "web" / "static" / "notice_text.js"] = page_script()
    out[DOCS / "results.schema.json"] = json.dumps(results_schema(), indent=2, ensure_ascii=False) + "\n"
    out[DOCS / "results.md"] = filled("results", {"columns": columns_section(ModelSet.open(defaults.MODELS).heads)})
    out[DOCS / "benchmarks.md"] = benchmarks_page()
    out[DOCS / "detector.md"] = detector_page()
    for name, picture in detector_pictures().items():
        out[DOCS / "images" / "detector" / name] = picture
    out[DOCS / "video.md"] = video_page()
    out[DOCS / "audit.md"] = audit_page()
    batch = json.loads((DOCS / "results" / "batch.json").read_text(encoding="utf-8"))
    out[DOCS / "batch.md"] = filled("batch", batch_parts(batch))
    out[DOCS / "certainty.md"] = filled("certainty", flags_parts() | {"sets": set_rows(cards["emotion"])})
    out[DOCS / "training.md"] = filled("training", own_classes_parts())
    out[DOCS / "images" / "own-classes.svg"] = own_classes_picture()
    out[DOCS / "evaluation.md"] = filled("evaluation", evaluation_parts())
    explained = json.loads((DOCS / "results" / "explain.json").read_text(encoding="utf-8"))
    out[DOCS / "explain.md"] = filled("explain", {"explain": explain_section(explained).strip()})
    out[DOCS / "install.md"] = filled("install", install_parts())
    out[DOCS / "licences.md"] = licences_page()
    out[DOCS / "page.md"] = filled("page", page_parts())
    out[DOCS / "releases.md"] = filled("releases", release_parts())
    out[DOCS / "serve.md"] = filled("serve", serve_parts())
    description = describe_service()
    out[DOCS / "openapi.json"], out[DOCS / "http.md"] = openapi_text(description), http_page(description)
    robustness = json.loads((DOCS / "results" / "robustness.json").read_text(encoding="utf-8"))
    out[DOCS / "robustness.md"] = robustness_page(robustness)
    for name, picture in robustness_pictures(robustness).items():
        out[DOCS / "images" / "robustness" / name] = picture
    board = [
        json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("scoreboard", "scoreboard_peers", "confusion")
    ]
    out[DOCS / "scoreboard.md"] = scoreboard_page(*board)
    out[DOCS / "faults.md"] = filled("faults", faults_parts())
    results = DOCS / "results" / "reproduction"
    out[DOCS / "reproduction.md"] = reproduction.reproduction_page(results)
    for name, picture in reproduction.learning_curve_images(results).items():
        out[DOCS / "images" / "reproduction" / name] = picture
    out[DOCS.parent / "src" / "mien" / "recipes" / "measurements.json"] = measured_recipes(cards)
    readme = README.read_text(encoding="utf-8")
    parts = {"scores": scores_table(cards), "comparison": comparison_table(DOCS / "results")}
    for name, text in parts.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        readme = mark.sub(lambda m, text=text: m[1] + text + m[2], readme)
    out[README] = readme
    return out


def main(arguments: Any = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    stale = []
    for path, text in pages().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.name)
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    print(json.dumps({"out of date" if options.check else "written": stale}))
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
