"""Structured logs: one JSON object a line, with the request's number and nothing that identifies a patient.

Messages of errors that are not ours may quote their input, so only their kind and the place they arose are written.
Nothing is logged of a query string, a body or a header.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from radiolucent.errors import RadiolucentError

request_id: ContextVar[str] = ContextVar("request_id", default="")
FIELDS = ("method", "route", "status", "ms", "actor", "job", "kind", "case")


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if number := request_id.get():
            told["request_id"] = number
        told |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[1] is not None:
            told["error"] = _told(record.exc_info[1])
        return json.dumps(told, ensure_ascii=False, default=str)


def configure(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send every logger's records as JSON lines to ``stream`` (stderr); the server's own access log, which writes
    query strings, is silenced."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.access").handlers.clear()
    logging.getLogger("uvicorn.access").propagate = False
    for name in ("httpx", "httpcore", "httpx2", "httpcore2", "pydicom", "pynetdicom", "dicomweb_client", "multipart"):
        logging.getLogger(name).setLevel(logging.ERROR)  # they write URLs and header values


def _message(record: logging.LogRecord) -> str:
    """Ours in full; another library's only from warnings on, and without its arguments."""
    if record.name.split(".")[0] in ("radiolucent", "uvicorn", "alembic", "__main__"):
        return record.getMessage()
    return str(record.msg)[:200] if isinstance(record.msg, str) and record.args else f"message of {record.name}"


def _told(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    told: dict[str, Any] = {
        "type": type(error).__name__,
        "where": [f"{frame.filename.rsplit('site-packages/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(error, RadiolucentError):
        told["message"] = str(error)
    return told
