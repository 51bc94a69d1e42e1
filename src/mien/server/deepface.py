"""``POST /analyze`` as deepface's service has it, so that its clients need only another address.

Errors of the request have deepface's status, 400, and its keys: ``exception`` where there is no photo in the request,
``error`` for everything else. They are problems (RFC 9457) at the same time.

Differences: paths are not opened, addresses are not fetched, and gender and race are not predicted. Such actions are
answered with the others, and listed as ``unsupported_actions``.

Source:
    deepface 0.0.103, ``api/src/modules/core/routes.py``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from mien.exchange.deepface_fer import to_deepface
from mien.server.clients import client_address
from mien.server.engine import PhotoRequest
from mien.server.json_structure import check_json_structure
from mien.server.problems import DEEPFACE_STATUSES, ProblemError
from mien.server.service_state import ServiceState, service_state
from mien.server.uploads import (
    decode_base64,
    media_type,
    read_body,
    read_form,
    run_until_disconnect,
    unsupported_media_type,
)
from mien.server.v1.schemas import ONE_PIXEL_PNG
from mien.server.worker_pool import TaskOrigin, WorkKind

router = APIRouter(tags=["deepface"])

_ACTIONS = ("age", "gender", "emotion", "race")
"""What deepface predicts, and does by default."""
_NO_PHOTO = frozenset({"image-missing", "media-type", "form-malformed", "json-malformed"})
"""Codes of problems that deepface answers with the key ``exception``."""
_Form = tuple[dict[str, Any], bytes | None]
_IMAGE_FIELDS = ("img", "img_path")
DEEPFACE_EXAMPLE: dict[str, JsonValue] = {
    "emotion": {
        "angry": 0.0, "disgust": 0.0, "fear": 0.0, "happy": 99.8, "sad": 0.0, "surprise": 0.1, "neutral": 0.1,
    },
    "dominant_emotion": "happy",
    "age": 27,
    "region": {
        "x": 179, "y": 59, "w": 91, "h": 113, "left_eye": [246, 103], "right_eye": [203, 100], "nose": [224, 126],
        "mouth_left": [244, 142], "mouth_right": [201, 139],
    },
    "face_confidence": 0.92,
}  # fmt: skip
"""The answer for scikit-image's astronaut; emotions in percent."""


class DeepfaceRequest(BaseModel):
    """What deepface's clients send; other keys, such as detector_backend, are ignored."""

    img: str = Field(description="base64 as a data URL; older clients call it img_path")
    actions: list[str] | str = Field(list(_ACTIONS), description="emotion and age are predicted")
    enforce_detection: bool = Field(
        True, description="whether a photo without a face is an error; otherwise the whole photo counts as one"
    )
    anti_spoofing: Literal[False] = Field(False, description="not offered: true is refused")


class DeepfaceResponse(BaseModel):
    """One entry per face, as ``DeepFace.analyze`` gives it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"results": [DEEPFACE_EXAMPLE]}]})
    results: list[dict[str, Any]]
    unsupported_actions: list[str] = Field([], description="actions of the request that are not predicted here")


BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": DeepfaceRequest.model_json_schema(),
                "examples": {
                    "a photo": {"value": {"img": f"data:image/png;base64,{ONE_PIXEL_PNG}", "enforce_detection": False}}
                },
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["img"],
                    "properties": {
                        "img": {"type": "string", "format": "binary"},
                        "actions": {"type": "string"},
                        "enforce_detection": {"type": "string"},
                        "anti_spoofing": {"type": "string", "enum": ["false"]},
                    },
                }
            },
        },
    }
}


@router.post("/analyze", response_model=DeepfaceResponse, openapi_extra=BODY, operation_id="analyzeAsDeepface")
async def analyze(request: Request) -> JSONResponse:
    """The faces of one photo in deepface's shape; without `enforce_detection` the whole photo where it has none."""
    service = service_state(request)
    try:
        body = await _read_request(request)
        answer = await run_until_disconnect(
            request, _answer(service, body, client_address(request.scope)), service.limits.request_seconds
        )
    except ProblemError as problem:
        problem.extensions["exception" if problem.code in _NO_PHOTO else "error"] = problem.detail
        if problem.status in DEEPFACE_STATUSES:
            problem.kind = replace(problem.kind, status=400)
        raise
    return JSONResponse(answer)


async def _answer(service: ServiceState, body: bytes | _Form, client: str) -> dict[str, Any]:
    """The JSON-ready answer: everything after the upload, so that the request's time limit bounds it."""
    run, task = service.engine.pool.run, TaskOrigin(WorkKind.PHOTO, client)
    fields, data = (await run(task, _parse_object, body), None) if isinstance(body, bytes) else body
    if data is None:
        text = next((fields[name] for name in _IMAGE_FIELDS if fields.get(name)), None)
        if not isinstance(text, str):
            raise _image_missing()
        data = await run(task, decode_base64, text, "img")
    if _is_true(fields.get("anti_spoofing", False)):
        raise ProblemError("action-unsupported", "anti_spoofing is not offered here: leave it out, or set it to false")
    actions = _actions(fields.get("actions", list(_ACTIONS)))
    supported = frozenset(actions) & frozenset(service.engine.models.models)
    unsupported = [one for one in actions if one not in supported]
    if not supported:
        raise ProblemError("action-unsupported", f"{', '.join(unsupported)}: not predicted here; use emotion or age")
    enforce = _is_true(fields.get("enforce_detection", True))
    request = PhotoRequest(supported, whole_if_no_face=not enforce)
    result = await service.engine.analyze(data, request, client)
    if not result.faces:
        # deepface's clients look for the first words
        detail = "Face could not be detected: check the photo, or consider to set enforce_detection to False"
        raise ProblemError("no-face", detail)
    answer: dict[str, Any] = {"results": to_deepface(result.faces)}
    return answer | ({"unsupported_actions": unsupported} if unsupported else {})


async def _read_request(request: Request) -> bytes | _Form:
    """The body of JSON; of a form its fields, and the photo where it is a file."""
    kind = media_type(request)[0]
    if kind == "application/json":
        return await read_body(request)
    if kind != "multipart/form-data":
        raise unsupported_media_type("JSON or a form")
    parts = await read_form(request, max_files=1)
    fields: dict[str, Any] = {p.name: bytes(p.data).decode("utf-8", "replace") for p in parts if not p.is_file}
    file = next((part for part in parts if part.is_file), None)
    if file is not None and file.name not in _IMAGE_FIELDS:
        raise _image_missing()
    return fields, None if file is None else bytes(file.data)


def _parse_object(body: bytes) -> dict[str, Any]:
    check_json_structure(body)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ProblemError("json-malformed", "the JSON is not an object")
    return document


def _is_true(value: Any) -> bool:
    """Truth values as forms write them."""
    return str(value).lower() == "true"


def _actions(value: Any) -> list[str]:
    """The names of the actions, which forms write in several ways."""
    if isinstance(value, str):
        value = [word for word in value.translate(str.maketrans("", "", "[]()\"' ")).split(",") if word]
    if not isinstance(value, list) or not value or not all(one in _ACTIONS for one in value):
        raise ProblemError("input-invalid", f"actions is a list of some of {', '.join(_ACTIONS)}")
    return list(dict.fromkeys(value))


def _image_missing() -> ProblemError:
    return ProblemError("image-missing", "send the photo as 'img': a file of a form, or a base64 data URL")
