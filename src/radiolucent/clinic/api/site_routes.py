"""The site: its model, switches, vocabulary, audit trail, performance, incidents."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from radiolucent.clinic.api.answers import answer, list_answer
from radiolucent.clinic.api.caller import SignedIn, TheStore
from radiolucent.clinic.api.problems import Refusal
from radiolucent.clinic.api.shapes import Items, SwitchBody
from radiolucent.clinic.api.texts import CLEAN, Limit
from radiolucent.clinic.ops.incidents import incidents
from radiolucent.clinic.ops.model_facts import model_facts
from radiolucent.clinic.ops.performance import Performance, performance
from radiolucent.clinic.ops.trail_reading import page_of_trail
from radiolucent.clinic.service.switches import set_switch, switches
from radiolucent.findings.vocabulary import VOCABULARY

routes = APIRouter(tags=["site"])


@routes.get("/model", operation_id="readModel", response_model=dict[str, Any])
def model(caller: SignedIn, store: TheStore) -> Response:
    """The model that drafts: its card, intended use, what it must not be used for, its limits, whether it is paused."""
    return answer(model_facts(store, caller.actor))


@routes.get("/vocabulary", operation_id="readVocabulary", response_model=Items)
def vocabulary(caller: SignedIn) -> Response:
    """Every finding code with its names, and which attributes mean anything for it."""
    return list_answer(
        {
            "code": code,
            "en": entry.en,
            "zh": entry.zh,
            "sided": entry.sided,
            "zoned": entry.zoned,
            "graded": entry.graded,
            "measured": entry.measured,
        }
        for code, entry in VOCABULARY.items()
    )


@routes.get("/switches", operation_id="readSwitches", response_model=dict[str, Any])
def read_switches(caller: SignedIn, store: TheStore) -> Response:
    """Paused models, the list of critical findings, reader-first, two signatures."""
    return answer(switches(store, caller.actor))


@routes.put("/switches", operation_id="changeSwitch", response_model=dict[str, Any])
def change_switch(body: SwitchBody, caller: SignedIn, store: TheStore) -> Response:
    """Change one switch, on record; returns all of them."""
    return answer(set_switch(store, caller.actor, body.key, body.value))


@routes.get("/audit", operation_id="readAudit", response_model=Items)
def audit(
    caller: SignedIn,
    store: TheStore,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,15}$", description="Number of the last entry seen.")] = None,
    limit: Limit = 100,
) -> Response:
    """The audit trail, oldest first. Reading it is on record too."""
    entries, following = page_of_trail(store, caller.actor, after=int(cursor or 0), limit=limit)
    return list_answer(
        ({**vars(entry), "detail": json.loads(entry.detail)} for entry in entries),
        None if following is None else str(following),
    )


@routes.get("/performance", operation_id="readPerformance", response_model=Performance)
def panel(
    caller: SignedIn,
    store: TheStore,
    since: Annotated[
        str | None, Query(pattern=r"^[12][0-9]{3}-[01][0-9]-[0-3][0-9]$", description="Day in UTC, as 2026-11-24.")
    ] = None,
    model: Annotated[str | None, Query(max_length=200, pattern=CLEAN)] = None,
) -> Response:
    """How the drafts do here, from what readers decided. Site aggregates only: no reader is told from another."""
    try:
        begun = None if since is None else datetime.fromisoformat(since).replace(tzinfo=UTC)
    except ValueError as error:
        raise Refusal("malformed", "There is no such day.") from error
    return answer(performance(store, caller.actor, since=begun, model=model))


@routes.get("/incidents", operation_id="listIncidents", response_model=Items)
def reported(caller: SignedIn, store: TheStore) -> Response:
    """What readers reported to have gone wrong."""
    return list_answer(incidents(store, caller.actor))
