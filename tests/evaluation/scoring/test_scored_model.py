"""Any callable as a model, and what it must return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.scoring import SEVEN, labelled_faces
from mien.errors import InputError
from mien.evaluation.scoring import evaluate, from_callable


def test_it_gets_images_as_it_wants_them() -> None:
    seen: list[tuple[Any, ...]] = []

    def function(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        seen.append((images.shape, images.dtype))
        return {"one": np.full((len(images), 2), 0.5), "two": np.full((len(images), 3), 1 / 3)}

    heads = {"one": ("happy", "sad"), "two": ("happy", "sad", "fear")}
    model = from_callable(function, heads, size=20, name="two heads")
    results = evaluate(model, labelled_faces(600), split="train", flip=True)["results"]
    assert set(results) == {"one", "two"}
    assert {shape[1:] for shape, _ in seen} == {(20, 20, 3)}
    assert max(shape[0] for shape, _ in seen) == 256


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda n: np.ones((n, 3)) / 3, "shape"),
        (lambda n: np.ones((n, 7)), "sum to 1"),
        (lambda n: np.full((n, 7), np.nan), "negative or not a number"),
        (lambda n: np.tile([-1.0, 2, 0, 0, 0, 0, 0], (n, 1)), "negative or not a number"),
        (lambda n: {"other": np.ones((n, 7)) / 7}, "returned no head"),
    ],
)
def test_answers_that_are_no_probabilities_are_refused(answer: Callable[[int], Any], words: str) -> None:
    model = from_callable(lambda images: answer(len(images)), SEVEN, size=12, channels=1, name="mine")
    with pytest.raises(InputError, match=f"mine.*{words}"):
        evaluate(model, labelled_faces())


def test_callables_are_checked() -> None:
    with pytest.raises(InputError, match="1 or 3 channels"):
        from_callable(lambda images: images, SEVEN, size=12, channels=2)
    with pytest.raises(InputError, match="needs labels"):
        from_callable(lambda images: images, (), size=12)
    with pytest.raises(InputError, match="more than one column is labelled 'Anger'"):
        from_callable(lambda images: images, ("Anger", "happy", "angry"), size=12)
    with pytest.raises(InputError, match="more than one column is labelled '0-2'"):
        from_callable(lambda images: images, {"age": ("0-2", "0-2")}, size=12)
    with pytest.raises(InputError, match="one for each column; got the text 'happy'"):
        from_callable(lambda images: images, "happy", size=12)
