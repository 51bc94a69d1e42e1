"""Options that several commands share: one name, one text, one default."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator

import click
import pytest

from mien import defaults
from mien.cli import cli
from mien.cli.options import model_name, split_names
from mien.detect import DETECTORS

SHARED = {
    "detector": defaults.DETECTOR,
    "min_face": defaults.MIN_FACE,
    "every": defaults.EVERY,
    "detect_every": defaults.DETECT_EVERY,
    "time_constant": defaults.TIME_CONSTANT,
    "window": defaults.WINDOW,
    "abstain": defaults.ABSTAIN,
    "top": defaults.TOP,
}
"""Parameter → its default."""
LIVE = {"min_face": defaults.LIVE_MIN_FACE, "detect_every": defaults.LIVE_DETECT_EVERY}
"""Defaults of `mien live`, where time is short."""
WITHOUT_DETECTOR = {"mien data audit", "mien data clean"}
"""Commands that detect faces only where a detector is named."""


def commands(command: click.Command = cli, path: str = "mien") -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from commands(inner, f"{path} {name}")


def options() -> Iterator[tuple[str, click.Option]]:
    for path, command in commands():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield path, parameter


def test_every_detector_can_be_chosen_in_every_command_that_detects() -> None:
    choices = {path: tuple(option.type.choices) for path, option in options() if option.name == "detector"}  # type: ignore[attr-defined]
    assert {"mien analyze", "mien batch", "mien live", "mien serve", "mien evaluate", "mien explain"} <= set(choices)
    assert set(choices.values()) == {tuple(DETECTORS)}


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_option_has_one_default(name: str) -> None:
    for path, option in options():
        if option.name == name and not (name == "detector" and path in WITHOUT_DETECTOR):
            assert option.default == (LIVE if path == "mien live" else {}).get(name, SHARED[name]), path


def test_a_parameter_has_one_option_and_an_option_one_parameter() -> None:
    names, parameters = defaultdict(set), defaultdict(set)
    for _, option in options():
        name = str(option.name).rstrip("_")  # list_
        names[name].add(option.opts[0])
        parameters[option.opts[0]].add(name)
    assert {name: found for name, found in names.items() if len(found) > 1} == {}
    several = {option: found for option, found in parameters.items() if len(found) > 1}
    # a flag where results go to stdout, a file where there are tables for people
    assert several == {"--json": {"as_json", "json_file"}}


def test_every_option_has_a_help_text_that_is_a_sentence() -> None:
    for path, option in options():
        assert option.help, f"{path} {option.opts[0]}"
        assert option.help[0].isupper() or option.help[0] in "'", f"{path}: {option.help}"
        assert re.search(r"\.(  \[default: \S+\])?$", option.help), f"{path}: {option.help}"


@pytest.mark.parametrize("module", ["mien.detect", "mien.cli", "mien.cli.options", "mien.defaults"])
def test_importing_loads_no_heavy_package(module: str) -> None:
    code = (
        f"import sys, {module}; "
        "heavy = {'torch', 'cv2', 'onnxruntime', 'numpy', 'pandas', 'rich', 'av', 'PIL'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_between_commas() -> None:
    assert split_names("angry, happy,,sad ") == ("angry", "happy", "sad")
    assert split_names(None) is None


def test_no_model() -> None:
    assert model_name("none") is None
    assert model_name("emotion") == "emotion"
