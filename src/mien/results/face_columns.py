"""The one table of what is known of a face: its columns in photos and videos, and the records they are read from.

A record is one row: a face, or a picture or frame without any. Memory, raw files, CSV, Parquet, JSON lines, data frames
and the JSON Schema hold the same columns, because all of them follow from this table and from the models' heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, MissingExtraError
from mien.models.card import Head
from mien.results.columns import (
    AnyKey,
    Column,
    check_names,
    column_names,
    csv_values,
    flat_values,
    head_name,
    json_objects,
    pandas_types,
    plain_numbers,
    readable,
)
from mien.results.prediction import Predictions
from mien.results.view import FLAGS, MEASURES, POSE, face_flags, head_pose
from mien.text import count, listing, quoted_end

if TYPE_CHECKING:
    import pandas as pd

N_LANDMARKS = 5
"""Landmarks per face: two eyes, nose, two mouth corners; of each pair the one further left in the picture first."""
EMOTION, AGE = "emotion", "age"
"""Names of the heads of the shipped models."""
Records = NDArray[np.void]
"""``(n,)`` of a `record_dtype`."""
Heads = Mapping[str, Head]
"""Name of a head in results → its labels and their order."""


def record_dtype(heads: Heads, *, video: bool) -> np.dtype[np.void]:
    """The fields of one record, little-endian and packed.

    ``face`` is the number of the face in its picture, from 1; −1 in the record of a picture or frame without a face;
    ``landmarks`` are NaN where the detector has none, ``measures`` (`mien.results.view.MEASURES`) where unknown. Each
    head has a field of its name with its distribution. In videos a nominal head has ``NAME/smoothed``, ``NAME/label``
    and ``NAME/vote`` (indices of labels, −1 for none) and ``NAME/vote_share``, ``/vote_low``, ``/vote_high`` as well.
    """
    fields: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = [
        ("face", "<i4"), ("box", "<f4", (4,)), ("score", "<f4"), ("landmarks", "<f4", (N_LANDMARKS, 2)),
        ("measures", "<f4", (len(MEASURES),)),
    ]  # fmt: skip
    if video:
        fields += [("frame", "<i8"), ("time", "<f8"), ("track", "<i4"), ("detected", "?"), ("cut", "?")]
    for name, head in heads.items():
        fields.append((name, "<f4", (len(head.labels),)))
        if video and not head.ordered:
            fields.append((f"{name}/smoothed", "<f4", (len(head.labels),)))
            fields += [(f"{name}/label", "<i2"), (f"{name}/vote", "<i2")]
            fields += [(f"{name}/vote_{end}", "<f4") for end in ("share", "low", "high")]
    try:
        return np.dtype(fields)
    except ValueError as error:
        raise InputError(f"two heads have the same name, or one has that of a column ({error})") from error


def empty_records(n: int, dtype: np.dtype[np.void]) -> Records:
    """``(n,)`` records of unknown values: NaN, or −1 for indices."""
    records = np.zeros(n, dtype)
    for name in dtype.names or ():
        kind = dtype[name].base.kind
        if kind == "f" and name != "time":
            records[name] = np.nan
        elif name in ("face", "track") or name.endswith(("/label", "/vote")):
            records[name] = -1
    return records


@dataclass(frozen=True, slots=True, eq=False)
class FaceTable:
    """Records with the heads and the source that they need to be read.

    Attributes:
        records: ``(n,)`` of `record_dtype`.
        heads: the heads that the records hold.
        source: path or name of the picture or video, None for none.
        video: whether they are those of a video.

    Examples:
        >>> table = report.rows
        >>> table
        FaceTable('clip.mp4', 50 rows, heads emotion, age)
        >>> len(table), bool(table.is_face.all()), table.predictions("emotion").probabilities.shape
        (50, True, (50, 8))
        >>> table.pose.shape, table.flags.shape, [column.name for column in table.columns][:3]
        ((50, 3), (50, 6), ['source', 'frame', 'time'])
        >>> len(table.rows(0, 10).followed_by([table.rows(0, 10)]))
        20
        >>> table.to_columns()["emotion"][:2], table.to_csv_columns()["track"][:2], len(table.to_pandas())
        (['happy', 'neutral'], [1, 2], 50)
        >>> FaceTable.empty(table.heads, None, video=True)
        FaceTable(0 rows, heads emotion, age)
    """

    records: Records
    heads: Heads
    source: str | None
    video: bool

    def __repr__(self) -> str:
        parts = [] if self.source is None else [quoted_end(self.source)]
        parts += [count(len(self), "row"), f"heads {listing([ascii(name)[1:-1] for name in self.heads]) or 'none'}"]
        return f"FaceTable({', '.join(parts)})"

    @property
    def is_face(self) -> NDArray[np.bool_]:
        """``(n,)`` False in the records of pictures and frames without a face."""
        return np.asarray(self.records["face"] >= 0, np.bool_)

    def __post_init__(self) -> None:
        if self.records.dtype != record_dtype(self.heads, video=self.video):
            raise InputError("the records have other columns than these heads, so they come from another model")

    def __len__(self) -> int:
        return len(self.records)

    @classmethod
    def empty(cls, heads: Heads, source: str | None, *, video: bool) -> FaceTable:
        """A table without rows.

        Args:
            heads: of its columns.
            source: path or name, None for none.
            video: whether its rows are those of a video.
        """
        return cls(np.zeros(0, record_dtype(heads, video=video)), heads, source, video)

    def rows(self, start: int, stop: int) -> FaceTable:
        """A stretch of the table.

        Args:
            start: number of the first row, from 0.
            stop: number of the row behind the last.
        """
        return replace(self, records=self.records[start:stop])

    def followed_by(self, tables: Iterable[FaceTable]) -> FaceTable:
        """With the rows of further tables of the same heads."""
        return replace(self, records=np.concatenate([self.records, *(table.records for table in tables)]))

    def predictions(self, head: str) -> Predictions:
        """The distributions of one head."""
        return Predictions(self.heads[head], np.ascontiguousarray(self.records[head]))

    @property
    def pose(self) -> NDArray[np.float32]:
        """``(n, 3)`` degrees; see `mien.results.view.head_pose`."""
        return head_pose(self.records["landmarks"])

    @property
    def flags(self) -> NDArray[np.float32]:
        """``(n, 6)``; see `mien.results.view.face_flags`."""
        box = self.records["box"]
        sizes = np.minimum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
        return face_flags(sizes, self.pose, self.records["measures"])

    @property
    def columns(self) -> tuple[Column[FaceTable], ...]:
        """Its columns, in order."""
        return face_columns(self.heads, video=self.video)

    def to_columns(self) -> dict[str, list[Any]]:
        """Column name → one Python value per row, None where nothing is known."""
        return flat_values(self.columns, self)

    def to_csv_columns(self) -> dict[str, list[Any]]:
        """`to_columns` as cells of a CSV file; see `mien.csv_cells`."""
        return csv_values(self.columns, self)

    def to_pandas(self) -> pd.DataFrame:
        """`to_columns` as a data frame; needs pandas (extra ``tables``).

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError("pandas", "tables", "a data frame") from None
        return pd.DataFrame(self.to_columns()).astype(pandas_types(self.columns))


def face_columns(heads: Heads, *, video: bool) -> tuple[Column[FaceTable], ...]:
    """The columns of photos or videos with predictions of these heads; `InputError` where two have one name.

    Args:
        heads: name in results → head.
        video: whether the columns are those of videos.

    Examples:
        >>> [column.name for column in face_columns(result.heads, video=False)][:6]
        ['source', 'face', 'x1', 'y1', 'x2', 'y2']
    """
    before = _VIDEO if video else _PHOTO
    after = _VIDEO_END if video else ()
    columns = (*before, *_FACE, *after, *(c for name, head in heads.items() for c in head_columns(name, head, video)))
    check_names(columns)
    return columns


def mixed_columns(heads: Heads) -> tuple[Column[FaceTable], ...]:
    """The flat columns of a table of photos and videos: those of both, empty where they do not apply."""
    photo = {column.name: column for column in face_columns(heads, video=False) if column.flat}
    video = {column.name: column for column in face_columns(heads, video=True) if column.flat}
    names = dict.fromkeys([*(column.name for column in _PHOTO), *video])
    return tuple(
        replace(photo.get(name) or video[name], values=_where_it_applies(photo.get(name), video.get(name)))
        for name in names
    )


def _where_it_applies(photo: Column[FaceTable] | None, video: Column[FaceTable] | None) -> Any:
    def values(table: FaceTable, digits: int | None) -> list[Any]:
        column = video if table.video else photo
        return [None] * len(table) if column is None else column.values(table, digits)

    return values


def face_objects(table: FaceTable) -> Iterator[dict[str, Any]]:
    """The JSON object of each face; an empty one for a record without a face."""
    columns = [c for c in face_columns(table.heads, video=table.video) if c.path]
    for known, document in zip(table.is_face.tolist(), json_objects(columns, table), strict=True):
        yield document if known else {}


def _of_faces(field: str, at: int | None = None) -> Any:
    def values(table: FaceTable, digits: int | None) -> list[Any]:
        numbers = table.records[field] if at is None else table.records[field][:, at]
        return plain_numbers(numbers, table.is_face, digits)

    return values


def _of_pose(at: int) -> Any:
    return lambda table, digits: plain_numbers(table.pose[:, at], table.is_face, digits)


def _of_flags(at: int) -> Any:
    def values(table: FaceTable, digits: int | None) -> list[Any]:
        column = plain_numbers(table.flags[:, at], table.is_face)
        return [None if value is None else value > 0 for value in column]

    return values


def _of_rows(field: str) -> Any:
    def values(table: FaceTable, digits: int | None) -> list[Any]:
        numbers = table.records[field]
        return (numbers if digits is None else numbers.round(digits)).tolist()  # type: ignore[no-any-return]

    return values


def _source(table: FaceTable, digits: int | None) -> list[Any]:
    return [readable(table.source)] * len(table.records)


def _landmarks(table: FaceTable, digits: int | None) -> list[Any]:
    points = table.records["landmarks"]
    known = table.is_face & ~np.isnan(points).any(axis=(1, 2))
    rounded = points.astype(np.float64).round(digits or 0).tolist()
    return [five if there else None for five, there in zip(rounded, known.tolist(), strict=True)]


_FIVE_POINTS: Mapping[str, Any] = {
    "type": "array",
    "minItems": N_LANDMARKS,
    "maxItems": N_LANDMARKS,
    "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}},
}
_CORNERS = ("left", "top", "right", "bottom")
_PHOTO: tuple[Column[FaceTable], ...] = (
    Column("source", "string", "path or name of the picture; empty for one from memory", _source, required=True),
    Column("face", "int32", "number of the face in the picture, from 1; empty without a face", _of_faces("face")),
)
_VIDEO: tuple[Column[FaceTable], ...] = (
    Column("source", "category", "path or address of the video", _source, required=True),
    Column("frame", "int64", "number of the frame in the video, from 0", _of_rows("frame"), required=True),
    Column("time", "float64", "time of the frame from the start", _of_rows("time"), unit="seconds", digits=6,
           required=True),
    Column(
        "track", "int32", "number of the person, the same on every frame", _of_faces("track"), ("track",),
        low=1, required=True,
    ),
)  # fmt: skip
_FACE: tuple[Column[FaceTable], ...] = (
    *(
        Column(
            name, "float64", f"{side} edge of the face in the upright picture", _of_faces("box", i), ("box", i),
            unit="pixels", digits=2, required=True,
        )
        for i, (name, side) in enumerate(zip(("x1", "y1", "x2", "y2"), _CORNERS, strict=True))
    ),
    Column(
        "score", "float64", "confidence of the detector", _of_faces("score"), ("score",),
        digits=4, low=0, high=1, required=True,
    ),
    Column(
        "landmarks", "string",
        "eyes, nose, corners of the mouth; the left one in the picture first; omitted where unknown",
        _landmarks, ("landmarks",), unit="pixels", digits=2, flat=False, schema=_FIVE_POINTS,
    ),
    *(
        Column(name, "float64", text, _of_pose(i), ("view", name), unit="degrees", digits=1, low=-180, high=180)
        for i, (name, text) in enumerate(
            zip(POSE, ("rotation of the face to the right of the picture", "rotation upwards", "tilt, clockwise in the "
                "picture"), strict=True)
        )
    ),
    *(
        Column(name, "float64", text, _of_faces("measures", i), ("view", name), digits=3, low=0)
        for i, (name, text) in enumerate(MEASURES.items())
    ),
    *(
        Column(f"flag_{name}", "bool", f"whether {text}", _of_flags(i), ("flags", name))
        for i, (name, text) in enumerate(FLAGS.items())
    ),
)  # fmt: skip
_VIDEO_END: tuple[Column[FaceTable], ...] = (
    Column(
        "detected", "bool",
        "true if faces were detected in this frame, false if they were propagated from the one before",
        _of_rows("detected"), required=True,
    ),
    Column("cut", "bool", "whether a new scene starts here", _of_rows("cut"), required=True),
)  # fmt: skip


def head_columns(name: str, head: Head, video: bool) -> Iterator[Column[FaceTable]]:
    """The columns of one head."""
    ranges = head.ranges is not None
    root = ("predictions", AnyKey(name))
    stem, parts = head_name(name), column_names(head.labels)
    label, column = f"{name}_range" if ranges else name, f"{stem}_range" if ranges else stem
    pooled = ", pooled over the track so far" if video and head.ordered else ""

    def frame(field: str) -> str:
        return f"{name}/{field}"

    def best(table: FaceTable, digits: int | None) -> list[Any]:
        return _labels(table, table.predictions(name).best, head)

    def confidence(table: FaceTable, digits: int | None) -> list[Any]:
        return plain_numbers(table.records[name].max(axis=1), table.is_face, digits)

    def entropy(table: FaceTable, digits: int | None) -> list[Any]:
        return plain_numbers(table.predictions(name).entropy, table.is_face, digits)

    def expected(table: FaceTable, digits: int | None) -> list[Any]:
        values = table.predictions(name).expected
        return [None] * len(table.records) if values is None else plain_numbers(values, table.is_face, digits)

    def probability(field: str, at: int) -> Any:
        return lambda table, digits: plain_numbers(table.records[field][:, at], table.is_face, digits)

    def index(field: str) -> Any:
        return lambda table, digits: _labels(table, table.records[field], head)

    def number(field: str) -> Any:
        return lambda table, digits: plain_numbers(table.records[field], table.is_face, digits)

    # views of the shipped heads, so that the usual questions need no second step
    if (name, ranges) in ((EMOTION, False), (AGE, True)):
        yield Column("", "category", f"the most probable {label.replace('_', ' ')}", best, (label,), flat=False)
    if name == AGE and ranges:
        yield Column("", "float64", "expected age, years", expected, (name,), digits=1, low=0, flat=False)
    what = f"the most probable {label.replace('_', ' ')}{pooled}"
    yield Column(column, "category", what, best, (*root, "label"), any_description="the most probable label")
    if ranges:
        yield Column(
            stem, "float64", f"expected {name}{pooled}", expected, (*root, "expected"), digits=1, low=0,
            any_description="mean under the distribution, for labels that are ranges of numbers",
        )  # fmt: skip
    share: Mapping[str, Any] = {"digits": 4, "low": 0, "high": 1}
    fine: Mapping[str, Any] = {"digits": 5, "low": 0, "high": 1}
    sure = not ranges
    yield Column(
        f"{stem}_confidence", "float64", f"probability of the most probable {name}", confidence, (*root, "confidence"),
        flat=sure, any_description="probability of the most probable label", **share,
    )  # fmt: skip
    yield Column(
        f"{stem}_entropy", "float64", f"uncertainty of {name}: 0 if one label is certain, 1 if all are equally likely",
        entropy, (*root, "entropy"), flat=sure,
        any_description="0 if one label is certain, 1 if all are equally likely", **share,
    )  # fmt: skip
    for i, (one, part) in enumerate(zip(head.labels, parts, strict=True)):
        yield Column(
            f"{stem}_{part}", "float64", f"probability of {one}{pooled}", probability(name, i),
            (*root, "probabilities", AnyKey(one)), any_description="probability of the label", **fine,
        )  # fmt: skip
    if head.rule is not None:
        yield from set_columns(name, head, lambda table: table.predictions(name).probabilities, LIST_OF_LABELS)
    if not video or head.ordered:
        return
    yield Column(
        f"{stem}_stable", "category", f"{name} smoothed over time, without flicker", index(frame("label")),
        (*root, "stable"), null=True, any_description="label smoothed over time, without flicker",
    )  # fmt: skip
    for i, (one, part) in enumerate(zip(head.labels, parts, strict=True)):
        yield Column(
            f"{stem}_smoothed_{part}", "float64", f"probability of {one}, filtered over time",
            probability(frame("smoothed"), i), (*root, "smoothed", AnyKey(one)),
            any_description="probability of the label, filtered over time", **fine,
        )  # fmt: skip
    yield Column(
        f"{stem}_vote", "category", "label with the most votes of the frames in the sliding window",
        index(frame("vote")), (*root, "vote", "label"), null=True,
    )  # fmt: skip
    for end, what in (("share", "its share of the votes"), ("low", "lower end of the 95 % interval of the share"),
                      ("high", "upper end of the interval")):  # fmt: skip
        yield Column(f"{stem}_vote_{end}", "float64", what, number(frame(f"vote_{end}")), (*root, "vote", end), **share)


LIST_OF_LABELS: Mapping[str, Any] = {"type": "array", "items": {"type": "string"}, "minItems": 1}
SET_SEPARATOR = "|"
"""Between the labels of a set in CSV, Parquet and data frames."""


def set_columns(
    name: str, head: Head, probabilities: Callable[[Any], NDArray[np.floating]], schema: Mapping[str, Any]
) -> Iterator[Column[Any]]:
    """The set of labels that a head's rule gives for each row, and its ends where the labels are ranges.

    Args:
        name: of the head in results.
        head: with a rule.
        probabilities: from the table to ``(n, k)``; NaN rows where nothing is known.
        schema: of the list.
    """
    rule, stem, root = head.rule, head_name(name), ("predictions", AnyKey(name))
    if rule is None:
        return
    share = f"{rule.coverage:.0%}" + (" of the faces of each label" if rule.by_class else " of faces")

    def members(table: Any) -> NDArray[np.bool_]:
        return rule.members(probabilities(table), ordered=head.ordered)

    def labels(table: Any, digits: int | None) -> list[Any]:
        rows = [
            [label for label, there in zip(head.labels, row, strict=True) if there] for row in members(table).tolist()
        ]
        return [row or None for row in rows]

    def end(last: bool) -> Any:
        def values(table: Any, digits: int | None) -> list[Any]:
            inside = members(table)
            at = inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1) if last else inside.argmax(axis=1)
            ranges = head.ranges or ()
            known = np.asarray(inside.any(axis=1), np.bool_).tolist()
            return [ranges[i][last] if there else None for i, there in zip(at.tolist(), known, strict=True)]

        return values

    yield Column(
        f"{stem}_set", "string", f"labels that include the right one for {share} like those it was fitted on", labels,
        (*root, "set"), schema=schema, separator=SET_SEPARATOR,
        any_description="labels that include the right one, with the chosen coverage",
    )  # fmt: skip
    if head.ranges is not None:
        for key, word, last in (("low", "lower", False), ("high", "upper", True)):
            yield Column(
                f"{stem}_{key}", "int64",
                f"{word} end of the interval of {name}, for {share} like those it was fitted on", end(last),
                (*root, key), low=0, any_description=f"{word} end of the interval of the set",
            )  # fmt: skip


def _labels(table: FaceTable, indices: NDArray[Any], head: Head) -> list[Any]:
    known = table.is_face.tolist()
    return [head.labels[i] if i >= 0 and there else None for i, there in zip(indices.tolist(), known, strict=True)]


def primary_head(heads: Heads) -> str | None:
    """The head that is shown first: the first one; None where there is none."""
    return next(iter(heads), None)


def nominal_heads(heads: Heads) -> tuple[str, ...]:
    """The heads whose labels have no order: those with timelines, votes and episodes. The first gives the colours."""
    return tuple(name for name, head in heads.items() if not head.ordered and not head.auxiliary)
