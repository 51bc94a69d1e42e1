"""The table of dataset formats, and their detection. To add one, write a reader in a file of its own and a row here."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mien.datasets import fairface, fer2013, image_folders, prepared_file, rafdb
from mien.datasets import hugging_face as hf
from mien.datasets.arrow import read_schema
from mien.datasets.dataset import Dataset
from mien.errors import DataError, InputError, MissingFileError
from mien.labels import OWN

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options of readers; a reader refuses those that it does not take.

    Attributes:
        size: side in pixels to resize to; None keeps the size.
        labels: names of the labels 0, 1, … of Parquet files that do not name them; ``("own",)`` for image folders whose
            names are classes of the dataset's own.
        crop: crops the face of each image, see `mien.datasets.fairface.read_fairface`; needs ``size``.
        progress: called with (images done, images in all) while cropping.
    """

    size: int | None = None
    labels: tuple[str, ...] | None = None
    crop: fairface.CropFunction | None = None
    progress: Callable[[int, int], None] | None = None


@dataclass(frozen=True, slots=True)
class DatasetFormat:
    """One layout on disk, with its reader.

    Attributes:
        description: the files, for people.
        licence: one line.
        read: the reader.
        takes: names of the fields of `ReadOptions` that the reader takes.
    """

    description: str
    licence: str
    read: Callable[[Path, ReadOptions], Dataset]
    takes: frozenset[str] = frozenset()


def _read_folders(path: Path, options: ReadOptions) -> Dataset:
    if options.labels not in (None, (OWN,)):
        raise InputError("labels of image folders are their names", advice="leave labels out, or give 'own'")
    return image_folders.read_image_folders(path, options.size, own=options.labels is not None)


_FER2013_LICENCE = "public research set (Goodfellow et al. 2013); the photos belong to others"

DATASET_FORMATS: Mapping[str, DatasetFormat] = {
    "fer2013": DatasetFormat(
        "FER2013: fer2013.csv (emotion,pixels,Usage), plain, .gz or .zip, or the folder that holds it",
        _FER2013_LICENCE,
        lambda path, options: fer2013.read_fer2013(_fer2013_csv(path) or path),
    ),
    "folders": DatasetFormat(
        "image folders named by emotion: train/angry/*.jpg, test/…, as FER2013 on Kaggle",
        _FER2013_LICENCE,
        _read_folders,
        frozenset({"size", "labels"}),
    ),
    "hf": DatasetFormat(
        "emotions in Hugging Face Parquet: train-….parquet, test-….parquet with image and label columns",
        "see the dataset's own card",
        lambda path, options: hf.read_hugging_face(path, options.labels, options.size),
        frozenset({"size", "labels"}),
    ),
    "fairface": DatasetFormat(
        "FairFace: train and validation Parquet, or fairface_label_*.csv beside the image folders",
        "CC BY 4.0 (Kärkkäinen & Joo 2021)",
        lambda path, options: fairface.read_fairface(
            path, size=options.size, crop=options.crop, progress=options.progress
        ),
        frozenset({"size", "crop"}),
    ),
    "rafdb": DatasetFormat(
        "RAF-DB basic: EmoLabel/list_patition_label.txt and Image/aligned/*.jpg",
        "non-commercial research, on application (Li, Deng & Du 2017)",
        lambda path, options: rafdb.read_rafdb(path, options.size),
        frozenset({"size"}),
    ),
    "prepared": DatasetFormat(
        "a file that `mien data prepare` wrote",
        "that of the dataset it was made from",
        lambda path, options: prepared_file.read_prepared(path),
    ),
}
"""Name of the format → its description and reader."""

_FER2013_FILES = ("fer2013.csv", "fer2013.csv.gz", "fer2013.csv.zip", "fer2013.zip", "icml_face_data.csv")


def read_dataset(path: str | os.PathLike[str], kind: str = "auto", options: ReadOptions | None = None) -> Dataset:
    """Read a dataset in any known layout.

    Args:
        path: file or folder.
        kind: a key of `DATASET_FORMATS`, or "auto" to detect it.
        options: of the reader.

    Raises:
        MissingFileError: no such file or folder.
        InputError: an unknown kind, or an option that it does not take.
        DataError: an unknown layout (code "dataset-unrecognised"), or a damaged dataset.
    """
    source, options = Path(path), options or ReadOptions()
    name = detect_format(source) if kind == "auto" else kind
    if name not in DATASET_FORMATS:
        raise InputError(f"unknown kind {name!r}: expected one of auto, {', '.join(DATASET_FORMATS)}")
    format_ = DATASET_FORMATS[name]
    for option in ("size", "labels", "crop"):
        if getattr(options, option) is not None and option not in format_.takes:
            raise InputError(f"{option} has no meaning for {name}", advice="leave it out")
    _logger.info("%s: read as %s", source, name)
    return format_.read(source, options)


def detect_format(path: str | os.PathLike[str]) -> str:
    """The key of `DATASET_FORMATS` that a file or folder has the layout of.

    Raises:
        MissingFileError: no such file or folder.
        DataError: none of them (code "dataset-unrecognised").
    """
    source = Path(path)
    if source.is_dir():
        kind = _folder_kind(source)
    elif source.is_file():
        kind = _file_kind(source)
    else:
        raise MissingFileError("no such file or folder", path=source)
    if kind is None:
        known = "; ".join(f"{name} – {one.description}" for name, one in DATASET_FORMATS.items())
        raise DataError(
            "not a known dataset", path=source, advice=f"expected one of: {known}", code="dataset-unrecognised"
        )
    return kind


def _folder_kind(folder: Path) -> str | None:
    if rafdb.find_root(folder) is not None:
        return "rafdb"
    if fairface.csv_files(folder):
        return "fairface"
    if _fer2013_csv(folder) is not None:
        return "fer2013"
    if image_folders.split_folders(folder) and not any(folder.rglob("*.parquet")):
        return "folders"
    tables = sorted(folder.rglob("*.parquet"))
    return _parquet_kind(tables[0]) if tables else None


def _file_kind(path: Path) -> str | None:
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic == b"PAR1":
        return _parquet_kind(path)
    with fer2013.open_csv(path) as stream:
        line = stream.readline(1 << 12).decode("utf-8-sig", "replace")
    words = {word.strip().strip('"') for word in line.split(",")}
    if "pixels" in words:
        return "fer2013"
    return "fairface" if {"file", "age"} <= words else None


def _parquet_kind(path: Path) -> str | None:
    schema = read_schema(path)
    columns = set(schema.names)
    if prepared_file.METADATA_KEY in (schema.metadata or {}):
        return "prepared"
    if columns & set(hf.IMAGE_COLUMNS) and {"age", "race"} <= columns:
        return "fairface"
    return "hf" if columns & set(hf.IMAGE_COLUMNS) and columns & set(hf.LABEL_COLUMNS) else None


def _fer2013_csv(path: Path) -> Path | None:
    return next((path / name for name in _FER2013_FILES if (path / name).is_file()), None)
