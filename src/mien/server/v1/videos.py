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
from mien.server.clients import OWNER_HEADER, client_address, owner_of
from mien.server.entity_tags import ignore_malformed_range, not_modified, weak_tag
from mien.server.job_queue import AnalysisJob, Uploader
from mien.server.problems import ProblemError
from mien.server.service_state import service_state
from mien.server.uploads import FormPart, save_upload
from mien.server.v1.schemas import (
    BINARY_CONTENT,
    VIDEO_SCHEMA_ID,
    VideoList,
    VideoParameters,
    VideoResponse,
    VideoState,
)
from mien.server.video_analysis import ANNOTATED, CSV, JSONL, SUMMARY, UPLOAD, VideoRequest
from mien.smoothing.options import SmoothingOptions
from mien.tracking.options import TrackingOptions

router = APIRouter(prefix="/v1/videos", tags=["videos"])

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
            "video/*": BINARY_CONTENT,
            "application/octet-stream": BINARY_CONTENT,
        },
    }
}
_MAX_REMOVAL_SECONDS = 600.0
Number = Annotated[str, PathParameter(description="number of the video, from the answer to its upload")]


@router.post("", status_code=202, response_model=VideoState, openapi_extra=BODY, operation_id="uploadVideo")
async def post(request: Request, parameters: Annotated[VideoParameters, Query()]) -> JSONResponse:
    """Upload a video. It is analysed in its turn; `links` are the addresses of its state and result.

    With an `id` that the client chose, it can ask for the state, or delete the video, when this answer is lost.
    """
    service = service_state(request)
    owner = owner_of(request.scope, trusts_proxy=service.access.proxy is not None)
    with service.jobs.upload(Uploader(client_address(request.scope), owner), parameters.id) as upload:
        parts = await save_upload(request, upload.folder / UPLOAD)
        options = _merged_parameters(parameters, parts)
        job = service.jobs.add(upload, _video_request(options), options.id)
    return JSONResponse(_state(job, "videos/"), 202, {"Location": f"videos/{job.id}"})


@router.get("", response_model=VideoList, operation_id="listVideos")
async def list_own(request: Request) -> JSONResponse:
    """The videos of this client, oldest first.

    They are those that were uploaded with the same `X-Client-Id`, or without from its address.
    """
    jobs = service_state(request).jobs.of_owner(_known_owner(request))
    return JSONResponse({"videos": [_state(job, "videos/") for job in jobs]})


@router.delete("", status_code=204, response_class=Response, operation_id="deleteVideos")
async def delete_own(request: Request) -> Response:
    """Cancel all videos of this client and remove everything of them."""
    await service_state(request).jobs.remove_of_owner(_known_owner(request))
    return Response(status_code=204)


@router.get("/{video}", response_model=VideoState, operation_id="getVideo")
async def state(request: Request, video: Number) -> JSONResponse:
    """How far a video is."""
    return JSONResponse(_state(service_state(request).jobs.get(video)))


@router.get(
    "/{video}/result",
    response_model=VideoResponse,
    responses={200: {"content": {"text/csv": {}}, "description": "JSON, or the rows as CSV"}},
    operation_id="getVideoResult",
)
async def result(
    request: Request,
    video: Number,
    format: Annotated[str | None, Query(pattern="^(json|csv)$", description="json or csv; else by Accept")] = None,  # noqa: A002
) -> Response:
    """The result of a video that is done: summary, tracks, one row per frame; as CSV one line per frame and face."""
    job = _require_done(service_state(request).jobs.get(video))
    accepts = request.headers.get("accept", "")
    csv = format == "csv" or (format is None and "text/csv" in accepts and "json" not in accepts)
    tag = weak_tag(f"{job.tag}-{'csv' if csv else 'json'}")
    unchanged = not_modified(request, tag)
    if unchanged is not None:
        return unchanged
    if csv:
        ignore_malformed_range(request)
        head = {"Content-Disposition": 'attachment; filename="faces.csv"', "ETag": tag}
        return FileResponse(job.folder / CSV, media_type="text/csv; charset=utf-8", headers=head)
    return StreamingResponse(_result_json(job.folder), media_type="application/json", headers={"ETag": tag})


@router.get(
    "/{video}/annotated.mp4",
    response_class=FileResponse,
    responses={200: {"content": {"video/mp4": {}}}},
    operation_id="getAnnotatedVideo",
)
async def annotated(request: Request, video: Number) -> Response:
    """The video with its faces drawn on it, where the upload had `annotate`."""
    job = _require_done(service_state(request).jobs.get(video))
    if not job.request.annotate:
        raise ProblemError("not-annotated", "there is no annotated video: post it with annotate=true")
    # strong, unlike those of JSON: it is never compressed, and parts of it may be requested
    tag = f'"{job.tag}-mp4"'
    unchanged = not_modified(request, tag)
    ignore_malformed_range(request)
    return unchanged or FileResponse(job.folder / ANNOTATED, media_type="video/mp4", headers={"ETag": tag})


@router.delete("/{video}", status_code=204, response_class=Response, operation_id="deleteVideo")
async def delete(
    request: Request,
    video: Number,
    after: Annotated[
        float, Query(ge=0, le=_MAX_REMOVAL_SECONDS, description="seconds to wait; a request for it meanwhile keeps it")
    ] = 0.0,
) -> Response:
    """Cancel a video and remove everything of it, at once or after a while without requests for it."""
    if after:
        service_state(request).jobs.remove_later(video, after)
    else:
        await service_state(request).jobs.remove(video)
    return Response(status_code=204)


def _known_owner(request: Request) -> str:
    owner = owner_of(request.scope, trusts_proxy=service_state(request).access.proxy is not None)
    if owner is None:
        detail = (
            f"requests come through a proxy, which stands for many clients: send {OWNER_HEADER}, as with the upload"
        )
        raise ProblemError("client-unknown", detail)
    return owner


def _merged_parameters(parameters: VideoParameters, parts: Sequence[FormPart]) -> VideoParameters:
    """The options of the query, overridden by those in the form.

    Raises:
        ProblemError: an option of the form that is unknown or invalid.
    """
    unknown = [part for part in parts if part.name not in VideoParameters.model_fields]
    if unknown:
        names = ", ".join(VideoParameters.model_fields)
        raise ProblemError("input-invalid", f"a field of the form is none of the options: {names}")
    if len({part.name for part in parts}) < len(parts):
        raise ProblemError("input-invalid", "an option is given more than once in the form")
    texts = {part.name: bytes(part.data).decode("utf-8", "replace") for part in parts}
    try:
        given = VideoParameters.model_validate_strings(texts)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ProblemError("input-invalid", f"{first['loc'][0]}: {first['msg']}") from None
    return parameters.model_copy(update={name: getattr(given, name) for name in texts})


def _video_request(options: VideoParameters) -> VideoRequest:
    """What is analysed, and how.

    Raises:
        InputError: options that contradict each other.
    """
    return VideoRequest(
        FrameSelection(every=options.every, fps=options.fps, start=options.start, end=options.end),
        TrackingOptions(detect_every=options.detect_every),
        SmoothingOptions(time_constant=options.time_constant, window=options.window),
        annotate=options.annotate,
    )


def _state(job: AnalysisJob, base: str = "") -> dict[str, Any]:
    """JSON-ready state.

    Links are relative to the address of the answer, so that they hold behind a proxy with any path.

    Args:
        job: the video.
        base: leads from the address of the answer to those of videos.
    """
    address = f"{base}{job.id}"
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
        raise ProblemError("video-not-done", f"the video is {job.status}: get its state first", retry_after=1)
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
