"""The section of docs/benchmarks.md on the way from a file to its faces, at stages of the history."""

from __future__ import annotations

from typing import Any

NOT_KEPT = (
    "normalisation inside the graphs of the emotion and age networks: preparing their input takes almost no time",
    "building the sessions on several threads: not faster",
    "8-bit networks by default: see below",
)


def whole_path_section(measured: dict[str, Any]) -> list[str]:
    about, changes, cases = measured["machine"], measured["changes"], measured["cases"]
    packages = ", ".join(f"{name} {number}" for name, number in about["packages"].items())
    lines = [
        "## From a file to its faces: how speed changed",
        "",
        f"`python benchmarks/whole_path.py --json docs/results/whole_path.json`: {len(changes)} commits, measured "
        f"alternately, medians of {measured['rounds']} rounds; in brackets the time relative to the first one. "
        "Milliseconds of processor time with one thread, or of wall clock with all processors. "
        f"{about['processor']}, {about['cpus']} cores, Python {about['python']}, {packages}; {about['date']}, load "
        f"{about['load']:.1f} at the start.",
        "",
        *(f"- *{name}*: {what}" for name, what in cases.items()),
        "",
    ]
    for group in (
        [name for name in cases if "processors" not in name],
        [name for name in cases if "processors" in name],
    ):
        header = ["commit", "change", *(name.removesuffix(", all processors") for name in group)]
        if "processors" in group[0]:
            lines += ["With all processors, wall clock:", ""]
        lines += [table_row(*header), "|" + "---|" * len(header)]
        for row in changes:
            cells = [f"{row['ms'][name]:.1f} ({row['of_first'][name]:.2f})" for name in group]
            lines.append(table_row(f"`{row['commit']}`", row["change"], *cells))
        lines.append("")
    before, after = measured["parts"]["before"], measured["parts"]["after"]
    header = ["part", *(f"{case}: before → after" for case in before)]
    lines += [
        "Where the processor time is spent, before and after, milliseconds, one thread:",
        "",
        table_row(*header),
        "|" + "---|" * len(header),
    ]
    names = sorted(before["portrait"], key=lambda name: -before["crowd"][name])
    for name in names:
        cells = [f"{before[case][name]:.2f} → {after[case][name]:.2f}" for case in before]
        lines.append(table_row(name, *cells))
    whole = [f"{sum(before[case].values()):.1f} → {sum(after[case].values()):.1f}" for case in before]
    lines += [table_row("**whole**", *whole), ""]
    lines += ["Tried and dropped:", "", *(f"- {one}" for one in NOT_KEPT), ""]
    return lines


def table_row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
