"""``mien notice``."""

from __future__ import annotations

from pathlib import Path

import click

from mien.cli.options import OUTPUT, TABLE, OutputCommand, split_names

EPILOG = """\b
Examples:
  mien notice --language de,en --operator 'University of X, lab 3'
  mien notice --language fr --sign sign.pdf
  mien notice --checklist
"""


@click.command("notice", cls=OutputCommand, epilog=EPILOG)
@click.option(
    "--language",
    default="en",
    show_default=True,
    metavar="CODE,…",
    help="Languages: en, de, es, fr, it, nl, pl, pt; 'all' for all.",
)
@click.option("--operator", default="", help="Who is responsible for the system; a line to write on where not given.")
@click.option("--purpose", default="", help="Purpose and legal basis.")
@click.option("--retention", default="", help="How long pictures and results are kept.")
@click.option("--contact", default="", help="Where questions go.")
@click.option("--out", type=TABLE, help="Write the text to this file; default: stdout.")
@click.option("--sign", type=OUTPUT, help="Write a sign of A4 size as well: .pdf, .svg or .png (extra plots).")
@click.option("--checklist", is_flag=True, help="Write the checklist for those who use the system instead (English).")
def command(
    language: str,
    operator: str,
    purpose: str,
    retention: str,
    contact: str,
    out: Path | None,
    sign: Path | None,
    checklist: bool,
) -> None:
    """Write the notice for people who are exposed to emotion recognition (AI Act, Art. 50(3)), as text and as a sign.

    Each sentence cites the article that it is based on. A lawyer must review the texts before they are used.
    """
    from mien.files import write_text
    from mien.notice.texts import checklist_text, languages, notice

    blanks = {"operator": operator, "purpose": purpose, "retention": retention, "contact": contact}
    codes = languages() if language == "all" else split_names(language) or ()
    if not codes:
        raise click.UsageError("--language names no language")
    notices = [notice(code).filled(blanks) for code in dict.fromkeys(codes)]
    text = checklist_text() if checklist else "\n\n".join(one.to_text() for one in notices)
    if sign is not None:
        from mien.notice.sign import save_sign

        save_sign(notices, sign)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_text(out, text)
