"""Training of the network that puts landmarks right, on faces of photos and of a face dataset."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mien.datasets.detection import DetectionPhotos
from mien.detect.landmark_refinement import MIRROR, SIDE, crop_matrices, points_in_crop, roll_angles
from mien.files import append, make_folder
from mien.networks.detector import PIXEL_MEAN, PIXEL_SCALE
from mien.networks.landmarks import LandmarkNetwork
from mien.opencv import cv2
from mien.training.checkpoint_file import save_checkpoint
from mien.training.detection.augment import augment_pixels, cover_faces
from mien.training.detection.face_tiles import FaceTiles
from mien.training.detection.module import AveragedWeights, channels_last
from mien.training.detection.muon import Muon
from mien.training.detection.photo_store import PhotoStore
from mien.training.detection.transforms import index_matrix
from mien.training.precision import faster_in_bfloat16

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RefinementConfig:
    """A recipe for the network of landmarks.

    Attributes:
        steps, batch: length of the run and crops per step.
        peak: learning rate; it rises over the first steps and falls to zero over the last 40 %.
        smallest: faces below this height in pixels are left out.
        tiles: share of the crops from the face dataset.
        wing, curve: of the wing loss, in sides of the crop.
        seed: of the weights and of the crops.
    """

    steps: int = 6000
    batch: int = 128
    peak: float = 2e-3
    smallest: float = 18.0
    tiles: float = 0.4
    wing: float = 0.06
    curve: float = 0.012
    seed: int = 0


class _CropBatches(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Batch ``i``: crops uint8 ``(n, 3, 48, 48)``, points ``(n, 10)``, how much they count ``(n,)``."""

    def __init__(
        self, photos: DetectionPhotos, store: PhotoStore, tiles: FaceTiles | None, config: RefinementConfig
    ) -> None:
        self._photos, self._store, self._tiles, self._config = photos, store, tiles, config
        known = ~np.isnan(photos.landmarks).any(axis=(1, 2))
        trusted = (photos.trust >= 1) | (photos.heights >= 2 * config.smallest)
        self._rows = np.flatnonzero(known & trusted & (photos.heights >= config.smallest))
        self._owner = np.repeat(np.arange(len(photos)), photos.face_counts)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng((self._config.seed, number))
        rows = [self._crop(rng) for _ in range(self._config.batch)]
        pixels = torch.from_numpy(np.stack([row[0] for row in rows])).permute(0, 3, 1, 2)
        points = torch.from_numpy(np.stack([row[1] for row in rows]))
        return pixels, points, torch.tensor([row[2] for row in rows], dtype=torch.float32)

    def _crop(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Floats, float]:
        if self._tiles is not None and rng.random() < self._config.tiles:
            row = int(rng.integers(len(self._tiles)))
            levels = [self._tiles.pixels[row]]
            box, points, trust = self._tiles.boxes[row], self._tiles.landmarks[row], 1.0
        else:
            row = int(self._rows[rng.integers(len(self._rows))])
            photo = int(self._owner[row])
            levels = [self._store.level(photo, i) for i in range(self._store.levels(photo))]
            box, points, trust = self._photos.boxes[row], self._photos.landmarks[row], float(self._photos.trust[row])
        matrix = crop_matrices(jittered(box, rng)[None], roll_angles(points[None]) + rng.normal(0, 0.12))
        scale, level = float(np.hypot(*matrix[0, 0, :2])), 0
        while scale * 2.0 ** (level + 1) <= 1.0 and level + 1 < len(levels):
            level += 1
        pixels = cv2.warpAffine(
            levels[level],
            index_matrix(matrix[0], level),
            (SIDE, SIDE),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        target = points_in_crop(points[None], matrix)[0]
        if rng.random() < 0.5:
            pixels = pixels[:, ::-1]
            target = target.reshape(5, 2)[list(MIRROR)] * np.array([-1, 1], np.float32)
        if rng.random() < 0.5:
            # as small faces look when they are enlarged
            few = int(np.exp(rng.uniform(np.log(14), np.log(SIDE))))
            small = cv2.resize(np.ascontiguousarray(pixels), (few, few), interpolation=cv2.INTER_AREA)
            pixels = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        changed = augment_pixels(np.ascontiguousarray(pixels).astype(np.uint8, copy=False), rng)
        if rng.random() < 0.2:
            changed = cover_faces(changed, np.array([[4, 4, SIDE - 4, SIDE - 4]], np.float32), rng)
        return changed, target.reshape(10).astype(np.float32), trust


def jittered(box: Floats, rng: np.random.Generator) -> Floats:
    """A box ``(4,)`` as a detector may return it: moved and scaled a little."""
    size = box[2:] - box[:2]
    middle = (box[:2] + box[2:]) / 2 + rng.normal(0, 0.05, 2) * size
    half = size / 2 * np.exp(rng.normal(0, 0.08) + rng.normal(0, 0.03, 2))
    return np.concatenate([middle - half, middle + half]).astype(np.float32)


def point_loss(outputs: Tensor, targets: Tensor, trust: Tensor, wing: float, curve: float) -> Tensor:
    """Wing loss of points ``(n, 10)``, weighted by trust ``(n,)``; the slope is that of the L1 loss beyond the wing."""
    error = (outputs.float() - targets).abs()
    inside = wing * torch.log1p(error / curve)
    at_joint = wing * float(np.log1p(wing / curve))
    slope = wing / (curve + wing)
    loss = torch.where(error < wing, inside, at_joint + slope * (error - wing))
    return (loss.mean(dim=1) * trust).sum() / trust.sum().clamp(min=1e-6)


def train_refinement(
    photos: DetectionPhotos,
    store: PhotoStore,
    tiles: FaceTiles | None,
    config: RefinementConfig,
    out: Path,
    *,
    start: Path | None = None,
    log_every: int = 100,
) -> LandmarkNetwork:
    """Train the network, from the weights ``start`` where given.

    Writes the averaged weights to ``out``, its curve beside them, and returns it in evaluation mode.
    """
    torch.manual_seed(config.seed)
    network = LandmarkNetwork()
    if start is not None:
        network.load_state_dict(torch.load(start, weights_only=True))
    network = channels_last(network).train()
    kernels = [p for name, p in network.named_parameters() if p.ndim > 1 and not name.startswith("outputs")]
    others = [p for name, p in network.named_parameters() if p.ndim <= 1 or name.startswith("outputs")]
    muon = Muon(kernels, weight_decay=0.02)
    adam = torch.optim.AdamW(others, lr=0.0, weight_decay=0.0, betas=(0.9, 0.99))
    averaged = AveragedWeights(network, 0.999)
    loader = DataLoader(
        _CropBatches(photos, store, tiles, config),
        batch_size=None,
        sampler=range(config.steps),
    )
    bfloat16 = faster_in_bfloat16(torch.device("cpu"))
    started, total = time.monotonic(), 0.0
    make_folder(out.parent)
    for step, (pixels, points, trust) in enumerate(loader, 1):
        rate = config.peak * min(1.0, step / 200, (config.steps - step) / (0.4 * config.steps))
        for optimizer, factor in ((muon, 2.0), (adam, 1.0)):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            outputs = network((pixels.float() - PIXEL_MEAN) / PIXEL_SCALE)
        loss = point_loss(outputs, points, trust, config.wing, config.curve)
        network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        muon.step()
        adam.step()
        averaged.update(network, step)
        total += float(loss.detach())
        if step % log_every == 0:
            error = F.l1_loss(outputs.float(), points)
            curves, seconds = out.with_suffix(".csv"), time.monotonic() - started
            row = f"{step},{seconds / 60:.2f},{rate:.6f},{total / log_every:.5f},{float(error.detach()):.5f}\n"
            append(curves, row.encode(), curves.stat().st_size if curves.is_file() else 0)
            total = 0.0
            _save(averaged.module, out)
    _save(averaged.module, out)
    final = LandmarkNetwork()
    final.load_state_dict(averaged.module.state_dict())
    return final.eval()


def _save(network: nn.Module, path: Path) -> None:
    save_checkpoint(network.state_dict(), path)
