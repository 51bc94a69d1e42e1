"""FairFace (Kärkkäinen & Joo 2021, https://arxiv.org/abs/1908.04913): faces with age range, gender and race.

Two layouts: Parquet as on Hugging Face, and the authors' CSV files (``fairface_label_train.csv``,
``fairface_label_val.csv``) beside the image folders. CC BY 4.0. The test set has no public labels: the published
validation set is what results are reported on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets import hugging_face as hf
from mien.datasets.dataset import Dataset, DatasetInfo, split_of
from mien.datasets.image_codec import CropFunction, decode_at, load_faces, parallel_map
from mien.datasets.row_location import DAMAGED, RowLocation
from mien.datasets.text_tables import GET_AGAIN, open_table, read_header, read_rows
from mien.errors import DataError, MissingFileError
from mien.files import is_file
from mien.labels import AGE_BINS, age_bin_names

AGES = {name: i for i, name in enumerate(age_bin_names())} | {"more than 70": len(AGE_BINS) - 1}
"""FairFace's name of an age range → index in `mien.labels.AGE_BINS`."""
SPREADSHEET_AGES = {
    **dict.fromkeys(("3-sep", "03-sep", "sep-3", "sep-03", "9-mar", "09-mar", "mar-9", "mar-09"), "3-9"),
    **dict.fromkeys(("10-oct", "19-oct", "oct-19"), "10-19"),
    **dict.fromkeys((">70", "70+", "over 70", "70-"), "more than 70"),
}
"""What spreadsheets, which take "3-9" and "10-19" for dates, make of them, and other names of the last → FairFace's."""
CSV_PREFIX = "fairface_label_"
"""How the names of the authors' CSV files begin."""
CSV_COLUMNS = ("file", "age", "gender", "race")

_BLOCK = 256


@dataclass(frozen=True, slots=True, eq=False)
class EncodedFairFace:
    """Labels of every image of FairFace, with the images still encoded.

    Attributes:
        locations: where each image is stored, for errors.
        fetch: index → the encoded image as a uint8 array.
        split: ``(n,)`` str.
        age: ``(n,)`` int8, index in `mien.labels.AGE_BINS`.
        gender: ``(n,)`` str.
        race: ``(n,)`` str.
    """

    locations: tuple[RowLocation, ...]
    fetch: Callable[[int], NDArray[np.uint8]]
    split: NDArray[np.str_]
    age: NDArray[np.int8]
    gender: NDArray[np.str_]
    race: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.locations)

    def images(self) -> Iterator[NDArray[np.uint8]]:
        """Every image as it is stored, RGB uint8 ``(h, w, 3)``, decoded on threads a few hundred at a time."""
        for start in range(0, len(self), _BLOCK):
            yield from parallel_map(self.image, range(start, min(start + _BLOCK, len(self))))

    def image(self, i: int) -> NDArray[np.uint8]:
        """One image, RGB uint8 ``(h, w, 3)``; raises `DataError` when it cannot be decoded."""
        return decode_at(self.locations[i], self.fetch(i))


def read_fairface(
    path: hf.ParquetPaths,
    *,
    size: int | None = None,
    crop: CropFunction | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Read FairFace in either layout.

    Args:
        path: Parquet files or the folder that holds them, or the folder that holds the CSV files, or one of these.
        size: side of the images in pixels, needed with ``crop``; None keeps the size, which must be the same for all.
        crop: crops the face of each image; called on one thread, in order. Where it returns None, ``found`` is False
            and the whole image is used: the published images are cropped close around the face.
        progress: called with (images done, images in all) while cropping.

    Returns:
        RGB images ``(n, h, w, 3)`` with ``age``, ``gender``, ``race``, and ``found`` where ``crop`` was given. ``row``
        counts over both files.

    Raises:
        MissingFileError: no such file, or an image in the CSV is absent.
        DataError: another layout, an unknown age range or an unreadable image.
        InputError: ``crop`` without ``size``, or a crop of another shape.
    """
    source = open_fairface(path)
    images, found = load_faces(source.locations, source.fetch, size, crop, progress)
    return Dataset(
        images=images,
        split=source.split,
        row=np.arange(len(source), dtype=np.int32),
        age=source.age,
        gender=source.gender,
        race=source.race,
        found=found,
        info=DatasetInfo("fairface", source="FairFace, padding 0.25"),
    )


def open_fairface(path: hf.ParquetPaths) -> EncodedFairFace:
    """The labels of FairFace in either layout, with the images still encoded; see `read_fairface`."""
    if isinstance(path, (str, os.PathLike)):
        files = csv_files(Path(path))
        if files:
            return _open_csv(files)
    return _open_parquet(hf.parquet_files(path))


def csv_files(path: Path) -> list[Path]:
    """The CSV files of a folder with FairFace's columns, or the file itself when it is one; empty for none."""
    if path.is_dir():
        return [file for file in sorted(path.glob("*.csv")) if file.name.startswith(CSV_PREFIX) or has_columns(file)]
    return [path] if path.suffix.lower() == ".csv" and path.is_file() else []


def has_columns(file: Path) -> bool:
    """Whether a CSV has the columns of a file and an age."""
    with open_table(file) as stream:
        return {"file", "age"} <= set(read_header(stream)[0])


def _open_parquet(files: Sequence[Path]) -> EncodedFairFace:
    blobs: list[NDArray[np.uint8]] = []
    locations: list[RowLocation] = []
    split: list[str | None] = []
    columns: dict[str, list[str]] = {"age": [], "gender": [], "race": []}
    for file in files:
        table = hf.read_table(file)
        for name, values in columns.items():
            hf.pick_column(file, table, [name], name)
            values += hf.label_texts(file, table, name)
        blobs += hf.image_bytes(file, table)
        locations += [RowLocation(file, i + 1) for i in range(len(table))]
        split += hf.table_splits(file, table)
    if not blobs:
        raise DataError("the files hold no rows", path=files[0], advice="get them again")
    if not any(split):
        raise DataError(
            "the name contains no split",
            path=files[0],
            advice="rename the file to train….parquet or validation….parquet",
        )
    return EncodedFairFace(
        locations=tuple(locations),
        fetch=blobs.__getitem__,
        split=hf.known_splits(split, locations),
        age=_ages(columns["age"], locations),
        gender=np.array(columns["gender"]),
        race=np.array(columns["race"]),
    )


def _open_csv(files: Sequence[Path]) -> EncodedFairFace:
    locations: list[RowLocation] = []
    images: list[Path] = []
    named: set[Path] = set()
    split: list[str] = []
    columns: dict[str, list[str]] = {"age": [], "gender": [], "race": []}
    for file in files:
        for where, row in _rows(file):
            image = _image(file.parent, row["file"], where)
            if image in named:
                raise where.error(
                    f"{row['file']} is named a second time", advice="give one CSV alone, or remove the row"
                )
            named.add(image)
            locations.append(where)
            images.append(image)
            split.append(_split(row["file"], where))
            for name, values in columns.items():
                values.append(row[name])
    if not images:
        raise DataError("no rows below the header", path=files[0], advice="get it again")
    return EncodedFairFace(
        locations=tuple(locations),
        fetch=lambda i: np.frombuffer(images[i].read_bytes(), np.uint8),
        split=np.array(split),
        age=_ages(columns["age"], locations),
        gender=np.array(columns["gender"]),
        race=np.array(columns["race"]),
    )


def _rows(file: Path) -> Iterator[tuple[RowLocation, dict[str, str]]]:
    """The rows of a label file, each with its location."""
    for where, row in read_rows(file, CSV_COLUMNS, lambda: f"FairFace's CSV has {','.join(CSV_COLUMNS)}"):
        if any(not row[name] for name in CSV_COLUMNS):
            raise where.error("an empty or missing cell", advice=GET_AGAIN, code=DAMAGED)
        row["file"] = row["file"].replace("\\", "/")
        yield where, row


def _image(folder: Path, name: str, where: RowLocation) -> Path:
    # people unpack the archive into the folder of the labels, or into a folder of its own in it
    for candidate in (folder / name, *(inner / name for inner in sorted(folder.iterdir()) if inner.is_dir())):
        if is_file(candidate):
            return candidate
    raise where.error(
        f"no image {folder / name}", advice="unpack FairFace's images beside the CSV files", kind=MissingFileError
    )


def _split(name: str, where: RowLocation) -> str:
    split = split_of(Path(name).parent.name) or split_of(where.path.stem)
    if split is None:
        raise where.error(f"the split of {name!r} is unknown", advice="expected train/… or val/…")
    return split


def _ages(texts: Sequence[str], locations: Sequence[RowLocation]) -> NDArray[np.int8]:
    ages = [AGES.get(_age_range(text)) for text in texts]
    for text, age, location in zip(texts, ages, locations, strict=True):
        if age is None:
            raise location.error(f"unknown age range {text!r}", advice=f"expected one of {', '.join(AGES)}")
    return np.array(ages, np.int8)


def _age_range(text: str) -> str:
    """FairFace's name of an age range, from that of a spreadsheet or with other dashes and blanks."""
    plain = text.strip().lower().replace("–", "-").replace("_", "-")
    plain = plain.replace(" ", "") if any(char.isdigit() for char in plain[:1]) else plain
    return SPREADSHEET_AGES.get(plain, plain)
