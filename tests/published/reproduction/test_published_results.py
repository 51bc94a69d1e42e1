from __future__ import annotations

import pytest

from mien.errors import InputError
from mien.published.recipes.svm import SVM_RECIPES
from mien.published.reproduction.published_results import OPTIONS, ROWS, SOURCES, select_rows
from mien.recipes.catalog import RECIPES


def test_every_row_has_source_protocol_and_recipe() -> None:
    for row in ROWS.values():
        assert row.source in SOURCES
        assert (row.recipe is None) != (row.svm is None)
        assert (row.name in RECIPES) != (row.name in SVM_RECIPES)
        assert row.data in OPTIONS
        assert bool(row.published) != bool(row.improves)
        assert all(0.2 < figure < 1 for figure in row.published.values())
        if row.improves is not None:
            assert row.network == row.improves
            assert row.keep == "best"


def test_every_published_network_of_pixels_is_improved() -> None:
    better = {row.improves for row in ROWS.values()} - {None}
    plain = {row.network for row in ROWS.values() if row.network is not None and not row.features}
    assert {name for name in plain if not name.endswith("-plain")} <= better


def test_both_tables_of_the_fusion_source_are_complete() -> None:
    assert ROWS["fusion-a"].published == {"test": 0.724}
    assert ROWS["fusion-b-landmarks-sliding"].published == {"test": 0.751}
    # what batch norm gains is subtracted: 73.5 − 39.3
    assert ROWS["fusion-b-plain"].published == {"test": 0.342}
    assert ROWS["fusion-a-landmarks-hog-plain"].published == {"test": 0.668}
    assert len([name for name in ROWS if name.startswith("fusion-") and not name.endswith("-improved")]) == 17


def test_rows_are_ordered_by_cost() -> None:
    costs = [row.cost for row in select_rows(())]
    assert costs == sorted(costs)
    assert [row.name for row in select_rows(("stack-final", "stack-baseline"))] == ["stack-baseline", "stack-final"]
    with pytest.raises(InputError, match="attention-parallel"):
        select_rows(("nonsense",))
