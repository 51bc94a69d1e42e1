"""Layouts of other detection datasets read into the same value."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.datasets.coco import read_coco
from mien.datasets.detection_layouts import open_detection
from mien.datasets.widerface import read_widerface
from mien.datasets.yolo import read_yolo
from mien.errors import DataError, InputError, MissingFileError


def picture(path: Path, size: tuple[int, int] = (100, 50)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


@pytest.fixture
def wider(tmp_path: Path) -> Path:
    for name in ("0--Parade/a.jpg", "0--Parade/b.jpg", "1--Party/c.jpg"):
        picture(tmp_path / "images" / name)
    return tmp_path


def test_widerface_faces_flagged_invalid_become_ignored_regions(wider: Path) -> None:
    labels = wider / "gt.txt"
    labels.write_text(
        "0--Parade/a.jpg\n3\n10 20 30 40 0 0 0 0 0 0 \n1 2 3 4 2 0 0 1 0 0 \n5 5 0 9 0 0 0 0 0 0 \n"
        "0--Parade/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n1--Party/c.jpg\n1\n0 0 8 9 0 0 0 0 0 0 \n"
    )
    read = read_widerface(labels, wider / "images")
    assert read.face_counts.tolist() == [1, 0, 1]
    assert read.boxes[0].tolist() == [10, 20, 40, 60]
    assert read.ignored.tolist() == [[1, 2, 4, 6]]
    assert read.sources == ("widerface/0--Parade", "widerface/0--Parade", "widerface/1--Party")
    assert np.isnan(read.landmarks).all()
    assert read.pixels(0).shape == (50, 100, 3)


def test_widerface_with_points_keeps_those_that_are_labelled(wider: Path) -> None:
    known = " ".join(f"{i} {i + 1} 0.0" for i in range(5))
    unknown = " ".join("-1.0 -1.0 -1.0" for _ in range(5))
    labels = wider / "label.txt"
    labels.write_text(f"# 0--Parade/a.jpg\n10 20 30 40 {known} 0.8\n1 1 5 5 {unknown} 0.1\n# 1--Party/c.jpg\n")
    read = read_widerface(labels, wider / "images")
    assert read.face_counts.tolist() == [2, 0]
    assert read.landmarks[0].tolist() == [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]]
    assert np.isnan(read.landmarks[1]).all()


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("0--Parade/a.jpg\nmany\n", DataError, "line 2"),
        ("0--Parade/a.jpg\n1\n1 2 three\n", DataError, "line 3"),
        ("0--Parade/a.jpg\n2\n1 2 3 4 0 0 0 0 0 0\n", DataError, "ends after 1"),
        ("0--Parade/x.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n", MissingFileError, "missing"),
    ],
)
def test_widerface_that_is_not_as_its_layout_states_is_reported(
    wider: Path, text: str, error: type[Exception], message: str
) -> None:
    labels = wider / "gt.txt"
    labels.write_text(text)
    with pytest.raises(error, match=message):
        read_widerface(labels, wider / "images")


def test_coco_crowds_and_boxes_in_doubt_become_ignored_regions(tmp_path: Path) -> None:
    picture(tmp_path / "one" / "a.png")
    content = {
        "images": [{"id": 7, "file_name": "one/a.png", "width": 100, "height": 50, "license": 1}],
        "licenses": [{"id": 1, "name": "CC BY 4.0"}],
        "categories": [{"id": 3, "name": "face"}, {"id": 4, "name": "dog"}],
        "annotations": [
            {"image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 20], "keypoints": [1, 2, 2] * 5},
            {"image_id": 7, "category_id": 3, "bbox": [5, 5, 4, 4], "keypoints": [1, 2, 0] * 5},
            {"image_id": 7, "category_id": 3, "bbox": [30, 2, 10, 20], "iscrowd": 1},
            {"image_id": 7, "category_id": 4, "bbox": [3, 3, 9, 9]},
        ],
    }
    path = tmp_path / "faces.json"
    path.write_text(json.dumps(content))
    read = read_coco(path, tmp_path)
    assert read.boxes.tolist() == [[1, 2, 11, 22], [5, 5, 9, 9]]
    assert read.ignored.tolist() == [[30, 2, 40, 22]]
    assert np.isnan(read.landmarks).any(axis=(1, 2)).tolist() == [False, True]
    assert read.licences == ("CC BY 4.0",)
    with pytest.raises(InputError, match="'cat'"):
        read_coco(path, tmp_path, "cat")
    path.write_text("[]")
    with pytest.raises(DataError, match="COCO"):
        read_coco(path, tmp_path)


def test_yolo_shares_become_pixels_and_classes_to_ignore_become_regions(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "train" / "a.jpg")
    picture(tmp_path / "images" / "train" / "b.jpg")
    labels = tmp_path / "labels" / "train" / "a.txt"
    labels.parent.mkdir(parents=True)
    labels.write_text("0 0.5 0.5 0.2 0.4 " + "0.1 0.2 " * 5 + "\n1 0.25 0.5 0.1 0.2\n2 0.5 0.5 1 1\n")
    read = read_yolo(tmp_path, ignore=(1,))
    assert read.face_counts.tolist() == [1, 0]
    np.testing.assert_allclose(read.boxes, [[40, 15, 60, 35]], rtol=1e-6)
    np.testing.assert_allclose(read.landmarks[0], [[10, 10]] * 5, rtol=1e-6)
    np.testing.assert_allclose(read.ignored, [[20, 20, 30, 30]], rtol=1e-6)
    labels.write_text("0 0.5\n")
    with pytest.raises(DataError, match="line 1"):
        read_yolo(tmp_path)
    with pytest.raises(MissingFileError, match="no photo"):
        read_yolo(tmp_path / "elsewhere")


def test_every_layout_is_read_by_what_the_path_is(tmp_path: Path) -> None:
    yolo = tmp_path / "yolo"
    for name in ("images", "labels"):
        (yolo / name).mkdir(parents=True)
    Image.new("RGB", (100, 50)).save(yolo / "images" / "a.png")
    (yolo / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    np.testing.assert_allclose(open_detection(yolo).boxes, [[40, 15, 60, 35]], atol=1e-4)
    wider = yolo / "wider.txt"
    wider.write_text("a.png\n1\n40 15 20 20 0 0 0 0 0 0\n")
    np.testing.assert_allclose(open_detection(wider).boxes, [[40, 15, 60, 35]])
    coco = yolo / "faces.json"
    coco.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 50}],
                "categories": [{"id": 1, "name": "face"}],
                "annotations": [{"image_id": 1, "category_id": 1, "bbox": [40, 15, 20, 20]}],
            }
        )
    )
    np.testing.assert_allclose(open_detection(coco).boxes, [[40, 15, 60, 35]])
    with pytest.raises(MissingFileError):
        open_detection(tmp_path / "none.parquet")
