"""The table of OpenFace 2: its column names, so that scripts which read its files read ours.

Columns for which Mien has a measurement have OpenFace's names and units: ``frame`` (from 1), ``face_id`` (the track),
``timestamp`` (seconds), ``confidence``, ``success``, and of its 68 landmarks the tip of the nose (30) and the corners
of the mouth (48, 54), in pixels. The others (gaze, pose in space, action units) are left out rather than made up.
Mien's own columns follow under their own names.

Source:
    https://github.com/TadasBaltrusaitis/OpenFace/wiki/Output-Format
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mien.csv_cells import csv_cells, csv_text
from mien.files import write_bytes
from mien.results.video import VideoReport

POINTS = {30: 2, 48: 3, 54: 4}
"""Number of a landmark in OpenFace → number in Mien's five."""
_HAVE = ("source", "frame", "time", "track", "score")
"""Columns of Mien that have another name in OpenFace, or none."""


def write_openface(report: VideoReport, path: Path) -> Path:
    """Write the table, one row per face and frame, and return its path.

    A frame without a face is a row with ``success`` and ``confidence`` 0 and no other measurement.

    Raises:
        OutputError: it cannot be written.
    """
    return write_bytes(path, csv_text(openface_columns(report)).encode())


def openface_columns(report: VideoReport) -> dict[str, list[Any]]:
    """Column name → one value per row, None where nothing was measured."""
    records, seen = report.rows.records, report.rows.is_face

    def known(values: Any, digits: int) -> list[Any]:
        rounded = np.where(seen, values, np.nan).astype(np.float64).round(digits).tolist()
        return [None if value != value else value for value in rounded]

    columns: dict[str, list[Any]] = {
        "frame": (records["frame"] + 1).tolist(),
        "face_id": np.where(seen, records["track"], 0).tolist(),
        "timestamp": records["time"].round(6).tolist(),
        "confidence": np.where(seen, records["score"], 0.0).astype(np.float64).round(4).tolist(),
        "success": seen.astype(int).tolist(),
    }
    for axis, letter in enumerate("xy"):
        for number, ours in POINTS.items():
            columns[f"{letter}_{number}"] = known(records["landmarks"][:, ours, axis], 2)
    for column in report.rows.columns:
        if column.flat and column.name not in _HAVE:
            columns[column.name] = csv_cells(column.values(report.rows, column.digits), labels=column.is_label)
    return columns
