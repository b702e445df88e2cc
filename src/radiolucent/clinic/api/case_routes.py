"""Cases: the worklist, one case, taking one in, and what it shows."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from radiolucent.clinic.api.answers import answer, case_answer, list_answer, page_answer
from radiolucent.clinic.api.caller import SignedIn, TheStore
from radiolucent.clinic.api.problems import Refusal, documented
from radiolucent.clinic.api.shapes import Items, Search
from radiolucent.clinic.api.texts import CLEAN, Cursor, Id, Limit
from radiolucent.clinic.api.upload import FIELDS, received
from radiolucent.clinic.errors import NotFound
from radiolucent.clinic.review.states import STATES
from radiolucent.clinic.service import cases, criticals, evidence, intake
from radiolucent.clinic.service.views import CaseRow, CaseView, FrameView, Page

routes = APIRouter(tags=["cases"])

State = Annotated[str, Query(pattern=f"^(open|all|{'|'.join(STATES)})$")]
Sort = Literal["urgency", "received", "due"]
MapKey = Annotated[str, Path(max_length=200, pattern=r"^[0-9A-Za-z_.:+-]+$")]
FrameNumber = Annotated[int, Path(ge=0, le=100_000)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=128,
        pattern=r"^[!-~]+$",
        description="Of one attempt: the same key with the same files gives the case that is there already.",
    ),
]
READ = documented("not-found")
OCTETS: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@routes.get("/cases", operation_id="listCases", response_model=Page[CaseRow])
def listed(
    caller: SignedIn,
    store: TheStore,
    state: State = "open",
    q: Annotated[str | None, Query(pattern=r"^[0-9]{1,9}$", description="A case's number.")] = None,
    sort: Sort = "urgency",
    reveal: Annotated[bool, Query(description="`false`: order and badges say nothing of the AI for any case.")] = True,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Limit = 50,
) -> Response:
    """The worklist. To search by a patient's ID use `POST /cases/search`: an ID must stand in no address."""
    found = cases.worklist(
        store, caller.actor, state=state, query=q, sort=sort, reveal=reveal, cursor=cursor, limit=limit
    )
    return page_answer(found)


@routes.post(
    "/cases/search",
    operation_id="searchCases",
    response_model=Page[CaseRow],
)
def search(body: Search, caller: SignedIn, store: TheStore) -> Response:
    """The worklist's cases of a number or of a patient's exact ID."""
    found = cases.worklist(
        store,
        caller.actor,
        state=body.state or "all",
        query=body.query,
        sort=body.sort,
        cursor=body.cursor,
        limit=body.limit,
    )
    return page_answer(found)


@routes.post(
    "/cases",
    operation_id="submitCase",
    status_code=201,
    response_model=CaseView,
    responses=documented("bad-request", "conflict", "too-large", "malformed", "unsupported-input"),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["files"],
                        "properties": {
                            "files": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "string", "format": "binary"},
                                "description": "DICOM, PNG or JPEG; several are one study.",
                            },
                            **{
                                name: {"type": "string", "maxLength": longest, "pattern": CLEAN}
                                for name, longest in FIELDS.items()
                            },
                            "language": {"type": "string", "enum": ["en", "zh"]},
                            "due_at": {"type": "string", "format": "date-time"},
                        },
                    }
                }
            },
        }
    },
)
async def submit(
    request: Request, caller: SignedIn, store: TheStore, idempotency_key: IdempotencyKey = None
) -> Response:
    """Take in a study. It is written to disk as it comes, opened by a confined process, and queued for its draft."""
    key = None
    if idempotency_key is not None:  # one's own: another account's key never meets it
        key = hashlib.sha256(f"{caller.actor.user_id} {idempotency_key}".encode()).hexdigest()
    async with received(request, store.settings) as upload:
        given = upload.fields
        due_at = _time(given["due_at"]) if given.get("due_at") else None
        view = await run_in_threadpool(
            lambda: intake.new_case(
                store,
                caller.actor,
                upload.files,
                question=given.get("question") or None,
                language=given.get("language") or None,
                patient_id=given.get("patient_id") or None,
                clinical_information=given.get("clinical_information") or None,
                idempotency_key=key,
                due_at=due_at,
            )
        )
    return case_answer(view, 201)


@routes.get("/cases/{case_id}", operation_id="readCase", response_model=CaseView, responses=READ)
def read(case_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """One case, with nothing of the AI before it is revealed. The read is audited."""
    return case_answer(cases.case(store, caller.actor, case_id))


@routes.get("/cases/{case_id}/progress", operation_id="readProgress", response_model=dict[str, Any], responses=READ)
def progress(case_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """How far the draft is: `{case_state, version, state, progress, note, attempts, error}`."""
    return answer(cases.progress(store, caller.actor, case_id))


@routes.get("/cases/{case_id}/history", operation_id="readHistory", response_model=Items, responses=READ)
def history(case_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """Who did what with the case and when, oldest first."""
    return list_answer(cases.history(store, caller.actor, case_id))


@routes.post(
    "/cases/{case_id}/rerun",
    operation_id="rerunCase",
    status_code=202,
    response_model=CaseView,
    responses=documented("not-found", "conflict"),
)
def rerun(case_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """Draft the case anew: a new run; the earlier one and what was decided on it stay on record."""
    return case_answer(intake.rerun(store, caller.actor, case_id), 202)


@routes.get("/criticals", operation_id="listOpenCriticals", response_model=Items)
def open_criticals(caller: SignedIn, store: TheStore) -> Response:
    """Critical value records (危急值) of every case that are not complete."""
    found = criticals.open_records(store, caller.actor)
    return list_answer({"case_id": case_id, "critical": record} for case_id, record in found)


@routes.get("/cases/{case_id}/frames", operation_id="listFrames", response_model=Items, responses=READ)
def frames(case_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """The case's pictures: size, view, sides and spacing of each."""
    view: CaseView = cases.case(store, caller.actor, case_id)
    shown: list[FrameView] = list(view.frames)
    return list_answer(shown)


@routes.get(
    "/cases/{case_id}/frames/{number}/pixels",
    operation_id="readPixels",
    response_class=Response,
    responses={200: {"description": "uint16, little endian, row by row.", "content": OCTETS}, **READ},
)
def pixels(case_id: Id, number: FrameNumber, caller: SignedIn, store: TheStore) -> Response:
    """A frame as stored, in 16 bits; the headers `X-Rows`, `X-Columns`, `X-Window-Low`, `X-Window-High`, `X-Inverted`,
    `X-Patient-Right`, `X-Side-Source`, `X-Spacing`, `X-Scale` and `X-Offset` say how it is to be shown."""
    shown = evidence.frame(store, caller.actor, case_id, number)
    rows, cols = shown.pixels.shape
    spacing = shown.frame.spacing
    return Response(
        shown.pixels.astype("<u2", copy=False).tobytes(),
        media_type="application/octet-stream",
        headers={
            "X-Rows": str(rows),
            "X-Columns": str(cols),
            "X-Window-Low": str(shown.low),
            "X-Window-High": str(shown.high),
            "X-Inverted": str(shown.inverted).lower(),
            "X-Patient-Right": shown.frame.patient_right or "",
            "X-Side-Source": shown.frame.side_source,
            "X-Spacing": "" if spacing is None else f"{spacing[0]},{spacing[1]}",
            "X-Scale": repr(float(shown.scale)),
            "X-Offset": repr(float(shown.offset)),
        },
    )


@routes.get("/cases/{case_id}/maps", operation_id="listMaps", response_model=Items, responses=READ)
def maps(case_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """The draft's maps: `{key, finding, claim, method, grade, withheld}`; 404 before the AI is revealed."""
    return list_answer(evidence.maps(store, caller.actor, case_id))


@routes.get(
    "/cases/{case_id}/maps/{key}",
    operation_id="readMap",
    response_class=Response,
    responses={
        200: {"description": "uint8, frame by frame, row by row.", "content": OCTETS},
        **documented("not-found", "not-shown"),
    },
)
def one_map(case_id: Id, key: MapKey, caller: SignedIn, store: TheStore) -> Response:
    """A map over the padded square: value = `X-Low` + byte ÷ 255 · (`X-High` − `X-Low`). `X-Frames` lists the frames
    that its pictures lie on. One that did no better than chance is withheld: 404 `not-shown`."""
    try:
        found = evidence.map_pixels(store, caller.actor, case_id, key)
    except NotFound as error:
        raise Refusal("not-shown", str(error)) from error
    _, rows, cols = found.pixels.shape
    return Response(
        found.pixels.tobytes(),
        media_type="application/octet-stream",
        headers={
            "X-Rows": str(rows),
            "X-Columns": str(cols),
            "X-Frames": ",".join(map(str, found.frames)),
            "X-Low": repr(float(found.low)),
            "X-High": repr(float(found.high)),
            "X-Claim": found.claim,
            "X-Method": found.method,
            "X-Grade": found.grade or "",
            "X-Units": found.units.encode("ascii", "replace").decode("ascii"),
        },
    )


_OWN_POLICY = re.compile(rb'http-equiv="Content-Security-Policy" content="([^"\r\n]{1,2000})"')


@routes.get(
    "/cases/{case_id}/report.html",
    operation_id="readReportPage",
    response_class=Response,
    responses={200: {"description": "The draft's interactive page.", "content": {"text/html": {}}}, **READ},
)
def report_page(case_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """The bundle's page, for a sandboxed frame: an origin of its own, no network, only the scripts that it names by
    their digests."""
    page = evidence.report_html(store, caller.actor, case_id)
    named = _OWN_POLICY.search(page[:4096])
    own = "default-src 'none'" if named is None else named[1].decode("ascii", "replace")
    return Response(
        page,
        media_type="text/html",
        headers={
            "Content-Security-Policy": f"sandbox allow-scripts; frame-ancestors 'self'; {own}",
            "X-Frame-Options": "SAMEORIGIN",
        },
    )


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal("malformed", "due_at is a time with its zone, as 2026-11-24T17:00:00+08:00.") from error
    if at.tzinfo is None or not 1970 <= at.year < 2200:
        raise Refusal("malformed", "due_at must carry its zone.")
    return at
