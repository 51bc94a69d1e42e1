"""Frames → analysed frames, with a detector that finds what the test sets and with the real one."""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import mien
from helpers.clips import Pan, clip, side_by_side
from helpers.waiting import PATIENCE
from mien.errors import InputError
from mien.media.frame import Frame
from mien.media.source import SourceInfo
from mien.models.catalog import read_model
from mien.models.model import Model, Probabilities
from mien.pipeline.analyzer import Analyzer
from mien.pipeline.video import BATCH, Progress, VideoPipeline, VideoStream
from mien.predict.model_set import ModelSet
from mien.results.faces import Faces
from mien.results.video import VideoFrame
from mien.smoothing import SmoothingOptions
from mien.tracking.options import TrackingOptions

SIZE = (320, 240)


class Made:
    """A source of plain frames, whose red channel is their number."""

    def __init__(self, n: int, *, live: bool = False, fps: float = 25.0, first: int = 0) -> None:
        self.info = SourceInfo(
            name="made", width=SIZE[0], height=SIZE[1], rate=fps, frames=n, seconds=n / fps, rotation=0, codec="made",
            has_audio=False, live=live,
        )  # fmt: skip
        self.lost, self.dropped, self.problems = 0, 0, ()
        self.closed = False
        self._range, self._fps = range(first, n), fps

    def __iter__(self) -> Iterator[Frame]:
        for i in self._range:
            rgb = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
            rgb[..., 0] = i % 256
            yield Frame(rgb, "made", i, i / self._fps)

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Made:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FixedDetector:
    """A detector that finds a face which moves two pixels a frame, and counts the frames it was asked about."""

    name = "mtcnn"

    def __init__(self, missing: frozenset[int] = frozenset()) -> None:
        self.asked: list[int] = []
        self._missing = missing

    def detect(self, rgb: np.ndarray) -> Faces:
        i = int(rgb[0, 0, 0])
        self.asked.append(i)
        if i in self._missing:
            return Faces.empty(SIZE)
        x = 40 + 2 * i
        return Faces.detected(np.array([[x, 60, x + 60, 140]]), np.array([0.9]), None, SIZE)


def stages(
    detector: FixedDetector | None = None, *, detect_every: int = 1, live: bool = False, **models: Model
) -> VideoPipeline:
    """The stages with this detector and these models."""
    return VideoPipeline(
        detector or FixedDetector(), ModelSet(models), TrackingOptions(detect_every=detect_every), live=live
    )


def followed(n: int, detector: FixedDetector | None = None, *, detect_every: int = 1) -> list[VideoFrame]:
    return list(VideoStream(Made(n), stages(detector, detect_every=detect_every)))


@pytest.fixture(scope="module")
def emotion() -> Model:
    return Model(read_model("emotion"), threads=1)


@pytest.fixture(scope="module")
def age() -> Model:
    return Model(read_model("age"), threads=1)


def test_every_frame_comes_once_in_order_with_one_track() -> None:
    frames = followed(3 * BATCH + 5)
    assert [f.index for f in frames] == list(range(3 * BATCH + 5))
    assert {t for f in frames for t in f.faces.tracks.tolist()} == {1}
    assert all(f.detected for f in frames)


def test_a_first_frame_without_a_face_is_an_empty_one() -> None:
    frames = followed(20, FixedDetector(frozenset(range(10))))
    assert [len(f.faces) for f in frames] == [0] * 10 + [1] * 10
    assert frames[0].labels == ()
    assert frames[0].smoothed == {}


def test_pictures_that_wait_are_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large frames wait for fewer later ones, and all are returned."""
    monkeypatch.setattr("mien.pipeline.video._WAITING_BYTES", 5 * 3 * SIZE[0] * SIZE[1])
    pipeline = stages()
    frames = []
    for i, frame in enumerate(Made(40)):
        frames += pipeline.step([frame], [functools.partial(pipeline.detect, frame)])
        assert len(frames) >= i + 1 - 5
    frames += pipeline.finish()
    assert [f.index for f in frames] == list(range(40))
    assert all(len(f.faces) == 1 for f in frames)


def test_a_cancelled_analysis_ends_within_a_few_frames_and_reports_it() -> None:
    cancel = threading.Event()
    stream = VideoStream(Made(500), stages())
    frames = []
    for batch in stream.batches(cancel):
        frames += batch
        if len(frames) >= 20:
            cancel.set()
    assert 20 <= len(frames) <= 20 + 4 * BATCH
    assert [f.index for f in frames] == list(range(len(frames)))
    assert stream.coverage.frames == len(frames)
    assert stream.coverage.problems == (f"cancelled at {frames[-1].time:.2f} s, after {len(frames)} frames",)


@pytest.mark.parametrize("threads", [1, 2])
def test_batches_may_be_small_and_give_the_same(emotion: Model, threads: int) -> None:
    whole = [frame.to_json() for frame in VideoStream(Made(40), stages(emotion=emotion))]
    sizes = iter([1, 1, 3, *[1] * 100])
    analysed: list[int] = []

    class Counting(FixedDetector):
        def detect(self, rgb: np.ndarray) -> Faces:
            analysed.append(1)
            return super().detect(rgb)

    stream = VideoStream(Made(40), stages(Counting(), emotion=emotion), threads=threads)
    frames, before = [], 0
    for batch in stream.batches(size=lambda: next(sizes, 1)):
        frames += batch
        # a batch is no longer work than was asked for, also where no frame is final after it
        assert threads > 1 or len(analysed) - before <= 3
        before = len(analysed)
    assert [frame.to_json() for frame in frames] == whole


def test_cancelling_ends_a_source_that_gives_no_frame() -> None:
    class Stalled(Made):
        def __iter__(self) -> Iterator[Frame]:
            yield from super().__iter__()
            released.wait(120)

    released, cancel = threading.Event(), threading.Event()
    threading.Timer(0.3, cancel.set).start()
    start = time.monotonic()
    # a live source may drop frames, a file may not
    assert len(list(VideoStream(Stalled(3), stages()).batches(cancel))) in range(4)
    released.set()
    assert time.monotonic() - start < PATIENCE


def test_video_reports_its_progress_and_may_be_cancelled() -> None:
    pictures = np.stack([frame.rgb for frame in Made(60)])
    analyzer = mien.Analyzer(models=(), detector=FixedDetector(), threads=1)
    seen: list[tuple[int, int | None]] = []
    report = analyzer.video(pictures, color="rgb", fps=30, on_progress=lambda n, total: seen.append((n, total)))
    assert seen[-1] == (60, 60)
    assert [n for n, _ in seen] == sorted({n for n, _ in seen})
    assert len(seen) >= 5
    assert (report.coverage.frames, report.coverage.seconds) == (60, pytest.approx(2.0))
    cancel = threading.Event()
    report = analyzer.video(pictures, color="rgb", on_progress=lambda n, total: cancel.set(), cancel=cancel)
    assert 0 < report.coverage.frames < 60
    assert report.coverage.problems[0].startswith("cancelled at")
    assert len(report.rows) == report.coverage.frames


def test_an_error_in_the_callback_ends_the_analysis() -> None:
    def stop(frames: int, total: int | None) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        mien.Analyzer(models=(), detector=FixedDetector(), threads=1).video(
            np.stack([frame.rgb for frame in Made(60)]), color="rgb", on_progress=stop
        )


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("n", [1, BATCH - 1, BATCH, BATCH + 1, 5 * BATCH])
def test_results_do_not_depend_on_threads(threads: int, n: int) -> None:
    frames = list(VideoStream(Made(n), stages(detect_every=3), threads=threads))
    assert [f.detected for f in frames] == [i % 3 == 0 for i in range(n)]


def test_only_every_nth_frame_is_searched() -> None:
    detector = FixedDetector()
    followed(41, detector, detect_every=5)
    assert sorted(detector.asked) == list(range(0, 41, 5))


def test_the_age_model_looks_five_times_a_second_and_every_row_has_an_age(age: Model) -> None:
    calls: list[int] = []

    class Counting(Model):
        def predict(
            self, crops: np.ndarray, *, flip: bool = False, view: bool = True
        ) -> tuple[Probabilities, Probabilities]:
            calls.append(len(crops))
            return super().predict(crops, flip=flip, view=view)

    counting = Counting(read_model("age"), threads=1)
    frames = list(VideoStream(Made(50), stages(age=counting)))
    assert sum(calls) == 10
    assert all(f.faces.ages is not None and np.isfinite(f.faces.ages).all() for f in frames)
    assert np.allclose([f.faces.ages.sum() for f in frames], 1, atol=1e-5)


def test_heads_come_in_the_order_of_the_models(emotion: Model, age: Model) -> None:
    for models in ({"emotion": emotion, "age": age}, {"age": age, "emotion": emotion}):
        frame = list(VideoStream(Made(3), stages(**models)))[-1]
        assert list(frame.faces.predictions) == list(frame.heads) == list(models)


def test_emotions_are_smoothed_and_voted_on(emotion: Model) -> None:
    frames = list(VideoStream(Made(50), stages(emotion=emotion)))
    last = frames[-1]
    smoothed = last.smoothed["emotion"].probabilities
    assert smoothed.shape == (1, 8)
    assert abs(float(smoothed.sum()) - 1) < 1e-5
    assert last.labels[0] in last.faces.emotion_labels
    assert last.votes[0].n >= 50
    assert last.votes[0].low <= last.votes[0].share <= last.votes[0].high


@pytest.mark.parametrize("split", [BATCH, 3 * BATCH])
@pytest.mark.parametrize("detect_every", [1, 3])
def test_a_restored_memory_goes_on_as_if_nothing_had_happened(
    emotion: Model, age: Model, split: int, detect_every: int
) -> None:
    def fresh() -> VideoPipeline:
        return stages(detect_every=detect_every, emotion=emotion, age=age)

    uninterrupted = fresh()
    whole = list(VideoStream(Made(48), uninterrupted))
    first = fresh()
    stream = VideoStream(Made(48), first)
    before: list[VideoFrame] = []
    for batch in stream.batches():
        before += batch
        if len(before) == split:
            break
    state = json.loads(json.dumps(first.state()))
    second = fresh()
    second.restore(state)
    after = list(VideoStream(Made(48, first=split - 1), second, progress=stream.progress))
    assert [f.index for f in before + after] == list(range(48))
    for one, other in zip(whole, before + after, strict=True):
        assert one.to_json() == other.to_json()
    assert second.tracks() == uninterrupted.tracks()


def test_leaving_early_closes_the_source() -> None:
    source = Made(500)
    with VideoStream(source, stages(), threads=2) as frames:
        for frame in frames:
            if frame.index == 20:
                break
    assert source.closed


def test_an_error_of_the_detector_reaches_the_caller() -> None:
    class Broken(FixedDetector):
        def detect(self, rgb: np.ndarray) -> Faces:
            if rgb[0, 0, 0] == 30:
                raise InputError("broken here")
            return super().detect(rgb)

    source = Made(100)
    with pytest.raises(InputError, match="broken here"):
        list(VideoStream(source, stages(Broken()), threads=2))
    assert source.closed


def test_a_live_source_is_searched_frame_by_frame() -> None:
    sizes = [len(batch) for batch in VideoStream(Made(20, live=True), stages(live=True), threads=2).batches()]
    assert set(sizes) == {1}


@pytest.mark.parametrize(
    "options", [{"detect_every": 0}, {"max_gap": 0}, {"window": -1}, {"time_constant": -0.1}, {"window": float("nan")}]
)
def test_options_out_of_range(options: dict[str, float]) -> None:
    kind = TrackingOptions if next(iter(options)) in TrackingOptions.__dataclass_fields__ else SmoothingOptions
    with pytest.raises(InputError, match=next(iter(options))):
        kind(**options)


def test_coverage_counts() -> None:
    stream = VideoStream(Made(50), stages(FixedDetector(frozenset(range(5)))))
    list(stream)
    coverage = stream.coverage
    assert (coverage.frames, coverage.without_face, coverage.lost) == (50, 5, 0)
    assert coverage.seconds == pytest.approx(2.0)
    assert stream.progress == replace(
        Progress(), frames=50, without_face=5, size=SIZE, last=49 / 25, step=pytest.approx(0.04), index=49, before=48
    )


# ---------------------------------------------------------------- the real thing


@pytest.fixture(scope="module")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> object:
    draw = side_by_side(Pan.astronaut(SIZE), Pan.hopper(SIZE))
    return clip(tmp_path_factory.mktemp("clips") / "two.mp4", frames=40, draw=draw)


def test_a_clip_of_two_people(two_people: object) -> None:
    report = Analyzer(threads=2).video(two_people)
    assert len(report.tracks) == 2
    astronaut = max(report.tracks, key=lambda t: t.emotions["happy"])
    assert astronaut.emotion == "happy"
    assert astronaut.vote.label == "happy"
    assert report.coverage.frames == 40
    assert report.coverage.without_face == 0
    assert len(report.rows) == 80
    frame = report.to_pandas()
    assert frame["frame"].tolist() == sorted([*range(40)] * 2)
    assert np.allclose(frame["time"], frame["frame"] / 25, atol=1e-3)


def test_carried_tracks_stay_on_their_faces(two_people: object) -> None:
    analyzer = Analyzer(threads=2)
    searched = analyzer.video(two_people)
    carried = analyzer.video(two_people, tracking=TrackingOptions(detect_every=5))
    assert len(carried.tracks) == 2
    assert len(carried.rows) == 80
    boxes = carried.rows.records["box"], searched.rows.records["box"]
    for records in (carried.rows.records, searched.rows.records):
        assert set(records["track"].tolist()) == {1, 2}
    order = [
        np.lexsort((b[:, 0], r.records["frame"])) for b, r in zip(boxes, (carried.rows, searched.rows), strict=True)
    ]
    moved = np.abs(boxes[0][order[0]] - boxes[1][order[1]]).max()
    assert moved < 12


def test_stream_takes_numbers_paths_and_sources(two_people: object) -> None:
    analyzer = Analyzer(models=(), threads=1)
    with analyzer.stream(two_people, every=10) as frames:
        assert [f.index for f in frames] == [0, 10, 20, 30]
    made = list(analyzer.stream(Made(3)))
    assert [f.index for f in made] == [0, 1, 2]
    with pytest.raises(InputError, match="live"):
        analyzer.stream("rtsp://camera.invalid/x", every=2)
