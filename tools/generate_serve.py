"""The tables of docs/serve.md: the limits from the code, attacks and load from what the benchmarks wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markdown_tables import table

from mien.server.limits import ENVIRONMENT_PREFIX, describe_limits

DOCS = Path(__file__).parents[1] / "docs"


def limits_section() -> str:
    rows = [
        [f"`--max-{one.name.replace('_', '-')}`", f"`{ENVIRONMENT_PREFIX}{one.name.upper()}`", f"{one.default:,g}" if not one.whole else f"{one.default:,}", one.unit, one.text]
        for one in describe_limits()
    ]  # fmt: skip
    return "\n".join(table(["option", "variable", "default", "unit", "bounds"], rows)).strip()


def attacks_section(measured: dict[str, Any]) -> str:
    lines = [
        "`python benchmarks/serve_attacks.py --json docs/results/serve_attacks.json` makes each of these on a real "
        "process; after each, the service has to answer a photo as before. Memory: "
        f"{measured['before_mb']:.0f} MB before, {measured['most_mb']:.0f} MB at most, {measured['after_mb']:.0f} MB after "
        "all of them: a photo of 25 megapixels takes some hundred megabytes while its faces are detected, in each worker, "
        "and ONNX Runtime may keep them for the next one.",
        "",
    ]
    lines += table(["attack", "answer"], [[row["attack"], row["answer"]] for row in measured["rows"]])
    return "\n".join(lines).strip()


def load_section(measured: dict[str, Any]) -> str:
    about, memory = measured["machine"], measured["memory"]
    lines = [
        "`python benchmarks/serve_load.py --json docs/results/serve.json`, whose header says what is measured and how. "
        f"{about['processor']}, {about['cpus']} cores, which the clients share, Python {about['python']}; {about['date']}, "
        f"load {about['load']:.1f} at the start. Photos of 640×480 with one face:",
        "",
    ]
    rows = [
        [
            str(row["clients"]),
            f"{row['per_second']:.1f}",
            f"{row['p50_ms']:.0f}",
            f"{row['p99_ms']:.0f}",
            f"{row['photos_a_batch']:.1f}",
            str(row["failed"]),
        ]
        for row in measured["load"]
    ]
    header = ["clients", "requests a second", "p50, ms", "p99, ms", "photos classified together", "failed"]
    lines += table(header, rows)
    shown = [memory[i] for i in sorted({0, 1, len(memory) // 4, len(memory) // 2, len(memory) - 1})]
    lines += ["Resident memory over many requests, 8 clients:", ""]
    lines += table(
        ["requests", *(f"{one['requests']:,}" for one in shown)], [["MB", *(f"{one['mb']:.0f}" for one in shown)]]
    )
    return "\n".join(lines).strip()


def serve_parts() -> dict[str, str]:
    """The page's tables by their marks."""
    attacks, load = (
        json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("serve_attacks", "serve")
    )
    return {"limits": limits_section(), "attacks": attacks_section(attacks), "load": load_section(load)}
