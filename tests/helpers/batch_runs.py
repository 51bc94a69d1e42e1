"""Whole runs of a batch: settings that start quickly, and what is written."""

from __future__ import annotations

from pathlib import Path

from mien.batch.settings import AnalysisSettings
from mien.detect.options import DetectionOptions

LIMIT = 240
"""Seconds after which a process counts as hanging."""
SIZE = 4
LIGHT = AnalysisSettings(models=(), detection=DetectionOptions("haar"))
"""What starts quickly: these tests are about processes and files, and start dozens of workers."""
OPTIONS = ("--detector", "haar", "--models", "none", "--shard-size", SIZE)


def parts(target: Path) -> dict[str, bytes]:
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in sorted(target.glob("*/part-*"))}
