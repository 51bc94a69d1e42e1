"""The table of OpenFace 2: its column names, so that scripts which read its files read ours.

Columns for which Mien has a measurement have OpenFace's names and units: ``frame`` (from 1), ``face_id`` (the track),
``timestamp`` (seconds), ``confidence``, ``success``, the rotation of the head (``pose_Rx``, ``pose_Ry``, ``pose_Rz``),
and of its 68 landmarks the tip of the nose (30) and the corners of the mouth (48, 54), in pixels. The others (gaze,
place of the head in space, action units) are left out rather than made up. Mien's own columns follow under their own
names.

Source:
    https://github.com/TadasBaltrusaitis/OpenFace/wiki/Output-Format
    Its rotations: R = Rx Ry Rz, with x to the right of the picture, y down and z away from the camera.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.csv_cells import csv_cells, csv_text
from mien.files import write_bytes
from mien.results.video import VideoReport

POINTS = {30: 2, 48: 3, 54: 4}
"""Number of a landmark in OpenFace → number in Mien's five."""
ROTATION = ("pose_Rx", "pose_Ry", "pose_Rz")
"""Columns of `openface_rotation`."""
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
    rotation = openface_rotation(report.rows.pose)
    columns |= {name: known(rotation[:, i], 3) for i, name in enumerate(ROTATION)}
    for axis, letter in enumerate("xy"):
        for number, ours in POINTS.items():
            columns[f"{letter}_{number}"] = known(records["landmarks"][:, ours, axis], 2)
    for column in report.rows.columns:
        if column.flat and column.name not in _HAVE:
            columns[column.name] = csv_cells(column.values(report.rows, column.digits), labels=column.is_label)
    return columns


def openface_rotation(pose: NDArray[np.floating]) -> NDArray[np.float64]:
    """``(n, 3)`` radians as OpenFace has them: above 0 where the face looks down, to the left of the picture, and where
    it is tilted clockwise.

    Args:
        pose: ``(n, 3)`` degrees from `mien.results.view.head_pose`, which turns by pitch first, then by yaw and roll.
    """
    yaw, pitch, roll = np.radians(np.asarray(pose, np.float64)).T
    sin, cos = np.sin, np.cos
    # rows of Rz(roll) Ry(-yaw) Rx(-pitch) that the angles of Rx Ry Rz follow from
    first = cos(roll) * cos(yaw)
    second = cos(roll) * sin(yaw) * sin(pitch) - sin(roll) * cos(pitch)
    third = -cos(roll) * sin(yaw) * cos(pitch) - sin(roll) * sin(pitch)
    side = -sin(roll) * sin(yaw) * cos(pitch) + cos(roll) * sin(pitch)
    rotation = [np.arctan2(-side, cos(yaw) * cos(pitch)), np.arcsin(np.clip(third, -1, 1)), np.arctan2(-second, first)]
    return np.stack(rotation, axis=1)
