from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.datasets import made, votes_for
from helpers.pictures import astronaut
from mien.cli import cli
from mien.datasets.class_balance import limit_per_emotion, resplit
from mien.datasets.cleaning import (
    CLEANING_RULES,
    clean_dataset,
    contradicting_labels,
    contrast,
    count_images,
    default_rules,
    earlier_copies,
    sharpness,
    sum_counts,
    vote_entropy,
)
from mien.datasets.dataset import SPLITS, Dataset
from mien.datasets.mislabels import label_doubt
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.errors import DataError, InputError

POINTWISE = ("constant", "blur", "ambiguous", "not-a-face")


def textured(n: int = 40, channels: int = 1, seed: int = 0) -> Dataset:
    """Every picture noise of its own, which no rule finds anything about."""
    images = np.random.default_rng(seed).integers(0, 256, (n, 48, 48, channels), np.uint8)
    return replace(made(n), images=images)


def with_votes(data: Dataset) -> Dataset:
    """Seven of ten raters for the label; nobody sees something else than a face."""
    votes = np.zeros((len(data), 10), np.int8)
    votes[:, :8] = votes_for(data.emotion)[:, :8]
    return replace(data, votes=votes)


def changed(data: Dataset, **images: np.ndarray) -> Dataset:
    """The dataset with other pictures at some rows, such as ``r3=…``."""
    pixels = data.images.copy()
    for row, image in images.items():
        pixels[int(row[1:])] = image
    return replace(data, images=pixels)


def removed(data: Dataset, rule: str, **thresholds: float) -> list[int]:
    """Rows that one rule removes."""
    cleaned = clean_dataset(data, [rule], thresholds)
    return sorted(set(range(len(data))) - set(cleaned.index.tolist()))


def test_pictures_of_one_brightness() -> None:
    nearly = np.full((48, 48, 1), 90, np.uint8)
    nearly[0, 0] = 99
    data = changed(textured(), r3=np.full((48, 48, 1), 7, np.uint8), r8=nearly)
    assert removed(data, "constant") == [3, 8]
    assert removed(data, "constant", constant=0.1) == [3]
    half = np.zeros((48, 48, 1), np.uint8)
    half[:24] = 10
    assert contrast(changed(data, r0=half))[0] == 5


def test_blurred_pictures() -> None:
    data = textured()
    soft = cv2.GaussianBlur(data.images[5], (0, 0), 3)[..., None]
    assert removed(changed(data, r5=soft), "blur") == [5]
    assert removed(changed(data, r5=soft), "blur", blur=1) == []
    dot = np.zeros((48, 48, 1), np.uint8)
    dot[20, 20] = 100
    laplacian = np.zeros(48 * 48)
    laplacian[:5] = -400, 100, 100, 100, 100
    assert sharpness(changed(data, r0=dot))[0] == pytest.approx(laplacian.var())


def test_raters_judge() -> None:
    data = textured(5)
    votes = np.zeros((5, 10), np.int8)
    votes[0, 0] = 10
    votes[1, :2] = 5
    votes[2, :4] = 2, 3, 2, 3
    votes[3, :5] = 2
    votes[4, [0, 9]] = 5
    data = replace(data, votes=votes)
    np.testing.assert_allclose(vote_entropy(data)[[0, 1, 3, 4]], [0, 1, np.log2(5), 1])
    assert removed(data, "ambiguous") == [3]
    assert removed(data, "ambiguous", ambiguous=0.99) == [1, 2, 3, 4]
    assert removed(data, "not-a-face") == [4]
    assert removed(data, "not-a-face", **{"not-a-face": 6}) == []


def test_one_of_several_copies_stays_and_held_out_ones_first() -> None:
    data = textured(20)  # rows 0, 1, 2 of five are train, 3 is validation, 4 is test
    same = data.images
    data = changed(data, r5=same[0], r8=same[1], r4=same[2], r9=same[3], r18=same[3], r14=same[13])
    assert (data.split[[0, 5]] == "train").all()
    gone = removed(data, "duplicate")
    assert gone == [1, 2, 3, 5, 13, 18]
    left = clean_dataset(data, ["duplicate"]).prepared
    assert not earlier_copies(left).any()


def test_copies_with_other_labels_all_go() -> None:
    data = textured(20)
    data = changed(data, r7=data.images[0], r8=data.images[0], r9=data.images[2])  # emotion is row modulo 7
    assert contradicting_labels(data)[[0, 7, 8, 2, 9, 1]].tolist() == [1, 1, 1, 0, 0, 0]
    assert removed(data, "contradictory") == [0, 7, 8]
    assert data.split[[0, 7, 8, 2, 9]].tolist() == ["train", "train", "validation", "train", "test"]
    assert removed(data, "duplicate") == [0, 2, 7]


def test_a_copy_stays_when_the_other_goes_for_its_votes() -> None:
    """Copies carry votes of their own: what is left of them is looked at last."""
    data = with_votes(textured(20))
    data = changed(data, r7=data.images[0])
    votes = data.votes.copy()
    votes[0] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 10]
    cleaned = clean_dataset(replace(data, votes=votes), ["duplicate", "not-a-face"])
    assert sorted(set(range(20)) - set(cleaned.index.tolist())) == [0]
    by_rule = {one.rule: (sum_counts(one.alone), sum_counts(one.in_sequence)) for one in cleaned.removals}
    assert by_rule == {"not-a-face": (1, 1), "duplicate": (1, 0)}


def test_no_face_found() -> None:
    data = textured(10, channels=3)
    data = changed(data, r4=np.full((48, 48, 3), (200, 0, 0), np.uint8))
    seen: list[tuple[int, ...]] = []

    def sees(rgb: np.ndarray) -> bool:
        seen.append(rgb.shape)
        return bool(rgb[0, 0, 0] != 200 or rgb[0, 0, 1] != 0)

    cleaned = clean_dataset(data, ["undetected"], sees=sees)
    assert set(range(10)) - set(cleaned.index.tolist()) == {4}
    assert seen == [(48, 48, 3)] * 10
    clean_dataset(textured(4), ["undetected"], sees=sees)
    assert seen[-1] == (48, 48, 3)
    with pytest.raises(InputError, match="'undetected' needs a detector"):
        clean_dataset(data, ["undetected"])


def stripes(n: int = 120) -> Dataset:
    """Emotion 0 is upright stripes, emotion 3 level ones, with noise; rows 10 and 31 carry the other's label."""
    rng = np.random.default_rng(0)
    wave = (np.arange(48) // 3 % 2 * 120).astype(int)
    upright = np.arange(n) % 2 == 0
    pictures = np.where(upright[:, None, None], wave[None, None, :], wave[None, :, None])
    images = np.clip(pictures + rng.integers(0, 120, (n, 48, 48)), 0, 255).astype(np.uint8)
    emotion = np.where(upright, 0, 3).astype(np.int8)
    emotion[[10, 31]] = 3 - emotion[[10, 31]]
    return replace(made(n), images=images[..., None], emotion=emotion)


def test_wrong_labels_are_doubted() -> None:
    pytest.importorskip("sklearn")
    data = stripes()
    odds = label_doubt(data)
    assert set(np.argsort(odds)[-2:].tolist()) == {10, 31}
    assert odds.min() == 1
    assert removed(data, "disagreement", disagreement=float(np.sort(odds)[-2]) - 1e-9) == [10, 31]


def test_a_copy_does_not_vouch_for_its_own_label() -> None:
    """Were its copies in other folds, the wrong label would be learned with the picture."""
    pytest.importorskip("sklearn")
    data = stripes()
    data = changed(data, **{f"r{row}": data.images[31] for row in (33, 35, 37)})
    emotion = data.emotion.copy()
    emotion[[33, 35, 37]] = emotion[31]
    odds = label_doubt(replace(data, emotion=emotion))
    assert odds[[31, 33, 35, 37]].min() > 1
    assert np.ptp(odds[[31, 33, 35, 37]]) < 1e-9


def test_doubt_needs_images() -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(DataError, match=r"each of at least two labels needs 5.*leave the rule 'disagreement' out"):
        label_doubt(textured(20))


def test_rules_follow_what_the_dataset_has() -> None:
    data = textured()
    assert default_rules(data) == ("constant", "blur", "disagreement", "contradictory", "duplicate")
    voted = ("constant", "not-a-face", "blur", "ambiguous", "contradictory", "duplicate")
    assert default_rules(with_votes(data)) == voted
    plain = replace(data, emotion=None, info=replace(data.info, taxonomy=None))
    assert default_rules(plain) == ("constant", "blur", "duplicate")
    cleaned = clean_dataset(plain)
    assert cleaned.before == {"train": {"all": 24}, "validation": {"all": 8}, "test": {"all": 8}}
    assert not clean_dataset(with_votes(data)).prepared.info.dropped


def test_what_is_wrong_is_said() -> None:
    data = textured()
    with pytest.raises(InputError, match="no cleaning rule 'ugly': there are constant, not-a-face"):
        clean_dataset(data, ["ugly"])
    with pytest.raises(InputError, match="needs FER\\+ votes: leave it out"):
        clean_dataset(data, ["ambiguous"])
    with pytest.raises(InputError, match="a threshold for 'blur', which is not among the rules constant"):
        clean_dataset(data, ["constant"], {"blur": 3})


@settings(max_examples=25, deadline=None)
@given(
    rules=st.lists(st.sampled_from(["constant", "not-a-face", "blur", "ambiguous", "contradictory", "duplicate"])),
    limit=st.floats(0, 4),
)
def test_counts_add_up(rules: list[str], limit: float) -> None:
    base = with_votes(textured(30))
    pictures = {f"r{i}": base.images[i // 3] for i in range(9)}
    data = changed(base, **pictures, r20=base.images[20] // 64, r21=np.zeros((48, 48, 1), np.uint8))
    cleaned = clean_dataset(data, rules, {"ambiguous": limit} if "ambiguous" in rules else {})
    gone = len(data) - len(cleaned.prepared)
    assert (
        sum(sum_counts(one.in_sequence) for one in cleaned.removals)
        == gone
        == sum_counts(cleaned.before) - sum_counts(cleaned.after)
    )
    assert all(sum_counts(one.in_sequence) <= sum_counts(one.alone) for one in cleaned.removals)
    assert [one.rule for one in cleaned.removals] == [name for name in CLEANING_RULES if name in rules]
    np.testing.assert_array_equal(cleaned.prepared.row, data.row[cleaned.index])
    assert sum(count for reason, count in cleaned.prepared.info.dropped if reason.startswith("cleaning")) == gone
    again = clean_dataset(cleaned.prepared, rules, {"ambiguous": limit} if "ambiguous" in rules else {})
    assert len(again.prepared) == len(cleaned.prepared)


def test_report() -> None:
    data = changed(textured(10), r3=np.zeros((48, 48, 1), np.uint8))
    report = clean_dataset(data, ["constant", "blur"], {"blur": 5}).to_dict()
    assert report["before"]["total"] == 10
    assert report["after"]["total"] == 9
    constant, blur = report["rules"]
    assert constant["rule"] == "constant"
    assert constant["alone"]["validation"]["happy"] == 1
    assert sum(constant["alone"]["validation"].values()) == constant["alone"]["total"] == 1
    assert blur["alone"]["total"] == 1
    assert blur["in_sequence"]["total"] == 0
    assert blur["drops"] == "below 5 (variance of the Laplacian)"
    assert report["notes"] == ["cleaned by constant below 2, blur below 5"]
    json.dumps(report)


def test_fewer_of_one_emotion() -> None:
    data = textured(70)
    kept = limit_per_emotion(data, {"happiness": 4, "sad": 99}, seed=2)
    counts = np.bincount(kept.emotion, minlength=7)
    assert counts.tolist() == [10, 10, 10, 4, 10, 10, 10]
    assert dict(kept.info.dropped) == {"beyond the limit of happy": 6}
    assert (np.diff(kept.row) > 0).all()
    np.testing.assert_array_equal(kept.row, limit_per_emotion(data, {"happy": 4}, seed=2).row)
    assert set(kept.row.tolist()) != set(limit_per_emotion(data, {"happy": 4}, seed=3).row.tolist())
    with pytest.raises(InputError, match="no limit contempt=4: the emotions are angry"):
        limit_per_emotion(data, {"contempt": 4})
    with pytest.raises(InputError, match="at least 1 image must stay"):
        limit_per_emotion(data, {"happy": 0})


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 200), shares=st.tuples(*[st.floats(0.1, 10)] * 3), seed=st.integers(0, 5))
def test_new_splits_hold_their_shares_of_every_emotion(n: int, shares: tuple[float, float, float], seed: int) -> None:
    data = replace(made(n, side=2), emotion=(np.arange(n) % 3).astype(np.int8))
    new = resplit(data, shares, seed)
    np.testing.assert_array_equal(new.images, data.images)
    np.testing.assert_array_equal(new.row, data.row)
    counts = count_images(new, np.ones(n, np.bool_))
    for split, share in zip(SPLITS, np.array(shares) / sum(shares), strict=True):
        assert abs(sum(counts[split].values()) - share * n) <= 1
        for emotion in counts[split]:
            assert abs(counts[split][emotion] - share * (data.emotion == data.taxonomy.index[emotion]).sum()) <= 2
    np.testing.assert_array_equal(new.split, resplit(data, shares, seed).split)


def test_new_splits_need_shares() -> None:
    with pytest.raises(InputError, match="share above 0"):
        resplit(made(10), (1, 0, 1))


def test_command(tmp_path: Path) -> None:
    data = with_votes(textured(140))
    data = changed(data, r3=np.zeros((48, 48, 1), np.uint8), r10=data.images[4], r20=data.images[13])
    source = write_prepared(data, tmp_path / "a.parquet")
    out, kept, report = tmp_path / "clean.parquet", tmp_path / "kept.csv", tmp_path / "clean.json"
    arguments = ["data", "clean", str(source), "--out", str(out), "--kept", str(kept), "--json", str(report)]
    more = ["--expressions", "happy,sad,angry,neutral", "--limit", "neutral=12", "--split", "3,1,1"]
    result = CliRunner().invoke(cli, [*arguments, *more], catch_exceptions=False)
    assert result.exit_code == 0
    assert "duplicate" in result.stdout
    clean_data = read_prepared(out)
    document = json.loads(report.read_text())
    assert [rule["rule"] for rule in document["rules"]] == list(default_rules(data))
    # of 20 images an emotion: a black "happy", a "happy" with a "sad" copy, a copy of a "neutral"; then 12 "neutral"
    assert document["result"]["total"] == len(clean_data) == 4 * 20 - 1 - 2 - (20 - 12)
    assert {rule["rule"]: rule["in_sequence"]["total"] for rule in document["rules"]} == {
        "constant": 1, "not-a-face": 0, "blur": 0, "ambiguous": 0, "contradictory": 2, "duplicate": 1,
    }  # fmt: skip
    assert document["result"]["train"]["neutral"] == round(12 * 3 / 5)
    assert {name.partition(" ")[0] for name in document["notes"]} == {"expressions", "cleaned", "at", "split"}
    with kept.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["row"]) for row in rows] == clean_data.row.tolist()
    assert [row["split"] for row in rows] == clean_data.split.tolist()
    assert [row["split_before"] for row in rows] == data.split[clean_data.row].tolist()
    assert {row["emotion"] for row in rows} == {"happy", "sad", "angry", "neutral"}
    plain = CliRunner().invoke(cli, ["data", "clean", str(source), "--out", str(out), "--rules", "blur", "--blur", "1"])
    assert plain.exit_code == 0
    assert len(read_prepared(out)) == 139


def test_a_detector_looks_for_faces(tmp_path: Path) -> None:
    gray = cv2.cvtColor(astronaut()[55:180, 165:290], cv2.COLOR_RGB2GRAY)
    face = cv2.resize(gray, (48, 48), interpolation=cv2.INTER_AREA)[..., None]
    data = changed(textured(10), r2=face, r7=face)
    source, out = write_prepared(data, tmp_path / "a.parquet"), tmp_path / "b.parquet"
    arguments = ["data", "clean", str(source), "--out", str(out), "--rules", "constant", "--detector", "mtcnn"]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert read_prepared(out).row.tolist() == [2, 7]


@pytest.mark.parametrize(
    "option", ["--limit neutral", "--limit neutral=x", "--split 1,2", "--split a,b,c", "--detector x"]
)
def test_bad_calls(tmp_path: Path, option: str) -> None:
    result = CliRunner().invoke(
        cli, ["data", "clean", str(tmp_path / "a"), "--out", str(tmp_path / "b"), *option.split()]
    )
    assert result.exit_code == 2


def test_the_command_knows_every_rule() -> None:
    from mien.cli import clean as command

    assert tuple(CLEANING_RULES) == command.RULES
    help_text = CliRunner().invoke(cli, ["data", "clean", "--help"]).stdout
    for name, rule in CLEANING_RULES.items():
        if name in ("constant", "not-a-face", "blur", "ambiguous", "disagreement"):
            assert f"default: {rule.threshold:g}]" in " ".join(help_text.split(f"--{name} ")[1].split()[:40])
