"""``mien reproduce``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from mien.cli.error_output import INTERRUPTED, error_output
from mien.cli.options import OUTPUT_FOLDER, PATH, OutputCommand, threads_option
from mien.cli.output import table_console
from mien.errors import MienError
from mien.file_lock import lock_folder
from mien.files import make_folder, output_errors
from mien.signals import INTERRUPTED_EXIT

PUBLISHED_RESULTS = Path("docs", "results", "reproduction")
"""Results of the repository, which the page of the documentation is written from."""

LOG, BACKGROUND = "reproduce.log", "--background"

EPILOG = """\b
Examples:
  mien reproduce --list
  mien reproduce --data fer2013.parquet --age-data fairface.parquet --out runs/reproduce
  mien reproduce attention-parallel --data fer2013.parquet --threads 1
  mien reproduce --data fer2013.parquet --limit-hours 8
  mien reproduce --data fer2013.parquet --utkface-data ranges.parquet --background
"""


@click.command("reproduce", cls=OutputCommand, epilog=EPILOG)
@click.argument("rows", nargs=-1, metavar="[ROW]...")
@click.option("--data", type=PATH, help="FER2013 with FER+ votes, written by `mien data prepare`.")
@click.option("--age-data", type=PATH, help="FairFace, written by `mien data prepare --crop age`.")
@click.option("--clean-data", type=PATH, help="FER2013 without ambiguous images, written by `mien data clean`.")
@click.option("--rafdb-data", type=PATH, help="RAF-DB, written by `mien data prepare`.")
@click.option("--utkface-data", type=PATH, help="UTKFace and facial-age, written by `mien data prepare`.")
@click.option(
    "--out", default="runs/reproduce", show_default=True, type=OUTPUT_FOLDER, help="Folder of the run folders."
)
@click.option(
    "--results",
    type=OUTPUT_FOLDER,
    help="Folder of the result files.",
    show_default="results in --out; those of docs for --list",
)
@click.option("--list", "list_", is_flag=True, help="List the rows and their scores.")
@threads_option(default="those of torch")
@click.option(
    "--limit-hours", type=click.FloatRange(0, min_open=True), help="Stop after the epoch that runs at this time."
)
@click.option(
    "--background",
    is_flag=True,
    help="Return at once and print the path of the log of the process that trains; the same call again continues after "
    "a stop.",
)
@click.option("--progress/--no-progress", default=False, show_default=True, help="Show a progress bar on stderr.")
def command(
    rows: tuple[str, ...],
    data: Path | None,
    age_data: Path | None,
    clean_data: Path | None,
    rafdb_data: Path | None,
    utkface_data: Path | None,
    out: Path,
    results: Path | None,
    list_: bool,
    threads: int | None,
    limit_hours: float | None,
    background: bool,
    progress: bool,
) -> None:
    """Train published networks as their authors did, and as Mien does, and write their scores.

    Each ROW (all of them by default) is one published result, or the same network with Mien's training. Rows without a
    result are run, cheapest first. After a kill at any moment, the same call continues the interrupted run; meanwhile a
    second call with the same --out is refused. The page docs/reproduction.md is written from the result files in
    docs/results/reproduction.
    """
    from mien.extras import MACHINES, NETWORKS, require_extra

    if list_:
        _list(rows, results or PUBLISHED_RESULTS)
        return
    results = results or out / "results"
    files = {"fer2013": data, "fairface": age_data, "clean": clean_data, "rafdb": rafdb_data, "utkface": utkface_data}
    given = {kind: path for kind, path in files.items() if path is not None}
    if not given:
        raise click.UsageError("Nothing to train on: give --data FILE, --age-data FILE, or both.")
    require_extra("train", "mien reproduce", *NETWORKS, *MACHINES)
    if background:
        click.echo(_continue_in_background(out))
        return
    from mien.published.reproduction.published_results import OPTIONS, select_rows
    from mien.published.reproduction.run_queue import RESUME, run_queue

    make_folder(out)
    try:
        with lock_folder(out):
            whole = run_queue(
                select_rows(rows),
                {kind: given[kind] for kind in OPTIONS if kind in given},
                out,
                results,
                threads=threads,
                hours=limit_hours,
                progress=progress,
                report=lambda line: click.echo(line, err=True),
            )
    except KeyboardInterrupt:
        error_output().print(MienError("interrupted", path=out, advice=RESUME, code=INTERRUPTED))
        raise click.exceptions.Exit(INTERRUPTED_EXIT) from None
    click.echo(results)
    if not whole:
        raise click.exceptions.Exit(1)


def _continue_in_background(out: Path) -> Path:
    """Start this call again in a process of its own, without the option; returns its log."""
    make_folder(out)
    with lock_folder(out):  # refused here, not in the log, where a queue runs already
        pass
    log = out / LOG
    line = [sys.executable, "-m", "mien", *(word for word in sys.argv[1:] if word != BACKGROUND)]
    with output_errors(log), log.open("ab") as stream:
        subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True)
    return log


def _list(names: tuple[str, ...], results: Path) -> None:
    from rich.table import Table

    from mien.published.reproduction.published_results import SOURCES, select_rows
    from mien.published.reproduction.report_page import our_figures, published_figures
    from mien.published.reproduction.results import read_result

    console = table_console(160)
    table = Table(box=None)
    for column in ("row", "protocol", "published", "ours", "source"):
        table.add_column(column, overflow="fold")
    for row in select_rows(names):
        table.add_row(
            row.name,
            row.protocol,
            published_figures(row),
            our_figures(row, read_result(results, row.name)),
            SOURCES[row.source],
        )
    console.print(table)
