"""The review page: built files of the package, and nothing else from disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Request, Response

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".png": "image/png",
}
MISSING = b"<!doctype html><title>radiolucent</title><p>The review page is not built; run npm run build in web/.</p>"


def page_router() -> APIRouter:
    """One route a built file, read once; ``/`` is its ``index.html``."""
    routes = APIRouter(include_in_schema=False)
    folder = Path(str(files("radiolucent.clinic"))) / "page"
    found = {
        path.name: (path.read_bytes(), KINDS[path.suffix])
        for path in sorted(folder.glob("*"))
        if path.is_file() and path.suffix in KINDS
    }
    for name, (content, kind) in found.items():
        routes.add_api_route(f"/{name}", _served(content, kind), methods=["GET"])
    home = found.get("index.html", (MISSING, KINDS[".html"]))
    routes.add_api_route("/", _served(*home), methods=["GET"])
    return routes


def _served(content: bytes, kind: str) -> Callable[[Request], Response]:
    tag = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}

    def serve(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    return serve
