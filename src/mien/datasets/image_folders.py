"""Image folders in the Kaggle layout: ``train/angry/*.jpg``, ``test/angry/*.jpg``, and optionally a validation folder.

Labels come from the *names* of the folders: the alphabetical order that loaders number them by is not FER2013's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import SPLIT_NAMES, Dataset, DatasetInfo
from mien.datasets.image_codec import gray_if_colourless, load_images
from mien.datasets.row_location import RowLocation
from mien.errors import DataError, InputError, MissingFileError
from mien.labels import FER2013, FERPLUS, OWN, Taxonomy, canonical

_logger = logging.getLogger(__name__)

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""Suffixes of images; other files are skipped."""


def read_image_folders(path: str | os.PathLike[str], size: int | None = None, *, own: bool = False) -> Dataset:
    """Read image folders.

    Args:
        path: the folder that holds ``train`` and, where present, ``test`` and ``validation`` (or ``valid``, ``val``).
        size: side in pixels to resize to; None keeps the size, which must then be the same for all images.
        own: whether the folders' names are classes of the dataset's own, whatever they are, instead of emotions.

    Returns:
        Images in the order of their paths, gray where all of them are gray. ``emotion`` is in the order of
        `mien.labels.FER2013`, of `mien.labels.FERPLUS` where there is a folder of contempt, or of the names of its own
        classes.

    Raises:
        MissingFileError: no such folder, or no images in it.
        DataError: another layout, a folder whose name is no emotion, or an unreadable image; names it.
    """
    root = Path(path)
    if not root.is_dir():
        raise MissingFileError("no such folder", path=root, advice="give the one that holds train/ and test/")
    folders = split_folders(root)
    if not folders:
        raise DataError(
            "no folder train, validation or test in it", path=root, advice="expected train/angry/*.jpg and so on"
        )
    files: list[Path] = []
    splits: list[str] = []
    names: list[str] = []
    for folder, split in folders:
        for label_folder in _subfolders(folder):
            label = label_folder.name if own else _label(label_folder)
            content = [p for p in label_folder.iterdir() if p.name[0] != "."]
            images_here = sorted(p for p in content if p.suffix.lower() in SUFFIXES)
            if len(images_here) < len(content):
                _logger.info("%s: skipped %d files that are no images", label_folder, len(content) - len(images_here))
            files += images_here
            splits += [split] * len(images_here)
            names += [label] * len(images_here)
    if not files:
        raise MissingFileError(
            "no images below train/<emotion>/", path=root, advice=f"expected {', '.join(sorted(SUFFIXES))}"
        )
    images = load_images(
        [RowLocation(file) for file in files],
        lambda i: np.frombuffer(files[i].read_bytes(), np.uint8),
        size,
    )
    taxonomy = Taxonomy(OWN, tuple(sorted(set(names)))) if own else smallest_taxonomy(names)
    if own and len(taxonomy) < 2:
        raise DataError("has images of one class alone", path=root, advice="a model needs at least two classes")
    return Dataset(
        images=gray_if_colourless(images),
        split=np.array(splits),
        row=np.arange(len(files), dtype=np.int32),
        emotion=label_indices(names, taxonomy),
        info=DatasetInfo(
            "folders",
            taxonomy=taxonomy.name,
            source="image folders named by class" if own else "image folders named by emotion",
            classes=taxonomy.names if own else (),
        ),
    )


def split_folders(root: Path) -> list[tuple[Path, str]]:
    """The sub-folders that are splits, each with its split."""
    return [
        (folder, SPLIT_NAMES[folder.name.lower()]) for folder in _subfolders(root) if folder.name.lower() in SPLIT_NAMES
    ]


def smallest_taxonomy(names: Iterable[str]) -> Taxonomy:
    """`mien.labels.FER2013`, or `mien.labels.FERPLUS` when "contempt" is among the names."""
    return FER2013 if set(names) <= set(FER2013.names) else FERPLUS


def label_indices(names: Iterable[str], taxonomy: Taxonomy) -> NDArray[np.int8]:
    """``(n,)`` int8: canonical emotion names as indices of the taxonomy."""
    return np.array([taxonomy.index[name] for name in names], np.int8)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def _label(folder: Path) -> str:
    try:
        return canonical(folder.name)
    except InputError as error:
        raise DataError(
            f"the folder's name is its label, and this one is none ({error.reason})",
            path=folder,
            advice=f"{error.advice}: rename it",
        ) from None
