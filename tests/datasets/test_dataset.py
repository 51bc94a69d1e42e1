from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.datasets import made, votes_for
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.errors import InputError


def test_select_and_mask_keep_all_columns_together() -> None:
    base = made(20)
    data = replace(
        base,
        votes=votes_for(base.emotion),
        age=(np.arange(20) % 9).astype(np.int8),
        gender=np.array(["Male", "Female"] * 10),
        race=np.array(["White", "Black", "Indian", "Asian"] * 5),
        found=np.arange(20) % 3 == 0,
    )
    test = data.select("test")
    assert test.row.tolist() == [4, 9, 14, 19]
    assert len(test) == 4
    for name, column in test.labels().items():
        np.testing.assert_array_equal(column, getattr(data, name)[test.row])
    np.testing.assert_array_equal(test.images, data.images[test.row])
    assert test.images.flags.c_contiguous
    assert data[np.array([3, 1])].row.tolist() == [3, 1]
    assert data[2:4].row.tolist() == [2, 3]
    assert len(data[np.zeros(20, bool)]) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((20, 8, 8), np.uint8)}, "images must be uint8"),
        ({"images": np.zeros((20, 8, 8, 1), np.float32)}, "images must be uint8"),
        ({"images": np.zeros((20, 8, 16, 1), np.uint8)[:, :, ::2]}, "contiguous"),
        ({"row": np.arange(20)}, "row must be int32"),
        ({"split": np.array(["train"] * 19)}, "split must be str of shape"),
        ({"split": np.array(["train"] * 19 + ["dev"])}, "unknown split 'dev'"),
        ({"emotion": None}, "belong together"),
        ({"emotion": np.full(20, 7, np.int8)}, "emotion must be in 0–6, got 7–7"),
        ({"emotion": np.full(20, -1, np.int8)}, "emotion must be in 0–6"),
        ({"age": np.full(20, 9, np.int8)}, "age must be in 0–8"),
        ({"votes": np.zeros((20, 8), np.int8)}, "votes must be int8 of shape"),
        ({"gender": np.arange(20)}, "gender must be str"),
        ({"found": np.zeros(20, np.int8)}, "found must be bool"),
    ],
)
def test_wrong_columns_are_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(made(20), **change)


def test_unknown_taxonomy_and_split_and_mask() -> None:
    with pytest.raises(InputError, match="unknown taxonomy 'feelings'"):
        DatasetInfo("x", taxonomy="feelings")
    with pytest.raises(InputError, match="unknown split 'val'"):
        made().select("val")
    with pytest.raises(InputError, match="the mask must have the shape"):
        made()[np.ones(3, bool)]
    with pytest.raises(InputError, match="reasons must have the shape"):
        made().drop(np.array([""]))


def test_dropped_rows_are_counted_by_reason_and_adds_up() -> None:
    data = made(10)
    reasons = np.array(["", "blurred", "", "blurred", "dark", "", "", "", "", ""])
    kept = data.drop(reasons)
    assert kept.row.tolist() == [0, 2, 5, 6, 7, 8, 9]
    assert kept.info.dropped == (("blurred", 2), ("dark", 1))
    again = kept.drop(np.array(["dark", *[""] * 6]))
    assert again.info.dropped == (("blurred", 2), ("dark", 2))


def test_the_hash_covers_every_column() -> None:
    data = made(20)
    changed = [
        replace(data, images=data.images ^ np.uint8(1)),
        replace(data, row=data.row[::-1].copy()),
        replace(data, split=data.split[::-1].copy()),
        replace(data, emotion=data.emotion[::-1].copy()),
        replace(data, age=np.zeros(20, np.int8)),
        replace(data, info=replace(data.info, taxonomy="folders")),
    ]
    hashes = {data.sha256(), *(other.sha256() for other in changed)}
    assert len(hashes) == 7
    assert replace(data, info=replace(data.info, notes=("a note",))).sha256() == data.sha256()


def test_the_hash_distinguishes_names_and_texts() -> None:
    def own(*classes: str) -> str:
        emotion = np.zeros(4, np.int8)
        return replace(made(4), info=DatasetInfo("folders", "own", classes=classes), emotion=emotion).sha256()

    assert len({own("a b", "c"), own("a", "b c"), own("a", "b", "c"), own("a b c")}) == 4
    texts = [["a\nb", "c"], ["a", "b\nc"], ["a\\nb", "c"]]
    assert len({replace(made(2), race=np.array(text)).sha256() for text in texts}) == 3


def test_size_is_width_then_height() -> None:
    data = made(2)
    wide = Dataset(np.zeros((2, 6, 9, 3), np.uint8), data.split, data.row, DatasetInfo("x"))
    assert wide.size == (9, 6)
    assert wide.channels == 3
    assert wide.taxonomy is None
