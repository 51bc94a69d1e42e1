"""The part of docs/benchmarks.md that follows from docs/results/peers.json; tools/generate.py writes it there."""

from __future__ import annotations

from typing import Any

from markdown_tables import table

PHOTOS = ("astronaut", "hopper", "crowd")
COLUMNS = ("portrait", "× Mien", "another", "× Mien", "crowd", "× Mien")
AIM_SPEED, AIM_SIZE = 10, 50
FIRST = "a photo, once loaded, one thread"


def times(one: dict[str, float]) -> str:
    """A ratio with its quartiles."""
    return f"**{one['median']:.2f}** ({one['quarter']:.2f}–{one['three_quarters']:.2f})"


def ms(one: dict[str, float]) -> str:
    """Median and least."""
    return f"{one['median']:,.1f} ({one['least']:,.1f})"


def install_rows(measured: dict[str, Any]) -> list[list[str]]:
    own = measured["environments"]["mien"]["mb"]
    rows = []
    for one in measured["environments"].values():
        versions = ", ".join(f"{name} {number}" for name, number in one["versions"].items())
        cuda = f"{one['cuda_mb']:,.0f}" if one["cuda_mb"] else "–"
        works = "–" if "readme" not in one else "works" if not one["readme_error"] else f"fails: {one['readme_error']}"
        rows.append(
            [one["title"], versions, f"{one['mb']:,.0f}", cuda, f"{one['mb'] / own:.1f}", str(one["packages"]), works]
        )
    return rows


def peers_section(measured: dict[str, Any]) -> str:
    """How Mien does beside other packages, as Markdown.

    Args:
        measured: what `benchmarks/peers.py --json` wrote.
    """
    about, peers = measured["machine"], measured["peers"]
    able = {name: one for name, one in peers.items() if "cold" in one}
    others = {name: one for name, one in able.items() if one["environment"] != "mien"}
    loads = [max(pair) for step, pair in measured.get("load", {}).items() if step in ("cold", "warm", "batch")]
    lines = [
        "## Compared with other packages",
        "",
        f"`python benchmarks/peers.py{pairs_taken(able)} --json docs/results/peers.json`, whose header describes what is measured "
        "and how: every package in its own environment, all on the same files on one day, in pairs with Mien, with "
        f"their default options. {about['processor']}, {about['cpus']} cores, {about['platform']}, Python "
        f"{about['python']}, Node {about['node']}; {about['date']}. {surroundings(max(loads, default=0.0), about['cpus'])} Ratios are medians over pairs of consecutive runs, with their quartiles in brackets; times are medians, with the "
        "minimum in brackets. A ratio of 10 means that the package takes ten times as long as Mien.",
        "",
        *verdict(measured, others),
        "### Installation",
        "",
        "Megabytes that pip or npm add to an empty environment. The packages that need torch get the build for CUDA, "
        "because that is the one on the index for Linux.",
        "",
        *table(
            ["package", "versions", "MB", "of which CUDA", "× Mien", "packages", "import as in its README"],
            install_rows(measured),
        ),
    ]
    for one in measured["environments"].values():
        if one["beside"]:
            lines.append(f"- {one['title']} also got {one['beside']}.")
    lines.append("")
    sections = (
        (start_lines, "cold", [one for one in able.values() if "cold" in one]),
        (one_thread_lines, "warm", [one for one in able.values() if "one" in one.get("warm", {})]),
        (all_threads_lines, "warm", [one for one in able.values() if "all" in one.get("warm", {})]),
        (batch_lines, "batch", [one for one in able.values() if "batch" in one]),
    )
    for write, step, rows in sections:
        lines += write(rows) if rows else missing(step)
    lines += ["How accurate the weights of each package are: [scoreboard](scoreboard.md).", ""]
    unable = {name: one for name, one in peers.items() if "cannot" in one}
    if unable:
        lines += ["### What could not be run", ""]
        lines += [
            "These packages do not contain their weights: they download them from GitHub or Hugging Face on first use, and neither "
            "could be reached from the machine. Their size is above, the time of their import here.",
            "",
        ]
        for one in unable.values():
            took = f"; import {one['import']['cpu_ms']['median']:,.0f} ms of processor time" if "import" in one else ""
            lines.append(f"- {one['title']}: `{one['cannot']}`{took}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def surroundings(load: float, cpus: int) -> str:
    """What else the machine did, by the highest load that was seen between the measurements."""
    if load <= cpus + 1:
        return f"Nothing else ran on the machine (load at most {load:.1f} on {cpus} cores, its own included)."
    return (
        f"Other work ran on the machine meanwhile (load up to {load:.1f} on {cpus} cores), which lengthens wall times, and those "
        "of long runs more than those of short ones. So processor time is given too: on one processor with one thread it "
        "equals the wall time of an idle machine."
    )


def pairs_taken(able: dict[str, Any]) -> str:
    """The options that say how many pairs, as they were."""
    first = next(iter(able.values()))
    counts = {"--starts": first["cold"]["s"]["n"]}
    if "warm" in first:
        counts["--rounds"] = next(iter(first["warm"].values()))["astronaut"]["ms"]["n"]
    if "batch" in first:
        counts["--batches"] = first["batch"]["s"]["n"]
    return "".join(f" {option} {count}" for option, count in counts.items())


def missing(step: str) -> list[str]:
    return [f"Not measured: `python benchmarks/peers.py … --steps {step}`.", ""]


def start_lines(peers: list[dict[str, Any]]) -> list[str]:
    rows = []
    for one in peers:
        seen = one["cold"]
        rows.append(
            [
                one["title"],
                f"{one['import']['cpu_ms']['median']:,.0f}",
                f"{seen['cpu_s']['median']:.2f} ({seen['cpu_s']['least']:.2f})",
                times(seen["cpu_ratio"]),
                f"{seen['s']['median']:.2f} ({seen['s']['least']:.2f})",
                times(seen["ratio"]),
                f"{seen['peak_mb']:,.0f}",
            ]
        )
    header = ["", "import: processor ms", "cold: processor s", "× Mien", "cold: wall s", "× Mien", "peak MB"]
    return [
        "### Start",
        "",
        f"A whole process that analyses one 512×512 photo, all processors; {peers[0]['cold']['s']['n']} pairs.",
        "",
        *table(header, rows),
    ]


def one_thread_lines(peers: list[dict[str, Any]]) -> list[str]:
    rows = []
    for one in peers:
        seen = one["warm"]["one"]
        crowd = seen["crowd"]
        faces = " + ".join(str(seen[name]["faces"]) for name in PHOTOS)
        each = f"{crowd['cpu_ms']['median'] / crowd['faces']:.1f}" if crowd["faces"] else "–"
        cells = [text for name in PHOTOS for text in (ms(seen[name]["cpu_ms"]), times(seen[name]["cpu_ratio"]))]
        rows.append([one["title"], *cells, each, faces, f"{seen['peak_mb']:,.0f}"])
    return [
        "### Time per photo, once loaded",
        "",
        "From the path of a JPEG to the faces: the portrait (512×512, one face), another (512×600), and a crowd (800×800, 16 faces), "
        "with its time per face. *Faces* is the number found in the three photos. One processor, one thread, milliseconds of processor "
        f"time; {peers[0]['warm']['one']['astronaut']['ms']['n']} pairs per photo:",
        "",
        *table(["", *COLUMNS, "per face", "faces", "peak MB"], rows),
    ]


def all_threads_lines(peers: list[dict[str, Any]]) -> list[str]:
    rows = []
    for one in peers:
        seen = one["warm"]["all"]
        cells = [text for name in PHOTOS for text in (ms(seen[name]["ms"]), times(seen[name]["ratio"]))]
        rows.append([one["title"], *cells, times(seen["astronaut"]["cpu_ratio"]), f"{seen['peak_mb']:,.0f}"])
    return [
        "All processors, milliseconds of wall time, and the ratio of processor times for the portrait:",
        "",
        *table(["", *COLUMNS, "processor × Mien", "peak MB"], rows),
        "Where a package takes many times the processor time that it takes with one thread, its threads wait for one another; the "
        "table for one thread is free of that.",
        "",
    ]


def batch_lines(peers: list[dict[str, Any]]) -> list[str]:
    rows = []
    for one in peers:
        seen = one["batch"]
        rates = [f"{seen['faces'] / seen[unit]['median']:.1f}" for unit in ("s", "cpu_s")]
        rows.append([one["title"], rates[0], times(seen["ratio"]), rates[1], times(seen["cpu_ratio"])])
    return [
        "### Several photos at once",
        "",
        f"{peers[0]['batch']['photos']} portraits, passed together where a package accepts several; all processors.",
        "",
        *table(["", "faces per second", "× Mien's wall time", "faces per processor second", "× Mien's"], rows),
    ]


def verdict(measured: dict[str, Any], others: dict[str, Any]) -> list[str]:
    """The aims beside what came out."""
    one_thread, every = (
        {name: one["warm"][mode] for name, one in others.items() if mode in one.get("warm", {})}
        for mode in ("one", "all")
    )
    environments = measured["environments"]
    size = environments["fer"]["mb"] / environments["mien"]["mb"]
    lighter = [one["title"] for one in environments.values() if one["mb"] < environments["mien"]["mb"]]
    rows: list[list[str]] = []

    def fastest(what: str, ratios: dict[str, float], aim: int = 0) -> None:
        if ratios:
            name = min(ratios, key=ratios.__getitem__)
            reached = f"{aim} times: {met(ratios[name] >= aim)}" if aim else ""
            rows.append([what, f"{others[name]['title']}: {ratios[name]:.1f} times as long", reached])

    fastest(FIRST, {name: one["astronaut"]["cpu_ratio"]["median"] for name, one in one_thread.items()}, AIM_SPEED)
    fastest(
        "the same, all processors, wall time",
        {name: one["astronaut"]["ratio"]["median"] for name, one in every.items()},
        AIM_SPEED,
    )
    fastest(
        "a crowd of 16, one thread", {name: one["crowd"]["cpu_ratio"]["median"] for name, one in one_thread.items()}
    )
    fastest("cold start, processor time", {name: one["cold"]["cpu_ratio"]["median"] for name, one in others.items()})
    rows += [
        ["installation: fer", f"{size:.1f} times as large", f"{AIM_SIZE} times: {met(size >= AIM_SIZE)}"],
        ["smaller than Mien", ", ".join(lighter) or "none", ""],
    ]
    return table(["the fastest other package", "compared with Mien", "aim"], rows)


def met(reached: bool) -> str:
    return "reached" if reached else "missed"
