"""The schemas of version 1: they validate parameters, document the interface, and tests check the answers with them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from mien import defaults
from mien.results.schema_ids import schema_id
from mien.server.clients import CHOSEN_ID

PHOTOS_SCHEMA_ID, VIDEO_SCHEMA_ID, LIVE_SCHEMA_ID = map(schema_id, ("analysis", "video", "live"))
"""Values of ``schema`` in answers."""
Probability = Annotated[float, Field(ge=0, le=1)]
Point = tuple[float, float]
Box = Annotated[tuple[float, float, float, float], Field(description="x1, y1, x2, y2 in pixels of the upright picture")]
_EMOTIONS: dict[str, JsonValue] = {
    "neutral": 0.0007, "happy": 0.9984, "surprise": 0.0005, "sad": 0.0001, "angry": 0.0001, "disgust": 0.0001,
    "fear": 0.0001, "contempt": 0.0,
}  # fmt: skip
FACE_EXAMPLE: dict[str, JsonValue] = {
    "box": [178.5, 58.82, 270.01, 172.08],
    "score": 0.9179,
    "landmarks": [[203.93, 100.93], [246.68, 103.49], [224.36, 126.69], [201.33, 139.5], [244.6, 142.07]],
    "view": {
        "yaw": 1.6, "pitch": -10.4, "roll": 3.4, "brightness": 176.105, "sharpness": 0.978, "covered": 0.0,
        "unlike": 0.307,
    },
    "flags": {
        "turned": False, "small": False, "dark": False, "blurred": False, "covered": False, "unlike": False,
    },
    "emotion": "happy",
    "age_range": "20-29",
    "age": 27.3,
    "predictions": {
        "emotion": {"label": "happy", "confidence": 0.9984, "entropy": 0.0068, "probabilities": _EMOTIONS},
        "age": {
            "label": "20-29", "expected": 27.3, "confidence": 0.6587, "entropy": 0.4134,
            "probabilities": {
                "0-2": 0.0001, "3-9": 0.0022, "10-19": 0.0653, "20-29": 0.6587, "30-39": 0.2503, "40-49": 0.0218,
                "50-59": 0.0014, "60-69": 0.0001, "70-99": 0.0,
            },
        },
    },
}  # fmt: skip
"""The answer for scikit-image's astronaut."""
BINARY_CONTENT = {"schema": {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}}
"""A request's body that is the file itself, as OpenAPI describes it."""
ONE_PIXEL_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
"""A PNG file of one pixel, as base64."""
TRACKED_FACE_EXAMPLE: dict[str, JsonValue] = {
    "track": 1,
    **FACE_EXAMPLE,
    "predictions": {
        "emotion": {
            "label": "happy", "confidence": 0.9984, "entropy": 0.0067, "probabilities": _EMOTIONS,
            "stable": "happy", "smoothed": _EMOTIONS,
            "vote": {"label": "happy", "share": 1.0, "low": 0.5655, "high": 1.0},
        },
    },
}  # fmt: skip
"""The same face in a frame of a video."""

_VIDEO = "videos/u9Wq3rXn0cPzJ5sYb2LkVtHd"
VIDEO_STATE_EXAMPLE: dict[str, JsonValue] = {
    "id": "u9Wq3rXn0cPzJ5sYb2LkVtHd",
    "status": "running",
    "progress": {"frames": 120, "seconds": 4.76, "total_seconds": 12.0, "share": 0.3967, "eta": 6.1},
    "links": {
        "self": _VIDEO,
        "result": f"{_VIDEO}/result",
        "csv": f"{_VIDEO}/result?format=csv",
        "annotated": f"{_VIDEO}/annotated.mp4",
    },
}
"""A video in progress."""


SCHEMA: Any = Field(alias="schema", description="kind of answer and version of its schema")
"""`pydantic.BaseModel` has a ``schema`` of its own."""
_MAX = 1_000_000


class StrictModel(BaseModel):
    """A JSON object with these keys and no others."""

    model_config = ConfigDict(extra="forbid")


class PhotoParameters(BaseModel):
    """Options of a request with photos."""

    model_config = ConfigDict(allow_inf_nan=False)
    min_face: float = Field(0.0, ge=0, le=100_000, description="least shorter side of a face, pixels")
    min_score: float = Field(0.0, ge=0, le=1, description="least detection score")
    abstain: float = Field(defaults.ABSTAIN, ge=0, le=1, description="a label whose probability is below this is null")
    models: str | None = Field(None, description="names of the models to run, such as emotion,age; by default all")


DETECT_EVERY: Any = Field(defaults.DETECT_EVERY, ge=1, le=9999, description="detect faces in every N-th frame")
TIME_CONSTANT: Any = Field(
    defaults.TIME_CONSTANT,
    ge=0,
    le=_MAX,
    description="time constant of the filter on predictions, seconds; 0 disables it",
)
WINDOW: Any = Field(
    defaults.WINDOW, gt=0, le=_MAX, description="length of the sliding window over which frames vote, seconds"
)


class LiveParameters(BaseModel):
    """Options of a live connection."""

    model_config = ConfigDict(allow_inf_nan=False, extra="forbid")
    detect_every: int = DETECT_EVERY
    time_constant: float = TIME_CONSTANT
    window: float = WINDOW


class VideoParameters(BaseModel):
    """Options of a video."""

    model_config = ConfigDict(allow_inf_nan=False)
    every: int = Field(defaults.EVERY, ge=1, le=_MAX, description="take every N-th frame")
    fps: float | None = Field(None, gt=0, le=1000, description="take about this many frames per second")
    start: float | None = Field(None, ge=0, le=_MAX, description="seconds to start at")
    end: float | None = Field(None, ge=0, le=_MAX, description="seconds to end at")
    detect_every: int = DETECT_EVERY
    time_constant: float = TIME_CONSTANT
    window: float = WINDOW
    annotate: bool = Field(False, description="make the annotated video")
    id: str | None = Field(
        None,
        pattern=f"^{CHOSEN_ID.pattern}$",
        description="of the video, as the client chooses it; by default the service does",
    )


class ProblemDetails(BaseModel):
    """What is answered instead of a result (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:mien:problem:image-too-large",
                    "title": "Image too large",
                    "status": 413,
                    "detail": "the image declares 60,000 × 60,000 pixels, above the limit of 25,000,000; shrink it",
                    "code": "image-too-large",
                    "details": {"pixels": 3_600_000_000, "limit": 25_000_000},
                }
            ]
        }
    )
    type: str = Field(description="urn:mien:problem: and the code")
    title: str = Field(description="the same for every problem of this code")
    status: int
    detail: str = Field(description="for people, with what to do next")
    code: str = Field(description="for programs; stable")
    instance: str | None = Field(None, description="urn:mien:request: and the id of the request, as in X-Request-Id")
    details: dict[str, JsonValue] = Field({}, description="facts for programs, where there are any")


class Vote(StrictModel):
    """The majority over a window of time, with the interval of its share."""

    label: str | None
    share: Probability | None = None
    low: Probability | None = None
    high: Probability | None = None


class FacePrediction(StrictModel):
    """The prediction of one head. The last three keys are those of nominal heads in videos."""

    label: str | None = Field(None, description="the most probable label; null below `abstain`")
    confidence: Probability | None = Field(None, description="its probability")
    entropy: Probability | None = Field(None, description="0: one label certain; 1: all equally likely")
    expected: float | None = Field(None, description="mean of the distribution, where labels are ranges of numbers")
    probabilities: dict[str, Probability] | None = Field(None, description="label → probability, in order")
    set: list[str] | None = Field(None, description="labels that hold the right one, with the coverage of the service")
    low: int | None = Field(None, description="lower end of their interval, where labels are ranges of numbers")
    high: int | None = Field(None, description="upper end of the interval")
    stable: str | None = Field(None, description="the label without flicker; null where there is none yet")
    smoothed: dict[str, Probability] | None = Field(None, description="probabilities filtered over time")
    vote: Vote | None = None


class Face(StrictModel):
    """One face of a photo. Keys of models that did not run are omitted."""

    model_config = ConfigDict(json_schema_extra={"examples": [FACE_EXAMPLE]})
    box: Box
    score: Probability = Field(description="detection score")
    landmarks: list[Point] | None = Field(
        None, description="eyes, nose, corners of the mouth; the left one in the picture first"
    )
    view: dict[str, float] | None = Field(
        None, description="how the face is seen: yaw, pitch and roll in degrees, brightness, sharpness, covered, unlike"
    )
    flags: dict[str, bool] = Field({}, description="what makes predictions less reliable → whether it holds")
    emotion: str | None = Field(None, description="the most probable emotion; null below `abstain`")
    age_range: str | None = Field(None, description="the most probable age range; null below `abstain`")
    age: float | None = Field(None, description="expected age, years")
    predictions: dict[str, FacePrediction] = Field({}, description="head → prediction; the first head is shown first")


class PhotoFaces(StrictModel):
    """The faces of one photo; an empty list where there is none."""

    width: int
    height: int
    faces: list[Face]
    left_out: int | None = Field(None, description="number of faces beyond the limit, which are not returned")


class PhotoFailure(StrictModel):
    """A photo that could not be read."""

    error: ProblemDetails


class ModelNames(StrictModel):
    """What the results depend on."""

    detector: str
    device: str = Field(description="what detector and models were loaded for")
    min_face: int | None = Field(None, description="height of the smallest face in pixels; null for the detector's own")
    threshold: float | None = None
    max_side: int | None = None
    flip: bool
    models: dict[str, str] = Field(description="name → name and version of the model")


class PhotosResponse(StrictModel):
    """One result per photo, in the order of the request."""

    schema_: Literal["urn:mien:schema:analysis:2"] = SCHEMA
    results: list[PhotoFaces | PhotoFailure]
    models: ModelNames
    seconds: float


class Base64Images(StrictModel):
    """Photos as JSON."""

    images: list[str] = Field(description="base64 of the files, or data URLs", min_length=1)


class VideoProgress(StrictModel):
    """How far a video is."""

    frames: int = Field(description="number of frames analysed so far")
    seconds: float = Field(description="length of the part analysed so far")
    total_seconds: float | None = Field(description="length of the part to analyse, where it is known")
    share: Probability | None = Field(description="the part that is analysed")
    eta: float | None = Field(description="estimate of the seconds left")


class VideoLinks(StrictModel):
    """The addresses of a video, relative to that of this answer."""

    self: str
    result: str
    csv: str
    annotated: str | None


class VideoState(StrictModel):
    """An uploaded video."""

    model_config = ConfigDict(json_schema_extra={"examples": [VIDEO_STATE_EXAMPLE]})
    id: str
    status: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: VideoProgress
    links: VideoLinks
    error: ProblemDetails | None = None


class VideoList(StrictModel):
    """The videos of a client."""

    videos: list[VideoState] = Field(description="oldest first")


class TrackedFace(Face):
    """One face of a frame of a video."""

    model_config = ConfigDict(json_schema_extra={"examples": [TRACKED_FACE_EXAMPLE]})
    track: int = Field(description="the same number on every frame")


class FrameRow(StrictModel):
    """One frame of a video."""

    schema_: Literal["urn:mien:schema:frame:2"] = SCHEMA
    frame: int
    time: float = Field(description="seconds from the start of the video")
    detected: bool = Field(description="whether faces were detected in this frame, or propagated to it")
    cut: bool = Field(False, description="whether a new scene starts here")
    faces: list[TrackedFace]


class VideoResponse(StrictModel):
    """Everything about a video. The keys of `summary` and `tracks` are those of `mien.VideoReport`."""

    schema_: Literal["urn:mien:schema:video:2"] = SCHEMA
    summary: dict[str, Any] = Field(description="size, and how much was analysed")
    tracks: list[dict[str, Any]] = Field(
        description="one per face that was followed through the video, with its episodes"
    )
    rows: list[FrameRow] = Field(description="one per frame")


class LiveFrame(StrictModel):
    """The answer of a live connection to a frame."""

    schema_: Literal["urn:mien:schema:live:2"] = SCHEMA
    t: float = Field(description="seconds, as sent by the client, or since the first frame")
    index: int = Field(description="number of the frame among those that arrived, from 0")
    width: int
    height: int
    detected: bool
    cut: bool = False
    faces: list[TrackedFace]
    latency_ms: float = Field(description="from the frame's arrival to this answer")
    dropped: int = Field(description="number of frames so far that were replaced by newer ones before their turn")


class HealthResponse(StrictModel):
    """The process answers."""

    status: Literal["ok"]


class ReadyResponse(StrictModel):
    """The service accepts work."""

    status: Literal["ready"]
    models: ModelNames
    temporary_folder_made_again: int = Field(
        description="how often the folder of the videos had vanished; videos of before are lost"
    )


class LimitsResponse(StrictModel):
    """What is allowed, and whether a key is needed."""

    limits: dict[str, float]
    key_required: bool


class HeadDescription(StrictModel):
    """What one head of a model predicts: a distribution over labels."""

    labels: list[str] = Field(description="in the order of the probabilities")
    ordered: bool = Field(description="whether the labels are a scale, such as age ranges")
    ranges: list[tuple[int, int]] | None = Field(description="the labels as inclusive ranges, where they are some")
    coverage: float | None = Field(description="probability with which a `set` holds the right label; null for no sets")
    by_class: bool = Field(description="whether it does so for the faces of each label")
    colours: dict[str, str] = Field(description="label → its colour in annotated pictures, #rrggbb")
    model: str = Field(description="name of the model")


class ColumnDescription(StrictModel):
    """A column of the table of photos, as in CSV."""

    name: str
    path: list[str | int] = Field(
        description="keys that lead to the value in the JSON object of a face; empty for none"
    )
    description: str
    unit: str | None
    label: bool = Field(description="whether its values are labels of a head")


class ModelCard(BaseModel):
    """A model's card: what it was trained on, how it scores, what it is not for."""

    name: str
    task: str
    licence: str
    data: str
    limits: str
    parameters: int


class ModelsResponse(StrictModel):
    """The models of this service."""

    models: ModelNames
    heads: dict[str, HeadDescription] = Field(description="in the order of the results; the first one is shown first")
    columns: list[ColumnDescription] = Field(description="the columns of `mien analyze --csv` for these models")
    cards: dict[str, ModelCard] = Field(description="name of the model → its card")
