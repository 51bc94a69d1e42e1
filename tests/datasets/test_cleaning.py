from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.datasets import textured, with_images, with_votes
from mien.datasets.cleaning import CLEANING_RULES, clean_dataset, default_rules, sum_counts
from mien.datasets.dataset import Dataset
from mien.datasets.quality_measures import contradicting_labels, contrast, earlier_copies, sharpness, vote_entropy
from mien.errors import InputError


def removed(data: Dataset, rule: str, **thresholds: float) -> list[int]:
    """Rows that one rule removes."""
    cleaned = clean_dataset(data, [rule], thresholds)
    return sorted(set(range(len(data))) - set(cleaned.index.tolist()))


def test_pictures_of_one_brightness() -> None:
    nearly = np.full((48, 48, 1), 90, np.uint8)
    nearly[0, 0] = 99
    data = with_images(textured(), r3=np.full((48, 48, 1), 7, np.uint8), r8=nearly)
    assert removed(data, "constant") == [3, 8]
    assert removed(data, "constant", constant=0.1) == [3]
    half = np.zeros((48, 48, 1), np.uint8)
    half[:24] = 10
    assert contrast(with_images(data, r0=half))[0] == 5


def test_blurred_pictures() -> None:
    data = textured()
    soft = cv2.GaussianBlur(data.images[5], (0, 0), 3)[..., None]
    assert removed(with_images(data, r5=soft), "blur") == [5]
    assert removed(with_images(data, r5=soft), "blur", blur=1) == []
    dot = np.zeros((48, 48, 1), np.uint8)
    dot[20, 20] = 100
    laplacian = np.zeros(48 * 48)
    laplacian[:5] = -400, 100, 100, 100, 100
    assert sharpness(with_images(data, r0=dot))[0] == pytest.approx(laplacian.var())


def test_images_that_raters_reject_or_disagree_on() -> None:
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
    data = with_images(data, r5=same[0], r8=same[1], r4=same[2], r9=same[3], r18=same[3], r14=same[13])
    assert (data.split[[0, 5]] == "train").all()
    gone = removed(data, "duplicate")
    assert gone == [1, 2, 3, 5, 13, 18]
    left = clean_dataset(data, ["duplicate"]).dataset
    assert not earlier_copies(left).any()


def test_copies_with_other_labels_all_go() -> None:
    data = textured(20)
    data = with_images(data, r7=data.images[0], r8=data.images[0], r9=data.images[2])  # emotion is row modulo 7
    assert contradicting_labels(data)[[0, 7, 8, 2, 9, 1]].tolist() == [1, 1, 1, 0, 0, 0]
    assert removed(data, "contradictory") == [0, 7, 8]
    assert data.split[[0, 7, 8, 2, 9]].tolist() == ["train", "train", "validation", "train", "test"]
    assert removed(data, "duplicate") == [0, 2, 7]


def test_a_copy_stays_when_the_other_goes_for_its_votes() -> None:
    """Copies carry votes of their own: what is left of them is looked at last."""
    data = with_votes(textured(20))
    data = with_images(data, r7=data.images[0])
    votes = data.votes.copy()
    votes[0] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 10]
    cleaned = clean_dataset(replace(data, votes=votes), ["duplicate", "not-a-face"])
    assert sorted(set(range(20)) - set(cleaned.index.tolist())) == [0]
    by_rule = {one.rule: (sum_counts(one.alone), sum_counts(one.in_sequence)) for one in cleaned.steps}
    assert by_rule == {"not-a-face": (1, 1), "duplicate": (1, 0)}


def test_no_face_found() -> None:
    data = textured(10, channels=3)
    data = with_images(data, r4=np.full((48, 48, 3), (200, 0, 0), np.uint8))
    seen: list[tuple[int, ...]] = []

    def has_face(rgb: np.ndarray) -> bool:
        seen.append(rgb.shape)
        return bool(rgb[0, 0, 0] != 200 or rgb[0, 0, 1] != 0)

    cleaned = clean_dataset(data, ["undetected"], has_face=has_face)
    assert set(range(10)) - set(cleaned.index.tolist()) == {4}
    assert seen == [(48, 48, 3)] * 10
    clean_dataset(textured(4), ["undetected"], has_face=has_face)
    assert seen[-1] == (48, 48, 3)
    with pytest.raises(InputError, match="'undetected' needs a detector"):
        clean_dataset(data, ["undetected"])


def test_rules_follow_what_the_dataset_has() -> None:
    data = textured()
    assert default_rules(data) == ("constant", "blur", "disagreement", "contradictory", "duplicate")
    voted = ("constant", "not-a-face", "blur", "ambiguous", "contradictory", "duplicate")
    assert default_rules(with_votes(data)) == voted
    plain = replace(data, emotion=None, info=replace(data.info, taxonomy=None))
    assert default_rules(plain) == ("constant", "blur", "duplicate")
    cleaned = clean_dataset(plain)
    assert cleaned.before == {"train": {"all": 24}, "validation": {"all": 8}, "test": {"all": 8}}
    assert not clean_dataset(with_votes(data)).dataset.info.dropped


def test_wrong_rules_and_thresholds_are_refused() -> None:
    data = textured()
    with pytest.raises(InputError, match="no cleaning rule 'ugly': there are constant, not-a-face"):
        clean_dataset(data, ["ugly"])
    with pytest.raises(InputError, match="needs FER\\+ votes; leave it out"):
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
    data = with_images(base, **pictures, r20=base.images[20] // 64, r21=np.zeros((48, 48, 1), np.uint8))
    cleaned = clean_dataset(data, rules, {"ambiguous": limit} if "ambiguous" in rules else {})
    gone = len(data) - len(cleaned.dataset)
    assert (
        sum(sum_counts(one.in_sequence) for one in cleaned.steps)
        == gone
        == sum_counts(cleaned.before) - sum_counts(cleaned.after)
    )
    assert all(sum_counts(one.in_sequence) <= sum_counts(one.alone) for one in cleaned.steps)
    assert [one.rule for one in cleaned.steps] == [name for name in CLEANING_RULES if name in rules]
    np.testing.assert_array_equal(cleaned.dataset.row, data.row[cleaned.index])
    assert sum(count for reason, count in cleaned.dataset.info.dropped if reason.startswith("cleaning")) == gone
    again = clean_dataset(cleaned.dataset, rules, {"ambiguous": limit} if "ambiguous" in rules else {})
    assert len(again.dataset) == len(cleaned.dataset)


def test_report() -> None:
    data = with_images(textured(10), r3=np.zeros((48, 48, 1), np.uint8))
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
