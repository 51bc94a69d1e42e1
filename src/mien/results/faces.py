"""The values that cross stage boundaries: the faces of one picture, and a single face.

`Faces` is columnar, one row per face. A detector returns boxes, scores and landmarks; prediction returns a new value
that also holds distributions, one per head of the models that ran. Nothing is mutated.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.results.columns import readable
from mien.results.face_columns import (
    AGE,
    EMOTION,
    N_LANDMARKS,
    FaceTable,
    Heads,
    Records,
    empty_records,
    face_objects,
    primary_head,
    record_dtype,
)
from mien.results.prediction import SHOWN, Prediction, Predictions
from mien.results.schema_ids import PHOTO
from mien.results.view import FLAGS, MEASURES, POSE, face_flags, head_pose, unknown_measures
from mien.text import count, listing, quoted_end

if TYPE_CHECKING:
    import pandas as pd

    from mien.draw.blur import Blur

FER2013_HEAD = "fer2013"
"""Name of the second head of the shipped emotion model: FER2013's own seven labels."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face: a row of `Faces` as plain Python values.

    Attributes:
        box: (x1, y1, x2, y2) in pixels of the picture.
        score: the detector's confidence, 0–1.
        landmarks: five (x, y) in pixels, or None when the detector has none.
        predictions: head → its distribution; heads that no model predicted for this face are missing.
        track: number of the track that the face belongs to in a video, None in a photo.
        measures: how it is seen: brightness, sharpness, covered, unlike; those that are not known are missing. See
            `mien.results.view.MEASURES`.

    Examples:
        >>> face = result[0]
        >>> face
        Face(box=(...), score=0.9..., emotion='happy' ...%, age='20-29' ...%)
        >>> len(face.box), len(face.landmarks), face.emotion, face.age_range
        (4, 5, 'happy', '20-29')
        >>> face.emotions["happy"] == face.confidence, face.entropy < 0.5
        (True, True)
        >>> round(sum(face.ages.values()), 3), 20 < face.age < 40
        (1.0, True)
        >>> face.predictions["emotion"].label
        'happy'
        >>> sorted(face.pose), face.flags
        (['pitch', 'roll', 'yaw'], ())
        >>> list(face.to_dict())
        ['box', 'score', 'landmarks', 'view', 'flags', 'emotion', 'predictions', 'age_range', 'age']
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[tuple[float, float], ...] | None
    predictions: Mapping[str, Prediction] = field(default_factory=dict)
    track: int | None = None
    measures: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        parts = [] if self.track is None else [f"track={self.track}"]
        parts += [f"box=({', '.join(f'{side:.0f}' for side in self.box)})", f"score={self.score:.2f}"]
        parts += [
            f"{name}={one.label!a} {one.confidence:.0%}"
            for name, one in self.predictions.items()
            if not one.head.auxiliary
        ]
        return f"Face({listing(parts, 8)})"

    @property
    def emotions(self) -> dict[str, float]:
        """Emotion → probability; empty when no emotion model ran on this face."""
        prediction = self.predictions.get(EMOTION)
        return {} if prediction is None else dict(prediction.probabilities)

    @property
    def emotion(self) -> str | None:
        """The most probable emotion, None when no emotion model ran."""
        prediction = self.predictions.get(EMOTION)
        return None if prediction is None else prediction.label

    @property
    def confidence(self) -> float | None:
        """The probability of `emotion`."""
        prediction = self.predictions.get(EMOTION)
        return None if prediction is None else prediction.confidence

    @property
    def entropy(self) -> float | None:
        """Uncertainty of the emotions, 0 (one emotion certain) to 1 (all equally likely)."""
        prediction = self.predictions.get(EMOTION)
        return None if prediction is None else prediction.entropy

    @property
    def ages(self) -> dict[str, float]:
        """Age range such as "20-29" → probability; empty when no age model ran on this face."""
        prediction = self.predictions.get(AGE)
        return {} if prediction is None else dict(prediction.probabilities)

    @property
    def age_range(self) -> str | None:
        """The most probable age range, such as "20-29"; None when no age model ran."""
        prediction = self.predictions.get(AGE)
        return None if prediction is None else prediction.label

    @property
    def pose(self) -> dict[str, float]:
        """yaw, pitch and roll in degrees; empty without landmarks. See `mien.results.view.head_pose`."""
        points = np.full((5, 2), np.nan) if self.landmarks is None else np.array(self.landmarks)
        return _known(POSE, head_pose(points[None])[0])

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that are set, such as "turned" or "dark"; see `mien.results.view.FLAGS`."""
        x1, y1, x2, y2 = self.box
        known = self.pose
        pose = np.array([[known.get(name, np.nan) for name in POSE]])
        measures = np.array([[self.measures.get(name, np.nan) for name in MEASURES]])
        row = face_flags(np.array([min(x2 - x1, y2 - y1)]), pose, measures)[0]
        return tuple(name for name, value in zip(FLAGS, row.tolist(), strict=True) if value > 0)

    @property
    def age(self) -> float | None:
        """The expected age in years (middles of the ranges weighted by probability)."""
        prediction = self.predictions.get(AGE)
        return None if prediction is None else prediction.expected

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; keys of models that did not run are left out."""
        points = np.full((1, N_LANDMARKS, 2), np.nan) if self.landmarks is None else np.array([self.landmarks])
        faces = replace(
            Faces.detected(np.array([self.box]), np.array([self.score]), points, (0, 0)),
            predictions={
                name: Predictions(each.head, np.array([list(each.probabilities.values())], np.float32))
                for name, each in self.predictions.items()
            },
            tracks=None if self.track is None else np.array([self.track], np.int64),
            measures=np.array([[self.measures.get(name, np.nan) for name in MEASURES]], np.float32),
        )
        return faces.to_dicts()[0]


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The faces of one picture, one row per face; empty when there is none.

    Attributes:
        boxes: ``(n, 4)`` float32 xyxy pixels.
        scores: ``(n,)`` float32, 0–1.
        landmarks: ``(n, 5, 2)`` float32 xy pixels, NaN where the detector has none.
        image_size: (width, height) in pixels.
        predictions: head → distributions of all faces; empty before prediction. The first head is shown first. Rows
            are NaN for faces of a video on which the model did not run.
        tracks: ``(n,)`` int64 numbers of the tracks that the faces of a video belong to, None in a photo.
        measures: ``(n, 4)`` float32, how each face is seen (`mien.results.view.MEASURES`), NaN where unknown; None
            where no model ran.
        source: path or name of the picture, None for an array.
        image: the picture itself as RGB uint8 (h, w, 3), kept for drawing; smaller where it was too large to be
            decoded whole; None in batches.

    Examples:
        >>> result
        Faces('photo.jpg', 512x512, 1 face: 'happy')
        >>> len(result), bool(result), [face.emotion for face in result]
        (1, True, ['happy'])
        >>> result.boxes.shape, result.landmarks.shape, result.sizes.shape, result.pose.shape
        ((1, 4), (1, 5, 2), (1,), (1, 3))
        >>> result.emotions.shape, result.emotion_labels[:2], result.fer2013.shape
        ((1, 8), ('neutral', 'happy'), (1, 7))
        >>> result.ages.shape, result.age_bins[:2]
        ((1, 9), ((0, 2), (3, 9)))
        >>> list(result.heads), result.entropy.shape, result.flags.shape, result.flagged
        (['emotion', 'age'], (1,), (1, 6), array([False]))
        >>> result[result.scores > 0.5]
        Faces('photo.jpg', 512x512, 1 face: 'happy')

        Dictionaries, JSON, rows, a data frame, a Parquet file, a table, and records filled in place:

        >>> result.to_dicts()[0]["emotion"], result.to_rows()[0]["emotion"], result.to_json()[:10]
        ('happy', 'happy', '{"schema":')
        >>> result.to_pandas().shape[0], result.to_parquet("faces.parquet").name
        (1, 'faces.parquet')
        >>> table = result.to_table()
        >>> result.fill_records(table.records)["face"].tolist()
        [1]

        Pictures:

        >>> result.draw().shape, result.save("annotated.png").name
        ((512, 512, 3), 'annotated.png')
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    image_size: tuple[int, int]
    predictions: Mapping[str, Predictions] = field(default_factory=dict)
    tracks: NDArray[np.int64] | None = None
    measures: NDArray[np.float32] | None = None
    source: str | None = None
    image: NDArray[np.uint8] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        n = len(self.boxes)
        _expect("boxes", self.boxes, (n, 4))
        _expect("scores", self.scores, (n,))
        _expect("landmarks", self.landmarks, (n, N_LANDMARKS, 2))
        for name, predictions in self.predictions.items():
            if len(predictions) != n:
                raise InputError(f"{n} faces need as many predictions of {name!r}, got {len(predictions)}")
        if self.measures is not None:
            _expect("measures", self.measures, (n, len(MEASURES)))
        if self.tracks is not None and (self.tracks.dtype != np.int64 or self.tracks.shape != (n,)):
            raise InputError(f"tracks must be int64 of shape {(n,)}, got {self.tracks.dtype} {self.tracks.shape}")

    @classmethod
    def detected(
        cls,
        boxes: NDArray[np.floating],
        scores: NDArray[np.floating],
        landmarks: NDArray[np.floating] | None,
        image_size: tuple[int, int],
    ) -> Faces:
        """Faces as a detector returns them; ``landmarks=None`` where it has none. Arrays are cast to float32.

        Args:
            boxes: ``(n, 4)`` xyxy pixels.
            scores: ``(n,)``, 0–1.
            landmarks: ``(n, 5, 2)`` xy pixels; None for a detector without landmarks.
            image_size: (width, height) in pixels.

        Examples:
            >>> Faces.detected(np.array([[10, 10, 50, 60]]), np.array([0.9]), None, (64, 80)).landmarks.shape
            (1, 5, 2)
        """
        n = len(boxes)
        points = np.full((n, N_LANDMARKS, 2), np.nan, np.float32) if landmarks is None else landmarks
        return cls(
            boxes=np.asarray(boxes, np.float32).reshape(n, 4),
            scores=np.asarray(scores, np.float32).reshape(n),
            landmarks=np.asarray(points, np.float32).reshape(n, N_LANDMARKS, 2),
            image_size=image_size,
        )

    @classmethod
    def empty(cls, image_size: tuple[int, int]) -> Faces:
        """No face in a picture of this (width, height).

        Examples:
            >>> Faces.empty((640, 480))
            Faces(640x480, 0 faces)
        """
        return cls.detected(np.zeros((0, 4)), np.zeros(0), None, image_size)

    def scaled(self, size: tuple[int, int]) -> Faces:
        """The same faces in the pixels of the same picture at another (width, height); without ``image``.

        Examples:
            >>> result.scaled((256, 256)).boxes.tolist() == (result.boxes / 2).tolist()
            True
        """
        factors = np.array([size[0] / self.image_size[0], size[1] / self.image_size[1]], np.float32)
        boxes, landmarks = self.boxes * np.tile(factors, 2), self.landmarks * factors
        return replace(self, boxes=boxes, landmarks=landmarks, image_size=size, image=None)

    def with_predictions(self, more: Mapping[str, Predictions]) -> Faces:
        """The same faces with further heads; a head of the same name is replaced.

        Examples:
            >>> without = mien.Faces.detected(result.boxes, result.scores, result.landmarks, result.image_size)
            >>> list(without.with_predictions({"emotion": result.predictions["emotion"]}).heads)
            ['emotion']
        """
        return replace(self, predictions={**self.predictions, **more})

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        width, height = self.image_size
        source = [] if self.source is None else [quoted_end(self.source)]
        first = primary_head(self.heads)
        labels = [] if first is None else [str(label) for label in self[:SHOWN].labels(head=first)]
        faces = count(len(self), "face")
        if labels:
            faces += f": {listing([ascii(label) for label in labels] + [''] * (len(self) - SHOWN), SHOWN)}"
        return f"Faces({', '.join([*source, f'{width}x{height}', faces])})"

    def __bool__(self) -> bool:
        return len(self) > 0

    def __iter__(self) -> Iterator[Face]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Face: ...
    @overload
    def __getitem__(self, index: slice | NDArray[Any] | Sequence[int]) -> Faces: ...
    def __getitem__(self, index: int | slice | NDArray[Any] | Sequence[int]) -> Face | Faces:
        """A `Face` for an integer; for a slice, a boolean mask or indices the selected `Faces`."""
        if isinstance(index, (int, np.integer)):
            return self._row(int(index))
        keep = index if isinstance(index, slice) else np.asarray(index)
        if isinstance(keep, np.ndarray) and keep.size == 0 and keep.dtype != np.bool_:
            keep = keep.astype(np.intp)
        return replace(
            self,
            boxes=self.boxes[keep],
            scores=self.scores[keep],
            landmarks=self.landmarks[keep],
            predictions={name: each[keep] for name, each in self.predictions.items()},
            tracks=None if self.tracks is None else self.tracks[keep],
            measures=None if self.measures is None else self.measures[keep],
        )

    def _row(self, i: int) -> Face:
        x1, y1, x2, y2 = (float(v) for v in self.boxes[i])
        points = self.landmarks[i]
        rows = {name: predictions.row(i) for name, predictions in self.predictions.items()}
        return Face(
            box=(x1, y1, x2, y2),
            score=float(self.scores[i]),
            landmarks=None if np.isnan(points).any() else tuple((float(x), float(y)) for x, y in points),
            predictions={name: row for name, row in rows.items() if row is not None},
            track=None if self.tracks is None else int(self.tracks[i]),
            measures={} if self.measures is None else _known(MEASURES, self.measures[i]),
        )

    @property
    def heads(self) -> Heads:
        """The heads that tables and files have: those that were predicted and are not auxiliary."""
        return {n: one.head for n, one in self.predictions.items() if not one.head.auxiliary}

    @property
    def sizes(self) -> NDArray[np.float32]:
        """``(n,)`` pixels: the shorter side of each box."""
        return np.asarray((self.boxes[:, 2:] - self.boxes[:, :2]).min(axis=1, initial=np.inf), np.float32)

    @property
    def pose(self) -> NDArray[np.float32]:
        """``(n, 3)`` yaw, pitch and roll in degrees, NaN without landmarks; see `mien.results.view.head_pose`."""
        return head_pose(self.landmarks)

    @property
    def flags(self) -> NDArray[np.float32]:
        """``(n, 6)`` 1 where a flag is set, 0 where not, NaN where unknown; columns of `mien.results.view.FLAGS`."""
        measures = unknown_measures(len(self)) if self.measures is None else self.measures
        return face_flags(self.sizes, self.pose, measures)

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """``(n,)`` whether any flag is set."""
        return np.asarray((self.flags > 0).any(axis=1), np.bool_)

    @property
    def emotions(self) -> NDArray[np.float32] | None:
        """``(n, len(emotion_labels))`` float32 probabilities of the head "emotion"; None without it."""
        return self._probabilities(EMOTION)

    @property
    def emotion_labels(self) -> tuple[str, ...]:
        """Names of the columns of `emotions`."""
        return self._labels(EMOTION)

    @property
    def ages(self) -> NDArray[np.float32] | None:
        """``(n, len(age_bins))`` float32 probabilities of the head "age"; None without it."""
        return self._probabilities(AGE)

    @property
    def age_bins(self) -> tuple[tuple[int, int], ...]:
        """Inclusive years of the columns of `ages`."""
        prediction = self.predictions.get(AGE)
        return () if prediction is None else prediction.head.ranges or ()

    @property
    def fer2013(self) -> NDArray[np.float32] | None:
        """``(n, 7)`` float32 probabilities in FER2013's own label order, where the emotion model has such a head."""
        return self._probabilities(FER2013_HEAD)

    @property
    def entropy(self) -> NDArray[np.float32]:
        """``(n,)`` uncertainty of the first head: 0 (one label certain) to 1 (all equally likely)."""
        return self._head(None).entropy

    def labels(self, abstain: float = 0.0, *, head: str | None = None) -> list[str | None]:
        """The most probable label of each face, None where its probability is below ``abstain`` (0–1).

        Args:
            abstain: least probability, 0–1.
            head: name of a head; None for the first one, the emotion by default.

        Raises:
            InputError: no such head, or a probability out of range.

        Examples:
            >>> result.labels(), result.labels(abstain=1.0), result.labels(head="age")
            (['happy'], [None], ['20-29'])
        """
        if not 0.0 <= abstain <= 1.0:
            raise InputError(f"abstain is a probability between 0 and 1, got {abstain}")
        predictions = self._head(head)
        labels = predictions.head.labels
        sure = np.nan_to_num(predictions.probabilities, nan=-1.0).max(axis=1, initial=-1.0) >= abstain
        best = predictions.best.tolist()
        return [labels[i] if i >= 0 and is_sure else None for i, is_sure in zip(best, sure, strict=True)]

    def filter(
        self,
        *,
        min_score: float = 0.0,
        min_size: float = 0.0,
        label: str | None = None,
        head: str | None = None,
        min_confidence: float = 0.0,
        max_entropy: float = 1.0,
        flagged: bool = True,
    ) -> Faces:
        """The faces that meet all conditions.

        Args:
            min_score: least detector score, 0–1.
            min_size: least shorter side of the box, pixels.
            label: keep only faces whose most probable label is this one, such as "happy".
            head: the head that ``label``, ``min_confidence`` and ``max_entropy`` refer to; None for the first one.
            min_confidence: least probability of the most probable label, 0–1.
            max_entropy: greatest uncertainty, 0–1.
            flagged: keep faces with a flag, such as "turned" or "dark", too.

        Raises:
            InputError: no such label or head.

        Examples:
            >>> len(result.filter(min_size=60, max_entropy=0.5)), len(result.filter(label="sad"))
            (1, 0)
        """
        keep = (self.scores >= min_score) & (self.sizes >= min_size)
        if label is not None:
            known = self._head(head).head.labels
            if label not in known:
                raise InputError(f"no label {label!r}", advice=f"use one of {', '.join(known)}", code="label-unknown")
            keep &= np.array([best == label for best in self.labels(head=head)], bool)
        if min_confidence > 0.0:
            keep &= np.array([best is not None for best in self.labels(min_confidence, head=head)], bool)
        if max_entropy < 1.0:
            keep &= self._head(head).entropy <= max_entropy
        if not flagged:
            keep &= ~self.flagged
        return self[keep]

    def to_table(self, heads: Heads | None = None) -> FaceTable:
        """One row per face; one row, with face −1, where there is none.

        Args:
            heads: the heads of the table; None for those that were predicted.

        Raises:
            InputError: a head was predicted that the table does not have.
        """
        wanted = self.heads if heads is None else heads
        other = [name for name, head in self.heads.items() if wanted.get(name) != head]
        if other:
            raise InputError(
                f"this result has other predictions ({', '.join(other)}) than those before it",
                path=readable(self.source),
                advice="write the results of each model to a table of their own",
            )
        records = self.fill_records(empty_records(max(len(self), 1), record_dtype(wanted, video=False)))
        return FaceTable(records, wanted, self.source, video=False)

    def fill_records(self, records: Records) -> Records:
        """``records``, one per face, after writing the faces into them."""
        if len(self):
            records["face"] = np.arange(1, len(self) + 1)
            records["box"], records["score"], records["landmarks"] = self.boxes, self.scores, self.landmarks
            if self.measures is not None:
                records["measures"] = self.measures
            for name in self.heads:
                records[name] = self.predictions[name].probabilities
        return records

    def to_dicts(self) -> list[dict[str, Any]]:
        """One JSON-ready dictionary per face."""
        tracks: list[dict[str, Any]] = [{}] * len(self)
        if self.tracks is not None:
            tracks = [{"track": track} for track in self.tracks.tolist()]
        return [track | face for track, face in zip(tracks, face_objects(self.to_table()), strict=False)]

    def to_json(self) -> str:
        """The whole result as one JSON object: schema, source, width, height, faces."""
        width, height = self.image_size
        document = {
            "schema": PHOTO, "source": self.source, "width": width, "height": height, "faces": self.to_dicts(),
        }  # fmt: skip
        # a file name need not be valid text; its invalid bytes stay JSON escapes, so that the rest is UTF-8
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")

    def to_rows(self) -> list[dict[str, Any]]:
        """One flat dictionary per face with the same keys for every face: rows of a CSV, a table or a data frame."""
        columns = self.to_table().to_columns()
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)][: len(self)]

    def to_pandas(self) -> pd.DataFrame:
        """`to_rows` as a data frame; needs pandas (extra ``tables``)."""
        return self.to_table().rows(0, len(self)).to_pandas()

    def to_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Write `to_rows` as Parquet and return the path; needs pyarrow (extra ``tables``)."""
        from mien.results.tables import write_parquet

        return write_parquet([self], path)

    def draw(self, image: NDArray[np.uint8] | None = None, *, blur: Blur | None = None) -> NDArray[np.uint8]:
        """The picture with boxes and labels drawn on it: RGB uint8 ``(h, w, 3)``, a copy.

        Args:
            image: RGB uint8 ``(h, w, 3)`` of the picture's size; None for the result's own picture, or its file.
            blur: which faces are made unrecognisable; None for none.

        Raises:
            InputError: there is no picture, or it has another size.
            ImageError: the file can no longer be read.
            MissingFileError: the file no longer exists.
        """
        from mien.draw.boxes import draw_faces

        return draw_faces(self, image, blur=blur)

    def save(self, path: str | os.PathLike[str], *, blur: Blur | None = None) -> Path:
        """Write the annotated picture; the format follows the suffix. Returns the path.

        Args:
            path: the file; an existing one is replaced.
            blur: as for `draw`.

        Raises:
            InputError: as `draw`, or no format has this suffix.
            ImageError: as `draw`.
            MissingFileError: as `draw`.
            OutputError: the file cannot be written.
        """
        from mien.draw.boxes import save_faces

        return save_faces(self, path, blur=blur)

    def _head(self, name: str | None) -> Predictions:
        wanted = primary_head(self.heads) if name is None else name
        if wanted is None or wanted not in self.predictions:
            there = ", ".join(self.predictions) or "none"
            what = "predictions" if name is None else f"predictions of {name!r}"
            raise InputError(f"these faces have no {what} (heads: {there})", advice="analyse them with such a model")
        return self.predictions[wanted]

    def _probabilities(self, name: str) -> NDArray[np.float32] | None:
        prediction = self.predictions.get(name)
        return None if prediction is None else prediction.probabilities

    def _labels(self, name: str) -> tuple[str, ...]:
        prediction = self.predictions.get(name)
        return () if prediction is None else prediction.head.labels


def _known(names: Iterable[str], values: NDArray[np.floating]) -> dict[str, float]:
    """Name → value, without NaN."""
    return {name: value for name, value in zip(names, values.tolist(), strict=True) if value == value}


def _expect(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.dtype != np.float32 or array.shape != shape:
        raise InputError(f"{name} must be float32 of shape {shape}, got {array.dtype} {array.shape}")
