"""The values of a video: one analysed frame, the coverage, the whole report.

A row of the table is a record of one NumPy structured dtype (`mien.results.face_columns.record_dtype`), so that a long
video takes some hundred bytes per face and frame, and memory, files and data frames all hold the same columns. A frame
without a face also has one row, so that all frames are in the table.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.media.frame import Frame
from mien.models.card import Head
from mien.results.columns import readable
from mien.results.face_columns import FaceTable, Heads, Records, empty_records, face_objects, record_dtype
from mien.results.faces import Faces
from mien.results.schema_ids import FRAME, REPORT
from mien.results.track import Episode, Track, Vote
from mien.results.track_columns import track_objects
from mien.text import count, listing, quoted_end

if TYPE_CHECKING:
    import pandas as pd

_REPORT_SUFFIXES = (".html", ".json", ".jsonl", ".csv", ".parquet")
"""Suffixes of `VideoReport.save`."""


@dataclass(frozen=True, slots=True, eq=False)
class SmoothedPredictions:
    """One nominal head's predictions for the faces of a frame, smoothed over time.

    Attributes:
        head: its labels.
        probabilities: ``(n, k)`` float32, filtered over time; NaN rows for faces without any prediction yet.
        labels: the stable label of each face (hysteresis on ``probabilities``), None where there is none yet.
        votes: the vote over the sliding window, one per face; its label is None where the window holds no vote.

    Examples:
        >>> with analyzer.stream("clip.mp4", end=0.2) as frames:
        ...     smoothed = next(iter(frames)).smoothed["emotion"]
        >>> smoothed
        SmoothedPredictions('ferplus', 'happy', 'neutral')
        >>> smoothed.probabilities.shape, smoothed.votes[0].label
        ((2, 8), 'happy')
    """

    head: Head
    probabilities: NDArray[np.float32]
    labels: tuple[str | None, ...]
    votes: tuple[Vote, ...]

    def __repr__(self) -> str:
        return f"SmoothedPredictions({self.head.name!a}, {listing([ascii(label) for label in self.labels])})"

    def __post_init__(self) -> None:
        shape = (len(self.labels), len(self.head.labels))
        if self.probabilities.dtype != np.float32 or self.probabilities.shape != shape:
            raise InputError(f"smoothed probabilities must be float32 of shape {shape}")
        if len(self.votes) != len(self.labels):
            raise InputError(f"{len(self.labels)} labels need as many votes, got {len(self.votes)}")


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One frame of a video, analysed.

    Attributes:
        frame: the picture, its number in the video and its time in seconds.
        faces: its faces, with their tracks. Predictions of nominal heads are those of this frame alone; those of
            ordered heads are pooled over the track so far.
        smoothed: nominal head → its predictions filtered over time.
        detected: False where the faces were propagated from the frame before instead of detected.
        cut: True where a new scene starts with this frame.

    Examples:
        >>> with analyzer.stream("clip.mp4", end=0.2) as frames:
        ...     frame = list(frames)[-1]
        >>> frame
        VideoFrame(index=4, time=0.160, 2 faces: 'happy', 'neutral')
        >>> frame.index, frame.time, frame.labels, [vote.n for vote in frame.votes], list(frame.heads)
        (4, 0.16, ('happy', 'neutral'), [5, 5], ['emotion', 'age'])
        >>> len(frame.to_table()), len(frame.to_records(frame.heads))
        (2, 2)
        >>> list(frame.to_dict()), frame.to_json()[:12]
        (['schema', 'source', 'frame', 'time', 'detected', 'faces'], '{"schema": "')
    """

    frame: Frame
    faces: Faces
    smoothed: Mapping[str, SmoothedPredictions] = field(default_factory=dict)
    detected: bool = True
    cut: bool = False

    def __post_init__(self) -> None:
        n = len(self.faces)
        if self.faces.tracks is None:
            raise InputError("the faces of a video frame need their tracks")
        for name, one in self.smoothed.items():
            if len(one.labels) != n:
                raise InputError(f"{n} faces need as many smoothed predictions of {name!r}, got {len(one.labels)}")

    def __repr__(self) -> str:
        faces = count(len(self.faces), "face")
        labels = f": {listing([ascii(label) for label in self.labels])}" if self.smoothed and len(self.faces) else ""
        return f"VideoFrame(index={self.index}, time={self.time:.3f}, {faces}{labels})"

    @property
    def index(self) -> int:
        """Number of the frame in the video, from 0."""
        return self.frame.index

    @property
    def time(self) -> float:
        """Seconds from the start of the video."""
        return self.frame.time

    @property
    def labels(self) -> tuple[str | None, ...]:
        """The stable label of each face in the first nominal head, the emotion by default."""
        first = next(iter(self.smoothed.values()), None)
        return (None,) * len(self.faces) if first is None else first.labels

    @property
    def votes(self) -> tuple[Vote, ...]:
        """The vote over the sliding window in the first nominal head, one per face; none without such a head."""
        first = next(iter(self.smoothed.values()), None)
        return () if first is None else first.votes

    @property
    def heads(self) -> Heads:
        """The heads that were predicted."""
        return self.faces.heads

    def to_table(self) -> FaceTable:
        """`to_records` with what is needed to read them."""
        return FaceTable(self.to_records(self.heads), self.heads, self.frame.source, video=True)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values: the frame, and one dictionary per face."""
        table = self.to_table()
        return frame_object(table.records[0], self.frame.source, [face for face in face_objects(table) if face])

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json_line(self.to_dict())

    def to_records(self, heads: Heads) -> Records:
        """``(max(n, 1),)`` rows of a table with these heads; one with track −1 where there is no face."""
        records = self.faces.fill_records(empty_records(max(len(self.faces), 1), record_dtype(heads, video=True)))
        records["frame"], records["time"] = self.index, self.time
        records["detected"], records["cut"] = self.detected, self.cut
        if not len(self.faces):
            return records
        records["track"] = self.faces.tracks
        for name, one in self.smoothed.items():
            labels = one.head.labels
            records[f"{name}/smoothed"] = one.probabilities
            records[f"{name}/label"] = [-1 if label is None else labels.index(label) for label in one.labels]
            records[f"{name}/vote"] = [-1 if vote.label is None else labels.index(vote.label) for vote in one.votes]
            for end in ("share", "low", "high"):
                records[f"{name}/vote_{end}"] = [np.nan if v.label is None else getattr(v, end) for v in one.votes]
        return records


def frame_object(row: np.void, source: str | None, faces: list[dict[str, Any]]) -> dict[str, Any]:
    """The JSON object of a frame, from one of its rows and the objects of its faces."""
    document: dict[str, Any] = {"schema": FRAME} | ({} if source is None else {"source": source})
    document |= {"frame": int(row["frame"]), "time": round(float(row["time"]), 6), "detected": bool(row["detected"])}
    if row["cut"]:
        document["cut"] = True
    return document | {"faces": faces}


def json_line(document: Mapping[str, Any]) -> str:
    """One line of JSON as valid UTF-8: invalid bytes of a file name stay JSON escapes."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was analysed, and what was not.

    Attributes:
        frames: frames analysed.
        without_face: of these, frames without a face.
        lost: frames that could not be decoded.
        dropped: frames that a live source dropped because the analysis was busy.
        seconds: length of the analysed part.
        problems: problems and their effects, one line each.

    Examples:
        >>> report.coverage.frames, report.coverage.lost, round(report.coverage.seconds, 3)
        (25, 0, 1.0)
        >>> list(report.coverage.to_dict())
        ['frames', 'without_face', 'lost', 'dropped', 'seconds', 'problems']
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
    """The results of a video.

    Attributes:
        source: path or address.
        size: (width, height) in pixels of the first frame; (0, 0) when there was none.
        tracks: the tracked faces, in order of appearance.
        rows: the table, one row per face and frame.
        coverage: how much was analysed.

    Examples:
        >>> report
        VideoReport('clip.mp4', 320x144, 1.0 s, 25 frames, 2 tracks)
        >>> for track in report.tracks:
        ...     print(track.id, track.emotion, round(track.start, 2), round(track.end, 2))
        1 happy 0.0 1.0
        2 neutral 0.0 1.0
        >>> len(report), report.track(2).emotion, len(report.episodes), list(report.heads)
        (2, 'neutral', 2, ['emotion', 'age'])
        >>> len(report.to_pandas()), len(report.rows)
        (50, 50)
        >>> list(report.to_dict())[-2:], report.to_json()[:1]
        (['heads', 'tracks'], '{')
    """

    source: str | None
    size: tuple[int, int]
    tracks: tuple[Track, ...]
    rows: FaceTable
    coverage: Coverage

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """The episodes of all tracks, in order of time."""
        every = [episode for track in self.tracks for episode in track.episodes]
        return tuple(sorted(every, key=lambda e: (e.start, e.track)))

    @property
    def heads(self) -> Heads:
        """The heads that were predicted."""
        return self.rows.heads

    def __len__(self) -> int:
        return len(self.tracks)

    def __repr__(self) -> str:
        parts = [] if self.source is None else [quoted_end(self.source)]
        parts += ["{}x{}".format(*self.size), f"{self.coverage.seconds:.1f} s", count(self.coverage.frames, "frame")]
        return f"VideoReport({', '.join([*parts, count(len(self.tracks), 'track')])})"

    def track(self, number: int) -> Track:
        """The track with this number; `InputError` where there is none."""
        for track in self.tracks:
            if track.id == number:
                return track
        numbers = ", ".join(str(track.id) for track in self.tracks) or "none"
        raise InputError(f"no track {number}", advice=f"the tracks are {numbers}", code="track-unknown")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready summary: everything but the table."""
        return {
            "schema": REPORT,
            "source": readable(self.source),
            "width": self.size[0],
            "height": self.size[1],
            "coverage": self.coverage.to_dict(),
            "heads": {name: {"labels": list(h.labels), "ordered": h.ordered} for name, h in self.heads.items()},
            "tracks": track_objects(self.tracks),
        }

    def to_json(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=1)

    def to_pandas(self) -> pd.DataFrame:
        """The table as a data frame, one row per face and frame; needs pandas (extra ``tables``)."""
        return self.rows.to_pandas()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the report and return its path; the suffix decides what is written.

        ``.html``: one self-contained page. ``.json``: `to_json`. ``.csv``, ``.parquet`` (extra ``tables``): the table,
        one row per face and frame. ``.jsonl``: one JSON object per frame.

        Raises:
            InputError: another suffix, a folder, or the video itself.
            OutputError: the file cannot be written.

        Examples:
            >>> report.save("report.html").name, report.save("rows.csv").name, report.save("summary.json").name
            ('report.html', 'rows.csv', 'summary.json')
        """
        from mien.draw.video_page import write_html
        from mien.files import write_text
        from mien.output_checks import refuse_inputs
        from mien.results.row_writers import write_rows

        target = Path(path)
        suffix = target.suffix.lower()
        if suffix not in _REPORT_SUFFIXES:
            raise InputError(
                f"a report has no form for the suffix {target.suffix!r}",
                path=target,
                advice=f"use {', '.join(_REPORT_SUFFIXES[:-1])} or {_REPORT_SUFFIXES[-1]}",
            )
        if self.source is not None:
            refuse_inputs(target, [self.source])
        if suffix == ".html":
            return write_html(self, target)
        if suffix == ".json":
            return write_text(target, self.to_json() + "\n")
        return write_rows(self.rows, target)

    def export(self, folder: str | os.PathLike[str], formats: Sequence[str], *, name: str | None = None) -> list[Path]:
        """Write the report for other tools and return the files.

        ``boris``: a BORIS project; ``eaf``: ELAN annotations; ``textgrid``: a Praat TextGrid; ``bids``: a BIDS dataset,
        ``folder/bids``, which further videos are added to; ``openface``: a table with the column names of OpenFace 2.

        Args:
            folder: where the files go; it is made.
            formats: names of formats.
            name: of the files; None takes that of the video.

        Raises:
            InputError: an unknown format; a file that is the video itself; one that exists and people may have
                corrected.
            OutputError: a file cannot be written.

        Examples:
            >>> [path.name for path in report.export("coding", ["eaf", "textgrid"])]
            ['clip.eaf', 'clip.TextGrid']
        """
        from mien.exchange.formats import export_report

        return export_report(self, Path(folder), formats, name)
