"""A site for tests: people, small films, and drafts that cost nothing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from radiolucent.clinic.jobs.queue import LeasedJob, claim
from radiolucent.clinic.service import cases, intake, review, signing
from radiolucent.clinic.service.drafted import Draft
from radiolucent.clinic.service.drafting import KIND, keep_draft
from radiolucent.clinic.service.views import CaseView
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.patients import Identity
from radiolucent.study import load_study

DOCTOR = Actor("u-doctor", "radiologist", "Dr Zhao")
SECOND = Actor("u-second", "radiologist", "Dr Qian")
VIEWER = Actor("u-viewer", "viewer", "Vera Viewer")
ADMIN = Actor("u-admin", "admin", "Ada Admin")
SERVICE = Actor("u-service", "service", "PACS")

_numbers = itertools.count(1)


def received(
    patient_id: str = "P1", *, side: str | None = "left", seed: int | None = None, **more: Any
) -> intake.Received:
    """A small film; ``side`` None leaves the side assumed."""
    number = next(_numbers) if seed is None else seed
    pixels = np.random.default_rng(number).integers(0, 255, (16, 12)).astype(np.uint8)
    stated: dict[str, Any] = {} if side is None else {"patient_right": side}
    study = load_study(pixels, view="PA", modality="DX", **stated)
    identity = Identity(patient_id, "Zhang^San", "张^三", "", "M", "1970-01-02")
    sealed = {"accession": f"ACC{number}", "study_uid": f"1.2.{number}", "institution": "Hospital One"}
    return intake.Received(study, identity, [pixels.tobytes()], sealed | more, age="045Y", sex="M")


def finding(code: str, polarity: str = "present", side: str | None = None, **more: Any) -> dict[str, Any]:
    """A row of a draft's findings."""
    words = more.pop("words", code.replace("_", " "))
    certainty = more.pop("certainty", "possible" if polarity == "uncertain" else "definite")
    return {
        "kind": "finding",
        "key": f"{code}.{side}" if side else code,
        "code": code,
        "polarity": polarity,
        "side": side,
        "certainty": certainty,
        "words": words,
        "first": 0,
        "last": len(words),
        **more,
    }


def sentence(words: str) -> dict[str, Any]:
    """An unmatched sentence of a draft."""
    return {"kind": "sentence", "words": words, "first": 0, "last": len(words)}


USUAL = (
    finding("pleural_effusion", side="right", severity="mild"),
    finding("nodule", "uncertain", "left", zone="upper"),
    finding("pneumothorax", "absent"),
)


def draft(rows: Sequence[dict[str, Any]] = USUAL, *, urgency: int = 0, critical: bool = False) -> Draft:
    """A draft with these findings."""
    run = {
        "model": "demo",
        "weights_hash": "0" * 64,
        "prompt": "?",
        "provenance": {"model": "demo"},
        "report": "A draft.",
        "summary": {"en": "s", "zh": "s"},
        "confidence": None,
        "attention": {"en": "a", "zh": "a"},
        "warnings": [],
        "trace": [],
        "chain": [],
        "maps": [],
        "language": "en",
        "demo": True,
    }
    placed = tuple({"place": place, **row} for place, row in enumerate(rows))
    return Draft(run, placed, urgency, critical)


def leased(store: Store) -> LeasedJob:
    """The next draft job."""
    job = claim(store, "test", [KIND])
    assert job is not None
    return job


def drafted_case(store: Store, rows: Sequence[dict[str, Any]] = USUAL, **more: Any) -> CaseView:
    """A case with a draft; ``more`` goes to :func:`received`."""
    given = {name: more.pop(name) for name in ("urgency", "critical") if name in more}
    registering = {name: more.pop(name) for name in ("due_at", "language", "question") if name in more}
    case = intake.register(store, SERVICE, received(**more), **registering)
    job = leased(store)
    assert job.case_id == case.id
    keep_draft(store, job, 1, draft(rows, **given), None)
    return cases.case(store, DOCTOR, case.id)


def opened_case(store: Store, rows: Sequence[dict[str, Any]] = USUAL, **more: Any) -> CaseView:
    """A case that the doctor has open, with the AI shown."""
    case = drafted_case(store, rows, **more)
    review.open_case(store, DOCTOR, case.id)
    return review.reveal_ai(store, DOCTOR, case.id)


def decide_all(store: Store, case: CaseView, actor: Actor = DOCTOR) -> CaseView:
    """Accept, one by one, what waits for a decision, and write what that amounts to."""
    for one in case.findings:
        if one.must_rule and one.ruling is None:
            decision = "drop" if one.kind == "sentence" else "accept"
            case = review.rule(store, actor, case.id, case.version, one.id, decision)
    return write_suggestion(store, case, actor)


def write_suggestion(store: Store, case: CaseView, actor: Actor = DOCTOR, language: str | None = None) -> CaseView:
    """The suggested text, saved."""
    text = review.suggest_text(store, actor, case.id, language)
    return review.save_text(store, actor, case.id, case.version, text["findings"], text["impression"])


def sign(store: Store, case: CaseView, actor: Actor = DOCTOR, **more: Any) -> CaseView:
    """Sign as one who has just given the password."""
    return signing.sign(
        store, actor, case.id, case.version, password_checked_at=datetime.now(UTC), attestation=True, **more
    )


def signed_case(store: Store, **more: Any) -> CaseView:
    """A signed case."""
    return sign(store, decide_all(store, opened_case(store, **more)))
