"""Photos with faces for detectors: the value that every reader of such a layout returns, and the reader of Mien's own.

Layout of the Parquet file, one row per photo:
    ``image`` {bytes, path}; ``set``; ``width`` and ``height`` in pixels; ``faces``, a list of {``box`` xyxy pixels,
    ``landmarks`` five xy, ``by`` or ``trust``}; ``ignore``, a list of ignored boxes; ``licence``; ``source``, a
    repository and a file in it, separated by a space; ``labels``, how the labels were made; ``split``, train or
    validation.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.arrow import import_parquet
from mien.errors import DataError, InputError, MissingFileError

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

TRAIN, HELD_OUT = "train", "validation"
"""Names of the two sides of a split."""
SIZE_EDGES = (16, 32, 64, 128)
"""Face heights in pixels that separate the size groups: below the first, …, from the last on."""
_TRUST_PROPOSED = 0.3
SIZE_NAMES = ("<16", "16-32", "32-64", "64-128", ">=128")


@dataclass(frozen=True, slots=True, eq=False)
class DetectionPhotos:
    """Encoded photos and their faces as columns.

    Attributes:
        images: per photo the encoded file, or its path.
        sizes: ``(n, 2)`` int64 width and height in pixels; 0 where the layout does not state them.
        boxes: ``(m, 4)`` float32 xyxy pixels, the faces of the first photo first.
        landmarks: ``(m, 5, 2)`` float32 xy pixels: eye, eye, nose, mouth corner, mouth corner, left in the picture
            first; NaN where a face has none.
        trust: ``(m,)`` float32, how much the landmarks of a face count in training, 0–1.
        face_starts: ``(n + 1,)`` int64; the faces of photo i are rows ``face_starts[i]`` to ``face_starts[i + 1]``.
        ignored: ``(k, 4)`` float32 xyxy pixels, neither face nor background.
        ignored_starts: ``(n + 1,)`` int64, as ``face_starts``.
        subsets: per photo the part of the dataset it belongs to.
        sources: per photo where it came from. Photos of one source stay on one side of a split.
        files: per photo its name within the source.
        licences: per photo.
        splits: per photo "train" or "validation" (held out).
    """

    images: tuple[bytes | Path, ...]
    sizes: Integers
    boxes: Floats
    landmarks: Floats
    trust: Floats
    face_starts: Integers
    ignored: Floats
    ignored_starts: Integers
    subsets: tuple[str, ...]
    sources: tuple[str, ...]
    files: tuple[str, ...]
    licences: tuple[str, ...]
    splits: tuple[str, ...]

    def __post_init__(self) -> None:
        n, m, k = len(self.images), len(self.boxes), len(self.ignored)
        expected = {"sizes": (n, 2), "boxes": (m, 4), "landmarks": (m, 5, 2), "trust": (m,), "ignored": (k, 4)}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")
        for name, total in (("face_starts", m), ("ignored_starts", k)):
            starts = getattr(self, name)
            if starts.shape != (n + 1,) or starts[0] != 0 or starts[-1] != total or np.any(np.diff(starts) < 0):
                raise InputError(f"{name} must rise from 0 to {total} in {n + 1} steps")
        for name in ("subsets", "sources", "files", "licences", "splits"):
            if len(getattr(self, name)) != n:
                raise InputError(f"{name} must have one entry per photo, got {len(getattr(self, name))} for {n}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def face_counts(self) -> Integers:
        """``(n,)`` faces per photo."""
        return np.diff(self.face_starts)

    @property
    def heights(self) -> Floats:
        """``(m,)`` face heights in pixels."""
        return self.boxes[:, 3] - self.boxes[:, 1]

    def faces(self, photo: int) -> slice:
        """Rows of ``boxes`` and ``landmarks`` that belong to a photo."""
        return slice(int(self.face_starts[photo]), int(self.face_starts[photo + 1]))

    def ignored_boxes(self, photo: int) -> Floats:
        """``(k, 4)`` boxes of a photo that are neither face nor background."""
        return self.ignored[self.ignored_starts[photo] : self.ignored_starts[photo + 1]]

    def pixels(self, photo: int) -> NDArray[np.uint8]:
        """RGB uint8 ``(h, w, 3)``, the pixels as stored (a stored orientation is not applied).

        Raises:
            DataError: not a readable image.
        """
        from PIL import Image

        image = self.images[photo]
        try:
            with Image.open(io.BytesIO(image) if isinstance(image, bytes) else image) as opened:
                return np.asarray(opened.convert("RGB"), np.uint8)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"{self.sources[photo]} {self.files[photo]}: not a readable image ({error})") from None

    def select(self, photos: NDArray[np.integer] | NDArray[np.bool_] | Sequence[int]) -> DetectionPhotos:
        """The photos at these positions, or where the mask is true, in that order."""
        chosen = np.asarray(photos)
        chosen = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.int64)
        faces = _rows(self.face_starts, chosen)
        ignored = _rows(self.ignored_starts, chosen)
        positions = chosen.tolist()
        return DetectionPhotos(
            tuple(self.images[i] for i in positions),
            self.sizes[chosen],
            self.boxes[faces],
            self.landmarks[faces],
            self.trust[faces],
            _starts(self.face_counts[chosen]),
            self.ignored[ignored],
            _starts(np.diff(self.ignored_starts)[chosen]),
            tuple(self.subsets[i] for i in positions),
            tuple(self.sources[i] for i in positions),
            tuple(self.files[i] for i in positions),
            tuple(self.licences[i] for i in positions),
            tuple(self.splits[i] for i in positions),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PhotoLabels:
    """One photo while a reader collects them; see `DetectionPhotos` for the columns."""

    image: bytes | Path
    boxes: NDArray[np.floating]
    landmarks: NDArray[np.floating] | None = None
    trust: NDArray[np.floating] | None = None
    ignored: NDArray[np.floating] | None = None
    size: tuple[int, int] = (0, 0)
    subset: str = ""
    source: str = ""
    file: str = ""
    licence: str = ""
    split: str = TRAIN


def from_labels(photos: Iterable[PhotoLabels]) -> DetectionPhotos:
    """Columns from photos; a photo without landmarks gets NaN, one without trust full trust."""
    rows = list(photos)
    boxes = [np.asarray(row.boxes, np.float32).reshape(-1, 4) for row in rows]
    landmarks = [
        np.full((len(b), 5, 2), np.nan, np.float32)
        if row.landmarks is None
        else np.asarray(row.landmarks, np.float32).reshape(-1, 5, 2)
        for row, b in zip(rows, boxes, strict=True)
    ]
    trust = [
        np.ones(len(b), np.float32) if row.trust is None else np.asarray(row.trust, np.float32).reshape(-1)
        for row, b in zip(rows, boxes, strict=True)
    ]
    none = np.empty((0, 4), np.float32)
    ignored = [none if row.ignored is None else np.asarray(row.ignored, np.float32).reshape(-1, 4) for row in rows]
    return DetectionPhotos(
        tuple(row.image for row in rows),
        np.array([row.size for row in rows], np.int64).reshape(-1, 2),
        np.concatenate([none, *boxes]),
        np.concatenate([np.empty((0, 5, 2), np.float32), *landmarks]),
        np.concatenate([np.empty(0, np.float32), *trust]),
        _starts(np.array([len(b) for b in boxes], np.int64)),
        np.concatenate([none, *ignored]),
        _starts(np.array([len(b) for b in ignored], np.int64)),
        tuple(row.subset for row in rows),
        tuple(row.source for row in rows),
        tuple(row.file for row in rows),
        tuple(row.licence for row in rows),
        tuple(row.split for row in rows),
    )


def join_photos(parts: Sequence[DetectionPhotos]) -> DetectionPhotos:
    """The photos of several datasets, one dataset after the other."""
    return DetectionPhotos(
        tuple(image for part in parts for image in part.images),
        np.concatenate([part.sizes for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.landmarks for part in parts]),
        np.concatenate([part.trust for part in parts]),
        _starts(np.concatenate([part.face_counts for part in parts])),
        np.concatenate([part.ignored for part in parts]),
        _starts(np.concatenate([np.diff(part.ignored_starts) for part in parts])),
        *(
            tuple(value for part in parts for value in getattr(part, name))
            for name in ("subsets", "sources", "files", "licences", "splits")
        ),
    )


def read_detection(path: Path) -> DetectionPhotos:
    """Read a Parquet file of the layout that the head of this module describes.

    Raises:
        MissingFileError: no such file.
        DataError: a column is missing, or a row does not follow the layout.
        MissingExtraError: pyarrow is not installed.
    """
    pa, pq = import_parquet("reading a Parquet file")
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file: give the Parquet file of the detection photos")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error})") from None
    missing = {"image", "faces", "source"} - set(table.column_names)
    if missing:
        raise DataError(f"{path}: column {', '.join(sorted(missing))} is missing: expected image, faces and source")
    rows = table.to_pylist()
    return from_labels(_photo(path, number, row) for number, row in enumerate(rows))


def _photo(path: Path, number: int, row: Mapping[str, object]) -> PhotoLabels:
    """One row of the Parquet file."""
    image, faces, ignored = row["image"], row["faces"] or (), row.get("ignore") or ()
    data = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(data, bytes):
        raise DataError(f"{path}, row {number}: the image has no bytes")
    try:
        boxes = np.array([face["box"] for face in faces], np.float32)  # type: ignore[attr-defined]
        points = np.array(
            [face["landmarks"] or [[np.nan, np.nan]] * 5 for face in faces],  # type: ignore[attr-defined]
            np.float32,
        )
        source, _, file = str(row["source"]).partition(" ")
        return PhotoLabels(
            data,
            boxes,
            points,
            np.array([_trust(face) for face in faces], np.float32),  # type: ignore[attr-defined]
            np.array(ignored, np.float32),
            (int(str(row.get("width") or 0)), int(str(row.get("height") or 0))),
            str(row.get("set") or ""),
            source,
            file,
            str(row.get("licence") or "not stated"),
            str(row.get("split") or TRAIN),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}, row {number}: boxes or landmarks do not follow the layout ({error})") from None


def _trust(face: Mapping[str, Any]) -> float:
    """Landmarks that only the proposing detector gave are worth less than those by hand or of an enlarged crop."""
    if face.get("trust") is not None:
        return float(face["trust"])
    by = face.get("by")
    return _TRUST_PROPOSED if by is not None and set(by.split("+")) <= {"yunet", "centerface"} else 1.0


def split_by_source(photos: DetectionPhotos, held_out: Collection[str]) -> tuple[DetectionPhotos, DetectionPhotos]:
    """Photos to train on and photos held out. A source is held out whole, never some of its photos.

    Args:
        photos: all photos.
        held_out: names of sources, or beginnings of names that end in "/" (an owner of repositories).

    Raises:
        InputError: a name fits no photo, or one side is empty.
    """
    names = set(photos.sources)
    for name in held_out:
        if not any(_fits(source, name) for source in names):
            raise InputError(f"no photo comes from {name!r}: sources are {', '.join(sorted(names)[:10])} …")
    out = {source for source in names if any(_fits(source, name) for name in held_out)}
    mask = np.array([source in out for source in photos.sources], np.bool_)
    if mask.all() or not mask.any():
        raise InputError("a split needs photos on both sides: name some sources, not all")
    return photos.select(~mask), photos.select(mask)


def hold_out_sources(photos: DetectionPhotos, sources: Collection[str]) -> DetectionPhotos:
    """The same photos, those of these sources held out and all others to train on."""
    return replace(photos, splits=tuple(HELD_OUT if source in sources else TRAIN for source in photos.sources))


def choose_sources(photos: DetectionPhotos, share: float = 0.12, seed: int = 0) -> tuple[str, ...]:
    """Sources to hold out, such that about ``share`` of the faces of every size and of the face-free photos is in them.

    Deterministic: sources in a seeded order, each taken when it brings the counts nearer to their goal.

    Raises:
        InputError: ``share`` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise InputError(f"share must lie between 0 and 1, got {share}")
    names = sorted(set(photos.sources))
    position = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(names), len(SIZE_NAMES) + 1))
    rows = np.array([position[source] for source in photos.sources], np.int64)
    owner = np.repeat(rows, photos.face_counts)
    np.add.at(counts, (owner, size_groups(photos.heights)), 1)
    np.add.at(counts[:, -1], rows[photos.face_counts == 0], 1)
    total = counts.sum(axis=0)
    relative = counts / np.where(total > 0, total, 1)
    goal = np.where(total > 0, share, 0.0)
    taken, held = np.zeros(len(goal)), []
    for i in np.random.default_rng(seed).permutation(len(names)).tolist():
        after = taken + relative[i]
        if np.abs(after - goal).sum() < np.abs(taken - goal).sum() and after.max() <= 1.5 * share:
            taken = after
            held.append(names[i])
    return tuple(sorted(held))


def size_groups(heights: NDArray[np.floating]) -> Integers:
    """``(n,)`` index into `SIZE_NAMES` per face height in pixels."""
    return np.searchsorted(np.array(SIZE_EDGES), np.asarray(heights), side="right").astype(np.int64)


def count_sizes(photos: DetectionPhotos) -> dict[str, int]:
    """Faces per size group."""
    counts = np.bincount(size_groups(photos.heights), minlength=len(SIZE_NAMES))
    return dict(zip(SIZE_NAMES, counts.tolist(), strict=True))


def count_licences(photos: DetectionPhotos) -> dict[str, int]:
    """Photos per licence, the most frequent first."""
    return dict(Counter(photos.licences).most_common())


def _fits(source: str, name: str) -> bool:
    return source == name or (name.endswith("/") and source.startswith(name))


def _starts(counts: NDArray[np.integer]) -> Integers:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _rows(starts: Integers, photos: Integers) -> Integers:
    """Rows of these photos, one photo after the other."""
    return np.concatenate(
        [np.empty(0, np.int64), *(np.arange(starts[i], starts[i + 1], dtype=np.int64) for i in photos)]
    )
