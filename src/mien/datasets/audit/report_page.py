"""An audit as one HTML page that loads nothing, and shows faces only with thumbnails."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.report import AuditReport
from mien.datasets.audit.types import AuditFinding
from mien.datasets.dataset import SPLITS, Dataset
from mien.draw.pages import data_uri, render
from mien.files import output_file, write_text
from mien.opencv import cv2

LISTED = 200
"""Maximum findings per check on the page; JSON has all."""
WITH_THUMBNAILS = 24
"""Maximum findings per check with thumbnails."""
_THUMBNAILS = 6
"""Maximum thumbnails per finding."""


def write_audit_page(report: AuditReport, path: str | os.PathLike[str], *, thumbnails: bool = False) -> Path:
    """Write an audit as a page and return its path.

    Args:
        report: from `mien.datasets.audit.audit_dataset`.
        path: the file; its folder is made.
        thumbnails: show the images of the first findings of each check.

    Raises:
        InputError: ``path`` is a folder.
        OutputError: the file cannot be written.
    """
    target = output_file(path)
    dataset = report.dataset
    width, height = dataset.size
    counts = ", ".join(f"{int((dataset.split == s).sum()):,} {s}" for s in SPLITS if (dataset.split == s).any())
    about = f"{len(dataset):,} images ({counts}), {width}×{height} {'gray' if dataset.channels == 1 else 'RGB'}"
    text = render(
        "datasets/audit/report_page.html",
        name=dataset.info.name,
        about=". ".join((about, *filter(None, (dataset.info.source, *dataset.info.notes)))),
        splits=SPLITS,
        results=report.results,
        listed=LISTED,
        with_thumbnails=WITH_THUMBNAILS,
        thumbnails=partial(_thumbnails, dataset=dataset) if thumbnails else None,
        numeric=_is_numeric,
    )
    return write_text(target, text)


def _thumbnails(finding: AuditFinding, dataset: Dataset) -> list[dict[str, Any]]:
    """Address and row of the images of a finding, each distinct image once."""
    index = list(dict.fromkeys(finding.index))
    pixels = [dataset.images[i].tobytes() for i in index]
    shown = [i for k, i in enumerate(index) if pixels[k] not in pixels[:k]][:_THUMBNAILS]
    return [{"address": _png(dataset.images[i]), "row": int(dataset.row[i])} for i in shown]


def _png(image: NDArray[np.uint8]) -> str:
    """An RGB or gray image as an address inside a page."""
    bgr = image if image.shape[2] == 1 else image[..., ::-1]
    return data_uri(cv2.imencode(".png", np.ascontiguousarray(bgr))[1].tobytes(), "image/png")


def _is_numeric(cell: Any) -> bool:
    """Whether a cell is aligned to the right: a number, or a text that begins with one or replaces one."""
    return not isinstance(cell, str) or cell[:1].isdigit() or cell == "–"
