"""Options that several commands share. Each stands here once: its name, its default, its choices and its help text."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien import defaults
from mien.detect import DETECTORS
from mien.errors import InputError
from mien.files import STDOUT, is_file, is_special, output_file, output_folder
from mien.models.devices import DEVICES, parse_device
from mien.models.priors import DEFAULT, PRIORS
from mien.output_checks import refuse_inputs, refuse_originals
from mien.smoothing.options import FLAGGED

if TYPE_CHECKING:
    from mien.detect.options import DetectionOptions
    from mien.media.selection import FrameSelection
    from mien.smoothing.options import SmoothingOptions
    from mien.tracking.options import TrackingOptions

Decorator = Callable[[Any], Any]

PATH = click.Path(path_type=Path)


class OutputPath(click.Path):
    """A file or a folder that a command writes; `OutputCommand` checks it before the command runs.

    Attributes:
        folder: it is a folder.
        stdout: ``-`` means standard output.
    """

    def __init__(self, *, folder: bool = False, stdout: bool = False) -> None:
        super().__init__(path_type=Path, allow_dash=stdout)
        self.folder, self.stdout = folder, stdout

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; that of standard output for ``-``."""
        path = super().convert(value, param, ctx)
        return STDOUT if self.stdout and path == Path("-") else path


class OnnxPath(OutputPath):
    """A model that is written; other commands know it by its suffix."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, if it ends in .onnx or is a device."""
        path = super().convert(value, param, ctx)
        if path.suffix.lower() != ".onnx" and not is_special(path):
            self.fail(f"{os.fspath(path)!r} does not end in .onnx, by which a model is known.", param, ctx)
        return path


OUTPUT, TABLE, OUTPUT_FOLDER, ONNX = OutputPath(), OutputPath(stdout=True), OutputPath(folder=True), OnnxPath()
"""A file that is written; a table, ``-`` for stdout; a folder that files are written into; a model."""


class OutputCommand(click.Command):
    """A command that writes files: outputs that are inputs, or known to be unwritable, are refused before it runs."""

    def invoke(self, ctx: click.Context) -> Any:
        """Check the outputs, then run."""
        outputs = [p for p in self.params if isinstance(p.type, OutputPath)]
        inputs = [path for p in self.params if p not in outputs for path in _paths(ctx.params.get(p.name or ""))]
        names: dict[Path, str] = {}
        for parameter in outputs:
            output, kind = ctx.params.get(parameter.name or ""), parameter.type
            if isinstance(kind, OutputPath) and isinstance(output, Path):
                refuse_inputs(output, inputs)
                if not kind.folder:
                    refuse_originals(output, inputs)
                if ctx.params.get("list_"):
                    continue  # nothing is written
                target = output_folder(output) if kind.folder else output_file(output)
                if not is_special(target):
                    other = names.setdefault(Path(os.path.abspath(target)), parameter.opts[0])  # noqa: PTH100
                    if other != parameter.opts[0]:
                        raise click.UsageError(f"{other} and {parameter.opts[0]} name the same file: {output}")
        return super().invoke(ctx)


def _paths(value: Any) -> list[Path]:
    """The paths in the value of a parameter; text counts where there is such a file or run folder, not only a name."""
    if isinstance(value, (list, tuple)):
        return [path for one in value for path in _paths(one)]
    if isinstance(value, Path):
        return [value]
    if isinstance(value, str):
        file = value.rpartition("=")[2]
        return [Path(file)] if is_file(file) or is_file(os.path.join(file, "config.json")) else []  # noqa: PTH118
    return []


def combine(*options: Decorator) -> Decorator:
    """One decorator that adds all of these options, in this order."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _as_one(parameter: str, names: Sequence[str], build: Callable[..., Any]) -> Decorator:
    """The command gets ``parameter=build(**values)`` instead of the values of the options of these names."""

    def decorate(command: Any) -> Any:
        @functools.wraps(command)
        def collected(**values: Any) -> Any:
            built = build(**{name: values.pop(name) for name in names})
            return command(**values, **{parameter: built})

        collected.collects = parameter, tuple(names)  # type: ignore[attr-defined]
        return collected

    return decorate


def _detection(detector: str | None, **values: Any) -> DetectionOptions | None:
    from mien.detect.options import DetectionOptions

    return None if detector is None else DetectionOptions(detector, **values)


_OWN_SMALLEST = (
    f"the detector's own; mien: {defaults.SMALLEST_FACE}, above {defaults.SMALLEST_FACE_SIDE:,} pixels 1/"
    f"{defaults.SMALLEST_FACE_SIDE // defaults.SMALLEST_FACE} of the longer side"
)
"""Default of ``--min-face``, in words."""


def detector_options(
    min_face: int | None = defaults.MIN_FACE, *, note: str = "", optional: bool = False, fixed_size: bool = False
) -> Decorator:
    """Which detector runs and how; the command gets ``detection``, a `mien.detect.options.DetectionOptions`.

    Args:
        min_face: the default of ``--min-face``.
        note: what the options are for, in brackets at the end of each help text.
        optional: a detector runs only where ``--detector`` is given; ``detection`` is None where it is not.
        fixed_size: leave ``--min-face`` and ``--max-side`` out, for pictures that are brought to one size before.
    """
    after = f" ({note})." if note else "."
    options: dict[str, Decorator] = {
        "detector": click.option(
            "--detector",
            type=click.Choice(tuple(DETECTORS)),
            default=None if optional else defaults.DETECTOR,
            show_default=not optional,
            help=f"Face detector{after}",
        ),
        "detector_model": click.option(
            "--detector-model",
            type=PATH,
            help=f"Weights of the detector: those of yunet, or detector.onnx of a run of recipe 'detector'{after}",
        ),
        "min_face": click.option(
            "--min-face",
            type=click.IntRange(8),
            default=min_face,
            show_default=_OWN_SMALLEST if min_face is None else True,
            help=f"Height of the smallest face to detect, in pixels{after}",
        ),
        "threshold": click.option(
            "--threshold",
            type=click.FloatRange(0, 1),
            help=f"Lowest score of a detected face{after}",
            show_default="the detector's own",
        ),
        "max_side": click.option(
            "--max-side",
            type=click.IntRange(1),
            help=f"Shrink pictures whose longer side is larger, in pixels, before detection{after}",
        ),
    }
    if fixed_size:
        del options["min_face"], options["max_side"]
        build: Callable[..., Any] = functools.partial(_detection, min_face=min_face)
    else:
        build = _detection
    return combine(*options.values(), _as_one("detection", tuple(options), build))


def _model_names(context: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
    return () if value == "none" else split_names(value) or ()


def _models(models: tuple[str, ...], **instead: str | None) -> tuple[str, ...]:
    """The models, with another one, or none, in the place of those that have a short option of their own."""
    for name, model in instead.items():
        if model is not None:
            chosen = () if model == "none" else (f"{name}={model}",)
            at = models.index(name) if name in models else len(models)
            models = (*models[:at], *chosen, *models[at + 1 :])
    return models


models_option = combine(
    click.option(
        "--models",
        default=",".join(defaults.MODELS),
        show_default=True,
        metavar="MODEL,…",
        callback=_model_names,
        help="Models to run on every face: names, .onnx files or NAME=FILE; the first is shown first; 'none' for none.",
    ),
    *(
        click.option(
            f"--{name}", metavar="MODEL", help=f"Model instead of {name!r} in --models; 'none' to leave it out."
        )
        for name in defaults.MODELS
    ),
    _as_one("models", ("models", *defaults.MODELS), _models),
)
"""Which models run on every face."""

prior_option = click.option(
    "--prior",
    default=DEFAULT,
    show_default=True,
    type=click.Choice(list(PRIORS)),
    help="Expected frequencies of labels: as in photos, balanced (posed or acted faces, all ages), or in between.",
)
coverage_options = combine(
    click.option(
        "--coverage",
        type=click.FloatRange(0.5, 0.99),
        help="Also report the set of labels, or interval of ages, that contains the right one with this probability.",
    ),
    click.option(
        "--by-class", is_flag=True, help="Make this probability hold for the faces of each label (--coverage)."
    ),
)
"""Sets of labels; the command gets ``coverage`` and ``by_class``."""


def refuse_json_file(given: str) -> None:
    """Raise for an input that was meant as the file of ``--json``, which prints on stdout.

    Raises:
        click.UsageError: the name is that of a JSON file.
    """
    if given.lower().endswith((".json", ".jsonl")):
        raise click.UsageError(f"--json prints on stdout and takes no file: leave {given} out, and add > {given}")


def _device(context: click.Context, option: click.Parameter, value: str) -> str:
    try:
        return str(parse_device(value))
    except InputError as error:
        raise click.BadParameter(str(error)) from None


device_option = click.option(
    "--device",
    default=defaults.DEVICE,
    show_default=True,
    metavar="DEVICE",
    callback=_device,
    help=f"Device that runs the networks: {', '.join(DEVICES)}; the processor if it does not load ('mien doctor').",
)
"""What networks run on."""
flip_option = click.option("--flip", is_flag=True, help="Average with the mirrored face: slightly better, slower.")


def _selection(**values: Any) -> FrameSelection:
    from mien.media.selection import FrameSelection

    return FrameSelection(**values)


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
    _as_one("selection", ("every", "fps", "start", "end"), _selection),
)
"""Which frames of a video are analysed; the command gets ``selection``, a `mien.media.selection.FrameSelection`."""


def _tracking(**values: Any) -> TrackingOptions:
    from mien.tracking.options import TrackingOptions

    return TrackingOptions(**values)


def _smoothing(**values: Any) -> SmoothingOptions:
    from mien.smoothing.options import SmoothingOptions

    return SmoothingOptions(**values)


def tracking_options(detect_every: int = defaults.DETECT_EVERY, *, note: str = " (videos)") -> Decorator:
    """How the faces of a video are tracked and smoothed; the command gets ``tracking`` and ``smoothing``.

    They are a `mien.tracking.options.TrackingOptions` and a `mien.smoothing.options.SmoothingOptions`.
    """
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
        click.option(
            "--flagged",
            type=click.Choice(FLAGGED),
            default=defaults.FLAGGED,
            show_default=True,
            help="Frames in which a face is turned, small, dark, blurred, covered or unlike the training images: keep "
            f"them, give them less weight, or leave them out{note}.",
        ),
        _as_one("tracking", ("detect_every",), _tracking),
        _as_one("smoothing", ("time_constant", "window", "flagged"), _smoothing),
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
figures_option = click.option("--json", "json_file", type=OUTPUT, help="Write every figure to this JSON file.")
teacher_option = click.option(
    "--teacher", type=PATH, help="Run folder or stored predictions (.npz) of the teacher, for recipes that distil."
)


_NAME = re.compile(r'\s*"((?:[^"]|"")*)"\s*(?:,|\Z)|([^,]*)(?:,|\Z)')
"""A name of a list, in quotes or plain, up to the next comma."""


def split_names(text: str | None) -> tuple[str, ...] | None:
    """``'angry, "calm, relaxed"'`` → ``("angry", "calm, relaxed")``, quotes as in CSV; None stays None."""
    if text is None:
        return None
    found = (quoted.replace('""', '"') or plain for quoted, plain in _NAME.findall(text))
    return tuple(name.strip() for name in found if name.strip())


def parse_shares(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[float, float, float] | None:
    """``"70,15,15"`` → ``(70.0, 15.0, 15.0)``, the shares of train, validation and test."""
    if value is None:
        return None
    try:
        train, validation, test = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not three numbers, such as 80,10,10.") from None
    return train, validation, test
