"""Warnings of Pillow stay inside, those of others pass."""

from __future__ import annotations

import threading
import warnings

import pytest

from helpers.encoded_images import (
    encoded,
    quadrants,
)
from mien.media.image import load_image
from mien.media.silence_logs import silence_pillow


def test_warnings_of_others_still_pass_and_filters_come_back() -> None:
    before = list(warnings.filters)
    with silence_pillow(), silence_pillow(), pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", UserWarning, stacklevel=1)
    assert list(warnings.filters) == before


def test_threads_leave_the_warning_filters_alone() -> None:
    data = encoded(quadrants(200, 200), "PNG")
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [load_image(data) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
