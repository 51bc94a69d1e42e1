from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.pictures import astronaut, hopper
from helpers.textures import textures
from mien.datasets import near_duplicates as near
from mien.datasets.image_features import gray48, hog_vectors
from mien.datasets.near_duplicates import connected_groups, near_duplicates, perceptual_hash
from mien.errors import DataError

PICTURES = textures(np.arange(40) % 7)


def jpeg(image: np.ndarray, quality: int = 60) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)


def shifted(image: np.ndarray) -> np.ndarray:
    return np.concatenate([image[:, 1:], image[:, -1:]], axis=1)


def cropped(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image[1:-1, 1:-1], (48, 48), interpolation=cv2.INTER_CUBIC)


def brighter(image: np.ndarray) -> np.ndarray:
    return np.clip(image.astype(int) + 25, 0, 255).astype(np.uint8)


def planted(*changed: np.ndarray) -> np.ndarray:
    return np.concatenate([PICTURES, np.stack(changed)[..., None]])


def found(images: np.ndarray, **numbers: float) -> list[tuple[int, int, bool]]:
    pairs = near_duplicates(images, **numbers)
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.mirrored.tolist(), strict=True))


def test_different_pictures_are_no_pairs() -> None:
    pairs = near_duplicates(PICTURES)
    assert len(pairs) == 0
    assert pairs.similarity.dtype == np.float32


def test_changed_copies_are_found() -> None:
    one = [PICTURES[i, ..., 0] for i in range(6)]
    images = planted(brighter(one[0]), jpeg(one[1]), shifted(one[2]), one[4][:, ::-1], jpeg(brighter(one[5])[:, ::-1]))
    assert found(images) == [(0, 40, False), (1, 41, False), (2, 42, False), (4, 43, True), (5, 44, True)]
    pairs = near_duplicates(images)
    assert (pairs.bits <= 16).all()
    assert pairs.similarity.min() >= 0.9
    assert pairs.similarity[3] == pytest.approx(1)


def test_faces_cropped_by_a_pixel_are_found_and_other_faces_are_not() -> None:
    faces = [cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA) for face in (
        cv2.cvtColor(astronaut()[40:200, 144:304], cv2.COLOR_RGB2GRAY),
        cv2.cvtColor(hopper()[60:340, 130:410], cv2.COLOR_RGB2GRAY),
    )]  # fmt: skip
    images = np.stack([*faces, *(cropped(face) for face in faces), *(face[:, ::-1] for face in faces)])[..., None]
    flagged = set(found(images))
    assert {(0, 2, False), (1, 3, False), (0, 4, True), (1, 5, True)} <= flagged
    assert not {(a % 2, b % 2) for a, b, _ in flagged} & {(0, 1), (1, 0)}


def test_thresholds() -> None:
    images = planted(shifted(PICTURES[0, ..., 0]))
    assert found(images) == [(0, 40, False)]
    assert found(images, bits=0) == []
    assert found(images, similarity=0.999) == []


def test_colour_and_size_do_not_matter() -> None:
    large = cv2.resize(astronaut(), (112, 112), interpolation=cv2.INTER_AREA)
    other = cv2.resize(hopper(), (112, 112), interpolation=cv2.INTER_AREA)
    warm = np.clip(large.astype(int) + np.array([25, 5, 0]), 0, 255).astype(np.uint8)
    assert found(np.stack([large, other, warm])) == [(0, 2, False)]


def test_flat_pictures_and_none_at_all() -> None:
    flat = np.full((5, 48, 48, 1), 90, np.uint8)
    flat[:, 0, 0] = np.arange(5)[:, None]
    assert found(flat) == []
    assert found(flat[:0]) == []
    assert found(PICTURES[:1]) == []


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    images = planted(*(shifted(PICTURES[i, ..., 0]) for i in (0, 17, 39)), PICTURES[8, :, ::-1, 0])
    whole = found(images)
    assert len(whole) == 4
    monkeypatch.setattr(near, "_BLOCK", 7)
    assert found(images) == whole


def test_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "MAX_PAIRS", 5)
    images = np.stack([np.clip(PICTURES[0].astype(int) + i, 0, 255) for i in range(6)]).astype(np.uint8)
    with pytest.raises(DataError, match="more than 5 pairs"):
        near_duplicates(images)


def test_hash_has_64_bits_of_which_half_are_set() -> None:
    hashes = perceptual_hash(gray48(PICTURES))
    assert hashes.shape == (40, 64)
    assert (hashes.sum(axis=1) == 32).all()
    np.testing.assert_array_equal(perceptual_hash(np.clip(gray48(PICTURES) // 2, 0, 255)).shape, hashes.shape)
    assert hog_vectors(gray48(PICTURES)).shape == (40, 512)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=20))
def test_groups_are_connected_components(edges: list[tuple[int, int]]) -> None:
    first, second = (np.array([edge[k] for edge in edges], np.int64) for k in (0, 1))
    members = connected_groups(12, first, second)
    # the naive way: spread the smallest index until nothing changes
    naive = np.arange(12)
    for _ in range(12):
        for a, b in edges:
            naive[[a, b]] = min(naive[a], naive[b])
    np.testing.assert_array_equal(members, naive)
