"""Cameras and streams across interruptions: broken in every way a network breaks."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from helpers.clips import number_of, numbered
from helpers.network_camera import Sender
from helpers.waiting import PATIENCE
from mien.errors import InputError, VideoError
from mien.media.connection import ConnectionLostError, ReceivedFrame, ReconnectPolicy
from mien.media.live import LiveSource, open_live
from mien.media.selection import FrameSelection

QUICK = ReconnectPolicy(max_attempts=3, first_wait=0.05, max_wait=0.1)


class Clock:
    """A time that passes where it is read, so that the load of the machine counts for nothing."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Clock]:
    """Gives live sources a clock that goes on by so many seconds each time that it is read."""

    def use(step: float) -> Clock:
        made = Clock(step)
        for module in ("live", "live_clock"):
            monkeypatch.setattr(f"mien.media.{module}.time", made)
        return made

    return use


def seconds_in(pattern: str, line: str) -> float:
    """The seconds that a line states where the pattern has "#"."""
    found = re.search(pattern.replace("#", r"(\d+\.\d)"), line)
    assert found is not None, line
    return float(found[1])


def test_frames_of_a_network_camera(sender: Callable[..., Sender], clock: Callable[[float], Clock]) -> None:
    clock(1 / 50)
    made = sender([("frames", 40)])
    with open_live(made.address, FrameSelection(end=0.5)) as live:
        info = live.info
        frames = list(live)
    assert (info.width, info.height, info.rate, info.codec, info.live) == (64, 48, None, "mjpeg", True)
    assert [frame.index for frame in frames] == [number_of(frame.rgb) for frame in frames] == list(range(len(frames)))
    assert len(frames) in (25, 26)  # 0.5 seconds, but for what is rounded
    times = [frame.time for frame in frames]
    assert times[0] == 0.0
    assert all(a < b < 0.5 for a, b in itertools.pairwise(times))
    assert (live.lost, live.dropped, live.gaps, live.problems) == (0, 0, 0, ())


def test_no_message_or_result_holds_the_password(sender: Callable[..., Sender]) -> None:
    made = sender([("frames", 3)])
    with open_live(made.address, reconnect=QUICK) as live:
        frames = list(live)
    reported = [live.info.name, str(frames[0].source), *live.problems]
    with pytest.raises(VideoError) as caught:
        open_live(made.address)
    reported.append(str(caught.value))
    assert live.problems
    assert not any("secret" in line or "hidden" in line for line in reported)
    assert live.info.name == frames[0].source == f"http://user@127.0.0.1:{made.port}/cam?…"


def test_a_stream_that_breaks_is_connected_again(sender: Callable[..., Sender]) -> None:
    made = sender([("frames", 8)], [("status", 503)], [("frames", 5)], [("frames", 5)])
    with open_live(made.address, reconnect=QUICK) as live:
        frames = list(live)
    assert [number_of(frame.rgb) for frame in frames] == [frame.index for frame in frames] == list(range(18))
    assert (live.gaps, live.gave_up) == (3, True)
    first, second, third = live.problems
    assert seconds_in(r"^at # s the connection broke \(", first) < PATIENCE
    for line, outcome in ((first, "connected again after"), (second, "connected again after"),
                          (third, "given up after 3 attempts in")):  # fmt: skip
        assert 0 < seconds_in(f"; {outcome} #", line) < PATIENCE
    assert third.endswith("answers with an error; check the address")
    times = [frame.time for frame in frames]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert times[8] - times[7] > 0.14  # two waits of 0.05 and 0.1 seconds


def test_a_stream_that_stalls_is_connected_again(sender: Callable[..., Sender]) -> None:
    made = sender([("frames", 5), ("pause", PATIENCE)], [("frames", 5), ("pause", PATIENCE)])
    begun = time.monotonic()
    # longer than a busy machine lets the sender wait between two of its pictures
    with open_live(made.address, stall=2.0, reconnect=replace(QUICK, max_attempts=1)) as live:
        frames = list(live)
    assert time.monotonic() - begun < PATIENCE / 2
    assert [number_of(frame.rgb) for frame in frames] == list(range(10))
    assert 2 <= seconds_in("no picture for 2 s; connected again after #", live.problems[0]) < PATIENCE
    assert 2 <= seconds_in("no picture for 2 s; given up after 1 attempt in #", live.problems[1]) < PATIENCE


def test_giving_up_after_a_time(sender: Callable[..., Sender], clock: Callable[[float], Clock]) -> None:
    clock(0.25)
    made = sender([("frames", 3)])
    with open_live(
        made.address, reconnect=ReconnectPolicy(max_attempts=None, max_seconds=1.5, first_wait=0.05, max_wait=0.05)
    ) as live:
        assert len(list(live)) == 3
    assert len(made.seen) == 1 + 5  # after 0.25, 0.5, … 1.25 seconds
    assert live.gave_up
    reported = re.search(r"given up after \d+ attempts in ([\d.]+) s", live.problems[-1])
    assert reported is not None
    assert float(reported[1]) >= 1.5


def test_never_connecting_again(sender: Callable[..., Sender]) -> None:
    made = sender([("frames", 3)], [("frames", 3)])
    with open_live(made.address, reconnect=ReconnectPolicy(max_attempts=0)) as live:
        assert len(list(live)) == 3
    (line,) = live.problems
    assert seconds_in("; given up after 0 attempts in #", line) < PATIENCE
    assert len(made.seen) == 1


def test_a_slow_start_is_waited_for(sender: Callable[..., Sender]) -> None:
    made = sender([("silent", 3.0), ("frames", 3)])
    with open_live(made.address, stall=2.0, reconnect=ReconnectPolicy(max_attempts=0)) as live:
        assert len(list(live)) == 3


def test_broken_pictures_are_lost_ones(sender: Callable[..., Sender]) -> None:
    made = sender([("frames", 4), ("broken", 2), ("frames", 4)])
    with open_live(made.address, reconnect=ReconnectPolicy(max_attempts=0)) as live:
        numbers = [number_of(frame.rgb) for frame in live]
    assert numbers == [0, 1, 2, 3, 6, 7, 8, 9]
    assert live.lost == 2


@pytest.mark.parametrize(
    ("where", "options", "message"),
    [
        ("film.mp4", {}, "film.mp4: is neither the number of a camera nor an address; open_video reads files"),
        ("file:///a.mp4", {}, "addresses begin with http, https, rtmp, .*; open_video reads files"),
        (-1, {}, "cameras are numbered from 0, got -1"),
        (True, {}, "cameras are numbered from 0, got True"),
        ("0", {"stall": 0}, "stall is a number of seconds above 0, got 0"),
        ("http://[::1/x", {}, "http://…: is not a valid address: "),
        ("http://host/", {"size": (640, 480)}, "the sender determines the size; only a camera can be asked for one"),
    ],
)
def test_unusable_requests(where: int | str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_live(where, **options)  # type: ignore[arg-type]


class FakeConnection:
    """A link whose pictures come from a list of (number, stamp), with pauses."""

    codec, rate, rotation, has_audio = "fake", 10.0, 0, False

    def __init__(
        self, pictures: list[tuple[int | None, float | None]], *, seconds: float | None = None, bursty: bool = False,
        broken: str | None = None, pause: float = 0.0,
    ) -> None:  # fmt: skip
        self.list, self.seconds, self.bursty, self.broken, self.pause = pictures, seconds, bursty, broken, pause
        self.closed = False

    def frames(self) -> Iterator[ReceivedFrame]:
        for number, stamp in self.list:
            time.sleep(self.pause)
            yield ReceivedFrame(None if number is None else numbered(number), stamp)
        if self.broken:
            raise ConnectionLostError(self.broken)

    def close(self) -> None:
        self.closed = True


def live_of(*links: FakeConnection, first: float = 0.05, **selection: float) -> LiveSource:
    remaining = list(links)

    def connect() -> FakeConnection:
        if not remaining:
            raise ConnectionLostError("is gone")
        return remaining.pop(0)

    return LiveSource("fake", connect, FrameSelection(**selection), replace(QUICK, max_attempts=1, first_wait=first))  # type: ignore[arg-type]


def test_the_senders_stamps_are_followed_until_they_go_astray(clock: Callable[[float], Clock]) -> None:
    clock(0.05)
    stamps = [100.0, 100.1, 100.3, 9000.0, 9000.2, 3.0]
    live = live_of(FakeConnection(list(enumerate(stamps))))
    # a clock that jumps is set again: to 0.15 and 0.25 s, when these frames arrive, but time does not go back
    assert [frame.time for frame in live] == pytest.approx([0.0, 0.1, 0.3, 0.301, 0.35, 0.351], abs=1e-6)


def test_after_an_interruption_our_own_clock_goes_on(clock: Callable[[float], Clock]) -> None:
    clock(0.1)
    links = [FakeConnection([(0, 5.0), (1, 5.1)], broken="broke"), FakeConnection([(2, 77.0), (3, 77.1)])]
    live = live_of(*links)
    # it is read once more when the connection is there again
    assert [frame.time for frame in live] == pytest.approx([0.0, 0.1, 0.3, 0.4], abs=1e-6)
    assert all(link.closed for link in links)
    assert live.problems[0] == "at 0.1 s broke; connected again after 0.1 s"


def test_what_comes_in_bursts_is_handed_out_by_its_stamps(
    clock: Callable[[float], Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = clock(0.0)
    live = live_of(FakeConnection([(i, i / 10) for i in range(5)], bursty=True))

    def wait(seconds: float) -> bool:
        made.now += seconds
        return False

    monkeypatch.setattr(live._stop, "wait", wait)
    begun, times = made.now, []
    for frame in live:
        assert made.now - begun == pytest.approx(frame.time)
        times.append(frame.time)
    assert times == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_a_recording_is_neither_bursty_nor_repeated() -> None:
    link = FakeConnection([(i, 50 + i / 10) for i in range(100)], seconds=10.0)
    live = live_of(link, link)
    frames = list(live)
    assert [frame.time for frame in frames] == pytest.approx([i / 10 for i in range(100)], abs=0.01)
    assert (live.info.live, live.info.frames, live.gaps, live.problems) == (False, 100, 0, ())
    broken = live_of(FakeConnection([(0, 0.0), (1, 0.1)], seconds=10.0, broken="the connection broke"))
    assert len(list(broken)) == 2
    assert broken.problems == ("at 0.1 s the connection broke; the rest of the recording is missing",)


def test_lost_and_chosen_frames() -> None:
    live = live_of(FakeConnection([(0, 0.0), (None, 0.1), *((i, i / 10) for i in range(2, 12))]), every=3)
    assert [(frame.index, number_of(frame.rgb)) for frame in live] == [(0, 0), (3, 4), (6, 7), (9, 10)]
    assert live.lost == 1
    live = live_of(FakeConnection([(i, i / 10) for i in range(30)], seconds=3.0), fps=2.0, end=2.0)
    assert [frame.time for frame in live] == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=0.01)


def test_interruptions_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "mien")
    live = live_of(FakeConnection([(0, 0.0), (None, 0.1)], broken="broke"), FakeConnection([(2, 0.0)], broken="broke"))
    list(live)
    logged = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert logged[0] == ("INFO", "fake: connected, 64 × 48 pixels, fake")
    assert logged[1] == ("INFO", "fake: a frame could not be decoded (1 so far)")
    assert logged[2] == ("WARNING", "fake: at 0.0 s broke")
    assert logged[3][0] == "INFO"
    assert logged[3][1].startswith("fake: connected again after 0.")
    assert logged[-1][0] == "WARNING"
    assert logged[-1][1].startswith("fake: given up after 1 attempt")


def test_only_so_many_interruptions_are_reported_one_by_one() -> None:
    live = live_of(*(FakeConnection([(i, None)], broken="broke") for i in range(30)), first=0.0)
    assert len(list(live)) == 30
    assert live.gaps == 30
    assert len(live.problems) == 22
    assert live.problems[-1] == "and 10 more interruptions"
    assert "given up" in live.problems[-2]


def test_closing_a_live_source_lets_go_of_it(sender: Callable[..., Sender]) -> None:
    link = FakeConnection([(0, None), (1, None)])
    live = live_of(link)
    live.close()
    assert link.closed
    assert list(live) == []
    link = FakeConnection([(0, None), (1, None)])
    with live_of(link) as live:
        next(iter(live))
    assert link.closed
    live.close()
