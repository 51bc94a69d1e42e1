"""Sets of labels: they hold the right label as often as they state, over all faces or for each label."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import mien
from helpers.pictures import astronaut
from helpers.tiny_models import tiny_card, tiny_network
from mien.errors import InputError, ModelError
from mien.evaluation.scoring.calibration import rewrite_card
from mien.models.card import Card, Head
from mien.models.label_sets import COVERAGES, SetRule, check_coverage, fit_quantiles, label_scores
from mien.models.model import Model
from mien.results.columns import flat_row
from mien.results.face_columns import FaceTable, empty_records, face_columns
from mien.results.faces import Faces
from mien.results.prediction import Predictions
from mien.results.row_writers import RawRows, read_raw_rows
from mien.results.track import TrackPrediction

K = 5


def drawn(n: int, seed: int, *, rare: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Distributions that are too sure of themselves, and labels; with ``rare`` the last label is mostly missed."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(K, n, p=[0.3, 0.3, 0.2, 0.15, 0.05])
    logits = rng.normal(0, 1, (n, K))
    logits[np.arange(n), truth] += np.where(rare & (truth == K - 1), 0.0, 2.0)
    powers = np.exp(3 * logits)
    return powers / powers.sum(axis=1, keepdims=True), truth


def share(rule: SetRule, p: np.ndarray, truth: np.ndarray, *, ordered: bool = False) -> float:
    return float(rule.members(p, ordered=ordered)[np.arange(len(truth)), truth].mean())


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.97])
def test_new_images_are_covered_as_often_as_stated(ordered: bool, coverage: float) -> None:
    fitted = fit_quantiles(*drawn(3000, 1), ordered=ordered, prior="default", data="made")
    p, truth = drawn(3000, 2)
    assert share(fitted.rule(coverage), p, truth, ordered=ordered) == pytest.approx(coverage, abs=0.02)


def test_by_class_every_label_is_covered_and_without_it_a_rare_one_is_not() -> None:
    fitted = fit_quantiles(*drawn(6000, 1, rare=True), ordered=False, prior="default", data="made")
    p, truth = drawn(6000, 2, rare=True)
    for_all, by_class = fitted.rule(0.9), fitted.rule(0.9, by_class=True)
    last = truth == K - 1
    assert share(for_all, p[last], truth[last]) < 0.75
    for label in range(K):
        assert share(by_class, p[truth == label], truth[truth == label]) > 0.86
    assert by_class.members(p, ordered=False).sum() > for_all.members(p, ordered=False).sum()


def test_sets_of_ordered_labels_have_no_gap_and_grow_around_the_most_probable() -> None:
    p = np.array([[0.05, 0.1, 0.5, 0.3, 0.05]])
    assert label_scores(p, ordered=True)[0] == pytest.approx([0.9, 0.8, 0.0, 0.5, 0.95])
    assert SetRule(0.9, False, (0.6,) * K).members(p, ordered=True)[0].tolist() == [False, False, True, True, False]
    gap = SetRule(0.9, True, (1.0, 0.0, 0.0, 0.0, 0.0))
    assert gap.members(p, ordered=True)[0].tolist() == [True, True, True, False, False]


def test_no_set_is_empty_and_a_row_without_a_prediction_has_none() -> None:
    rule = SetRule(0.5, False, (0.0,) * K)
    p = np.array([[0.2, 0.3, 0.2, 0.2, 0.1], [np.nan] * K])
    assert rule.members(p, ordered=False).sum(axis=1).tolist() == [1, 0]
    assert rule.members(np.zeros((0, K)), ordered=True).shape == (0, K)


def test_too_few_images_of_a_label_leave_it_in_every_set() -> None:
    p, truth = drawn(40, 3)
    fitted = fit_quantiles(p[truth != 4], truth[truth != 4], ordered=False, prior="default", data="made")
    assert fitted.by_label[4] == (1.0,) * len(COVERAGES)
    assert fitted.rule(0.9, by_class=True).members(p, ordered=False)[:, 4].all()


@pytest.mark.parametrize("coverage", [0.4, 1.0, 0.905, float("nan")])
def test_a_coverage_that_is_not_stored_is_refused(coverage: float) -> None:
    with pytest.raises(InputError, match=r"coverage is a probability from 0\.5 to 0\.99"):
        check_coverage(coverage)


def fitted_head() -> Head:
    p, truth = drawn(500, 1)
    head = Head("emotion", ("happy", "sad", "neutral"))
    three = p[:, :3] / p[:, :3].sum(axis=1, keepdims=True)
    fitted = fit_quantiles(three, truth % 3, ordered=False, prior="default", data="made")
    return replace(head, sets=(fitted,))


def test_a_card_keeps_the_quantiles_and_not_the_choice() -> None:
    card = replace(Card.from_json(json.dumps(tiny_card())), heads=(fitted_head().with_rule("default", 0.9),))
    again = Card.from_json(card.to_json())
    assert again.heads[0].sets == card.heads[0].sets
    assert again.heads[0].rule is None
    with pytest.raises(ModelError, match="sets have quantiles for each label"):
        replace(fitted_head(), labels=("a", "b"))


def test_an_error_about_a_model_without_sets_states_how_to_fit_them() -> None:
    model = Model(tiny_network(json.dumps(tiny_card())), threads=1)
    with pytest.raises(InputError, match="none of the models has sets of labels fitted") as error:
        mien.Analyzer(models=(model,), coverage=0.9)
    assert "mien calibrate MODEL --data FILE --sets --out FILE" in str(error.value.advice)


def test_photos_report_the_set_in_every_form(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network(json.dumps(tiny_card())))
    rewrite_card(path, lambda card: replace(card, heads=(replace(card.heads[0], sets=fitted_head().sets),)), path)
    faces = mien.Analyzer(models=(path,), coverage=0.95, threads=1).analyze(astronaut(), color="rgb")
    (document,), (row,) = faces.to_dicts(), faces.to_rows()
    listed = document["predictions"]["emotion"]["set"]
    assert document["emotion"] in listed
    assert row["emotion_set"] == "|".join(listed)
    assert faces[0].predictions["emotion"].set == tuple(listed)
    columns = face_columns(faces.heads, video=False)
    assert flat_row(columns, document)["emotion_set"] == row["emotion_set"]
    assert "emotion_set" not in mien.Analyzer(models=(path,), threads=1).analyze(astronaut(), color="rgb").to_rows()[0]


def test_ages_have_the_ends_of_their_interval_and_rows_come_back_with_their_rule(tmp_path: Path) -> None:
    head = Head("years", ("0-9", "10-19", "20-99"), ordered=True, rule=SetRule(0.9, False, (0.7,) * 3))
    rows = np.array([[0.1, 0.6, 0.3], [np.nan] * 3], np.float32)
    found = Faces.detected(np.array([[0, 0, 30, 30]] * 2), np.ones(2), None, (40, 40))
    table = found.with_predictions({"years": Predictions(head, rows)}).to_table()
    columns = table.to_columns()
    assert columns["years_set"] == ["10-19|20-99", None]
    assert (columns["years_low"], columns["years_high"]) == ([10, None], [99, None])
    assert TrackPrediction(head, dict(zip(head.labels, rows[0].tolist(), strict=True))).set == ("10-19", "20-99")
    video = FaceTable.empty({"years": head}, "a.mp4", video=True)
    with RawRows(tmp_path / "rows.bin", empty=video) as writer:
        writer.write(replace(video, records=empty_records(2, video.records.dtype)))
    assert asdict(read_raw_rows(tmp_path / "rows.bin").heads["years"])["rule"] == asdict(head.rule)  # type: ignore[arg-type]
