"""The values of a video: one analysed frame, the table with one row a face and frame, the whole report.

A row is a record of one NumPy structured dtype (`row_dtype`), so that a long video costs some hundred bytes a face and
frame, and memory, files and data frames all hold the same columns. A frame without a face is one row too, with track −1
and NaN: time is complete.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.distributions import normalised_entropy
from mien.errors import InputError, MissingExtraError
from mien.labels import age_bin_names
from mien.media.frame import Frame
from mien.results.faces import N_LANDMARKS, Faces
from mien.results.schema_ids import FRAME, REPORT
from mien.results.track import Episode, Track, Vote

if TYPE_CHECKING:
    import pandas as pd

Records = NDArray[np.void]
"""``(n,)`` of a `row_dtype`."""
_UNKNOWN = ("box", "score", "landmarks", "emotions", "smoothed", "vote_share", "vote_low", "vote_high", "ages")
"""Fields that are NaN where there is nothing to tell."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One frame of a video, analysed.

    Attributes:
        frame: the picture, its number in the video and its time in seconds.
        faces: the faces seen, with their tracks. ``emotions`` is what this frame alone shows; ``ages`` is pooled over
            the track so far.
        smoothed: ``(n, len(faces.emotion_labels))`` float32, the emotions filtered over time; None without emotions.
        labels: the stable label of each face (hysteresis on ``smoothed``), None where there is none yet.
        votes: the vote over the sliding window, one a face.
        detected: False where the faces were carried over from the frame before instead of searched for.
        cut: True where a new scene starts with this frame.
    """

    frame: Frame
    faces: Faces
    smoothed: NDArray[np.float32] | None = None
    labels: tuple[str | None, ...] = ()
    votes: tuple[Vote, ...] = ()
    detected: bool = True
    cut: bool = False

    def __post_init__(self) -> None:
        n = len(self.faces)
        if self.faces.tracks is None:
            raise InputError("the faces of a video frame need their tracks")
        emotions = self.faces.emotions
        smoothed = self.smoothed
        if emotions is not None and (
            smoothed is None or smoothed.shape != emotions.shape or smoothed.dtype != np.float32
        ):
            raise InputError(f"smoothed must be float32 of shape {emotions.shape}")
        if len(self.labels) != n or len(self.votes) != n:
            raise InputError(f"{n} faces need as many labels and votes, got {len(self.labels)} and {len(self.votes)}")

    @property
    def index(self) -> int:
        """Number of the frame in the video, from 0."""
        return self.frame.index

    @property
    def time(self) -> float:
        """Seconds from the start of the video."""
        return self.frame.time

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values: the frame, and one dictionary a face."""
        faces = self.faces.to_dicts()
        for i, face in enumerate(faces):
            if self.smoothed is not None and "emotions" in face:
                vote = self.votes[i]
                face["stable_emotion"] = self.labels[i]
                names = self.faces.emotion_labels
                face["smoothed"] = {k: round(float(p), 4) for k, p in zip(names, self.smoothed[i], strict=True)}
                face["vote"] = {
                    "label": vote.label,
                    "share": round(vote.share, 4),
                    "low": round(vote.low, 4),
                    "high": round(vote.high, 4),
                }
        document: dict[str, Any] = {"schema": FRAME}
        if self.frame.source is not None:
            document["source"] = self.frame.source
        document |= {"frame": self.index, "time": round(self.time, 6), "detected": self.detected}
        if self.cut:
            document["cut"] = True
        return document | {"faces": faces}

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        # a file name need not be text; its stray bytes stay JSON escapes, so that the rest is UTF-8
        return json.dumps(self.to_dict(), ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")

    def to_records(self, dtype: np.dtype[np.void]) -> Records:
        """``(max(n, 1),)`` rows of the table; one with track −1 where there is no face."""
        n = len(self.faces)
        records = np.zeros(max(n, 1), dtype)
        records["frame"], records["time"] = self.index, self.time
        records["detected"], records["cut"] = self.detected, self.cut
        records["track"], records["label"], records["vote"] = -1, -1, -1
        for name in _UNKNOWN:
            records[name] = np.nan
        if n == 0:
            return records
        records["track"], records["box"], records["score"] = self.faces.tracks, self.faces.boxes, self.faces.scores
        records["landmarks"] = self.faces.landmarks
        names = self.faces.emotion_labels
        if self.faces.emotions is not None:
            records["emotions"], records["smoothed"] = self.faces.emotions, self.smoothed
            records["label"] = [-1 if label is None else names.index(label) for label in self.labels]
            records["vote"] = [-1 if vote.label is None else names.index(vote.label) for vote in self.votes]
        for name in ("share", "low", "high"):
            records[f"vote_{name}"] = [np.nan if v.label is None else getattr(v, name) for v in self.votes]
        if self.faces.ages is not None:
            records["ages"] = self.faces.ages
        return records


def row_dtype(emotion_labels: Sequence[str], age_bins: Sequence[tuple[int, int]]) -> np.dtype[np.void]:
    """The columns of one row, little-endian and packed.

    ``label`` and ``vote`` index ``emotion_labels``, −1 for none, and ``vote_*`` is NaN without a vote; ``track`` is −1
    in the row of a frame without a face; ``landmarks`` are NaN where the detector has none.
    """
    k, a = len(emotion_labels), len(age_bins)
    fields: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = [
        ("frame", "<i8"), ("time", "<f8"), ("track", "<i4"), ("detected", "?"), ("cut", "?"),
        ("label", "i1"), ("vote", "i1"), ("box", "<f4", (4,)), ("score", "<f4"),
        ("landmarks", "<f4", (N_LANDMARKS, 2)),
        ("emotions", "<f4", (k,)), ("smoothed", "<f4", (k,)),
        ("vote_share", "<f4"), ("vote_low", "<f4"), ("vote_high", "<f4"), ("ages", "<f4", (a,)),
    ]  # fmt: skip
    return np.dtype(fields)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The table of a video, or a stretch of it: one row a face and frame.

    Attributes:
        records: ``(n,)`` of `row_dtype`.
        emotion_labels: what the columns of ``emotions`` and ``smoothed`` are.
        age_bins: inclusive years of the columns of ``ages``.
        source: where the frames came from.
    """

    records: Records
    emotion_labels: tuple[str, ...]
    age_bins: tuple[tuple[int, int], ...]
    source: str | None = None

    def __post_init__(self) -> None:
        if self.records.dtype != row_dtype(self.emotion_labels, self.age_bins):
            raise InputError("the records have other columns than these labels: they come from another model")

    def __len__(self) -> int:
        return len(self.records)

    @property
    def is_face(self) -> NDArray[np.bool_]:
        """``(n,)`` False in the rows of frames without a face."""
        return np.asarray(self.records["track"] >= 0, np.bool_)

    @property
    def ages(self) -> NDArray[np.float64]:
        """``(n,)`` expected age in years, NaN without a face or an age model."""
        if not self.age_bins:
            return np.full(len(self), np.nan)
        centres = np.array([(a + b + 1) / 2 for a, b in self.age_bins])
        return np.asarray(self.records["ages"] @ centres, np.float64)

    @property
    def entropy(self) -> NDArray[np.float32]:
        """``(n,)`` uncertainty of ``emotions``, 0–1; NaN without a face or an emotion model."""
        entropy = np.full(len(self), np.nan, np.float32)
        if self.emotion_labels:
            faces = self.is_face
            entropy[faces] = normalised_entropy(self.records["emotions"][faces])
        return entropy

    def to_columns(self) -> dict[str, list[Any]]:
        """Column name → n Python values, None where there is nothing to tell: what CSV, Parquet and data frames hold.

        ``emotion``, ``confidence``, ``entropy`` and ``emotion_*`` are those of the frame alone; ``stable_emotion`` and
        ``smoothed_*`` are filtered over time; ``vote*`` is the sliding window's; ``age_range``, ``age`` and ``age_*``
        are pooled over the track so far.
        """
        r, faces = self.records, self.is_face
        names = self.emotion_labels
        columns: dict[str, list[Any]] = {
            "source": [readable(self.source)] * len(self),
            "frame": r["frame"].tolist(),
            "time": np.round(r["time"], 6).tolist(),
            "track": _or_none(r["track"], faces),
        }
        columns |= {name: _or_none(r["box"][:, i], faces, 2) for i, name in enumerate(("x1", "y1", "x2", "y2"))}
        columns |= {
            "score": _or_none(r["score"], faces, 4),
            "detected": r["detected"].tolist(),
            "cut": r["cut"].tolist(),
        }
        if names:
            shown = faces & ~np.isnan(r["emotions"]).any(axis=1)
            best = np.where(shown, np.argmax(np.nan_to_num(r["emotions"], nan=-1.0), axis=1), -1)
            columns |= {
                "emotion": _named(best, names),
                "confidence": _or_none(r["emotions"].max(axis=1), faces, 4),
                "entropy": _or_none(self.entropy, faces, 4),
                **{f"emotion_{name}": _or_none(r["emotions"][:, i], faces, 5) for i, name in enumerate(names)},
                "stable_emotion": _named(r["label"], names),
                **{f"smoothed_{name}": _or_none(r["smoothed"][:, i], faces, 5) for i, name in enumerate(names)},
                "vote": _named(r["vote"], names),
                **{name: _or_none(r[name], faces, 4) for name in ("vote_share", "vote_low", "vote_high")},
            }
        if self.age_bins:
            bins = age_bin_names(self.age_bins)
            told = faces & ~np.isnan(r["ages"]).any(axis=1)
            oldest = np.where(told, np.argmax(np.nan_to_num(r["ages"], nan=-1.0), axis=1), -1)
            columns |= {
                "age_range": _named(oldest, bins),
                "age": _or_none(self.ages, told, 1),
                **{f"age_{name}": _or_none(r["ages"][:, i], told, 5) for i, name in enumerate(bins)},
            }
        return columns

    def to_pandas(self) -> pd.DataFrame:
        """`to_columns` as a data frame; needs pandas (extra ``tables``)."""
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError("pandas", "tables", "a data frame") from None
        columns = self.to_columns()
        frame = pd.DataFrame(columns)
        return frame.astype({"track": "Int64"})


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was looked at, and what was not.

    Attributes:
        frames: frames analysed.
        without_face: of these, frames without a face.
        lost: frames that could not be decoded.
        dropped: frames that a live source threw away because the analysis was busy.
        seconds: length of the stretch that was analysed.
        problems: one line each: what went wrong and what it cost.
    """

    frames: int
    without_face: int
    lost: int = 0
    dropped: int = 0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "frames": self.frames,
            "without_face": self.without_face,
            "lost": self.lost,
            "dropped": self.dropped,
            "seconds": round(self.seconds, 3),
            "problems": [readable(problem) for problem in self.problems],
        }


@dataclass(frozen=True, slots=True, eq=False)
class VideoReport:
    """What was found in a video.

    Attributes:
        source: path or address.
        size: (width, height) in pixels of the first frame; (0, 0) when there was none.
        tracks: the faces followed, in order of appearance.
        rows: the table, one row a face and frame.
        coverage: how much was looked at.
    """

    source: str | None
    size: tuple[int, int]
    tracks: tuple[Track, ...]
    rows: Rows
    coverage: Coverage

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """Those of all tracks, in order of time."""
        every = [episode for track in self.tracks for episode in track.episodes]
        return tuple(sorted(every, key=lambda e: (e.start, e.track)))

    def __len__(self) -> int:
        return len(self.tracks)

    def track(self, number: int) -> Track:
        """The track with this number; `InputError` when there is none."""
        for track in self.tracks:
            if track.id == number:
                return track
        raise InputError(f"no track {number}: there are {', '.join(str(t.id) for t in self.tracks) or 'none'}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready summary: everything but the table."""
        return {
            "schema": REPORT,
            "source": readable(self.source),
            "width": self.size[0],
            "height": self.size[1],
            "coverage": self.coverage.to_dict(),
            "tracks": [track.to_dict() for track in self.tracks],
        }

    def to_json(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=1)

    def to_pandas(self) -> pd.DataFrame:
        """The table as a data frame, one row a face and frame; needs pandas (extra ``tables``)."""
        return self.rows.to_pandas()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the report as one self-contained HTML page and return its path; needs matplotlib (extra ``plots``)."""
        from mien.draw.video_page import write_html

        return write_html(self, path)


def readable(source: str | None) -> str | None:
    """A path as UTF-8 text: a file name need not be text, and its stray bytes are shown as escapes."""
    return None if source is None else source.encode("utf-8", "backslashreplace").decode("utf-8")


def _or_none(values: NDArray[Any], known: NDArray[np.bool_], digits: int | None = None) -> list[Any]:
    plain = values.astype(np.float64).round(digits).tolist() if digits is not None else values.tolist()
    return [
        value if told and not (isinstance(value, float) and math.isnan(value)) else None
        for value, told in zip(plain, known.tolist(), strict=True)
    ]


def _named(indices: NDArray[Any], names: Sequence[str]) -> list[str | None]:
    return [names[i] if i >= 0 else None for i in indices.tolist()]
