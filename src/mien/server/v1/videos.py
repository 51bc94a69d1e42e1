"""``/v1/videos``: upload a video, follow its analysis, fetch its result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from pydantic import ValidationError

from mien.media.selection import FrameSelection
from mien.server.job_queue import AnalysisJob
from mien.server.problems import ProblemError
from mien.server.service import service_state
from mien.server.uploads import FormPart, save_upload
from mien.server.v1.schemas import VIDEO_SCHEMA_ID, VideoParameters, VideoResponse, VideoState
from mien.server.video_analysis import ANNOTATED, CSV, JSONL, SUMMARY, UPLOAD, VideoRequest
from mien.smoothing.options import SmoothingOptions
from mien.tracking.options import TrackingOptions

router = APIRouter(prefix="/v1/videos", tags=["videos"])

_VIDEO = {"schema": {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The video as the field `video` of a form that may hold the options too, or as the body.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["video"],
                    "properties": {
                        "video": {"type": "string", "format": "binary"},
                        **VideoParameters.model_json_schema()["properties"],
                    },
                }
            },
            "video/*": _VIDEO,
            "application/octet-stream": _VIDEO,
        },
    }
}
Number = Annotated[str, PathParameter(description="number of the video, from the answer to its upload")]


@router.post("", status_code=202, response_model=VideoState, openapi_extra=BODY)
async def post(request: Request, parameters: Annotated[VideoParameters, Query()]) -> JSONResponse:
    """Upload a video. It is analysed in its turn; `links` are the addresses of its state and result."""
    jobs = service_state(request).jobs
    with jobs.upload_folder() as folder:
        parts = await save_upload(request, folder / UPLOAD)
        job = jobs.add(folder, _video_request(parameters, parts))
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
    """The result of a video that is done: summary, tracks, one row per frame; as CSV one line per frame and face."""
    job = _require_done(service_state(request).jobs.get(video))
    accepts = request.headers.get("accept", "")
    if format == "csv" or (format is None and "text/csv" in accepts and "json" not in accepts):
        head = {"Content-Disposition": 'attachment; filename="faces.csv"'}
        return FileResponse(job.folder / CSV, media_type="text/csv; charset=utf-8", headers=head)
    return StreamingResponse(_result_json(job.folder), media_type="application/json")


@router.get("/{video}/annotated.mp4", response_class=FileResponse, responses={200: {"content": {"video/mp4": {}}}})
async def annotated(request: Request, video: Number) -> FileResponse:
    """The video with its faces drawn on it, where the upload had `annotate`."""
    job = _require_done(service_state(request).jobs.get(video))
    if not job.request.annotate:
        raise ProblemError("not-annotated", "there is no annotated video: post it with annotate=true")
    return FileResponse(job.folder / ANNOTATED, media_type="video/mp4")


@router.delete("/{video}", status_code=204, response_class=Response)
async def delete(request: Request, video: Number) -> Response:
    """Cancel a video and remove everything of it."""
    await service_state(request).jobs.remove(video)
    return Response(status_code=204)


def _video_request(parameters: VideoParameters, parts: Sequence[FormPart]) -> VideoRequest:
    """The options of the query, overridden by those in the form.

    Raises:
        ProblemError: an option of the form that is unknown or invalid.
        InputError: options that contradict each other.
    """
    unknown = [part for part in parts if part.name not in VideoParameters.model_fields]
    if unknown:
        names = ", ".join(VideoParameters.model_fields)
        raise ProblemError("input-invalid", f"a field of the form is none of the options: {names}")
    texts = {part.name: bytes(part.data).decode("utf-8", "replace") for part in parts}
    try:
        given = VideoParameters.model_validate_strings(texts)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ProblemError("input-invalid", f"{first['loc'][0]}: {first['msg']}") from None
    merged = parameters.model_copy(update={name: getattr(given, name) for name in texts})
    return VideoRequest(
        FrameSelection(every=merged.every, fps=merged.fps, start=merged.start, end=merged.end),
        TrackingOptions(detect_every=merged.detect_every),
        SmoothingOptions(time_constant=merged.time_constant, window=merged.window),
        annotate=merged.annotate,
    )


def _state(job: AnalysisJob) -> dict[str, Any]:
    address = f"/v1/videos/{job.id}"
    document: dict[str, Any] = {
        "id": job.id,
        "status": job.status,
        "progress": job.progress_dict(),
        "links": {
            "self": address,
            "result": f"{address}/result",
            "csv": f"{address}/result?format=csv",
            "annotated": f"{address}/annotated.mp4" if job.request.annotate else None,
        },
    }
    return document | ({"error": job.problem.to_dict()} if job.problem is not None else {})


def _require_done(job: AnalysisJob) -> AnalysisJob:
    if job.problem is not None:
        raise job.problem.with_traceback(None)  # it may be raised many times
    if job.status != "done":
        raise ProblemError("video-not-done", f"the video is {job.status}: ask for its state first", retry_after=1)
    return job


def _result_json(folder: Path) -> Iterator[bytes]:
    """The result in chunks; the rows are copied line by line, so that they are never all in memory."""
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    tracks = summary.pop("tracks")
    head = json.dumps({"schema": VIDEO_SCHEMA_ID, "summary": summary, "tracks": tracks})
    yield f'{head[:-1]}, "rows":['.encode()
    with (folder / JSONL).open("rb") as rows:
        for i, line in enumerate(rows):
            yield (b"," if i else b"") + line.rstrip(b"\n")
    yield b"]}"
