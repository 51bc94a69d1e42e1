"""What the service is and how it is: limits, models, health, metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from mien.server.problems import ProblemError
from mien.server.service_state import service_state
from mien.server.v1.schemas import HealthResponse, LimitsResponse, ModelsResponse, ReadyResponse
from mien.web.model_description import describe_models

router = APIRouter(tags=["info"])


@router.get("/v1/limits", response_model=LimitsResponse, operation_id="getLimits")
async def limits(request: Request) -> JSONResponse:
    """What is allowed, and whether a key is needed. Needs no key."""
    service = service_state(request)
    return JSONResponse({"limits": service.limits.to_dict(), "key_required": service.access.key is not None})


@router.get("/v1/models", response_model=ModelsResponse, operation_id="getModels")
async def models(request: Request) -> JSONResponse:
    """The models of this service: their heads, the columns of tables, and their cards.

    A card states what a model was trained on, how it scores, and what it is not for.
    """
    engine = service_state(request).engine
    return JSONResponse({"models": engine.describe(), **describe_models(engine.models)})


@router.get("/healthz", response_model=HealthResponse, operation_id="getHealth")
async def healthz() -> JSONResponse:
    """Whether the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", response_model=ReadyResponse, operation_id="getReadiness")
async def readyz(request: Request) -> JSONResponse:
    """Whether the service accepts work: 503 while it starts or stops, and where videos cannot be stored."""
    service = service_state(request)
    if not service.ready:
        raise ProblemError("busy", "the service starts or stops", retry_after=2)
    try:
        service.workdir.ensure()
    except OSError:
        detail = "the temporary folder vanished and cannot be made again: photos are answered, videos are not"
        raise ProblemError("workdir-missing", detail, retry_after=5) from None
    return JSONResponse(
        {
            "status": "ready",
            "models": service.engine.describe(),
            "temporary_folder_made_again": service.workdir.made_again,
        }
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}, "application/openmetrics-text": {}}}},
    operation_id="getMetrics",
)
async def metrics(request: Request) -> Response:
    """Counters for Prometheus, in its text format or, by Accept, in that of OpenMetrics."""
    content, media_type = service_state(request).metrics.exposition(request.headers.get("accept", ""))
    return Response(content, media_type=media_type)
