"""The tables of docs/page.md: sizes and speeds in a browser, from what benchmarks/browser.py wrote."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markdown_tables import table

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = {"portrait.png": "portrait, 512×512", "two.png": "two faces, 949×512", "twelve.png": "twelve faces, 840×600"}


def megabytes(count: float) -> str:
    return f"{count / 1e6:.1f} MB"


def about(measured: Mapping[str, Any]) -> str:
    """On what, when, and how busy the machine was."""
    machine = measured["machine"]
    return (
        f"{machine['processor']}, {machine['cpus']} cores; {machine['date']}, load {machine['load']:.1f} at the start"
    )


def speed_section(measured: Mapping[str, Any]) -> str:
    """Each figure that was measured beside what it should be."""
    rows = []
    for part, rows_of in ROWS.items():
        if part in measured:
            rows += rows_of(measured[part])
    machines = {about(measured[part]): None for part in ROWS if part in measured and part != "sizes"}
    where = f" Chromium {measured['first']['chromium']}, " if "first" in measured else " "
    lines = [
        "`python benchmarks/browser.py --json docs/results/browser.json`, whose header describes what is measured and how."
        + (f"{where}{'; '.join(machines)}." if machines else ""),
        "",
        *table(["", "measured", "target"], rows),
    ]
    return "\n".join(lines).strip()


def size_rows(sizes: Mapping[str, Any]) -> Iterator[list[str]]:
    groups = ", ".join(f"{name} {megabytes(size)}" for name, size in sizes["bytes"].items())
    yield [f"the folder: {groups}", megabytes(sizes["folder_bytes"]), "≤ 12 MB"]
    yield ["the single file", megabytes(sizes["single_file_bytes"]), ""]


def first_rows(first: Mapping[str, Any]) -> Iterator[list[str]]:
    yield ["transfer of the first visit", megabytes(max(first["sent_bytes"])), "≤ 12 MB"]
    name = f"first answer from an empty cache, over loopback (median of {len(first['seconds'])} visits)"
    yield [name, f"{statistics.median(first['seconds']):.1f} s", "≤ 2 s"]


def portrait_rows(portrait: Mapping[str, Any]) -> Iterator[list[str]]:
    for row in portrait["rows"]:
        target = "≤ 60 ms" if row["threads"] == 1 else ""
        yield [f"portrait, 512×512, {threads(row)}", f"{statistics.median(row['ms']):.0f} ms", target]


def camera_rows(camera: Mapping[str, Any]) -> Iterator[list[str]]:
    for row in camera["rows"]:
        target = "≥ 20 frames/s" if row["threads"] == 1 else ""
        name = f"camera, 640×480, one face, {threads(row)}"
        shown, most = f"{row['view_frames_per_second']:.0f} frames/s", f"{row['frames_per_second']:.0f} frames/s"
        yield [f"{name}: shown on the page, from a camera of 30 frames/s", shown, target]
        yield [f"{name}: at most", most, target]


def memory_rows(memory: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, key in (("memory of the page's process", "resident_mb"), ("its JavaScript heap", "heap_mb")):
        values = memory[key]
        # Chromium's own cache of video frames fills in the first seconds
        then, now = statistics.median(values[2:5]), statistics.median(values[-3:])
        title = f"{name}, camera view, {memory['frames']:,} frames in {memory['minutes'][-1]:.0f} minutes"
        yield [title, f"{then:.0f} → {now:.0f} MB (at most {max(values):.0f})", "flat"]


ROWS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[list[str]]]] = {
    "sizes": size_rows,
    "first": first_rows,
    "portrait": portrait_rows,
    "camera": camera_rows,
    "memory": memory_rows,
}
"""Part of the benchmark → the rows of its figures."""


def threads(row: Mapping[str, Any]) -> str:
    return "one thread" if row["threads"] == 1 else f"{row['threads']} threads"


def peers_section(measured: Mapping[str, Any]) -> str:
    """The page and the libraries on the same pictures."""
    peers = measured["peers"]
    rows = []
    for name in peers["loaded_bytes"]:
        of_library = {row["picture"]: row for row in peers["rows"] if row["library"] == name}
        title = f"`{name}` {peers['versions'][name]}" if name in peers["versions"] else "this page"
        cells = [title, megabytes(peers["loaded_bytes"][name])]
        for picture in PICTURES:
            row = of_library[picture]
            ratio = "" if name == "mien" else f" ({row['times_ours']:.1f} times as long)"
            cells.append(f"{statistics.median(row['ms']):.0f} ms{ratio}, {row['found']} found")
        rows.append(cells)
    lines = [
        "`python benchmarks/browser.py --part peers --peers out/peers/node_modules --json docs/results/browser.json`: the same "
        "pictures in the same browser, alternately, on one thread of the processor, each set to return only boxes, landmarks, expressions "
        f"and ages. Medians of {len(peers['rows'][0]['ms'])} rounds, ratios of each round; {about(peers)}.",
        "",
        *table(["", "download", *PICTURES.values()], rows),
    ]
    return "\n".join(lines).strip()


def equality_section(differences: Sequence[Mapping[str, Any]]) -> str:
    """How far the page and Python differ on each picture."""
    rows = [
        [row["name"], row["size"], str(row["faces"]), f"{row['box']:.2f}", f"{row['probability']:.4f}"]
        for row in differences
    ]
    lines = [
        "`MIEN_PAGE_DIFFERENCES=docs/results/browser_differences.json pytest tests/web/test_device_page.py -k 'same_faces or clip_has'`:",
        "",
        *table(["file", "pixels", "faces or tracks", "largest difference of boxes, pixels", "of probabilities"], rows),
    ]
    return "\n".join(lines).strip()


def page_parts() -> dict[str, str]:
    """The page's tables by their marks."""
    measured, differences = (
        json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("browser", "browser_differences")
    )
    return {
        "speed": speed_section(measured),
        "peers": peers_section(measured),
        "equality": equality_section(differences),
    }
