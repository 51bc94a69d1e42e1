"""Agreement of two codings: kappa as scikit-learn has it, events within a tolerance, intervals that hold."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.errors import InputError
from mien.exchange.agreement import NONE, difference_coding, left_unpaired, measure_agreement, overlapping, pair_tiers
from mien.exchange.agreement_timeline import save_agreement_timeline
from mien.exchange.coding import Coding, Interval, Tier
from mien.exchange.formats import read_coding, write_coding

LEVELS = ("none", "low", "high")


def tier(*runs: tuple[float, float, str], subject: str = "face 1", head: str = "emotion") -> Tier:
    return Tier(subject, head, tuple(sorted(Interval(*run) for run in runs)))


def from_labels(labels: list[str], step: float = 0.25, subject: str = "face 1") -> Tier:
    """One label per step; an empty one is none."""
    runs = []
    for i, label in enumerate(labels):
        if label:
            runs.append((i * step, (i + 1) * step, label))
    return tier(*runs, subject=subject)


steps = st.lists(st.tuples(st.sampled_from(LEVELS), st.sampled_from(LEVELS)), min_size=2, max_size=60)


@settings(deadline=None, max_examples=60)
@given(steps)
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    from sklearn.metrics import cohen_kappa_score, confusion_matrix

    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    found = measure_agreement([(from_labels(first), from_labels(second))], labels=LEVELS, ordered=True, resamples=2)
    used = [label for label in LEVELS if label in {*first, *second}]
    assert found.labels == tuple(used)
    if len(used) < 2:
        assert np.isnan(found.kappa.value)
        return
    np.testing.assert_allclose(found.confusion, 0.25 * confusion_matrix(first, second, labels=used), atol=1e-9)
    for weights, one in (
        (None, found.kappa),
        ("linear", found.weighted["linear"]),
        ("quadratic", found.weighted["quadratic"]),
    ):
        expected = cohen_kappa_score(first, second, labels=used, weights=weights)
        assert one.value == pytest.approx(expected, abs=1e-9)
    for label in found.per_label:
        binary = [[str(value == label.label) for value in values] for values in (first, second)]
        assert label.kappa.value == pytest.approx(cohen_kappa_score(*binary), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.floats(0.01, 3.0), min_size=1, max_size=12),
    st.lists(st.floats(0.01, 3.0), min_size=1, max_size=12),
    st.data(),
)
def test_time_counts_as_long_as_it_lasts(first: list[float], second: list[float], data: st.DataObject) -> None:
    """Boundaries anywhere: the same as scikit-learn with the lengths as weights of samples."""
    from sklearn.metrics import cohen_kappa_score

    def made(lengths: list[float]) -> Tier:
        ends = np.cumsum(lengths)
        labels = [data.draw(st.sampled_from(LEVELS)) for _ in lengths]
        return tier(*zip([0.0, *ends[:-1].tolist()], ends.tolist(), labels, strict=True))

    one, other = made(first), made(second)
    found = measure_agreement([(one, other)], labels=LEVELS, resamples=2)
    cuts = sorted(
        {i.start for t in (one, other) for i in t.intervals} | {i.end for t in (one, other) for i in t.intervals}
    )
    a, b, weights = [], [], []
    for start, end in itertools.pairwise(cuts):
        middle = (start + end) / 2
        labels = [next((i.label for i in t.intervals if i.start <= middle < i.end), None) for t in (one, other)]
        if None not in labels:
            a.append(labels[0])
            b.append(labels[1])
            weights.append(end - start)
    assert found.compared == pytest.approx(sum(weights))
    if len({*a, *b}) < 2:
        return
    expected = cohen_kappa_score(a, b, sample_weight=weights)
    assert found.kappa.value == pytest.approx(expected, abs=1e-6)


def test_time_without_a_label_is_left_out_or_a_label() -> None:
    one, other = tier((0, 4, "happy"), (4, 6, "sad")), tier((0, 2, "happy"), (4, 6, "sad"))
    found = measure_agreement([(one, other)], resamples=5)
    assert (found.observed.value, found.compared, found.only_first, found.only_second) == (1.0, 4.0, 2.0, 0.0)
    assert found.differences == ()
    found = measure_agreement([(one, other)], absent=True, span=(0, 10), resamples=5)
    assert found.labels == ("happy", "sad", NONE)
    assert found.observed.value == pytest.approx(0.8)  # 4 s of labels and 4 s without any, of 10 s
    (difference,) = found.differences
    assert (difference.start, difference.end, difference.first, difference.second) == (2, 4, "happy", NONE)


def test_events_match_within_the_tolerance_and_once() -> None:
    one = tier((0, 1, "a"), (2, 3, "a"), (5, 6, "a"), (7, 8, "b"))
    other = tier((0.4, 1, "a"), (0.9, 1.5, "a"), (5.6, 6, "a"), (7, 8, "a"))
    found = measure_agreement([(one, other)], tolerance=0.5, resamples=5)
    events = {label.label: label.events for label in found.per_label}
    assert events == {"a": (3, 4, 1), "b": (1, 0, 0)}
    assert found.events.value == pytest.approx(2 / 8)
    assert found.onset_difference == pytest.approx(0.4)
    found = measure_agreement([(one, other)], tolerance=0.6, resamples=5)
    assert {label.label: label.events for label in found.per_label}["a"] == (3, 4, 2)
    found = measure_agreement([(one, other)], tolerance=0, resamples=5)
    assert np.isnan(found.onset_difference)
    # greedy pairs in order of time leave the most matches
    crowded = measure_agreement(
        [(tier((0, 9, "a"), (0.5, 9, "a"), (1, 9, "a")), tier((0.4, 9, "a"), (0.9, 9, "a"), (1.4, 9, "a")))],
        tolerance=0.5, resamples=5,
    )  # fmt: skip
    assert crowded.per_label[0].events == (3, 3, 3)


def test_intervals_cover_the_true_agreement() -> None:
    """Codings that agree with probability 0.7 in each block: the interval of the share holds 0.7 nearly always."""
    rng = np.random.default_rng(5)
    held = 0
    for seed in range(60):
        same = rng.random(80) < 0.7
        first = [LEVELS[i] for i in rng.integers(0, 3, 80)]
        second = [a if s else LEVELS[(LEVELS.index(a) + 1) % 3] for a, s in zip(first, same, strict=True)]
        found = measure_agreement(
            [(from_labels(first, 5.0), from_labels(second, 5.0))], block=5.0, resamples=400, seed=seed
        )
        held += found.observed.low <= 0.7 <= found.observed.high
        assert found.kappa.low <= found.kappa.value <= found.kappa.high
    assert held >= 51  # 95 % of 60 are 57


def test_the_same_seed_gives_the_same_intervals() -> None:
    labels = [LEVELS[i] for i in np.random.default_rng(1).integers(0, 3, 200)]
    pair = [(from_labels(labels), from_labels([*labels[5:], *labels[:5]]))]
    first, again, other = (measure_agreement(pair, seed=seed).to_dict() for seed in (3, 3, 4))
    assert first == again
    assert first["kappa"]["low"] != other["kappa"]["low"]
    assert first["kappa"]["value"] == other["kappa"]["value"]


def test_the_longest_differences_come_first_and_slivers_do_not_count() -> None:
    one = tier((0, 3, "a"), (3, 10, "b"))
    other = tier((0, 1, "a"), (1, 3, "b"), (3.001, 6, "b"), (6, 10, "c"))
    found = measure_agreement([(one, other)], resamples=5)
    assert [(d.start, d.end, d.first, d.second) for d in found.differences] == [(6, 10, "b", "c"), (1, 3, "a", "b")]


def test_labels_are_renamed_before_they_are_compared() -> None:
    one, other = tier((0, 3, "joy"), (3, 4, "sad")), tier((0, 3, "happy"), (3, 4, "sad"))
    assert measure_agreement([(one, other)], resamples=5).observed.value == 0.25
    assert measure_agreement([(one, other)], rename={"joy": "happy"}, resamples=5).observed.value == 1


def test_tiers_are_paired_by_name_subject_or_as_asked() -> None:
    first = Coding(None, (tier(subject="face 1"), tier(subject="face 2")), 0, 9)
    second = Coding(None, (tier(subject="Face 2", head=""), Tier("face 1 emotion", "", ())), 0, 9)
    assert [(a.subject, b.subject) for a, b in pair_tiers(first, second)] == [
        ("face 1", "face 1 emotion"), ("face 2", "Face 2"),
    ]  # fmt: skip
    single = Coding(None, (tier(subject="mother", head=""),), 0, 9)
    assert len(pair_tiers(single, Coding(None, (tier(),), 0, 9))) == 1
    advice = r"pair them \(--pair 'mother=face 1 emotion'\): the first has 'mother'; the second has 'face 1"
    with pytest.raises(InputError, match=rf"no tier in common; {advice}"):
        pair_tiers(single, first)
    ((one, other),) = pair_tiers(single, first, pairs={"mother": "face 2"})
    assert (one.subject, other.subject) == ("mother", "face 2")
    with pytest.raises(InputError, match="no tier 'father' in the first coding"):
        pair_tiers(single, first, pairs={"father": "face 2"})


def test_nothing_to_compare_and_arguments_that_cannot_be() -> None:
    long = tier((0, 9e8, "a"))
    with pytest.raises(InputError, match="more than 200,000 blocks of 5 s to resample; choose longer blocks"):
        measure_agreement([(long, long)])
    assert measure_agreement([(long, long)], block=1e5, resamples=20).observed.value == 1
    pair = [(tier((0, 1, "a")), tier((1, 2, "a")))]
    with pytest.raises(InputError, match="no time with a label in both"):
        measure_agreement(pair)
    for wrong in ({"tolerance": -1.0}, {"block": 0.0}, {"resamples": 0}):
        with pytest.raises(InputError, match="above 0"):
            measure_agreement(pair, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".eaf", ".boris", ".TextGrid", ".csv"])
def test_differences_can_be_looked_at_in_other_tools(tmp_path: Path, suffix: str) -> None:
    pairs = [(tier((0, 4, "a"), (4, 6, "b")), tier((0, 2, "a"), (2, 6, "b")))]
    found = measure_agreement(pairs, resamples=5)
    coding = read_coding(write_coding(difference_coding(found, pairs, None), tmp_path / f"d{suffix}"))
    tiers = {one.name: one.intervals for one in coding.tiers}
    assert tiers["face 1 emotion (differences)"] == (Interval(2, 4, "a / b"),)
    assert len(tiers["face 1 emotion (second)"]) == 2


def test_the_timeline_marks_where_they_differ(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pairs = [(tier((0, 10, "happy")), tier((0, 5, "happy"), (5, 10, "sad")))]
    found = measure_agreement(pairs, resamples=5)
    with Image.open(save_agreement_timeline(found, pairs, tmp_path / "t.png")) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    red = (np.abs(pixels - [0xC6, 0x28, 0x28]).sum(axis=2) < 12).nonzero()
    right = red[1] > 0.14 * pixels.shape[1] + 0.42 * pixels.shape[1] - 6
    wide = red[0] > 0.4 * pixels.shape[0]
    # below the legend, red lies in the second half alone
    assert wide.any()
    assert right[wide].all()
    with pytest.raises(InputError, match="use the suffix"):
        save_agreement_timeline(found, pairs, tmp_path / "t.gif")


def test_capitals_make_no_other_label_unless_a_coding_has_both() -> None:
    first = Tier("", "", (Interval(0.0, 5.0, "Happy"), Interval(5.0, 10.0, "SAD")))
    second = Tier("", "", (Interval(0.0, 5.0, "happy"), Interval(5.0, 10.0, "sad")))
    agreement = measure_agreement([(first, second)], labels=("happy", "sad"))
    assert (agreement.observed.value, agreement.labels) == (1.0, ("happy", "sad"))
    two = Tier("", "", (Interval(0.0, 5.0, "a"), Interval(5.0, 10.0, "A")))
    assert measure_agreement([(two, two)]).labels == ("A", "a")


def test_no_time_counts_twice() -> None:
    one = Coding(None, (tier((0, 1, "a")), tier((0, 1, "b"), head="")), 0, 9)
    other = Coding(None, (tier((0, 1, "a")),), 0, 9)
    # the equal name wins, and what is left over is known
    assert pair_tiers(one, other) == [(one.tiers[0], other.tiers[0])]
    assert left_unpaired(one, pair_tiers(one, other)) == [one.tiers[1]]
    two = Coding(None, (tier((0, 1, "a"), head=""), tier((0, 1, "b"), head="")), 0, 9)
    with pytest.raises(InputError, match="tier 'face 1 emotion' belongs to both 'face 1' and 'face 1'; rename one"):
        pair_tiers(two, other)


def test_a_pair_that_fits_tiers_of_several_heads_is_all_of_them() -> None:
    one = Coding(None, (tier((0, 1, "a"), subject="child", head=""),), 0, 9)
    both = Coding(None, (tier((0, 1, "a")), tier((0, 1, "b"), head="mood")), 0, 9)
    found = pair_tiers(one, both, pairs={"child": "face 1"})
    assert [second.head for _, second in found] == ["emotion", "mood"]
    with pytest.raises(InputError, match="no head 'moood' in the second coding; did you mean 'mood'"):
        pair_tiers(one, both, head="moood")


def test_labels_that_overlap_are_known() -> None:
    assert overlapping(tier((0, 5, "a"), (1, 2, "b"), (4, 6, "c")))
    assert not overlapping(tier((0, 1, "a"), (1, 2, "b"), (1, 1, "point")))


def test_points_in_time_are_compared_as_events() -> None:
    found = measure_agreement([(tier((1, 1, "a"), (3, 3, "a")), tier((1.2, 2, "a"), (5, 6, "a")))], resamples=5)
    assert found.events.value == 0.5
    assert np.isnan([found.observed.value, found.kappa.value]).all()


def test_the_sign_for_no_label_is_no_label_of_its_own() -> None:
    found = measure_agreement([(tier((0, 2, NONE), (2, 4, "a")), tier((2, 4, "a")))], absent=True, resamples=5)
    assert found.labels == ("a", NONE)
    assert found.observed.value == 1
