from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from helpers.audits import N, changed, finding_rows
from mien.datasets.audit import AuditOptions
from mien.datasets.dataset import Dataset


def test_pictures_of_one_brightness_and_blurred_ones(clean: Dataset) -> None:
    flat = np.full((48, 48), 90, np.uint8)
    soft = cv2.GaussianBlur(clean.images[5], (0, 0), 3)
    data = changed(clean, {3: flat, 5: soft})
    assert finding_rows(data, "constant") == [[3]]
    assert finding_rows(data, "blurred") == [[3], [5]]
    assert finding_rows(data, "blurred", options=AuditOptions(blur=0.0)) == []


def test_blur_is_measured_at_one_size(clean: Dataset) -> None:
    large = np.stack([cv2.resize(image, (96, 96), interpolation=cv2.INTER_NEAREST) for image in clean.images])
    assert finding_rows(replace(clean, images=large[..., None]), "blurred") == []


def test_faceless_pictures(clean: Dataset) -> None:
    nobody = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], np.int8)
    data = changed(clean, votes={4: nobody})
    assert finding_rows(data, "faceless") == [[4]]
    found = np.ones(N, np.bool_)
    found[[6, 4]] = False
    assert finding_rows(replace(data, found=found), "faceless") == [[4], [6]]
    bright = int(clean.images[9].sum())
    assert finding_rows(
        replace(clean, votes=None), "faceless", has_face=lambda rgb: int(rgb[..., 0].sum()) != bright
    ) == [[9]]
