"""Images with a table of their labels: CSV or JSON lines, as Hugging Face's image folders and many others have them.

    metadata.csv, labels.csv, train.csv …      file_name,label; a path, or the name of an image anywhere below
    train/metadata.jsonl, test/metadata.jsonl  one table per split

The split of a row is in a column of the table ("split", "usage", …), in the name of the table or of its folder, or in
the path of the image. Labels are emotions, numbers with names given for them, or classes of the dataset's own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mien.datasets import rafdb
from mien.datasets.dataset import Dataset, DatasetInfo, split_of
from mien.datasets.hugging_face import known_splits
from mien.datasets.image_codec import CropFunction, gray_if_colourless, load_faces
from mien.datasets.image_folders import SUFFIXES, left_out_notes, subfolders
from mien.datasets.label_names import (
    label_from_name,
    label_indices,
    names_of_numbers,
    own_taxonomy,
    smallest_taxonomy,
)
from mien.datasets.resplit import make_splits
from mien.datasets.row_location import DAMAGED, RowLocation
from mien.datasets.text_tables import open_table, read_header, read_rows
from mien.errors import DataError, InputError, MienError, MissingFileError

FILE_COLUMNS = (
    "file_name", "filename", "file", "filepath", "file_path", "path", "pth", "image", "images", "img", "image_path",
    "img_path", "image_name", "image name", "img_name", "pic", "name", "subdirectory_filepath",
)  # fmt: skip
"""Names of the column of paths or names of images, in small letters."""
LABEL_COLUMNS = ("label", "labels", "emotion", "emotions", "expression", "class", "class_name", "category", "target")
"""Names of the column of labels."""
SPLIT_COLUMNS = ("split", "usage", "set", "subset", "partition", "fold")
"""Names of the column of splits."""
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl"})


def read_listed(
    path: str | os.PathLike[str],
    size: int | None = None,
    *,
    own: bool = False,
    labels: Sequence[str] | None = None,
    crop: CropFunction | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Read images by the tables that name their labels.

    Args:
        path: a table, or the folder that holds it or them; images are below that folder.
        size: side in pixels to resize to; None keeps the size, which must then be the same for all images.
        own: whether the labels are classes of the dataset's own, whatever they are, instead of emotions.
        labels: names of labels that are numbers, in their order, or as ``NUMBER=NAME``; those of RAF-DB are known by
            the names of its images.
        crop: crops the face of each image, see `mien.datasets.image_codec.load_faces`; needs ``size``.
        progress: called with (images done, images in all) while cropping.

    Returns:
        Images in the order of the tables, gray where all of them are gray; ``emotion`` as of
        `mien.datasets.image_folders.read_image_folders`. Without splits new ones are made. Images that no table names
        are noted.

    Raises:
        MissingFileError: no table, or no image of the name in a row.
        DataError: no columns of names and labels, an unknown label, or an unreadable image; names the row.
    """
    root = Path(path)
    tables = find_tables(root)
    if not tables:
        raise MissingFileError(
            "no table of images and labels in it",
            path=root,
            advice="expected CSV or JSON lines with the columns file_name and label",
        )
    folder = root if root.is_dir() else root.parent
    index = _ImageIndex(folder)
    files: list[Path] = []
    texts: list[str] = []
    splits: list[str | None] = []
    locations: list[RowLocation] = []
    for table in tables:
        for where, row in _rows(table):
            name, label = _pick(row, FILE_COLUMNS), _pick(row, LABEL_COLUMNS)
            if not name or not label:
                reason = f"no {'label' if name else 'name of an image'}"
                raise where.error(reason, advice="remove the row or fill it", code=DAMAGED)
            file = index.find(table.parent, name, where)
            files.append(file)
            texts.append(label)
            splits.append(_split(row, table, folder, file, where))
            locations.append(where)
    if not files:
        raise DataError("no rows below the header", path=tables[0], advice="get it again")
    if labels is None and not own and all(rafdb.is_aligned_name(file.name) for file in files):
        labels = rafdb.NUMBERED
    names = texts if own else _emotions(texts, locations, labels)
    try:
        taxonomy = own_taxonomy(names) if own else smallest_taxonomy(names)
    except MienError as error:
        raise error.with_path(root) from None
    images, found = load_faces(
        [RowLocation(file) for file in files],
        lambda i: np.frombuffer(files[i].read_bytes(), np.uint8),
        size,
        crop,
        progress,
    )
    data = Dataset(
        images=gray_if_colourless(images),
        split=known_splits(splits, locations),
        row=np.arange(len(files), dtype=np.int32),
        emotion=label_indices(names, taxonomy),
        found=found,
        info=DatasetInfo(
            "listed",
            taxonomy=taxonomy.name,
            source=f"images listed in {', '.join(table.relative_to(folder).as_posix() for table in tables)}",
            notes=(
                *left_out_notes(folder, sorted(index.files - set(files)), "images that no row names"),
                *_repeated(folder, files, names),
            ),
            classes=taxonomy.names if own else (),
        ),
    )
    return data if any(splits) else make_splits(data)


def _repeated(folder: Path, files: Sequence[Path], names: Sequence[str]) -> tuple[str, ...]:
    """A note on images that several rows name; they are in the dataset as often."""
    labels: dict[Path, list[str]] = {}
    for file, name in zip(files, names, strict=True):
        labels.setdefault(file, []).append(name)
    several = {file: found for file, found in labels.items() if len(found) > 1}
    if not several:
        return ()
    differ = [file for file, found in several.items() if len(set(found)) > 1]
    first = (differ or list(several))[0].relative_to(folder).as_posix()
    return (
        f"{len(several):,} images are named by several rows, {len(differ):,} of them with different labels "
        f"(such as {first}); all rows are kept, `mien data clean` removes copies",
    )


def find_tables(path: Path) -> list[Path]:
    """The tables with columns of images and of labels: the file itself, or those in a folder and two levels below."""
    if path.is_file():
        return [path] if is_table(path) else []
    below = subfolders(path)
    folders = [path, *below, *(folder for inner in below for folder in subfolders(inner))]
    files = [file for folder in folders for file in sorted(folder.iterdir()) if file.suffix.lower() in TABLE_SUFFIXES]
    return [file for file in files if file.is_file() and not file.name.startswith(".") and is_table(file)]


def is_table(path: Path) -> bool:
    """Whether a file is a table with a column of images and one of labels."""
    if path.suffix.lower() not in TABLE_SUFFIXES:
        return False
    if path.suffix.lower() == ".jsonl":
        _, row = next(_json_rows(path), (None, dict[str, str]()))
        names = list(row)
    else:
        with open_table(path) as stream:
            names, _ = read_header(stream)
    return bool(set(names) & set(FILE_COLUMNS) and set(names) & set(LABEL_COLUMNS))


class _ImageIndex:
    """The images below a folder, by their paths and by their names alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in SUFFIXES and not any(p.startswith(".") for p in path.relative_to(folder).parts)
        }
        self._by_name: dict[str, list[Path]] = {}
        self._by_small_name: dict[str, list[Path]] = {}
        """By names in small letters, for tables of systems to which capitals make no difference."""
        for path in sorted(self.files):
            self._by_small_name.setdefault(path.name.casefold(), []).append(path)
            self._by_name.setdefault(path.name, []).append(path)
            self._by_name.setdefault(path.stem, []).append(path)

    def find(self, beside: Path, name: str, where: RowLocation) -> Path:
        """The image that a row names: by its path beside the table or below the folder, or by its name alone."""
        plain = Path(name.replace("\\", "/"))
        for candidate in (beside / plain, self.folder / plain):
            if candidate in self.files:
                return candidate
        found = self._by_name.get(plain.name) or self._by_small_name.get(plain.name.casefold(), [])
        if len(found) > 1:
            found = [path for path in found if path.parts[-2:] == plain.parts[-2:]] or found
        if len(found) > 1:
            shown = ", ".join(path.relative_to(self.folder).as_posix() for path in found[:3])
            raise where.error(f"{name!r} may be any of {shown}", advice="give the path of the image in the table")
        if not found:
            raise where.error(
                f"no image {name!r} beside the table or below {self.folder}",
                advice="unpack all images, or remove the row",
                kind=MissingFileError,
            )
        return found[0]


def _rows(table: Path) -> Iterator[tuple[RowLocation, dict[str, str]]]:
    return _json_rows(table) if table.suffix.lower() == ".jsonl" else read_rows(table)


def _json_rows(table: Path) -> Iterator[tuple[RowLocation, dict[str, str]]]:
    """The objects of JSON lines, names in small letters, values as text."""
    with open_table(table) as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            where = RowLocation(table, line=number)
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError("expected an object")
            except (ValueError, RecursionError) as error:
                reason = f"not a line of JSON ({error})"
                raise where.error(reason, advice="get the file again", code=DAMAGED) from None
            yield where, {str(key).lower(): "" if value is None else str(value).strip() for key, value in row.items()}


def _pick(row: dict[str, str], columns: Sequence[str]) -> str | None:
    """The cell of the first of these columns that the row has."""
    return next((row[name] for name in columns if name in row), None)


def _split(row: dict[str, str], table: Path, folder: Path, file: Path, where: RowLocation) -> str | None:
    """The split of a row: of its column, of the table, or of a folder of the image."""
    given = _pick(row, SPLIT_COLUMNS)
    if given is not None:
        split = split_of(given)
        if split is None:
            raise where.error(f"unknown split {given!r}", advice="expected train, validation or test")
        return split
    inner = "" if table.parent == folder else table.parent.name
    found = split_of(table.stem) or split_of(inner)
    for parent in file.relative_to(folder).parts[:-1]:
        found = found or split_of(parent)
    return found


def _emotions(texts: Sequence[str], locations: Sequence[RowLocation], labels: Sequence[str] | None) -> list[str]:
    """Labels as emotions in Mien's spelling."""
    if all(text.isdecimal() for text in texts):
        try:
            names = names_of_numbers({int(text) for text in texts}, labels)
        except MienError as error:
            raise error.with_path(locations[0].path) from None
        return [label_from_name(names[int(text)]) for text in texts]
    if labels is not None:
        raise InputError("the labels are names already", advice="leave labels out, or give 'own'")
    emotions = []
    for text, where in zip(texts, locations, strict=True):
        try:
            emotions.append(label_from_name(text))
        except InputError as error:
            raise where.error(
                error.reason,
                advice=f"{error.advice}, or give --labels own for classes of your own",
                code="label-unknown",
            ) from None
    return emotions
