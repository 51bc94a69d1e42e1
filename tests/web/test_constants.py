"""Numbers that scripts of the page hold themselves are those of the Python modules; all others come from there."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from mien import defaults, distributions, geometry, resampling
from mien.detect import landmark_refinement
from mien.models.card import METADATA_KEY
from mien.pipeline import video
from mien.predict import align
from mien.results.view import FLAGS
from mien.smoothing.options import TIME_TOLERANCE
from mien.web.page_files import page_files

CONSTANTS = [
    ("align.js", "MIN_SPREAD", align.MIN_SPREAD),
    ("align.js", "MIN_CORRELATION", align.MIN_CORRELATION),
    ("align.js", "MAX_KEPT_ROLL", align.MAX_KEPT_ROLL),
    ("align.js", "FALLBACK", align.FALLBACK_BOX),
    ("detector.js", "MIRROR", landmark_refinement.MIRROR),
    ("networks.js", "MOST_THREADS", defaults.MAX_THREADS),
    ("onnx_card.js", "KEY", METADATA_KEY),
    ("onnx_card.js", "SECONDS", defaults.POOLED_INTERVAL),
    ("pipeline.js", "MIN_PROBABILITY", distributions.MIN_PROBABILITY),
    ("pixels.js", "LUMA", tuple(np.round(resampling.LUMA.astype(float), 6))),
    ("pixels.js", "EXACT", resampling.EXACT),
    ("pixels.js", "NARROW", resampling.NARROW),
    ("pixels.js", "GRID", geometry.GRID),
    ("pixels.js", "PARTS", resampling.STEPS),
    ("time_tolerance.js", "TIME_TOLERANCE", TIME_TOLERANCE),
    ("video_pipeline.js", "INTERVAL_TOLERANCE", video.INTERVAL_TOLERANCE),
]


def value(name: str, constant: str) -> object:
    """The constant of a script: a number, a text or a tuple of numbers."""
    text = page_files()[name].decode()
    (found,) = re.findall(rf"^(?:export )?const {constant} = (.*?);", text, re.MULTILINE)
    if found.startswith("["):
        return tuple(float(one) for one in found[1:].split("]")[0].split(","))
    if found.startswith('"'):
        return found.strip('"')
    return eval(found.replace("Math.PI", repr(math.pi)), {"__builtins__": {}})


@pytest.mark.parametrize(("name", "constant", "expected"), CONSTANTS, ids=[f"{n} {c}" for n, c, _ in CONSTANTS])
def test_constants_of_scripts_are_those_of_python(name: str, constant: str, expected: object) -> None:
    assert value(name, constant) == (pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else expected)


def test_the_page_has_a_line_for_every_flag_of_a_face() -> None:
    (block,) = re.findall(r"const FLAGS = \{(.*?)\};", page_files()["face_card.js"].decode(), re.DOTALL)
    assert re.findall(r"^  (\w+):", block, re.MULTILINE) == list(FLAGS)
