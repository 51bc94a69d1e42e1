"""Upright crops of faces, the network of landmarks, and its training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.pictures import astronaut
from mien.datasets.detection import PhotoLabels, from_labels
from mien.detect.landmark_refinement import (
    SIDE,
    crop_matrices,
    face_crops,
    points_in_crop,
    points_in_picture,
    refine,
    roll_angles,
)
from mien.geometry import invert_affine, sample
from mien.networks.landmarks import LandmarkNetwork
from mien.resampling import shrink
from mien.training.detection.face_tiles import FaceTiles
from mien.training.detection.photo_store import PhotoStore
from mien.training.detection.refinement import RefinementConfig, jittered, point_loss, train_refinement

UPRIGHT = np.array([[-10, -8], [10, -8], [0, 4], [-8, 14], [8, 14]], np.float32)


def turned(degrees: float, middle: tuple[float, float] = (100, 80)) -> np.ndarray:
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (UPRIGHT @ rotation.T + middle).astype(np.float32)


@pytest.mark.parametrize("degrees", [-60.0, -15.0, 0.0, 40.0])
def test_a_turned_face_is_upright_in_its_crop(degrees: float) -> None:
    points = turned(degrees)[None]
    assert float(np.rad2deg(roll_angles(points))[0]) == pytest.approx(degrees, abs=0.05)  # points lie on a grid
    matrices = crop_matrices(np.array([[80, 55, 120, 105]]), roll_angles(points))
    inside = points_in_crop(points, matrices).reshape(5, 2)
    assert inside[0, 1] == pytest.approx(inside[1, 1], abs=1e-3)
    assert inside[0, 0] == pytest.approx(-inside[1, 0], abs=1e-3)


def test_points_go_to_the_crop_and_back_unchanged() -> None:
    points = np.stack([turned(20), turned(-70, (30, 40))])
    matrices = crop_matrices(np.array([[80, 55, 120, 105], [0, 10, 66, 70]]), roll_angles(points))
    np.testing.assert_allclose(points_in_picture(points_in_crop(points, matrices), matrices), points, atol=1e-3)


@pytest.mark.parametrize("side", [20, 90, 400])
def test_a_crop_shows_the_pixels_that_its_matrix_names(side: int) -> None:
    picture = np.zeros((900, 900, 3), np.uint8)
    x1, y1 = 300, 200
    picture[y1 + side // 4 : y1 + side // 2, x1 + side // 4 : x1 + side // 2] = 255
    matrices = crop_matrices(np.array([[x1, y1, x1 + side, y1 + side]]), np.zeros(1))
    crop = face_crops(picture, matrices)[0, ..., 0]
    rows, columns = np.nonzero(crop > 127)
    scale = SIDE / side / 1.25
    low, high = SIDE / 2 - side / 4 * scale, SIDE / 2
    for found in (rows, columns):
        assert found.min() == pytest.approx(low, abs=1.1)
        assert found.max() + 1 == pytest.approx(high, abs=1.1)


@pytest.mark.parametrize(
    "box", [(5, 9, 360, 390), (-80, -60, 300, 420), (250, 200, 700, 640), (-900, -900, 1500, 1500)]
)
def test_a_crop_is_that_of_the_whole_picture_halved(box: tuple[int, ...]) -> None:
    picture = astronaut()[:451, :477]
    matrices = crop_matrices(np.array([box]), np.array([0.4]))
    halved, whole = picture, matrices[0].copy()
    while np.hypot(*whole[0, :2]) <= 0.5:
        even = halved[: halved.shape[0] // 2 * 2, : halved.shape[1] // 2 * 2]
        halved = shrink(even, (even.shape[1] // 2, even.shape[0] // 2))
        whole[:, :2] *= 2
    expected = sample(halved, invert_affine(whole), SIDE)
    assert len(halved) < len(picture)
    # in one step, a pixel is rounded once
    apart = np.abs(face_crops(picture, matrices)[0].astype(int) - expected)
    assert apart.max() <= 2
    assert apart.mean() < 0.5


def test_refinement_returns_the_networks_points_in_the_picture() -> None:
    truth = np.stack([turned(10), turned(-30, (300, 200))])
    boxes = np.array([[80, 50, 122, 110], [270, 170, 330, 235]], np.float32)
    guess = truth + np.float32(2.0)

    inside = points_in_crop(truth, crop_matrices(boxes, roll_angles(guess)))
    mirrored = (inside.reshape(2, 5, 2)[:, [1, 0, 2, 4, 3]] * [-1, 1]).reshape(2, 10).astype(np.float32)
    answers = [inside, np.concatenate([inside, mirrored])]

    def forward(crops: np.ndarray) -> np.ndarray:
        assert crops.shape == (len(answers[0]), SIDE, SIDE, 3)
        return answers.pop(0)

    picture = np.zeros((300, 400, 3), np.uint8)
    np.testing.assert_allclose(refine(forward, [picture], [boxes], [guess], mirror=False)[0], truth, atol=1e-3)
    np.testing.assert_allclose(refine(forward, [picture], [boxes], [guess])[0], truth, atol=1e-3)
    assert not answers
    assert len(refine(forward, [picture], [boxes[:0]], [guess[:0]])[0]) == 0


def test_the_network_starts_from_an_average_face_and_every_parameter_learns() -> None:
    torch.manual_seed(0)
    net = LandmarkNetwork(hidden=8)
    points = net(torch.randn(4, 3, SIDE, SIDE))
    assert points.shape == (4, 10)
    assert float(points[:, 0].mean().detach()) < 0 < float(points[:, 2].mean().detach())
    points.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_the_loss_is_zero_for_perfect_points_and_ignores_faces_without_trust() -> None:
    points = torch.rand(3, 10, generator=torch.Generator().manual_seed(0))
    assert float(point_loss(points, points, torch.ones(3), 0.06, 0.012)) == 0
    wrong = points.clone()
    wrong[2] += 0.3
    assert float(point_loss(wrong, points, torch.tensor([1.0, 1, 0]), 0.06, 0.012)) == 0
    assert float(point_loss(wrong, points, torch.ones(3), 0.06, 0.012)) > 0.01


def test_a_jittered_box_still_lies_on_its_face() -> None:
    rng = np.random.default_rng(0)
    box = np.array([10, 20, 50, 70], np.float32)
    boxes = np.stack([jittered(box, rng) for _ in range(200)])
    np.testing.assert_allclose(boxes.mean(axis=0), box, atol=1.5)
    assert (boxes[:, 2] > boxes[:, 0]).all()


def test_training_writes_its_curve_and_the_averaged_weights(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    photos = from_labels([PhotoLabels(b"", np.array([[20, 20, 70, 80]]), turned(0, (45, 50))[None], size=(96, 96))])
    store = PhotoStore(pixels.ravel(), (((0, 96, 96),),))
    tiles = FaceTiles(pixels[None], photos.boxes, photos.landmarks)
    config = RefinementConfig(steps=12, batch=8, peak=4e-3)
    net = train_refinement(photos, store, tiles, config, tmp_path / "weights.pt", log_every=4)
    assert not net.training
    assert len((tmp_path / "weights.csv").read_text().splitlines()) == 3
    saved = torch.load(tmp_path / "weights.pt", weights_only=True)
    torch.testing.assert_close(saved["outputs.weight"], net.state_dict()["outputs.weight"])
