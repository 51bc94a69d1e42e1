"""Options that several commands share: one name, one text, one default."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from helpers.commands import runner
from mien import defaults
from mien.cli import cli
from mien.cli.clean import RULES
from mien.cli.options import detector_options, frame_options, models_option, split_names, tracking_options
from mien.datasets.catalog import DATASET_FORMATS
from mien.datasets.cleaning import CLEANING_RULES
from mien.datasets.detection_layouts import DETECTION_LAYOUTS
from mien.datasets.ferplus import TargetRule
from mien.detect import DETECTORS
from mien.detect.options import DetectionOptions
from mien.errors import InputError
from mien.evaluation.scoring.calibration import FitTarget
from mien.evaluation.scoring.protocols import LabelKind
from mien.media.selection import FrameSelection
from mien.predict.model_set import ModelSet
from mien.smoothing.options import SmoothingOptions
from mien.tracking.options import TrackingOptions
from mien.tuning.search import PrunerName

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


def test_models() -> None:
    for given, models in (("emotion,mine.onnx", ("emotion", "mine.onnx")), ("none", ())):
        option = next(option for path, option in options() if (path, option.name) == ("mien analyze", "models"))
        assert option.process_value(click.Context(cli), given) == models


@pytest.mark.parametrize(
    ("path", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_command_takes_the_values_of_its_options(path: str, command: click.Command) -> None:
    """The values of some options reach it as one, such as ``detection``."""
    names = {str(parameter.name) for parameter in command.params if parameter.expose_value}
    function: Any = command.callback
    while hasattr(function, "collects"):
        parameter, collected = function.collects
        assert names >= set(collected)
        names = names - set(collected) | {parameter}
        function = function.__wrapped__
    inspect.signature(function).bind(**dict.fromkeys(names))


def test_options_of_the_detector_reach_it_as_one_value() -> None:
    reached = []

    @click.command()
    @detector_options(24)
    @tracking_options()
    @frame_options
    def command(**values: object) -> None:
        reached.append(values)

    arguments = ["--threshold", "0.5", "--max-side", "640", "--detect-every", "3", "--window", "2", "--fps", "5"]
    result = runner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert reached == [
        {
            "detection": DetectionOptions(min_face=24, threshold=0.5, max_side=640),
            "tracking": TrackingOptions(detect_every=3),
            "smoothing": SmoothingOptions(window=2.0),
            "selection": FrameSelection(fps=5.0),
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "models"),
    [
        ([], ("emotion", "age")),
        (["--emotion", "mine.onnx"], ("emotion=mine.onnx", "age")),
        (["--age", "none"], ("emotion",)),
        (["--models", "own.onnx", "--age", "b.onnx"], ("own.onnx", "age=b.onnx")),
        (["--models", "none"], ()),
    ],
)
def test_one_of_the_models_can_be_replaced(arguments: list[str], models: tuple[str, ...]) -> None:
    @click.command()
    @models_option
    def command(models: tuple[str, ...]) -> None:
        click.echo(repr(models))

    result = runner().invoke(command, arguments)
    assert result.output.strip() == repr(models)


CHOICES: dict[tuple[str, str], Callable[[], Iterable[str]]] = {
    ("data prepare", "kind"): lambda: ["auto", *DATASET_FORMATS, *DETECTION_LAYOUTS],
    ("data prepare", "targets"): lambda: get_args(TargetRule),
    ("calibrate", "target"): lambda: get_args(FitTarget),
    ("evaluate", "labels"): lambda: get_args(LabelKind),
    ("tune", "pruner"): lambda: get_args(PrunerName),
}
"""(command, parameter) → the values that the library takes."""


@pytest.mark.parametrize(("command", "parameter"), CHOICES, ids=" ".join)
def test_choices_of_an_option_are_those_of_the_library(command: str, parameter: str) -> None:
    found: click.Command = cli
    for word in command.split():
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), word)
        assert inner is not None
        found = inner
    (option,) = [one for one in found.params if one.name == parameter]
    assert isinstance(option.type, click.Choice)
    assert sorted(option.type.choices) == sorted(CHOICES[command, parameter]())


def test_names_of_cleaning_rules_in_the_help_are_those_of_the_library() -> None:
    assert tuple(CLEANING_RULES) == RULES


def test_names_with_commas_are_quoted_as_in_csv() -> None:
    assert split_names('tense, "calm, relaxed",,say "ah"') == ("tense", "calm, relaxed", 'say "ah"')
    assert split_names(None) is None


@pytest.mark.parametrize("command", [("export", "run"), ("quantize", "emotion"), ("calibrate", "emotion")])
def test_a_model_is_written_under_a_name_by_which_it_is_known(command: tuple[str, ...]) -> None:
    arguments = [*command, *(() if command[0] == "export" else ("--data", "x.parquet")), "--out", "new.txt"]
    result = runner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "'new.txt' does not end in .onnx, by which a model is known." in " ".join(result.output.split())


def test_a_name_that_models_cannot_have_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.onnx"
    file.write_bytes(b"")
    with pytest.raises(InputError, match=r"'my model' is no name of a model; use letters, digits and _, such as mine="):
        ModelSet.open([f"my model={file}"], threads=1)
    with pytest.raises(InputError, match="'a-b' is no name of a model"):
        ModelSet.open(["a-b=emotion"], threads=1)
