"""``POST /analyze`` as deepface's service has it, so that its clients need only another address.

What differs: paths are not opened and addresses not fetched, and gender and race are not told.

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
from mien.results.faces import Faces
from mien.server.engine import PhotoRequest
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

_TOLD, _UNTOLD = ("emotion", "age"), ("gender", "race")
_IMAGE = ("img", "img_path")
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
"""What is told of scikit-image's astronaut; emotions in percent."""


class DeepfaceRequest(BaseModel):
    """What deepface's clients send; other keys, such as detector_backend, are let pass."""

    img: str = Field(description="base64 as a data URL; older clients call it img_path")
    actions: list[str] | str = Field(list(_TOLD), description="emotion and age are told")
    enforce_detection: bool = Field(True, description="whether a photo without a face is an error")


class DeepfaceResponse(BaseModel):
    """One entry a face, as ``DeepFace.analyze`` gives it."""

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
        data, given = await _given(request, service)
        actions = _actions(given.get("actions", list(_TOLD)))
        wish = PhotoRequest(frozenset(actions))
        told = await run_until_disconnect(request, service.engine.tell(data, wish), service.limits.request_seconds)
        faces: Faces = told.faces
        if not faces and str(given.get("enforce_detection", True)).lower() == "true":
            raise ProblemError(400, "no-face", "no face was found: check the photo, or set enforce_detection to false")
    except ProblemError as problem:
        # its clients look for the reason under this name
        problem.more = {"error": problem.detail}
        raise
    return JSONResponse({"results": to_deepface(faces)})


async def _given(request: Request, service: ServiceState) -> tuple[bytes, dict[str, Any]]:
    """The photo, and what is asked of it."""
    kind = media_type(request)[0]
    if kind == "multipart/form-data":
        parts = await read_form(request, files=1)
        given: dict[str, Any] = {p.name: bytes(p.data).decode("utf-8", "replace") for p in parts if not p.is_file}
        file = next((part for part in parts if part.is_file), None)
        if file is not None:
            if file.name not in _IMAGE:
                raise _missing()
            return bytes(file.data), given
    elif kind == "application/json":
        body = await read_body(request)
        given = await service.engine.pool.run(NORMAL, _object, body)
    else:
        raise unsupported_media_type("JSON or a form")
    text = next((given[name] for name in _IMAGE if given.get(name)), None)
    if not isinstance(text, str):
        raise _missing()
    return await service.engine.pool.run(NORMAL, decode_base64, text, "img"), given


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise ProblemError(422, "json-malformed", "the JSON is not an object")
    return given


def _actions(given: Any) -> list[str]:
    """The names of what is asked, which forms write in many ways."""
    if isinstance(given, str):
        given = [word for word in given.translate(str.maketrans("", "", "[]()\"' ")).split(",") if word]
    if not isinstance(given, list) or not given or not all(isinstance(one, str) for one in given):
        raise ProblemError(422, "parameter-invalid", f"actions is a list of {' and '.join(_TOLD)}")
    unknown = [one for one in given if one not in _TOLD]
    if any(one in _UNTOLD for one in unknown):
        raise ProblemError(422, "not-told", "gender and race are not told here: leave them out of actions")
    if unknown:
        raise ProblemError(422, "parameter-invalid", f"actions are {' and '.join(_TOLD)}")
    return given


def _missing() -> ProblemError:
    return ProblemError(422, "image-missing", "send the photo as 'img': a file of a form, or a base64 data URL")
