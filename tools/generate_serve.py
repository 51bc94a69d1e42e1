"""The tables of docs/serve.md: the limits from the code, attacks and load from what the benchmarks wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
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
        f"`python benchmarks/serve_attacks.py --pictures {measured['pictures']} --json docs/results/serve_attacks.json` (`make "
        f"serve-attacks`; {measured['date']}, load {measured['load']:.0f} at the start) makes each of these on a real "
        "process; after each one the service has to answer a photo as before. Memory: "
        f"{measured['before_mb']:.0f} MB before, {measured['most_mb']:.0f} MB at most, {measured['after_mb']:.0f} MB after "
        "all of them: a photo of 25 megapixels takes a few hundred megabytes in each worker while its faces are detected, "
        "and ONNX Runtime may keep them for the next one. Pictures that are slow to decode are sent two at a time; ordinary "
        "photos are answered meanwhile.",
        "",
    ]
    lines += table(["attack", "answer"], [[row["attack"], row["answer"]] for row in measured["rows"]])
    return "\n".join(lines).strip()


def load_section(measured: dict[str, Any]) -> str:
    about, memory = measured["machine"], measured["memory"]
    lines = [
        "`python benchmarks/serve_load.py --json docs/results/serve.json` (`make serve-load`), whose header describes what is measured and how. "
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
    header = ["clients", "requests per second", "p50, ms", "p99, ms", "photos classified together", "failed"]
    lines += table(header, rows)
    shown = [memory[i] for i in sorted({0, 1, len(memory) // 4, len(memory) // 2, len(memory) - 1})]
    lines += ["Resident memory over many requests, 8 clients:", ""]
    lines += table(
        ["requests", *(f"{one['requests']:,}" for one in shown)], [["MB", *(f"{one['mb']:.0f}" for one in shown)]]
    )
    return "\n".join(lines).strip()


CLIENT_GROUPS = ((1, 2), (3, 5), (6, 8))
"""Numbers of photo clients that one figure pools."""


def mix_section(measured: dict[str, Any]) -> str:
    """Photos, cameras and videos at once: a row per number of cameras and videos, for few and many photo clients."""
    about, rows = measured["machine"], measured["rows"]
    photos = [row["photo"] for row in rows]
    lines = [
        f"`python benchmarks/serve_mix.py --seconds {about['seconds']:g} --json docs/results/serve_mix.json` (`make serve-mix`), whose header describes what is measured and how: "
        f"all {len(rows)} mixes of 0–4 cameras, 1–8 photo clients and 0–2 videos, {about['seconds']:g} s each. "
        f"{about['processor']}, {about['cpus']} cores, Python {about['python']}; {about['date']}, load {about['load']:.1f} at the "
        f"start. {_busy(about)}"
        f"Of {sum(len(one['waits_ms']) for one in photos):,} photos {sum(one['failed'] for one in photos)} failed. Each figure "
        "pools the mixes with that number of photo clients: median / 95th percentile of waits in ms, and all cameras and videos together "
        "in frames per second.",
        "",
    ]
    groups = [f"{low}–{high}" for low, high in CLIENT_GROUPS]
    header = ["cameras", "videos", *(f"photos, ms, {group} clients" for group in groups), "photos per second"]
    header += ["camera frames, ms", "camera frames per second", "video frames per second"]
    table_rows = []
    for cameras, videos in sorted({(row["cameras"], row["videos"]) for row in rows}):
        of_mix = [row for row in rows if (row["cameras"], row["videos"]) == (cameras, videos)]
        frames = [row["camera"] for row in of_mix if cameras]
        table_rows.append(
            [
                str(cameras),
                str(videos),
                *(
                    _waits(row["photo"] for row in of_mix if low <= row["clients"] <= high)
                    for low, high in CLIENT_GROUPS
                ),
                _mean(row["photo"]["per_second"] for row in of_mix),
                _waits(frames),
                _mean(one["per_second"] for one in frames),
                _mean(sum(row["video_frames_per_second"]) for row in of_mix if videos),
            ]
        )
    lines += table(header, table_rows)
    return "\n".join(lines).strip()


def _busy(about: dict[str, Any]) -> str:
    """What other work on the machine did to the figures."""
    if about["load"] <= about["cpus"]:
        return ""
    return (
        "The machine was shared with other work, so every figure is several times worse than on an idle machine; they only show "
        "how the kinds of work compare. "
    )


def _waits(parts: Iterable[dict[str, Any]]) -> str:
    waits = [wait for one in parts for wait in one["waits_ms"]]
    if not waits:
        return ""
    median, high = np.percentile(waits, (50, 95))
    return f"{median:,.0f} / {high:,.0f}"


def _mean(figures: Iterable[float]) -> str:
    known = list(figures)
    return f"{np.mean(known):.1f}" if known else ""


def serve_parts() -> dict[str, str]:
    """The page's tables by their marks."""
    attacks, load, mix = (
        json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("serve_attacks", "serve", "serve_mix")
    )
    sections = {"limits": limits_section(), "attacks": attacks_section(attacks), "load": load_section(load)}
    return sections | {"mix": mix_section(mix)}
