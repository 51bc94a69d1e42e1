"""``mien agree``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien import defaults
from mien.cli.options import OUTPUT, PATH, OutputCommand, seed_option, split_names
from mien.text import count, number, percent

if TYPE_CHECKING:
    from mien.exchange.agreement import Agreement, Estimate
    from mien.exchange.coding import Coding, Tier

EPILOG = """\b
Examples:
  mien agree clip.boris report/clip
  mien agree anna.eaf ben.eaf --pair 'child=child'
  mien agree coding.csv report/clip --rename joy=happy --absent
  mien agree clip.boris report/clip --differences differ.eaf --timeline differ.png
"""


def _pairs(context: click.Context, option: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for one in value:
        first, sign, second = one.partition("=")
        if not (sign and first.strip() and second.strip()):
            raise click.BadParameter(f"{one!r} is no pair of names, such as 'mother=face 1'.")
        if pairs.setdefault(first.strip(), second.strip()) != second.strip():
            raise click.BadParameter(
                f"{first.strip()!r} is given twice: {pairs[first.strip()]!r} and {second.strip()!r}."
            )
    return pairs


@click.command("agree", cls=OutputCommand, epilog=EPILOG)
@click.argument("coding", type=PATH)
@click.argument("report", type=PATH)
@click.option("--head", help="Compare only this head, such as emotion.")
@click.option(
    "--pair",
    "pairs",
    multiple=True,
    callback=_pairs,
    metavar="A=B",
    help="Compare tier or subject A of CODING with B of REPORT; repeatable. By default, those with equal names.",
)
@click.option(
    "--rename", multiple=True, callback=_pairs, metavar="A=B", help="Rename label A of either file to B; repeatable."
)
@click.option("--order", metavar="LABEL,…", help="Order of the labels from least to most: adds weighted kappa.")
@click.option("--absent", is_flag=True, help="Treat time without a label as a separate label.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=defaults.ONSET_TOLERANCE,
    show_default=True,
    help="Greatest difference of the onsets of two matching events, in seconds.",
)
@click.option(
    "--block",
    type=click.FloatRange(0, min_open=True),
    default=defaults.AGREEMENT_BLOCK,
    show_default=True,
    help="Length of a block of the bootstrap, in seconds.",
)
@click.option(
    "--resamples",
    type=click.IntRange(1),
    default=defaults.AGREEMENT_RESAMPLES,
    show_default=True,
    help="Number of resamples of the bootstrap.",
)
@seed_option("the resamples")
@click.option("--observation", help="Observation to read, for BORIS projects and tables with several.")
@click.option(
    "--most",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Number of differences to list, the longest first.",
)
@click.option("--json", "json_file", type=OUTPUT, help="Write every figure to this JSON file.")
@click.option(
    "--differences", type=OUTPUT, help="Write both codings and their differences: .eaf, .boris, .TextGrid or .csv."
)
@click.option("--timeline", type=OUTPUT, help="Draw both codings: .png, .svg or .pdf (extra plots).")
def command(
    coding: Path,
    report: Path,
    head: str | None,
    pairs: dict[str, str],
    rename: dict[str, str],
    order: str | None,
    absent: bool,
    tolerance: float,
    block: float,
    resamples: int,
    seed: int,
    observation: str | None,
    most: int,
    json_file: Path | None,
    differences: Path | None,
    timeline: Path | None,
) -> None:
    """Compare a person's CODING of a video with a REPORT of Mien, or with another coding.

    CODING and REPORT are BORIS projects, ELAN files, Praat TextGrids or tables (.csv, .tsv); REPORT may be the folder
    of a report or its summary.json. Agreement is over time and over events; intervals are at 95 %, from a bootstrap
    over blocks of time.
    """
    import json

    from mien.errors import InputError
    from mien.exchange.agreement import difference_coding, left_unpaired, measure_agreement, overlapping, pair_tiers
    from mien.exchange.formats import write_coding
    from mien.extras import require_extra
    from mien.files import write_text

    if timeline is not None:
        require_extra("plots", "a timeline", "matplotlib")
    first, second = _read_both(coding, report, observation)
    tiers = pair_tiers(first, second, head=head, pairs=pairs or None)
    heads = {tier.head for pair in tiers for tier in pair if tier.head}
    if len(heads) > 1:
        raise InputError(
            f"the tiers belong to several heads ({', '.join(sorted(heads))})", advice="choose one with --head"
        )
    chosen = next(iter(heads), "")
    labels = split_names(order) or second.labels.get(chosen) or first.labels.get(chosen) or ()
    _check_labels(tiers, rename, split_names(order) if order is not None else None)
    agreement = measure_agreement(
        tiers,
        labels=labels,
        ordered=order is not None or chosen in second.ordered | first.ordered,
        rename=rename,
        absent=absent,
        span=(min(first.start, second.start), max(first.end, second.end)) if absent else None,
        tolerance=tolerance,
        block=block,
        resamples=resamples,
        seed=seed,
    )
    if json_file is not None:
        write_text(json_file, json.dumps(agreement.to_dict(), ensure_ascii=False, indent=1) + "\n")
    if differences is not None:
        write_coding(difference_coding(agreement, tiers, first.source or second.source), differences)
    if timeline is not None:
        from mien.exchange.agreement_timeline import save_agreement_timeline

        save_agreement_timeline(agreement, tiers, timeline)
    _print(agreement, most)
    for which, one in (("first", first), ("second", second)):
        if not pairs and (left := left_unpaired(one, tiers, head=head)):
            names = ", ".join(repr(tier.name) for tier in left)
            click.echo(
                f"note: not compared, for it has no counterpart: {names} of the {which} coding (--pair 'A=B')", err=True
            )
        side = 0 if which == "first" else 1
        for name in dict.fromkeys(pair[side].name for pair in tiers if overlapping(pair[side])):
            click.echo(
                f"note: labels of {name!r} of the {which} coding overlap; the one that began last counts there",
                err=True,
            )


def _read_both(coding: Path, report: Path, observation: str | None) -> tuple[Coding, Coding]:
    """Both codings; the observation is that of each file that has one of this name, in the other it is the only one."""
    from mien.errors import InputError
    from mien.exchange.formats import observations, read_coding

    if observation is None:
        return read_coding(coding), read_coding(report)
    names = {path: observations(path) for path in (coding, report)}
    if not any(names.values()):
        raise InputError("neither file holds observations", advice="leave --observation out")
    if not any(observation in found for found in names.values()):
        read_coding(next(path for path, found in names.items() if found), observation)
    first, second = (
        read_coding(path, observation if observation in names[path] else None) for path in (coding, report)
    )
    return first, second


def _check_labels(tiers: list[tuple[Tier, Tier]], rename: dict[str, str], order: tuple[str, ...] | None) -> None:
    """Refuse a renamed label that does not occur, and an order without labels that do."""
    from mien.errors import InputError, choose_one

    used = dict.fromkeys(one.label for pair in tiers for tier in pair for one in tier.intervals)
    for label in rename:
        if label not in used:
            raise InputError(f"no label {label!r} to rename", advice=choose_one(label, used))
    if order is not None:
        known = {name.casefold() for label in order for name in (label, rename.get(label, label))}
        rest = [label for label in dict.fromkeys(rename.get(one, one) for one in used) if label.casefold() not in known]
        if rest:
            raise InputError(f"--order leaves out {', '.join(map(repr, rest))}", advice="give every label its place")


def _number(one: Estimate) -> str:
    if math.isnan(one.value):
        return "–"
    return number(one.value, None if math.isnan(one.low) else (one.low, one.high))


def _print(agreement: Agreement, most: int) -> None:
    from rich.table import Table

    from mien.cli.output import table_console
    from mien.cli.photo_table import one_line
    from mien.draw.clock import clock
    from mien.exchange.agreement import FEW_BLOCKS

    console = table_console(120, highlight=False, markup=False)
    for first, second in agreement.pairs:
        console.print(one_line(f"{first} ↔ {second}"))
    table = Table("agreement", "value", box=None, pad_edge=False)
    shown = percent(agreement.observed.value)
    table.add_row("equal labels", f"{shown} of {agreement.compared:.1f} s")
    table.add_row("Cohen's kappa", _number(agreement.kappa))
    for name, one in agreement.weighted.items():
        table.add_row(f"weighted kappa, {name}", _number(one))
    table.add_row(f"events within {agreement.tolerance:g} s (F1)", _number(agreement.events))
    if not math.isnan(agreement.onset_difference):
        table.add_row("onset, second minus first (median)", f"{agreement.onset_difference:+.3f} s")
    table.add_row("with a label in one alone", f"{agreement.only_first:.1f} s and {agreement.only_second:.1f} s")
    console.print(table)
    if agreement.blocks < FEW_BLOCKS:
        blocks = count(agreement.blocks, "block")
        console.print(f"intervals from {blocks} are too narrow: take a shorter --block, or code more")
    table = Table("label", "agreement", "kappa", "seconds", "events", "matched", box=None, pad_edge=False)
    for found in agreement.per_label:
        seconds = f"{found.seconds[0]:.1f} and {found.seconds[1]:.1f}"
        events = f"{found.events[0]} and {found.events[1]}"
        name = one_line(found.label)
        table.add_row(name, _number(found.agreement), _number(found.kappa), seconds, events, str(found.events[2]))
    console.print()
    console.print(table)
    table = Table("seconds", *map(one_line, agreement.labels), box=None, pad_edge=False)
    for label, row in zip(agreement.labels, agreement.confusion.tolist(), strict=True):
        table.add_row(one_line(label), *(f"{value:.1f}" for value in row))
    console.print("\nconfusion: rows the first, columns the second")
    console.print(table)
    if agreement.differences and most:
        table = Table("from", "to", "seconds", "pair", "first", "second", box=None, pad_edge=False)
        for each in agreement.differences[:most]:
            length = f"{each.end - each.start:.2f}"
            cells = (clock(each.start, tenths=True), clock(each.end, tenths=True), length, each.pair, each.first)
            table.add_row(*map(one_line, (*cells, each.second)))
        rest = len(agreement.differences) - most
        console.print(f"\nthe longest differences{f' ({rest} more)' if rest > 0 else ''}")
        console.print(table)
