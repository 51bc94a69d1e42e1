"""``POST /v1/analyze``: photos → faces; ``POST /v1/rendition``: a photo → JPEG."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from mien.server.clients import client_address
from mien.server.engine import PhotoRequest, PhotoResult
from mien.server.json_structure import check_json_structure
from mien.server.problems import ProblemError
from mien.server.service_state import ServiceState, service_state
from mien.server.uploads import (
    FormPart,
    decode_base64,
    media_type,
    read_body,
    read_form,
    run_until_disconnect,
    unsupported_media_type,
)
from mien.server.v1.schemas import (
    BINARY_CONTENT,
    FACE_EXAMPLE,
    ONE_PIXEL_PNG,
    PHOTOS_SCHEMA_ID,
    Base64Images,
    PhotoParameters,
    PhotosResponse,
)
from mien.server.worker_pool import TaskOrigin, WorkKind

router = APIRouter(tags=["photos"])

_FEW_FACES = 50
"""Faces up to which an answer is written in the event loop; more take it longer than a worker needs to begin."""
_OPTIONS = "options stand in the address, as in /v1/analyze?min_face=40"

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
            "image/*": BINARY_CONTENT,
            "application/octet-stream": BINARY_CONTENT,
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
        "detector": "mien",
        "device": "cpu",
        "min_face": None,
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
    operation_id="analyzePhotos",
    responses={200: {"content": {"application/json": {"example": EXAMPLE}}}},
)
async def analyze(request: Request, parameters: Annotated[PhotoParameters, Query()]) -> Response:
    """The faces of one photo or several: their boxes, and what each model predicts.

    A photo without a face is an empty list, not an error. Of several photos those that cannot be read have an `error`
    instead of faces; when none can be read, the answer is a problem.
    """
    service, began = service_state(request), time.perf_counter()
    limits = service.limits
    models = _model_names(parameters.models, service)
    photo_request = PhotoRequest(models, parameters.min_face, parameters.min_score)
    body = await _read_photos(request, limits.images)
    content = await run_until_disconnect(
        request, _answer(request, service, body, photo_request, parameters.abstain, began), limits.request_seconds
    )
    return Response(content, media_type="application/json")


async def _answer(
    request: Request,
    service: ServiceState,
    body: list[bytes] | bytes,
    photo_request: PhotoRequest,
    abstain: float,
    began: float,
) -> bytes:
    """The JSON of the answer: everything after the upload, so that the request's time limit bounds it."""
    client = client_address(request.scope)
    photos = await _parsed(service, body, client)
    results = await _analyze_all(service, photos, photo_request, client)
    problems = [one for one in results if isinstance(one, ProblemError)]
    if len(problems) == len(results):
        raise problems[0] if len(problems) == 1 else _none_readable(problems)

    def rendered() -> bytes:
        document = {
            "schema": PHOTOS_SCHEMA_ID,
            "results": [
                {"error": one.to_dict()} if isinstance(one, ProblemError) else one.to_dict(abstain) for one in results
            ],
            "models": service.engine.describe(),
            "seconds": round(time.perf_counter() - began, 4),
        }
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

    if sum(len(one.faces) for one in results if isinstance(one, PhotoResult)) <= _FEW_FACES:
        return rendered()
    return await service.engine.pool.run(TaskOrigin(WorkKind.PHOTO, client, first=True), rendered)


@router.post(
    "/v1/rendition",
    operation_id="renderPhoto",
    response_class=Response,
    openapi_extra=BODY,
    responses={200: {"content": {"image/jpeg": {}}, "description": "the photo as JPEG"}},
)
async def rendition(
    request: Request,
    max_side: Annotated[int, Query(ge=16, le=4096, description="pixels of the longer side at most")] = 2048,
) -> Response:
    """One photo as a JPEG, upright, for clients that cannot decode its format, such as HEIC in most browsers."""
    service, client = service_state(request), client_address(request.scope)
    body = await _read_photos(request, service.limits.images)

    async def render() -> bytes:
        photos = await _parsed(service, body, client)
        if len(photos) > 1:
            raise ProblemError("input-invalid", "a rendition is of one photo: send them one by one")
        return await service.engine.render(photos[0], max_side, client)

    jpeg: bytes = await run_until_disconnect(request, render(), service.limits.request_seconds)
    return Response(jpeg, media_type="image/jpeg")


def _model_names(names: str | None, service: ServiceState) -> frozenset[str] | None:
    if names is None:
        return None
    wanted = frozenset(name.strip() for name in names.split(",") if name.strip())
    known = service.engine.models.models
    if unknown := sorted(wanted - set(known)):
        raise ProblemError("input-invalid", f"models: no model {unknown[0]!r}; there are {', '.join(known)}")
    return wanted


def _none_readable(problems: Sequence[ProblemError]) -> ProblemError:
    """The problem of a request without a readable photo: that of the first one, with those of all."""
    results = [{"error": one.to_dict()} for one in problems]
    first = problems[0]
    return ProblemError(first.code, "none of the images can be read", kind=first.kind, extensions={"results": results})


async def _analyze_all(
    service: ServiceState, photos: Sequence[bytes], photo_request: PhotoRequest, client: str
) -> list[PhotoResult | ProblemError]:
    async def analyze_one(data: bytes) -> PhotoResult | ProblemError:
        try:
            result = await service.engine.analyze(data, photo_request, client)
        except ProblemError as problem:
            if problem.status == 503:
                raise
            service.metrics.problems.labels(problem.code).inc()
            return problem
        service.metrics.photos.inc()
        service.metrics.faces.inc(len(result.faces))
        return result

    tasks = [asyncio.ensure_future(analyze_one(data)) for data in photos]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _parsed(service: ServiceState, body: list[bytes] | bytes, client: str) -> list[bytes]:
    """The photos of a body, where that is JSON; one with photos as they are is returned as it is."""
    if isinstance(body, list):
        return body
    return await service.engine.pool.run(
        TaskOrigin(WorkKind.PHOTO, client), _photos_from_json, body, service.limits.images
    )


async def _read_photos(request: Request, max_images: int) -> list[bytes] | bytes:
    """The files in a request, undecoded; or its body, where that is JSON.

    Raises:
        ProblemError: there is none, there are too many, or they come as another type.
    """
    kind = media_type(request)[0]
    if kind == "multipart/form-data":
        parts = await read_form(request, max_files=max_images)
        if any(part.name == "image" and part.is_file for part in parts):
            _refuse_other_fields(parts)
            return [bytes(part.data) for part in parts]
        raise ProblemError("image-missing", "send photos as files, in one or more fields 'image'")
    if kind.startswith("image/") or kind == "application/octet-stream":
        return [await read_body(request)]
    if kind == "application/json":
        return await read_body(request)
    raise unsupported_media_type("photos as a form, as image/*, or as JSON with base64")


def _refuse_other_fields(parts: Sequence[FormPart]) -> None:
    """Raise where something in a form with photos would be left out silently."""
    for part in parts:
        if part.name in PhotoParameters.model_fields:
            raise ProblemError("input-invalid", f"{part.name} is a field of the form: {_OPTIONS}")
        if part.name != "image" or not part.is_file:
            raise ProblemError("input-invalid", "the form has other fields than files named 'image': leave them out")


def _photos_from_json(body: bytes, max_images: int) -> list[bytes]:
    check_json_structure(body)
    try:
        texts = Base64Images.model_validate_json(body).images
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(at) for at in first["loc"][:3])
        if first["type"] == "json_invalid":
            detail = "the body is no valid JSON in UTF-8: let the HTTP library write it"
        else:
            detail = 'the JSON is not {"images": ["<base64>", …]}' + (f", see {where[:80]}" if where else "")
        if where in PhotoParameters.model_fields:
            detail += f": {_OPTIONS}"
        raise ProblemError("json-malformed", detail) from None
    if len(texts) > max_images:
        detail = f"{len(texts)} images in a request; the limit is {max_images}: send them in parts"
        raise ProblemError("too-large", detail)
    return [decode_base64(text, f"image {i + 1}") for i, text in enumerate(texts)]
