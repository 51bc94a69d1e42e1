"""`mien tune`."""

from __future__ import annotations

import sys

import click
import pytest
from click.testing import CliRunner

from mien.cli import cli
from mien.errors import InputError, MienError


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["nonsense"], InputError, "no recipe"),
        (["svm-landmarks"], click.UsageError, "support-vector"),
        (["ferplus-vgg13"], InputError, "no search space"),
        (["stack-baseline", "--apply", "tuned.txt"], click.UsageError, ".json"),
        (["stack-baseline", "--storage", "mysql://a/b"], InputError, "give sqlite"),
        (["stack-baseline", "--trials", "0"], click.UsageError, "--trials"),
    ],
)
def test_bad_calls_say_what_is_wrong(arguments: list[str], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        cli.main(["tune", *arguments, "--data", "data.parquet"], standalone_mode=False)
    assert words in (
        caught.value.format_message() if isinstance(caught.value, click.ClickException) else str(caught.value)
    )


def test_an_error_about_a_missing_extra_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("mien.tuning")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MienError, match=r"mien\[tune\]"):
        CliRunner().invoke(
            cli, ["tune", "stack-baseline", "--data", "data.parquet"], catch_exceptions=False, standalone_mode=False
        )
