from __future__ import annotations

from mien.published.features import FEATURES
from mien.published.recipes.svm import SVM_RECIPES


def test_every_recipe_has_the_figures_and_features_of_its_source() -> None:
    published = {name: recipe.published["test"] for name, recipe in SVM_RECIPES.items() if recipe.published}
    assert published == {
        "svm-landmarks": 0.469, "svm-hog": 0.344, "svm-landmarks-hog": 0.550, "svm-landmarks-sliding": 0.594,
        "svm-landmarks-seven": 0.392, "svm-hog-seven": 0.290, "svm-landmarks-hog-seven": 0.482,
        "svm-landmarks-sliding-seven": 0.505,
    }  # fmt: skip
    lengths = {recipe.name: recipe.length for recipe in SVM_RECIPES.values() if recipe.published}
    assert lengths["svm-landmarks-hog"] == 208
    assert lengths["svm-landmarks-sliding"] == 2728
    kinds = {(recipe.features, recipe.kernel, recipe.scaled) for recipe in SVM_RECIPES.values()}
    assert len(kinds) == 5 * 2 * 2
    for recipe in SVM_RECIPES.values():
        assert set(recipe.features) <= set(FEATURES)
        assert not recipe.published or (recipe.kernel, recipe.scaled, recipe.gamma) == ("rbf", False, "auto")
