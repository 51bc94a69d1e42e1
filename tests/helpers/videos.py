"""Fabricated results of videos: faces that sway over a plain picture while their emotions swing; no model is needed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from helpers.faces import HEADS, predictions
from mien.labels import FERPLUS
from mien.media.frame import Frame
from mien.results.face_columns import FaceTable, Heads, empty_records, record_dtype
from mien.results.faces import Faces
from mien.results.track import NO_VOTE, Episode, Track, TrackPrediction, Vote
from mien.results.video import Coverage, SmoothedPredictions, VideoFrame, VideoReport

N = len(FERPLUS.names)


def background(width: int, height: int, index: int = 0) -> NDArray[np.uint8]:
    """RGB (height, width, 3): a soft gradient that wanders with the frame."""
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    return np.stack(
        np.broadcast_arrays(60 + (x + 2 * index) % 120, 90 + (y + index) % 100, np.full((1, 1), 120)), axis=2
    ).astype(np.uint8)


def swing(index: int, track: int, period: float = 120.0) -> NDArray[np.float32]:
    """(8,) probabilities: one emotion after the other comes to the front."""
    phase = (index / period + track * 0.37) % 1.0 * N
    distance = np.abs((np.arange(N) - phase + N / 2) % N - N / 2)
    weights = np.exp(-1.2 * distance)
    return np.asarray(weights / weights.sum(), np.float32)


def made_frame(
    index: int,
    *,
    tracks: Sequence[int] = (1, 2),
    size: tuple[int, int] = (640, 480),
    fps: float = 25.0,
    source: str | None = "clip.mp4",
    emotions: bool = True,
    ages: bool = True,
    landmarks: bool = True,
    cut: bool = False,
    pixels: NDArray[np.uint8] | None = None,
) -> VideoFrame:
    """One analysed frame: the faces of these tracks stand side by side and sway a little."""
    width, height = size
    rgb = background(width, height, index) if pixels is None else pixels
    rng = np.random.default_rng([index, 7])
    n = len(tracks)
    side = min(0.5 * width / max(n, 1), 0.35 * height)
    left = np.array([(k + 0.5) * width / max(n, 1) - side / 2 for k in range(n)])
    sway = 0.08 * side * np.sin(index / 12 + np.arange(n))
    corner = np.stack([left + sway, np.full(n, 0.45 * height) + sway / 2], axis=1)
    boxes = np.hstack([corner, corner + side])
    points = corner[:, None] + side * np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    faces = Faces.detected(boxes, rng.uniform(0.9, 1, n), points if landmarks else None, size)
    faces = replace(faces, source=source, tracks=np.array(tracks, np.int64).reshape(n))
    smoothed_heads = {}
    if emotions:
        smoothed = np.stack([swing(index, t) for t in tracks]) if n else np.zeros((0, N), np.float32)
        noisy = smoothed * rng.uniform(0.5, 1.5, (n, N)).astype(np.float32)
        noisy = (noisy / noisy.sum(axis=1, keepdims=True)).astype(np.float32)
        faces = faces.with_predictions(predictions(emotions=noisy))
        best = smoothed.argmax(axis=1) if n else np.zeros(0, int)
        labels: tuple[str | None, ...] = tuple(FERPLUS.names[i] for i in best) if index else (None,) * n
        # a row holds a share in single precision
        shares = (0.5 + 0.25 * smoothed.max(axis=1, initial=0)).tolist()
        votes = tuple(
            Vote(FERPLUS.names[i], share, share - 0.125, share + 0.0625, 40)
            for i, share in zip(best.tolist(), shares, strict=True)
        )
        smoothed_heads["emotion"] = SmoothedPredictions(HEADS["emotion"], smoothed, labels, votes)
    if ages:
        spread = np.stack([np.exp(-np.abs(np.arange(9) - 2 - t % 5)) for t in tracks]) if n else np.zeros((0, 9))
        spread = spread / spread.sum(axis=1, keepdims=True) if n else spread
        faces = faces.with_predictions(predictions(ages=spread.astype(np.float32)))
    return VideoFrame(
        frame=Frame(rgb, source, index, index / fps),
        faces=faces,
        smoothed=smoothed_heads,
        detected=index % 3 == 0,
        cut=cut,
    )


def made_frames(
    count: int, *, first: int = 0, gap: tuple[int, int] = (10, 13), **options: object
) -> Iterator[VideoFrame]:
    """Frames ``first`` to ``count``: two faces, then none in ``gap``, one in every seventh frame."""
    for index in range(first, count):
        tracks = () if gap[0] <= index < gap[1] else (2,) if index % 7 == 3 else (1, 2)
        yield made_frame(index, tracks=tracks, cut=index == gap[1], **options)  # type: ignore[arg-type]


def rows_of(frames: Sequence[VideoFrame], source: str | None = "clip.mp4") -> FaceTable:
    """The table of these frames; their own models fix its columns."""
    heads: Heads = next((frame.heads for frame in frames if frame.heads), {})
    table = FaceTable.empty(heads, source, video=True)
    return table.followed_by(replace(table, records=frame.to_records(heads)) for frame in frames)


def made_rows(count: int, *, faces: int = 1, source: str | None = "clip.mp4", fps: float = 30.0) -> FaceTable:
    """A long table at once: ``count`` frames with as many faces in each."""
    rng = np.random.default_rng(3)
    records = empty_records(count * faces, record_dtype(HEADS, video=True))
    frame = np.repeat(np.arange(count), faces)
    track = np.tile(np.arange(1, faces + 1), count)
    # every face has moods of some seconds, and one that it prefers
    prefers = (track * 5) % N
    mood = rng.integers(0, N, (faces + 1, count))
    held = (frame / (fps * (3 + track))).astype(int)
    target = np.where((held * 7 + track) % 5 < 2, mood[track, held], prefers)
    smoothed = np.full((count * faces, N), 0.02)
    smoothed[np.arange(len(smoothed)), target] += rng.uniform(0.5, 1.5, (faces + 1, count))[track, held]
    for k in range(1, faces + 1):
        mine = track == k
        smoothed[mine] = _low_pass(smoothed[mine], 0.08)
    smoothed /= smoothed.sum(axis=1, keepdims=True)
    raw = smoothed * rng.gamma(2.0, 0.5, smoothed.shape)
    records["frame"], records["time"], records["track"] = frame, frame / fps, track
    records["face"] = track - 1
    records["emotion/smoothed"], records["emotion"] = smoothed, raw / raw.sum(axis=1, keepdims=True)
    records["emotion/label"] = records["emotion/vote"] = smoothed.argmax(axis=1)
    records["box"] = [100, 80, 200, 190]
    records["box"] += rng.normal(0, 2, (len(records), 4))
    records["landmarks"] = records["box"][:, None, :2] + rng.uniform(0, 100, (len(records), 5, 2))
    records["score"], records["detected"] = rng.uniform(0.8, 1, len(records)), True
    for end, value in (("share", 0.75), ("low", 0.625), ("high", 0.8125)):
        records[f"emotion/vote_{end}"] = value
    ages = rng.dirichlet(np.ones(9), len(records))
    records["age"] = ages
    return FaceTable(records, HEADS, source, video=True)


def _low_pass(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    out = np.empty_like(values)
    state = values[0]
    for i, value in enumerate(values):
        state = state + weight * (value - state)
        out[i] = state
    return out


def report_of(
    rows: FaceTable, *, size: tuple[int, int] = (640, 480), problems: tuple[str, ...] = (), lost: int = 0
) -> VideoReport:
    """The report that these rows would make; tracks and episodes are read off the stable labels."""
    r = rows.records
    frames, first = np.unique(r["frame"], return_index=True)
    times = r["time"][first]
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.04
    numbers = sorted(set(r["track"][rows.is_face].tolist()))
    coverage = Coverage(
        frames=len(frames),
        without_face=int((~rows.is_face).sum()),
        lost=lost,
        seconds=float(times[-1] - times[0] + step) if len(times) else 0.0,
        problems=problems,
    )
    tracks = tuple(_track(rows, number, step) for number in numbers)
    return VideoReport(rows.source, size, tracks, rows, coverage)


def _track(rows: FaceTable, number: int, step: float) -> Track:
    mine = rows.records[rows.records["track"] == number]
    found = {}
    if "emotion" in rows.heads:
        head = rows.heads["emotion"]
        means = dict(zip(head.labels, mine["emotion/smoothed"].mean(axis=0).tolist(), strict=True))
        shares = {name: float((mine["emotion/label"] == i).mean()) for i, name in enumerate(head.labels)}
        best = max(shares, key=shares.__getitem__)
        share = shares[best]
        vote = Vote(best, share, max(share - 0.1, 0.0), min(share + 0.08, 1.0), len(mine)) if share else NO_VOTE
        episodes = tuple(_episodes(mine, head.labels, number, step))
        found["emotion"] = TrackPrediction(head, means, shares, vote, episodes)
    if "age" in rows.heads:
        head = rows.heads["age"]
        found["age"] = TrackPrediction(head, dict(zip(head.labels, mine["age"].mean(axis=0).tolist(), strict=True)))
    return Track(
        id=number,
        start=float(mine["time"][0]),
        end=float(mine["time"][-1]) + step,
        frames=len(mine),
        seen=len(mine) * step,
        predictions=found,
        best=(int(mine["frame"][0]), float(mine["time"][0]), tuple(mine["box"][0].tolist())),
    )


def _episodes(mine: NDArray[np.void], names: tuple[str, ...], number: int, step: float) -> Iterator[Episode]:
    bounds = [0, *(np.flatnonzero(np.diff(mine["emotion/label"])) + 1).tolist(), len(mine)]
    for a, b in itertools.pairwise(bounds):
        label = int(mine["emotion/label"][a])
        if label < 0 or b - a < 5:
            continue
        p = mine["emotion/smoothed"][a:b, label]
        peak = int(p.argmax())
        yield Episode(
            number, "emotion", names[label], float(mine["time"][a]), float(mine["time"][b - 1]) + step, float(p.max()),
            float(mine["time"][a + peak]), float(p.mean()),
        )  # fmt: skip
