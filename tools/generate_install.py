"""The tables of docs/install.md; tools/generate.py writes them there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markdown_tables import table

from mien.models.devices import DEVICES

RESULTS = Path(__file__).parents[1] / "docs" / "results"


def install_parts() -> dict[str, str]:
    """Name of the part → its text."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((RESULTS / "machines").glob("*.json"))]
    return {"devices": devices_table(), "machines": machines_table(rows)}


def devices_table() -> str:
    """Every device, and what it needs."""
    rows = [[f"`{name}`", info.needs, info.summary, info.unit or "–"] for name, info in DEVICES.items()]
    return "\n".join(table(("device", "needs", "runs on", "after a colon"), rows)).strip()


def machines_table(rows: list[dict[str, Any]]) -> str:
    """One row per file of ``mien doctor --benchmark``."""
    measured = list(dict.fromkeys(name for row in rows for name in row["ms"]))
    lines = [
        [
            f"{row['machine']['processor']}, {row['machine']['available_cpus']} CPUs, {row['machine']['system']}",
            f"{row['device']}, {row['threads']}",
            "–" if row["load"] is None else f"{row['load']:g}",
            *(f"{row['ms'][name]['median']:g} ({row['ms'][name]['least']:g})" for name in measured),
        ]
        for row in rows
    ]
    head = ("machine", "device, threads", "load before", *(f"{name}, ms" for name in measured))
    return (
        "\n".join(table(head, lines)).strip()
        + "\n\nMedians, and the least in brackets; where others use the processor, the least is nearer to the machine's own."
    )
