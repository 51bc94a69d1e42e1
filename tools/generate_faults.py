"""The tables of docs/faults.md, from what `benchmarks/fuzz.py` and `benchmarks/soak.py` wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markdown_tables import table

RESULTS = Path(__file__).parents[1] / "docs" / "results"
SURFACES = {
    "images": "photos in 19 formats: `load_image`",
    "videos": "clips in 20 containers and codecs: `open_video` and its frames",
    "fer2013": "FER2013's CSV, plain, .gz and .zip",
    "ferplus": "FER+ votes",
    "fairface-csv": "FairFace's CSV and pictures",
    "rafdb": "RAF-DB's list and pictures",
    "probabilities": "probabilities for `mien data audit`, CSV and .npy",
    "parquet": "Parquet files: prepared, Hugging Face, FairFace",
    "parquet-fields": "well-formed Parquet with other columns, types and metadata",
    "onnx": "ONNX files with a card, and one face",
    "cards": "the card inside an ONNX file, and one face",
    "run-configs": "config.json of a run folder",
    "safetensors": "weights of a run folder",
    "svm-models": "support-vector machines (skops)",
    "svm-schemas": "the schema inside such a file",
    "svm-configs": "config.json of such a run folder",
    "recipes": "recipe files (JSON)",
    "progress": "what an interrupted run of videos left behind",
    "batch-lists": "batches: list files",
    "batch-tars": "batches: WebDataset tars, plain, .gz and .bz2",
    "batch-parquet": "batches: Parquet of images",
    "batch-manifests": "batches: the manifest of an interrupted run",
    "batch-parts": "batches: a finished part of an interrupted run",
    "requests": "HTTP requests: pictures, forms, JSON, deepface's shape",
    "live": "messages of the live WebSocket",
}


def faults_parts() -> dict[str, str]:
    """The texts between the marks of the page."""
    sections = (("fuzz", fuzz_section), ("soak", soak_section))
    return {
        name: section(json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))).strip()
        for name, section in sections
        if (RESULTS / f"{name}.json").is_file()
    }


def fuzz_section(measured: dict[str, Any]) -> str:
    runs: list[dict[str, Any]] = measured["runs"]
    packages = ", ".join(f"{name} {number}" for name, number in measured["packages"].items())
    tried = measured["again"]
    wall, cpu = (sum(run[name] for run in runs) for name in ("wall", "cpu"))
    lines = [
        f"`python benchmarks/fuzz.py --json docs/results/fuzz.json`, in {len(runs)} parts that took {wall / 60:.0f} minutes and "
        f"{cpu / 60:.0f} minutes of CPU in all; {sum(run['cases'] for run in runs):,} inputs. Python {measured['python']}, "
        f"{packages}; {measured['date']}. *Accepted* are inputs that are still valid; all others were refused in one line, except the "
        "findings. *Findings* are distinct errors (kind and place) over all parts, between which the code was fixed. "
        f"`--again findings`: of {tried['inputs']} inputs kept from these and earlier runs, {len(tried['wrong'])} still give "
        "anything but a result or one line.",
        "",
    ]
    rows = []
    for name, about in SURFACES.items():
        mine = [run for run in runs if run["target"] == name]
        if not mine:
            continue
        found = {(one["what"], one["where"]) for run in mine for one in run["findings"]}
        engines = sorted({run["engine"] for run in mine})
        cases = sum(run["cases"] for run in mine)
        rows.append(
            [
                about,
                ", ".join(engines),
                f"{cases:,}",
                f"{cases / max(sum(run['cpu'] for run in mine), 1e-9):,.0f}",
                f"{sum(run['taken'] for run in mine):,}",
                str(len(found)),
            ]
        )
    return "\n".join(lines + table(["surface", "engines", "inputs", "per CPU second", "accepted", "findings"], rows))


def soak_section(measured: dict[str, Any]) -> str:
    looks: list[dict[str, Any]] = measured["looks"]
    width, height = measured["size"]
    every = measured["detect_every"]
    lines = [
        f"`python benchmarks/soak.py --json docs/results/soak.json`, whose header describes what is drawn: {looks[-1]['frames']:,} "
        f"frames of {width}×{height} pixels, faces detected on every {every}th and propagated between, {measured['cpu'] / 60:.0f} minutes of "
        f"CPU in {measured['wall'] / 60:.0f} minutes; {measured['date']}.",
        "",
    ]
    shown = [looks[i] for i in sorted({0, *range(9, len(looks), 10), len(looks) - 1})]
    rows = [
        [
            f"{one['frames']:,}",
            f"{one['faces']:,}",
            f"{one['resident_mb']:.1f}",
            f"{one['regions_mb']['heap']:.1f}",
            f"{one['regions_mb']['mapped']:.1f}",
            str(one["threads"]),
            str(one["descriptors"]),
            str(one["live"]),
            f"{one['state_bytes'] / 1000:.1f}",
            str(one["ended"]),
        ]
        for one in shown
    ]
    header = [
        "frames",
        "faces",
        "resident MB",
        "of it heap",
        "other mappings",
        "threads",
        "descriptors",
        "tracks alive",
        "state of these, kB",
        "tracks ended",
    ]
    last = looks[-1]
    lines += table(header, rows)
    lines.append(
        f"The summary of an ended track is kept for the report: {last['ended_bytes'] / last['ended'] / 1000:.1f} "
        "kB of JSON each. "
        + ("Nothing else grows." if not measured["wrong"] else "Found: " + "; ".join(measured["wrong"]) + ".")
    )
    traced = measured["traced"]
    most = traced["most"][0]
    lines += [
        "",
        f"What Python itself keeps, by `tracemalloc` over {traced['frames']:,} frames of another run: nothing grows by more than "
        f"{most['bytes_per_thousand']:,.0f} bytes in a thousand frames (`{most['where']}`: the summaries).",
    ]
    return "\n".join(lines)
