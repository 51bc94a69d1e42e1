"""Near duplicates: the same photo, brighter, cropped elsewhere, compressed again, or mirrored.

Two steps. A perceptual hash (64 bits: which of the lowest frequencies of the image are above their median; Zauner 2010)
selects candidate pairs. Hashes of different faces in one pose are close too, so the HOG vectors of each candidate pair
are compared, whose cosine leaves a gap between the same photo and another one; `benchmarks/near_duplicates.py` measures
where. All pairs are compared, in blocks: time grows with the square of the number of images, memory does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.datasets.image_features import gray48, hog_vectors
from mien.errors import DataError
from mien.geometry import resize

MAX_PAIRS = 2_000_000
"""Maximum number of pairs; more do not occur in a dataset of photos."""
MIN_DEVIATION = 2.0
"""Minimum standard deviation of the gray levels; images below it are not compared."""

_HASHED = 32
_LOWEST = 8
_BLOCK = 2048


@dataclass(frozen=True, slots=True, eq=False)
class DuplicatePairs:
    """Pairs of near duplicates.

    Attributes:
        first: ``(m,)`` index of one.
        second: ``(m,)`` index of the other, the larger.
        bits: ``(m,)`` number of bits in which their hashes differ.
        similarity: ``(m,)`` float32, cosine of their HOG vectors.
        mirrored: ``(m,)`` bool, whether one is the mirror image of the other.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    bits: NDArray[np.int64]
    similarity: NDArray[np.float32]
    mirrored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)


def near_duplicates(
    images: NDArray[np.uint8], *, bits: int = defaults.MAX_HASH_BITS, similarity: float = defaults.MIN_SIMILARITY
) -> DuplicatePairs:
    """All pairs of near duplicates, ordered by their first, then their second image.

    Args:
        images: uint8 ``(n, h, w, 1 or 3)``, each distinct image once. Images of one brightness are left out.
        bits: maximum bits in which hashes differ, 0–64; more finds larger crops and takes longer.
        similarity: minimum cosine of the HOG vectors, 0–1; less finds other faces.

    Raises:
        DataError: more than `MAX_PAIRS` pairs.
    """
    gray = gray48(images)
    # image by image: all at once would need eight bytes per pixel
    rows = np.flatnonzero([image.std() >= MIN_DEVIATION for image in gray])
    gray = gray[rows]
    hashes, vectors = _signs(perceptual_hash(gray)), _unit(hog_vectors(gray))
    found = [(pairs, False) for pairs in _pairs(hashes, vectors, hashes, vectors, bits, similarity)]
    gray = np.ascontiguousarray(gray[..., ::-1])
    flipped, turned = _signs(perceptual_hash(gray)), _unit(hog_vectors(gray))
    found += [(pairs, True) for pairs in _pairs(flipped, turned, hashes, vectors, bits, similarity)]
    return _merged(rows, found)


def perceptual_hash(gray: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of 64 low frequencies of each image are above their median; the image's mean is not among them.

    Args:
        gray: uint8 ``(n, 48, 48)``.

    Returns:
        ``(n, 64)`` bool.
    """
    basis = _cosines()
    out = np.empty((len(gray), _LOWEST * _LOWEST), np.bool_)
    for i, image in enumerate(gray):
        small = resize(image, (_HASHED, _HASHED)).astype(np.float32)
        waves = basis @ small @ basis.T
        # the next frequency down replaces the mean
        lowest = np.append(waves[:_LOWEST, :_LOWEST].ravel()[1:], waves[_LOWEST, 0])
        out[i] = lowest > np.median(lowest)
    return out


def connected_groups(n: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """``(n,)`` int64: connected components of pairs; each has the smallest index of its members."""
    parent = np.arange(n)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return np.array([root(i) for i in range(n)], np.int64)


_Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


def _pairs(
    left: NDArray[np.float32],
    left_vectors: NDArray[np.float32],
    right: NDArray[np.float32],
    right_vectors: NDArray[np.float32],
    bits: int,
    similarity: float,
) -> list[_Found]:
    """Pairs (i, j) with i < j whose left i and right j are close, block by block."""
    out: list[_Found] = []
    total = 0
    width = left.shape[1]
    for i in range(0, len(left), _BLOCK):
        for j in range(i, len(right), _BLOCK):
            # the product of vectors of ±1 is 64 minus twice the differing bits: exact, and faster than counting bits
            agreement = left[i : i + _BLOCK] @ right[j : j + _BLOCK].T
            a, b = np.nonzero(agreement >= width - 2 * bits)
            ordered = a + i < b + j
            a, b = a[ordered], b[ordered]
            cosine = _cosine(left_vectors[i : i + _BLOCK], right_vectors[j : j + _BLOCK], a, b)
            close = cosine >= similarity
            a, b = a[close], b[close]
            differ = ((width - agreement[a, b]) / 2).astype(np.int64)
            total += len(a)
            if total > MAX_PAIRS:
                raise DataError(
                    f"more than {MAX_PAIRS:,} pairs of images are nearly the same",
                    advice="set fewer bits or more similarity",
                )
            out.append((a + i, b + j, differ, cosine[close]))
    return out


def _cosine(
    left: NDArray[np.float32], right: NDArray[np.float32], a: NDArray[np.intp], b: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Products of left a with right b; as one block where that is less work than pair by pair."""
    if len(a) > len(left) * len(right) // 16:
        return np.asarray((left @ right.T)[a, b], np.float32)
    parts = [np.einsum("nd,nd->n", left[a[k : k + _BLOCK]], right[b[k : k + _BLOCK]]) for k in range(0, len(a), _BLOCK)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _merged(rows: NDArray[np.intp], found: list[tuple[_Found, bool]]) -> DuplicatePairs:
    """One entry per pair; a pair found both plain and mirrored keeps the more similar one."""
    if not found:
        none = np.zeros(0, np.int64)
        return DuplicatePairs(none, none, none, none.astype(np.float32), none.astype(np.bool_))
    mirrored = np.concatenate([np.full(len(one[0]), flag) for one, flag in found])
    first, second, bits = (np.concatenate([one[k] for one, _ in found]) for k in range(3))
    similarity = np.concatenate([one[3] for one, _ in found])
    order = np.lexsort((mirrored, -similarity, second, first))
    pairs = np.stack([first[order], second[order]], axis=1).astype(np.int64)
    new = np.ones(len(pairs), np.bool_)
    new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    order, pairs = order[new], pairs[new]
    return DuplicatePairs(
        rows[pairs[:, 0]].astype(np.int64),
        rows[pairs[:, 1]].astype(np.int64),
        bits[order].astype(np.int64),
        similarity[order].astype(np.float32),
        mirrored[order].astype(np.bool_),
    )


def _signs(hashes: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(hashes, np.float32(1), np.float32(-1))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, np.maximum(length, np.finfo(np.float32).tiny), out=vectors)
    return vectors


@cache
def _cosines() -> NDArray[np.float32]:
    """``(9, 32)``: the lowest nine cosines of the discrete cosine transform."""
    wave = np.arange(_LOWEST + 1)[:, None] * (2 * np.arange(_HASHED)[None, :] + 1)
    return np.cos(np.pi * wave / (2 * _HASHED)).astype(np.float32)
