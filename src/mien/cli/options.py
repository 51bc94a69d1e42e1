"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

# the names of mien.detect.DETECTORS, written out because importing that would load NumPy for --help; a test compares
DETECTORS = ("mtcnn", "res10", "haar", "yunet")

Decorator = Callable[[Any], Any]


def _together(*options: Decorator) -> Decorator:
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


analyzer_options = _together(
    click.option("--detector", type=click.Choice(DETECTORS), default="mtcnn", show_default=True),
    click.option(
        "--detector-model", type=click.Path(path_type=Path), help="Weights of a detector that ships none (yunet)."
    ),
    click.option("--min-face", type=click.IntRange(8), default=40, show_default=True, help="Smallest face, pixels."),
    click.option("--emotion", default="emotion", show_default=True, help="Model name or .onnx file; 'none' for none."),
    click.option("--age", default="age", show_default=True, help="Model name or .onnx file; 'none' for none."),
    click.option("--flip", is_flag=True, help="Average with the mirrored face: a little better, slower."),
)
"""How pictures are analysed."""
frame_options = _together(
    click.option("--every", type=click.IntRange(1), default=1, help="Videos: take every N-th frame."),
    click.option("--fps", type=click.FloatRange(0, min_open=True), help="Videos: take about F frames a second."),
    click.option("--start", type=click.FloatRange(0), help="Videos: start at this second."),
    click.option("--end", type=click.FloatRange(0), help="Videos: end at this second."),
)
"""Which frames of a video are taken."""
follow_options = _together(
    click.option(
        "--detect-every", type=click.IntRange(1), default=1, help="Videos: search every N-th frame, carry between."
    ),
    click.option("--smooth", type=click.FloatRange(0), default=0.5, show_default=True, help="Videos: filter, seconds."),
    click.option(
        "--window",
        type=click.FloatRange(0, min_open=True),
        default=4.0,
        show_default=True,
        help="Videos: vote, seconds.",
    ),
)
"""How the faces of a video are followed."""
