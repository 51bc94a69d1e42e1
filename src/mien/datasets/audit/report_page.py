"""An audit as one HTML page that loads nothing, and shows a face only where asked to."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit import CHECKS, AuditReport
from mien.datasets.audit.types import AuditFinding
from mien.datasets.dataset import SPLITS, Dataset
from mien.draw.pages import data_uri, render
from mien.files import atomic_path, output_file, writing

LISTED = 200
"""Findings of a check that the page lists; JSON has all."""
PICTURED = 24
"""Findings of a check that are shown with pictures, where pictures are asked for."""
_PICTURES = 6


def write_page(report: AuditReport, path: str | os.PathLike[str], *, thumbnails: bool = False) -> Path:
    """Write an audit as a page and return its path.

    Args:
        report: from `mien.datasets.audit.audit_dataset`.
        path: the file; its folder is made.
        thumbnails: show the pictures of the first findings of each check.

    Raises:
        InputError: ``path`` is a folder.
        OutputError: the file cannot be written.
    """
    target = output_file(path)
    prepared = report.prepared
    width, height = prepared.size
    counts = ", ".join(f"{int((prepared.split == s).sum()):,} {s}" for s in SPLITS if (prepared.split == s).any())
    about = f"{len(prepared):,} images ({counts}), {width}×{height} {'gray' if prepared.channels == 1 else 'RGB'}"
    text = render(
        "datasets/audit/report_page.html",
        name=prepared.info.name,
        about=". ".join((about, *filter(None, (prepared.info.source, *prepared.info.notes)))),
        splits=SPLITS,
        titles={name: check.title for name, check in CHECKS.items()},
        outcomes=report.outcomes,
        listed=LISTED,
        pictured=PICTURED,
        pictures=partial(_pictures, prepared=prepared) if thumbnails else None,
        numeric=_is_numeric,
    )
    with writing(target), atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


def _pictures(finding: AuditFinding, prepared: Dataset) -> list[dict[str, Any]]:
    """Address and row of the pictures of a finding; of pairs of which each has copies, one of each."""
    index = list(dict.fromkeys(finding.index))
    pixels = [prepared.images[i].tobytes() for i in index]
    shown = [i for k, i in enumerate(index) if pixels[k] not in pixels[:k]][:_PICTURES]
    return [{"address": _png(prepared.images[i]), "row": int(prepared.row[i])} for i in shown]


def _png(image: NDArray[np.uint8]) -> str:
    """An RGB or gray picture as an address inside a page."""
    bgr = image if image.shape[2] == 1 else image[..., ::-1]
    return data_uri(cv2.imencode(".png", np.ascontiguousarray(bgr))[1].tobytes(), "image/png")


def _is_numeric(cell: Any) -> bool:
    """Whether a cell stands at the right: a number, or a text that begins with one or stands for one."""
    return not isinstance(cell, str) or cell[:1].isdigit() or cell == "–"
