"""``POST /analyze`` as deepface's service has it, so that its clients need only another address.

Differences: paths are not opened, addresses are not fetched, and gender and race are not predicted.

Source:
    deepface 0.0.103, ``api/src/modules/core/routes.py``.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from mien.exchange.deepface_fer import to_deepface
from mien.server.engine import PhotoRequest, PhotoResult
from mien.server.json_structure import check_json_structure
from mien.server.problems import ProblemError
from mien.server.service import ServiceState, service_state
from mien.server.uploads import (
    decode_base64,
    media_type,
    read_body,
    read_form,
    run_until_disconnect,
    unsupported_media_type,
)
from mien.server.v1.schemas import ONE_PIXEL_PNG
from mien.server.worker_pool import NORMAL

router = APIRouter(tags=["deepface"])

_ACTIONS, _UNSUPPORTED_ACTIONS = ("emotion", "age"), ("gender", "race")
_IMAGE_FIELDS = ("img", "img_path")
DEEPFACE_EXAMPLE: dict[str, JsonValue] = {
    "emotion": {
        "angry": 0.0, "disgust": 0.0, "fear": 0.0, "happy": 100.0, "sad": 0.0, "surprise": 0.0, "neutral": 0.0,
    },
    "dominant_emotion": "happy",
    "age": 31,
    "region": {
        "x": 178, "y": 62, "w": 87, "h": 110, "left_eye": [246, 103], "right_eye": [203, 101], "nose": [225, 129],
        "mouth_left": [245, 141], "mouth_right": [200, 139],
    },
    "face_confidence": 1.0,
}  # fmt: skip
"""The answer for scikit-image's astronaut; emotions in percent."""


class DeepfaceRequest(BaseModel):
    """What deepface's clients send; other keys, such as detector_backend, are ignored."""

    img: str = Field(description="base64 as a data URL; older clients call it img_path")
    actions: list[str] | str = Field(list(_ACTIONS), description="emotion, age")
    enforce_detection: bool = Field(True, description="whether a photo without a face is an error")


class DeepfaceResponse(BaseModel):
    """One entry per face, as ``DeepFace.analyze`` gives it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"results": [DEEPFACE_EXAMPLE]}]})
    results: list[dict[str, Any]]


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
                    },
                }
            },
        },
    }
}


@router.post("/analyze", response_model=DeepfaceResponse, openapi_extra=BODY)
async def analyze(request: Request) -> JSONResponse:
    """The faces of one photo in deepface's shape."""
    service = service_state(request)
    try:
        data, fields = await _read_request(request, service)
        actions = _actions(fields.get("actions", list(_ACTIONS)))
        work = service.engine.analyze(data, PhotoRequest(frozenset(actions)))
        result: PhotoResult = await run_until_disconnect(request, work, service.limits.request_seconds)
        if not result.faces and str(fields.get("enforce_detection", True)).lower() == "true":
            raise ProblemError("no-face", "no face was detected: check the photo, or set enforce_detection to false")
    except ProblemError as problem:
        # deepface's clients look for the reason under this name
        problem.extensions["error"] = problem.detail
        raise
    return JSONResponse({"results": to_deepface(result.faces)})


async def _read_request(request: Request, service: ServiceState) -> tuple[bytes, dict[str, Any]]:
    """The photo and the other fields of the request."""
    kind = media_type(request)[0]
    if kind == "multipart/form-data":
        parts = await read_form(request, max_files=1)
        fields: dict[str, Any] = {p.name: bytes(p.data).decode("utf-8", "replace") for p in parts if not p.is_file}
        file = next((part for part in parts if part.is_file), None)
        if file is not None:
            if file.name not in _IMAGE_FIELDS:
                raise _image_missing()
            return bytes(file.data), fields
    elif kind == "application/json":
        body = await read_body(request)
        fields = await service.engine.pool.run(NORMAL, _parse_object, body)
    else:
        raise unsupported_media_type("JSON or a form")
    text = next((fields[name] for name in _IMAGE_FIELDS if fields.get(name)), None)
    if not isinstance(text, str):
        raise _image_missing()
    return await service.engine.pool.run(NORMAL, decode_base64, text, "img"), fields


def _parse_object(body: bytes) -> dict[str, Any]:
    check_json_structure(body)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ProblemError("json-malformed", "the JSON is not an object")
    return document


def _actions(value: Any) -> list[str]:
    """The names of the actions, which forms write in several ways."""
    if isinstance(value, str):
        value = [word for word in value.translate(str.maketrans("", "", "[]()\"' ")).split(",") if word]
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise ProblemError("input-invalid", f"actions is a list of {' and '.join(_ACTIONS)}")
    unknown = [one for one in value if one not in _ACTIONS]
    if any(one in _UNSUPPORTED_ACTIONS for one in unknown):
        detail = "gender and race are not predicted here: leave them out of actions"
        raise ProblemError("action-unsupported", detail)
    if unknown:
        raise ProblemError("input-invalid", f"actions are {' and '.join(_ACTIONS)}")
    return value


def _image_missing() -> ProblemError:
    return ProblemError("image-missing", "send the photo as 'img': a file of a form, or a base64 data URL")
