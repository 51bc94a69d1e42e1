"""The tables of docs/audit.md, from what `mien data audit` and `benchmarks/near_duplicates.py` wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from markdown_tables import table

from mien.text import percent

DOCS = Path(__file__).parents[1] / "docs"
SPLITS = ("train", "validation", "test", "total")


def audit_page() -> str:
    """The written page with its tables."""
    names = ("audit_fer2013", "audit_fer2013_labels", "audit_fairface", "near_duplicates")
    fer, own, fairface, near = (
        json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8")) for name in names
    )
    parts = {
        "fer2013": [
            "`mien data audit fer2013.parquet --model emotion --json-summary docs/results/audit_fer2013.json`",
            "",
            *checks(fer),
            "FER2013's labels and the raters of FER+:",
            "",
            *by_label(fer["checks"]["agreement"]),
        ],
        "labels": [
            "(the first: `mien data audit fer2013.parquet --checks labels --json-summary docs/results/audit_fer2013_labels.json`)",
            "",
            *label_models(own["checks"]["labels"], fer["checks"]["labels"]),
        ],
        "near": near_section(near),
        "fairface": [
            "The validation images as they are, not cropped again: `mien data audit fairface-validation.parquet --detector mien "
            "--json-summary docs/results/audit_fairface.json`",
            "",
            *checks(fairface),
        ],
        "cost": cost(fer, own, fairface),
    }
    page = (DOCS / "audit.md").read_text(encoding="utf-8")
    for mark, lines in parts.items():
        between = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
        text = "\n".join(lines).strip()
        page = between.sub(lambda m, text=text: f"{m[1]}{text}\n{m[2]}", page)
    return page


def checks(document: dict[str, Any]) -> list[str]:
    rows = []
    for one in document["checks"].values():
        if not one["ran"]:
            rows.append([one["title"], "", "", "", "", f"did not run: {one['reason']}"])
            continue
        counts = ["–"] * 4 if one["images"] is None else [f"{one['images'][split]:,}" for split in SPLITS]
        rows.append([one["title"], *counts, " ".join(one["summary"])])
    return table(["check", *SPLITS[:3], "all", ""], rows)


def by_label(agreement: dict[str, Any]) -> list[str]:
    confusion = agreement["confusion"]
    rows = [
        [label, *map(str, counts), percent(one["first_choice"]), percent(one["majority"]), f"{one['entropy_mean']:.2f}"]
        for (label, one), counts in zip(agreement["by_label"].items(), confusion["counts"], strict=True)
    ]
    return table(["label", *confusion["first_choice"], "first choice agrees", "majority agrees", "bits"], rows)


def label_models(*results: dict[str, Any]) -> list[str]:
    rows = []
    for one in results:
        raters = one["raters"]
        rows.append(
            [
                one["label_model"],
                f"{one['predicted']:,}",
                percent(one["accuracy"]),
                f"{one['suspected']:,}",
                percent(raters["disagree_with_suspected"]),
                percent(raters["disagree_with_others"]),
                percent(raters["prefer_the_suggestion"]),
            ]
        )
    header = ["model", "images", "agrees with labels", "suspected", "raters prefer another label", "… of the others"]
    return table([*header, "raters prefer the suggestion"], rows)


def near_section(near: dict[str, Any]) -> list[str]:
    kept = [row for row in near["found"]["rows"] if row["from"] >= near["similarity"]]
    pairs = sum(row["pairs"] for row in kept)
    alike = sum(row["pairs"] * row["correlate"] for row in kept) / pairs
    chance = near["found"]["chance"]
    variants = [[row["variant"], percent(row["found"]), str(row["others"])] for row in near["variants"]]
    found = [
        [
            f"{row['from']:.2f}–{row['to']:.2f}",
            f"{row['pairs']:,}",
            percent(row["correlate"]),
            percent(row["same_label"]),
            f"{row['vote_distance']:.2f}",
        ]
        for row in near["found"]["rows"]
    ]
    return [
        "`python benchmarks/near_duplicates.py --data fer2013.parquet --json docs/results/near_duplicates.json`, whose header "
        f"describes what is measured. Of {near['variants'][0]['pictures']:,} pictures that were altered:",
        "",
        *table(["change", "found", "other pictures found"], variants),
        "Pairs in the dataset itself, by similarity (the threshold is "
        f"{near['similarity']:g}; two random pictures: same label {percent(chance['same_label'])}, votes "
        f"{chance['vote_distance']:.2f} apart):",
        "",
        *table(["similarity", "pairs", "pixels correlate", "same label", "votes apart"], found),
        f"Above the threshold, {percent(alike)} of the {pairs:,} pairs correlate pixel by pixel once they are registered.",
    ]


def cost(fer: dict[str, Any], own: dict[str, Any], fairface: dict[str, Any]) -> list[str]:
    lines = [["FER2013, all checks, labels checked with the shipped model", fer]]
    lines += [
        ["FER2013, labels checked by cross-validation", own],
        ["FairFace validation, all checks", fairface],
    ]
    rows = []
    for name, one in lines:
        slowest = sorted(one["checks"].values(), key=lambda check: -check["cpu_seconds"])[:2]
        dear = ", ".join(
            f"{check['title']} {check['cpu_seconds']:.0f}" for check in slowest if check["cpu_seconds"] >= 1
        )
        rows.append([name, f"{one['images']['total']:,}", f"{one['cpu_seconds']:.0f}", dear, f"{one['peak_mb']:.0f}"])
    header = ["", "images", "processor seconds", "of them", "peak MB, with the dataset"]
    return [*table(header, rows), "Two cores, one thread; reading the file takes a few seconds more."]
