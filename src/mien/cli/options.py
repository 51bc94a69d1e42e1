"""Options that several commands share. Each stands here once: its name, its default, its choices and its help text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mien import defaults
from mien.detect import DETECTORS

Decorator = Callable[[Any], Any]

PATH = click.Path(path_type=Path)


def combine(*options: Decorator) -> Decorator:
    """One decorator that adds all of these options, in this order."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def detector_options(min_face: int | None = defaults.MIN_FACE, *, note: str = "", required: bool = True) -> Decorator:
    """``--detector``, ``--detector-model``, ``--min-face``, ``--threshold`` and ``--max-side``.

    Args:
        min_face: the default; None leaves ``--min-face`` out.
        note: what the options are for, in brackets at the end of each help text.
        required: whether a detector runs always; else only where ``--detector`` is given.
    """
    after = f" ({note})." if note else "."
    options = [
        click.option(
            "--detector",
            type=click.Choice(tuple(DETECTORS)),
            default=defaults.DETECTOR if required else None,
            show_default=required,
            help=f"Face detector{after}",
        ),
        click.option("--detector-model", type=PATH, help=f"Weights file of a detector that ships none: yunet{after}"),
    ]
    if min_face is not None:
        options.append(
            click.option(
                "--min-face",
                type=click.IntRange(8),
                default=min_face,
                show_default=True,
                help=f"Side of the smallest face to detect, in pixels{after}",
            )
        )
    options += [
        click.option(
            "--threshold",
            type=click.FloatRange(0, 1),
            help=f"Least score of a face{after}",
            show_default="the detector's own",
        ),
        click.option(
            "--max-side",
            type=click.IntRange(1),
            help=f"Shrink larger pictures to this side to detect, pixels{after}",
        ),
    ]
    return combine(*options)


def _model_names(context: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
    return () if value == "none" else split_names(value) or ()


models_option = click.option(
    "--models",
    default=",".join(defaults.MODELS),
    show_default=True,
    metavar="MODEL,…",
    callback=_model_names,
    help="Models to run on every face: names, .onnx files or NAME=FILE; the first is shown first; 'none' for none.",
)
"""Which models run on every face."""

flip_option = click.option("--flip", is_flag=True, help="Average with the mirrored face: slightly better, slower.")

frame_options = combine(
    click.option(
        "--every",
        type=click.IntRange(1),
        default=defaults.EVERY,
        show_default=True,
        help="Analyse every N-th frame (videos).",
    ),
    click.option(
        "--fps", type=click.FloatRange(0, min_open=True), help="Analyse about F frames per second instead (videos)."
    ),
    click.option("--start", type=click.FloatRange(0), help="Start at this time, in seconds (videos)."),
    click.option("--end", type=click.FloatRange(0), help="End at this time, in seconds (videos)."),
)
"""Which frames of a video are analysed."""


def tracking_options(detect_every: int = defaults.DETECT_EVERY, *, note: str = " (videos)") -> Decorator:
    """``--detect-every``, ``--time-constant`` and ``--window``: how the faces of a video are tracked and smoothed."""
    return combine(
        click.option(
            "--detect-every",
            type=click.IntRange(1),
            default=detect_every,
            show_default=True,
            help=f"Detect faces in every N-th frame and propagate them in between{note}.",
        ),
        click.option(
            "--time-constant",
            type=click.FloatRange(0),
            default=defaults.TIME_CONSTANT,
            show_default=True,
            help=f"Time constant of the filter on predictions, in seconds; 0 disables it{note}.",
        ),
        click.option(
            "--window",
            type=click.FloatRange(0, min_open=True),
            default=defaults.WINDOW,
            show_default=True,
            help=f"Length of the window over which frames vote, in seconds{note}.",
        ),
    )


def threads_option(whose: str = "", *, default: str | None = f"all, at most {defaults.MAX_THREADS}") -> Decorator:
    """``--threads``, of the process or ``whose``; ``default`` describes what is used without it."""
    text = f"Number of processor threads{whose and f' {whose}'}."
    return click.option("--threads", type=click.IntRange(1), help=text, show_default=default)


def seed_option(what: str, default: int | None = 0) -> Decorator:
    """``--seed`` of the random numbers behind ``what``."""
    return click.option(
        "--seed",
        type=click.IntRange(0),
        default=default,
        show_default=default is not None,
        help=f"Seed of {what}.",
    )


data_option = click.option("--data", required=True, type=PATH, help="File written by `mien data prepare`.")
figures_option = click.option("--json", "json_file", type=PATH, help="Write every figure to this JSON file.")
teacher_option = click.option("--teacher", type=PATH, help="Run folder of the teacher, for recipes that distil.")


def split_names(text: str | None) -> tuple[str, ...] | None:
    """``"angry, happy"`` → ``("angry", "happy")``; None stays None."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())
