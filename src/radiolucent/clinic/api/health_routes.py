"""Whether it lives, whether it can work, and numbers to watch; outside the versioned API."""

from __future__ import annotations

import ipaddress

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from radiolucent.clinic.api.caller import address_of, store_of
from radiolucent.clinic.api.problems import Refusal
from radiolucent.clinic.audit.checkpoint import read_checkpoint
from radiolucent.clinic.auth.tokens import holder_of
from radiolucent.clinic.errors import AuditBroken
from radiolucent.clinic.ops.metrics import CONTENT_TYPE, exposition

routes = APIRouter(tags=["health"], include_in_schema=False)


@routes.get("/healthz")
def alive() -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


@routes.get("/readyz")
def ready(request: Request) -> Response:
    """Database, data folder and audit checkpoint can be used."""
    store = store_of(request)
    checks = {"database": True, "files": True, "audit": True}
    try:
        with store.read() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        checks["database"] = False
    checks["files"] = store.settings.data.is_dir()
    try:
        read_checkpoint(store)
    except (AuditBroken, OSError):
        checks["audit"] = False
    return JSONResponse({"ready": all(checks.values()), **checks}, 200 if all(checks.values()) else 503)


@routes.get("/metrics")
def metrics(request: Request) -> Response:
    """Prometheus' text format; from this machine, or with a token of scope `metrics`."""
    store = store_of(request)
    if not _loopback(address_of(request)):
        value = request.headers.get("authorization", "").removeprefix("Bearer ")
        held = holder_of(store, value)
        if held is None or "metrics" not in held[1]:
            raise Refusal("not-logged-in", "Metrics take a token of scope 'metrics', or a request from this machine.")
    return Response(exposition(store), media_type=CONTENT_TYPE)


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
