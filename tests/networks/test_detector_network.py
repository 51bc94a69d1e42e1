"""The detector's network: sizes, what it starts with, gradients, and that decoding inverts its outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.detect.single_shot import STRIDES, CandidateBoxes, concatenate, decode, detect, pad_picture, suppress
from mien.errors import InputError
from mien.networks.detector import CHANNELS, DetectorShape, FaceDetector
from mien.training.detection.losses import decode_boxes, decode_points

TINY = DetectorShape(widths=(4, 4, 8, 8, 8), blocks=(1, 1, 1), pyramid=8, towers=(1, 1, 1))


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (480, 640)])
def test_any_size_that_is_a_multiple_of_32_gives_one_tensor_per_stride(size: tuple[int, int]) -> None:
    with torch.inference_mode():
        outputs = FaceDetector(TINY).eval()(torch.zeros(2, 3, *size))
    assert [tuple(o.shape) for o in outputs] == [(2, CHANNELS, size[0] // s, size[1] // s) for s in STRIDES]


def test_the_shipped_shape_has_about_three_hundred_thousand_parameters() -> None:
    assert sum(p.numel() for p in FaceDetector().parameters()) == 303_549


def test_every_score_starts_low_and_every_parameter_learns() -> None:
    torch.manual_seed(0)
    net = FaceDetector(TINY).train()
    outputs = net(torch.randn(2, 3, 64, 64))
    assert all(float(torch.sigmoid(o[:, 0]).detach().mean()) < 0.1 for o in outputs)
    sum(o.square().mean() for o in outputs).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def outputs_for(size: tuple[int, int], cells: list[tuple[int, int, int, float]]) -> list[np.ndarray]:
    """Outputs that are silent but at (level, row, column, logit), whose box is two strides to each side."""
    outputs = [np.full((CHANNELS, size[0] // s, size[1] // s), -9, np.float32) for s in STRIDES]
    for level, row, column, logit in cells:
        outputs[level][0, row, column] = logit
        outputs[level][1:5, row, column] = np.log(2)
        outputs[level][5:, row, column] = np.tile([0.25, -0.25], 5)
    return outputs


def test_a_cell_decodes_to_the_box_and_the_points_that_it_describes() -> None:
    found = decode(outputs_for((64, 64), [(0, 1, 2, 2.0), (1, 3, 0, 0.0)]), 0.3)
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-2)), 0.5], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, [[4, -4, 36, 28], [-24, 24, 40, 88]], atol=1e-4)
    np.testing.assert_allclose(found.landmarks[0], [[28, 4]] * 5, atol=1e-4)
    assert len(decode(outputs_for((64, 64), []), 0.3)) == 0


def test_training_and_inference_decode_alike() -> None:
    rng = np.random.default_rng(0)
    output = rng.normal(0, 0.5, (CHANNELS, 4, 4)).astype(np.float32)
    silent = [np.full((CHANNELS, 2, 2), -9, np.float32), np.full((CHANNELS, 1, 1), -9, np.float32)]
    found = decode([output, *silent], 1e-3)
    order = np.argsort(-output[0].ravel(), kind="stable")
    flat = torch.from_numpy(output.reshape(CHANNELS, -1).T[order].copy())
    line = (np.arange(4, dtype=np.float32) + 0.5) * 8
    centres = torch.from_numpy(np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)[order])
    boxes = decode_boxes(flat[:, 1:5], centres, torch.full((16,), 8.0))
    np.testing.assert_allclose(found.boxes[:16], boxes.numpy(), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found.landmarks[:16], decode_points(flat[:, 5:], boxes).numpy(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("threshold", [0.0, 1.0, float("nan")])
def test_a_threshold_outside_its_range_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match="threshold"):
        decode(outputs_for((32, 32), []), threshold)


def random_candidates(n: int, seed: int) -> CandidateBoxes:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 60, (n, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 40, (n, 2))], axis=1).astype(np.float32)
    scores = np.sort(rng.uniform(0.1, 1, n).astype(np.float32))[::-1].copy()
    return CandidateBoxes(boxes, scores, rng.uniform(0, 100, (n, 5, 2)).astype(np.float32))


def greedy(boxes: np.ndarray, overlap: float) -> list[int]:
    kept: list[int] = []
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        for j in kept:
            u1, v1, u2, v2 = boxes[j]
            shared = max(min(x2, u2) - max(x1, u1), 0) * max(min(y2, v2) - max(y1, v1), 0)
            if shared / ((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared) > overlap:
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize("seed", range(8))
def test_suppression_keeps_what_the_greedy_loop_keeps(seed: int) -> None:
    candidates = random_candidates(60, seed)
    kept = suppress(candidates, 0.4, vote=1.0)
    expected = candidates.select(np.array(greedy(candidates.boxes.astype(np.float64), 0.4)))
    np.testing.assert_array_equal(kept.boxes, expected.boxes)
    voted = suppress(candidates, 0.4)
    np.testing.assert_array_equal(voted.scores, expected.scores)
    assert (np.abs(voted.boxes - expected.boxes) < 20).all()


def test_a_lone_box_is_not_moved_by_the_vote_and_no_box_stays_none() -> None:
    one = random_candidates(1, 0)
    np.testing.assert_allclose(suppress(one).boxes, one.boxes, rtol=1e-6)
    none = one.select(np.zeros(1, np.bool_))
    assert len(suppress(none)) == 0
    assert len(concatenate([none, one])) == 1


def test_a_picture_is_padded_to_the_right_and_below() -> None:
    picture = np.zeros((33, 64, 3), np.uint8)
    padded = pad_picture(picture)
    assert padded.shape == (64, 64, 3)
    assert (padded[33:] == 128).all()
    assert pad_picture(padded) is padded
    seen: list[tuple[int, ...]] = []

    def forward(batch: np.ndarray) -> list[np.ndarray]:
        seen.append(batch.shape)
        return [o[None] for o in outputs_for((64, 64), [(0, 1, 2, 2.0)])]

    assert [len(found) for found in detect(forward, [picture], 0.5, [1.0])] == [1]
    assert seen == [(1, 64, 64, 3)]
