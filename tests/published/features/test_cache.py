from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.features import FACES
from mien.published.features import (
    FEATURES,
    compute_features,
    compute_features_cached,
)


def test_the_cache_returns_the_computed_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compute_features_cached("hog", FACES, folder=tmp_path)
    np.testing.assert_array_equal(first, compute_features("hog", FACES))
    (file,) = tmp_path.iterdir()

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("computed again")

    with monkeypatch.context() as patch:
        patch.setattr("mien.published.features.cache.compute_features", refuse)
        np.testing.assert_array_equal(compute_features_cached("hog", FACES, folder=tmp_path), first)
        changed = FACES.copy()
        changed[7, 3, 3] ^= 1
        with pytest.raises(AssertionError, match="computed again"):
            compute_features_cached("hog", changed, folder=tmp_path)
        newer = {**FEATURES, "hog": replace(FEATURES["hog"], version=99)}
        patch.setattr("mien.published.features.cache.FEATURES", newer)
        with pytest.raises(AssertionError, match="computed again"):
            compute_features_cached("hog", FACES, folder=tmp_path)
    file.write_bytes(file.read_bytes()[:200])
    np.testing.assert_array_equal(compute_features_cached("hog", FACES, folder=tmp_path), first)
    assert len(np.load(file)) == len(FACES)


def test_a_cache_that_cannot_be_written_does_not_end_the_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    vectors = compute_features_cached("hog", FACES, folder=tmp_path / "file")
    np.testing.assert_array_equal(vectors, compute_features("hog", FACES))
    assert "features are not kept for later calls" in caplog.text
