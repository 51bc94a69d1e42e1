"""``mien data clean``."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien import defaults
from mien.cli.options import (
    OUTPUT,
    PATH,
    Decorator,
    OutputCommand,
    detector_options,
    parse_shares,
    seed_option,
    split_names,
)
from mien.cli.output import progress_bar, table_console
from mien.files import write_text

if TYPE_CHECKING:
    from mien.datasets.cleaning import CleaningResult
    from mien.datasets.dataset import Dataset
    from mien.detect.options import DetectionOptions

RULES = (
    "constant", "not-a-face", "undetected", "blur", "ambiguous", "disagreement", "contradictory", "duplicate",
)  # fmt: skip

EPILOG = """\b
Examples:
  mien data clean fer2013.parquet --out clean.parquet --json clean.json
  mien data clean fer2013.parquet --rules blur,duplicate --blur 600 --out sharp.parquet
  mien data clean fer2013.parquet --expressions angry,happy,sad,neutral --limit neutral=4700 \\
    --split 16500,3500,3000 --out clean4.parquet --kept kept.csv
"""


def _threshold(rule: str, default: float, text: str) -> Decorator:
    """An option that is None where it is not given: a threshold of a rule that is not applied is an error."""
    return click.option(f"--{rule}", type=float, help=f"{text}  [default: {default:g}]")


@click.command("clean", cls=OutputCommand, epilog=EPILOG)
@click.argument("prepared", type=PATH)
@click.option("--out", required=True, type=OUTPUT, help="The file to write.")
@click.option("--expressions", help="Keep only these emotions, before anything else, such as angry,happy,sad,neutral.")
@click.option("--rules", help=f"Some of {', '.join(RULES)}.", show_default="those that suit the dataset")
@_threshold("constant", defaults.MIN_CONTRAST, "Least standard deviation of the gray levels, 0-255.")
@_threshold("not-a-face", defaults.NOT_A_FACE_VOTES, "Number of FER+ votes for 'not a face' that removes an image.")
@_threshold("blur", defaults.MIN_SHARPNESS, "Least variance of the Laplacian.")
@_threshold("ambiguous", defaults.MAX_VOTE_ENTROPY, "Greatest entropy of the FER+ votes, in bits.")
@_threshold("disagreement", defaults.MAX_LABEL_ODDS, "How many times likelier a classifier may find another label.")
@detector_options(defaults.CHECK_MIN_FACE, note="rule 'undetected'", optional=True, fixed_size=True)
@click.option("--limit", help="Keep at most this many random images per emotion after the rules, such as neutral=4700.")
@click.option(
    "--split", callback=parse_shares, help="Make new splits after that: images or shares of train,validation,test."
)
@seed_option("--limit and --split")
@click.option("--kept", type=OUTPUT, help="Write which images are kept to this CSV file.")
@click.option("--json", "json_file", type=OUTPUT, help="Write the counts to this JSON file.")
def command(
    prepared: Path,
    out: Path,
    expressions: str | None,
    rules: str | None,
    detection: DetectionOptions | None,
    limit: str | None,
    split: tuple[float, float, float] | None,
    seed: int,
    kept: Path | None,
    json_file: Path | None,
    **thresholds: float | None,
) -> None:
    """Remove bad images from the dataset PREPARED by rules with thresholds, and count what each removes.

    By default: pictures of one brightness, blurred pictures, copies (one stays; test before validation before train),
    copies that carry different labels, and, with FER+ votes, pictures that raters call no face or disagree on;
    without votes, those whose label a classifier trained on other images finds improbable.
    """
    from mien.extras import DATA, require_extra

    require_extra("data", "mien data clean", *DATA)
    from mien.cli.face_check import make_face_check
    from mien.datasets.cleaning import clean_dataset, default_rules
    from mien.datasets.prepared_file import read_prepared, write_prepared
    from mien.datasets.resplit import resplit
    from mien.datasets.subsets import limit_per_emotion, select_emotions

    limits = _limits(limit)
    data = read_prepared(prepared)
    emotions = split_names(expressions)
    if emotions is not None:
        data = select_emotions(data, emotions)
    names = split_names(rules) or default_rules(data)
    if detection is not None:
        names = (*names, "undetected")
    given = {name.replace("_", "-"): value for name, value in thresholds.items() if value is not None}
    with progress_bar(transient=True) as progress:
        bar = progress.add_task("cleaning", total=len(set(names)))

        def advance(rule: str) -> None:
            progress.update(bar, description=rule, advance=1)

        cleaned = clean_dataset(
            data, names, given, has_face=make_face_check(detection, len(data), progress), progress=advance
        )
    result = cleaned.dataset
    if limits:
        result = limit_per_emotion(result, limits, seed)
    if split is not None:
        result = resplit(result, split, seed)
    write_prepared(result, out)
    if kept is not None:
        _write_kept(kept, data, result)
    if json_file is not None:
        _write_report(json_file, cleaned, result)
    _print(cleaned, result)
    click.echo(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)", err=True)


def _write_kept(path: Path, before: Dataset, after: Dataset) -> None:
    """Position in the file that was cleaned, row in the source, old and new split, emotion."""
    from mien.files import atomic_path, output_errors

    position = {int(row): i for i, row in enumerate(before.row)}
    with (
        output_errors(path),
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(["index", "row", "split_before", "split", "emotion"])
        for i, row in enumerate(after.row.tolist()):
            old = position[row]
            emotion = "" if after.emotion is None or after.taxonomy is None else after.taxonomy.names[after.emotion[i]]
            writer.writerow([old, row, before.split[old], after.split[i], emotion])


def _write_report(path: Path, cleaned: CleaningResult, result: Dataset) -> None:
    from mien.datasets.cleaning import count_images, sum_counts

    left = count_images(result)
    document = cleaned.to_dict() | {"result": {"total": sum_counts(left), **left}, "notes": list(result.info.notes)}
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _print(cleaned: CleaningResult, result: Dataset) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from mien.datasets.cleaning import CLEANING_RULES, count_images, sum_counts
    from mien.datasets.dataset import SPLITS

    console = table_console(120, highlight=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="removed by each rule alone, and after those above it")
    for column in ("rule", "removes", "alone", *SPLITS, "in sequence"):
        table.add_column(column, justify="left" if column in ("rule", "removes") else "right")
    for one in cleaned.steps:
        rule = CLEANING_RULES[one.rule]
        splits = (f"{sum(one.in_sequence[split].values()):,}" for split in SPLITS)
        what = f"{rule.drops} {one.threshold:g} {rule.unit}"
        table.add_row(one.rule, what, f"{sum_counts(one.alone):,}", *splits, f"{sum_counts(one.in_sequence):,}")
    console.print(table)
    names = list(cleaned.before["train"])
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="images by emotion")
    for column in ("", *names, "all"):
        table.add_column(column, justify="left" if not column else "right")
    lines = [("before", cleaned.before), *((f"– {one.rule}", one.in_sequence) for one in cleaned.steps)]
    left = count_images(result)
    lines += [
        ("cleaned", cleaned.after),
        ("written", left),
        *((f"  {split}", {split: left[split]}) for split in SPLITS),
    ]
    for title, counts in lines:
        cells = [sum(row.get(name, 0) for row in counts.values()) for name in names]
        table.add_row(title, *(f"{cell:,}" for cell in cells), f"{sum(cells):,}")
    console.print(table)


def _limits(text: str | None) -> dict[str, int]:
    limits = {}
    for part in split_names(text) or ():
        name, _, count = part.partition("=")
        if not count.strip().isdigit():
            raise click.BadParameter(
                f"{part!r} is not EMOTION=COUNT, such as neutral=4700 (with quotes around a name with a comma).",
                param_hint="--limit",
            )
        limits[name.strip()] = int(count)
    return limits
