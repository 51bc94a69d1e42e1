"""Changes from a person's own resting face: made courses of people whose faces look angry or sad at rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mien.errors import InputError, MissingFileError
from mien.models.card import Head
from mien.results.face_columns import FaceTable, empty_records, record_dtype
from mien.smoothing.baseline import Baseline, person_changes

HEAD = Head("emotion", ("neutral", "happy", "angry"))
HEADS = {"emotion": HEAD}
FPS = 10
CALM, GRIM = (0.9, 0.05, 0.05), (0.35, 0.05, 0.6)
SMILE, GRIM_SMILE, RAGE = (0.1, 0.85, 0.05), (0.1, 0.6, 0.3), (0.03, 0.02, 0.95)


def course(people: Sequence[Sequence[tuple[float, Sequence[float]]]], *, noise: float = 0.02) -> FaceTable:
    """One track per person, each with stretches of (seconds, distribution), at `FPS` frames per second."""
    rng = np.random.default_rng(0)
    rows = []
    for track, stretches in enumerate(people, 1):
        shown = np.concatenate([np.tile(p, (round(seconds * FPS), 1)) for seconds, p in stretches])
        shown = np.clip(shown + rng.normal(0, noise, shown.shape), 0.001, 1)
        shown /= shown.sum(axis=1, keepdims=True)
        records = empty_records(len(shown), record_dtype(HEADS, video=True))
        records["face"], records["track"] = track, track
        records["frame"] = np.arange(len(shown))
        records["time"] = np.arange(len(shown)) / FPS
        records["emotion"], records["emotion/smoothed"] = shown, shown
        records["emotion/label"] = shown.argmax(axis=1)
        rows.append(records)
    table = np.concatenate(rows)
    return FaceTable(table[np.argsort(table["frame"], kind="stable")], HEADS, "clip.mp4", video=True)


def labels(found: Sequence[object]) -> list[tuple[int, str, float, float]]:
    return [(e.track, e.label, round(e.start, 1), round(e.end, 1)) for e in found]  # type: ignore[attr-defined]


PEOPLE = [
    [(12, CALM), (3, SMILE), (5, CALM)],
    [(12, GRIM), (3, GRIM_SMILE), (2, GRIM), (3, RAGE)],
]


def test_a_face_that_looks_angry_at_rest_has_no_episode_of_anger_until_it_gets_angrier() -> None:
    found = person_changes(course(PEOPLE), Baseline.parse("first:10s"))
    assert found.resting[1] == pytest.approx(CALM, abs=0.02)
    assert found.resting[2] == pytest.approx(GRIM, abs=0.02)
    assert labels(found.episodes) == [
        (1, "happy", 12.0, 15.0), (2, "happy", 12.0, 15.0), (2, "angry", 17.0, 20.0),
    ]  # fmt: skip
    rise = found.episodes[2]
    assert rise.mean == pytest.approx(0.35, abs=0.03)


def test_the_same_smile_is_the_same_change_whatever_the_resting_face() -> None:
    offset = [[(10, (0.9 - a, 0.05, 0.05 + a)), (3, (0.5 - a, 0.45, 0.05 + a))] for a in (0.0, 0.2, 0.45)]
    found = person_changes(course(offset), Baseline(first=10))
    assert [e.label for e in found.episodes] == ["happy"] * 3
    assert [e.mean for e in found.episodes] == pytest.approx([0.4] * 3, abs=0.03)


def test_neutral_frames_are_the_rest_of_those_who_have_some() -> None:
    found = person_changes(course(PEOPLE), Baseline.parse("neutral"))
    assert found.resting[1] == pytest.approx(CALM, abs=0.02)
    assert 2 not in found.resting
    table = course(PEOPLE)
    assert np.isnan(found.changes[table.records["track"] == 2]).all()
    assert not np.isnan(found.changes[table.records["track"] == 1]).any()


def test_a_file_gives_the_rest_of_each_person_and_what_was_written_reads_back(tmp_path: Path) -> None:
    first = person_changes(course(PEOPLE), Baseline(first=10))
    path = tmp_path / "changes.json"
    path.write_text(json.dumps(first.to_dict()))
    again = person_changes(course(PEOPLE), Baseline.parse(str(path)))
    assert labels(again.episodes) == labels(first.episodes)
    path.write_text(json.dumps({"all": dict(zip(HEAD.labels, CALM, strict=True))}))
    everyone = person_changes(course(PEOPLE), Baseline.parse(str(path)))
    assert (2, "angry", 0.0, 12.0) in labels(everyone.episodes)


def test_columns_hold_the_change_of_each_frame() -> None:
    table = course(PEOPLE)
    columns = person_changes(table, Baseline(first=10)).to_columns(table)
    assert list(columns) == ["frame", "time", "track", "change_neutral", "change_happy", "change_angry"]
    assert len(columns["frame"]) == len(table)
    row = columns["frame"].index(130)
    assert columns["change_happy"][row] == pytest.approx(0.8, abs=0.1)
    assert "-0.0" not in {str(value) for name in columns if name.startswith("change_") for value in columns[name]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("first:0s", "has no length"), ("first:", "no baseline"), ("happy", "no baseline"), ("rest.txt", "no baseline"),
    ],
)  # fmt: skip
def test_a_wrong_baseline_is_one_clear_line(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Baseline.parse(text)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"1": {}}', '{"1": {"happy": 0.4}}', '{"1": {"happy": "much"}}'])
def test_a_file_without_distributions_is_one_clear_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "rest.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"no resting distributions|do not sum to 1"):
        Baseline.parse(str(path))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        Baseline.parse(str(tmp_path / "none.json"))
    with pytest.raises(InputError, match="the baseline has the labels"):
        person_changes(course(PEOPLE), Baseline(given={"all": {"pain": 1.0}}))
    with pytest.raises(InputError, match="no head 'age'"):
        person_changes(course(PEOPLE), Baseline(first=10), head="age")
    with pytest.raises(InputError, match="for videos"):
        person_changes(FaceTable.empty(HEADS, None, video=False), Baseline(first=10))
    nothing = person_changes(FaceTable.empty(HEADS, None, video=True), Baseline(first=10))
    assert nothing.episodes == ()
