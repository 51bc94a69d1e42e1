"""``mien data audit``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien import defaults
from mien.cli.options import OUTPUT, PATH, OutputCommand, detector_options, seed_option, split_names, threads_option
from mien.cli.output import FailureReport, progress_bar, table_console
from mien.files import write_text

if TYPE_CHECKING:
    from rich.console import Console

    from mien.datasets.audit import AuditReport, AuditTable, LabelModel
    from mien.datasets.dataset import Dataset
    from mien.detect.options import DetectionOptions

CHECKS = (
    "rows", "balance", "exact", "near", "conflicts", "labels", "constant", "blurred", "faceless", "agreement",
)  # fmt: skip

EPILOG = """\b
Examples:
  mien data audit fer2013.parquet
  mien data audit fer2013.parquet --model emotion --json audit.json --html audit.html
  mien data audit fer2013.parquet --checks exact,near,conflicts --similarity 0.92
  mien data audit fairface.parquet --checks near,blurred,faceless --detector mtcnn
  mien data audit fer2013.parquet --checks labels --probabilities out-of-fold.npy
"""


@click.command("audit", cls=OutputCommand, epilog=EPILOG)
@click.argument("prepared", type=PATH)
@click.option("--checks", help=f"Some of {', '.join(CHECKS)}.", show_default="all")
@click.option(
    "--near",
    "bits",
    type=click.IntRange(0, 32),
    default=defaults.MAX_HASH_BITS,
    show_default=True,
    help="Greatest number of bits in which the hashes of near duplicates differ.",
)
@click.option(
    "--similarity",
    type=click.FloatRange(0.5, 1),
    default=defaults.MIN_SIMILARITY,
    show_default=True,
    help="Least similarity of near duplicates.",
)
@click.option(
    "--constant",
    type=float,
    default=defaults.MIN_CONTRAST,
    show_default=True,
    help="Least standard deviation of the gray levels, 0-255.",
)
@click.option(
    "--blur",
    type=float,
    default=defaults.MIN_SHARPNESS,
    show_default=True,
    help="Least variance of the Laplacian at 48x48 pixels.",
)
@click.option(
    "--not-a-face",
    type=int,
    default=defaults.NOT_A_FACE_VOTES,
    show_default=True,
    help="Number of FER+ votes for 'not a face' from which on a picture is reported.",
)
@detector_options(defaults.CHECK_MIN_FACE, note="check 'faceless'", optional=True, fixed_size=True)
@click.option("--model", help="Check labels with this model: a name, an .onnx file or a run folder.")
@click.option("--unseen", is_flag=True, help="MODEL was not trained on this dataset: check its training images too.")
@click.option(
    "--probabilities", type=PATH, help="Check labels with these probabilities, .npy or .csv; they must be out of fold."
)
@seed_option("the folds of the classifier that checks labels")
@threads_option("of --model", default=None)
@click.option(
    "--show", type=click.IntRange(0), default=3, show_default=True, help="Number of findings to print per check."
)
@click.option("--json", "json_file", type=OUTPUT, help="Write all findings to this JSON file.")
@click.option("--json-summary", type=OUTPUT, help="Write only the counts to this JSON file.")
@click.option("--html", type=OUTPUT, help="Write a self-contained page, without faces.")
@click.option("--thumbnails", is_flag=True, help="Show faces on that page; do not publish it.")
def command(
    prepared: Path,
    checks: str | None,
    detection: DetectionOptions | None,
    model: str | None,
    unseen: bool,
    probabilities: Path | None,
    threads: int | None,
    show: int,
    json_file: Path | None,
    json_summary: Path | None,
    html: Path | None,
    thumbnails: bool,
    **numbers: float,
) -> None:
    """Check the dataset PREPARED and report what is wrong; nothing is changed (`mien data clean` removes).

    Invalid rows; class balance; exact and near duplicates inside and across splits, and those with different labels;
    labels that are probably wrong; pictures of one brightness, blurred ones, those without a face; FER2013's labels
    against FER+. A check that cannot run reports why; the others run.

    Labels are checked by a simple classifier trained by cross-validation. --model checks them better, but only those of
    images that it was not trained on: validation and test.
    """
    from mien.extras import DATA, NETWORKS, require_extra

    require_extra("audit", "mien data audit", *DATA, "sklearn", "cleanlab")
    if model is not None:
        require_extra("train", "checking labels with a model", *NETWORKS)
    from mien.cli.face_check import make_face_check
    from mien.datasets.audit import CHECKS as CHECK_TABLE
    from mien.datasets.audit import AuditOptions, audit_dataset
    from mien.datasets.audit.report_page import write_audit_page
    from mien.datasets.prepared_file import read_prepared
    from mien.errors import MienError
    from mien.files import output_file

    if model is not None and probabilities is not None:
        raise click.UsageError("Give --model or --probabilities, not both.")
    if unseen and model is None:
        raise click.UsageError("--unseen needs --model.")
    if thumbnails and html is None:
        raise click.UsageError("--thumbnails needs --html FILE.")
    # a report that cannot be written should not take a minute to fail
    for path in (json_file, json_summary, html):
        if path is not None:
            output_file(path)
    data = read_prepared(prepared)
    names = split_names(checks)
    options = AuditOptions(**numbers)  # type: ignore[arg-type]
    label_model = _label_model(model, probabilities, data, unseen=unseen, threads=threads)
    with progress_bar(transient=True) as progress:
        bar = progress.add_task("auditing", total=len(CHECK_TABLE if names is None else set(names)))
        has_face = make_face_check(detection, len(data), progress)
        report = audit_dataset(
            data,
            names,
            options,
            label_model=label_model,
            has_face=has_face,
            progress=lambda check: progress.update(bar, description=CHECK_TABLE[check].title, advance=1),
        )
    _print(report, show)
    writers: tuple[tuple[Path | None, Callable[[Path], object]], ...] = (
        (json_file, lambda path: _write(path, report.to_dict(), indent=None)),
        (json_summary, lambda path: _write(path, report.to_dict(findings=False), indent=1)),
        (html, lambda path: write_audit_page(report, path, thumbnails=thumbnails)),
    )
    failures = FailureReport()
    for path, write in writers:
        if path is None:
            continue
        try:
            write(path)
        except MienError as error:
            failures.add(error)
        else:
            click.echo(f"wrote {path}", err=True)
    if thumbnails:
        click.echo("the page shows faces of the dataset: do not publish it", err=True)
    if failures.count:
        raise click.exceptions.Exit(1)


def _label_model(
    model: str | None, probabilities: Path | None, data: Dataset, *, unseen: bool, threads: int | None
) -> LabelModel | None:
    if probabilities is not None:
        from mien.datasets.audit.external_predictions import read_external_predictions

        return read_external_predictions(probabilities, data)
    if model is None:
        return None
    from mien.evaluation.scoring.label_check import make_label_model
    from mien.evaluation.scoring.scored_model import open_model

    return make_label_model(open_model(model, threads), data, unseen=unseen)


def _write(path: Path, document: dict[str, Any], *, indent: int | None) -> None:
    write_text(path, json.dumps(document, indent=indent, ensure_ascii=False) + "\n")


def _print(report: AuditReport, show: int) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from mien.datasets.dataset import SPLITS

    terminal = sys.stdout.isatty()
    console = table_console(120, highlight=False, markup=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="images concerned")
    table.add_column("check")
    for name in (*SPLITS, "all", "s"):
        table.add_column(name, justify="right")
    for result in report.results:
        counts = ["–"] * 4 if result.report is not None else ["", "", "", "did not run"]
        if result.by_split is not None:
            counts = [f"{result.by_split[split]:,}" for split in (*SPLITS, "total")]
        table.add_row(result.title, *counts, f"{result.seconds:.1f}")
    console.print(f"{report.dataset.info.name}: {len(report.dataset):,} images")
    console.print(table)
    for result in report.results:
        console.print(result.title, style="bold")
        if result.report is None:
            console.print(f"  did not run: {result.reason}\n", soft_wrap=not terminal)
            continue
        for line in result.report.summary:
            console.print(f"  {line}", soft_wrap=not terminal)
        for finding in result.report.findings[:show]:
            console.print(f"    {finding.text}", style="dim", soft_wrap=not terminal)
        if show and len(result.report.findings) > show:
            console.print(f"    … {len(result.report.findings) - show:,} more", style="dim")
        for one in result.report.tables:
            _print_table(console, one)
        console.print()


def _print_table(console: Console, content: AuditTable) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.padding import Padding
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(content.header):
        words = content.rows and all(isinstance(row[i], str) and not row[i][:1].isdigit() for row in content.rows)
        table.add_column(name, justify="left" if i == 0 or words else "right")
    for row in content.rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    console.print(f"\n  {content.title}")
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
