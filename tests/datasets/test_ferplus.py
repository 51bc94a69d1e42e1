from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from helpers.datasets import fer2013_csv, fer2013_rows, ferplus_csv, made, votes_for
from mien.datasets import ferplus
from mien.datasets.fer2013 import read_fer2013
from mien.datasets.ferplus import (
    SCORING_RULES,
    TARGET_RULES,
    apply_target_rule,
    join_votes,
    read_votes,
    scoring_labels,
    vote_targets,
)
from mien.errors import DataError, InputError, MissingFileError
from mien.labels import FERPLUS, FERPLUS_7

#             neu hap sur sad ang dis fea con unk NF
ROWS = {
    "clear": (8, 1, 0, 0, 0, 0, 0, 0, 1, 0),
    "half": (5, 5, 0, 0, 0, 0, 0, 0, 0, 0),
    "half of what is left": (5, 1, 1, 1, 1, 1, 0, 0, 0, 0),
    "three": (4, 3, 3, 0, 0, 0, 0, 0, 0, 0),
    "four": (3, 3, 2, 2, 0, 0, 0, 0, 0, 0),
    "ties": (2, 2, 2, 2, 2, 0, 0, 0, 0, 0),
    "unknown first": (2, 0, 0, 0, 0, 0, 0, 0, 8, 0),
    "unknown second": (5, 0, 0, 0, 0, 0, 0, 0, 5, 0),
    "no face": (0, 0, 0, 0, 0, 0, 0, 0, 0, 10),
    "contempt": (2, 0, 0, 0, 0, 0, 0, 8, 0, 0),
    "contempt alone": (0, 0, 0, 0, 0, 0, 0, 10, 0, 0),
    "singles": (1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
    "none": (0,) * 10,
}


def of(name: str, rule: str, classes: int = 8) -> tuple[list[float], str]:
    result = vote_targets(np.array([ROWS[name]]), rule, classes)
    assert result.keep[0] == (result.reasons[0] == "")
    assert result.targets.dtype == np.float32
    return np.round(result.targets[0], 4).tolist(), str(result.reasons[0])


def share(*parts: float, classes: int = 8) -> list[float]:
    total = sum(parts) or 1
    return np.round(np.array([*parts, *[0] * (classes - len(parts))], np.float32) / np.float32(total), 4).tolist()


@pytest.mark.parametrize(
    ("name", "rule", "classes", "expected", "reason"),
    [
        ("clear", "majority", 8, share(1), ""),
        ("clear", "crossentropy", 8, share(1), ""),
        ("clear", "distribution", 8, share(8, 1), ""),
        ("half", "majority", 8, share(), ferplus.NO_MAJORITY),
        ("half", "crossentropy", 8, share(5, 5), ""),
        ("half of what is left", "majority", 8, share(1), ""),
        ("half of what is left", "distribution", 7, share(5, 1, 1, 1, 1, 1, classes=7), ""),
        ("three", "crossentropy", 8, share(4, 3, 3), ""),
        ("four", "crossentropy", 8, share(), ferplus.SCATTERED),
        ("ties", "crossentropy", 8, share(), ferplus.SCATTERED),
        ("unknown first", "majority", 8, share(), ferplus.UNKNOWN),
        ("unknown first", "crossentropy", 8, share(), ferplus.UNKNOWN),
        ("unknown first", "distribution", 8, share(2), ""),
        ("unknown second", "majority", 8, share(), ferplus.NO_MAJORITY),
        ("unknown second", "crossentropy", 8, share(), ferplus.SCATTERED),
        ("no face", "majority", 8, share(), ferplus.NOT_A_FACE),
        ("no face", "crossentropy", 8, share(), ferplus.NOT_A_FACE),
        ("no face", "distribution", 7, share(classes=7), ferplus.NOT_A_FACE),
        ("contempt", "majority", 8, share(0, 0, 0, 0, 0, 0, 0, 1), ""),
        ("contempt", "majority", 7, share(classes=7), ferplus.CONTEMPT),
        ("contempt", "crossentropy", 7, share(classes=7), ferplus.CONTEMPT),
        ("contempt", "distribution", 7, share(2, classes=7), ""),
        ("contempt alone", "distribution", 7, share(classes=7), ferplus.CONTEMPT),
        ("contempt alone", "distribution", 8, share(0, 0, 0, 0, 0, 0, 0, 1), ""),
        ("singles", "majority", 8, share(), ferplus.NO_VOTES),
        ("singles", "crossentropy", 8, share(), ferplus.NO_VOTES),
        ("none", "distribution", 8, share(), ferplus.NO_VOTES),
    ],
)
def test_rules(name: str, rule: str, classes: int, expected: list[float], reason: str) -> None:
    assert of(name, rule, classes) == (expected, reason)


def crossentropy_in_words(row: list[int]) -> list[float] | None:
    """One row at a time, as the rule's authors put it."""
    left = [v if v > 1 else 0 for v in row]
    total, taken = sum(left), [0] * 10
    covered = count = 0
    while covered < 0.75 * total and count < 3:
        largest, stop = max(left), False
        for i in [i for i, v in enumerate(left) if v == largest]:
            taken[i], left[i] = largest, 0
            covered += largest
            count += 1
            if i >= 8:
                if sum(taken) > largest:
                    taken[i] = 0
                    count -= 1
                stop = True
                break
        if stop:
            break
    if sum(taken) <= 0.5 * total or count > 3 or max(taken[8:]) > 0:
        return None
    return [v / sum(taken) for v in taken[:8]]


@settings(deadline=None)
@given(arrays(np.int8, st.tuples(st.integers(1, 30), st.just(10)), elements=st.integers(0, 8)))
def test_crossentropy_is_the_rule_in_words(votes: np.ndarray) -> None:
    result = vote_targets(votes, "crossentropy")
    for row, target, keep in zip(votes.tolist(), result.targets, result.keep, strict=True):
        expected = crossentropy_in_words(row)
        assert keep == (expected is not None)
        np.testing.assert_allclose(target, expected or [0] * 8, atol=1e-6)


@settings(deadline=None)
@given(
    arrays(np.int8, st.tuples(st.integers(0, 20), st.just(10)), elements=st.integers(0, 10)),
    st.sampled_from(TARGET_RULES),
    st.sampled_from([7, 8]),
)
def test_targets_are_distributions(votes: np.ndarray, rule: str, classes: int) -> None:
    result = vote_targets(votes, rule, classes)
    assert result.targets.shape == (len(votes), classes)
    assert result.taxonomy == (FERPLUS if classes == 8 else FERPLUS_7)
    np.testing.assert_allclose(result.targets.sum(axis=1), result.keep.astype(float), atol=1e-6)
    assert set(result.reasons.tolist()) <= {"", *ferplus.DROP_REASONS}
    np.testing.assert_array_equal(result.keep, result.reasons == "")


def test_targets_refuse_what_they_cannot_use() -> None:
    votes = np.zeros((2, 10), int)
    with pytest.raises(InputError, match="unknown rule 'mean': expected one of majority"):
        vote_targets(votes, "mean")
    with pytest.raises(InputError, match="8 classes, or 7 without contempt, got 6"):
        vote_targets(votes, "majority", 6)
    with pytest.raises(InputError, match=r"shape \(n, 10\), got \(2, 8\)"):
        vote_targets(votes[:, :8], "majority")
    with pytest.raises(InputError, match="negative"):
        vote_targets(votes - 1, "majority")


def test_votes_are_read_and_joined_by_row(tmp_path: Path) -> None:
    data = read_fer2013(fer2013_csv(tmp_path / "fer2013.csv", fer2013_rows(10)))
    votes = votes_for(data.emotion)
    read = read_votes(ferplus_csv(tmp_path / "fer2013new.csv", votes))
    np.testing.assert_array_equal(read, votes)
    joined = join_votes(data, read)
    np.testing.assert_array_equal(joined.votes, votes)
    assert "FER+" in joined.info.source


def test_join_refuses_votes_of_other_data() -> None:
    data = made(20)
    votes = votes_for(data.emotion)
    with pytest.raises(DataError, match="19 rows of FER\\+ votes for 20 images"):
        join_votes(data, votes[:19])
    with pytest.raises(DataError, match="join the votes first"):
        join_votes(data[np.arange(20)[::-1]], votes)
    folders = replace(data, info=replace(data.info, name="folders"))
    with pytest.raises(DataError, match=r"this is folders; give fer2013\.csv"):
        join_votes(folders, votes)
    many = made(600, side=2)
    with pytest.raises(DataError, match="not in the same order"):
        join_votes(many, np.roll(votes_for(many.emotion), 1, axis=0))
    assert join_votes(many, votes_for(many.emotion)).votes is not None


def test_filtered_counts_what_it_drops() -> None:
    data = replace(made(len(ROWS)), votes=np.array(list(ROWS.values()), np.int8))
    kept = apply_target_rule(data, "majority")
    assert kept.row.tolist() == [0, 2, 9, 10]
    assert dict(kept.info.dropped) == {
        ferplus.NO_MAJORITY: 5,
        ferplus.NO_VOTES: 2,
        ferplus.NOT_A_FACE: 1,
        ferplus.UNKNOWN: 1,
    }
    assert kept.info.notes == ("rows kept by the FER+ rule majority with 8 classes",)
    with pytest.raises(InputError, match="has no FER\\+ votes"):
        apply_target_rule(made(3), "majority")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [lines[0].replace("contempt", "scorn"), *lines[1:]], "no column 'contempt'"),
        (lambda lines: [*lines[:3], "Training,x,1,2", *lines[4:]], r"row 3 \(line 4\): 4 columns instead of 12"),
        (lambda lines: [*lines[:2], lines[2][:-1] + "many"], r"row 2 \(line 3\): votes must be whole numbers"),
        (lambda lines: [*lines[:2], lines[2][:-1] + "-3"], r"row 2 \(line 3\): votes must be in 0–100"),
        (lambda lines: lines[:1], "no rows below the header"),
        (lambda lines: [], "no column 'neutral'"),
    ],
)
def test_wrong_vote_files(change, message: str, tmp_path: Path) -> None:
    path = ferplus_csv(tmp_path / "fer2013new.csv", votes_for(np.arange(5)))
    path.write_text("\n".join(change(path.read_text().splitlines())))
    with pytest.raises(DataError, match=message):
        read_votes(path)


def test_missing_vote_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"get fer2013new\.csv from"):
        read_votes(tmp_path / "fer2013new.csv")


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("clear", (0, 0, 0, 0, 0, 0)),
        ("half", (-1, -1, 0, -1, 0, 0)),
        ("half of what is left", (0, 0, 0, 0, 0, 0)),
        ("three", (-1, -1, 0, 0, 0, 0)),
        ("unknown first", (-1, -1, -1, -1, 0, -1)),
        ("unknown second", (-1, -1, 0, -1, 0, 0)),
        ("no face", (-1, -1, -1, -1, -1, -1)),
        ("contempt", (7, -1, 7, 7, 7, -1)),
        ("none", (-1, -1, -1, -1, -1, -1)),
    ],
)
def test_the_label_depends_on_the_scoring_rule(name: str, labels: tuple[int, ...]) -> None:
    votes = np.array([ROWS[name]])
    assert tuple(int(scoring_labels(votes, rule)[0]) for rule in SCORING_RULES) == labels
    with pytest.raises(InputError, match="no FER\\+ protocol 'mean'"):
        scoring_labels(votes, "mean")
