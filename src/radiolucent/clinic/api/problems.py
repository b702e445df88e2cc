"""Errors as ``application/problem+json`` (RFC 9457), each typed error of the clinic under one status.

What a caller sent is never quoted back: it may be a patient's name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import OperationalError, StatementError
from starlette.exceptions import HTTPException

from radiolucent.clinic import MissingPackage
from radiolucent.clinic.auth.oidc import ProviderAway
from radiolucent.clinic.auth.sessions import NotLoggedIn, TooManyTries
from radiolucent.clinic.errors import (
    AuditBroken,
    Blocked,
    Conflict,
    Erased,
    Forbidden,
    KeysMismatch,
    NotFound,
    Paused,
    UncleanText,
)
from radiolucent.clinic.ops.logs import request_id
from radiolucent.clinic.outbox.destination import DestinationRefused
from radiolucent.errors import MalformedInput, RadiolucentError, UnsupportedInput

log = logging.getLogger(__name__)
MEDIA = "application/problem+json"
TYPE = "urn:radiolucent:problem:"
UNEXPECTED = "It was written to the log under this request's number. / 已记录，请联系管理员。"


class Reason(BaseModel):
    """One thing that stands against it, in both languages."""

    code: str
    en: str
    zh: str


class FieldFault(BaseModel):
    """A field that does not fit; its value is not repeated."""

    field: str = Field(examples=["body.decision"])
    message: str


class Problem(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:radiolucent:problem:blocked",
                    "title": "Not yet",
                    "title_zh": "尚有未完成项",
                    "status": 409,
                    "code": "blocked",
                    "detail": "Decide on: right pleural effusion.",
                    "request_id": "4f0c9b1a2d3e4f50",
                    "reasons": [
                        {
                            "code": "finding_undecided",
                            "en": "Decide on: right pleural effusion.",
                            "zh": "待裁定：右侧胸腔积液。",
                        }
                    ],
                }
            ]
        }
    )

    type: str
    title: str
    title_zh: str
    status: int
    code: str
    detail: str
    request_id: str
    reasons: list[Reason] | None = None
    errors: list[FieldFault] | None = None
    version: int | None = Field(None, description="The case's version now, where it is another than If-Match named.")


@dataclass(frozen=True)
class Kind:
    """A class of problems."""

    status: int
    code: str
    en: str
    zh: str


KINDS: Mapping[str, Kind] = {
    kind.code: kind
    for kind in (
        Kind(400, "bad-request", "The request cannot be read", "请求无法解析"),
        Kind(400, "unknown-host", "This server is not called that", "主机名不符"),
        Kind(401, "not-logged-in", "Log in first", "请先登录"),
        Kind(403, "forbidden", "This role may not do this", "无权限"),
        Kind(403, "wrong-csrf", "The request did not come from the page", "请求来源校验失败"),
        Kind(403, "reauthentication-needed", "Give the password again", "请重新输入密码"),
        Kind(404, "not-found", "There is no such thing", "未找到"),
        Kind(404, "not-shown", "Not shown", "不显示"),
        Kind(405, "method-not-allowed", "This is not done that way", "不支持的方法"),
        Kind(409, "conflict", "Somebody else was faster", "存在冲突"),
        Kind(409, "blocked", "Not yet", "尚有未完成项"),
        Kind(409, "destination-refused", "This may not go there", "不得发送至该目的地"),
        Kind(409, "paused", "The model is paused", "模型已暂停"),
        Kind(410, "erased", "This patient's data was erased", "患者数据已抹除"),
        Kind(412, "stale", "The case was changed meanwhile", "病例已更新"),
        Kind(413, "too-large", "Too large", "文件过大"),
        Kind(415, "unsupported-media", "This kind of content is not taken here", "不支持的内容类型"),
        Kind(422, "malformed", "The content does not fit", "内容不符合要求"),
        Kind(422, "unsupported-input", "Not something this product may explain", "不支持的影像"),
        Kind(428, "version-needed", "Say which version you have seen", "缺少版本号"),
        Kind(429, "too-many-tries", "Too many tries", "尝试次数过多"),
        Kind(500, "unexpected", "Something went wrong here", "服务器内部错误"),
        Kind(404, "not-set-up", "This is not set up on this site", "本站未启用"),
        Kind(503, "unavailable", "Not now", "暂不可用"),
    )
}


class Refusal(RadiolucentError):
    """A problem that belongs to the door itself.

    Parameters
    ----------
    code
        One of :data:`KINDS`.
    """

    def __init__(self, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.headers = code, detail, dict(headers or {})


def problem(
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    reasons: list[dict[str, str]] | None = None,
    errors: list[dict[str, str]] | None = None,
    version: int | None = None,
) -> Response:
    """The response of a kind of problem."""
    kind = KINDS[code]
    body: dict[str, Any] = {
        "type": TYPE + code,
        "title": kind.en,
        "title_zh": kind.zh,
        "status": kind.status,
        "code": code,
        "detail": detail,
        "request_id": request_id.get(),
    }
    body |= {"reasons": reasons} if reasons else {}
    body |= {"errors": errors} if errors else {}
    body |= {"version": version} if version is not None else {}
    given = {"Cache-Control": "no-store", **(headers or {})}
    return JSONResponse(body, kind.status, headers=given, media_type=MEDIA)


def documented(*codes: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's part for the problems that an operation may answer with."""
    told: dict[int, list[Kind]] = {}
    for code in codes:
        told.setdefault(KINDS[code].status, []).append(KINDS[code])
    return {
        status: {
            "description": "; ".join(f"{kind.en} (`{kind.code}`)" for kind in kinds),
            "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, kinds in sorted(told.items())
    }


def install(app: FastAPI) -> None:
    """Answer every error of an application as a problem."""
    app.add_exception_handler(RadiolucentError, _typed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OperationalError, _database)
    app.add_exception_handler(StatementError, _statement)
    app.add_exception_handler(Exception, _unexpected)


async def _typed(request: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        return problem(error.code, error.detail, headers=error.headers)
    if isinstance(error, Blocked):
        return problem("blocked", str(error), reasons=[vars(one) for one in error.reasons])
    if isinstance(error, Conflict):
        seen = getattr(request.state, "version", None)
        stale = error.version is not None and seen is not None and seen != error.version
        headers = None if error.version is None else {"ETag": f'"{error.version}"'}
        return problem("stale" if stale else "conflict", str(error), version=error.version, headers=headers)
    if isinstance(error, TooManyTries):
        return problem("too-many-tries", str(error), headers={"Retry-After": str(error.wait_s)})
    if isinstance(error, NotLoggedIn):
        return problem("not-logged-in", str(error), headers={"WWW-Authenticate": "Bearer"})
    for kind, code in _CODES:
        if isinstance(error, kind):
            if KINDS[code].status >= 500:
                log.error("refused: %s", error)
            return problem(code, str(error))
    log.exception("a typed error without a status")
    return problem("unexpected", UNEXPECTED)


_CODES: tuple[tuple[type[RadiolucentError], str], ...] = (
    (Erased, "erased"),
    (NotFound, "not-found"),
    (Forbidden, "forbidden"),
    (DestinationRefused, "destination-refused"),
    (Paused, "paused"),
    (AuditBroken, "unavailable"),
    (KeysMismatch, "unavailable"),
    (ProviderAway, "unavailable"),
    (MissingPackage, "not-set-up"),
    (UncleanText, "malformed"),
    (UnsupportedInput, "unsupported-input"),
    (MalformedInput, "malformed"),
)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        {"field": ".".join(str(step) for step in one["loc"])[:200], "message": _plain(one)} for one in error.errors()
    ]
    if any(one["type"] == "json_invalid" for one in error.errors()):
        return problem("bad-request", "The body is not JSON.", errors=faults)
    return problem("malformed", "One or more fields do not fit; see errors. / 字段不符合要求。", errors=faults)


def _plain(fault: Mapping[str, Any]) -> str:
    """pydantic's message, which speaks of what was expected; of a value error our own words."""
    if fault["type"] == "value_error":
        return str(fault.get("ctx", {}).get("error", "does not fit"))
    return "not one of the known fields" if fault["type"] == "extra_forbidden" else str(fault["msg"])


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media"}
    code = codes.get(error.status_code, "bad-request")
    return problem(code, KINDS[code].en + ".", headers=error.headers)


async def _database(_: Request, error: Exception) -> Response:
    log.error("the database refused: %s", type(getattr(error, "orig", error)).__name__)
    return problem("unavailable", "The database is busy or away; try again.", headers={"Retry-After": "2"})


async def _statement(request: Request, error: Exception) -> Response:
    """A column refused a value before it reached the database; the reason is a typed error of ours."""
    cause = getattr(error, "orig", None)
    return await _typed(request, cause) if isinstance(cause, RadiolucentError) else await _unexpected(request, error)


async def _unexpected(_: Request, error: Exception) -> Response:
    log.exception("unexpected %s", type(error).__name__, exc_info=error)
    return problem("unexpected", UNEXPECTED)
