"""Frames in which a face is flagged: counted as others, with less weight, or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mien import defaults
from mien.errors import InputError
from mien.models.card import Head
from mien.results.faces import Faces
from mien.results.prediction import Predictions
from mien.results.track import Track
from mien.smoothing.look_ahead import LookAheadSmoother
from mien.smoothing.options import SmoothingOptions
from mien.smoothing.smoother import Smoother

MOOD, AGE = Head("mood", ("calm", "tense")), Head("age", ("0-9", "10-99"), ordered=True)
HEADS = {"mood": MOOD, "age": AGE}
CALM, TENSE = (0.9, 0.1), (0.1, 0.9)


def face(mood: Sequence[float], *, dark: bool) -> Faces:
    found = Faces.detected(np.array([[10, 10, 80, 80]]), np.ones(1), None, (100, 100))
    light = 10.0 if dark else 120.0
    return replace(
        found,
        tracks=np.array([1], np.int64),
        measures=np.array([[light, 0.9, np.nan, np.nan]], np.float32),
        predictions={name: Predictions(head, np.array([mood], np.float32)) for name, head in HEADS.items()},
    )


def track(kind: type[Smoother] | type[LookAheadSmoother], flagged: str) -> Track:
    """Two seconds calm in good light, two seconds tense in the dark, at 20 frames per second."""
    smoother = kind(HEADS, SmoothingOptions(flagged=flagged), interval=0.05)
    for i in range(80):
        if i == 50:  # the state, with its weights, goes through JSON
            again = kind(HEADS, SmoothingOptions(flagged=flagged), interval=0.05)
            again.restore(json.loads(json.dumps(smoother.state())))
            smoother = again
        smoother.update(i, i / 20, face(TENSE if i >= 40 else CALM, dark=i >= 40))
    if isinstance(smoother, LookAheadSmoother):
        smoother.finish()
    return smoother.tracks()[0]


@pytest.mark.parametrize("kind", [Smoother, LookAheadSmoother])
def test_flagged_frames_count_fully_less_or_not_at_all(kind: type[Smoother] | type[LookAheadSmoother]) -> None:
    found = {way: track(kind, way).predictions for way in ("keep", "weigh", "leave-out")}
    mean = {way: one["mood"].probabilities["tense"] for way, one in found.items()}
    assert mean["keep"] == pytest.approx(0.5, abs=0.02)
    w = defaults.FLAGGED_WEIGHT
    assert mean["weigh"] == pytest.approx((0.1 + 0.9 * w) / (1 + w), abs=0.02)
    assert mean["leave-out"] == pytest.approx(0.1, abs=1e-6)
    assert [e.label for e in found["leave-out"]["mood"].episodes] == ["calm"]
    assert "tense" in [e.label for e in found["keep"]["mood"].episodes]
    votes = {way: one["mood"].vote for way, one in found.items()}
    assert votes["leave-out"] is not None
    assert votes["leave-out"].n == 40
    pooled = {way: one["age"].probabilities["10-99"] for way, one in found.items()}
    assert pooled["keep"] > pooled["weigh"] > pooled["leave-out"] == pytest.approx(0.1, abs=1e-6)


def test_another_way_is_refused() -> None:
    with pytest.raises(InputError, match="flagged is one of keep, weigh, leave-out"):
        SmoothingOptions(flagged="drop")
