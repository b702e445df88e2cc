"""What every request passes first and every response last: number, host, size, kind of content, headers, log line."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from radiolucent.clinic.api.problems import UNEXPECTED, problem
from radiolucent.clinic.ops.logs import request_id
from radiolucent.clinic.ops.metrics import REQUESTS, SECONDS

log = logging.getLogger("radiolucent.clinic.requests")

LONGEST_BODY = 1024 * 1024  # of everything but an upload: two texts of 20,000 characters take 240 KB at most
UPLOAD = "/api/v1/cases"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}


class Gateway:
    """ASGI middleware.

    Parameters
    ----------
    hosts
        Names under which this server may be asked for; others are refused, so that a page elsewhere cannot reach a
        loopback server under a name of its own (DNS rebinding).
    secure
        The site is reached by https.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], secure: bool) -> None:
        self.app, self.hosts, self.secure = app, frozenset(hosts), secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        number = secrets.token_hex(8)  # never the caller's: it is logged
        mark = request_id.set(number)
        started, status = time.monotonic(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    out.setdefault(name, value)
                if self.secure:
                    out["Strict-Transport-Security"] = "max-age=31536000"
                out["X-Request-Id"] = number
            await send(message)

        try:
            refusal = self._refused(scope, headers)
            if refusal is not None:
                await refusal(scope, receive, sending)
            else:
                await self.app(scope, _limited(scope, receive), sending)
        except Exception as error:
            log.exception("unexpected %s", type(error).__name__)
            told = problem("unexpected", UNEXPECTED)
            await told(scope, receive, sending)
        finally:
            self._note(scope, status, time.monotonic() - started)
            request_id.reset(mark)

    def _refused(self, scope: Scope, headers: Headers) -> Any:
        host = headers.get("host", "")
        name = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.rsplit(":", 1)[0]
        if name.lower() not in self.hosts:
            return problem("unknown-host", "Ask for this server by the address that it was started with.")
        if scope["method"] not in ("POST", "PUT", "PATCH"):
            return None
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > LONGEST_BODY and scope["path"] != UPLOAD:
            return problem("too-large", f"A body holds {LONGEST_BODY:,} bytes at most.")
        kind = headers.get("content-type", "").split(";")[0].strip().lower()
        if scope["path"] == UPLOAD and scope["method"] == "POST":
            if kind != "multipart/form-data":
                return problem("unsupported-media", "Send the files as multipart/form-data.")
        elif kind and kind != "application/json" and scope["path"].startswith("/api/"):
            return problem("unsupported-media", "Send application/json.")
        return None

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")  # the template: an address may hold what was searched for
        REQUESTS.labels(scope["method"] if scope["method"] in _METHODS else "other", route, str(status)).inc()
        SECONDS.labels(route).observe(seconds)
        caller = Request(scope).scope.get("state", {}).get("caller")
        log.info(
            "request",
            extra={
                "method": scope["method"][:10],
                "route": route,
                "status": status,
                "ms": round(seconds * 1000, 1),
                "actor": None if caller is None else caller.actor.user_id,
            },
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _limited(scope: Scope, receive: Receive) -> Receive:
    """The body, cut off with 413 where it grows past the limit; an upload has its own."""
    if scope["path"] == UPLOAD:
        return receive
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > LONGEST_BODY:
            raise HTTPException(413)
        return message

    return receiving
