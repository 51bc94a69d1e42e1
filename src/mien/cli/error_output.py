"""Errors on stderr: one line each for people, or with ``--json-errors`` one JSON object each for programs."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from mien.errors import MienError, nearest_names

FLAG, VARIABLE = "--json-errors", "MIEN_JSON_ERRORS"
"""The option, accepted anywhere on the line, and the environment variable that turn JSON on."""
USAGE, INTERRUPTED = "usage", "interrupted"
"""Codes of errors that have no exception class of Mien: wrong usage (exit code 2), signals (130, 143, 129)."""

json_errors_option = click.option(
    FLAG,
    is_flag=True,
    envvar=VARIABLE,
    show_envvar=True,
    help="Print each error on stderr as one JSON object per line (code, reason, path, advice, details, command). "
    "Accepted anywhere on the line.",
)


@dataclass(frozen=True, slots=True)
class ErrorOutput:
    """Prints the errors of one call of the command line.

    Attributes:
        as_json: JSON objects instead of lines for people.
        command: the command without the program's name, such as "data clean"; None where there is none.
    """

    as_json: bool = False
    command: str | None = None

    def print(self, error: MienError) -> None:
        """Print one error on stderr; a terminal that was closed is no other error."""
        fields = error.to_dict() | ({} if self.command is None else {"command": self.command})
        with contextlib.suppress(OSError):
            # ASCII alone: a terminal's encoding must not break the JSON
            click.echo(json.dumps(fields) if self.as_json else f"mien: {error}", err=True)

    def print_click_error(self, error: click.ClickException) -> None:
        """Print what click raises; for people with its usage lines."""
        if isinstance(error, click.BadParameter) and (near := _nearest_choice(error)):
            error = click.BadParameter(error.message + near, error.ctx, error.param, error.param_hint)
        if self.as_json:
            self.print(_from_click(error, self.command))
        else:
            error.show()


def error_output() -> ErrorOutput:
    """That of the command that runs; lines for people where none does."""
    context = click.get_current_context(silent=True)
    found = None if context is None else context.find_object(ErrorOutput)
    return found or ErrorOutput()


def wants_json(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a call asks for JSON: by the option anywhere before ``--``, or by the environment variable."""
    if FLAG in _before_dashes(arguments):
        return True
    try:
        return bool(click.BOOL(environment.get(VARIABLE) or "0"))
    except click.BadParameter:
        return False  # click refuses the value where it reads the option


def without_flag(arguments: Sequence[str]) -> list[str]:
    """The arguments without the option, which commands do not declare; what follows ``--`` stays as it is."""
    before = _before_dashes(arguments)
    return [argument for argument in before if argument != FLAG] + list(arguments[len(before) :])


def _before_dashes(arguments: Sequence[str]) -> Sequence[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _nearest_choice(error: click.BadParameter) -> str:
    """The choices of an option that a misspelt one may have been meant as; click lists all of them alone."""
    kind, given = getattr(error.param, "type", None), re.match(r"'(.*?)' is not one of", error.message)
    if not isinstance(kind, click.Choice) or given is None:
        return ""
    near = nearest_names(given[1], map(str, kind.choices))
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def _from_click(error: click.ClickException, command: str | None) -> MienError:
    if not isinstance(error, click.UsageError):
        return MienError(error.format_message())
    no_command = isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ()))  # click 8.2 and later
    reason = "no command is given" if no_command else error.format_message()
    parameter = error.param.name if isinstance(error, click.BadParameter) and error.param is not None else None
    return MienError(
        reason,
        advice=f"{' '.join(filter(None, ('mien', command)))} --help shows how to call it",
        code=USAGE,
        details=None if parameter is None else {"parameter": parameter},
    )
