"""Times of live frames grow, by the sender's timestamps where they can be used."""

from __future__ import annotations

import itertools

import pytest

from mien.media.live_clock import LiveClock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, which a test sets."""
    time = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: time[0])
    return time


def test_frames_without_timestamps_have_the_time_of_their_arrival(now: list[float]) -> None:
    clock = LiveClock(recording=False)
    times = []
    for step in (0.0, 0.1, 0.0, 2.0):
        now[0] += step
        times.append(clock.stamp_frame(None, bursty=False))
    assert times == pytest.approx([0.0, 0.1, 0.101, 2.1])
    assert all(a < b for a, b in itertools.pairwise(times))


def test_timestamps_are_used_while_they_are_near_the_time_of_arrival(now: list[float]) -> None:
    clock = LiveClock(recording=False)
    assert clock.stamp_frame(7.0, bursty=False) == 0.0
    now[0] += 0.5
    assert clock.stamp_frame(7.04, bursty=False) == pytest.approx(0.04)
    now[0] += 1.0
    assert clock.stamp_frame(900.0, bursty=False) == pytest.approx(1.5)  # more than 5 seconds off: aligned again
    now[0] += 1.0
    assert clock.stamp_frame(900.04, bursty=False) == pytest.approx(1.54)


def test_bursts_may_be_further_ahead_and_recordings_any_distance(now: list[float]) -> None:
    bursts = LiveClock(recording=False)
    assert [bursts.stamp_frame(t, bursty=True) for t in (0.0, 30.0)] == pytest.approx([0.0, 30.0])
    assert bursts.seconds_until(30.0) == pytest.approx(30.0)
    recording = LiveClock(recording=True)
    assert [recording.stamp_frame(t, bursty=False) for t in (0.0, 3600.0)] == pytest.approx([0.0, 3600.0])


def test_a_new_connection_starts_its_timestamps_again(now: list[float]) -> None:
    clock = LiveClock(recording=False)
    clock.stamp_frame(5.0, bursty=False)
    now[0] += 2.0
    clock.restart()
    assert clock.stamp_frame(77.0, bursty=False) == pytest.approx(2.0)
