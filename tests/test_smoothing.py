"""Faces over time."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from mien.faces import Faces
from mien.labels import AGE_BINS, FERPLUS
from mien.smoothing import Smoother


def frame(rng: np.random.Generator, tracks: list[int]) -> Faces:
    n = len(tracks)
    corner = rng.uniform(0, 100, (n, 2))
    faces = Faces.detected(
        np.hstack([corner, corner + rng.uniform(20, 60, (n, 2))]),
        rng.uniform(0.5, 1, n),
        rng.uniform(0, 100, (n, 5, 2)),
        (200, 180),
    )
    return replace(
        faces,
        emotions=rng.dirichlet(np.full(8, 0.3), n).astype(np.float32),
        emotion_labels=FERPLUS.names,
        ages=rng.dirichlet(np.ones(9), n).astype(np.float32),
        age_bins=AGE_BINS,
        tracks=np.array(tracks, np.int64),
    )


def test_a_saved_state_goes_on_exactly() -> None:
    rng = np.random.default_rng(0)
    frames = [frame(rng, sorted(rng.choice(4, rng.integers(0, 4), replace=False) + 1)) for _ in range(200)]
    one, other = Smoother(FERPLUS.names, AGE_BINS), Smoother(FERPLUS.names, AGE_BINS)
    for i, faces in enumerate(frames):
        told = one.update(i, i / 25, faces)
        if i == 77:
            other.restore(json.loads(json.dumps(one.state(), allow_nan=False)))
        elif i > 77:
            again = other.update(i, i / 25, faces)
            assert np.array_equal(told.smoothed, again.smoothed)
            assert (told.labels, told.votes) == (again.labels, again.votes)
    assert one.tracks() == other.tracks()
    assert one.state() == other.state()
