from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.svm_data import RECIPE
from mien.errors import InputError
from mien.published.svm.recipe import SvmRecipe


def test_invalid_recipes_are_refused() -> None:
    with pytest.raises(InputError, match="order landmarks, hog"):
        replace(RECIPE, features=("hog", "landmarks"))
    with pytest.raises(InputError, match="two classes"):
        replace(RECIPE, classes=("happy", "happy"))
    with pytest.raises(InputError, match="c must be above 0"):
        SvmRecipe("a", "", ("hog",), ("happy", "sad"), c=0)
