"""The same faces whatever the threads, whatever stands beside them in a batch, and however many share one analyzer."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from PIL import Image

import mien
from helpers.pictures import astronaut, hopper, noise
from mien.models.catalog import read_model
from mien.models.model import Model
from mien.results.faces import Faces

TOLERANCE = 1e-5


def encoded(rgb: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, kind)
    return stream.getvalue()


@cache
def photos() -> tuple[bytes, ...]:
    """Small ones of every sort: with one face, two, mirrored, turned, gray, cut by the border, and none."""
    face, glasses = astronaut()[:224, 120:344], hopper()[60:400:2, 100:440:2]
    pair = np.concatenate([face[:170, :170], glasses[:170, :170]], axis=1)
    made = [face, glasses, pair, face[:, ::-1], np.rot90(face), noise(64, 80), face[:, 90:], noise(1, 1), glasses[::-1]]
    gray = np.repeat(np.asarray(face.mean(axis=2, keepdims=True), np.uint8), 3, axis=2)
    kinds = ("JPEG", "PNG", "WEBP")
    return tuple(encoded(np.ascontiguousarray(one), kinds[i % 3]) for i, one in enumerate([*made, gray]))


@cache
def analyzer(threads: int) -> mien.Analyzer:
    return mien.Analyzer(threads=threads)


@cache
def alone() -> tuple[Faces, ...]:
    """Every photo by itself, on one thread."""
    return tuple(analyzer(1).analyze(photo) for photo in photos())


def differences(a: Faces, b: Faces) -> float:
    """The greatest, over all numbers; infinite where there are other faces or labels."""
    if len(a) != len(b) or (a.emotion_labels, a.age_bins) != (b.emotion_labels, b.age_bins):
        return float("inf")
    pairs = ((getattr(a, name), getattr(b, name)) for name in ("scores", "emotions", "ages", "fer2013"))
    # places are pixels: they are compared as shares of the picture
    side = max(a.image_size)
    places = ((getattr(a, name) / side, getattr(b, name) / side) for name in ("boxes", "landmarks"))
    return max((float(np.abs(x - y).max(initial=0)) for x, y in (*pairs, *places) if x is not None), default=0.0)


def test_the_photos_hold_what_they_should():
    counts = [len(faces) for faces in alone()]
    assert max(counts) == 2
    assert counts.count(0) >= 2
    assert sum(counts) >= 7


def test_many_threads_sharing_one_analyzer_return_what_one_does():
    shared, n = analyzer(1), len(photos())
    together = threading.Barrier(6)

    def many(worker: int) -> list[tuple[int, Faces]]:
        together.wait(60)
        # each in an order of its own, one at a time and in batches, so that different calls overlap
        order = np.random.default_rng(worker).permutation(n).tolist()
        reported = [(i, shared.analyze(photos()[i])) for i in order[: n // 2]]
        rest = order[n // 2 :]
        return reported + list(zip(rest, shared.analyze_batch([photos()[i] for i in rest]), strict=True))

    with ThreadPoolExecutor(6) as pool:
        answers = [one for reported in pool.map(many, range(6)) for one in reported]
    assert len(answers) == 6 * n
    for i, faces in answers:
        expected = alone()[i]
        # a face's numbers may depend on those beside it in the last bits of the classifiers, and on nothing else
        assert differences(faces, expected) <= TOLERANCE
        np.testing.assert_array_equal(faces.boxes, expected.boxes)
        np.testing.assert_array_equal(faces.landmarks, expected.landmarks)
        np.testing.assert_array_equal(faces.scores, expected.scores)


def test_calls_of_the_same_shape_are_equal_to_the_last_bit():
    shared = analyzer(1)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(shared.analyze, [photos()[2]] * 8))
    for faces in answers:
        for name in ("boxes", "landmarks", "scores", "emotions", "ages", "fer2013"):
            np.testing.assert_array_equal(getattr(faces, name), getattr(alone()[2], name))


@pytest.mark.parametrize("threads", [2, 3])
def test_results_do_not_depend_on_threads(threads: int):
    for photo, expected in zip(photos(), alone(), strict=True):
        assert differences(analyzer(threads).analyze(photo), expected) <= TOLERANCE


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_results_do_not_depend_on_the_batch(size: int):
    given = [i % len(photos()) for i in range(max(size, len(photos())))]
    reported = []
    for start in range(0, len(given), size):
        reported += analyzer(1).analyze_batch([photos()[i] for i in given[start : start + size]])
    for i, faces in zip(given, reported, strict=True):
        assert differences(faces, alone()[i]) <= TOLERANCE


@pytest.mark.parametrize("name", ["emotion", "age"])
def test_a_classifier_predicts_the_same_for_a_crop_in_every_batch(name: str):
    model = Model(read_model(name), threads=1)
    card = model.card
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (130, card.size, card.size, card.n_channels), dtype=np.uint8)
    expected = {head: [] for head in model(crops[:1])}
    for i in range(12):
        for head, row in model(crops[i : i + 1]).items():
            expected[head].append(row[0])
    for size in (1, 2, 7, 64, 130):
        reported = [model(crops[start : start + size]) for start in range(0, 12, size)]
        for head, rows in expected.items():
            found = np.concatenate([one[head] for one in reported])[:12]
            assert np.abs(found - np.array(rows)).max() <= TOLERANCE
