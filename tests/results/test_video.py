"""The values of a video: what a frame, the table, a track and the report hold comes out unchanged in every form."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import InputError, MissingExtraError
from mien.labels import AGE_BINS, FERPLUS, age_bin_names
from mien.media.frame import Frame
from mien.results.faces import Faces
from mien.results.track import Episode, Track, Vote
from mien.results.video import Coverage, Rows, VideoFrame, VideoReport, readable, row_dtype

NAMES = FERPLUS.names
DTYPE = row_dtype(NAMES, AGE_BINS)
VOTE = Vote("happy", 0.75, 0.512345, 0.9, 40, 12.5)
NOBODY = Vote(None, 0.0, 0.0, 1.0, 0)


def detected(n: int, seed: int = 0, *, points: bool = True) -> Faces:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 100, (n, 2))
    return replace(
        Faces.detected(
            np.hstack([corner, corner + rng.uniform(20, 60, (n, 2))]),
            rng.uniform(0.5, 1, n),
            rng.uniform(0, 100, (n, 5, 2)) if points else None,
            (64, 48),
        ),
        tracks=np.arange(1, n + 1, dtype=np.int64),
    )


def classified(n: int, seed: int = 0) -> Faces:
    rng = np.random.default_rng(seed + 1)
    return replace(
        detected(n, seed),
        emotions=rng.dirichlet(np.full(8, 0.5), n).astype(np.float32).reshape(n, 8),
        emotion_labels=NAMES,
        ages=rng.dirichlet(np.ones(9), n).astype(np.float32).reshape(n, 9),
        age_bins=AGE_BINS,
    )


def shot(faces: Faces, index: int = 0, source: str | None = "clip.mp4", **change: Any) -> VideoFrame:
    n = len(faces)
    values: dict[str, Any] = {
        "smoothed": None if faces.emotions is None else faces.emotions[:, ::-1].copy(),
        "labels": ("sad",) * n if faces.emotions is not None else (None,) * n,
        "votes": (VOTE if faces.emotions is not None else NOBODY,) * n,
    }
    return VideoFrame(Frame(np.zeros((48, 64, 3), np.uint8), source, index, index / 25), faces, **(values | change))


def table(*frames: VideoFrame, source: str | None = "clip.mp4") -> Rows:
    return Rows(np.concatenate([frame.to_records(DTYPE) for frame in frames]), NAMES, AGE_BINS, source)


# ---------------------------------------------------------------- one frame


def test_a_frame() -> None:
    frame = shot(classified(2), 50)
    assert (frame.index, frame.time, frame.detected, frame.cut) == (50, 2.0, True, False)
    with pytest.raises(FrozenInstanceError):
        frame.cut = True  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"faces": replace(classified(2), tracks=None)}, "the faces of a video frame need their tracks"),
        ({"smoothed": None}, r"smoothed must be float32 of shape \(2, 8\)"),
        ({"smoothed": np.zeros((2, 7), np.float32)}, r"smoothed must be float32 of shape \(2, 8\)"),
        ({"smoothed": np.zeros((2, 8))}, r"smoothed must be float32 of shape \(2, 8\)"),
        ({"labels": ("sad",)}, "2 faces need as many labels and votes, got 1 and 2"),
        ({"votes": ()}, "2 faces need as many labels and votes, got 2 and 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(shot(classified(2)), **change)


def test_a_frame_as_json() -> None:
    frame = shot(classified(2), 3, detected=False, cut=True)
    document = json.loads(frame.to_json())
    assert document == frame.to_dict()
    assert list(document) == ["schema", "source", "frame", "time", "detected", "cut", "faces"]
    assert (document["source"], document["frame"], document["time"]) == ("clip.mp4", 3, 0.12)
    assert (document["detected"], document["cut"]) == (False, True)
    for i, (told, face) in enumerate(zip(document["faces"], frame.faces, strict=True)):
        assert told["track"] == i + 1
        assert told["emotion"] == face.emotion
        assert told["stable_emotion"] == "sad"
        assert list(told["smoothed"]) == list(NAMES)
        assert list(told["smoothed"].values()) == pytest.approx(frame.smoothed[i].tolist(), abs=5e-5)
        assert told["vote"] == {"label": "happy", "share": 0.75, "low": 0.5123, "high": 0.9}
        assert told["age_range"] == face.age_range


def test_a_frame_without_models_or_faces_tells_no_more_than_it_knows() -> None:
    (face,) = shot(detected(1, points=False)).to_dict()["faces"]
    assert set(face) == {"track", "box", "score"}
    empty = shot(detected(0), source=None).to_dict()
    assert empty == {"schema": "urn:mien:schema:frame:1", "frame": 0, "time": 0.0, "detected": True, "faces": []}


def test_what_no_model_told_of_one_face_is_left_out_and_never_nan() -> None:
    """The emotion model failed on the first face, the age model has not looked at the second yet."""
    faces = classified(2)
    faces.emotions[0], faces.ages[1] = np.nan, np.nan
    frame = shot(faces, labels=(None, "sad"), votes=(NOBODY, VOTE))
    first, second = json.loads(frame.to_json(), parse_constant=pytest.fail)["faces"]
    assert {"emotion", "emotions", "stable_emotion", "smoothed", "vote"}.isdisjoint(first)
    assert "age_range" in first
    assert second["stable_emotion"] == "sad"
    assert {"age_range", "age", "ages"}.isdisjoint(second)
    columns = table(frame).to_columns()
    for name in (
        "emotion",
        "confidence",
        "entropy",
        "emotion_sad",
        "stable_emotion",
        "vote",
        "vote_share",
        "vote_high",
    ):
        assert columns[name][0] is None
        assert columns[name][1] is not None
    for name in ("age_range", "age", "age_20-29"):
        assert columns[name][0] is not None
        assert columns[name][1] is None


def test_names_that_are_no_text_stay_json() -> None:
    frame = shot(classified(1), source="caf\udce9.mp4")
    assert json.loads(frame.to_json().encode("utf-8"))["source"] == "caf\udce9.mp4"
    assert readable("caf\udce9.mp4") == "caf\\udce9.mp4"
    assert readable("猫.mp4") == "猫.mp4"
    assert readable(None) is None
    rows = table(frame, source="caf\udce9.mp4")
    assert rows.to_columns()["source"] == ["caf\\udce9.mp4"]


# ---------------------------------------------------------------- rows


def test_the_columns_are_packed_and_little_endian() -> None:
    dtype = row_dtype(("a", "b"), ((0, 9), (10, 99), (100, 120)))
    assert dtype.itemsize == 8 + 8 + 4 + 1 + 1 + 1 + 1 + 16 + 4 + 40 + 2 * 4 + 2 * 4 + 3 * 4 + 3 * 4
    assert dtype["emotions"].shape == dtype["smoothed"].shape == (2,)
    assert dtype["ages"].shape == (3,)
    assert all(dtype[name].base.str[0] in "<|?" for name in dtype.names)
    bare = row_dtype((), ())
    assert bare["emotions"].shape == bare["ages"].shape == (0,)


def test_records_hold_what_the_frame_does() -> None:
    frame = shot(classified(3), 7, detected=False, cut=True)
    records = frame.to_records(DTYPE)
    assert len(records) == 3
    for name, values in {
        "box": frame.faces.boxes, "score": frame.faces.scores, "landmarks": frame.faces.landmarks,
        "emotions": frame.faces.emotions, "smoothed": frame.smoothed, "ages": frame.faces.ages,
    }.items():  # fmt: skip
        assert np.array_equal(records[name], values)
    assert records["frame"].tolist() == [7] * 3
    assert records["time"].tolist() == [7 / 25] * 3
    assert records["track"].tolist() == [1, 2, 3]
    assert records["detected"].tolist() == [False] * 3
    assert records["cut"].tolist() == [True] * 3
    assert records["label"].tolist() == [NAMES.index("sad")] * 3
    assert records["vote"].tolist() == [NAMES.index("happy")] * 3
    for name in ("share", "low", "high"):
        assert records[f"vote_{name}"].tolist() == [np.float32(getattr(VOTE, name))] * 3


def test_a_frame_without_a_face_is_one_row() -> None:
    (record,) = shot(detected(0), 4, cut=True).to_records(DTYPE)
    assert (record["frame"], record["track"], record["label"], record["vote"]) == (4, -1, -1, -1)
    assert record["cut"]
    for name in ("box", "score", "landmarks", "emotions", "smoothed", "vote_share", "vote_low", "vote_high", "ages"):
        assert np.isnan(record[name]).all()


def test_faces_without_models_have_rows_of_nan() -> None:
    records = shot(detected(2)).to_records(DTYPE)
    assert (records["label"] == -1).all()
    assert (records["vote"] == -1).all()
    for name in ("emotions", "smoothed", "vote_share", "vote_low", "vote_high", "ages"):
        assert np.isnan(records[name]).all()
    assert not np.isnan(records["box"]).any()
    bare = shot(detected(2)).to_records(row_dtype((), ()))
    assert bare["track"].tolist() == [1, 2]


def test_rows_of_another_model_are_refused() -> None:
    records = shot(classified(1)).to_records(DTYPE)
    with pytest.raises(InputError, match="the records have other columns than these labels"):
        Rows(records, NAMES[:7], AGE_BINS)
    with pytest.raises(InputError, match="the records have other columns"):
        Rows(records, NAMES, AGE_BINS[:-1])


def test_rows_tell_ages_and_entropy() -> None:
    frames = [shot(classified(2), 0), shot(detected(0), 1), shot(classified(1, seed=5), 2)]
    rows = table(*frames)
    assert len(rows) == 4
    assert rows.is_face.tolist() == [True, True, False, True]
    faces = [face for frame in frames for face in frame.faces]
    assert rows.ages[rows.is_face] == pytest.approx([face.age for face in faces], abs=1e-4)
    assert rows.entropy[rows.is_face] == pytest.approx([face.entropy for face in faces], abs=1e-6)
    assert np.isnan(rows.ages[2])
    assert np.isnan(rows.entropy[2])
    bare = Rows(shot(detected(2)).to_records(row_dtype((), ())), (), ())
    assert np.isnan(bare.ages).all()
    assert np.isnan(bare.entropy).all()
    assert len(bare.ages) == len(bare.entropy) == 2


@given(st.lists(st.integers(0, 3), min_size=0, max_size=6))
@settings(max_examples=25, deadline=None)
def test_columns_hold_what_the_frames_do(counts: list[int]) -> None:
    frames = [shot(classified(n, seed=i), i) for i, n in enumerate(counts)]
    rows = table(*frames) if frames else Rows(np.zeros(0, DTYPE), NAMES, AGE_BINS)
    columns = rows.to_columns()
    assert {len(values) for values in columns.values()} == {len(rows)}
    assert columns["frame"] == [i for i, n in enumerate(counts) for _ in range(max(n, 1))]
    flat = [(frame, face) for frame in frames for face in (list(frame.faces) or [None])]
    for at, (frame, face) in enumerate(flat):
        row = {name: values[at] for name, values in columns.items()}
        assert row["time"] == round(frame.time, 6)
        if face is None:
            kept = {name for name, value in row.items() if value is not None}
            assert kept == {"source", "frame", "time", "detected", "cut"}
            continue
        assert row["track"] == face.track
        assert [row[name] for name in ("x1", "y1", "x2", "y2")] == [round(v, 2) for v in face.box]
        assert row["emotion"] == face.emotion
        assert row["confidence"] == round(face.confidence, 4)
        assert [row[f"emotion_{name}"] for name in NAMES] == pytest.approx(list(face.emotions.values()), abs=6e-6)
        assert row["stable_emotion"] == "sad"
        assert row["vote"] == "happy"
        assert row["vote_low"] == pytest.approx(VOTE.low, abs=1e-4)
        assert row["age_range"] == face.age_range
        assert row["age"] == pytest.approx(face.age, abs=0.06)
        assert [row[f"age_{name}"] for name in age_bin_names()] == pytest.approx(list(face.ages.values()), abs=6e-6)
    json.dumps(columns, allow_nan=False)


def test_columns_without_models_leave_their_names_out() -> None:
    rows = Rows(shot(detected(1)).to_records(row_dtype((), ())), (), ())
    assert set(rows.to_columns()) == {
        "source", "frame", "time", "track", "x1", "y1", "x2", "y2", "score", "detected", "cut",
    }  # fmt: skip


def test_a_data_frame_keeps_whole_numbers_where_frames_have_no_face() -> None:
    pytest.importorskip("pandas")
    frame = table(shot(classified(2), 0), shot(detected(0), 1)).to_pandas()
    assert frame["track"].dtype == "Int64"
    assert frame["track"].tolist()[:2] == [1, 2]
    assert frame["track"].isna().tolist() == [False, False, True]
    assert frame["smoothed_happy"].isna().tolist() == [False, False, True]
    assert frame["frame"].tolist() == [0, 0, 1]
    nobody = table(shot(detected(0), 0)).to_pandas()
    assert nobody["track"].isna().tolist() == [True]
    assert nobody["track"].dtype == "Int64"
    assert len(Rows(np.zeros(0, DTYPE), NAMES, AGE_BINS).to_pandas()) == 0


def test_a_data_frame_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="a data frame needs the package 'pandas'"):
        table(shot(classified(1))).to_pandas()


# ---------------------------------------------------------------- tracks and the report


def followed(number: int = 1, start: float = 0.0, **change: Any) -> Track:
    values: dict[str, Any] = {
        "id": number,
        "start": start,
        "end": start + 4,
        "frames": 100,
        "seen": 3.96,
        "emotions": {"happy": 0.7, "sad": 0.3},
        "shares": {"happy": 0.5, "sad": 0.25},
        "vote": VOTE,
        "episodes": (
            Episode(number, "happy", start + 0.2, start + 2.2, 0.9, start + 1.0, 0.8),
            Episode(number, "sad", start + 3.0, start + 4.0, 0.6, start + 3.5, 0.55),
        ),
        "ages": {"20-29": 0.75, "30-39": 0.25},
        "age_bins": ((20, 29), (30, 39)),
        "best": (12, start + 0.48, (1.0, 2.0, 30.0, 40.0)),
    }
    return Track(**(values | change))


@pytest.mark.parametrize(("low", "label", "decided"), [(0.51, "a", True), (0.5, "a", False), (0.9, None, False)])
def test_a_vote_decides_when_its_whole_interval_is_a_majority(low: float, label: str | None, decided: bool) -> None:
    assert Vote(label, 0.95, low, 1.0, 9).decided is decided


def test_a_track() -> None:
    track = followed()
    assert track.emotion == "happy"
    assert track.age_range == "20-29"
    assert track.age == pytest.approx(0.75 * 25 + 0.25 * 35)
    told = json.loads(json.dumps(track.to_dict()))
    assert told == track.to_dict()
    assert (told["track"], told["start"], told["end"], told["frames"], told["seen"]) == (1, 0, 4, 100, 3.96)
    assert told["vote"] == {
        "label": "happy", "share": 0.75, "low": 0.5123, "high": 0.9, "n": 40, "decided": True,
    }  # fmt: skip
    assert told["episodes"][1] == {
        "track": 1, "label": "sad", "start": 3.0, "end": 4.0, "peak": 0.6, "peak_time": 3.5, "mean": 0.55,
    }  # fmt: skip
    assert [episode.duration for episode in track.episodes] == pytest.approx([2.0, 1.0])
    assert (told["emotion"], told["age_range"], told["age"]) == ("happy", "20-29", 27.5)


def test_a_track_without_models() -> None:
    track = followed(emotions={}, shares={}, vote=NOBODY, episodes=(), ages={}, age_bins=())
    assert track.emotion is track.age_range is track.age is None
    assert set(track.to_dict()) == {"track", "start", "end", "frames", "seen"}


def test_coverage() -> None:
    coverage = Coverage(100, 7, lost=2, dropped=1, seconds=4.00049, problems=("caf\udce9.mp4: frame 7 is damaged",))
    assert coverage.to_dict() == {
        "frames": 100, "without_face": 7, "lost": 2, "dropped": 1, "seconds": 4.0,
        "problems": ["caf\\udce9.mp4: frame 7 is damaged"],
    }  # fmt: skip


def report(source: str | None = "clip.mp4") -> VideoReport:
    tracks = (followed(1), followed(2, 0.5), followed(4, 0.2, episodes=()))
    coverage = Coverage(3, 1, problems=(f"{source}: one frame is damaged",))
    return VideoReport(source, (64, 48), tracks, table(shot(classified(2), 0), shot(detected(0), 1)), coverage)


def test_a_report() -> None:
    found = report()
    assert len(found) == 3
    assert found.track(4).id == 4
    with pytest.raises(InputError, match="no track 3: there are 1, 2, 4"):
        found.track(3)
    assert [(e.track, e.start) for e in found.episodes] == [(1, 0.2), (2, 0.7), (1, 3.0), (2, 3.5)]
    document = json.loads(found.to_json())
    assert document == found.to_dict()
    assert (document["source"], document["width"], document["height"]) == ("clip.mp4", 64, 48)
    assert document["coverage"]["frames"] == 3
    assert [track["track"] for track in document["tracks"]] == [1, 2, 4]


def test_a_report_of_nothing() -> None:
    nothing = VideoReport(None, (0, 0), (), Rows(np.zeros(0, DTYPE), NAMES, AGE_BINS), Coverage(0, 0))
    assert nothing.episodes == ()
    assert json.loads(nothing.to_json())["tracks"] == []
    with pytest.raises(InputError, match="no track 1: there are none"):
        nothing.track(1)


def test_a_report_of_a_name_that_is_no_text_is_utf8() -> None:
    document = json.loads(report("caf\udce9.mp4").to_json().encode("utf-8"))
    assert document["source"] == "caf\\udce9.mp4"
    assert document["coverage"]["problems"] == ["caf\\udce9.mp4: one frame is damaged"]


def test_a_report_as_a_data_frame() -> None:
    pytest.importorskip("pandas")
    assert report().to_pandas().equals(report().rows.to_pandas())


def test_numbers_of_a_frame_are_numbers() -> None:
    assert all(math.isfinite(v) for face in shot(classified(2)).to_dict()["faces"] for v in face["smoothed"].values())
