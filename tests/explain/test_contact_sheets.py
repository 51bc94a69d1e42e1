"""Selection of faces for contact sheets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.datasets import made, votes_for
from mien.errors import DataError
from mien.explain.contact_sheets import select_faces, vote_agreement
from mien.explain.sampling import true_classes
from mien.labels import FERPLUS


def test_sheets() -> None:
    data = made(14)
    assert data.emotion is not None
    data = replace(data, votes=votes_for(data.emotion))
    assert data.votes is not None
    data.votes[4] = [3, 3, 3, 0, 0, 0, 0, 0, 1, 0]
    true = true_classes(data, FERPLUS.names)
    p = np.full((14, 8), 0.02, np.float32)
    p[np.arange(14), true] = 0.86
    p[3], p[5] = 0.01, 0.1
    p[3, (true[3] + 1) % 8], p[5, (true[5] + 1) % 8] = 0.93, 0.3
    wrong = select_faces("errors", data, p, FERPLUS.names, 9, 0)
    assert [one["index"] for one in wrong] == [3, 5]
    assert wrong[0]["true"] == FERPLUS.names[true[3]] != wrong[0]["predicted"]
    assert select_faces("ambiguous", data, p, FERPLUS.names, 1, 0)[0]["index"] == 5
    disputed = select_faces("disputed", data, p, FERPLUS.names, 2, 0)
    assert (disputed[0]["index"], disputed[0]["agreement"], disputed[0]["true"]) == (4, 0.3, None)
    assert len(select_faces("predictions", data, p, FERPLUS.names, 5, 0)) == 5
    with pytest.raises(DataError, match="no FER\\+ votes"):
        select_faces("disputed", made(14), p, FERPLUS.names, 5, 0)
    with pytest.raises(DataError, match="no prediction is wrong"):
        select_faces("errors", made(14), p, ("a", "b", *"cdefgh"), 5, 0)


def test_agreement_is_the_share_of_the_most_frequent_answer() -> None:
    np.testing.assert_allclose(vote_agreement(np.array([[8, 2], [0, 0]])), [0.8, 0])
