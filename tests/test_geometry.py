from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from helpers.pictures import noise
from mien.errors import InputError
from mien.geometry import areas, clip_boxes, iou, nms, resize, sample, similarity, warp

quick = settings(max_examples=60, deadline=None)

coordinate = st.floats(-500, 500, width=32)
side = st.floats(1, 300, width=32)


@st.composite
def boxes(draw: st.DrawFn, least: int = 0, most: int = 12) -> np.ndarray:
    n = draw(st.integers(least, most))
    corners = draw(arrays(np.float32, (n, 2), elements=coordinate))
    sides = draw(arrays(np.float32, (n, 2), elements=side))
    return np.concatenate([corners, corners + sides], axis=1)


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    some = draw(boxes(most=20))
    return some, draw(arrays(np.float32, len(some), elements=st.floats(0, 1, width=32)))


def affine(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


@quick
@given(boxes(), st.integers(1, 600), st.integers(1, 600))
def test_clipped_boxes_lie_in_the_picture_and_clipping_again_changes_nothing(some, width, height):
    clipped = clip_boxes(some, (width, height))
    assert clipped.dtype == np.float32
    assert (clipped >= 0).all()
    assert (clipped[:, [0, 2]] <= width).all()
    assert (clipped[:, [1, 3]] <= height).all()
    np.testing.assert_array_equal(clip_boxes(clipped, (width, height)), clipped)
    assert (areas(clipped) <= areas(some) * (1 + 1e-5)).all()


def test_area_of_an_inverted_box_is_zero():
    np.testing.assert_array_equal(areas(np.array([[0, 0, 2, 3], [5, 5, 1, 1]], np.float32)), [6, 0])


@quick
@given(boxes(), boxes(), st.booleans())
def test_overlap_is_a_fraction_and_symmetric(a, b, over_smaller):
    overlap = iou(a, b, over_smaller=over_smaller)
    assert overlap.shape == (len(a), len(b))
    assert ((overlap >= 0) & (overlap <= 1 + 1e-5)).all()
    np.testing.assert_allclose(overlap, iou(b, a, over_smaller=over_smaller).T, atol=1e-6)


@quick
@given(boxes(least=1))
def test_a_box_overlaps_itself_fully(some):
    np.testing.assert_allclose(np.diag(iou(some, some)), 1.0, atol=1e-4)


@pytest.mark.parametrize(
    ("a", "b", "union", "smaller"),
    [
        ((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3, 1 / 2),
        ((0, 0, 4, 4), (1, 1, 3, 3), 1 / 4, 1.0),
        ((0, 0, 1, 1), (1, 0, 2, 1), 0.0, 0.0),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0.0, 0.0),
    ],
)
def test_overlaps_worked_out_by_hand(a, b, union, smaller):
    first, second = np.array([a], np.float32), np.array([b], np.float32)
    assert iou(first, second)[0, 0] == pytest.approx(union)
    assert iou(first, second, over_smaller=True)[0, 0] == pytest.approx(smaller)


@quick
@given(scored(), st.floats(0.05, 0.95), st.booleans())
def test_suppression_keeps_a_best_first_set_that_covers_the_rest(pair, threshold, over_smaller):
    some, scores = pair
    kept = nms(some, scores, threshold, over_smaller=over_smaller)
    assert (np.diff(scores[kept]) <= 0).all()
    overlap = iou(some, some, over_smaller=over_smaller)
    among = overlap[np.ix_(kept, kept)][~np.eye(len(kept), dtype=bool)]
    assert (among <= threshold).all()
    for i in set(range(len(some))) - set(kept.tolist()):
        assert any(overlap[k, i] > threshold and scores[k] >= scores[i] for k in kept)


def one_at_a_time(boxes, scores, threshold, over_smaller):
    """The textbook loop: take the best box left, drop what it covers."""
    order, kept = np.argsort(-scores, kind="stable").tolist(), []
    while order:
        best = order.pop(0)
        kept.append(best)
        order = [i for i in order if iou(boxes[[best]], boxes[[i]], over_smaller=over_smaller)[0, 0] <= threshold]
    return kept


@quick
@given(scored(), st.floats(0.05, 0.95), st.booleans())
def test_blocks_of_boxes_change_nothing(pair, threshold, over_smaller):
    some, scores = pair
    np.testing.assert_array_equal(
        nms(some, scores, threshold, over_smaller=over_smaller),
        one_at_a_time(some, scores, threshold, over_smaller),
    )


def test_many_blocks_of_boxes_change_nothing():
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 400, (600, 2))
    some = np.concatenate([corners, corners + rng.uniform(10, 60, (600, 2))], axis=1).astype(np.float32)
    scores = rng.random(600).astype(np.float32)
    np.testing.assert_array_equal(nms(some, scores, 0.3), one_at_a_time(some, scores, 0.3, False))


@quick
@given(
    arrays(np.float64, (5, 2), elements=st.floats(-100, 100), unique=True),
    st.floats(-np.pi, np.pi),
    st.floats(0.05, 20),
    st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_similarity_recovers_the_transform_that_was_applied(points, angle, scale, shift):
    spread = np.abs(points - points.mean(axis=0)).max()
    if spread < 1e-2:
        return
    matrix = affine(angle, scale, shift)
    found = similarity(points, apply(matrix, points))
    np.testing.assert_allclose(apply(found, points), apply(matrix, points), atol=1e-5)
    np.testing.assert_allclose(found[:, :2], matrix[:, :2], atol=1e-4 * max(scale, 1))


@quick
@given(arrays(np.float64, (5, 2), elements=st.floats(-100, 100)), st.integers(0, 2**31))
def test_no_other_similarity_fits_better(points, seed):
    rng = np.random.default_rng(seed)
    target = rng.uniform(-50, 50, (5, 2))
    if np.abs(points - points.mean(axis=0)).max() < 1e-2:
        return
    best = similarity(points, target)
    error = ((apply(best, points) - target) ** 2).sum()
    for _ in range(10):
        step = affine(rng.normal(0, 0.05), 1 + rng.normal(0, 0.05), tuple(rng.normal(0, 0.5, 2)))
        other = apply(step, apply(best, points))
        assert ((other - target) ** 2).sum() >= error - 1e-6 * max(error, 1)


def test_similarity_never_mirrors():
    target = np.array([[0, 0], [4, 0], [2, 1], [0, 5], [4, 5]], float)
    mirrored = target * [-1, 1] + [7, 0]
    matrix = similarity(mirrored, target)
    assert np.linalg.det(matrix[:, :2]) >= 0


def test_similarity_of_many_faces_is_that_of_each():
    rng = np.random.default_rng(0)
    many, target = rng.uniform(0, 100, (7, 5, 2)), rng.uniform(0, 1, (5, 2))
    together = similarity(many, target)
    assert together.shape == (7, 2, 3)
    for one, matrix in zip(many, together, strict=True):
        np.testing.assert_allclose(similarity(one, target), matrix)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (np.ones((5, 2)), np.random.default_rng(0).random((5, 2))),
        (np.zeros((4, 2)), np.zeros((5, 2))),
        (np.zeros((1, 2)), np.zeros((1, 2))),
    ],
)
def test_similarity_refuses_points_without_a_shape(source, target):
    with pytest.raises(InputError):
        similarity(source, target)


IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 1), (30, 40, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", [(1, 1), (17, 9), (80, 90), (80, 10), (10, 80), (40, 10), (80, 30)])
def test_a_resized_image_is_of_the_same_kind(shape, dtype, size):
    image = np.full(shape, 90, dtype)
    for enlarge in ("cubic", "linear"):
        resized = resize(image, size, enlarge=enlarge)
        assert resized.dtype == dtype
        assert resized.shape == (size[1], size[0], *shape[2:])
        np.testing.assert_allclose(resized, 90, atol=1e-4)


def test_an_image_of_the_wanted_size_is_left_as_it_is():
    image = noise(30, 40)
    assert resize(image, (40, 30)) is image


def test_shrinking_averages_whole_areas():
    image = noise(60, 90)
    blocks = image.reshape(20, 3, 30, 3, 3).mean(axis=(1, 3))
    # Pillow multiplies by a rounded reciprocal, so that some averages of nine are rounded down
    np.testing.assert_allclose(resize(image, (30, 20)), blocks, atol=0.56)


def test_a_side_that_shrinks_is_averaged_although_the_other_grows():
    columns = np.tile(np.array([0, 255], np.uint8), (10, 50))
    for size in ((25, 10), (25, 11), (25, 40)):
        # skipping pixels would show black or white
        np.testing.assert_allclose(resize(columns, size), 127.5, atol=1)


@pytest.mark.parametrize(("enlarge", "overshoots"), [("cubic", True), ("linear", False)])
def test_only_cubic_enlarging_overshoots(enlarge, overshoots):
    step = np.repeat(np.array([[0, 0, 0, 1, 1, 1]], np.float32), 4, axis=0)
    large = resize(step, (24, 16), enlarge=enlarge)
    assert (large.max() > 1.01) == overshoots


def test_samples_lie_at_pixel_centres():
    image = noise(20, 20)
    np.testing.assert_array_equal(sample(image, IDENTITY, 20), image)
    half = sample(image, np.array([[1.0, 0, 0.5], [0, 1, 0]]), 19)
    np.testing.assert_allclose(half, (image[:19, :19].astype(float) + image[:19, 1:20]) / 2, atol=0.51)
    # a convention that were off by a part of a pixel would be off to the other side here
    double = IDENTITY * [0.5, 0.5, 1]
    turned = sample(np.ascontiguousarray(image[::-1, ::-1]), double, 40)
    np.testing.assert_array_equal(sample(image, double, 40), turned[::-1, ::-1])


def test_outside_the_image_lies_its_border_or_black():
    image = np.full((10, 10, 3), 200, np.uint8)
    far = np.array([[1.0, 0, 50], [0, 1, 0]])
    assert (sample(image, far, 8) == 200).all()
    assert (sample(image, far, 8, border="black") == 0).all()
    assert (warp(image, np.array([[1.0, 0, -500], [0, 1, -500]]), 8) == 200).all()


def test_samples_can_be_put_into_an_array():
    image, out = noise(20, 20), np.zeros((2, 12, 12, 3), np.uint8)
    sample(image, IDENTITY, 12, out=out[1])
    np.testing.assert_array_equal(out[1], image[:12, :12])
    assert not out[0].any()


@pytest.mark.parametrize("block", [1, 2])
def test_a_warp_to_half_the_size_averages_blocks_of_two(block):
    image = noise(30 * block, 30 * block, seed=block)
    got = warp(image, np.array([[1 / block, 0, 0], [0, 1 / block, 0]]), 30)
    np.testing.assert_allclose(got, image.reshape(30, block, 30, block, 3).mean(axis=(1, 3)), atol=0.51)


@quick
@given(st.floats(-180, 180), st.floats(0.1, 4), st.tuples(st.floats(0, 200), st.floats(0, 160)))
def test_a_warp_puts_points_where_its_matrix_maps_them(angle, scale, middle):
    ramp = np.stack(np.meshgrid(np.arange(200) + 0.5, np.arange(160) + 0.5), axis=-1)
    image = np.concatenate([ramp, np.zeros((160, 200, 1))], axis=2).astype(np.uint8)
    matrix = affine(np.deg2rad(angle), scale, (0.0, 0.0))
    matrix[:, 2] = 16 - matrix[:, :2] @ middle
    got = warp(image, matrix, 32).astype(float)
    inverse = np.linalg.inv(matrix[:, :2])
    steps = np.stack(np.meshgrid(np.arange(32) + 0.5, np.arange(32) + 0.5), axis=-1)
    at = (steps - matrix[:, 2]) @ inverse.T
    # blocks that the border cuts are averaged with less of the image
    margin = 3 / scale + 3
    inside = (at > margin).all(axis=-1) & (at < np.array([200, 160]) - margin).all(axis=-1)
    # a pixel holds the whole number below its centre
    np.testing.assert_allclose(got[inside, :2] + 0.5, at[inside], atol=1.25)


def test_a_warp_of_gray_is_a_channel_of_that_of_colour():
    image = noise(90, 120)
    matrix = affine(0.4, 0.3, (5.0, -8.0))
    np.testing.assert_array_equal(warp(image[..., 1].copy(), matrix, 24), warp(image, matrix, 24)[..., 1])
