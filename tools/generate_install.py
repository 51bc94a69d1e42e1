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
    parts = {"devices": devices_table(), "machines": machines_table(rows)}
    for name, file, make in (("ways", "install_ways", ways_table), ("restricted", "restricted", restricted_table)):
        parts[name] = make(json.loads((RESULTS / f"{file}.json").read_text(encoding="utf-8")))
    return parts


def ways_table(ways: dict[str, Any]) -> str:
    """What `tools/install_ways.py` found."""
    rows = []
    for way in ways.values():
        versions = ", ".join(f"{name} {version}" for name, version in way.get("versions", {}).items() if name != "mien")
        found = "; ".join(f"{name}: {text}" for name, text in way.get("found", {}).items())
        rows.append(
            [f"`{way['command']}`", str(way.get("mb", "–")), versions or "–", found or f"fails: {way['failed']}"]
        )
    return "\n".join(table(("command", "MB", "versions", "result on the portrait"), rows)).strip()


def restricted_table(results: dict[str, Any]) -> str:
    """What `tools/restricted.py` found, on the installation and in the files of the image."""
    rows = [
        [name, *(_outcome(each) for each in (row, results["image"].get(name)))]
        for name, row in results["installation"].items()
    ]
    return "\n".join(table(("restriction", "installation", "image"), rows)).strip()


def _outcome(row: dict[str, Any] | None) -> str:
    if row is None or "not_tried" in row:
        return "not tried" + (f": {row['not_tried']}" if row else "")
    demo = "`mien demo` works" if row["demo"] == "happy" else f"`mien demo`: {row['demo']}"
    if "photos" not in row:
        return demo
    if row["photos"]:
        return f"{demo}; `mien serve`: {row['photos']} of 4 photos, exit code {row['exit']} after SIGTERM"
    return f"{demo}; `mien serve` refuses: {row['lines'][-1].removeprefix('mien: ')}"


def devices_table() -> str:
    """Every device, and what it needs."""
    rows = [[f"`{name}`", info.needs, info.summary, info.unit or "–"] for name, info in DEVICES.items()]
    return "\n".join(table(("device", "needs", "runs on", "unit, after a colon"), rows)).strip()


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
        + "\n\nMedians, with the minimum in brackets; where other programs use the processor, the minimum is closer to the speed of the machine."
    )
