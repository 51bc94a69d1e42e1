from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers.datasets import noise
from helpers.features import FACES, needs_dlib
from mien.errors import InputError
from mien.published.features import (
    FEATURES,
    compute_features,
    concatenate_features,
    parse_feature_names,
)
from mien.published.features import catalog as catalog_module


@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_has_the_stated_shape(name: str) -> None:
    if name == "landmarks":
        pytest.importorskip("dlib")
    vectors = compute_features(name, FACES[:3])
    assert vectors.shape == (3, FEATURES[name].length)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    np.testing.assert_array_equal(vectors, compute_features(name, FACES[:3, :, :, None]))
    assert compute_features(name, FACES[:0]).shape == (0, FEATURES[name].length)


@needs_dlib
@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(12)), name=st.sampled_from(["hog", "hog_sliding", "landmarks"]))
def test_the_vector_of_a_face_does_not_depend_on_its_position(order: list[int], name: str) -> None:
    np.testing.assert_array_equal(compute_features(name, FACES[order]), compute_features(name, FACES[:12])[order])


@needs_dlib
def test_many_processes_give_the_same_vectors_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_module, "_CHUNK", 9)
    seen: list[tuple[int, int]] = []
    one = compute_features("landmarks", FACES)
    two = compute_features("landmarks", FACES, workers=2, progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_array_equal(one, two)
    assert seen == [(9, 40), (18, 40), (27, 40), (36, 40), (40, 40)]


def test_names_of_features() -> None:
    assert parse_feature_names("hog-sliding+landmarks") == ("landmarks", "hog_sliding")
    assert (
        parse_feature_names(" hog , landmarks")
        == ("landmarks", "hog")
        == parse_feature_names(["hog", "landmarks", "hog"])
    )
    with pytest.raises(InputError, match="no feature 'sift'; there are landmarks, hog, hog_sliding"):
        parse_feature_names("hog,sift")
    with pytest.raises(InputError, match="no feature ''"):
        parse_feature_names("")


@needs_dlib
def test_sets_of_features_are_as_long_as_published() -> None:
    vectors = {name: compute_features(name, FACES[:2]) for name in FEATURES}
    assert concatenate_features(vectors, ["landmarks", "hog"]).shape == (2, 208)
    both = concatenate_features(vectors, ["hog_sliding", "landmarks"])
    assert both.shape == (2, 2728)
    np.testing.assert_array_equal(both[:, :136], vectors["landmarks"])
    with pytest.raises(InputError, match=r"add it with `mien data prepare … --features hog`"):
        concatenate_features({"landmarks": vectors["landmarks"]}, ["hog"])


@pytest.mark.parametrize("images", [noise(2, 40, 48), noise(2, 48, 48, 3), noise(2, 48, 48).astype(np.float32)])
def test_other_images_are_refused(images: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match=r"uint8 gray faces \(n, 48, 48\).*--size 48"):
        compute_features("hog", images)
