"""Errors: a message made from fields, and fields that programs can rely on."""

from __future__ import annotations

import pickle

import pytest

from mien.errors import ImageError, ImageTooLargeError, MienError, MissingExtraError, choose_one, display_path


def test_the_message_is_made_from_the_fields() -> None:
    assert str(ImageError("is empty")) == "is empty"
    assert str(ImageError("is empty", path="a.jpg")) == "a.jpg: is empty"
    assert str(ImageError("is empty", path="a.jpg", advice="copy it again")) == "a.jpg: is empty; copy it again"


def test_a_long_list_of_names_is_left_out_where_the_nearest_are_known() -> None:
    many = [f"network-{number}" for number in range(60)]
    assert choose_one("netwerk-7", many) == "did you mean 'network-7' or 'network-57' or 'network-47'?"
    assert choose_one("x", many).endswith("network-58, network-59")
    assert choose_one("hapy", ("happy", "sad")) == "did you mean 'happy'? There are happy, sad"


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
