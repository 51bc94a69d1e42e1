"""The values of a video: what a frame, the table, a track and the report hold comes out unchanged in every form."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.faces import EMOTION_HEAD, HEADS, age_head, predictions
from helpers.videos import made_frames, report_of, rows_of
from mien.errors import InputError, MissingExtraError
from mien.labels import AGE_BINS, FERPLUS, age_bin_names
from mien.media.frame import Frame
from mien.models.card import Head
from mien.results.columns import column_names, readable
from mien.results.face_columns import FaceTable, record_dtype
from mien.results.faces import Faces
from mien.results.track import NO_VOTE, Episode, Track, TrackPrediction, Vote
from mien.results.video import Coverage, SmoothedPredictions, VideoFrame, VideoReport
from mien.results.view import FLAGS, MEASURES, POSE

NAMES = FERPLUS.names
VOTE = Vote("happy", 0.75, 0.512345, 0.9, 40, 12.5)


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
    return detected(n, seed).with_predictions(
        predictions(
            emotions=rng.dirichlet(np.full(8, 0.5), n).astype(np.float32),
            ages=rng.dirichlet(np.ones(9), n).astype(np.float32),
        )
    )


def shot(faces: Faces, index: int = 0, source: str | None = "clip.mp4", **change: Any) -> VideoFrame:
    values: dict[str, Any] = {"smoothed": smoothed(faces)}
    return VideoFrame(Frame(np.zeros((48, 64, 3), np.uint8), source, index, index / 25), faces, **(values | change))


def smoothed(faces: Faces, **change: Any) -> dict[str, SmoothedPredictions]:
    """Everyone is sad in the end, whatever the frame itself shows; nothing without an emotion model."""
    if faces.emotions is None:
        return {}
    n = len(faces)
    head = faces.predictions["emotion"].head
    found = SmoothedPredictions(head, faces.emotions[:, ::-1].copy(), ("sad",) * n, (VOTE,) * n)
    return {"emotion": replace(found, **change)}


def table(*frames: VideoFrame, source: str | None = "clip.mp4") -> FaceTable:
    empty = FaceTable.empty(HEADS, source, video=True)
    return empty.followed_by(replace(empty, records=frame.to_records(HEADS)) for frame in frames)


PREDICTED = (
    "emotion", "emotion/smoothed", "emotion/vote_share", "emotion/vote_low", "emotion/vote_high", "age",
)  # fmt: skip
"""Fields of records that are NaN where nothing was predicted."""


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
        ({"smoothed": smoothed(classified(1))}, "2 faces need as many smoothed predictions of 'emotion', got 1"),
        ({"faces": classified(3)}, "3 faces need as many smoothed predictions of 'emotion', got 2"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(shot(classified(2)), **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": np.zeros((2, 7), np.float32)}, r"smoothed probabilities must be float32 of shape \(2, 8\)"),
        ({"probabilities": np.zeros((3, 8), np.float32)}, r"smoothed probabilities must be float32 of shape \(2, 8\)"),
        ({"probabilities": np.zeros((2, 8))}, r"smoothed probabilities must be float32 of shape \(2, 8\)"),
        ({"labels": ("sad",)}, r"smoothed probabilities must be float32 of shape \(1, 8\)"),
        ({"votes": ()}, "2 labels need as many votes, got 0"),
    ],
)
def test_smoothed_values_that_do_not_fit_together_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        smoothed(classified(2), **change)


def test_labels_and_votes_are_those_of_the_first_nominal_head() -> None:
    frame = shot(classified(2))
    assert frame.labels == ("sad", "sad")
    assert frame.votes == (VOTE, VOTE)
    bare = shot(detected(2))
    assert bare.labels == (None, None)
    assert bare.votes == ()
    assert list(frame.heads) == ["emotion", "age"]


def test_a_frame_as_json() -> None:
    frame = shot(classified(2), 3, detected=False, cut=True)
    document = json.loads(frame.to_json())
    assert document == frame.to_dict()
    assert list(document) == ["schema", "source", "frame", "time", "detected", "cut", "faces"]
    assert (document["source"], document["frame"], document["time"]) == ("clip.mp4", 3, 0.12)
    assert (document["detected"], document["cut"]) == (False, True)
    for i, (found, face) in enumerate(zip(document["faces"], frame.faces, strict=True)):
        assert found["track"] == i + 1
        emotion, age = found["predictions"]["emotion"], found["predictions"]["age"]
        assert found["emotion"] == emotion["label"] == face.emotion
        assert emotion["stable"] == "sad"
        assert list(emotion["smoothed"]) == list(NAMES)
        smooth = frame.smoothed["emotion"].probabilities[i].tolist()
        assert list(emotion["smoothed"].values()) == pytest.approx(smooth, abs=5e-6)
        assert emotion["vote"] == {"label": "happy", "share": 0.75, "low": 0.5123, "high": 0.9}
        assert found["age_range"] == age["label"] == face.age_range
        assert found["age"] == age["expected"]
        assert {"stable", "smoothed", "vote"}.isdisjoint(age)


def test_a_frame_without_models_or_faces_holds_no_more_than_it_knows() -> None:
    (face,) = shot(detected(1, points=False)).to_dict()["faces"]
    assert set(face) == {"track", "box", "score", "flags"}
    empty = shot(detected(0), source=None).to_dict()
    assert empty == {"schema": "urn:mien:schema:frame:2", "frame": 0, "time": 0.0, "detected": True, "faces": []}


def test_what_no_model_predicted_for_one_face_is_left_out_and_never_nan() -> None:
    """The emotion model failed on the first face, the age model has not seen the second yet."""
    faces = classified(2)
    faces.emotions[0], faces.ages[1] = np.nan, np.nan
    frame = shot(faces, smoothed=smoothed(faces, labels=(None, "sad"), votes=(NO_VOTE, VOTE)))
    first, second = json.loads(frame.to_json(), parse_constant=pytest.fail)["faces"]
    assert "emotion" not in first
    assert list(first["predictions"]) == ["age"]
    assert "age_range" in first
    assert second["predictions"]["emotion"]["stable"] == "sad"
    assert list(second["predictions"]) == ["emotion"]
    assert {"age_range", "age"}.isdisjoint(second)
    columns = table(frame).to_columns()
    for name in (
        "emotion",
        "emotion_confidence",
        "emotion_entropy",
        "emotion_sad",
        "emotion_stable",
        "emotion_smoothed_sad",
        "emotion_vote",
        "emotion_vote_share",
        "emotion_vote_high",
    ):
        assert columns[name][0] is None
        assert columns[name][1] is not None
    for name in ("age_range", "age", "age_20_29"):
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
    heads = {"emotion": Head("emotion", ("a", "b")), "age": age_head(((0, 9), (10, 99), (100, 120)))}
    dtype = record_dtype(heads, video=True)
    face = 4 + 16 + 4 + 40 + 16
    frame = 8 + 8 + 4 + 1 + 1
    assert dtype.itemsize == face + frame + (2 * 4 + 2 * 4 + 2 + 2 + 3 * 4) + 3 * 4
    assert dtype["emotion"].shape == dtype["emotion/smoothed"].shape == (2,)
    assert dtype["age"].shape == (3,)
    assert all(dtype[name].base.str[0] in "<|?" for name in dtype.names)
    assert record_dtype({}, video=True).itemsize == face + frame
    assert record_dtype(heads, video=False).itemsize == face + 2 * 4 + 3 * 4


def test_records_hold_what_the_frame_does() -> None:
    frame = shot(classified(3), 7, detected=False, cut=True)
    records = frame.to_records(HEADS)
    assert len(records) == 3
    for name, values in {
        "box": frame.faces.boxes, "score": frame.faces.scores, "landmarks": frame.faces.landmarks,
        "emotion": frame.faces.emotions, "emotion/smoothed": frame.smoothed["emotion"].probabilities,
        "age": frame.faces.ages,
    }.items():  # fmt: skip
        assert np.array_equal(records[name], values)
    assert records["face"].tolist() == [1, 2, 3]
    assert records["frame"].tolist() == [7] * 3
    assert records["time"].tolist() == [7 / 25] * 3
    assert records["track"].tolist() == [1, 2, 3]
    assert records["detected"].tolist() == [False] * 3
    assert records["cut"].tolist() == [True] * 3
    assert records["emotion/label"].tolist() == [NAMES.index("sad")] * 3
    assert records["emotion/vote"].tolist() == [NAMES.index("happy")] * 3
    for name in ("share", "low", "high"):
        assert records[f"emotion/vote_{name}"].tolist() == [np.float32(getattr(VOTE, name))] * 3


def test_a_frame_without_a_face_is_one_row() -> None:
    (record,) = shot(detected(0), 4, cut=True).to_records(HEADS)
    assert (record["face"], record["frame"], record["track"]) == (-1, 4, -1)
    assert (record["emotion/label"], record["emotion/vote"]) == (-1, -1)
    assert record["cut"]
    for name in ("box", "score", "landmarks", *PREDICTED):
        assert np.isnan(record[name]).all()


def test_faces_without_models_have_rows_of_nan() -> None:
    records = shot(detected(2)).to_records(HEADS)
    assert records["face"].tolist() == [1, 2]
    assert (records["emotion/label"] == -1).all()
    assert (records["emotion/vote"] == -1).all()
    for name in PREDICTED:
        assert np.isnan(records[name]).all()
    assert not np.isnan(records["box"]).any()
    bare = shot(detected(2)).to_records({})
    assert bare["track"].tolist() == [1, 2]


def test_rows_of_another_model_are_refused() -> None:
    records = shot(classified(1)).to_records(HEADS)
    fewer = Head("emotion", NAMES[:7])
    for heads in (HEADS | {"emotion": fewer}, HEADS | {"age": age_head(AGE_BINS[:-1])}, {"emotion": EMOTION_HEAD}):
        with pytest.raises(InputError, match="the records have other columns than these heads"):
            FaceTable(records, heads, None, video=True)
    with pytest.raises(InputError, match="the records have other columns than these heads"):
        FaceTable(records, HEADS, None, video=False)


def test_a_table_gives_the_predictions_of_its_heads() -> None:
    frames = [shot(classified(2), 0), shot(detected(0), 1), shot(classified(1, seed=5), 2)]
    rows = table(*frames)
    assert len(rows) == 4
    assert rows.is_face.tolist() == [True, True, False, True]
    faces = [face for frame in frames for face in frame.faces]
    ages, entropy = rows.predictions("age").expected, rows.predictions("emotion").entropy
    assert ages[rows.is_face] == pytest.approx([face.age for face in faces], abs=1e-4)
    assert entropy[rows.is_face] == pytest.approx([face.entropy for face in faces], abs=1e-6)
    assert np.isnan(ages[2])
    assert np.isnan(entropy[2])
    unseen = table(shot(detected(2)))
    assert np.isnan(unseen.predictions("age").expected).all()
    assert np.isnan(unseen.predictions("emotion").entropy).all()
    assert len(unseen.predictions("age")) == len(unseen.predictions("emotion")) == 2


@given(st.lists(st.integers(0, 3), min_size=0, max_size=6))
@settings(max_examples=25, deadline=None)
def test_columns_hold_what_the_frames_do(counts: list[int]) -> None:
    frames = [shot(classified(n, seed=i), i) for i, n in enumerate(counts)]
    rows = table(*frames)
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
        assert row["emotion_confidence"] == round(face.confidence, 4)
        assert [row[f"emotion_{name}"] for name in NAMES] == pytest.approx(list(face.emotions.values()), abs=6e-6)
        assert row["emotion_entropy"] == pytest.approx(face.entropy, abs=6e-5)
        smooth = frame.smoothed["emotion"].probabilities[face.track - 1].tolist()
        assert [row[f"emotion_smoothed_{name}"] for name in NAMES] == pytest.approx(smooth, abs=6e-6)
        assert row["emotion_stable"] == "sad"
        assert row["emotion_vote"] == "happy"
        assert row["emotion_vote_low"] == pytest.approx(VOTE.low, abs=1e-4)
        assert row["age_range"] == face.age_range
        assert row["age"] == pytest.approx(face.age, abs=0.06)
        assert [row[f"age_{name}"] for name in column_names(age_bin_names())] == pytest.approx(
            list(face.ages.values()), abs=6e-6
        )
    json.dumps(columns, allow_nan=False)


def test_columns_without_models_leave_their_names_out() -> None:
    rows = shot(detected(1)).to_table()
    assert set(rows.to_columns()) == {
        "source", "frame", "time", "track", "x1", "y1", "x2", "y2", "score", "detected", "cut",
        *POSE, *MEASURES, *(f"flag_{name}" for name in FLAGS),
    }  # fmt: skip


def test_a_data_frame_keeps_whole_numbers_where_frames_have_no_face() -> None:
    pytest.importorskip("pandas")
    frame = table(shot(classified(2), 0), shot(detected(0), 1)).to_pandas()
    assert frame["track"].dtype == "Int32"
    assert frame["track"].tolist()[:2] == [1, 2]
    assert frame["track"].isna().tolist() == [False, False, True]
    assert frame["emotion_smoothed_happy"].isna().tolist() == [False, False, True]
    assert frame["frame"].tolist() == [0, 0, 1]
    nobody = table(shot(detected(0), 0)).to_pandas()
    assert nobody["track"].isna().tolist() == [True]
    assert nobody["track"].dtype == "Int32"
    assert len(table().to_pandas()) == 0


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
        "predictions": {"emotion": moods(number, start), "age": YEARS},
        "best": (12, start + 0.48, (1.0, 2.0, 30.0, 40.0)),
    }
    return Track(**(values | change))


YEARS = TrackPrediction(age_head(((20, 29), (30, 39))), {"20-29": 0.75, "30-39": 0.25})


def moods(number: int, start: float, head: str = "emotion") -> TrackPrediction:
    return TrackPrediction(
        Head(head, ("happy", "sad")),
        {"happy": 0.7, "sad": 0.3},
        {"happy": 0.5, "sad": 0.25},
        VOTE,
        (
            Episode(number, head, "happy", start + 0.2, start + 2.2, 0.9, start + 1.0, 0.8),
            Episode(number, head, "sad", start + 3.0, start + 4.0, 0.6, start + 3.5, 0.55),
        ),
    )


@pytest.mark.parametrize(("low", "label", "decided"), [(0.51, "a", True), (0.5, "a", False), (0.9, None, False)])
def test_a_vote_decides_when_its_whole_interval_is_a_majority(low: float, label: str | None, decided: bool) -> None:
    assert Vote(label, 0.95, low, 1.0, 9).decided is decided


def test_a_track() -> None:
    track = followed()
    assert track.emotion == "happy"
    assert track.emotions == {"happy": 0.7, "sad": 0.3}
    assert track.shares == {"happy": 0.5, "sad": 0.25}
    assert track.vote == VOTE
    assert track.ages == {"20-29": 0.75, "30-39": 0.25}
    assert track.age_range == "20-29"
    assert track.age == pytest.approx(0.75 * 25 + 0.25 * 35)
    document = json.loads(json.dumps(track.to_dict()))
    assert document == track.to_dict()
    assert [document[key] for key in ("track", "start", "end", "frames", "seen")] == [1, 0, 4, 100, 3.96]
    emotion, age = document["predictions"]["emotion"], document["predictions"]["age"]
    assert emotion["probabilities"] == {"happy": 0.7, "sad": 0.3}
    assert emotion["shares"] == {"happy": 0.5, "sad": 0.25}
    assert emotion["vote"] == {
        "label": "happy", "share": 0.75, "low": 0.5123, "high": 0.9, "n": 40, "decided": True,
    }  # fmt: skip
    assert emotion["episodes"] == 2
    assert document["episodes"][1] == {
        "track": 1, "head": "emotion", "label": "sad", "start": 3.0, "end": 4.0, "peak": 0.6, "peak_time": 3.5,
        "mean": 0.55,
    }  # fmt: skip
    assert document["episodes"] == [episode.to_dict() for episode in track.episodes]
    assert [episode.duration for episode in track.episodes] == pytest.approx([2.0, 1.0])
    assert age == {"label": "20-29", "expected": 27.5, "probabilities": {"20-29": 0.75, "30-39": 0.25}}
    assert (document["emotion"], document["age_range"], document["age"]) == ("happy", "20-29", 27.5)


def test_a_track_without_models() -> None:
    track = followed(predictions={})
    assert track.emotion is track.age_range is track.age is None
    assert track.emotions == track.shares == track.ages == {}
    assert track.vote is NO_VOTE
    assert track.episodes == ()
    assert set(track.to_dict()) == {"track", "start", "end", "frames", "seen"}


def test_a_track_of_one_model() -> None:
    ages = followed(predictions={"age": YEARS})
    assert (ages.emotion, ages.age_range, ages.vote, ages.episodes) == (None, "20-29", NO_VOTE, ())
    assert {"emotion", "episodes"}.isdisjoint(ages.to_dict())
    emotions = followed(predictions={"emotion": moods(1, 0.0)})
    assert (emotions.emotion, emotions.age_range, emotions.age) == ("happy", None, None)
    assert {"age", "age_range"}.isdisjoint(emotions.to_dict())


def test_tracks_of_different_heads_stand_together() -> None:
    """The age model has not seen the second face."""
    first, second = report_of_tracks(followed(1), followed(2, predictions={"emotion": moods(2, 0.0)}))
    assert list(first["predictions"]) == ["emotion", "age"]
    assert list(second["predictions"]) == ["emotion"]
    assert {"age", "age_range"}.isdisjoint(second)


def test_episodes_of_several_heads_are_in_order_of_time() -> None:
    track = followed(predictions={"mood": moods(1, 0.1, "mood"), "emotion": moods(1, 0.1)})
    assert [(episode.head, episode.label) for episode in track.episodes] == [
        ("emotion", "happy"), ("mood", "happy"), ("emotion", "sad"), ("mood", "sad"),
    ]  # fmt: skip


def report_of_tracks(*tracks: Track) -> list[dict[str, Any]]:
    found = VideoReport("clip.mp4", (64, 48), tracks, table(), Coverage(0, 0))
    return found.to_dict()["tracks"]


def test_coverage() -> None:
    coverage = Coverage(100, 7, lost=2, dropped=1, seconds=4.00049, problems=("caf\udce9.mp4: frame 7 is damaged",))
    assert coverage.to_dict() == {
        "frames": 100, "without_face": 7, "lost": 2, "dropped": 1, "seconds": 4.0,
        "problems": ["caf\\udce9.mp4: frame 7 is damaged"],
    }  # fmt: skip


def report(source: str | None = "clip.mp4") -> VideoReport:
    tracks = (followed(1), followed(2, 0.5), followed(4, 0.2, predictions={"age": YEARS}))
    coverage = Coverage(3, 1, problems=(f"{source}: one frame is damaged",))
    return VideoReport(source, (64, 48), tracks, table(shot(classified(2), 0), shot(detected(0), 1)), coverage)


def test_a_report() -> None:
    found = report()
    assert len(found) == 3
    assert found.track(4).id == 4
    with pytest.raises(InputError, match="no track 3; the tracks are 1, 2, 4"):
        found.track(3)
    assert [(e.track, e.start) for e in found.episodes] == [(1, 0.2), (2, 0.7), (1, 3.0), (2, 3.5)]
    document = json.loads(found.to_json())
    assert document == found.to_dict()
    assert (document["source"], document["width"], document["height"]) == ("clip.mp4", 64, 48)
    assert document["coverage"]["frames"] == 3
    assert [track["track"] for track in document["tracks"]] == [1, 2, 4]
    assert document["heads"] == {
        "emotion": {"labels": list(NAMES), "ordered": False},
        "age": {"labels": list(age_bin_names()), "ordered": True},
    }


def test_a_report_of_nothing() -> None:
    nothing = VideoReport(None, (0, 0), (), FaceTable.empty({}, None, video=True), Coverage(0, 0))
    assert nothing.episodes == ()
    document = json.loads(nothing.to_json())
    assert document["tracks"] == []
    assert document["heads"] == {}
    with pytest.raises(InputError, match="no track 1; the tracks are none"):
        nothing.track(1)


def test_a_report_of_a_name_that_is_no_text_is_utf8() -> None:
    document = json.loads(report("caf\udce9.mp4").to_json().encode("utf-8"))
    assert document["source"] == "caf\\udce9.mp4"
    assert document["coverage"]["problems"] == ["caf\\udce9.mp4: one frame is damaged"]


def test_a_report_as_a_data_frame() -> None:
    pytest.importorskip("pandas")
    assert report().to_pandas().equals(report().rows.to_pandas())


def test_numbers_of_a_frame_are_numbers() -> None:
    for face in shot(classified(2)).to_dict()["faces"]:
        assert all(math.isfinite(v) for v in face["predictions"]["emotion"]["smoothed"].values())


def test_a_report_is_saved_by_its_suffix(tmp_path: Path) -> None:
    report = report_of(rows_of(list(made_frames(30, size=(64, 48)))))
    for suffix in (".csv", ".CSV"):
        with report.save(tmp_path / f"r{suffix}").open(newline="", encoding="utf-8") as file:
            assert len(list(csv.DictReader(file))) == len(report.rows)
    lines = report.save(tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(30))
    assert json.loads(report.save(tmp_path / "r.json").read_text(encoding="utf-8")) == report.to_dict()
    assert pq.read_metadata(report.save(tmp_path / "r.parquet")).num_rows == len(report.rows)
    assert report.save(tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.CSV", "r.csv", "r.html", "r.json", "r.jsonl", "r.parquet"]
    for name in ("r.txt", "r", "r.xlsx"):
        with pytest.raises(InputError, match=r"no form for the suffix .*; use \.html, \.json, \.jsonl, \.csv or"):
            report.save(tmp_path / name)


def test_a_report_never_overwrites_its_video(tmp_path: Path) -> None:
    video = tmp_path / "clip.json"
    video.write_text("frames")
    report = replace(report_of(rows_of(list(made_frames(3, size=(64, 48))))), source=str(video))
    with pytest.raises(InputError, match="is an input: it would be overwritten"):
        report.save(video)
    assert video.read_text() == "frames"
