"""The values that cross stage boundaries: one decoded picture (`Frame`) and the faces found in it (`Faces`).

`Faces` is columnar, one row a face. A detector fills boxes, scores and landmarks; a classifier returns a new value that
holds distributions as well. Nothing is mutated.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from mien.distributions import normalised_entropy
from mien.errors import InputError, MissingExtraError
from mien.labels import age_bin_names
from mien.results.schema_ids import PHOTO

if TYPE_CHECKING:
    import pandas as pd

N_LANDMARKS = 5
"""Landmarks a face: two eyes, nose, two mouth corners; of each pair the one further left in the picture first."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face: a row of `Faces` as plain Python values.

    Attributes:
        box: (x1, y1, x2, y2) in pixels of the picture.
        score: the detector's confidence, 0–1.
        landmarks: five (x, y) in pixels, or None when the detector has none.
        emotions: name → probability; empty when no emotion model ran on this face.
        ages: bin name such as "20-29" → probability; empty when no age model ran on this face.
        age_bins: the bins as inclusive years, in the order of ``ages``.
        track: number of the track that the face belongs to in a video, None in a photo.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[tuple[float, float], ...] | None
    emotions: dict[str, float]
    ages: dict[str, float]
    age_bins: tuple[tuple[int, int], ...]
    track: int | None = None

    @property
    def emotion(self) -> str | None:
        """The most probable emotion, None when no emotion model ran."""
        return max(self.emotions, key=self.emotions.__getitem__) if self.emotions else None

    @property
    def confidence(self) -> float | None:
        """The probability of `emotion`."""
        return max(self.emotions.values()) if self.emotions else None

    @property
    def entropy(self) -> float | None:
        """Uncertainty of the emotions, 0 (one emotion certain) to 1 (all equally likely)."""
        if not self.emotions:
            return None
        return float(normalised_entropy(np.array([list(self.emotions.values())], np.float32))[0])

    @property
    def age_range(self) -> str | None:
        """The most probable age bin, such as "20-29"; None when no age model ran."""
        return max(self.ages, key=self.ages.__getitem__) if self.ages else None

    @property
    def age(self) -> float | None:
        """The expected age in years under `ages` (bin centres weighted by probability)."""
        if not self.ages:
            return None
        return float(sum(p * (a + b + 1) / 2 for p, (a, b) in zip(self.ages.values(), self.age_bins, strict=True)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; keys that no model filled are left out."""
        row: dict[str, Any] = {} if self.track is None else {"track": self.track}
        row |= {"box": [round(v, 2) for v in self.box], "score": round(self.score, 4)}
        if self.landmarks is not None:
            row["landmarks"] = [[round(x, 2), round(y, 2)] for x, y in self.landmarks]
        if self.emotions:
            row |= {
                "emotion": self.emotion,
                "confidence": _r(self.confidence),
                "entropy": _r(self.entropy),
                "emotions": {k: round(v, 4) for k, v in self.emotions.items()},
            }
        if self.ages:
            row |= {
                "age_range": self.age_range,
                "age": round(self.age or 0.0, 1),
                "ages": {k: round(v, 4) for k, v in self.ages.items()},
            }
        return row


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The faces of one picture, one row a face; empty when there is none.

    Attributes:
        boxes: ``(n, 4)`` float32 xyxy pixels.
        scores: ``(n,)`` float32, 0–1.
        landmarks: ``(n, 5, 2)`` float32 xy pixels, NaN where the detector has none.
        emotions: ``(n, len(emotion_labels))`` float32 probabilities, None before classification; NaN rows for faces of
            a video that the model did not look at.
        emotion_labels: names of the columns of ``emotions``.
        ages: ``(n, len(age_bins))`` float32 probabilities, None before classification; NaN rows likewise.
        age_bins: inclusive years of the columns of ``ages``.
        fer2013: ``(n, 7)`` float32 probabilities of the emotion model's second head, in FER2013's own label order, or
            None: for comparison with published work.
        tracks: ``(n,)`` int64 numbers of the tracks that the faces of a video belong to, None in a photo.
        image_size: (width, height) in pixels.
        source: path or name of the picture, None for an array.
        image: the picture itself as RGB uint8 (h, w, 3), kept for drawing; None in batches.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    image_size: tuple[int, int]
    emotions: NDArray[np.float32] | None = None
    emotion_labels: tuple[str, ...] = ()
    ages: NDArray[np.float32] | None = None
    age_bins: tuple[tuple[int, int], ...] = ()
    fer2013: NDArray[np.float32] | None = None
    tracks: NDArray[np.int64] | None = None
    source: str | None = None
    image: NDArray[np.uint8] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        n = len(self.boxes)
        _expect("boxes", self.boxes, (n, 4))
        _expect("scores", self.scores, (n,))
        _expect("landmarks", self.landmarks, (n, N_LANDMARKS, 2))
        if self.emotions is not None:
            _expect("emotions", self.emotions, (n, len(self.emotion_labels)))
        if self.ages is not None:
            _expect("ages", self.ages, (n, len(self.age_bins)))
        if self.fer2013 is not None:
            _expect("fer2013", self.fer2013, (n, 7))
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
        """Faces as a detector returns them; ``landmarks=None`` where it has none. Arrays are cast to float32."""
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
        """No face in a picture of this (width, height)."""
        return cls.detected(np.zeros((0, 4)), np.zeros(0), None, image_size)

    def scaled(self, size: tuple[int, int]) -> Faces:
        """The same faces in the pixels of the same picture at another (width, height); without ``image``."""
        factors = np.array([size[0] / self.image_size[0], size[1] / self.image_size[1]], np.float32)
        boxes, landmarks = self.boxes * np.tile(factors, 2), self.landmarks * factors
        return replace(self, boxes=boxes, landmarks=landmarks, image_size=size, image=None)

    def __len__(self) -> int:
        return len(self.boxes)

    def __bool__(self) -> bool:
        return len(self) > 0

    def __iter__(self) -> Iterator[Face]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Face: ...
    @overload
    def __getitem__(self, index: slice | NDArray[Any] | Sequence[int]) -> Faces: ...
    def __getitem__(self, index: int | slice | NDArray[Any] | Sequence[int]) -> Face | Faces:
        """A `Face` for an integer; for a slice, a boolean mask or indices the `Faces` that are left."""
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
            emotions=None if self.emotions is None else self.emotions[keep],
            ages=None if self.ages is None else self.ages[keep],
            fer2013=None if self.fer2013 is None else self.fer2013[keep],
            tracks=None if self.tracks is None else self.tracks[keep],
        )

    def _row(self, i: int) -> Face:
        x1, y1, x2, y2 = (float(v) for v in self.boxes[i])
        points = self.landmarks[i]
        emotions, ages = _known(self.emotions, i), _known(self.ages, i)
        return Face(
            box=(x1, y1, x2, y2),
            score=float(self.scores[i]),
            landmarks=None if np.isnan(points).any() else tuple((float(x), float(y)) for x, y in points),
            emotions={} if emotions is None else _named(self.emotion_labels, emotions),
            ages={} if ages is None else _named(age_bin_names(self.age_bins), ages),
            age_bins=() if ages is None else self.age_bins,
            track=None if self.tracks is None else int(self.tracks[i]),
        )

    @property
    def sizes(self) -> NDArray[np.float32]:
        """``(n,)`` pixels: the shorter side of each box."""
        return np.asarray((self.boxes[:, 2:] - self.boxes[:, :2]).min(axis=1, initial=np.inf), np.float32)

    @property
    def entropy(self) -> NDArray[np.float32]:
        """``(n,)`` uncertainty of the emotions: 0 (one emotion certain) to 1 (all equally likely)."""
        if self.emotions is None:
            raise InputError("these faces carry no emotions: analyse them with an emotion model first")
        return normalised_entropy(self.emotions)

    def labels(self, abstain: float = 0.0) -> list[str | None]:
        """The most probable emotion of each face, None where its probability is below ``abstain`` (0–1)."""
        if self.emotions is None:
            raise InputError("these faces carry no emotions: analyse them with an emotion model first")
        if not 0.0 <= abstain <= 1.0:
            raise InputError(f"abstain is a probability between 0 and 1, got {abstain}")
        return [self.emotion_labels[int(p.argmax())] if p.max() >= abstain else None for p in self.emotions]

    def filter(
        self,
        *,
        min_score: float = 0.0,
        min_size: float = 0.0,
        emotion: str | None = None,
        min_confidence: float = 0.0,
        max_entropy: float = 1.0,
    ) -> Faces:
        """The faces that pass every test.

        Args:
            min_score: least detector score, 0–1.
            min_size: least shorter side of the box, pixels.
            emotion: keep only faces whose most probable emotion is this one.
            min_confidence: least probability of the most probable emotion, 0–1.
            max_entropy: greatest `entropy`, 0–1.
        """
        keep = (self.scores >= min_score) & (self.sizes >= min_size)
        if emotion is not None:
            if emotion not in self.emotion_labels:
                raise InputError(f"no emotion {emotion!r}: expected one of {', '.join(self.emotion_labels)}")
            keep &= np.array([label == emotion for label in self.labels()], bool)
        if min_confidence > 0.0:
            keep &= np.array([label is not None for label in self.labels(min_confidence)], bool)
        if max_entropy < 1.0:
            keep &= self.entropy <= max_entropy
        return self[keep]

    def to_dicts(self) -> list[dict[str, Any]]:
        """One JSON-ready dictionary a face."""
        return [face.to_dict() for face in self]

    def to_json(self) -> str:
        """The whole result as one JSON object: schema, source, width, height, faces."""
        width, height = self.image_size
        document = {
            "schema": PHOTO, "source": self.source, "width": width, "height": height, "faces": self.to_dicts(),
        }  # fmt: skip
        # a file name need not be text; its stray bytes stay JSON escapes, so that the rest is UTF-8
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")

    def to_rows(self) -> list[dict[str, Any]]:
        """One flat dictionary a face with the same keys for every face: the rows of a CSV, a table or a data frame."""
        return [
            {
                "source": self.source,
                "face": i,
                **dict(zip(("x1", "y1", "x2", "y2"), (round(v, 2) for v in face.box), strict=True)),
                "score": round(face.score, 4),
                "emotion": face.emotion,
                "confidence": _r(face.confidence),
                "entropy": _r(face.entropy),
                **{f"emotion_{k}": round(v, 5) for k, v in face.emotions.items()},
                "age_range": face.age_range,
                "age": None if face.age is None else round(face.age, 1),
                **{f"age_{k}": round(v, 5) for k, v in face.ages.items()},
            }
            for i, face in enumerate(self)
        ]

    def to_pandas(self) -> pd.DataFrame:
        """`to_rows` as a data frame; needs pandas (extra ``tables``)."""
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError("pandas", "tables", "a data frame") from None
        return pd.DataFrame(self.to_rows())

    def to_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Write `to_rows` as Parquet and return the path; needs pyarrow (extra ``tables``)."""
        from mien.results.tables import write_parquet

        return write_parquet([self], path)

    def draw(self, image: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The picture with boxes and labels drawn on it: RGB uint8 ``(h, w, 3)``, a copy.

        ``image`` (RGB uint8 of the same size) is needed only where the result does not carry its picture.
        """
        from mien.draw.boxes import draw_faces

        return draw_faces(self, image)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the annotated picture; the format follows the suffix. Returns the path."""
        from mien.draw.boxes import save_faces

        return save_faces(self, path)


def _expect(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.dtype != np.float32 or array.shape != shape:
        raise InputError(f"{name} must be float32 of shape {shape}, got {array.dtype} {array.shape}")


def _known(table: NDArray[np.float32] | None, i: int) -> NDArray[np.float32] | None:
    """Row i, or None where no model told it."""
    return None if table is None or np.isnan(table[i]).any() else table[i]


def _named(names: Sequence[str], values: NDArray[np.float32]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def _r(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
