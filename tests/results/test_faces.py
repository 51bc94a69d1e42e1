"""The values that cross stages: validated when made, filtered without loss, written in the same words everywhere."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.faces import emotion_head, predictions
from mien.errors import InputError, MissingExtraError
from mien.labels import AGE_BINS, FERPLUS, age_bin_names
from mien.media.frame import Frame
from mien.results.columns import column_names
from mien.results.face_columns import N_LANDMARKS
from mien.results.faces import Face, Faces
from mien.results.prediction import Predictions


def sample(n: int = 3, seed: int = 0) -> Faces:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 100, (n, 2))
    faces = Faces.detected(
        np.hstack([corner, corner + rng.uniform(10, 60, (n, 2))]),
        rng.uniform(0.3, 1, n),
        rng.uniform(0, 100, (n, 5, 2)),
        (200, 180),
    )
    return replace(
        faces,
        predictions=predictions(
            emotions=rng.dirichlet(np.full(8, 0.5), n).astype(np.float32),
            ages=rng.dirichlet(np.ones(9), n).astype(np.float32),
            fer2013=rng.dirichlet(np.ones(7), n).astype(np.float32),
        ),
        measures=np.abs(rng.normal(0.8, 0.4, (n, 4))).astype(np.float32),
        source="p.jpg",
        image=np.zeros((180, 200, 3), np.uint8),
    )


def with_emotions(rows: list[list[float]]) -> Faces:
    labels = FERPLUS.names[: len(rows[0])]
    more = predictions(emotions=np.array(rows, np.float32), emotion_labels=labels)
    return sample(len(rows)).with_predictions(more)


# ---------------------------------------------------------------- frames


def test_frame() -> None:
    frame = Frame(np.zeros((20, 30, 3), np.uint8))
    assert frame.size == (30, 20)
    assert (frame.source, frame.index, frame.time) == (None, 0, 0.0)
    with pytest.raises(FrozenInstanceError):
        frame.index = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((20, 30), np.uint8), "a frame is an RGB uint8 array"),
        (np.zeros((20, 30, 4), np.uint8), "got uint8 (20, 30, 4)"),
        (np.zeros((20, 30, 3)), "got float64 (20, 30, 3)"),
        (np.zeros((0, 30, 3), np.uint8), "a frame needs at least one pixel, got shape (0, 30, 3)"),
    ],
)
def test_bad_frames(array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError) as error:
        Frame(array)
    assert message in str(error.value)


# ---------------------------------------------------------------- making


def test_detected_casts_and_fills() -> None:
    faces = Faces.detected(np.array([[1, 2, 3, 4]]), np.array([0.5]), None, (10, 10))
    assert faces.boxes.dtype == faces.scores.dtype == faces.landmarks.dtype == np.float32
    assert faces.landmarks.shape == (1, N_LANDMARKS, 2)
    assert np.isnan(faces.landmarks).all()
    assert faces[0].landmarks is None


def test_empty() -> None:
    faces = Faces.empty((640, 480))
    assert len(faces) == 0
    assert not faces
    assert list(faces) == faces.to_dicts() == faces.to_rows() == []
    assert faces.image_size == (640, 480)
    assert json.loads(faces.to_json()) == {
        "schema": "urn:mien:schema:photo:2", "source": None, "width": 640, "height": 480, "faces": [],
    }  # fmt: skip
    assert len(faces.filter(min_score=0.5, min_size=10)) == 0
    assert len(faces.to_pandas()) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": np.zeros((3, 5), np.float32)}, "boxes must be float32 of shape (3, 4), got float32 (3, 5)"),
        ({"boxes": np.zeros((3, 4))}, "boxes must be float32 of shape (3, 4), got float64 (3, 4)"),
        ({"scores": np.zeros(2, np.float32)}, "scores must be float32 of shape (3,), got float32 (2,)"),
        ({"landmarks": np.zeros((3, 68, 2), np.float32)}, "landmarks must be float32 of shape (3, 5, 2)"),
        (
            {"predictions": predictions(ages=np.zeros((2, 9), np.float32))},
            "3 faces need as many predictions of 'age', got 2",
        ),
        ({"predictions": predictions(fer2013=np.zeros((4, 7), np.float32))}, "predictions of 'fer2013', got 4"),
        ({"tracks": np.arange(3, dtype=np.int32)}, "tracks must be int64 of shape (3,), got int32 (3,)"),
        ({"tracks": np.arange(2, dtype=np.int64)}, "tracks must be int64 of shape (3,), got int64 (2,)"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        replace(sample(), **change)
    assert message in str(error.value)


def test_further_heads_join_those_that_are_there_and_take_the_place_of_one_of_their_name() -> None:
    faces = sample()
    calm = Predictions(emotion_head(("calm", "tense")), np.full((3, 2), 0.5, np.float32))
    more = faces.with_predictions({"arousal": calm})
    assert list(more.predictions) == ["emotion", "fer2013", "age", "arousal"]
    assert list(faces.predictions) == ["emotion", "fer2013", "age"]
    other = more.with_predictions({"emotion": calm})
    assert list(other.predictions) == ["emotion", "fer2013", "age", "arousal"]
    assert other.emotion_labels == ("calm", "tense")
    assert other.heads == {"emotion": calm.head, "age": faces.heads["age"], "arousal": calm.head}


def test_auxiliary_heads_are_predictions_and_no_columns() -> None:
    faces = sample()
    assert faces.predictions["fer2013"].head.auxiliary
    assert list(faces.heads) == list(faces.to_table().heads) == ["emotion", "age"]
    assert list(faces[0].predictions) == ["emotion", "fer2013", "age"]
    assert not any("fer2013" in name for name in faces.to_rows()[0])
    assert "fer2013" not in faces.to_json()
    assert faces.labels(head="fer2013") == [one.predictions["fer2013"].label for one in faces]


def test_the_shipped_heads_have_views() -> None:
    faces = sample()
    assert faces.emotions is faces.predictions["emotion"].probabilities
    assert faces.ages is faces.predictions["age"].probabilities
    assert faces.fer2013 is faces.predictions["fer2013"].probabilities
    assert (faces.emotion_labels, faces.age_bins) == (FERPLUS.names, AGE_BINS)
    bare = replace(faces, predictions={})
    assert bare.emotions is bare.ages is bare.fer2013 is None
    assert bare.emotion_labels == bare.age_bins == ()


# ---------------------------------------------------------------- rows


def test_a_row() -> None:
    faces = sample()
    face = faces[1]
    assert isinstance(face, Face)
    assert face.box == tuple(float(v) for v in faces.boxes[1])
    assert face.score == float(faces.scores[1])
    assert list(face.emotions) == list(FERPLUS.names)
    assert face.emotion == FERPLUS.names[int(faces.emotions[1].argmax())]
    assert face.confidence == float(faces.emotions[1].max())
    assert face.entropy == pytest.approx(float(faces.entropy[1]))
    assert face.age_range == age_bin_names()[int(faces.ages[1].argmax())]
    assert 0 < face.age < 100
    assert face.landmarks is not None
    assert len(face.landmarks) == 5


def test_expected_age() -> None:
    ages = np.zeros((1, 9), np.float32)
    ages[0, 3] = ages[0, 4] = 0.5
    faces = sample(1).with_predictions(predictions(ages=ages))
    assert faces[0].age == pytest.approx(30)  # halves of 20–29 and 30–39, each to its last day


def test_iteration_and_negative_indices() -> None:
    faces = sample()
    assert len(list(faces)) == len(faces) == 3
    assert list(faces)[-1] == faces[-1] == faces[2]
    assert faces[np.int64(1)] == faces[1]
    with pytest.raises(IndexError):
        faces[3]


def test_a_bare_face_holds_nothing_it_does_not_know() -> None:
    face = Faces.detected(np.array([[1, 2, 3, 4]]), np.array([0.5]), None, (10, 10))[0]
    assert face.emotion is face.confidence is face.entropy is face.age_range is face.age is None
    assert face.emotions == face.ages == face.predictions == {}
    assert face.to_dict() == {"box": [1.0, 2.0, 3.0, 4.0], "score": 0.5, "flags": {"small": True}}


def test_a_face_as_a_dictionary_is_its_row_of_all() -> None:
    faces = replace(sample(), tracks=np.array([4, 5, 9], np.int64))
    assert [face.to_dict() for face in faces] == faces.to_dicts()
    assert [face.to_dict() for face in sample()] == sample().to_dicts()


def test_a_head_that_did_not_see_a_face_is_missing_from_its_row() -> None:
    ages = np.full((2, 9), np.nan, np.float32)
    ages[1] = 1 / 9
    first, second = sample(2).with_predictions(predictions(ages=ages))
    assert list(first.predictions) == ["emotion", "fer2013"]
    assert first.age is first.age_range is None
    assert first.ages == {}
    assert {"age", "age_range"}.isdisjoint(first.to_dict())
    assert list(second.predictions) == ["emotion", "fer2013", "age"]


# ---------------------------------------------------------------- choosing


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (slice(1, None), [1, 2]),
        (slice(None, None, -1), [2, 1, 0]),
        (np.array([True, False, True]), [0, 2]),
        (np.array([2, 0]), [2, 0]),
        ([1], [1]),
        ([], []),
        ([True, False, False], [0]),
        (np.zeros(3, bool), []),
        (slice(0, 0), []),
    ],
)
def test_masks_and_slices_keep_every_column_together(index: object, rows: list[int]) -> None:
    faces = sample()
    chosen = faces[index]  # type: ignore[index]
    assert isinstance(chosen, Faces)
    assert len(chosen) == len(rows)
    for name in ("boxes", "scores", "landmarks", "emotions", "ages", "fer2013"):
        assert np.array_equal(getattr(chosen, name), getattr(faces, name)[rows])
    assert (chosen.source, chosen.image_size, chosen.emotion_labels) == ("p.jpg", (200, 180), FERPLUS.names)
    assert chosen.image is faces.image


@given(st.lists(st.booleans(), min_size=0, max_size=12))
def test_a_mask_and_its_opposite_share_the_faces_out(mask: list[bool]) -> None:
    faces, keep = sample(len(mask)), np.array(mask, bool)
    assert len(faces[keep]) + len(faces[~keep]) == len(faces)
    assert [face.box for face in faces[keep]] == [face.box for face, kept in zip(faces, mask, strict=True) if kept]


def test_sizes() -> None:
    faces = Faces.detected(np.array([[0, 0, 10, 20], [5, 5, 35, 15]]), np.ones(2), None, (50, 50))
    assert faces.sizes.tolist() == [10, 10]


def test_filter() -> None:
    faces = with_emotions([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    faces = replace(
        faces,
        scores=np.array([0.9, 0.6, 0.3], np.float32),
        boxes=np.array([[0, 0, 10, 10], [0, 0, 30, 40], [0, 0, 50, 50]], np.float32),
    )
    assert faces.filter().scores.tolist() == faces.scores.tolist()
    assert len(faces.filter(min_score=0.6 - 1e-6)) == 2
    assert len(faces.filter(min_size=30)) == 2
    assert len(faces.filter(label="neutral")) == 2
    assert len(faces.filter(label="happy")) == 1
    assert len(faces.filter(min_confidence=0.7)) == 2
    assert len(faces.filter(max_entropy=0.8)) == 2
    assert len(faces.filter(label="neutral", min_confidence=0.7, min_score=0.5)) == 1
    with pytest.raises(InputError, match="no label 'joy'; use one of neutral, happy"):
        faces.filter(label="joy")
    with pytest.raises(InputError, match="no label '20-29'; use one of neutral, happy"):
        faces.filter(label="20-29")
    ages = [face.age_range for face in faces]
    assert len(faces.filter(label=ages[0], head="age")) == ages.count(ages[0])
    surest = [max(face.ages.values()) for face in faces]
    assert len(faces.filter(head="age", min_confidence=max(surest))) == 1


@given(st.floats(0, 1), st.floats(0, 80), st.floats(0, 1), st.floats(0, 1))
def test_every_filtered_face_passes_and_no_other_does(
    score: float, size: float, confidence: float, entropy: float
) -> None:
    faces = sample(12, seed=4)
    kept = faces.filter(min_score=score, min_size=size, min_confidence=confidence, max_entropy=entropy)
    passes = [
        faces.scores[i] >= score
        and faces.sizes[i] >= size
        and faces.emotions[i].max() >= confidence
        and (entropy >= 1 or faces.entropy[i] <= entropy)
        for i in range(len(faces))
    ]
    assert [face.box for face in kept] == [face.box for face, good in zip(faces, passes, strict=True) if good]


# ---------------------------------------------------------------- uncertainty


def test_labels_and_abstaining() -> None:
    faces = with_emotions([[0.9, 0.1], [0.45, 0.55]])
    assert faces.labels() == ["neutral", "happy"]
    assert faces.labels(abstain=0.6) == ["neutral", None]
    assert faces.labels(abstain=1.0) == [None, None]
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(InputError, match="abstain is a probability between 0 and 1"):
            faces.labels(abstain=wrong)
    assert faces.labels(head="age") == [face.age_range for face in faces]


def test_the_first_head_is_asked_where_none_is_named() -> None:
    faces = sample()
    ages = replace(faces, predictions={"age": faces.predictions["age"]})
    assert ages.labels() == [face.age_range for face in faces]
    assert np.array_equal(ages.entropy, faces.predictions["age"].entropy)
    assert len(ages.filter(label=ages.labels()[0])) >= 1
    with pytest.raises(InputError, match=r"these faces have no predictions of 'emotion' \(heads: age\)"):
        ages.labels(head="emotion")


def test_faces_that_the_model_did_not_see_have_no_label() -> None:
    faces = with_emotions([[0.9, 0.1], [np.nan, np.nan]])
    assert faces.labels() == ["neutral", None]
    assert len(faces.filter(label="neutral")) == 1
    assert len(faces.filter(min_confidence=0.01)) == 1
    assert len(faces.filter(max_entropy=0.99)) == 1


@pytest.mark.parametrize("ask", [lambda f: f.entropy, lambda f: f.labels(), lambda f: f.filter(min_confidence=0.5)])
def test_faces_without_predictions_are_refused_with_the_reason(ask) -> None:
    bare = Faces.detected(np.array([[1, 2, 3, 4]]), np.array([0.5]), None, (10, 10))
    with pytest.raises(
        InputError, match=r"these faces have no predictions \(heads: none\); analyse them with such a model"
    ):
        ask(bare)


# ---------------------------------------------------------------- writing


def test_to_dicts_are_json_and_hold_what_the_arrays_do() -> None:
    faces = sample()
    rows = json.loads(json.dumps(faces.to_dicts()))
    for row, face in zip(rows, faces, strict=True):
        assert row["emotion"] == face.emotion
        assert list(row["predictions"]) == ["emotion", "age"]
        for name, values in (("emotion", face.emotions), ("age", face.ages)):
            found = row["predictions"][name]
            assert found["probabilities"] == {k: round(v, 5) for k, v in values.items()}
            assert found["label"] == max(values, key=values.__getitem__)
            assert found["confidence"] == round(max(values.values()), 4)
            assert found["entropy"] == pytest.approx(face.predictions[name].entropy, abs=6e-5)
        assert row["age_range"] == row["predictions"]["age"]["label"] == face.age_range
        assert row["predictions"]["age"]["expected"] == row["age"]
        assert "expected" not in row["predictions"]["emotion"]
        assert np.allclose(row["box"], face.box, atol=0.005)
        assert np.allclose(row["landmarks"], face.landmarks, atol=0.005)
        assert row["age"] == pytest.approx(face.age, abs=0.05)


def test_to_json() -> None:
    document = json.loads(sample().to_json())
    assert document["source"] == "p.jpg"
    assert (document["width"], document["height"]) == (200, 180)
    assert document["faces"] == sample().to_dicts()
    assert "猫" in replace(sample(), source="猫.jpg").to_json()


def test_to_json_of_a_name_that_is_no_text_is_still_utf8() -> None:
    faces = replace(sample(), source="caf\udce9.jpg")
    assert json.loads(faces.to_json().encode("utf-8"))["source"] == "caf\udce9.jpg"


def test_to_pandas() -> None:
    pytest.importorskip("pandas")
    faces = sample()
    frame = faces.to_pandas()
    assert len(frame) == 3
    assert frame["face"].tolist() == [1, 2, 3]
    names = [f"emotion_{name}" for name in FERPLUS.names]
    assert np.allclose(frame[names].to_numpy(), faces.emotions, atol=1e-5)
    ages = [f"age_{name}" for name in column_names(age_bin_names())]
    assert np.allclose(frame[ages].to_numpy(), faces.ages, atol=1e-5)
    assert frame["emotion"].tolist() == faces.labels()
    assert frame["emotion_confidence"].tolist() == [round(face.confidence, 4) for face in faces]
    assert frame["emotion_entropy"].tolist() == pytest.approx(faces.entropy.tolist(), abs=6e-5)
    assert frame["age_range"].tolist() == faces.labels(head="age")
    assert frame["age"].tolist() == pytest.approx([face.age for face in faces], abs=0.051)
    assert frame.to_dict("records") == faces.to_rows()


def test_to_parquet_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    path = sample().to_parquet(tmp_path / "new" / "faces.parquet")
    assert pd.read_parquet(path).to_dict("records") == sample().to_rows()


def test_to_pandas_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(
        MissingExtraError, match=r"a data frame needs the package 'pandas'; pip install 'mien\[tables\]'"
    ):
        sample().to_pandas()


@pytest.mark.parametrize("suffix", [".txt", "", ".h5", ".mpg", ".psd", ".pdf", ".eps", ".ico"])
def test_save_refuses_what_is_no_picture_format(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match=r"no picture format .*; use \.png or \.jpg"):
        sample().save(tmp_path / f"out{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".webp", ".bmp", ".tiff", ".gif"])
def test_save(tmp_path: Path, suffix: str) -> None:
    path = sample().save(tmp_path / "deep" / f"out{suffix}")
    assert path.stat().st_size > 0
    assert [p.name for p in path.parent.iterdir()] == [path.name]
