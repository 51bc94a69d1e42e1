"""``mien licence``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from mien.cli.output import table_console

if TYPE_CHECKING:
    from rich.table import Table

EPILOG = """\b
Examples:
  mien licence
  mien licence --json | jq '.weights[] | {name, licence, trained_on}'

\b
The licences of the packages that Mien installs are in docs/licences.md, and in
the bill of materials (SBOM) of a release. None of this is legal advice.
"""

_WIDTH = 140
"""Columns of the tables where stdout is no terminal."""


@click.command("licence", epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object, SHA-256 of files included.")
def command(as_json: bool) -> None:
    """List every weight file that Mien ships or can use, with its licence, its data, and open questions about them."""
    from mien import provenance

    if as_json:
        click.echo(json.dumps(provenance.report(), indent=2, ensure_ascii=False))
        return
    from mien.dataset_terms import DATASET_TERMS

    rows = provenance.all_weights()
    console = table_console(_WIDTH, highlight=False, markup=False)
    weights = _table("weights", "name", "comes with", "licence", "trained on", "labels by networks trained on")
    for row in rows:
        shown = (", ".join(keys) or "–" for keys in (row.trained_on, row.labels_from))
        weights.add_row(row.name, row.comes_with, row.licence, *shown)
    data = _table("data", "name", "dataset", "licence, as its makers state it", "open questions")
    for key in dict.fromkeys(key for row in rows for key in (*row.trained_on, *row.labels_from)):
        terms = DATASET_TERMS[key]
        data.add_row(key, terms.title, terms.licence, "; ".join(terms.doubts) or "–")
    console.print(weights, data)
    console.print("Code and shipped weights: Apache-2.0. Limits of use: mien models NAME. No legal advice.")


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_lines=True)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
