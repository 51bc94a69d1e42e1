"""Selections are validated when they are made, and select the same frames in every run."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mien.errors import InputError
from mien.media.selection import ALL_FRAMES, FrameSelection, FrameSelector


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every is a whole number from 1, got 0"),
        ({"every": 1.5}, "every is a whole number, got 1.5"),
        ({"fps": 0}, "fps is a number above 0, got 0"),
        ({"fps": float("nan")}, "fps is a number above 0, got nan"),
        ({"start": -1}, "start is a number from 0, got -1"),
        ({"end": 0}, "end is a number above 0, got 0"),
        ({"start": 2, "end": 1}, "end lies after start, got start=2 and end=1"),
    ],
)
def test_options_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FrameSelection(**options)  # type: ignore[arg-type]


def test_options_that_exclude_each_other() -> None:
    with pytest.raises(InputError, match="give every or fps, not both"):
        FrameSelector(FrameSelection(every=2, fps=5), 25.0)
    with pytest.raises(InputError, match="after is the number of a frame, from 0, got -1"):
        FrameSelector(ALL_FRAMES, 25.0, after=-1)


def test_expected_frames() -> None:
    assert ALL_FRAMES.expected_frames(100, None, None) == 100
    assert ALL_FRAMES.expected_frames(None, 4.0, 25.0) == 100
    assert FrameSelection(every=3).expected_frames(100, 4.0, 25.0) == 34
    assert FrameSelection(start=1.0, end=3.0).expected_frames(100, 4.0, 25.0) == 50
    assert FrameSelection(fps=5).expected_frames(100, 4.0, 25.0) == 20
    assert FrameSelection(every=3).expected_frames(None, None, 25.0) is None


@given(st.floats(1, 60), st.floats(0.5, 80), st.integers(20, 200), st.integers(0, 2))
@example(rate=30.0, fps=30.0, frames=200, digits=0)
@example(rate=59.8125, fps=61.59375, frames=20, digits=0)
def test_a_rate_is_kept_whatever_the_frames_times(rate: float, fps: float, frames: int, digits: int) -> None:
    times = [round(i / rate, 3 + digits) for i in range(frames)]
    selector = FrameSelector(FrameSelection(fps=fps), rate)
    taken = [time for i, time in enumerate(times) if selector.selects(i, time)]
    assert taken[0] == 0.0
    # rounded times may be nearer to each other than the frames are, and nearer than 1/fps
    if fps == rate or (fps > rate and min(b - a for a, b in itertools.pairwise(times)) >= 1 / fps):
        assert taken == times
    else:
        tolerance = 5 if abs(fps / rate - 1) < 0.05 else 2
        assert len(taken) == pytest.approx(frames / rate * min(fps, rate), abs=tolerance)
        assert all(b - a < 1 / fps + 1 / rate + 0.01 for a, b in itertools.pairwise(taken))
