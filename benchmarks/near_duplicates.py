"""How well near duplicates are found, and how many of those found are none.

python benchmarks/near_duplicates.py --data fer2013.parquet --json docs/results/near_duplicates.json

Variants: of 2,000 distinct pictures each, changed in a known way. *Found* is the share whose pair with its original is
found; *others* are pairs of a variant with another picture whose original is not a near duplicate of that picture.

Found in the dataset itself: pairs by their similarity, from well below the threshold. No label marks the same photo,
so two measures that the search does not use are given: the share whose pixels correlate at 0.85 or more once
one is shifted and scaled onto the other, and how far FER+ raters, who saw both pictures, agree (the distance of their
votes, 0 to 1; chance pairs and their labels stand beside it).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.datasets.exact_duplicates import first_copies, image_ids
from mien.datasets.near_duplicates import MIN_DEVIATION, DuplicatePairs, near_duplicates
from mien.datasets.prepared_file import read_prepared

Picture = NDArray[np.uint8]
EDGES = (0.84, 0.86, 0.88, 0.89, 0.90, 0.91, 0.92, 0.94, 0.96, 0.98, 1.01)
SCALED = 400
SIDE = 48


def whole(values: NDArray[np.floating]) -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def cropped(image: Picture, left: int, top: int, right: int, bottom: int) -> Picture:
    inner = image[top : SIDE - bottom, left : SIDE - right]
    return np.asarray(cv2.resize(inner, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


def moved(image: Picture, x: int, y: int, degrees: float = 0) -> Picture:
    matrix = cv2.getRotationMatrix2D(((SIDE - 1) / 2, (SIDE - 1) / 2), degrees, 1)
    matrix[:, 2] += (x, y)
    return np.asarray(cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def jpeg(image: Picture, quality: int) -> Picture:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def halved(image: Picture) -> Picture:
    small = cv2.resize(image, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


VARIANTS: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "20 gray levels brighter": lambda image, rng: whole(image.astype(float) + 20),
    "gamma 1.4": lambda image, rng: whole(255 * (image / 255) ** 1.4),
    "contrast × 0.7": lambda image, rng: whole((image.astype(float) - 128) * 0.7 + 128),
    "JPEG, quality 75": lambda image, rng: jpeg(image, 75),
    "JPEG, quality 40": lambda image, rng: jpeg(image, 40),
    "half the resolution": lambda image, rng: halved(image),
    "blurred, sigma 1 pixel": lambda image, rng: np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.uint8),
    "noise, sigma 8": lambda image, rng: whole(image + rng.normal(0, 8, image.shape)),
    "mirrored": lambda image, rng: np.ascontiguousarray(image[:, ::-1]),
    "mirrored, JPEG 75, brighter": lambda image, rng: jpeg(whole(image[:, ::-1].astype(float) + 20), 75),
    "shifted by 1 pixel": lambda image, rng: moved(image, 1, 0),
    "shifted by 2 pixels": lambda image, rng: moved(image, 0, 2),
    "cropped by 1 pixel on one side": lambda image, rng: cropped(image, 1, 0, 0, 0),
    "cropped by 1 pixel a side": lambda image, rng: cropped(image, 1, 1, 1, 1),
    "cropped by 2 pixels a side": lambda image, rng: cropped(image, 2, 2, 2, 2),
    "cropped by 3 pixels a side": lambda image, rng: cropped(image, 3, 3, 3, 3),
    "turned by 2°": lambda image, rng: moved(image, 0, 0, 2),
    "turned by 5°": lambda image, rng: moved(image, 0, 0, 5),
}


def variants(pictures: NDArray[np.uint8], rng: np.random.Generator) -> list[dict[str, object]]:
    n = len(pictures)
    known = {(a, b) for a, b in pairs_of(near_duplicates(pictures[..., None]))}
    rows = []
    for name, change in VARIANTS.items():
        changed = np.stack([change(picture, rng) for picture in pictures])
        pairs = near_duplicates(np.concatenate([pictures, changed])[..., None])
        between = [(a, b - n) for a, b in pairs_of(pairs) if a < n <= b]
        found = sum(a == b for a, b in between)
        others = sum(a != b and (min(a, b), max(a, b)) not in known for a, b in between)
        rows.append({"variant": name, "pictures": n, "found": round(found / n, 4), "others": others})
        print(f"{name:32} found {found / n:7.2%}  others {others}")
    return rows


def pairs_of(pairs: DuplicatePairs) -> list[tuple[int, int]]:
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


def registered(one: Picture, other: Picture) -> float:
    """Greatest correlation of the middle of one with the other, over shifts of 3 pixels and scales of 4 and 8 %."""
    best = -1.0
    for left, right in ((one, other), (other, one)):
        for cut in (0, 1, 2):
            larger = cropped(left, cut, cut, cut, cut).astype(np.float32)[3:-3, 3:-3]
            best = max(best, float(cv2.matchTemplate(right.astype(np.float32), larger, cv2.TM_CCOEFF_NORMED).max()))
    return best


def in_the_dataset(data: Path, rng: np.random.Generator) -> dict[str, object]:
    prepared = read_prepared(data)
    if prepared.votes is None or prepared.emotion is None:
        raise SystemExit("give FER2013 with the votes of FER+")
    first = first_copies(image_ids(prepared))
    images, emotion = prepared.images[first][..., 0], prepared.emotion[first]
    share = prepared.votes[first] / prepared.votes[first].sum(axis=1, keepdims=True)
    pairs = near_duplicates(images[..., None], similarity=EDGES[0])

    def measured(a: NDArray[np.integer], b: NDArray[np.integer]) -> dict[str, object]:
        return {
            "same_label": round(float((emotion[a] == emotion[b]).mean()), 4),
            "vote_distance": round(float(np.abs(share[a] - share[b]).sum(axis=1).mean() / 2), 4),
        }

    rows = []
    for low, high in pairwise(EDGES):
        mask = (pairs.similarity >= low) & (pairs.similarity < high)
        a, b, mirrored = pairs.first[mask], pairs.second[mask], pairs.mirrored[mask]
        some = rng.permutation(len(a))[:SCALED]
        alike = [registered(images[a[i]][:, ::-1] if mirrored[i] else images[a[i]], images[b[i]]) for i in some]
        row = {"from": low, "to": min(high, 1.0), "pairs": len(a), "looked_at": len(some)}
        rows.append({**row, "correlate": round(float((np.array(alike) >= 0.85).mean()), 4), **measured(a, b)})
        print(rows[-1])
    a, b = rng.integers(0, len(first), (2, 20_000))
    return {"rows": rows, "chance": measured(a[a != b], b[a != b])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=int, default=2000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    prepared = read_prepared(options.data)
    images = prepared.images[first_copies(image_ids(prepared))][..., 0]
    images = images[images.std(axis=(1, 2)) >= MIN_DEVIATION]
    document = {
        "bits": defaults.MAX_HASH_BITS,
        "similarity": defaults.MIN_SIMILARITY,
        "variants": variants(images[rng.permutation(len(images))[: options.pictures]], rng),
        "found": in_the_dataset(options.data, rng),
    }
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
