"""Losses of the detector on the cells of a batch.

Source:
    Score: quality focal loss (Li et al. 2020), whose target is the overlap of the predicted box. Box: generalised
    intersection over union (Rezatofighi et al. 2019). Points: wing loss (Feng et al. 2018) over the face's size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.detect.single_shot import MAX_LOG_DISTANCE


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How much each loss counts, and the shape of the wing.

    Attributes:
        score: of the quality focal loss.
        box: of 1 − GIoU.
        points: of the wing loss.
        wing: error, in face sizes, below which the wing is logarithmic.
        curve: how sharply it bends, in face sizes.
        noisy: face size in pixels below which points count less: their labels are noisy.
    """

    score: float = 1.0
    box: float = 1.5
    points: float = 1.0
    wing: float = 0.15
    curve: float = 0.03
    noisy: float = 24.0


@dataclass(frozen=True, slots=True, eq=False)
class BatchTargets:
    """Targets of a batch of crops. Cells are numbered through the whole batch.

    Attributes:
        cells: ``(p,)`` int64, cells that answer for a face.
        boxes: ``(p, 4)`` xyxy pixels of that face.
        points: ``(p, 5, 2)`` xy pixels of that face; NaN where unknown.
        trust: ``(p,)`` how much these points count, 0–1.
        ignored: ``(crops * cells,)`` bool.
    """

    cells: Tensor
    boxes: Tensor
    points: Tensor
    trust: Tensor
    ignored: Tensor

    def to(self, device: torch.device) -> BatchTargets:
        """The same on a device."""
        return BatchTargets(
            self.cells.to(device),
            self.boxes.to(device),
            self.points.to(device),
            self.trust.to(device),
            self.ignored.to(device),
        )


def flatten(outputs: tuple[Tensor, ...]) -> Tensor:
    """Outputs per level ``(n, 15, h, w)`` → ``(n * cells, 15)`` float32, cells as `assignment` numbers them."""
    return torch.cat([o.permute(0, 2, 3, 1).flatten(1, 2) for o in outputs], dim=1).flatten(0, 1).float()


def decode_boxes(values: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Log distances ``(p, 4)`` → ``(p, 4)`` xyxy pixels."""
    distances = values.clamp(max=MAX_LOG_DISTANCE).exp() * strides[:, None]
    return torch.cat([centres - distances[:, :2], centres + distances[:, 2:]], dim=1)


def decode_points(values: Tensor, boxes: Tensor) -> Tensor:
    """Points ``(p, 10)`` relative to boxes ``(p, 4)`` → ``(p, 5, 2)`` xy pixels."""
    middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return middle[:, None] + values.view(-1, 5, 2) * size[:, None]


def detector_losses(
    outputs: Tensor, centres: Tensor, strides: Tensor, targets: BatchTargets, weights: LossWeights
) -> dict[str, Tensor]:
    """Losses of a batch.

    Args:
        outputs: ``(crops * cells, 15)`` of `flatten`.
        centres: ``(cells, 2)`` xy pixels of one crop.
        strides: ``(cells,)``.
        targets: what is to be predicted.
        weights: how much each counts.

    Returns:
        ``score``, ``box``, ``points`` (unweighted means) and ``total``.
    """
    count = max(len(targets.cells), 1)
    place = targets.cells % len(centres)
    chosen = outputs[targets.cells]
    boxes = decode_boxes(chosen[:, 1:5], centres[place], strides[place])
    overlap, giou = _overlaps(boxes, targets.boxes)
    quality = outputs.new_zeros(len(outputs)).index_put((targets.cells,), overlap.detach().clamp(min=0.05))
    logits = outputs[:, 0]
    focal = (torch.sigmoid(logits) - quality).abs().square() * F.binary_cross_entropy_with_logits(
        logits, quality, reduction="none"
    )
    score = focal.masked_fill(targets.ignored, 0).sum() / count
    box = (1 - giou).sum() / count
    size = (targets.boxes[:, 2:] - targets.boxes[:, :2]).prod(dim=1).sqrt().clamp(min=1)
    known = ~torch.isnan(targets.points).flatten(1).any(dim=1)
    error = (decode_points(chosen[:, 5:], boxes) - torch.nan_to_num(targets.points)).abs() / size[:, None, None]
    trust = (size / weights.noisy).clamp(0.2, 1) * targets.trust * known
    points = (_wing(error, weights).mean(dim=(1, 2)) * trust).sum() / count
    return {
        "score": score,
        "box": box,
        "points": points,
        "total": weights.score * score + weights.box * box + weights.points * points,
    }


def _wing(error: Tensor, weights: LossWeights) -> Tensor:
    """Logarithmic for small errors, linear beyond with the slope of the joint; 1 at the joint."""
    bend = math.log1p(weights.wing / weights.curve)
    slope = 1 / (bend * (weights.curve + weights.wing))
    return torch.where(
        error < weights.wing, torch.log1p(error / weights.curve) / bend, 1 + (error - weights.wing) * slope
    )


def _overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of pairs of boxes ``(p, 4)``, both ``(p,)``."""
    shared = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(dim=1)
    union = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1) - shared
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1)
    overlap = shared / union.clamp(min=1e-6)
    return overlap, overlap - (hull - union) / hull.clamp(min=1e-6)
