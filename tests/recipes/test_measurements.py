"""`mien.recipes.measurements`: the packaged figures."""

from __future__ import annotations

from mien.published.recipes.svm import SVM_RECIPES
from mien.recipes.catalog import RECIPES
from mien.recipes.measurements import read_measurements


def test_measured_recipes_exist_and_have_plausible_figures() -> None:
    measured = read_measurements()
    assert set(measured) <= {*RECIPES, *SVM_RECIPES}
    assert {"emotion-cpu", "age-cpu", "mini-xception", "svm-hog"} <= set(measured)
    for name, one in measured.items():
        assert 0 < one.hours < 100, name
        assert one.machine, name
        assert one.scores, name
        assert all(0 < score < 1 for score in one.scores.values()), name
