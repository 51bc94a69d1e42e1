"""Square crops for training: from photos with faces, from photos without, and composites.

Each crop follows from (seed, number) alone, so that a resumed run sees the same crops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.datasets.detection import DetectionPhotos
from mien.errors import InputError
from mien.opencv import cv2
from mien.training.detection.augment import augment_pixels, cover_faces
from mien.training.detection.compositing import paste_faces
from mien.training.detection.face_tiles import FaceTiles
from mien.training.detection.photo_store import PhotoStore
from mien.training.detection.transforms import cut_boxes, index_matrix, move_boxes, move_points, warp_matrix

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CropMix:
    """What crops are made of. Shares are of all crops; what they leave is crops around a face.

    Attributes:
        negatives: share from photos without faces.
        composites: share of faces pasted onto photos without faces.
        places: share from anywhere in photos with faces.
        closeups: share in which one face fills the crop, as far as its height goes from 0.7 to 1.3 of the crop's side.
        smallest, largest: face heights in pixels, log-uniform between them.
        small: share of the crops around a face whose height lies below ``small_height`` instead.
        small_height: pixels.
        enlarge: photos are enlarged at most this many times.
        rotate: largest rotation in degrees, of half of the crops.
        hard: share of the negatives that are drawn by their weights.
    """

    negatives: float = 0.14
    composites: float = 0.14
    places: float = 0.10
    closeups: float = 0.04
    smallest: float = 8.0
    largest: float = 250.0
    small: float = 0.2
    small_height: float = 24.0
    enlarge: float = 1.6
    rotate: float = 30.0
    hard: float = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class TrainingCrop:
    """One crop.

    Attributes:
        pixels: RGB uint8 ``(side, side, 3)``.
        boxes: ``(n, 4)`` float32 xyxy pixels, inside the crop.
        landmarks: ``(n, 5, 2)`` float32 xy pixels, may lie outside; NaN where unknown.
        trust: ``(n,)`` float32, how much the landmarks count, 0–1.
        ignored: ``(k, 4)`` float32 xyxy pixels.
    """

    pixels: Picture
    boxes: Floats
    landmarks: Floats
    trust: Floats
    ignored: Floats


class CropSampler:
    """Makes crops.

    Args:
        photos: labels; photos without faces are the negatives. Where there are none, more crops come from anywhere in
            photos with faces, and faces are pasted onto nothing.
        store: the same photos decoded.
        tiles: faces for composites, or None for none.
        side: of a crop in pixels, a multiple of 32.
        mix: what crops are made of.
        hard: ``(n,)`` weights per photo of the negatives that are drawn by weight, or None.

    Raises:
        InputError: no photo has a face.
    """

    def __init__(
        self,
        photos: DetectionPhotos,
        store: PhotoStore,
        tiles: FaceTiles | None,
        side: int = 256,
        mix: CropMix | None = None,
        hard: NDArray[np.floating] | None = None,
    ) -> None:
        self._photos, self._store, self._tiles, self._side = photos, store, tiles, side
        self._mix = mix or CropMix()
        counts = photos.face_counts
        self._negatives = np.flatnonzero((counts == 0) & (np.diff(photos.ignored_starts) == 0))
        self._positives = np.flatnonzero(counts > 0)
        if not len(self._positives):
            raise InputError("training needs photos with faces")
        # a face of a crowd counts less, so that a few photos of crowds do not fill every batch
        owner = np.repeat(np.arange(len(photos)), counts)
        heights = photos.heights
        order = np.argsort(heights, kind="stable")
        self._face_photo, self._face_row = owner[order], order
        self._sorted_heights = heights[order]
        self._cumulative = np.concatenate([[0], np.cumsum(1 / np.sqrt(counts[owner[order]]))])
        self._hard: NDArray[np.float64] | None = None
        if hard is not None and hard[self._negatives].sum() > 0:
            self._hard = np.cumsum(hard[self._negatives].astype(np.float64))

    def crop(self, seed: int, number: int) -> TrainingCrop:
        """Crop ``number`` of the endless series that ``seed`` starts."""
        rng = np.random.default_rng((seed, number))
        mix, kind, backgrounds = self._mix, rng.random(), len(self._negatives) > 0
        if kind < mix.negatives and backgrounds:
            return self._finish(self._background(rng, hard=True), rng)
        if kind < mix.negatives + mix.composites and backgrounds and self._tiles is not None:
            return self._finish(self._composite(rng, self._tiles), rng)
        if kind < mix.negatives + mix.composites + mix.places:
            photo = int(self._positives[rng.integers(len(self._positives))])
            return self._finish(self._place(photo, rng), rng)
        if kind < mix.negatives + mix.composites + mix.places + mix.closeups:
            return self._finish(self._closeup(rng), rng)
        if rng.random() < mix.small:
            height = self._height(rng, mix.smallest, mix.small_height)
        else:
            height = self._height(rng, mix.smallest, mix.largest)
        return self._finish(self._around_face(height, rng), rng)

    def _finish(self, crop: TrainingCrop, rng: np.random.Generator) -> TrainingCrop:
        pixels = augment_pixels(crop.pixels, rng)
        if len(crop.boxes) and rng.random() < 0.15:
            pixels = cover_faces(pixels, crop.boxes, rng)
        return TrainingCrop(pixels, crop.boxes, crop.landmarks, crop.trust, crop.ignored)

    def _height(self, rng: np.random.Generator, low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    def _around_face(self, height: float, rng: np.random.Generator) -> TrainingCrop:
        """A crop in which a drawn face has a height."""
        mix = self._mix
        low, high = np.searchsorted(self._sorted_heights, [height / mix.enlarge, height * 2.5])
        if high <= low:
            low, high = (max(len(self._sorted_heights) - 50, 0), len(self._sorted_heights))
        start, end = self._cumulative[low], self._cumulative[high]
        drawn = int(np.searchsorted(self._cumulative, rng.uniform(start, end), side="right")) - 1
        drawn = min(max(drawn, low), high - 1)
        photo, box = int(self._face_photo[drawn]), self._photos.boxes[self._face_row[drawn]]
        scale = min(height / float(box[3] - box[1]), mix.enlarge)
        middle = ((float(box[0]) + float(box[2])) / 2, (float(box[1]) + float(box[3])) / 2)
        reach = self._side / scale
        width, tall = self._store.size(photo)
        # anywhere in the crop, but as much of the crop as can be inside the photo; now and then its border is seen
        place = rng.uniform(0.1, 0.9, 2)
        if rng.random() > 0.1:
            for axis, length in enumerate((width, tall)):
                corner = middle[axis] - place[axis] * reach
                corner = min(max(corner, 0.0), length - reach) if length > reach else (length - reach) * rng.random()
                place[axis] = (middle[axis] - corner) / reach
        return self._cut(photo, middle, (float(place[0] * self._side), float(place[1] * self._side)), scale, rng)

    def _closeup(self, rng: np.random.Generator) -> TrainingCrop:
        """A crop that one face fills, from a photo or from a face to paste."""
        side = self._side
        height = self._height(rng, 0.7 * side, 1.3 * side)
        middle = side / 2 + rng.normal(0, 0.06 * side, 2)
        if self._tiles is not None and rng.random() < 0.5:
            row = int(rng.integers(len(self._tiles)))
            box = self._tiles.boxes[row]
            source, flip = self._tiles.pixels[row], bool(rng.random() < 0.5)
            matrix, _ = warp_matrix(
                (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2),
                (float(middle[0]), float(middle[1])),
                height / float(box[3] - box[1]),
                self._angle(rng),
                flip=flip,
            )
            pixels = _warp(source, index_matrix(matrix), side, rng)
            boxes = move_boxes(box[None], matrix)
            points = move_points(self._tiles.landmarks[row][None], matrix, flip=flip)
            nothing = np.empty((0, 4), np.float32)
            return TrainingCrop(pixels, *_visible(boxes, points, np.ones(1, np.float32), nothing, side))
        low = min(int(np.searchsorted(self._sorted_heights, height / 3)), max(len(self._sorted_heights) - 50, 0))
        drawn = int(rng.integers(low, len(self._sorted_heights)))
        photo, box = int(self._face_photo[drawn]), self._photos.boxes[self._face_row[drawn]]
        centre = (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2)
        return self._cut(photo, centre, (float(middle[0]), float(middle[1])), height / float(box[3] - box[1]), rng)

    def _angle(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(-self._mix.rotate, self._mix.rotate)) if rng.random() < 0.5 else 0.0

    def _place(self, photo: int, rng: np.random.Generator) -> TrainingCrop:
        """A crop from anywhere in a photo, at a scale at which it shows at least a third of the shorter side."""
        width, height = self._store.size(photo)
        low = self._side / max(width, height)
        scale = self._height(rng, low, max(1.2, 1.1 * low))
        reach = self._side / scale
        middle = tuple(
            rng.uniform(min(reach, n) / 2, n - min(reach, n) / 2) if n > reach else n / 2 for n in (width, height)
        )
        return self._cut(photo, (middle[0], middle[1]), (self._side / 2, self._side / 2), scale, rng)

    def _background(self, rng: np.random.Generator, *, hard: bool = False) -> TrainingCrop:
        """A crop from a photo without faces."""
        if hard and self._hard is not None and rng.random() < self._mix.hard:
            row = int(np.searchsorted(self._hard, rng.uniform(0, self._hard[-1]), side="right"))
            return self._place(int(self._negatives[min(row, len(self._negatives) - 1)]), rng)
        return self._place(int(self._negatives[rng.integers(len(self._negatives))]), rng)

    def _composite(self, rng: np.random.Generator, tiles: FaceTiles) -> TrainingCrop:
        """Some faces on a crop from a photo without any."""
        background = self._background(rng)
        count = int(rng.integers(1, 7))
        top = min(self._mix.largest, 1.8 * tiles.pixels.shape[1])
        heights = [self._height(rng, self._mix.smallest, top if i == 0 else 64.0) for i in range(count)]
        pixels, boxes, points = paste_faces(background.pixels, tiles, np.sort(heights)[::-1], rng)
        trust = np.ones(len(boxes), np.float32)
        return TrainingCrop(pixels, *_visible(boxes, points, trust, np.empty((0, 4), np.float32), self._side))

    def _cut(
        self,
        photo: int,
        middle: tuple[float, float],
        target: tuple[float, float],
        scale: float,
        rng: np.random.Generator,
    ) -> TrainingCrop:
        """The part of a photo in which ``middle`` lies at ``target``, with rotation and mirroring."""
        side = self._side
        angle = self._angle(rng)
        stretch = float(np.exp(rng.uniform(-0.12, 0.12)))
        flip = bool(rng.random() < 0.5)
        if flip:
            target = (side - target[0], target[1])
        matrix, _ = warp_matrix(middle, target, scale, angle, flip=flip, stretch=stretch)
        level = 0
        while scale * 2.0 ** (level + 1) <= 1.0 and level + 1 < self._store.levels(photo):
            level += 1
        pixels = _warp(self._store.level(photo, level), index_matrix(matrix, level), side, rng)
        rows = self._photos.faces(photo)
        boxes = move_boxes(self._photos.boxes[rows], matrix)
        points = move_points(self._photos.landmarks[rows], matrix, flip=flip)
        ignored = move_boxes(self._photos.ignored_boxes(photo), matrix)
        return TrainingCrop(pixels, *_visible(boxes, points, self._photos.trust[rows], ignored, side))


def _warp(source: Picture, matrix: NDArray[np.float64], side: int, rng: np.random.Generator) -> Picture:
    """A crop of a photo; beyond its border lies its edge, black, or a colour."""
    how = rng.random()
    mode = cv2.BORDER_REPLICATE if how < 0.3 else cv2.BORDER_CONSTANT
    colour = (0, 0, 0) if how < 0.6 else tuple(int(v) for v in rng.integers(0, 256, 3))
    warped = cv2.warpAffine(source, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=mode, borderValue=colour)
    return np.asarray(warped, np.uint8)


def _visible(
    boxes: Floats, points: Floats, trust: Floats, ignored: Floats, side: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Faces of which at least 60 % is in the crop, cut to it; the others become ignored regions."""
    cut = cut_boxes(boxes, side)
    whole = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6)
    share = np.clip(cut[:, 2:] - cut[:, :2], 0, None).prod(axis=1) / whole
    kept, doubtful = share >= 0.6, (share > 0) & (share < 0.6)
    regions = np.concatenate([cut_boxes(ignored, side), cut[doubtful]])
    regions = regions[(regions[:, 2] > regions[:, 0]) & (regions[:, 3] > regions[:, 1])]
    return cut[kept], points[kept], trust[kept], regions
