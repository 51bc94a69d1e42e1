"""``POST /v1/analyze``: photos → faces."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from mien.server.engine import PhotoRequest, PhotoResult, photo_dict
from mien.server.problems import ProblemError, too_large
from mien.server.service import ServiceState, service_state
from mien.server.uploads import (
    decode_base64,
    media_type,
    read_body,
    read_form,
    run_until_disconnect,
    unsupported_media_type,
)
from mien.server.v1.schemas import FACE_EXAMPLE, ONE_PIXEL_PNG, PHOTOS_SCHEMA_ID, Base64Images, PhotosResponse
from mien.server.worker_pool import NORMAL

router = APIRouter(tags=["photos"])

_BINARY = {"schema": {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Photos as a form, as the bytes of one file, or as base64.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
                    },
                }
            },
            "image/*": _BINARY,
            "application/octet-stream": _BINARY,
            "application/json": {
                "schema": Base64Images.model_json_schema(),
                "examples": {"one photo": {"value": {"images": [ONE_PIXEL_PNG]}}},
            },
        },
    }
}
EXAMPLE = {
    "schema": PHOTOS_SCHEMA_ID,
    "results": [{"width": 512, "height": 512, "faces": [FACE_EXAMPLE]}],
    "models": {
        "detector": "mtcnn",
        "min_face": 40,
        "threshold": None,
        "max_side": None,
        "flip": False,
        "models": {"emotion": "emotion 0.1.0", "age": "age 0.1.0"},
    },
    "seconds": 0.0421,
}


@router.post(
    "/v1/analyze",
    response_model=PhotosResponse,
    openapi_extra=BODY,
    responses={200: {"content": {"application/json": {"example": EXAMPLE}}}},
)
async def analyze(
    request: Request,
    min_face: Annotated[float, Query(ge=0, le=100_000, description="least shorter side of a face, pixels")] = 0.0,
    min_score: Annotated[float, Query(ge=0, le=1, description="least score of the detector")] = 0.0,
    abstain: Annotated[float, Query(ge=0, le=1, description="a label whose probability is below this is null")] = 0.0,
    models: Annotated[
        str | None, Query(description="names of the models to run, such as emotion,age; by default all")
    ] = None,
) -> JSONResponse:
    """The faces of one photo or several: their boxes, emotions and age ranges.

    A photo without a face is an empty list, not an error. Of several photos those that cannot be read have an `error`
    instead of faces; when none can be read, the answer is a problem.
    """
    service, began = service_state(request), time.perf_counter()
    photos = await _photos(request, service)
    wish = PhotoRequest(_model_names(models, service), min_face, min_score)
    told = await run_until_disconnect(request, _all(service, photos, wish), service.limits.request_seconds)
    failed = [one for one in told if isinstance(one, ProblemError)]
    if len(failed) == len(told):
        if len(failed) == 1:
            raise failed[0]
        more = {"results": [{"error": one.to_dict()} for one in failed]}
        raise ProblemError(failed[0].status, failed[0].kind, "none of the images can be read", more=more)
    return JSONResponse(
        {
            "schema": PHOTOS_SCHEMA_ID,
            "results": [
                {"error": one.to_dict()} if isinstance(one, ProblemError) else photo_dict(one, abstain) for one in told
            ],
            "models": service.engine.describe(),
            "seconds": round(time.perf_counter() - began, 4),
        }
    )


def _model_names(names: str | None, service: ServiceState) -> frozenset[str] | None:
    if names is None:
        return None
    wanted = frozenset(name.strip() for name in names.split(",") if name.strip())
    there = service.engine.models.models
    if unknown := sorted(wanted - set(there)):
        raise ProblemError(422, "parameter-invalid", f"models: no model {unknown[0]!r}; there are {', '.join(there)}")
    return wanted


async def _all(service: ServiceState, photos: list[bytes], wish: PhotoRequest) -> list[PhotoResult | ProblemError]:
    async def one(data: bytes) -> PhotoResult | ProblemError:
        try:
            told = await service.engine.tell(data, wish)
        except ProblemError as problem:
            if problem.status == 503:
                raise
            service.metrics.problems.labels(problem.kind).inc()
            return problem
        service.metrics.photos.inc()
        service.metrics.faces.inc(len(told.faces))
        return told

    tasks = [asyncio.ensure_future(one(data)) for data in photos]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _photos(request: Request, service: ServiceState) -> list[bytes]:
    """The files in a request, undecoded.

    Raises:
        Problem: there is none, too many, or they are wrapped in something else.
    """
    most = service.limits.images
    kind = media_type(request)[0]
    if kind == "multipart/form-data":
        parts = await read_form(request, files=most)
        photos = [bytes(part.data) for part in parts if part.name == "image" and part.is_file]
        if not photos:
            raise ProblemError(422, "image-missing", "send photos as files, in one or more fields 'image'")
    elif kind.startswith("image/") or kind == "application/octet-stream":
        photos = [await read_body(request)]
    elif kind == "application/json":
        body = await read_body(request)
        photos = await service.engine.pool.run(NORMAL, _from_json, body, most)
    else:
        raise unsupported_media_type("photos as a form, as image/*, or as JSON with base64")
    return photos


def _from_json(body: bytes, most: int) -> list[bytes]:
    try:
        given = Base64Images.model_validate_json(body).images
    except ValidationError as error:
        where = ".".join(str(at) for at in error.errors(include_input=False, include_url=False)[0]["loc"][:3])
        detail = 'the JSON is not {"images": ["<base64>", …]}' + (f", see {where[:80]}" if where else "")
        raise ProblemError(422, "json-malformed", detail) from None
    if len(given) > most:
        raise too_large(f"{len(given)} images in a request; the limit is {most}: send them in parts")
    return [decode_base64(text, f"image {i + 1}") for i, text in enumerate(given)]
