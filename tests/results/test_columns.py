"""The columns of results: stated once, and every table, file, JSON object and schema agrees with them for any model."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.csv_cells import csv_cells
from mien.errors import InputError
from mien.media.frame import Frame
from mien.models.card import Head
from mien.results.columns import (
    AnyKey,
    Column,
    arrow_schema,
    column_names,
    flat_row,
    flat_values,
    json_schema,
)
from mien.results.face_columns import AGE, EMOTION, FaceTable, Heads, face_columns, record_dtype
from mien.results.faces import Faces
from mien.results.json_schema import results_schema
from mien.results.prediction import Predictions
from mien.results.row_writers import CsvRows, JsonlRows, ParquetRows, RawRows, read_raw_rows
from mien.results.tables import write_csv, write_json, write_parquet
from mien.results.track import NO_VOTE, Episode, Track, TrackPrediction, Vote
from mien.results.track_columns import EPISODE_COLUMNS, track_columns
from mien.results.video import Coverage, SmoothedPredictions, VideoFrame, VideoReport

jsonschema = pytest.importorskip("jsonschema")
pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")

MOOD = Head("mood", ("calm", "tense", "bored"))
YEARS = Head("out_years", ("0-9", "10-19", "20-99"), ordered=True, interval=0.5)
PAIN = Head("out_pain", ("none", "mild", "severe"), ordered=True)
HEADS: Heads = {"mood": MOOD, "years": YEARS, "pain": PAIN}
"""Of a made-up model: no order, an order of ranges, an order of words."""
SHIPPED: Heads = {EMOTION: MOOD, AGE: YEARS}
TABLES: Mapping[str, Sequence[Column[Any]]] = {
    "photo": face_columns(HEADS, video=False),
    "video": face_columns(HEADS, video=True),
    "track": track_columns(HEADS),
    "episode": EPISODE_COLUMNS,
    "photo without a model": face_columns({}, video=False),
    "video without a model": face_columns({}, video=True),
    "photo of shipped heads": face_columns(SHIPPED, video=False),
    "video of shipped heads": face_columns(SHIPPED, video=True),
    "track of shipped heads": track_columns(SHIPPED),
}
each_table = pytest.mark.parametrize("columns", TABLES.values(), ids=TABLES)

VIEW = [
    "yaw", "pitch", "roll", "brightness", "sharpness", "covered", "unlike",
    "flag_turned", "flag_small", "flag_dark", "flag_blurred", "flag_covered", "flag_unlike",
]  # fmt: skip
PHOTO_NAMES = [
    "source", "face", "x1", "y1", "x2", "y2", "score", *VIEW,
    "mood", "mood_confidence", "mood_entropy", "mood_calm", "mood_tense", "mood_bored",
    "years_range", "years", "years_0_9", "years_10_19", "years_20_99",
    "pain", "pain_confidence", "pain_entropy", "pain_none", "pain_mild", "pain_severe",
]  # fmt: skip
OVER_TIME = [
    "mood_stable", "mood_smoothed_calm", "mood_smoothed_tense", "mood_smoothed_bored",
    "mood_vote", "mood_vote_share", "mood_vote_low", "mood_vote_high",
]  # fmt: skip
VIDEO_NAMES = [
    "source", "frame", "time", "track", "x1", "y1", "x2", "y2", "score", *VIEW, "detected", "cut",
    *PHOTO_NAMES[20:26], *OVER_TIME, *PHOTO_NAMES[26:],
]  # fmt: skip


def faces(n: int = 2, seed: int = 0, source: str | None = "a.jpg", heads: Heads = HEADS) -> Faces:
    """Predicted by the made-up model; the last of several faces was seen by its first head alone."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 50, (n, 2))
    boxes = np.hstack([corner, corner + 20])
    found = Faces.detected(boxes, rng.uniform(0.5, 1, n), rng.uniform(0, 60, (n, 5, 2)), (100, 80))
    for i, (name, head) in enumerate(heads.items()):
        values = rng.dirichlet(np.ones(len(head.labels)), n).astype(np.float32)
        if i and n > 1:
            values[-1] = np.nan
        found = found.with_predictions({name: Predictions(head, values)})
    return replace(found, source=source)


PHOTOS = [faces(0, source="none.jpg"), faces(2), faces(1, 3, "b.jpg")]


def frame(index: int, n: int = 2, heads: Heads = HEADS) -> VideoFrame:
    """One frame; the first face has no stable label and no vote yet."""
    found = replace(faces(n, index, "clip.mp4", heads), tracks=np.arange(1, n + 1, dtype=np.int64))
    smoothed = {}
    for name, head in heads.items():
        if not head.ordered:
            values = found.predictions[name].probabilities[:, ::-1].copy()
            labels = (None, *[head.labels[1]] * n)[:n]
            votes = (NO_VOTE, *[Vote(head.labels[2], 0.75, 0.5, 0.875, 9)] * n)[:n]
            smoothed[name] = SmoothedPredictions(head, values, labels, votes)
    picture = Frame(np.zeros((80, 100, 3), np.uint8), "clip.mp4", index, index / 25)
    return VideoFrame(picture, found, smoothed, detected=index % 2 == 0, cut=index == 3)


FRAMES = [frame(0), frame(1), frame(2, 0), frame(3, 1)]


def video_table(heads: Heads = HEADS, frames: Sequence[VideoFrame] = FRAMES) -> FaceTable:
    empty = FaceTable.empty(heads, "clip.mp4", video=True)
    return empty.followed_by(replace(empty, records=one.to_records(heads)) for one in frames)


def tracks() -> tuple[Track, ...]:
    """One that every head saw, one without a vote, one that a single head saw."""
    mood = TrackPrediction(
        MOOD,
        {"calm": 0.5, "tense": 0.25, "bored": 0.25},
        {"calm": 0.75},
        Vote("calm", 0.75, 0.6, 0.9, 12, 4.0),
        (Episode(1, "mood", "calm", 0.0, 2.0, 0.9, 1.0, 0.7),),
    )
    years = TrackPrediction(YEARS, {"0-9": 0.0, "10-19": 0.5, "20-99": 0.5})
    pain = TrackPrediction(PAIN, {"none": 0.25, "mild": 0.5, "severe": 0.25})
    undecided = replace(mood, vote=NO_VOTE, episodes=(), shares={})
    best = (3, 0.12, (1.0, 2.0, 30.0, 40.0))
    return (
        Track(1, 0.0, 2.0, 50, 1.9, {"mood": mood, "years": years, "pain": pain}, best),
        Track(2, 0.5, 2.0, 30, 1.0, {"mood": undecided, "pain": pain}, best),
        Track(3, 0.5, 1.0, 10, 0.4, {"years": years}, best),
    )


REPORT = VideoReport("clip.mp4", (100, 80), tracks(), video_table(), Coverage(4, 1, seconds=0.16))


def names(columns: Sequence[Column[Any]]) -> list[str]:
    return [column.name for column in columns if column.flat]


def as_csv(columns: Sequence[Column[Any]], rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """What a reader of CSV gets of these rows."""
    kept = [column for column in columns if column.flat]
    return [
        ["" if cell is None else str(cell) for c in kept for cell in csv_cells([row.get(c.name)], labels=c.is_label)]
        for row in rows
    ]


def strict(text: str) -> Any:
    """Parsed JSON, without the NaN that Python alone would read."""
    return json.loads(text, parse_constant=pytest.fail)


def check(kind: str, document: Any) -> None:
    """Holds a result against the schema, in which a key that it does not name is an error as well."""
    jsonschema.Draft202012Validator(results_schema(kind, closed=True)).validate(document)


# ---------------------------------------------------------------- the tables themselves


@each_table
def test_every_column_is_described(columns: Sequence[Column[Any]]) -> None:
    for column in columns:
        assert column.description
        assert column.description == column.description.strip().rstrip(".")
        assert column.name or not column.flat
        assert column.flat or column.path, "a column is in flat tables, in JSON or in both"
        assert column.low is None or column.high is None or column.low < column.high


@each_table
def test_flat_names_and_paths_are_unique(columns: Sequence[Column[Any]]) -> None:
    paths = [column.path for column in columns if column.path]
    assert len(set(paths)) == len(paths)
    assert len(set(names(columns))) == len(names(columns))


def test_the_columns_follow_from_the_heads() -> None:
    assert names(TABLES["photo"]) == PHOTO_NAMES
    assert names(TABLES["video"]) == VIDEO_NAMES
    shipped = names(TABLES["video of shipped heads"])
    assert [name for name in shipped if name.startswith("emotion")][:4] == [
        "emotion", "emotion_confidence", "emotion_entropy", "emotion_calm",
    ]  # fmt: skip
    assert [name for name in shipped if name.startswith("age")] == [
        "age_range", "age", "age_0_9", "age_10_19", "age_20_99",
    ]  # fmt: skip
    assert names(TABLES["track"])[5:] == [
        "mood", "mood_calm", "mood_tense", "mood_bored", "mood_share_calm", "mood_share_tense", "mood_share_bored",
        "mood_vote", "mood_vote_share", "mood_vote_low", "mood_vote_high", "mood_vote_n", "mood_vote_decided",
        "mood_episodes", "years_range", "years", "years_0_9", "years_10_19", "years_20_99",
        "pain", "pain_none", "pain_mild", "pain_severe",
    ]  # fmt: skip


@each_table
def test_names_are_those_that_r_and_sql_read_unquoted(columns: Sequence[Column[Any]]) -> None:
    assert [name for name in names(columns) if not re.fullmatch(r"[a-z][a-z0-9_]*", name)] == []


def test_heads_and_labels_of_any_name_give_names_that_r_reads() -> None:
    odd = ("3-9", "not sure", "not-sure", "70+", "70", "☺", "Größe", "a_", "_a", "=1")
    for head in ("mine", "1st", "my head", "_", "ünï", "-"):
        found = names(face_columns({head: Head(head, odd)}, video=True))
        assert len(found) == len(set(found))
        assert [name for name in found if not re.fullmatch(r"[^\W\d_]\w*", name)] == []


@each_table
def test_the_schema_describes_every_column_that_json_has(columns: Sequence[Column[Any]]) -> None:
    schema = json_schema(columns)
    kinds = {"string": "string", "category": "string", "int32": "integer", "int64": "integer", "float64": "number"}
    for column in columns:
        if not column.path:
            continue
        node = schema
        for key in column.path:
            if isinstance(key, int):
                node = node["prefixItems"][key]
            elif isinstance(key, AnyKey):
                node = node["additionalProperties"]
            else:
                assert not column.required or node is not schema or key in schema["required"]
                node = node["properties"][key]
        assert node["description"]
        if column.schema is None and not any(isinstance(key, AnyKey) for key in column.path):
            wanted = kinds.get(column.dtype, "boolean")
            assert node["type"] == ([wanted, "null"] if column.null else wanted)
            assert node["description"].startswith(column.description)


@each_table
def test_arrow_types_follow_from_the_columns(columns: Sequence[Column[Any]]) -> None:
    schema = arrow_schema(columns)
    assert schema.names == names(columns)
    texts = {c.name for c in columns if c.flat and c.dtype in ("string", "category")}
    assert {
        field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_dictionary(field.type)
    } == texts


@pytest.mark.parametrize("video", [False, True])
def test_records_have_a_field_for_every_head(video: bool) -> None:
    dtype = record_dtype(HEADS, video=video)
    assert {name: dtype[name].shape for name in HEADS} == {"mood": (3,), "years": (3,), "pain": (3,)}
    over_time = [name for name in dtype.names if "/" in name]
    assert over_time == (
        ["mood/smoothed", "mood/label", "mood/vote", "mood/vote_share", "mood/vote_low", "mood/vote_high"]
        if video
        else []
    )


# ---------------------------------------------------------------- names that clash


@pytest.mark.parametrize(
    ("heads", "twice"),
    [
        ({"mood": Head("mood", ("calm", "confidence"))}, "mood_confidence"),
        ({"mood": MOOD, "mood_calm": PAIN}, "mood_calm"),
        ({"mood_range": PAIN, "mood": YEARS}, "mood_range"),
        ({"source": MOOD}, "source"),
    ],
)
def test_two_heads_or_labels_that_give_one_column_name_are_refused(
    tmp_path: Path, heads: dict[str, Head], twice: str
) -> None:
    for video in (False, True):
        with pytest.raises(InputError, match=f"two columns are called '{twice}'; rename a head or a label"):
            face_columns(heads, video=video)
    found = faces(1, heads=heads)
    for write in (write_csv, write_parquet, write_json):
        with pytest.raises(InputError, match="two columns are called"):
            write([found], tmp_path / "out")
    with pytest.raises(InputError, match="two columns are called"):
        found.to_dicts()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("label", ["stable", "vote", "smoothed_calm", "vote_share"])
def test_labels_that_clash_in_videos_alone_are_fine_in_photos(label: str) -> None:
    heads = {"mood": Head("mood", ("calm", label))}
    assert f"mood_{label}" in names(face_columns(heads, video=False))
    with pytest.raises(InputError, match=f"two columns are called 'mood_{label}'"):
        face_columns(heads, video=True)


@pytest.mark.parametrize("name", ["face", "box", "score", "landmarks"])
def test_a_head_with_the_name_of_a_column_of_every_record_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"two heads have the same name, or one has that of a column .*{name}"):
        record_dtype({name: MOOD}, video=False)
    with pytest.raises(InputError, match="has that of a column"):
        faces(1, heads={name: MOOD}).to_table()


# ---------------------------------------------------------------- photos


def test_photos_of_a_made_up_model_agree_in_every_form(tmp_path: Path) -> None:
    table = PHOTOS[1].to_table()
    rows = PHOTOS[1].to_rows()
    assert list(table.to_columns()) == PHOTO_NAMES
    assert [list(row) for row in rows] == [PHOTO_NAMES] * 2
    frame = PHOTOS[1].to_pandas()
    assert list(frame.columns) == PHOTO_NAMES
    with write_csv(PHOTOS, tmp_path / "a.csv").open(encoding="utf-8", newline="") as stream:
        header, *lines = csv.reader(stream)
    assert header == PHOTO_NAMES
    parquet = pa.parquet.read_table(write_parquet(PHOTOS, tmp_path / "a.parquet"))
    assert parquet.schema.equals(arrow_schema(TABLES["photo"]))
    every = [row for found in PHOTOS for row in (found.to_rows() or [{"source": found.source}])]
    assert parquet.to_pylist() == [{name: row.get(name) for name in PHOTO_NAMES} for row in every]
    assert lines == as_csv(TABLES["photo"], every)
    assert frame.astype(object).where(frame.notna(), None).to_dict("records") == rows


def test_photos_of_a_made_up_model_as_json(tmp_path: Path) -> None:
    lines = write_json(PHOTOS, tmp_path / "a.jsonl").read_text("utf-8").splitlines()
    assert [strict(line)["faces"] for line in lines] == [found.to_dicts() for found in PHOTOS]
    assert strict(write_json(PHOTOS, tmp_path / "a.json").read_text("utf-8")) == [strict(line) for line in lines]
    for line in lines:
        check("photo", strict(line))
    first, last = PHOTOS[1].to_dicts()
    assert list(first) == ["box", "score", "landmarks", "view", "flags", "predictions"]
    row, found = PHOTOS[1][0], first["predictions"]
    assert list(found) == ["mood", "years", "pain"]
    assert list(found["mood"]) == ["label", "confidence", "entropy", "probabilities"]
    assert list(found["years"]) == ["label", "expected", "confidence", "entropy", "probabilities"]
    assert list(found["pain"]) == ["label", "confidence", "entropy", "probabilities"]
    for name, head in HEADS.items():
        prediction = row.predictions[name]
        assert found[name]["label"] == prediction.label
        assert found[name]["confidence"] == round(prediction.confidence, 4)
        assert found[name]["entropy"] == pytest.approx(prediction.entropy, abs=6e-5)
        assert list(found[name]["probabilities"]) == list(head.labels)
        assert found[name]["probabilities"] == {k: round(v, 5) for k, v in prediction.probabilities.items()}
    assert found["years"]["expected"] == pytest.approx(row.predictions["years"].expected, abs=0.051)
    assert list(last["predictions"]) == ["mood"]


def test_flat_columns_hold_what_the_predictions_do() -> None:
    rows = PHOTOS[1].to_rows()
    for face, row in zip(PHOTOS[1], rows, strict=True):
        for name, head in HEADS.items():
            prediction = face.predictions.get(name)
            label = f"{name}_range" if head.ranges else name
            if prediction is None:
                assert row[label] is None
                assert all(row[f"{name}_{one}"] is None for one in column_names(head.labels))
                continue
            assert row[label] == prediction.label
            assert [row[f"{name}_{one}"] for one in column_names(head.labels)] == [
                round(value, 5) for value in prediction.probabilities.values()
            ]
            if not head.ranges:
                assert row[f"{name}_confidence"] == round(prediction.confidence, 4)
                assert row[f"{name}_entropy"] == pytest.approx(prediction.entropy, abs=6e-5)
    assert rows[0]["years"] == pytest.approx(PHOTOS[1][0].predictions["years"].expected, abs=0.051)
    assert rows[1]["years"] is None


def test_the_first_head_of_a_made_up_model_answers_for_it() -> None:
    found = PHOTOS[1]
    assert found.labels() == [face.predictions["mood"].label for face in found]
    assert found.labels(head="pain") == [found[0].predictions["pain"].label, None]
    assert found.emotions is found.ages is None
    assert found[0].emotion is found[0].age is found[0].age_range is None
    assert len(found.filter(label=found.labels(head="pain")[0], head="pain")) == 1


# ---------------------------------------------------------------- videos


def test_a_video_of_a_made_up_model_agrees_in_every_form(tmp_path: Path) -> None:
    table = video_table()
    columns = table.to_columns()
    assert list(columns) == VIDEO_NAMES
    assert columns["track"] == [1, 2, 1, 2, None, 1]
    assert columns["mood_stable"] == [None, "tense", None, "tense", None, None]
    assert columns["mood_vote"] == [None, "bored", None, "bored", None, None]
    assert columns["mood_vote_high"] == [None, 0.875, None, 0.875, None, None]
    assert list(table.to_pandas().columns) == VIDEO_NAMES
    with (
        CsvRows(tmp_path / "a.csv") as to_csv,
        ParquetRows(tmp_path / "a.parquet") as to_parquet,
        RawRows(tmp_path / "a.rows") as raw,
    ):
        for start in (0, 2, 4):  # whole frames
            for writer in (to_csv, to_parquet, raw):
                writer.write(table.rows(start, start + 2))
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as stream:
        header, *lines = csv.reader(stream)
    assert header == VIDEO_NAMES
    expected = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert lines == as_csv(TABLES["video"], expected)
    assert {line[header.index("cut")] for line in lines} <= {"TRUE", "FALSE"}
    assert all(" to " in line[header.index("years_range")] for line in lines if line[header.index("years_range")])
    parquet = pa.parquet.read_table(tmp_path / "a.parquet")
    assert parquet.schema.equals(arrow_schema(TABLES["video"]))
    assert parquet.to_pylist() == expected
    back = read_raw_rows(tmp_path / "a.rows")
    assert back.records.tobytes() == table.records.tobytes()
    assert back.to_columns() == columns
    assert {name: (head.labels, head.ordered, head.interval) for name, head in back.heads.items()} == {
        name: (head.labels, head.ordered, head.interval) for name, head in HEADS.items()
    }


def test_frames_of_a_made_up_model_as_json(tmp_path: Path) -> None:
    with JsonlRows(tmp_path / "a.jsonl") as writer:
        writer.write(video_table())
    lines = (tmp_path / "a.jsonl").read_text("utf-8").splitlines()
    assert lines == [one.to_json() for one in FRAMES]
    documents = [strict(line) for line in lines]
    for document in documents:
        check("frame", document)
    first, second = documents[0]["faces"]
    assert "vote" not in first["predictions"]["mood"]
    assert first["predictions"]["mood"]["stable"] is None
    assert second["predictions"]["mood"]["stable"] == "tense"
    assert second["predictions"]["mood"]["vote"] == {"label": "bored", "share": 0.75, "low": 0.5, "high": 0.875}
    for name in ("years", "pain"):
        assert {"stable", "smoothed", "vote"}.isdisjoint(first["predictions"][name])


def test_tracks_and_episodes_of_a_made_up_model_keep_to_the_schema() -> None:
    document = strict(REPORT.to_json())
    check("report", document)
    assert document["heads"] == {
        name: {"labels": list(head.labels), "ordered": head.ordered} for name, head in HEADS.items()
    }
    first, second, third = document["tracks"]
    assert first["predictions"]["mood"]["vote"]["label"] == "calm"
    assert second["predictions"]["mood"]["vote"]["label"] is None
    assert first["predictions"]["years"]["expected"] == 37.5
    assert "expected" not in first["predictions"]["pain"]
    assert list(third["predictions"]) == ["years"]
    assert [len(one.get("episodes", ())) for one in document["tracks"]] == [1, 0, 0]
    assert "episodes" not in third


def test_flat_rows_of_tracks_are_read_back_from_json() -> None:
    document = strict(REPORT.to_json())
    columns = track_columns(HEADS)
    flat = flat_values(columns, REPORT.tracks)
    for i, track in enumerate(document["tracks"]):
        assert flat_row(columns, track) == {name: values[i] for name, values in flat.items()}
    (episode,) = document["tracks"][0]["episodes"]
    assert flat_row(EPISODE_COLUMNS, episode) == {
        name: values[0] for name, values in flat_values(EPISODE_COLUMNS, REPORT.episodes).items()
    }


# ---------------------------------------------------------------- names of the shipped heads, odd labels


@pytest.mark.parametrize(
    "heads", [SHIPPED, {AGE: PAIN}, {AGE: MOOD}, {EMOTION: YEARS}, {EMOTION: PAIN, AGE: MOOD}, {AGE: YEARS}]
)
def test_other_models_under_the_names_of_the_shipped_ones_keep_to_the_schema(heads: Heads) -> None:
    document = strict(faces(2, heads=heads).to_json())
    check("photo", document)
    assert list(document["faces"][0]["predictions"]) == list(heads)
    check("frame", strict(frame(3, heads=heads).to_json()))
    found = {name: TrackPrediction(head, dict.fromkeys(head.labels, 1 / 3)) for name, head in heads.items()}
    track = replace(REPORT.tracks[0], predictions=found)
    check("report", strict(replace(REPORT, tracks=(track,), rows=FaceTable.empty(heads, None, video=True)).to_json()))


def test_labels_with_commas_quotes_and_foreign_letters_come_back(tmp_path: Path) -> None:
    heads = {"mood": Head("mood", ("calm, or so", 'so "tense"', "gelangweilt, müde 猫"))}
    expected = ["mood_calm_or_so", "mood_so_tense", "mood_gelangweilt_müde_猫"]
    found = faces(2, heads=heads)
    write_csv([found], tmp_path / "photo.csv")
    with CsvRows(tmp_path / "video.csv") as writer:
        writer.write(frame(0, heads=heads).to_table())
    with CsvRows(tmp_path / "video.csv", keep=2) as writer:
        writer.write(frame(1, heads=heads).to_table())
    for name, rows in (("photo.csv", 2), ("video.csv", 4)):
        text = (tmp_path / name).read_text("utf-8")
        header, *lines = csv.reader(io.StringIO(text, newline=""))
        assert [one for one in header if one in expected] == expected
        assert [len(line) for line in lines] == [len(header)] * rows
    parquet = pa.parquet.read_table(write_parquet([found], tmp_path / "a.parquet"))
    assert parquet.to_pylist() == found.to_rows()
    check("photo", strict(found.to_json()))
