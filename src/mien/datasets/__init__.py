"""Datasets: readers for the published layouts, and the one compact file that training reads."""

from __future__ import annotations

from mien.datasets.csv_table import DATASETS, Dataset, Options, detect_kind, read

__all__ = ["DATASETS", "Dataset", "Options", "detect_kind", "read"]
