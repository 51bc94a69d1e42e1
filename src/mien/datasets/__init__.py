"""Datasets: readers for the published layouts, and the prepared file that training reads."""

from __future__ import annotations

from mien.datasets.catalog import DATASET_FORMATS, DatasetFormat, ReadOptions, detect_format, read_dataset

__all__ = ["DATASET_FORMATS", "DatasetFormat", "ReadOptions", "detect_format", "read_dataset"]
