"""Folders of images named by class, as people have them: with splits above or below the classes, or without.

    train/angry/*.jpg, test/angry/*.jpg        as FER2013 on Kaggle; also Training, valid, PublicTest, "Test set" …
    angry/*.jpg, happy/*.jpg                   without splits: new ones are made
    angry/train/*.jpg, angry/test/*.jpg        splits below the classes
    archive/images/train/angry/*.jpg           the same in other folders
    train/0_neutral/*.jpg, train/3/*.jpg       numbers before the names, or alone with names given for them

Labels come from the *names* of the folders: the alphabetical order that loaders number them by is not FER2013's.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mien.datasets.dataset import Dataset, DatasetInfo, split_of
from mien.datasets.image_codec import CropFunction, gray_if_colourless, load_faces
from mien.datasets.label_names import (
    is_label,
    label_from_name,
    label_indices,
    names_of_numbers,
    own_taxonomy,
    smallest_taxonomy,
)
from mien.datasets.resplit import make_splits
from mien.datasets.row_location import RowLocation
from mien.errors import DataError, InputError, MienError, MissingFileError
from mien.labels import OWN
from mien.logger import get_logger

_logger = get_logger(__name__)

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm", ".pnm"}
)
"""Suffixes of images; other files are left out, with a note."""
_DEEPEST = 4
"""Folders inside one another that are searched for the one that holds the classes."""
_NAMED = 3
"""Names of files or folders that a note quotes."""


@dataclass(slots=True)
class ClassFolders:
    """What was found below a folder.

    Attributes:
        files: images.
        splits: split of each; None for none.
        names: name of the folder that is the class of each.
        left_out: files that are no images, and folders and images that belong to no class.
    """

    files: list[Path] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)

    def add(self, folder: Path, split: str | None, name: str) -> None:
        """All images below a folder, in the order of their paths."""
        before = len(self.files)
        for path in sorted(folder.rglob("*")):
            if path.is_dir() or _hidden(path, folder):
                continue
            if path.suffix.lower() in SUFFIXES:
                self.files.append(path)
                self.splits.append(split)
                self.names.append(name)
            else:
                self.left_out.append(path)
        if len(self.files) == before:
            self.left_out.append(folder)


def read_image_folders(
    path: str | os.PathLike[str],
    size: int | None = None,
    *,
    own: bool = False,
    labels: Sequence[str] | None = None,
    crop: CropFunction | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Read image folders.

    Args:
        path: a folder of one of the layouts above.
        size: side in pixels to resize to; None keeps the size, which must then be the same for all images.
        own: whether the folders' names are classes of the dataset's own, whatever they are, instead of emotions.
        labels: names of the classes where the folders are numbers, in their order, or as ``NUMBER=NAME``.
        crop: crops the face of each image, see `mien.datasets.image_codec.load_faces`; needs ``size``.
        progress: called with (images done, images in all) while cropping.

    Returns:
        Images in the order of their paths, gray where all of them are gray. ``emotion`` is in the order of
        `mien.labels.FER2013`, of `mien.labels.FERPLUS` where there is a folder of contempt, or of the names of its own
        classes. Without splits new ones are made, see `mien.datasets.resplit.make_splits`. What was left out is noted.

    Raises:
        MissingFileError: no such folder, or no images in it.
        DataError: another layout, a folder whose name is no emotion, only splits without classes, or an unreadable
            image; names it.
    """
    root = Path(path)
    if not root.is_dir():
        raise MissingFileError("no such folder", path=root, advice="give the one that holds train/ and test/")
    base = find_root(root, own=own)
    if own and base is not None and not _split_folders(base) and only_splits(base):
        raise no_classes_in_splits(base)
    if base is None:
        raise DataError(
            "no folders of classes in it",
            path=root,
            advice="expected train/angry/*.jpg, test/angry/*.jpg, or angry/*.jpg without splits",
        )
    found = collect_classes(base)
    if not found.files:
        raise MissingFileError(
            "no images below its folders of classes", path=root, advice=f"expected {', '.join(sorted(SUFFIXES))}"
        )
    if own:
        names = found.names
    else:
        known = {name: _label(base, found, name, labels) for name in dict.fromkeys(found.names)}
        names = [known[name] for name in found.names]
    try:
        taxonomy = own_taxonomy(names) if own else smallest_taxonomy(names)
    except MienError as error:
        raise error.with_path(root) from None
    images, detected = load_faces(
        [RowLocation(file) for file in found.files],
        lambda i: np.frombuffer(found.files[i].read_bytes(), np.uint8),
        size,
        crop,
        progress,
    )
    data = Dataset(
        images=gray_if_colourless(images),
        split=np.array([split or "train" for split in found.splits]),
        row=np.arange(len(found.files), dtype=np.int32),
        emotion=label_indices(names, taxonomy),
        found=detected,
        info=DatasetInfo(
            "folders",
            taxonomy=taxonomy.name,
            source="image folders named by class" if own else "image folders named by emotion",
            notes=(*left_out_notes(base, found.left_out), *(_inner_notes(base) if own else ())),
            classes=taxonomy.names if taxonomy.name == OWN else (),
        ),
    )
    return data if all(found.splits) else make_splits(data)


def find_root(path: Path, *, own: bool = False, depth: int = _DEEPEST) -> Path | None:
    """The folder that holds splits or classes: ``path``, or the only one below it that does; None for none.

    Args:
        path: where to search.
        own: any name of a folder is a class.
        depth: folders inside one another at most.

    Raises:
        DataError: several folders below do, such as those of two datasets.
    """
    if _split_folders(path) or _class_folders(path, own=own):
        return path
    if depth == 0:
        return None
    found = [root for folder in subfolders(path) if (root := find_root(folder, own=own, depth=depth - 1)) is not None]
    if len(found) > 1:
        raise DataError(
            f"holds several datasets: {', '.join(str(root.relative_to(path)) for root in found[:_NAMED])}",
            path=path,
            advice="give the folder of one of them",
        )
    return found[0] if found else None


def left_out_notes(
    root: Path, paths: Iterable[Path], images: str = "images outside of the folders of classes"
) -> tuple[str, ...]:
    """One note on the files and folders of a source that were left out, by suffix; none where there are none.

    Args:
        root: the folder of the source.
        paths: what was left out.
        images: what images that were left out are called.
    """
    kinds: dict[str, list[Path]] = {}
    for path in paths:
        if path.is_dir():
            kind = "folders of other names" if holds_images(path) else "folders without images"
        elif path.suffix.lower() in SUFFIXES:
            kind = images
        else:
            kind = f"files of kind {path.suffix.lower()}" if path.suffix else "files of no kind"
        kinds.setdefault(kind, []).append(path)
    notes = []
    for kind, found in kinds.items():
        names = ", ".join(path.relative_to(root).as_posix() for path in found[:_NAMED])
        more = ", …" if len(found) > _NAMED else ""
        notes.append(f"left out {len(found):,} {kind} ({names}{more})")
    return tuple(notes)


def _inner_notes(root: Path) -> tuple[str, ...]:
    """A note where all classes hold the same folders, for then these may be the classes that were meant."""
    roots = [_below_wrappers(folder) for folder, _ in _split_folders(root)] or [root]
    classes = [folder for base in roots for folder in subfolders(base) if holds_images(folder)]
    inner = {tuple(one.name for one in subfolders(folder) if holds_images(one)) for folder in classes}
    names = next(iter(inner)) if len(inner) == 1 else ()
    if len(names) < 2 or any(only_splits(folder) for folder in classes):
        return ()
    outer, below = (
        ", ".join(some[:_NAMED]) + (", …" if len(some) > _NAMED else "")
        for some in (list(dict.fromkeys(folder.name for folder in classes)), names)
    )
    return (f"the classes are {outer}; each of them holds the folders {below}: if those are meant, put them above",)


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, without hidden ones."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not _hidden(p, folder))


def holds_images(folder: Path) -> bool:
    """Whether there are images in a folder or below it."""
    return any(path.suffix.lower() in SUFFIXES and not _hidden(path, folder) for path in folder.rglob("*.*"))


def _split_folders(root: Path) -> list[tuple[Path, str]]:
    """The folders that are splits, each with its split: train among them, or splits alone; with classes inside."""
    folders = subfolders(root)
    splits = [(folder, split) for folder in folders if (split := split_of(folder.name)) is not None]
    if not any(split == "train" for _, split in splits) and len(splits) < len(folders):
        return []
    return splits if any(subfolders(folder) for folder, _ in splits) else []


def _class_folders(root: Path, *, own: bool) -> list[Path]:
    """The folders that are classes: named as emotions or numbers, or of any names where there are two with images."""
    folders = subfolders(root)
    if own:
        classes = [folder for folder in folders if holds_images(folder)]
        return classes if len(classes) > 1 else []
    classes = [folder for folder in folders if is_label(folder.name) or folder.name.isdecimal()]
    return classes if any(holds_images(folder) for folder in classes) else []


def no_classes_in_splits(folder: Path) -> DataError:
    """The error about a folder of splits that hold images without folders of classes."""
    names = [one.name for one in subfolders(folder)]
    return DataError(
        f"its folders are splits ({', '.join(names)}) and hold images without a class",
        path=folder,
        advice=f"put the images of each class in a folder of its own, such as {names[0]}/smiling/",
        code="no-classes",
    )


def only_splits(folder: Path) -> bool:
    """Whether the folders in a folder are splits, all of them."""
    below = subfolders(folder)
    return bool(below) and all(split_of(one.name) is not None for one in below)


def _images_in(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())


def collect_classes(root: Path) -> ClassFolders:
    """The images of the classes below a folder that `find_root` returned, and what else is there."""
    found = ClassFolders()
    splits = _split_folders(root)
    if splits:
        _leave_out(found, root, {folder for folder, _ in splits})
        for folder, split in splits:
            inner = _below_wrappers(folder)
            _leave_out(found, inner, set(subfolders(inner)))
            for label_folder in subfolders(inner):
                found.add(label_folder, split, label_folder.name)
        return found
    folders = subfolders(root)
    _leave_out(found, root, set(folders))
    for label_folder in folders:
        if only_splits(label_folder):
            _leave_out(found, label_folder, set(subfolders(label_folder)))
            for folder in subfolders(label_folder):
                found.add(folder, split_of(folder.name), label_folder.name)
        else:
            found.add(label_folder, None, label_folder.name)
    return found


def _below_wrappers(folder: Path) -> Path:
    """The folder of the classes in that of a split: ``train/images`` where that alone is in it."""
    below = subfolders(folder)
    while len(below) == 1 and not is_label(below[0].name) and not _images_in(below[0]) and subfolders(below[0]):
        folder = below[0]
        below = subfolders(folder)
    return folder


def _leave_out(found: ClassFolders, folder: Path, taken: set[Path]) -> None:
    found.left_out += sorted(path for path in folder.iterdir() if path not in taken and not _hidden(path, folder))


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith((".", "__")) for part in path.relative_to(root).parts)


def _label(root: Path, found: ClassFolders, name: str, labels: Sequence[str] | None) -> str:
    """The emotion that a folder's name means."""
    if name.isdecimal():
        numbers = {int(each) for each in found.names if each.isdecimal()}
        try:
            return label_from_name(names_of_numbers(numbers, labels)[int(name)])
        except MienError as error:
            raise error.with_path(root) from None
    try:
        return label_from_name(name)
    except InputError as error:
        others = Counter(each for each in found.names if not is_label(each))
        unknown = "" if len(others) < 2 else f"; neither are {', '.join(list(others)[:10])}"
        folder = next(file for file, each in zip(found.files, found.names, strict=True) if each == name).parent
        raise DataError(
            f"the folder's name is its label, and this one is none ({error.reason}{unknown})",
            path=folder,
            advice=f"{error.advice}: rename it, or give --labels own for classes of your own",
            code="label-unknown",
        ) from None
