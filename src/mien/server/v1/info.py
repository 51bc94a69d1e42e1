"""What the service is and how it is: limits, models, health, metrics."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from mien.server.limits import told
from mien.server.metrics import MEDIA_TYPE
from mien.server.problems import busy
from mien.server.service import service_state
from mien.server.v1.schemas import HealthResponse, LimitsResponse, ModelsResponse, ReadyResponse

router = APIRouter(tags=["about"])


@router.get("/v1/limits", response_model=LimitsResponse)
async def limits(request: Request) -> JSONResponse:
    """What is allowed, and whether a key is asked for. Needs no key."""
    service = service_state(request)
    return JSONResponse({"limits": told(service.limits), "key_required": service.access.key is not None})


@router.get("/v1/models", response_model=ModelsResponse)
async def models(request: Request) -> JSONResponse:
    """The models that run here, with their cards: training data, scores, what they are not for."""
    engine = service_state(request).engine
    cards: list[Any] = [json.loads(model.card.to_json()) for model in engine.models.models.values()]
    return JSONResponse({"models": engine.describe(), "cards": cards})


@router.get("/healthz", response_model=HealthResponse)
async def healthz() -> JSONResponse:
    """Whether the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", response_model=ReadyResponse)
async def readyz(request: Request) -> JSONResponse:
    """Whether work is taken: 503 while the service starts or stops."""
    service = service_state(request)
    if not service.ready:
        raise busy("the service starts or stops", 2)
    return JSONResponse({"status": "ready", "models": service.engine.describe()})


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Counters in Prometheus's text format."""
    return Response(service_state(request).metrics.text(), media_type=MEDIA_TYPE)
