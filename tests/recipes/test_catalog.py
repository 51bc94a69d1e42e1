from __future__ import annotations

import pytest

from mien.errors import InputError
from mien.networks.catalog import NETWORKS, get_network
from mien.published.recipes.catalog import PUBLISHED_RECIPES
from mien.recipes.catalog import RECIPES, SHIPPED, get_recipe


def test_the_tables_hold_every_recipe_once() -> None:
    assert (
        len({one.name for one in (*SHIPPED, *PUBLISHED_RECIPES)})
        == len(SHIPPED) + len(PUBLISHED_RECIPES)
        == len(RECIPES)
    )


def test_size_limits_of_the_shipped_networks() -> None:
    assert NETWORKS["emotion-fast"].parameters <= 1_500_000
    assert NETWORKS["emotion"].parameters <= 1_500_000
    assert NETWORKS["age"].parameters <= 1_000_000


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(InputError, match="emotion-cpu"):
        get_recipe("nonsense")
    with pytest.raises(InputError, match="emotion-fast"):
        get_network("nonsense")
