"""``mien doctor``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mien.cli.options import TABLE, OutputCommand, device_option, threads_option
from mien.cli.output import table_console
from mien.files import STDOUT

EPILOG = """\b
Examples:
  mien doctor
  mien doctor --device cuda
  mien doctor --json | jq .devices
  mien doctor --benchmark row.json

\b
The row of --benchmark holds processor, versions and milliseconds, and no name of
the machine or its user.

\b
Exit codes: 0 all is well; 1 a shipped file is damaged, or the requested device
does not load.
"""


@click.command("doctor", cls=OutputCommand, epilog=EPILOG)
@device_option
@threads_option()
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.option(
    "--benchmark",
    "row",
    type=TABLE,
    help="Only measure the speed, and write the result as one JSON object to this file; '-' is stdout.",
)
def command(device: str, threads: int | None, as_json: bool, row: Path | None) -> None:
    """Check this installation: versions, the devices that load, the shipped files, and the speed of this machine."""
    from mien.files import write_text
    from mien.pipeline import diagnosis

    if as_json and row is not None:
        raise click.UsageError("--json and --benchmark exclude each other")
    if row is not None:
        text = json.dumps(diagnosis.benchmark(device, threads), indent=2)
        if row == STDOUT:
            click.echo(text)
        else:
            write_text(row, text + "\n")
        return
    found = diagnosis.report(device, threads)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _print(found)
    if found["device"] != device or any(each["reason"] is not None for each in found["files"]):
        raise click.exceptions.Exit(1)


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table

    machine = found["machine"]
    installation = {
        "mien": f"{machine['mien']}, Python {machine['python']} ({found['executable']})",
        "system": f"{machine['system']}, {machine['architecture']}",
        "processor": f"{machine['processor']}, {machine['available_cpus']} of {machine['cpus']} CPUs available",
        "memory": "unknown" if machine["memory_gib"] is None else f"{machine['memory_gib']} GiB",
        "packages": ", ".join(f"{name} {version}" for name, version in machine["packages"].items()),
        "extras": ", ".join(name for name, missing in found["extras"].items() if not missing) or "none",
    }
    speed = [(name, f"{each['median']:.1f} ms", f"least {each['least']:.1f} ms") for name, each in found["ms"].items()]
    parts: dict[str, Sequence[tuple[str, ...]]] = {
        "installation": list(installation.items()),
        "devices": [(each["name"], each["reason"] or "loads", each["needs"]) for each in found["devices"]],
        "shipped files": [(each["name"], each["reason"] or "verified, loads") for each in found["files"]],
        "detectors": [(name, problem or "loads") for name, problem in found["detectors"].items()],
        f"speed on {found['device']}, threads: {found['threads']}": speed,
    }
    console = table_console(120, highlight=False, markup=False)
    for title, rows in parts.items():
        table = Table(title=title, title_justify="left", show_header=False)
        for row in rows:
            table.add_row(*row)
        console.print(table)
