"""Numbers that callers pass: NumPy's are taken, and anything else is an error that names the argument."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien import Analyzer, Faces
from mien.arguments import plain_number, whole_number
from mien.detect.options import DetectionOptions
from mien.errors import InputError
from mien.exchange.formats import parse_formats
from mien.media.open import open_source
from mien.media.selection import FrameSelection
from mien.smoothing.options import SmoothingOptions
from mien.tracking.options import TrackingOptions


@pytest.mark.parametrize(
    ("value", "plain"),
    [(2, 2), (np.int64(2), 2), (np.array(2), 2), (2.5, 2.5), (np.float32(2.5), 2.5), (Fraction(5, 2), 2.5)],
)
def test_numbers_of_any_kind_become_pythons_own(value: Any, plain: float) -> None:
    found = plain_number("fps", value)
    assert (type(found), found) == (type(plain), plain)


@pytest.mark.parametrize("value", ["2", True, None, [2], 2j, np.zeros(2), np.bool_(True)])
def test_what_is_no_number_is_refused_by_name(value: Any) -> None:
    for function in (plain_number, whole_number):
        with pytest.raises(InputError, match=r"every is a (whole )?number, got"):
            function("every", value)


def test_fractions_are_no_whole_numbers() -> None:
    with pytest.raises(InputError, match=r"threads is a whole number, got 1\.5"):
        whole_number("threads", 1.5)


@pytest.mark.parametrize(
    "options",
    [
        DetectionOptions(min_face=np.int64(40), threshold=np.float32(0.5), max_side=np.int32(300)),
        FrameSelection(every=np.int64(2), fps=np.float32(5), start=np.float64(1), end=np.int16(9)),
        TrackingOptions(detect_every=np.int64(3), max_gap=np.float32(1)),
        SmoothingOptions(time_constant=np.float32(0.5), window=np.int64(2)),
    ],
    ids=lambda options: type(options).__name__,
)
def test_options_from_numpy_can_be_stored_as_json(options: Any) -> None:
    assert json.loads(json.dumps(asdict(options))) == asdict(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 1.5}, "threads is a whole number"),
        ({"threads": "2"}, "threads is a whole number, got '2', a text"),
        ({"min_face": "40"}, "min_face is a number"),
        ({"min_face": float("nan")}, "min_face is a size in pixels and must be at least 1, got nan"),
        ({"threshold": "0.5"}, "threshold is a number"),
        ({"max_side": "300"}, "max_side is a number"),
        ({"coverage": "0.9", "models": ["emotion"]}, "coverage is a number"),
        ({"models": None}, "models is a list of models, got None"),
        ({"models": 5}, "models is a list of models, got 5"),
        ({"models": Path("own.onnx")}, "models is a list of models"),
        ({"models": [5]}, "a model is a name, a file or a Model, got 5"),
        ({"models": {1: "emotion"}}, "no model 1"),
        ({"detector": 5}, "detector is a name or a detector, got 5"),
        ({"device": None}, "device is a name, got None"),
        ({"device": 0}, "device is a name, got 0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_analyzer_names_the_option_that_is_of_another_type(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Analyzer(**({"models": []} | options))


def test_an_option_of_a_video_that_is_of_another_type_is_named() -> None:
    for options, message in (({"every": "2"}, "every is a whole"), ({"fps": "5"}, "fps is a number")):
        with pytest.raises(InputError, match=message):
            FrameSelection(**options)
    with pytest.raises(InputError, match="window is a number"):
        SmoothingOptions(window="2")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="detect_every is a whole"):
        TrackingOptions(detect_every=2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tracking": {"detect_every": 2}}, "tracking is a value of TrackingOptions"),
        ({"smoothing": 0.5}, "smoothing is a value of SmoothingOptions, got 0.5"),
        ({"on_progress": 5}, "on_progress is a function, got 5"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_stages_of_a_video_of_another_type_are_named(options: dict[str, Any], message: str) -> None:
    frames = np.zeros((1, 48, 64, 3), np.uint8)
    with Analyzer(models=[], threads=1) as analyzer, pytest.raises(InputError, match=message):
        analyzer.video(frames, color="rgb", **options)


def test_blur_and_formats_of_another_type_are_named() -> None:
    faces = Faces.empty((64, 48))
    with pytest.raises(InputError, match="blur is a Blur, got 'all'"):
        faces.draw(np.zeros((48, 64, 3), np.uint8), blur="all")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"formats is a list of formats, got the string 'boris'"):
        parse_formats("boris")


def test_the_number_of_a_camera_may_be_of_numpy() -> None:
    with pytest.raises(InputError, match="cameras are numbered from 0, got -1"):
        open_source(np.int64(-1))  # type: ignore[arg-type]
