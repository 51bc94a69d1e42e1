"""The table of dataset formats, and their detection. To add one, write a reader in a file of its own and a row here."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mien.dataset_terms import DATASET_TERMS
from mien.datasets import (
    archives,
    combined_faces,
    fairface,
    fer2013,
    image_folders,
    listed_images,
    prepared_file,
    rafdb,
)
from mien.datasets import hugging_face as hf
from mien.datasets.arrow import read_schema
from mien.datasets.dataset import Dataset
from mien.datasets.image_codec import CropFunction
from mien.datasets.text_tables import read_header
from mien.errors import DataError, InputError, MissingFileError, unknown_name
from mien.labels import OWN
from mien.logger import get_logger

_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options of readers; a reader refuses those that it does not take.

    Attributes:
        size: side in pixels to resize to; None keeps the size.
        labels: names of labels that are numbers, in their order or as ``NUMBER=NAME``; ``("own",)`` where the labels
            are classes of the dataset's own.
        crop: crops the face of each image, see `mien.datasets.image_codec.load_faces`; needs ``size``.
        progress: called with (images done, images in all) while cropping.

    Examples:
        >>> ReadOptions(labels=("own",)).own, ReadOptions(labels=("0=calm", "1=tense")).names
        (True, ('0=calm', '1=tense'))
    """

    size: int | None = None
    labels: tuple[str, ...] | None = None
    crop: CropFunction | None = None
    progress: Callable[[int, int], None] | None = None

    @property
    def own(self) -> bool:
        """Whether the labels are classes of the dataset's own."""
        return self.labels == (OWN,)

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of labels that are numbers."""
        return None if self.own else self.labels


@dataclass(frozen=True, slots=True)
class DatasetFormat:
    """One layout on disk, with its reader.

    Attributes:
        description: the files, for people.
        licence: one line.
        read: the reader.
        takes: names of the fields of `ReadOptions` that the reader takes.

    Examples:
        >>> sorted(DATASET_FORMATS["folders"].takes)
        ['crop', 'labels', 'size']
    """

    description: str
    licence: str
    read: Callable[[Path, ReadOptions], Dataset]
    takes: frozenset[str] = frozenset()


DATASET_FORMATS: Mapping[str, DatasetFormat] = {
    "fer2013": DatasetFormat(
        "FER2013: fer2013.csv or icml_face_data.csv (emotion,pixels,Usage), plain, .gz, .zip or .tar.gz, or the folder "
        "that holds it",
        DATASET_TERMS["fer2013"].licence,
        lambda path, options: fer2013.read_fer2013(_fer2013_csv(path) or path, options.names),
        frozenset({"labels"}),
    ),
    "folders": DatasetFormat(
        "image folders named by emotion: train/angry/*.jpg, test/…, as FER2013 on Kaggle; or angry/*.jpg, no splits",
        DATASET_TERMS["fer2013"].licence,
        lambda path, options: image_folders.read_image_folders(
            path,
            options.size,
            own=options.own,
            labels=options.names,
            crop=options.crop,
            progress=options.progress,
        ),
        frozenset({"size", "labels", "crop"}),
    ),
    "listed": DatasetFormat(
        "images with a table of their labels: metadata.csv, labels.csv or .jsonl with the columns file_name and label",
        "see where the dataset comes from",
        lambda path, options: listed_images.read_listed(
            path,
            options.size,
            own=options.own,
            labels=options.names,
            crop=options.crop,
            progress=options.progress,
        ),
        frozenset({"size", "labels", "crop"}),
    ),
    "hf": DatasetFormat(
        "emotions in Hugging Face Parquet or Arrow: train-….parquet, test-….parquet with image and label columns",
        "see the dataset's own card",
        lambda path, options: hf.read_hugging_face(
            path, options.names, options.size, own=options.own, crop=options.crop, progress=options.progress
        ),
        frozenset({"size", "labels", "crop"}),
    ),
    "fairface": DatasetFormat(
        "FairFace: train and validation Parquet, or fairface_label_*.csv beside the image folders",
        DATASET_TERMS["fairface"].licence,
        lambda path, options: fairface.read_fairface(
            path, size=options.size, crop=options.crop, progress=options.progress
        ),
        frozenset({"size", "crop"}),
    ),
    "rafdb": DatasetFormat(
        "RAF-DB basic: EmoLabel/list_patition_label.txt and Image/aligned/*.jpg, or train/1 to train/7 with "
        "train_labels.csv, as on Kaggle",
        DATASET_TERMS["rafdb"].licence,
        lambda path, options: rafdb.read_rafdb(path, options.size),
        frozenset({"size"}),
    ),
    "combined-faces": DatasetFormat(
        "UTKFace and facial-age with ages in years: Parquet with the columns image, age, source and duplicate",
        DATASET_TERMS["combined-faces"].licence,
        lambda path, options: combined_faces.read_combined_faces(path, options.size),
        frozenset({"size"}),
    ),
    "prepared": DatasetFormat(
        "a file that `mien data prepare` wrote",
        "that of the dataset it was made from",
        lambda path, options: prepared_file.read_prepared(path),
    ),
}
"""Name of the format → its description and reader.

Examples:
    >>> list(DATASET_FORMATS)
    ['fer2013', 'folders', 'listed', 'hf', 'fairface', 'rafdb', 'combined-faces', 'prepared']
"""


def read_dataset(path: str | os.PathLike[str], kind: str = "auto", options: ReadOptions | None = None) -> Dataset:
    """Read a dataset in any known layout.

    Args:
        path: file or folder; an archive (.zip, .tar, .tar.gz) is unpacked into a temporary folder where it has to be.
        kind: a key of `DATASET_FORMATS`, or "auto" to detect it.
        options: of the reader.

    Raises:
        MissingFileError: no such file or folder.
        InputError: an unknown kind, or an option that it does not take.
        DataError: an unknown layout (code "dataset-unrecognised"), or a damaged dataset.

    Examples:
        >>> from mien.datasets.image_folder_writer import write_image_folders
        >>> write_image_folders(dataset, "folders")
        70
        >>> read = read_dataset("folders")
        >>> read.info.name, len(read), read.size
        ('folders', 70, (48, 48))
    """
    source, options = Path(path), options or ReadOptions()
    if kind not in ("auto", *DATASET_FORMATS):
        raise unknown_name("kind", kind, ("auto", *DATASET_FORMATS))
    with _unpacked(source) as place:
        name = detect_format(place, own=options.own) if kind == "auto" else kind
        format_ = DATASET_FORMATS[name]
        for option in ("size", "labels", "crop"):
            if getattr(options, option) is not None and option not in format_.takes:
                raise InputError(f"{option} has no meaning for {name}", advice="leave it out")
        if options.own and name == "fer2013":
            raise InputError("labels of FER2013's CSV are emotions", advice="leave labels out, or give their names")
        _logger.info("%s: read as %s", source, name)
        return format_.read(place, options)


def detect_format(path: str | os.PathLike[str], *, own: bool = False) -> str:
    """The key of `DATASET_FORMATS` that a file or folder has the layout of.

    Args:
        path: file or folder.
        own: names of folders may be classes of the dataset's own.

    Raises:
        MissingFileError: no such file or folder.
        DataError: none of them (code "dataset-unrecognised"); with ``own`` a folder without two folders of images
            (codes "one-class", "no-classes").

    Examples:
        >>> detect_format("made.parquet")
        'prepared'
    """
    source = Path(path)
    if not source.exists():
        raise MissingFileError("no such file or folder", path=source)
    with _unpacked(source) as place:
        kind = _folder_kind(place, own=own) if place.is_dir() else _file_kind(place)
        if kind is None:
            raise _no_classes(place) if own and place.is_dir() else _unrecognised(place)
    return kind


def _no_classes(place: Path) -> DataError:
    """What a folder of own classes lacks."""
    example = "give a folder that holds one folder of images per class, such as smiling/ and other/"
    folders = [folder for folder in image_folders.subfolders(place) if image_folders.holds_images(folder)]
    if image_folders.only_splits(place):
        return image_folders.no_classes_in_splits(place)
    if not folders:
        return DataError("holds no folders of images", path=place, advice=example, code="no-classes")
    return DataError(
        f"has one class, {folders[0].name!r}, and two are needed",
        path=place,
        advice=f"add images of what is not in the class, in a folder beside it; {example}",
        code="one-class",
    )


def _unrecognised(place: Path) -> DataError:
    """What is there, and what was expected."""
    known = "; ".join(f"{name} – {one.description}" for name, one in DATASET_FORMATS.items())
    reason = "not a known dataset"
    if place.is_dir():
        if image_folders.only_splits(place) and image_folders.holds_images(place):
            return image_folders.no_classes_in_splits(place)
        folders = [folder.name for folder in image_folders.subfolders(place) if image_folders.holds_images(folder)]
        if folders:
            shown = f"{', '.join(folders[:5])}{', …' if len(folders) > 5 else ''}"
            reason += f": its folders of images ({shown}) are no emotions; give --labels own if they are classes"
        elif results := [file for file in sorted(place.glob("*.parquet")) if prepared_file.is_prepared(file)]:
            reason += f": of its files {results[0].name} is a prepared one; give that file"
    return DataError(reason, path=place, advice=f"expected one of: {known}", code="dataset-unrecognised")


@contextlib.contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """The path itself, or for an archive of more than one table the folder that it was unpacked into."""
    names = archives.member_names(path) if path.is_file() else None
    if names is None or _is_one_table(names):
        yield path
        return
    with archives.extracted(path) as folder:
        yield folder


def _is_one_table(names: Sequence[str]) -> bool:
    """Whether the files of an archive are a CSV of FER2013 and what describes it."""
    own = [PurePosixPath(name).name.lower() for name in names]
    if set(own) & set(fer2013.FILES):
        return True
    tables = [name for name in own if name.endswith(".csv")]
    others = [name for name in own if PurePosixPath(name).suffix in image_folders.SUFFIXES | hf.SUFFIXES]
    return len(tables) == 1 and not others


def _folder_kind(folder: Path, *, own: bool) -> str | None:
    if rafdb.find_root(folder) is not None:
        return "rafdb"
    if fairface.csv_files(folder):
        return "fairface"
    if _fer2013_csv(folder) is not None:
        return "fer2013"
    tables = hf.find_tables(folder)
    kind = _parquet_kind(tables[0]) if tables else None
    if kind is not None:
        return kind
    root = None if own else image_folders.find_root(folder)
    names = [] if root is None else image_folders.collect_classes(root).names
    if root is not None and not any(name.isdecimal() for name in names):
        return "folders"
    if rafdb.is_numbered(folder):
        return "rafdb"
    if listed_images.find_tables(folder):
        return "listed"
    return "folders" if image_folders.find_root(folder, own=own) is not None else None


def _file_kind(path: Path) -> str | None:
    with path.open("rb") as stream:
        magic = stream.read(6)
    if magic[:4] == b"PAR1":
        return _parquet_kind(path)
    if path.suffix.lower() == ".arrow":
        return "hf"
    if path.suffix.lower() == ".jsonl":
        return "listed" if listed_images.is_table(path) else None
    with fer2013.open_text(path) as text:
        words = set(read_header(text)[0])
    if "pixels" in words:
        return "fer2013"
    if {"file", "age"} <= words:
        return "fairface"
    return "listed" if listed_images.is_table(path) else None


def _parquet_kind(path: Path) -> str | None:
    if path.suffix.lower() == ".arrow":
        return "hf"
    schema = read_schema(path)
    columns = set(schema.names)
    if prepared_file.METADATA_KEY in (schema.metadata or {}):
        return "prepared"
    if columns >= combined_faces.COLUMNS:
        return "combined-faces"
    if columns & set(hf.IMAGE_COLUMNS) and {"age", "race"} <= columns:
        return "fairface"
    return "hf" if columns & set(hf.IMAGE_COLUMNS) and columns & set(hf.LABEL_COLUMNS) else None


def _fer2013_csv(path: Path) -> Path | None:
    """The file of FER2013 in a folder, or in the only folder in it."""
    if not path.is_dir():
        return None
    below = image_folders.subfolders(path)
    folders: list[Path] = [path, *(below if len(below) == 1 or (path / "fer2013").is_dir() else ())]
    found = next((folder / name for folder in folders for name in fer2013.FILES if (folder / name).is_file()), None)
    if found is not None:
        return found
    # Kaggle's train.csv, or a copy under another name
    tables = [file for file in sorted(path.glob("*.csv")) if fer2013.has_columns(file)]
    return tables[0] if len(tables) == 1 else None
