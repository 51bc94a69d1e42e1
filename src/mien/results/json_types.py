"""The shapes of the JSON that results are written as: types for who reads it, and the source of its schema.

`mien.results.json_schema` turns them into JSON Schema. A text in ``Annotated`` is a key's description; keys of
classes with ``total=False`` are left out where there is nothing to tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Optional, TypedDict


@dataclass(frozen=True, slots=True)
class Bounds:
    """Least and greatest value of a number, or number of items of a list."""

    low: float
    high: float | None = None


# Optional and not "| None": these are evaluated when the schema is made, and nested in Annotated
Probability = Annotated[float, Bounds(0, 1)]
Count = Annotated[int, Bounds(0)]
Pixels = Annotated[int, Bounds(0)]
Point = Annotated[list[float], Bounds(2, 2), "x and y in pixels of the upright picture"]
Box = Annotated[list[float], Bounds(4, 4), "x1, y1, x2, y2 in pixels of the upright picture"]
Distribution = Annotated[dict[str, Probability], "name → probability, adding up to 1 but for rounding"]


class FoundJson(TypedDict):
    """What every face has."""

    box: Box
    score: Annotated[Probability, "how sure the detector is"]


class FaceJson(FoundJson, total=False):
    """One face of a photo. Keys of models that did not run are left out."""

    landmarks: Annotated[
        list[Point], Bounds(5, 5), "eyes, nose, corners of the mouth; left in the picture first; left out without them"
    ]
    emotion: Annotated[str, "the most probable emotion"]
    confidence: Annotated[Probability, "its probability"]
    entropy: Annotated[Probability, "0: one emotion certain; 1: all equally likely"]
    emotions: Distribution
    age_range: Annotated[str, "the most probable range, such as 20-29"]
    age: Annotated[float, Bounds(0), "expected years"]
    ages: Distribution


class PhotoJson(TypedDict):
    """One photo, with its faces: a line of `mien analyze PHOTO --json`."""

    schema: Annotated[Literal["urn:mien:schema:photo:1"], "kind of result and version of its schema"]
    source: Annotated[Optional[str], "path or name; null for a picture from memory"]  # noqa: UP045
    width: Pixels
    height: Pixels
    faces: Annotated[list[FaceJson], "empty where there is no face"]


class VoteJson(TypedDict):
    """What most frames of a window of time say, with the interval of the share."""

    label: Annotated[Optional[str], "null before the first vote"]  # noqa: UP045
    share: Probability
    low: Probability
    high: Probability


class TrackVoteJson(VoteJson):
    """The vote over all frames of a face."""

    n: Annotated[Count, "frames in which the face was seen"]
    decided: Annotated[bool, "whether the whole interval lies above one half"]


class FollowedJson(TypedDict):
    """What every face of a video has."""

    track: Annotated[int, Bounds(1), "number of the face, the same on every frame"]


class TrackedFaceJson(FollowedJson, FaceJson, total=False):
    """One face of a frame of a video. `emotions` are those of the frame alone, `ages` pooled over the track so far."""

    stable_emotion: Annotated[Optional[str], "does not flicker; null where there is none yet"]  # noqa: UP045
    smoothed: Annotated[dict[str, Probability], "emotions filtered over time"]
    vote: VoteJson


class TimedJson(TypedDict):
    """What every frame has."""

    schema: Annotated[Literal["urn:mien:schema:frame:1"], "kind of result and version of its schema"]
    frame: Annotated[Count, "number of the frame in the video, from 0"]
    time: Annotated[float, "seconds from the start of the video"]
    detected: Annotated[bool, "whether the frame was searched, or its faces carried over from the one before"]
    faces: Annotated[list[TrackedFaceJson], "empty where there is no face"]


class FrameJson(TimedJson, total=False):
    """One frame of a video or a camera: a line of `mien analyze VIDEO --json` and `mien live --json`."""

    source: Annotated[str, "path or address"]
    cut: Annotated[Literal[True], "a new scene starts here; left out elsewhere"]


class EpisodeJson(TypedDict):
    """A stretch of time in which one face shows one emotion."""

    track: Annotated[int, Bounds(1)]
    label: str
    start: Annotated[float, "seconds"]
    end: Annotated[float, "seconds"]
    peak: Annotated[Probability, "greatest smoothed probability"]
    peak_time: Annotated[float, "when, seconds"]
    mean: Annotated[Probability, "time-weighted mean of the smoothed probability"]


class SeenJson(TypedDict):
    """What every track has."""

    track: Annotated[int, Bounds(1), "number of the face, in order of appearance"]
    start: Annotated[float, "seconds, its first frame"]
    end: Annotated[float, "seconds, the end of its last frame"]
    frames: Annotated[Count, "frames in which it was seen"]
    seen: Annotated[float, Bounds(0), "seconds in which it was seen"]


class TrackJson(SeenJson, total=False):
    """One face followed through a video. Keys of models that did not run are left out."""

    emotion: Annotated[Optional[str], "the emotion with the greatest mean probability"]  # noqa: UP045
    emotions: Annotated[dict[str, Probability], "time-weighted mean probabilities"]
    shares: Annotated[dict[str, Probability], "fraction of the seen time with this stable label"]
    vote: TrackVoteJson
    episodes: list[EpisodeJson]
    age_range: str
    age: Annotated[float, Bounds(0), "expected years"]
    ages: Distribution


class CoverageJson(TypedDict):
    """What was looked at, and what was not."""

    frames: Annotated[Count, "frames analysed"]
    without_face: Annotated[Count, "of these, frames without a face"]
    lost: Annotated[Count, "frames that could not be decoded"]
    dropped: Annotated[Count, "frames that a live source threw away because the analysis was busy"]
    seconds: Annotated[float, Bounds(0), "length of the stretch that was analysed"]
    problems: Annotated[list[str], "one line each: what went wrong and what it cost"]


class ReportJson(TypedDict):
    """What was found in a video: `summary.json` of `mien analyze VIDEO --report`, `VideoReport.to_json`."""

    schema: Annotated[Literal["urn:mien:schema:report:1"], "kind of result and version of its schema"]
    source: Annotated[Optional[str], "path or address"]  # noqa: UP045
    width: Pixels
    height: Pixels
    coverage: CoverageJson
    tracks: list[TrackJson]
