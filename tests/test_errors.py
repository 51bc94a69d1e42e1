"""Errors: a message made from fields, and fields that programs can rely on."""

from __future__ import annotations

import pickle

import pytest

from mien.errors import ImageError, ImageTooLargeError, MienError, MissingExtraError, display_path


def test_the_message_is_made_from_the_fields() -> None:
    assert str(ImageError("is empty")) == "is empty"
    assert str(ImageError("is empty", path="a.jpg")) == "a.jpg: is empty"
    assert str(ImageError("is empty", path="a.jpg", advice="copy it again")) == "a.jpg: is empty; copy it again"


def test_an_error_about_a_path_keeps_everything_else() -> None:
    error = ImageTooLargeError("too large", advice="shrink it", details={"pixels": 9, "limit": 4}).with_path("a.jpg")
    assert type(error) is ImageTooLargeError
    assert (error.reason, error.path, error.advice, error.code) == (
        "too large",
        "a.jpg",
        "shrink it",
        "image-too-large",
    )
    assert error.details == {"pixels": 9, "limit": 4}


@pytest.mark.parametrize("error", [ImageError("x", path="a"), MissingExtraError("torch", "train", "training")])
def test_errors_survive_pickling(error: MienError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert again.to_dict() == error.to_dict()


def test_paths_in_messages_are_short_and_printable() -> None:
    assert display_path("a b é 漢字.jpg") == "a b é 漢字.jpg"
    assert display_path("two\nlines\x1b[31m\udcff.jpg") == r"two\nlines\x1b[31m\udcff.jpg"
    long = display_path("x" * 5000 + ".jpg")
    assert len(long) < 200
    assert long.endswith("x.jpg")
