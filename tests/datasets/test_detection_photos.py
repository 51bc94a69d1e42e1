"""The value of detection photos, its Parquet layout, and splits by source."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.datasets.detection import (
    DetectionPhotos,
    PhotoLabels,
    choose_sources,
    count_licences,
    count_sizes,
    from_labels,
    read_detection,
    split_by_source,
)
from mien.errors import DataError, InputError, MissingFileError

pa = pytest.importorskip("pyarrow")


def encoded(width: int = 32, height: int = 24) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (10, 200, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def square(height: float) -> list[float]:
    return [0.0, 0.0, height, height]


def photos(*rows: tuple[str, list[float]]) -> DetectionPhotos:
    """Photos of (source, face heights)."""
    return from_labels(
        PhotoLabels(encoded(), np.array([square(h) for h in heights]), source=source, licence="CC0")
        for source, heights in rows
    )


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def row(
    source: str, boxes: list[list[float]], by: str = "mtcnn", ignore: list[list[float]] | None = None
) -> dict[str, object]:
    points = [[[1.0, 1.0], [3.0, 1.0], [2.0, 2.0], [1.0, 3.0], [3.0, 3.0]]] * len(boxes)
    faces = [{"box": box, "landmarks": p, "by": by} for box, p in zip(boxes, points, strict=True)]
    return {
        "image": {"bytes": encoded(), "path": "a.png"},
        "set": "made",
        "width": 32,
        "height": 24,
        "faces": faces,
        "ignore": ignore or [],
        "licence": "CC0",
        "source": source,
        "labels": "made",
    }


def test_a_parquet_file_is_read_with_faces_regions_in_doubt_and_licences(tmp_path: Path) -> None:
    path = write(
        tmp_path / "photos.parquet",
        [
            row("owner/one a/b c.jpg", [square(8), square(20)], ignore=[[1, 2, 3, 4]]),
            row("owner/two x.jpg", []),
            row("owner/two y.jpg", [square(5)], by="yunet"),
        ],
    )
    read = read_detection(path)
    assert len(read) == 3
    assert read.sources == ("owner/one", "owner/two", "owner/two")
    assert read.files[0] == "a/b c.jpg"
    assert read.face_counts.tolist() == [2, 0, 1]
    assert read.boxes[read.faces(2)].tolist() == [square(5)]
    assert read.ignored_boxes(0).tolist() == [[1, 2, 3, 4]]
    assert read.landmarks.shape == (3, 5, 2)
    assert read.trust[0] == 1
    assert read.trust[2] < 1
    assert read.pixels(1).shape == (24, 32, 3)
    assert count_licences(read) == {"CC0": 3}


def test_a_missing_file_and_a_missing_column_are_reported(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such file"):
        read_detection(tmp_path / "none.parquet")
    path = write(tmp_path / "odd.parquet", [{"image": b"", "source": "a"}])
    with pytest.raises(DataError, match="faces"):
        read_detection(path)


def test_bytes_that_are_no_image_are_reported_with_their_source() -> None:
    broken = from_labels([PhotoLabels(b"no image", np.empty((0, 4)), source="owner/one", file="x.jpg")])
    with pytest.raises(DataError, match=r"owner/one x\.jpg"):
        broken.pixels(0)


def test_selection_keeps_the_faces_of_each_photo_in_the_order_asked_for() -> None:
    some = photos(("a", [1, 2]), ("b", []), ("c", [3])).select([2, 0])
    assert some.sources == ("c", "a")
    assert some.heights.tolist() == [3, 1, 2]
    assert some.face_starts.tolist() == [0, 1, 3]


def test_a_source_is_never_on_both_sides_of_a_split() -> None:
    both = photos(("o/a", [1]), ("o/b", [2]), ("p/a", [3]), ("o/a", [4]))
    train, held_out = split_by_source(both, ["o/a"])
    assert set(train.sources) == {"o/b", "p/a"}
    assert held_out.heights.tolist() == [1, 4]
    train, held_out = split_by_source(both, ["o/"])
    assert set(held_out.sources) == {"o/a", "o/b"}


def test_a_split_by_an_unknown_source_or_of_everything_is_refused() -> None:
    both = photos(("o/a", [1]), ("o/b", [2]))
    with pytest.raises(InputError, match="no photo comes from"):
        split_by_source(both, ["elsewhere"])
    with pytest.raises(InputError, match="both sides"):
        split_by_source(both, ["o/"])


def test_sources_are_chosen_such_that_every_size_is_covered_and_always_the_same_ones() -> None:
    rng = np.random.default_rng(0)
    many = photos(*((f"s{i % 40}", np.exp(rng.uniform(2, 5.5, rng.integers(0, 4))).tolist()) for i in range(400)))
    chosen = choose_sources(many, 0.15)
    assert chosen == choose_sources(many, 0.15)
    train, held_out = split_by_source(many, chosen)
    for name, count in count_sizes(held_out).items():
        assert 0.05 < count / (count + count_sizes(train)[name]) < 0.3


def test_columns_that_do_not_fit_together_are_refused() -> None:
    one = photos(("a", [1]))
    with pytest.raises(InputError, match="landmarks must have shape"):
        DetectionPhotos(
            one.images,
            one.sizes,
            one.boxes,
            one.landmarks[:0],
            one.trust,
            one.face_starts,
            one.ignored,
            one.ignored_starts,
            one.subsets,
            one.sources,
            one.files,
            one.licences,
            one.splits,
        )
