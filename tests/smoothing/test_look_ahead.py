"""Files: nothing is late, no label is short, memory is bounded, and a saved smoother continues exactly."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers.faces import age_head, emotion_head, predictions
from mien.errors import InputError
from mien.results.faces import Faces
from mien.smoothing import SmoothedFaces, Smoother, SmoothingOptions
from mien.smoothing.look_ahead import LookAheadSmoother

AB = ("a", "b")
TWO_AGES = ((0, 19), (20, 39))
HEADS = {"emotion": emotion_head(AB), "age": age_head(TWO_AGES)}


def faces(p: float | None = None, tracks: Sequence[int] = (1,), *, age: float | None = None) -> Faces:
    """The faces of these tracks, each with the probability p of "a"; without predictions for None."""
    n = len(tracks)
    bare = Faces.detected(np.tile([10, 10, 60, 70], (n, 1)), np.full(n, 0.9), None, (640, 480))
    bare = replace(bare, tracks=np.array(tracks, np.int64))
    if p is not None:
        bare = bare.with_predictions(predictions(emotions=np.tile(np.float32([p, 1 - p]), (n, 1)), emotion_labels=AB))
    if age is not None:
        bare = bare.with_predictions(predictions(ages=np.tile(np.float32([age, 1 - age]), (n, 1)), age_bins=TWO_AGES))
    return bare


def run(rows: Sequence[float | None], times: Sequence[float], **options: Any) -> list[SmoothedFaces]:
    """One face; "gone" for None."""
    smoother = LookAheadSmoother(HEADS, SmoothingOptions(**options))
    out = []
    for i, (row, time) in enumerate(zip(rows, times, strict=True)):
        out += smoother.update(i, time, faces(tracks=()) if row is None else faces(row))
    return out + smoother.finish()


def labels(results: Sequence[SmoothedFaces]) -> list[str | None]:
    return [one.nominal["emotion"].labels[0] for one in results if len(one.faces)]


def filtered(results: Sequence[SmoothedFaces]) -> NDArray[np.float32]:
    return np.array([one.nominal["emotion"].probabilities[0, 0] for one in results if len(one.faces)])


def at(fps: float, n: int) -> list[float]:
    return [i / fps for i in range(n)]


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_a_step_is_followed_at_its_frame(fps: int) -> None:
    n = 4 * fps
    results = run([0.9] * n + [0.1] * n, at(fps, 2 * n))
    assert labels(results) == ["a"] * n + ["b"] * n
    values = filtered(results)
    assert abs(int(np.argmax(values < 0.5)) - n) <= 1
    np.testing.assert_allclose(values[: 2 * fps], 0.9, atol=1e-6)
    # as much before the step as after it
    np.testing.assert_allclose(values[n - fps : n] + values[n : n + fps][::-1], 1.0, atol=0.02)


def test_a_smile_of_half_a_second_keeps_its_place_and_length() -> None:
    rows = [0.9] * 50 + [0.1] * 13 + [0.9] * 50
    assert labels(run(rows, at(25, len(rows)))) == ["a"] * 50 + ["b"] * 13 + ["a"] * 50


@given(st.integers(0, 10_000), st.sampled_from([8, 25, 50]), st.sampled_from([0.1, 0.3, 0.6]))
@settings(max_examples=40, deadline=None)
def test_no_label_is_shorter_than_it_may_be(seed: int, fps: int, least: float) -> None:
    """Whatever the network predicts, and however often the face is lost."""
    rng = np.random.default_rng(seed)
    rows = [None if rng.random() < 0.1 else float(p) for p in np.repeat(rng.random(60), rng.integers(1, 9, 60))]
    results = run(rows, at(fps, len(rows)), min_label=least, change_cost=float(rng.choice([0.0, 0.05])))
    lengths = [len(list(group)) / fps for _, group in groupby(labels(results))]
    if len(lengths) > 1:
        assert min(lengths) >= least - 1e-6


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_live_labels_are_not_shorter_either(seed: int) -> None:
    rng = np.random.default_rng(seed)
    smoother = Smoother(HEADS, SmoothingOptions(time_constant=0.0, margin=0.0, hold=0.0, settle=0.0))
    shown = []
    for i, p in enumerate(np.repeat(rng.random(60), rng.integers(1, 9, 60))):
        shown.append(smoother.update(i, i / 25, faces(float(p))).nominal["emotion"].labels[0])
    lengths = [len(list(group)) / 25 for _, group in groupby(shown)]
    assert min(lengths[:-1], default=1.0) >= 0.3 - 1e-6


def test_the_filter_is_a_symmetric_mean() -> None:
    """Against the sum itself, with frames of any length and a gap."""
    rng = np.random.default_rng(5)
    times = np.cumsum(rng.uniform(0.02, 0.2, 60)).tolist()
    rows = [None if 20 <= i < 24 else float(p) for i, p in enumerate(rng.random(60))]
    values = filtered(run(rows, times, time_constant=0.4))
    lengths = [0.04, *np.diff(times).tolist(), times[-1] - times[-2]]
    seen = [
        (t, (lengths[i] + lengths[i + 1]) / 2, p)
        for i, (t, p) in enumerate(zip(times, rows, strict=True))
        if p is not None
    ]
    seen[-1] = (seen[-1][0], lengths[-2], seen[-1][2])  # nothing follows the last frame
    for (now, _, _), value in zip(seen, values, strict=True):
        weights = [w * (1 + math.cos(math.pi * (t - now) / 0.6)) if abs(t - now) < 0.6 else 0.0 for t, w, _ in seen]
        expected = sum(w * p for w, (_, _, p) in zip(weights, seen, strict=True)) / sum(weights)
        assert value == pytest.approx(expected, abs=1e-5)


def test_without_a_filter_the_frames_are_as_they_are() -> None:
    rows = np.random.default_rng(1).random(30).tolist()
    np.testing.assert_allclose(filtered(run(rows, at(25, 30), time_constant=0.0)), rows, atol=1e-6)


def test_every_frame_comes_once_in_order_and_waits_no_longer_than_stated() -> None:
    options = SmoothingOptions(time_constant=0.4)
    smoother = LookAheadSmoother(HEADS, options)
    returned = 0
    for i in range(100):
        returned += len(smoother.update(i, i / 25, faces(0.7, tracks=() if i % 10 == 3 else (1,))))
        assert returned + smoother.waiting == i + 1
        assert smoother.waiting <= round(25 * options.look_ahead) + 1
    assert returned + len(smoother.finish()) == 100
    assert smoother.waiting == 0


def test_memory_does_not_grow_with_the_video() -> None:
    smoother = LookAheadSmoother(HEADS)
    sizes = []
    for i in range(1500):
        track = 1 + i // 200
        smoother.update(i, i / 25, faces(0.9 if i % 40 < 20 else 0.1, (track,)), [track - 1] if i % 200 == 0 else [])
        sizes.append(len(json.dumps(smoother.state()["windows"])))
    assert max(sizes[1000:]) <= 1.1 * max(sizes[:300])


def test_predictions_that_come_late_label_the_frames_before() -> None:
    results = run([0.8] * 10, at(25, 10))
    assert labels(results) == ["a"] * 10
    smoother = LookAheadSmoother(HEADS)
    out = [one for i in range(10) for one in smoother.update(i, i / 25, faces(0.8 if i >= 3 else None))]
    assert labels(out + smoother.finish()) == ["a"] * 10
    smoother = LookAheadSmoother(HEADS)
    out = [one for i in range(10) for one in smoother.update(i, i / 25, faces())]
    assert labels(out + smoother.finish()) == [None] * 10


def test_the_summary_agrees_with_what_was_returned() -> None:
    rows = [0.9] * 50 + [0.1] * 25 + [0.9] * 25
    smoother = LookAheadSmoother(HEADS)
    shown = labels(
        [one for i, p in enumerate(rows) for one in smoother.update(i, i / 25, faces(p))] + smoother.finish()
    )
    (track,) = smoother.tracks()
    shares = track.predictions["emotion"].shares
    assert shares["a"] == pytest.approx(shown.count("a") / 100, abs=1e-6)
    episodes = [(e.label, e.start, e.end) for e in track.predictions["emotion"].episodes]
    assert episodes == [("a", 0.0, pytest.approx(2.0)), ("b", 2.0, pytest.approx(3.0)), ("a", 3.0, pytest.approx(4.0))]


@pytest.mark.parametrize("stop", [0, 1, 17, 30, 55, 79])
def test_a_restored_one_continues_exactly(stop: int) -> None:
    rng = np.random.default_rng(stop)
    inputs = [
        (i / 25, faces(float(rng.random()), () if 40 <= i < 45 else (1, 2), age=0.6 if i % 5 == 0 else None))
        for i in range(80)
    ]
    whole, first, second = (LookAheadSmoother(HEADS) for _ in range(3))
    expected = [one for i, (t, f) in enumerate(inputs) for one in whole.update(i, t, f)]
    got = [one for i, (t, f) in enumerate(inputs[:stop]) for one in first.update(i, t, f)]
    second.restore(json.loads(json.dumps(first.state())))
    assert second.state() == first.state()
    got += [one for i, (t, f) in enumerate(inputs[stop:], stop) for one in second.update(i, t, f)]
    for a, b in zip(expected + whole.finish(), got + second.finish(), strict=True):
        assert a.nominal["emotion"].labels == b.nominal["emotion"].labels
        np.testing.assert_array_equal(a.nominal["emotion"].probabilities, b.nominal["emotion"].probabilities)
        np.testing.assert_array_equal(a.faces.boxes, b.faces.boxes)
    assert [repr(track) for track in whole.tracks()] == [repr(track) for track in second.tracks()]


def test_a_state_of_other_models_or_options_is_refused() -> None:
    smoother = LookAheadSmoother(HEADS)
    smoother.update(0, 0.0, faces(0.5))
    for other in (
        LookAheadSmoother({"emotion": emotion_head(("a", "b", "c"))}),
        LookAheadSmoother(HEADS, SmoothingOptions(min_label=0.2)),
    ):
        with pytest.raises(InputError, match="the saved state is of other"):
            other.restore(smoother.state())


def test_frames_out_of_order_and_faces_without_tracks_are_refused() -> None:
    smoother = LookAheadSmoother(HEADS)
    smoother.update(0, 1.0, faces(0.5))
    with pytest.raises(InputError, match="pass frames in order of time"):
        smoother.update(1, 0.5, faces(0.5))
    with pytest.raises(InputError, match="need their tracks"):
        smoother.update(1, 1.5, replace(faces(0.5), tracks=None))


def test_an_age_range_moves_only_on_clear_evidence() -> None:
    """A smile that makes a face look a little older does not change the range of the track."""
    smoother = LookAheadSmoother(HEADS)
    results = []
    for i in range(200):
        # the pool of this smile would lead by 0.06 in the end
        results += smoother.update(i, i / 25, faces(0.5, age=0.56 if i < 50 else 0.45))
    ranges = [int(one.pooled["age"].probabilities[0].argmax()) for one in results + smoother.finish()]
    assert set(ranges) == {0}
    assert smoother.tracks()[0].predictions["age"].label == "0-19"
    for i in range(200, 600):
        results += smoother.update(i, i / 25, faces(0.5, age=0.2))
    assert int(results[-1].pooled["age"].probabilities[0].argmax()) == 1
