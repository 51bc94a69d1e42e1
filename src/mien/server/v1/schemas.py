"""The shapes of version 1: they document the interface, and tests hold the answers against them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from mien.results.schema_ids import schema_id

PHOTOS_SCHEMA_ID, VIDEO_SCHEMA_ID, LIVE_SCHEMA_ID = map(schema_id, ("analysis", "video", "live"))
"""What answers say under ``schema``."""
Probability = Annotated[float, Field(ge=0, le=1)]
Point = tuple[float, float]
Box = Annotated[tuple[float, float, float, float], Field(description="x1, y1, x2, y2 in pixels of the upright picture")]
_EMOTIONS: dict[str, JsonValue] = {
    "neutral": 0.0, "happy": 0.9999, "surprise": 0.0, "sad": 0.0, "angry": 0.0, "disgust": 0.0, "fear": 0.0,
    "contempt": 0.0,
}  # fmt: skip
FACE_EXAMPLE: dict[str, JsonValue] = {
    "box": [178.33, 61.51, 265.38, 172.25],
    "score": 0.9988,
    "landmarks": [[203.95, 101.25], [246.82, 103.33], [225.59, 129.18], [200.83, 139.23], [245.26, 141.24]],
    "emotion": "happy",
    "age_range": "20-29",
    "age": 31.3,
    "predictions": {
        "emotion": {"label": "happy", "confidence": 0.9999, "entropy": 0.0003, "probabilities": _EMOTIONS},
        "age": {
            "label": "20-29", "expected": 31.3, "confidence": 0.4063, "entropy": 0.5822,
            "probabilities": {
                "0-2": 0.0001, "3-9": 0.0031, "10-19": 0.0686, "20-29": 0.4063, "30-39": 0.3698, "40-49": 0.1271,
                "50-59": 0.0221, "60-69": 0.0027, "70-99": 0.0003,
            },
        },
    },
}  # fmt: skip
"""The face of scikit-image's astronaut."""
ONE_PIXEL_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
"""A PNG file of one pixel, as base64."""
TRACKED_FACE_EXAMPLE: dict[str, JsonValue] = {
    "track": 1,
    **FACE_EXAMPLE,
}

_VIDEO = "/v1/videos/u9Wq3rXn0cPzJ5sYb2LkVtHd"
VIDEO_STATE_EXAMPLE: dict[str, JsonValue] = {
    "id": "u9Wq3rXn0cPzJ5sYb2LkVtHd",
    "status": "running",
    "progress": {"frames": 120, "seconds": 4.76, "of_seconds": 12.0, "share": 0.3967, "eta": 6.1},
    "links": {
        "self": _VIDEO,
        "result": f"{_VIDEO}/result",
        "csv": f"{_VIDEO}/result?format=csv",
        "annotated": f"{_VIDEO}/annotated.mp4",
    },
}
"""A video under way."""


SCHEMA: Any = Field(alias="schema", description="kind of answer and version of its schema")
"""`pydantic.BaseModel` has a ``schema`` of its own."""


class StrictModel(BaseModel):
    """A JSON object with these keys and no others."""

    model_config = ConfigDict(extra="forbid")


class ProblemDetails(BaseModel):
    """What is answered instead of a result (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:mien:problem:image-unreadable",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "the image is empty (0 bytes): copy or download it again",
                }
            ]
        }
    )
    type: str = Field(description="tells kinds of problems apart")
    title: str
    status: int
    detail: str = Field(description="for people; says what to do next")


class Vote(StrictModel):
    """The majority over a window of time, with the interval of its share."""

    label: str | None
    share: Probability | None = None
    low: Probability | None = None
    high: Probability | None = None


class FacePrediction(StrictModel):
    """What a model predicts in one head. The last three are known in videos, for labels without an order."""

    label: str | None = Field(None, description="the most probable label; null below `abstain`")
    confidence: Probability | None = Field(None, description="its probability")
    entropy: Probability | None = Field(None, description="0: one label certain; 1: all equally likely")
    expected: float | None = Field(None, description="mean under the distribution, for ranges of numbers")
    probabilities: dict[str, Probability] | None = None
    stable: str | None = Field(None, description="does not flicker; null where there is none yet")
    smoothed: dict[str, float] | None = Field(None, description="probabilities filtered over time")
    vote: Vote | None = None


class Face(StrictModel):
    """One face of a photo. Keys of models that did not run are left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [FACE_EXAMPLE]})
    box: Box
    score: Probability = Field(description="how sure the detector is")
    landmarks: list[Point] | None = Field(
        None, description="eyes, nose, corners of the mouth; left in the picture first"
    )
    emotion: str | None = Field(None, description="the most probable emotion; null below `abstain`")
    age_range: str | None = Field(None, description="the most probable age range; null below `abstain`")
    age: float | None = Field(None, description="expected years")
    predictions: dict[str, FacePrediction] = Field(default_factory=dict, description="head → its prediction")


class PhotoFaces(StrictModel):
    """The faces of one photo; an empty list where there is none."""

    width: int
    height: int
    faces: list[Face]
    left_out: int | None = Field(None, description="faces beyond the limit, which are not told")


class PhotoFailure(StrictModel):
    """A photo that could not be read."""

    error: ProblemDetails


class ModelNames(StrictModel):
    """What the results depend on."""

    detector: str
    min_face: int
    threshold: float | None = None
    max_side: int | None = None
    flip: bool
    models: dict[str, str] = Field(description="name → name and version of the model")


class PhotosResponse(StrictModel):
    """One result a photo, in the order of the request."""

    schema_: Literal["urn:mien:schema:analysis:2"] = SCHEMA
    results: list[PhotoFaces | PhotoFailure]
    models: ModelNames
    seconds: float


class Base64Images(StrictModel):
    """Photos as JSON."""

    images: list[str] = Field(description="base64 of the files, or data URLs", min_length=1)


class VideoProgress(StrictModel):
    """How far a video is."""

    frames: int = Field(description="analysed so far")
    seconds: float = Field(description="of the video, so far")
    of_seconds: float | None = Field(description="of the video in all, where that is known")
    share: Probability | None
    eta: float | None = Field(description="seconds until it is done")


class VideoLinks(StrictModel):
    """Where the video's answers are."""

    self: str
    result: str
    csv: str
    annotated: str | None


class VideoState(StrictModel):
    """A video that was accepted."""

    model_config = ConfigDict(json_schema_extra={"examples": [VIDEO_STATE_EXAMPLE]})
    id: str
    status: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: VideoProgress
    links: VideoLinks
    error: ProblemDetails | None = None


class TrackedFace(Face):
    """One face of a frame of a video."""

    model_config = ConfigDict(json_schema_extra={"examples": [TRACKED_FACE_EXAMPLE]})
    track: int = Field(description="the same number on every frame")


class FrameRow(StrictModel):
    """One frame of a video."""

    schema_: Literal["urn:mien:schema:frame:2"] = SCHEMA
    frame: int
    time: float = Field(description="seconds from the start of the video")
    detected: bool = Field(description="whether this frame was searched, or its faces carried over")
    cut: bool = Field(False, description="whether a new scene starts here")
    faces: list[TrackedFace]


class VideoResponse(StrictModel):
    """Everything about a video. The keys of `summary` and `tracks` are those of `mien.VideoReport`."""

    schema_: Literal["urn:mien:schema:video:2"] = SCHEMA
    summary: dict[str, Any] = Field(description="size, and how much was looked at")
    tracks: list[dict[str, Any]] = Field(description="one face followed through the video each, with its episodes")
    rows: list[FrameRow] = Field(description="one a frame")


class LiveFrame(StrictModel):
    """What the live connection answers to a frame."""

    schema_: Literal["urn:mien:schema:live:2"] = SCHEMA
    t: float = Field(description="seconds: as they were sent, or since the first frame")
    index: int = Field(description="number of the frame among those that arrived, from 0")
    width: int
    height: int
    detected: bool
    cut: bool = False
    faces: list[TrackedFace]
    latency_ms: float = Field(description="from the frame's arrival to this answer")
    dropped: int = Field(description="frames so far that were passed over because newer ones had come")


class HealthResponse(StrictModel):
    """Alive."""

    status: Literal["ok"]


class ReadyResponse(StrictModel):
    """Ready for work."""

    status: Literal["ready"]
    models: ModelNames


class LimitsResponse(StrictModel):
    """What is allowed, and whether a key is asked for."""

    limits: dict[str, float]
    key_required: bool


class ModelCard(BaseModel):
    """A model's card: what it was trained on, how it scores, what it is not for."""

    name: str
    task: str
    licence: str
    data: str
    limits: str
    parameters: int


class ModelsResponse(StrictModel):
    """The models that run here."""

    models: ModelNames
    cards: list[ModelCard]
