"""``mien schema``."""

from __future__ import annotations

import click

# the names of mien.results.json_schema.RESULTS, written out so that --help loads nothing; a test compares
KINDS = ("photo", "frame", "report")

EPILOG = """\b
Examples:
  mien schema > results.schema.json
  mien schema frame
"""


@click.command("schema", epilog=EPILOG)
@click.argument("kind", required=False, type=click.Choice(KINDS))
def command(kind: str | None) -> None:
    """Print the JSON Schema (draft 2020-12) of results, of one KIND or of any.

    photo: a line of `mien analyze PHOTO --json`. frame: a line of `mien analyze VIDEO --json` and `mien live --json`.
    report: summary.json of `mien analyze VIDEO --report`. The number at the end of its $id is the version;
    results hold it under "schema".
    """
    import json

    from mien.results.json_schema import results_schema

    click.echo(json.dumps(results_schema(kind), indent=2, ensure_ascii=False))
