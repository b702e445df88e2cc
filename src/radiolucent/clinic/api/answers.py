"""Responses made of the use cases' views."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from fastapi.responses import JSONResponse

from radiolucent.clinic.service.views import CaseView, Page, as_json

PREFIX = "/api/v1"


def case_answer(view: CaseView, status: int = 200) -> JSONResponse:
    """A case, with its version as ETag and the addresses of what belongs to it."""
    base = f"{PREFIX}/cases/{view.id}"
    links = {"self": base} | {
        name: f"{base}/{path}"
        for name, path in (
            ("frames", "frames"),
            ("maps", "maps"),
            ("report", "report.html"),
            ("history", "history"),
            ("progress", "progress"),
            ("exports", "exports"),
        )
    }
    headers = {"ETag": f'"{view.version}"'} | ({"Location": base} if status == 201 else {})
    return JSONResponse(as_json(replace(view, links=links)), status, headers=headers)


def page_answer(page: Page[Any]) -> JSONResponse:
    """A part of a list."""
    return JSONResponse({"items": as_json(page.items), "next": page.next})


def list_answer(items: Iterable[Any], following: str | None = None) -> JSONResponse:
    """A list: ``{items, next}``."""
    return JSONResponse({"items": as_json(list(items)), "next": following})


def answer(view: Any, status: int = 200) -> JSONResponse:
    """Any other view."""
    return JSONResponse(as_json(view), status)
