"""The table of features, and their computation in one process or many. To add one, write a file and a row here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, unknown_name
from mien.published.features import hog, landmarks

SIDE = 48
"""Side of the faces that features are computed from, pixels.

Examples:
    >>> SIDE
    48
"""
ProgressCallback = Callable[[int, int], None]
"""Called with (faces done, all faces)."""

_CHUNK = 512


@dataclass(frozen=True, slots=True)
class FeatureExtractor:
    """One kind of feature vector.

    Attributes:
        length: numbers per face.
        description: one line for people.
        compute: ``(n, 48, 48)`` uint8 gray → ``(n, length)`` float32, on one processor.
        version: increased when ``compute`` changes, so that no older vector is read from a cache.

    Examples:
        >>> FEATURES["hog"].length, FEATURES["hog"].side, FEATURES["hog"].vectors(dataset.images[:2]).shape
        (72, 48, (2, 72))
    """

    length: int
    description: str
    compute: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    version: int = 1

    @property
    def side(self) -> int:
        """Side of the faces that it is computed from, pixels."""
        return SIDE

    def vectors(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(n, 48, 48, 1)`` uint8 gray → ``(n, length)`` float32; `InputError` for images of another shape."""
        return self.compute(_check_faces(crops))


FEATURES: Mapping[str, FeatureExtractor] = {
    "landmarks": FeatureExtractor(
        136, "68 points as x, y in pixels, by dlib (extra landmarks)", landmarks.face_landmarks
    ),
    "hog": FeatureExtractor(72, "HOG of 8 orientations in 16-pixel cells", hog.face_hog),
    "hog_sliding": FeatureExtractor(
        2592, "HOG of 24-pixel windows at every sixth pixel, in 8-pixel cells", hog.sliding_window_hog
    ),
}
"""Name → feature, in the order in which vectors are joined.

Examples:
    >>> list(FEATURES)
    ['landmarks', 'hog', 'hog_sliding']
"""


def parse_feature_names(features: str | Iterable[str]) -> tuple[str, ...]:
    """Names of features in the table's order.

    Args:
        features: names, or one text of names joined by "+" or "," such as "landmarks+hog"; "-" is the same as "_".

    Raises:
        InputError: an unknown name, or none at all.

    Examples:
        >>> parse_feature_names("hog+landmarks")
        ('landmarks', 'hog')
    """
    given = features.replace("+", ",").split(",") if isinstance(features, str) else features
    wanted = {name.strip().replace("-", "_") for name in given} - {""}
    unknown = sorted(wanted - set(FEATURES))
    if unknown or not wanted:
        raise unknown_name("feature", unknown[0] if unknown else "", FEATURES)
    return tuple(name for name in FEATURES if name in wanted)


def concatenate_features(vectors: Mapping[str, NDArray[np.float32]], features: Iterable[str]) -> NDArray[np.float32]:
    """The vectors of several features side by side, in the table's order: ``(n, sum of lengths)`` float32.

    Args:
        vectors: name of a feature → ``(n, length)``.
        features: names, as for `parse_feature_names`.

    Raises:
        InputError: a feature that ``vectors`` does not hold.

    Examples:
        >>> vectors = {name: compute_features(name, dataset.images[:2]) for name in ("hog", "hog_sliding")}
        >>> concatenate_features(vectors, ["hog", "hog_sliding"]).shape
        (2, 2664)
    """
    names = parse_feature_names(features)
    missing = [name for name in names if name not in vectors]
    if missing:
        raise InputError(
            f"no feature {missing[0]!r} here", advice=f"add it with `mien data prepare … --features {missing[0]}`"
        )
    return np.concatenate([vectors[name] for name in names], axis=1)


def compute_features(
    name: str, images: NDArray[np.uint8], *, workers: int = 1, progress: ProgressCallback | None = None
) -> NDArray[np.float32]:
    """The vectors of one feature, in the order of the faces and the same for any number of workers.

    Args:
        name: a key of `FEATURES`.
        images: ``(n, 48, 48)`` or ``(n, 48, 48, 1)`` uint8 gray.
        workers: number of processes; 1 computes in this one. A script with more needs the usual
            ``if __name__ == "__main__":`` around its work.
        progress: called after every few hundred faces.

    Returns:
        ``(n, length)`` float32.

    Raises:
        InputError: an unknown name, or images of another shape.
        MissingExtraError: the feature needs a package that is not installed.
        ModelError: the feature needs a model that is not installed.

    Examples:
        >>> compute_features("hog", dataset.images[:3]).shape
        (3, 72)
    """
    (name,) = parse_feature_names([name])
    faces = _check_faces(images)
    n = len(faces)
    parts = [faces[start : start + _CHUNK] for start in range(0, max(n, 1), _CHUNK)]
    if workers > 1 and len(parts) > 1:
        return _compute_in_processes(name, parts, n, min(workers, len(parts)), progress)
    done: list[NDArray[np.float32]] = []
    for part in parts:
        done.append(FEATURES[name].compute(part))
        if progress is not None:
            progress(sum(map(len, done)), n)
    return np.concatenate(done)


def _compute_in_processes(
    name: str, parts: Sequence[NDArray[np.uint8]], n: int, workers: int, progress: ProgressCallback | None
) -> NDArray[np.float32]:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # a package that is not installed is reported here: such errors do not survive the way from another process
    FEATURES[name].compute(parts[0][:1])
    out = np.empty((n, FEATURES[name].length), np.float32)
    done = 0
    # each a fresh interpreter: a fork of a process with threads (torch, OpenCV) may hang
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for vectors in pool.map(_compute_part, [name] * len(parts), parts):
            out[done : done + len(vectors)] = vectors
            done += len(vectors)
            if progress is not None:
                progress(done, n)
    return out


def _compute_part(name: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return FEATURES[name].compute(images)


def _check_faces(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    gray = images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images
    if gray.ndim != 3 or gray.shape[1:] != (SIDE, SIDE) or gray.dtype != np.uint8:
        raise InputError(
            f"features are computed from uint8 gray faces (n, {SIDE}, {SIDE}), got {images.dtype} {images.shape}",
            advice=f"prepare the dataset with --size {SIDE}, in gray",
        )
    return np.ascontiguousarray(gray)
