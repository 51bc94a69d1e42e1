"""``/v1/videos``: a video is accepted, analysed when its turn comes, and its result fetched."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from pydantic import TypeAdapter, ValidationError

from mien import defaults
from mien.media.selection import FrameSelection
from mien.server.job_queue import ANNOTATED, CSV, JSONL, SUMMARY, UPLOAD, AnalysisJob, VideoRequest, json_array_items
from mien.server.problems import ProblemError
from mien.server.service import service_state
from mien.server.uploads import FormPart, save_upload
from mien.server.v1.schemas import VIDEO_SCHEMA_ID, VideoResponse, VideoState
from mien.smoothing.options import SmoothingOptions
from mien.tracking.options import TrackingOptions

router = APIRouter(prefix="/v1/videos", tags=["videos"])

_VIDEO = {"schema": {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}}
_OPTIONS = {
    "every": {"type": "integer", "minimum": 1, "default": 1},
    "fps": {"type": "number", "exclusiveMinimum": 0},
    "start": {"type": "number", "minimum": 0},
    "end": {"type": "number", "minimum": 0},
    "detect_every": {"type": "integer", "minimum": 1, "default": 1},
    "time_constant": {"type": "number", "minimum": 0, "default": defaults.TIME_CONSTANT},
    "window": {"type": "number", "exclusiveMinimum": 0, "default": defaults.WINDOW},
    "annotate": {"type": "boolean", "default": False},
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The video as the field `video` of a form that may hold the options too, or as the body.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["video"],
                    "properties": {"video": {"type": "string", "format": "binary"}, **_OPTIONS},
                }
            },
            "video/*": _VIDEO,
            "application/octet-stream": _VIDEO,
        },
    }
}
_MOST = 1_000_000
Number = Annotated[str, PathParameter(description="number of the video, as the answer to its upload has it")]
_FIELDS: dict[str, TypeAdapter[Any]] = {
    "every": TypeAdapter(Annotated[int, Query(ge=1, le=_MOST)]),
    "fps": TypeAdapter(Annotated[float, Query(gt=0, le=1000)]),
    "start": TypeAdapter(Annotated[float, Query(ge=0, le=_MOST)]),
    "end": TypeAdapter(Annotated[float, Query(ge=0, le=_MOST)]),
    "detect_every": TypeAdapter(Annotated[int, Query(ge=1, le=_MOST)]),
    "time_constant": TypeAdapter(Annotated[float, Query(ge=0, le=_MOST)]),
    "window": TypeAdapter(Annotated[float, Query(gt=0, le=_MOST)]),
    "annotate": TypeAdapter(bool),
}


@router.post("", status_code=202, response_model=VideoState, openapi_extra=BODY)
async def post(
    request: Request,
    every: Annotated[int, Query(ge=1, le=_MOST, description="take every N-th frame")] = 1,
    fps: Annotated[float | None, Query(gt=0, le=1000, description="take about this many frames a second")] = None,
    start: Annotated[float | None, Query(ge=0, le=_MOST, description="seconds to start at")] = None,
    end: Annotated[float | None, Query(ge=0, le=_MOST, description="seconds to end at")] = None,
    detect_every: Annotated[int, Query(ge=1, le=_MOST, description="detect faces in every N-th frame")] = 1,
    time_constant: Annotated[
        float, Query(ge=0, le=_MOST, description="time constant of the filter on predictions, seconds; 0 disables it")
    ] = defaults.TIME_CONSTANT,
    window: Annotated[float, Query(gt=0, le=_MOST, description="seconds over which frames vote")] = defaults.WINDOW,
    annotate: Annotated[bool, Query(description="make the annotated video")] = False,
) -> JSONResponse:
    """Accept a video. It waits for its turn; `links` say where its state and result are."""
    jobs = service_state(request).jobs
    with jobs.place() as folder:
        parts = await save_upload(request, folder / UPLOAD)
        asked: dict[str, Any] = {"every": every, "fps": fps, "start": start, "end": end}
        asked |= {"detect_every": detect_every, "time_constant": time_constant, "window": window}
        asked |= {"annotate": annotate} | _fields(parts)
        if asked["end"] is not None and asked["end"] <= (asked["start"] or 0.0):
            raise ProblemError(422, "parameter-invalid", "end: has to lie behind start")
        order = VideoRequest(
            FrameSelection(*(asked[name] for name in ("every", "fps", "start", "end"))),
            TrackingOptions(detect_every=asked["detect_every"]),
            SmoothingOptions(time_constant=asked["time_constant"], window=asked["window"]),
            annotate=asked["annotate"],
        )
        job = jobs.add(folder, order)
    return JSONResponse(_state(job), 202, {"Location": f"/v1/videos/{job.id}"})


@router.get("/{video}", response_model=VideoState)
async def state(request: Request, video: Number) -> JSONResponse:
    """How far a video is."""
    return JSONResponse(_state(service_state(request).jobs.get(video)))


@router.get(
    "/{video}/result",
    response_model=VideoResponse,
    responses={200: {"content": {"text/csv": {}}, "description": "JSON, or the rows as CSV"}},
)
async def result(
    request: Request,
    video: Number,
    format: Annotated[str | None, Query(pattern="^(json|csv)$", description="json or csv; else by Accept")] = None,  # noqa: A002
) -> Response:
    """The result of a video that is done: summary, tracks, and one row a frame; or CSV, one line a face and frame."""
    job = _done(service_state(request).jobs.get(video))
    accepts = request.headers.get("accept", "")
    if format == "csv" or (format is None and "text/csv" in accepts and "json" not in accepts):
        head = {"Content-Disposition": 'attachment; filename="faces.csv"'}
        return FileResponse(job.folder / CSV, media_type="text/csv; charset=utf-8", headers=head)
    return StreamingResponse(_result(job), media_type="application/json")


@router.get("/{video}/annotated.mp4", response_class=FileResponse, responses={200: {"content": {"video/mp4": {}}}})
async def annotated(request: Request, video: Number) -> FileResponse:
    """The video with its faces drawn on it, where that was asked for (`annotate`)."""
    job = _done(service_state(request).jobs.get(video))
    if not job.order.annotate:
        raise ProblemError(409, "not-annotated", "the annotated video was not asked for: post it with annotate=true")
    return FileResponse(job.folder / ANNOTATED, media_type="video/mp4")


@router.delete("/{video}", status_code=204, response_class=Response)
async def delete(request: Request, video: Number) -> Response:
    """Cancel a video and remove everything of it."""
    await service_state(request).jobs.remove(video)
    return Response(status_code=204)


def _fields(parts: list[FormPart]) -> dict[str, Any]:
    """The options in a form."""
    given: dict[str, Any] = {}
    for part in parts:
        adapter = _FIELDS.get(part.name)
        if adapter is None:
            names = ", ".join(_FIELDS)
            raise ProblemError(422, "parameter-invalid", f"a field of the form is none of the options: {names}")
        try:
            value = adapter.validate_strings(bytes(part.data).decode("utf-8", "replace"))
        except ValidationError as error:
            said = error.errors(include_input=False, include_url=False)[0]["msg"]
            raise ProblemError(422, "parameter-invalid", f"{part.name}: {said}") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise ProblemError(422, "parameter-invalid", f"{part.name}: is no finite number")
        given[part.name] = value
    return given


def _state(job: AnalysisJob) -> dict[str, Any]:
    here = f"/v1/videos/{job.id}"
    told: dict[str, Any] = {
        "id": job.id,
        "status": job.status,
        "progress": job.progress(),
        "links": {
            "self": here,
            "result": f"{here}/result",
            "csv": f"{here}/result?format=csv",
            "annotated": f"{here}/annotated.mp4" if job.order.annotate else None,
        },
    }
    return told | ({"error": job.problem.to_dict()} if job.problem is not None else {})


def _done(job: AnalysisJob) -> AnalysisJob:
    if job.problem is not None:
        raise job.problem
    if job.status != "done":
        raise ProblemError(409, "video-not-done", f"the video is {job.status}: ask for its state first", retry_after=1)
    return job


def _result(job: AnalysisJob) -> Iterator[bytes]:
    summary = json.loads((job.folder / SUMMARY).read_text(encoding="utf-8"))
    tracks = summary.pop("tracks")
    head = json.dumps({"schema": VIDEO_SCHEMA_ID, "summary": summary, "tracks": tracks})
    yield f'{head[:-1]}, "rows":['.encode()
    yield from json_array_items(job.folder / JSONL)
    yield b"]}"
