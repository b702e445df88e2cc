"""Cases in, drafts, frames, maps, pauses, erasure, and the worklist, on both databases."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from clinic_site import (
    ADMIN,
    DOCTOR,
    SERVICE,
    VIEWER,
    draft,
    drafted_case,
    leased,
    opened_case,
    received,
    signed_case,
)
from sqlalchemy import func, select

from radiolucent.clinic.audit.verify import verify
from radiolucent.clinic.errors import Conflict, Erased, Forbidden, LeaseLost, NotFound
from radiolucent.clinic.jobs.queue import depth
from radiolucent.clinic.jobs.worker import Worker
from radiolucent.clinic.service import cases, erasure, evidence, intake, review, switches
from radiolucent.clinic.service.drafting import KIND, draft_handler, keep_draft, write_draft
from radiolucent.clinic.service.intake import Received, without_preamble
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.files import files_of
from radiolucent.clinic.store.packed import pack_study, unpack_study
from radiolucent.clinic.store.patients import Identity
from radiolucent.clinic.store.tables import AiFinding, Case, Job, Run, StoredFile
from radiolucent.errors import InsufficientMemory, MalformedInput
from radiolucent.report.explanation import equal
from radiolucent.study import load_study

HOUR = timedelta(hours=1)


# Taking in


def test_the_same_key_gives_the_same_case(store: Store) -> None:
    came = received("P1", seed=1)
    first = intake.register(store, SERVICE, came, idempotency_key="k")
    assert intake.register(store, SERVICE, came, idempotency_key="k").id == first.id
    with pytest.raises(Conflict):
        intake.register(store, SERVICE, received("P1", seed=2), idempotency_key="k")
    assert depth(store)["ready"] == 1


def test_many_at_once_have_numbers_without_gaps(store: Store) -> None:
    came = [received(f"P{number % 3}", seed=number) for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda one: intake.register(store, SERVICE, one), came))
    assert sorted(one.number for one in made) == list(range(1, 13))
    assert verify(store).intact
    with store.read() as session:
        assert session.scalar(select(func.count(func.distinct(Case.patient_id)))) == 3


def test_the_same_key_at_once_makes_one_case(store: Store) -> None:
    came = received("P1", seed=1)
    with ThreadPoolExecutor(6) as pool:
        made = set(pool.map(lambda _: intake.register(store, SERVICE, came, idempotency_key="k").id, range(6)))
    assert len(made) == 1


def test_another_patients_id_is_refused(store: Store) -> None:
    with pytest.raises(MalformedInput, match="another patient"):
        intake.register(store, SERVICE, received("P1"), patient_id="P2")
    case = intake.register(store, SERVICE, received(""), patient_id="P2")
    assert case.patient is not None and case.patient.id == "P2"


def test_the_language_is_the_questions(store: Store) -> None:
    assert intake.register(store, SERVICE, received(), question="有气胸吗？").language == "zh"
    assert intake.register(store, SERVICE, received(), question="Pneumothorax?").language == "en"
    assert intake.register(store, SERVICE, received(), question="?", language="zh").language == "zh"
    for bad in ({"language": "fr"}, {"due_at": datetime(2026, 1, 1)}):
        with pytest.raises(MalformedInput):
            intake.register(store, SERVICE, received(), **bad)  # type: ignore[arg-type]


def test_only_some_may_submit(store: Store) -> None:
    with pytest.raises(Forbidden):
        intake.register(store, VIEWER, received())


def test_a_dicom_preamble_is_zeroed() -> None:
    film = b"MZ" + bytes(126) + b"DICM" + b"rest"
    assert without_preamble(film) == bytes(128) + b"DICMrest"
    assert without_preamble(b"\x89PNG" * 40) == b"\x89PNG" * 40


# Frames


def test_a_packed_study_comes_back_equal() -> None:
    study = load_study(np.random.default_rng(0).normal(size=(9, 7)).astype(np.float32), view="PA", spacing=(0.2, 0.2))
    assert equal(unpack_study(pack_study(study)), study)


@pytest.mark.parametrize("kind", ["grey", "hounsfield", "fraction", "colour"])
def test_pixels_are_the_stored_values(store: Store, kind: str) -> None:
    dice = np.random.default_rng(4)
    values = {
        "grey": dice.integers(0, 255, (10, 8)).astype(np.uint8),
        "hounsfield": dice.integers(-1000, 2000, (10, 8)).astype(np.int16),
        "fraction": dice.random((10, 8)).astype(np.float32),
        "colour": dice.integers(0, 255, (10, 8, 3)).astype(np.uint8),
    }[kind]
    study = load_study(values, view="PA", patient_right="left")
    case = intake.register(store, SERVICE, Received(study, Identity("P"), [values.tobytes()]))
    shown = evidence.frame(store, DOCTOR, case.id, 0)
    assert shown.pixels.dtype == np.uint16 and shown.pixels.shape == (10, 8) and shown.low < shown.high
    frame = study.frames[0]
    # What a viewer draws with the window is what the product itself displays.
    drawn = np.clip((shown.pixels.astype(float) - shown.low) / (shown.high - shown.low), 0, 1)
    picture = frame.picture()
    expected = picture.mean(axis=2) if picture.ndim == 3 else picture
    assert np.abs((1 - drawn if shown.inverted else drawn) - expected).max() < 0.01
    if kind in ("grey", "hounsfield"):
        assert np.array_equal(shown.pixels * shown.scale + shown.offset, values)
    assert evidence.original(store, case.id) == values.tobytes()
    for number in (1, -1):
        with pytest.raises(NotFound):
            evidence.frame(store, DOCTOR, case.id, number)


def test_a_confirmed_side_reaches_the_next_draft(store: Store) -> None:
    case = opened_case(store, side=None)
    assert evidence.study_of(store, case.id).frames[0].geometry.side_source == "assumed"
    review.confirm_side(store, DOCTOR, case.id, case.version, "right")
    geometry = evidence.study_of(store, case.id).frames[0].geometry
    assert (geometry.patient_right, geometry.side_source) == ("right", "array")


# Drafts


def test_a_draft_is_written_once(store: Store) -> None:
    case = intake.register(store, SERVICE, received())
    job = leased(store)
    keep_draft(store, job, 1, draft(), b"bundle")
    with pytest.raises(LeaseLost):
        keep_draft(store, job, 1, draft(), b"bundle")
    with store.begin() as session:
        job_row = session.get_one(Job, job.id)
        job_row.state, job_row.lease_until = "ready", None
    keep_draft(store, leased(store), 1, draft(), b"bundle")  # done again by mistake: nothing is added
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 1
        assert session.scalar(select(func.count()).select_from(AiFinding)) == 3
        assert len(files_of(session, case.id, "bundle")) == 1


def test_a_second_run_is_new_and_its_findings_wait(store: Store) -> None:
    case = opened_case(store)
    case = review.rule(store, DOCTOR, case.id, case.version, case.findings[0].id, "accept")
    case = intake.rerun(store, DOCTOR, case.id)
    with pytest.raises(Conflict):
        intake.rerun(store, DOCTOR, case.id)
    keep_draft(store, leased(store), 2, draft(), None)
    after = cases.case(store, DOCTOR, case.id)
    assert after.run is not None and after.run.number == 2 and after.state == "in_review"
    assert all(one.ruling is None for one in after.findings)


class Model:
    """Stands for one that cannot be had."""


def test_a_paused_model_drafts_nothing_until_it_is_resumed(store: Store) -> None:
    switches.pause(store, ADMIN, "demo", "wrong side seen")
    case = intake.register(store, SERVICE, received())
    asked: list[str] = []
    job = leased(store)
    write_draft(store, job, lambda name: asked.append(name))
    assert asked == [] and depth(store)["ready"] == 1
    assert (cases.progress(store, DOCTOR, case.id)["note"] or "").startswith("paused")
    assert switches.switches(store, VIEWER)["paused"]["models"] == {"demo": "wrong side seen"}
    with pytest.raises(Forbidden):
        switches.resume(store, DOCTOR, "demo")
    switches.resume(store, ADMIN, "demo")
    later = replace(store, clock=lambda: datetime.now(UTC) + HOUR)
    assert write_fails(later) == "asked"


def write_fails(store: Store) -> str:
    class Asked(Exception):
        pass

    def model_of(name: str) -> Model:
        raise Asked

    try:
        write_draft(store, leased(store), model_of)
    except Asked:
        return "asked"
    return "not asked"


def test_a_draft_that_fails_for_good_leaves_a_case_to_report_by_hand(store: Store) -> None:
    case = intake.register(store, SERVICE, received())

    def model_of(name: str) -> Model:
        raise InsufficientMemory("The run needs 9 GB; 1 GB is free.")

    store = replace(store, settings=store.settings.with_(max_attempts=1))
    with store.begin() as session:
        for row in session.scalars(select(Job)):
            row.max_attempts = 1
    Worker(store, {KIND: draft_handler(store, model_of)}).run(until_idle=True)
    after = cases.case(store, DOCTOR, case.id)
    assert after.state == "failed" and "draft_failed" in {one.code for one in after.warnings}
    told = cases.progress(store, DOCTOR, case.id)
    assert told["state"] == "dead" and "9 GB" in str(told["error"])
    assert review.open_case(store, DOCTOR, case.id).state == "in_review"


# Erasure


def test_erasure_destroys_what_identifies_and_keeps_what_was_signed(store: Store) -> None:
    case = signed_case(store, patient_id="P1", clinical_information="Cough")
    other = drafted_case(store, patient_id="P2")
    with store.read() as session:
        patient = session.get_one(Case, case.id).patient_id
        paths = [
            store.path(row.path) for row in session.scalars(select(StoredFile).where(StoredFile.case_id == case.id))
        ]
    assert paths and all(path.exists() for path in paths)
    evidence.frame(store, DOCTOR, case.id, 0)  # opened, and so kept in memory
    with pytest.raises(Forbidden):
        erasure.erase_patient(store, DOCTOR, patient, "request")
    assert erasure.erase_patient(store, ADMIN, patient, "request") == len(paths)
    assert not any(path.exists() for path in paths)
    after = cases.case(store, DOCTOR, case.id)
    assert after.patient is None and after.study.clinical_information is None and after.study.accession is None
    assert after.texts.signed is not None and after.state == "signed"
    for act in (
        lambda: evidence.frame(store, DOCTOR, case.id, 0),
        lambda: evidence.study_of(store, case.id),
        lambda: evidence.original(store, case.id),
    ):
        with pytest.raises(Erased):
            act()
    with pytest.raises(NotFound):
        erasure.erase_patient(store, ADMIN, patient, "request")
    assert cases.worklist(store, DOCTOR, state="all", query="P1").items == ()
    assert cases.case(store, DOCTOR, other.id).patient is not None
    assert drafted_case(store, patient_id="P1").prior is None  # the same ID is a new patient
    assert verify(store).intact


# Worklist


def test_the_list_is_filtered_searched_and_paged(store: Store) -> None:
    made = [drafted_case(store, patient_id=f"P{number}") for number in range(5)]
    signed = signed_case(store, patient_id="P9")
    assert {one.id for one in cases.worklist(store, DOCTOR).items} == {one.id for one in made}
    assert [one.id for one in cases.worklist(store, DOCTOR, state="signed").items] == [signed.id]
    assert len(cases.worklist(store, DOCTOR, state="all").items) == 6
    assert [one.id for one in cases.worklist(store, DOCTOR, query="P3").items] == [made[3].id]
    assert [one.id for one in cases.worklist(store, DOCTOR, query=str(made[2].number)).items] == [made[2].id]
    assert cases.worklist(store, DOCTOR, query="Zhang").items == ()
    assert cases.worklist(store, ADMIN, query="P3").items == ()  # may not look for a patient
    for sort in ("urgency", "received", "due"):
        seen: list[str] = []
        cursor = None
        while True:
            page = cases.worklist(store, DOCTOR, sort=sort, cursor=cursor, limit=2)
            seen += [one.id for one in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert sorted(seen) == sorted(one.id for one in made), sort


def test_the_list_shows_the_patient_to_those_who_may_see(store: Store) -> None:
    drafted_case(store)
    assert cases.worklist(store, DOCTOR).items[0].patient_name == "张三"
    assert cases.worklist(store, ADMIN).items[0].patient_name is None


def test_overdue_and_urgent_ones_first(store: Store) -> None:
    now = datetime.now(UTC)
    plain = drafted_case(store)
    urgent = drafted_case(store, urgency=2)
    critical = drafted_case(store, critical=True)
    late = drafted_case(store, due_at=now - HOUR)
    rows = cases.worklist(store, DOCTOR).items
    assert [one.id for one in rows] == [critical.id, late.id, urgent.id, plain.id]
    assert [tuple(badge.code for badge in one.badges) for one in rows] == [
        ("critical",),
        ("overdue",),
        ("uncertain",),
        (),
    ]


@pytest.mark.parametrize(
    "asked",
    [
        {"state": "finished"},
        {"sort": "name"},
        {"limit": 0},
        {"limit": 10_000},
        {"cursor": "nonsense"},
        {"cursor": "WzFd"},
        {"cursor": "é"},
        {"sort": "received", "cursor": "WyJyZWNlaXZlZCIsICJ4IiwgInkiXQ"},
    ],
)
def test_a_list_that_cannot_be_is_refused(store: Store, asked: dict[str, object]) -> None:
    with pytest.raises(MalformedInput):
        cases.worklist(store, DOCTOR, **asked)  # type: ignore[arg-type]


def test_the_history_says_who_did_what(store: Store) -> None:
    case = signed_case(store)
    told = cases.history(store, VIEWER, case.id)
    actions = [one["action"] for one in told]
    wanted = ["case.received", "draft.made", "case.opened", "case.ai_shown", "ruling.made", "text.saved", "case.signed"]
    assert [actions.index(one) for one in wanted] == sorted(actions.index(one) for one in wanted)
    assert told[0]["actor"] == SERVICE.user_id
    assert "Small right" not in json.dumps(told)  # digests of texts, not texts
    assert any(len(str(one["detail"].get("sha256", ""))) == hashlib.sha256().digest_size * 2 for one in told)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("unknown", {}),
        ("critical", {"entries": [{"code": "x"}]}),
        ("critical", {}),
        ("paused", {"models": {"demo": ""}}),
        ("reader_first", {"value": "yes"}),
        ("keys", {"fingerprint": "x"}),
    ],
)
def test_a_switch_that_does_not_fit_is_refused(store: Store, key: str, value: dict[str, object]) -> None:
    with pytest.raises(MalformedInput):
        switches.set_switch(store, ADMIN, key, value)
