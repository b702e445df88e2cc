"""A site's switches: paused models, the list of critical findings, reader-first, two signatures."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.review.critical import DEFAULT_LIST, read_list, written
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.columns import refuse_unclean
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import Switch
from radiolucent.errors import MalformedInput

KEYS = ("paused", "critical", "reader_first", "two_signatures")


def switches(store: Store, actor: Actor) -> dict[str, Any]:
    """Every switch as it stands: ``paused`` ``{models: {name: reason}}``, ``critical`` ``{entries: [...]}``,
    ``reader_first`` and ``two_signatures`` ``{value: bool}``."""
    permit(actor, "see cases")
    with store.read() as session:
        return {key: _value(store, session, key) for key in KEYS}


def set_switch(store: Store, actor: Actor, key: str, value: dict[str, Any]) -> dict[str, Any]:
    """Change one switch; returns all of them.

    Raises
    ------
    MalformedInput
        Where there is no such switch or the value does not fit.
    """
    permit(actor, "administer")
    refuse_unclean(value, "The switch")
    checked = _checked(key, value)
    with store.begin() as session:
        _set(store, session, actor, key, checked)
    return switches(store, actor)


def pause(store: Store, actor: Actor, model: str, reason: str) -> None:
    """Pause a model: no new drafts from it until it is resumed; cases can be reported by hand."""
    permit(actor, "administer")
    refuse_unclean([model, reason], "The model or the reason")
    with store.begin() as session:
        held = _value(store, session, "paused")
        _set(store, session, actor, "paused", _checked("paused", {"models": {**held["models"], model: reason}}))


def resume(store: Store, actor: Actor, model: str) -> None:
    """Let a paused model draft again."""
    permit(actor, "administer")
    with store.begin() as session:
        held = dict(_value(store, session, "paused")["models"])
        held.pop(model, None)
        _set(store, session, actor, "paused", {"models": held})


def paused(store: Store, session: Session, model: str) -> str | None:
    """Why a model is paused; None where it is not."""
    reason: str | None = _value(store, session, "paused")["models"].get(model)
    return reason


def reader_first(store: Store, session: Session) -> bool:
    """Whether new cases hide the AI until the reader's own impression is saved."""
    return bool(_value(store, session, "reader_first")["value"])


def two_signatures(store: Store, session: Session) -> bool:
    """Whether a report is final only after a reviewing physician has signed too."""
    return bool(_value(store, session, "two_signatures")["value"])


def _value(store: Store, session: Session, key: str) -> dict[str, Any]:
    row = session.get(Switch, key)
    if row is not None:
        return row.value
    defaults: dict[str, dict[str, Any]] = {
        "paused": {"models": {}},
        "critical": {"entries": written(DEFAULT_LIST)},
        "reader_first": {"value": store.settings.reader_first},
        "two_signatures": {"value": store.settings.two_signatures},
    }
    return defaults[key]


def _set(store: Store, session: Session, actor: Actor, key: str, value: dict[str, Any]) -> None:
    row = session.get(Switch, key)
    before = None if row is None else row.value
    if row is None:
        session.add(Switch(key=key, value=value, changed_by=actor.user_id, changed_at=store.now()))
    else:
        row.value, row.changed_by, row.changed_at = value, actor.user_id, store.now()
    note(store, session, actor, "switch.changed", "switch", key, before=before, now=value)


def _checked(key: str, value: dict[str, Any]) -> dict[str, Any]:
    if key not in KEYS:
        raise MalformedInput(f"There is no switch {key!r}; the switches are {', '.join(KEYS)}.")
    if not isinstance(value, dict):
        raise MalformedInput("A switch's value is a JSON object.")
    if key == "critical":
        entries = value.get("entries")
        if not isinstance(entries, list):
            raise MalformedInput("The critical list is {entries: [{code, en, zh, severities, zones, words}]}.")
        return {"entries": written(read_list(entries))}
    if key == "paused":
        models = value.get("models")
        if not isinstance(models, dict) or not all(isinstance(why, str) and why.strip() for why in models.values()):
            raise MalformedInput("Paused models are {models: {name: reason}}, each with a reason.")
        return {"models": models}
    if not isinstance(value.get("value"), bool):
        raise MalformedInput(f"{key} is {{value: true}} or {{value: false}}.")
    return {"value": value["value"]}
