"""Figures as text."""

from __future__ import annotations

import pytest

from mien.text import number, percent, short_percent, signed_span, span


@pytest.mark.parametrize(
    ("share", "interval", "digits", "expected"),
    [
        (0.5288, None, 1, "52.9 %"),
        (0.5288, (0.5, 0.5612), 1, "52.9 % (50.0–56.1)"),
        (0.5288, (0.5, 0.5612), 2, "52.88 % (50.00–56.12)"),
        (0.0, None, 0, "0 %"),
        (1.0, None, 1, "100.0 %"),
        (None, None, 1, "–"),
        (None, (0.0, 1.0), 1, "–"),
    ],
)
def test_shares_are_written_in_per_cent(
    share: float | None, interval: tuple[float, float] | None, digits: int, expected: str
) -> None:
    assert percent(share, interval, digits=digits) == expected


def test_numbers_have_the_digits_of_their_interval() -> None:
    assert number(0.61249, (0.6, 0.625)) == "0.612 (0.600–0.625)"
    assert number(0.61249, digits=1) == "0.6"
    assert number(None) == "–"


def test_intervals_with_a_negative_end_have_signs() -> None:
    assert span((-0.012, 0.5), 100, 1) == "-1.2 to +50.0"
    assert span((0.0, 0.5)) == "0.000–0.500"
    assert signed_span((0.003, 0.021), 100, 1) == "+0.3 to +2.1"


@pytest.mark.parametrize(("share", "expected"), [(0.934, "93 %"), (0.034, "3.4 %"), (0.0, "0 %"), (0.1, "10 %")])
def test_short_shares_have_two_digits(share: float, expected: str) -> None:
    assert short_percent(share) == expected
