"""A whole review through the door, on both databases: what the page does, step by step."""

from __future__ import annotations

import io
import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from clinic_door import Person, picture
from clinic_site import USUAL, draft, drafted_case, leased
from fastapi import FastAPI
from sqlalchemy import text

from radiolucent.clinic.audit.verify import verify
from radiolucent.clinic.ops.logs import JsonLines
from radiolucent.clinic.service.drafting import keep_draft
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import Base

ID = "P-IDENTIFYING-77"


def signed(doctor: Person, case_id: str) -> dict[str, Any]:
    case = doctor("POST", f"/cases/{case_id}/open").json()
    case = doctor("POST", f"/cases/{case_id}/reveal").json()
    for one in case["findings"]:
        if one["must_rule"]:
            path = f"/cases/{case_id}/findings/{one['id']}/ruling"
            answer = doctor("PUT", path, version=case["version"], json={"decision": "accept"})
            assert answer.status_code == 200, answer.text
            case = answer.json()
    text = doctor("GET", f"/cases/{case_id}/suggestion").json()
    body = {"findings_text": text["findings"], "impression_text": text["impression"]}
    case = doctor("PUT", f"/cases/{case_id}/text", version=case["version"], json=body).json()
    assert case["blockers"] == []
    answer = doctor("POST", f"/cases/{case_id}/sign", version=case["version"], json={"attestation": True})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_from_upload_to_signature(app: FastAPI, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """And the patient's ID is nowhere but in the patients' table: not in logs, addresses, other tables or names."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    logging.getLogger("radiolucent").setLevel(logging.INFO)
    asked: list[str] = []
    try:
        doctor, admin = Person(app, "radiologist"), Person(app, "admin")
        doctor.client.event_hooks["request"].append(lambda request: asked.append(str(request.url)))
        sent = doctor(
            "POST",
            "/cases",
            files=[("files", (f"{ID}.png", picture(), "image/png"))],
            data={"patient_id": ID, "question": "?", "clinical_information": f"{ID} coughs"},
            headers={"Idempotency-Key": "one"},
        )
        assert sent.status_code == 201, sent.text
        assert sent.headers["Location"].endswith(sent.json()["id"])
        case_id = sent.json()["id"]
        again = doctor(
            "POST",
            "/cases",
            files=[("files", ("x.png", picture(), "image/png"))],
            data={"patient_id": ID},
            headers={"Idempotency-Key": "one"},
        )
        assert again.json()["id"] == case_id
        job = leased(store)
        keep_draft(store, job, 1, draft(USUAL), None)

        found = doctor("POST", "/cases/search", json={"query": ID}).json()
        assert [row["id"] for row in found["items"]] == [case_id]
        assert found["items"][0]["patient_id"] == ID
        before = doctor("GET", f"/cases/{case_id}").json()
        assert before["run"] is None and before["findings"] == []
        assert doctor("GET", f"/cases/{case_id}/maps").json()["items"] == []

        doctor("POST", f"/cases/{case_id}/open")
        version = doctor("GET", f"/cases/{case_id}").json()["version"]
        doctor("POST", f"/cases/{case_id}/side", version=version, json={"patient_right": "left"})
        done = signed(doctor, case_id)
        assert done["state"] == "signed" and done["editions"] == 1
        assert admin("GET", f"/cases/{case_id}").json()["patient"] is None  # an administrator sees no identity
        assert doctor("GET", f"/cases/{case_id}/history").status_code == 200
        pixels = doctor("GET", f"/cases/{case_id}/frames/0/pixels")
        assert len(pixels.content) == 2 * int(pixels.headers["X-Rows"]) * int(pixels.headers["X-Columns"])
        assert doctor("GET", "/cases/nope").status_code == 422
    finally:
        logging.getLogger().removeHandler(handler)
    assert verify(store).intact
    assert '"route": "/cases/{case_id}"' in lines.getvalue()
    assert ID not in lines.getvalue() and ID not in caplog.text
    assert not [address for address in asked if ID in address]
    assert not [path for path in store.settings.data.rglob("*") if ID in str(path)]
    assert not list((store.settings.data / "incoming").iterdir())
    with store.read() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(text(f"SELECT * FROM {table.name}")):
                assert ID not in repr(tuple(row)), table.name
    for path in (store.settings.data / "files").rglob("*"):
        assert path.is_dir() or ID.encode() not in path.read_bytes()


def test_a_version_is_needed_and_a_stale_one_is_refused(app: FastAPI, store: Store) -> None:
    doctor = Person(app, "radiologist")
    case = drafted_case(store)
    version = doctor("POST", f"/cases/{case.id}/open").json()["version"]
    body = {"findings_text": "a", "impression_text": "b"}
    path = f"/cases/{case.id}/text"
    assert doctor("PUT", path, json=body).status_code == 428
    saved = doctor("PUT", path, version=version, json=body)
    assert saved.status_code == 200 and saved.headers["ETag"] == f'"{version + 1}"'
    stale = doctor("PUT", path, version=version, json=body)
    assert stale.status_code == 412 and stale.json()["version"] == version + 1
    assert stale.headers["ETag"] == f'"{version + 1}"'
    for given in ("*", "3", '"1", "2"', '"-1"', 'W/"x"'):
        assert doctor("PUT", path, headers={"If-Match": given}, json=body).status_code == 400


def test_somebody_elses_case_is_a_conflict_that_names_them(app: FastAPI, store: Store) -> None:
    first, second = Person(app, "radiologist", "first"), Person(app, "radiologist", "second")
    case = drafted_case(store)
    version = first("POST", f"/cases/{case.id}/open").json()["version"]
    refused = second("POST", f"/cases/{case.id}/open")
    assert refused.status_code == 409 and "First" in refused.json()["detail"]
    assert second("PUT", f"/cases/{case.id}/text", version=version, json=_text()).status_code == 409
    assert second("POST", f"/cases/{case.id}/open", json={"take_over": True}).status_code == 200


def test_what_blocks_is_named_and_a_signature_needs_a_fresh_password(app: FastAPI, store: Store) -> None:
    doctor = Person(app, "radiologist")
    case = drafted_case(store)
    doctor("POST", f"/cases/{case.id}/open")
    version = doctor("POST", f"/cases/{case.id}/reveal").json()["version"]
    path = f"/cases/{case.id}/sign"
    blocked = doctor("POST", path, version=version, json={"attestation": True})
    assert blocked.status_code == 409 and blocked.json()["code"] == "blocked"
    assert {"finding_undecided", "no_impression"} <= {one["code"] for one in blocked.json()["reasons"]}
    with store.begin() as session:
        session.execute(text("UPDATE sessions SET reauth_at = NULL"))
    refused = doctor("POST", path, version=version, json={"attestation": True})
    assert refused.status_code == 403 and refused.json()["code"] == "reauthentication-needed"
    old = doctor.client.cookies["rl_session"]
    assert doctor("POST", "/session/reauth", json={"password": "wrong password"}).status_code == 403
    again = doctor("POST", "/session/reauth", json={"password": "correct horse battery"})
    assert again.status_code == 200 and again.json()["csrf"] == doctor.csrf
    assert doctor.client.cookies["rl_session"] != old
    assert doctor("POST", path, version=version, json={"attestation": True}).json()["code"] == "blocked"


def test_an_object_of_another_case_is_not_found(app: FastAPI, store: Store) -> None:
    doctor = Person(app, "radiologist")
    mine, other = drafted_case(store, patient_id="A"), drafted_case(store, patient_id="B")
    for one in (mine, other):
        doctor("POST", f"/cases/{one.id}/open")
        shown = doctor("POST", f"/cases/{one.id}/reveal").json()
    foreign = shown["findings"][0]["id"]
    version = doctor("GET", f"/cases/{mine.id}").json()["version"]
    path = f"/cases/{mine.id}/findings/{foreign}/ruling"
    assert doctor("PUT", path, version=version, json={"decision": "accept"}).status_code == 404
    assert doctor("GET", f"/cases/{mine.id}/exports/{'0' * 32}").status_code == 404


def test_a_call_about_a_critical_value_is_recorded(app: FastAPI, store: Store) -> None:
    doctor = Person(app, "radiologist")
    case = drafted_case(store)
    doctor("POST", f"/cases/{case.id}/open")
    version = doctor("POST", f"/cases/{case.id}/reveal").json()["version"]
    made = doctor(
        "POST",
        f"/cases/{case.id}/findings",
        version=version,
        json={"code": "pneumothorax", "side": "left", "severity": "severe"},
    )
    assert made.status_code == 201, made.text
    record = made.json()["criticals"][0]
    assert doctor("GET", "/criticals").json()["items"][0]["case_id"] == case.id
    body = {
        "critical_id": record["id"],
        "caller": "Zhao",
        "receiver": "Ward 3",
        "at": datetime.now(UTC).isoformat(),
        "read_back": True,
    }
    assert doctor("POST", f"/cases/{case.id}/criticals", json=body).status_code == 200
    assert doctor("GET", "/criticals").json()["items"] == []
    naive = body | {"at": "2026-01-01T00:00:00"}
    assert doctor("POST", f"/cases/{case.id}/criticals", json=naive).status_code in (409, 422)


def test_an_incident_reaches_the_administrator(app: FastAPI, store: Store) -> None:
    viewer, admin = Person(app, "viewer"), Person(app, "admin")
    case = drafted_case(store)
    assert viewer("POST", f"/cases/{case.id}/incident", json={"text": "片子上下颠倒"}).status_code == 201
    assert [one["text"] for one in admin("GET", "/incidents").json()["items"]] == ["片子上下颠倒"]
    assert viewer("GET", "/incidents").status_code == 403


def _text() -> dict[str, str]:
    return {"findings_text": "a", "impression_text": "b"}
