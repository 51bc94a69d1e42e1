from __future__ import annotations

import builtins
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from helpers.datasets import made, votes_for
from helpers.textures import textures
from mien.datasets.audit import CHECKS, AuditOptions, LabelModel, audit_dataset
from mien.datasets.audit.external_predictions import read_external_predictions
from mien.datasets.audit.rater_agreement import cohen_kappa, fleiss_kappa
from mien.datasets.audit.report_page import write_page
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.errors import DataError, InputError, MissingExtraError, MissingFileError
from mien.labels import FER2013

N = 140


@pytest.fixture(scope="module")
def clean() -> Dataset:
    """140 pictures of seven classes in which there is nothing to find."""
    data = made(N)
    votes = np.zeros((N, 10), np.int8)
    votes[:, :8] = votes_for(data.emotion)[:, :8]
    votes[:, 0] += 10 - votes.sum(axis=1, dtype=np.int8)
    return replace(data, images=textures(data.emotion), votes=votes)


def changed(data: Dataset, images: dict[int, np.ndarray] | None = None, **columns: dict[int, Any]) -> Dataset:
    """The dataset with other pictures, or values of a column, at some rows."""
    pixels = data.images.copy()
    for row, image in (images or {}).items():
        pixels[row] = image.reshape(pixels.shape[1:])
    values = {name: getattr(data, name).copy() for name in columns}
    for name, rows in columns.items():
        for row, value in rows.items():
            values[name][row] = value
    return replace(data, images=pixels, **values)


def rows(data: Dataset, check: str, **arguments: Any) -> list[list[int]]:
    """The rows of every finding of one check."""
    document = audit_dataset(data, [check], **arguments).to_dict()["checks"][check]
    assert document["ran"], document["why"]
    return [finding["rows"] for finding in document["findings"]]


def perfect(data: Dataset, wrong: dict[int, int] | None = None, sure: float = 0.9) -> LabelModel:
    """A judge who knows every label, but for some thinks otherwise."""
    truth = data.emotion.astype(int).copy()
    for row, label in (wrong or {}).items():
        truth[row] = label
    probabilities = np.full((len(data), 7), (1 - sure) / 6)
    probabilities[np.arange(len(data)), truth] = sure
    return LabelModel("a friend", FER2013.names, probabilities, np.ones(len(data), bool))


def test_nothing_is_found_in_clean_data(clean: Dataset) -> None:
    report = audit_dataset(clean, judge=perfect(clean))
    assert [one.check for one in report.outcomes] == list(CHECKS)
    assert [one.why for one in report.outcomes] == [""] * len(CHECKS)
    found = {one.check: one.by_split["total"] for one in report.outcomes if one.by_split is not None}
    assert found == dict.fromkeys(
        ("rows", "exact", "near", "conflicts", "labels", "constant", "blurred", "faceless"), 0
    )


def test_exact_copies_inside_and_across_splits(clean: Dataset) -> None:
    # rows 0–2 of every five are train, 3 validation, 4 test
    data = changed(clean, {5: clean.images[0], 8: clean.images[1], 14: clean.images[1], 24: clean.images[19]})
    assert rows(data, "exact") == [[1, 8, 14], [0, 5], [19, 24]]
    section = audit_dataset(data, ["exact"])["exact"]
    assert section.figures["distinct"] == N - 4
    assert section.figures["groups_across_splits"] == 1
    assert section.figures["also_in_train"] == {"train": 0, "validation": 1, "test": 1, "total": 2}


def test_near_copies_mirrored_ones_and_their_labels(clean: Dataset) -> None:
    brighter = np.clip(clean.images[0].astype(int) + 20, 0, 255).astype(np.uint8)
    mirrored = clean.images[2][:, ::-1]
    # 7 carries the label of 0; 13 that of 6, not of 2; 21 is an exact copy of the copy
    data = changed(clean, {7: brighter, 13: mirrored, 21: brighter})
    document = audit_dataset(data, ["near", "conflicts"]).to_dict()["checks"]
    near = document["near"]
    assert [finding["images"] for finding in near["findings"]] == [[[2], [13]], [[0], [7, 21]]]
    assert [finding["mirrored"] for finding in near["findings"]] == [True, False]
    assert (near["pairs"], near["mirrored_pairs"], near["pairs_across_splits"], near["groups"]) == (2, 1, 1, 2)
    assert near["near_train"] == {"train": 0, "validation": 1, "test": 0, "total": 1}
    conflicts = document["conflicts"]
    assert [(finding["kind"], finding["rows"]) for finding in conflicts["findings"]] == [("near", [2, 13])]
    assert conflicts["labels"] == [{"labels": ["fear", "neutral"], "count": 1}]
    assert conflicts["near_copies_with_the_same_label"] == 0.5


def test_exact_copies_with_other_labels(clean: Dataset) -> None:
    data = changed(clean, {7: clean.images[0], 15: clean.images[3]})
    section = audit_dataset(data, ["conflicts"]).to_dict()["checks"]["conflicts"]
    assert [finding["rows"] for finding in section["findings"]] == [[3, 15]]
    assert section["exact_copies_with_the_same_label"] == 0.5
    alike = [np.array_equal(data.votes[a], data.votes[b]) for a, b in ((0, 7), (3, 15))]
    assert section["exact_copies_with_the_same_votes"] == np.mean(alike)
    assert "Near duplicates were not looked at" in section["says"][1]


def test_pictures_of_one_brightness_and_blurred_ones(clean: Dataset) -> None:
    flat = np.full((48, 48), 90, np.uint8)
    soft = cv2.GaussianBlur(clean.images[5], (0, 0), 3)
    data = changed(clean, {3: flat, 5: soft})
    assert rows(data, "constant") == [[3]]
    assert rows(data, "blurred") == [[3], [5]]
    assert rows(data, "blurred", settings=AuditOptions(blur=0.0)) == []


def test_blur_is_measured_at_one_size(clean: Dataset) -> None:
    large = np.stack([cv2.resize(image, (96, 96), interpolation=cv2.INTER_NEAREST) for image in clean.images])
    assert rows(replace(clean, images=large[..., None]), "blurred") == []


def test_faceless_pictures(clean: Dataset) -> None:
    nobody = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], np.int8)
    data = changed(clean, votes={4: nobody})
    assert rows(data, "faceless") == [[4]]
    found = np.ones(N, np.bool_)
    found[[6, 4]] = False
    assert rows(replace(data, found=found), "faceless") == [[4], [6]]
    bright = int(clean.images[9].sum())
    assert rows(replace(clean, votes=None), "faceless", sees=lambda rgb: int(rgb[..., 0].sum()) != bright) == [[9]]


def test_rows_with_something_invalid(clean: Dataset) -> None:
    data = changed(clean, votes={2: clean.votes[2] + 1}, row={9: 8})
    data = replace(data, features={"made": np.where(np.arange(N)[:, None] == 5, np.nan, 1).astype(np.float32)})
    assert rows(data, "rows") == [[8], [8], [2], [5]]
    lines = " ".join(audit_dataset(replace(data, split=np.full(N, "test")), ["rows"])["rows"].lines)
    assert "No train and no validation images." in lines
    assert "feature made is not finite" in lines


def test_flipped_labels_are_suspected_by_cross_validation(clean: Dataset) -> None:
    flipped = {i: (clean.emotion[i] + 3) % 7 for i in (10, 33, 71, 104)}
    data = changed(clean, emotion=flipped)
    found = {row for (row,) in rows(data, "labels")}
    assert set(flipped) <= found
    assert len(found) <= len(flipped) + 3
    section = audit_dataset(data, ["labels"])["labels"]
    best = section.findings[0]
    assert best.index[0] in flipped
    assert best.facts["suggestion"] == FER2013.names[clean.emotion[best.index[0]]]
    # the raters, who were not asked, say the same
    assert section.figures["raters"]["disagree_with_suspected"] >= 4 / 7
    assert section.figures["raters"]["disagree_with_others"] == 0


def test_a_judge_of_some_images_judges_those(clean: Dataset) -> None:
    judge = perfect(clean, {11: 0, 12: 0})
    data = replace(clean, votes=None)
    assert rows(data, "labels", judge=judge) == [[11], [12]]
    some = np.arange(N) != 12
    assert rows(data, "labels", judge=replace(judge, judged=some)) == [[11]]
    section = audit_dataset(data, ["labels"], judge=replace(judge, judged=some, caution="Careful."))["labels"]
    assert section.figures["judged"] == N - 1
    assert "Careful." in section.lines


def test_columns_of_the_judge_are_found_by_name(clean: Dataset) -> None:
    judge = perfect(clean, {11: 0})
    order = [3, 1, 0, 2, 6, 5, 4]
    other = replace(
        judge,
        labels=("contempt", *(FER2013.names[i] for i in order)),
        probabilities=np.concatenate([np.zeros((N, 1)), judge.probabilities[:, order]], axis=1),
    )
    assert rows(clean, "labels", judge=other) == [[11]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"labels": (*FER2013.names[:6], "calm")},
            "has no neutral: it knows angry.*the dataset holds.*--probabilities",
        ),
        ({"judged": np.zeros(N, bool)}, "judges no image"),
        ({"judged": np.arange(N) % 7 == 0}, "all judged images carry the label angry"),
        ({"probabilities": np.full((N, 7), np.nan)}, "not all numbers are probabilities"),
        ({"probabilities": np.zeros((N, 7))}, "not all numbers are probabilities"),
        ({"probabilities": np.full((N, 7), -1.0)}, "not all numbers are probabilities"),
    ],
)
def test_a_judge_who_does_not_fit_stops_one_check(change: dict[str, Any], message: str, clean: Dataset) -> None:
    report = audit_dataset(clean, ["labels", "constant"], judge=replace(perfect(clean), **change))
    with pytest.raises(InputError, match=message):
        report["labels"]
    assert report["constant"].findings == ()


def test_neighbouring_ages_are_no_errors() -> None:
    age = (np.arange(N) % 7).astype(np.int8)
    data = replace(made(N), emotion=None, info=DatasetInfo("faces"), age=age, images=textures(age))
    probabilities = np.full((N, 7), 0.01)
    probabilities[np.arange(N), age] = 0.94
    for row, other in ((10, 4), (20, 2)):  # labels 3 and 6
        probabilities[row, [age[row], other]] = 0.01, 0.94
    judge = LabelModel(
        "a friend", ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59"), probabilities, np.ones(N, bool)
    )
    assert rows(data, "labels", judge=judge) == [[20]]


def test_balance(clean: Dataset) -> None:
    some = clean[np.flatnonzero((clean.emotion != 1) | (np.arange(N) == 1))]
    section = audit_dataset(some, ["balance"])["balance"]
    assert section.figures["emotion"]["counts"]["disgust"] == {"train": 1, "validation": 0, "test": 0, "total": 1}
    assert section.figures["emotion"]["largest_to_smallest"] == 20
    assert section.figures["emotion"]["empty"] == {"train": [], "validation": ["disgust"], "test": ["disgust"]}
    text = " ".join(section.lines)
    assert "angry has 20.0 times the images of disgust" in text
    assert "no validation images of disgust" in text
    apart = audit_dataset(replace(clean, split=np.where(clean.emotion < 2, "test", "train")), ["balance"])["balance"]
    assert apart.figures["emotion"]["distance_from_train"] == {"test": pytest.approx(1)}
    assert "100.0% of test would have to change class" in " ".join(apart.lines)


def test_agreement_with_raters(clean: Dataset) -> None:
    figures = audit_dataset(clean, ["agreement"])["agreement"].figures
    assert figures["first_choice"] == figures["majority"] == figures["cohen_kappa"] == 1
    data = changed(clean, emotion={i: (clean.emotion[i] + 1) % 7 for i in range(0, N, 4)})
    figures = audit_dataset(data, ["agreement"])["agreement"].figures
    assert figures["first_choice"] == 0.75
    assert figures["majority_images"] == N
    assert np.sum(figures["confusion"]["counts"]) == N
    assert figures["by_label"]["angry"]["first_choice"] == 0.75


def test_kappas_are_the_published_ones() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 5, 300)
    other = np.where(rng.random(300) < 0.6, one, rng.integers(0, 5, 300))
    assert cohen_kappa(one, other, 5) == pytest.approx(cohen_kappa_score(one, other))
    # the worked example of Fleiss' kappa with 14 raters, 10 subjects and 5 categories gives 0.210
    example = np.array([
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ])  # fmt: skip
    assert fleiss_kappa(example) == pytest.approx(0.210, abs=5e-4)
    assert cohen_kappa(one[:0], other[:0], 5) is None
    assert cohen_kappa(np.zeros(4, int), np.zeros(4, int), 2) is None
    assert fleiss_kappa(example[:, :1] * 0 + 1) is None


def test_what_cannot_run_says_why_and_the_others_go_on() -> None:
    data = replace(made(6, channels=3), emotion=None, info=DatasetInfo("faces"))
    report = audit_dataset(data)
    why = {one.check: one.why for one in report.outcomes if one.why}
    assert set(why) == {"balance", "conflicts", "labels", "faceless", "agreement"}
    assert "--detector" in why["faceless"]
    assert "--ferplus" in why["agreement"]
    assert all("\n" not in text for text in why.values())
    document = report.to_dict()
    assert document["checks"]["agreement"] == {
        "title": "FER2013 and FER+", "cpu_seconds": 0.0, "ran": False, "why": why["agreement"],
    }  # fmt: skip


def test_few_images_are_too_few_to_judge_labels() -> None:
    for n in (1, 2, 8):
        report = audit_dataset(made(n, side=48))
        why = {one.check: one.why for one in report.outcomes if one.why}
        assert set(why) == {"labels", "faceless", "agreement"}
        assert "too few images" in why["labels"]


def test_without_cleanlab(clean: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def refuse(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("cleanlab"):
            raise ImportError(name)
        return imported(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    report = audit_dataset(clean, ["labels", "constant"])
    with pytest.raises(InputError, match=r"cleanlab.*mien\[audit\]"):
        report["labels"]
    assert issubclass(MissingExtraError, ImportError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"checks": ["nearly"]}, "no check 'nearly': there are rows"),
        ({"checks": []}, "none given"),
        ({"settings": AuditOptions(bits=40)}, "0 to 32 bits"),
        ({"settings": AuditOptions(similarity=0.2)}, "0.5 to 1"),
    ],
)
def test_wrong_calls(arguments: dict[str, Any], message: str, clean: Dataset) -> None:
    with pytest.raises(InputError, match=message):
        audit_dataset(clean, **arguments)
    with pytest.raises(InputError, match="holds no images"):
        audit_dataset(clean[:0])


def test_report_without_findings_is_small_and_says_the_same(clean: Dataset) -> None:
    data = changed(clean, {5: clean.images[0]})
    report = audit_dataset(data, ["exact", "balance"])
    whole, short = report.to_dict(), report.to_dict(findings=False)
    assert whole["checks"]["exact"].pop("findings") == [
        {"rows": [0, 5], "splits": ["train", "train"], "labels": ["angry", "surprise"]}
    ]
    whole["checks"]["balance"].pop("findings")
    assert json.loads(json.dumps(whole)) == json.loads(json.dumps(short))
    assert short["sha256"] == data.sha256()


def test_page_shows_faces_only_where_asked(clean: Dataset, tmp_path: Path) -> None:
    data = changed(replace(clean, info=replace(clean.info, name="<fer>")), {5: clean.images[0]})
    report = audit_dataset(data, ["exact", "balance", "agreement", "faceless"])
    text = write_page(report, tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "<img" not in text
    assert "http" not in text.replace('http-equiv="Content', "")
    assert "&lt;fer&gt;" in text
    assert "<fer>" not in text
    shown = write_page(report, tmp_path / "faces.html", thumbnails=True).read_text(encoding="utf-8")
    assert shown.count('<img src="data:image/png;base64,') == 1  # two equal pictures are shown once
    assert "do not pass it on" in shown
    with pytest.raises(InputError, match="is a folder"):
        write_page(report, tmp_path)


def test_probabilities_from_files(clean: Dataset, tmp_path: Path) -> None:
    judge = perfect(clean, {11: 0})
    np.save(tmp_path / "p.npy", judge.probabilities)
    assert rows(clean, "labels", judge=read_external_predictions(tmp_path / "p.npy", clean)) == [[11]]
    lines = ["row,happiness,angry,disgust,fear,sad,surprise,neutral"]
    for i in reversed(range(N - 1)):
        values = judge.probabilities[i][[3, 0, 1, 2, 4, 5, 6]]
        lines.append(",".join([str(i), *map(str, values)]))
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n")
    read = read_external_predictions(tmp_path / "p.csv", clean)
    assert int(read.judged.sum()) == N - 1
    assert rows(clean, "labels", judge=read) == [[11]]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.txt", "", "not .npy or .csv"),
        ("p.npy", "no array", "not a readable .npy"),
        ("p.csv", "", "expected a column 'row'"),
        ("p.csv", "angry,sad\n1,2\n", "expected a column 'row'"),
        ("p.csv", "row,sad,sadness\n1,1,2\n", "two columns"),
        ("p.csv", "row,angry,sad\n1,0.5\n", "line 2: 2 cells instead of 3"),
        ("p.csv", "row,angry,sad\n1,0.5,much\n", "line 2: not a number"),
        ("p.csv", "row,angry,sad\n999,0.5,0.5\n", "has no row 999"),
        ("p.csv", "row,angry,sad\n1,0.5,0.5\n1,0.5,0.5\n", "row 1 stands there twice"),
    ],
)
def test_probabilities_that_cannot_be_used(name: str, text: str, message: str, clean: Dataset, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises((DataError, InputError), match=message):
        read_external_predictions(path, clean)


def test_arrays_that_do_not_fit(clean: Dataset, tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.ones((N, 8)))
    with pytest.raises(DataError, match=r"\(140, 8\), expected numbers \(140, 7\).*angry"):
        read_external_predictions(tmp_path / "p.npy", clean)
    with pytest.raises(MissingFileError, match="no such file"):
        read_external_predictions(tmp_path / "q.npy", clean)
    bare = replace(clean, emotion=None, info=DatasetInfo("faces"))
    with pytest.raises(InputError, match="neither emotions nor ages"):
        read_external_predictions(tmp_path / "p.npy", bare)
