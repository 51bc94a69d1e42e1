"""A cache of feature vectors; its keys are hashes of the pixels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import OutputError
from mien.files import atomic_path
from mien.logger import get_logger
from mien.models.file_cache import cache_dir
from mien.published.features.catalog import FEATURES, ProgressCallback, compute_features, parse_feature_names

_logger = get_logger(__name__)


def compute_features_cached(
    name: str,
    images: NDArray[np.uint8],
    *,
    workers: int = 1,
    progress: ProgressCallback | None = None,
    folder: Path | None = None,
) -> NDArray[np.float32]:
    """`mien.published.features.compute_features`, unless the vectors of exactly these faces are in the cache.

    Args:
        name: a key of `FEATURES`.
        images: ``(n, 48, 48)`` or ``(n, 48, 48, 1)`` uint8 gray.
        workers: number of processes.
        progress: called with (faces done, all faces).
        folder: the cache; None is ``features`` in the user's cache folder (``MIEN_CACHE``).

    Returns:
        ``(n, length)`` float32. A damaged file in the cache is replaced.

    Examples:
        >>> compute_features_cached("hog", dataset.images[:3], folder=Path("cache")).shape
        (3, 72)
    """
    (name,) = parse_feature_names([name])
    path = (folder or cache_dir() / "features") / f"{name}-{_key(name, images)}.npy"
    vectors = _load(path, (len(images), FEATURES[name].length))
    if vectors is None:
        vectors = compute_features(name, images, workers=workers, progress=progress)
        try:
            with atomic_path(path) as temporary:
                np.save(temporary, vectors, allow_pickle=False)
        except OutputError as error:
            _logger.warning("features are not kept for later calls: %s", error)
    elif progress is not None:
        progress(len(images), len(images))
    return vectors


def _key(name: str, images: NDArray[np.uint8]) -> str:
    digest = hashlib.sha256(f"{name} {FEATURES[name].version} {images.shape[:3]} {images.dtype}".encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()[:32]


def _load(path: Path, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    if not path.is_file():
        return None
    try:
        vectors = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError):
        _logger.warning("%s: damaged, is computed again", path)
        return None
    return vectors if vectors.shape == shape and vectors.dtype == np.float32 else None
