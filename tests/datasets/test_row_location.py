from __future__ import annotations

from pathlib import Path

import pytest

from mien.datasets.row_location import RowLocation
from mien.errors import DataError, MissingFileError

PATH = Path("a.csv")


@pytest.mark.parametrize(
    ("location", "message", "details"),
    [
        (RowLocation(PATH), "a.csv: is wrong; fix it", {}),
        (RowLocation(PATH, row=3), "a.csv: row 3: is wrong; fix it", {"row": 3}),
        (RowLocation(PATH, line=4), "a.csv: line 4: is wrong; fix it", {"line": 4}),
        (RowLocation(PATH, row=3, line=4), "a.csv: row 3 (line 4): is wrong; fix it", {"row": 3, "line": 4}),
    ],
)
def test_an_error_has_the_location_in_its_message_and_its_fields(
    location: RowLocation, message: str, details: dict[str, int]
) -> None:
    error = location.error("is wrong", advice="fix it")
    assert isinstance(error, DataError)
    assert str(error) == message
    assert (error.path, error.details, error.code) == ("a.csv", details, "data-invalid")


def test_kind_and_code_of_the_error() -> None:
    error = RowLocation(PATH, row=1).error("no image b.jpg", kind=MissingFileError, code="image-missing")
    assert isinstance(error, MissingFileError)
    assert error.code == "image-missing"


def test_another_row_is_named_by_number_or_file() -> None:
    assert RowLocation(PATH, row=1).name == "row 1"
    assert RowLocation(PATH).name == "a.csv"
