"""The site's own pages of the API: health, metrics, switches, model, destinations, audit, the sandboxed report."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

from clinic_door import Person, token_client
from clinic_site import DOCTOR, USUAL, draft, drafted_case, leased, received
from fastapi import FastAPI

from radiolucent.clinic.audit.checkpoint import checkpoint_path
from radiolucent.clinic.service import intake
from radiolucent.clinic.service.drafting import keep_draft
from radiolucent.clinic.store.engine import Store
from radiolucent.findings.vocabulary import CODES


def test_health_tells_what_is_wrong(lone_app: FastAPI) -> None:
    nobody = Person(lone_app, None)
    assert nobody("GET", "/healthz").text == "ok\n"
    assert nobody("GET", "/readyz").json() == {"ready": True, "database": True, "files": True, "audit": True}
    drafted_case(lone_app.state.store)
    checkpoint_path(lone_app.state.store).write_text("{}")
    answer = nobody("GET", "/readyz")
    assert answer.status_code == 503 and answer.json()["audit"] is False


def test_nothing_is_written_once_the_trail_is_broken(lone_app: FastAPI) -> None:
    doctor = Person(lone_app, "radiologist")
    checkpoint_path(lone_app.state.store).write_text("{}")
    answer = doctor("GET", "/cases")
    assert answer.status_code == 503 and answer.json()["code"] == "unavailable"


def test_metrics_are_for_this_machine_or_a_token(lone_app: FastAPI) -> None:
    admin = Person(lone_app, "admin")
    assert "radiolucent_queue_depth" in Person(lone_app, None)("GET", "/metrics").text
    away = Person(lone_app, None, address="192.0.2.1")
    assert away("GET", "/metrics").status_code == 401
    for scope, status in (("metrics", 200), ("cases:read", 401)):
        program = token_client(lone_app, lone_app.state.store, admin, scope)
        token = program.headers["Authorization"]
        assert away("GET", "/metrics", headers={"Authorization": token}).status_code == status


def test_a_model_is_paused_and_says_so(app: FastAPI) -> None:
    admin, doctor = Person(app, "admin"), Person(app, "radiologist")
    facts = doctor("GET", "/model").json()
    assert facts["paused"] is None and "not a medical device" in facts["card"]
    assert set(facts["intended_use"]) == {"en", "zh"} and all({"en", "zh"} == set(one) for one in facts["limits"])
    body = {"key": "paused", "value": {"models": {"demo": "drift"}}}
    assert doctor("PUT", "/switches", json=body).status_code == 403
    assert admin("PUT", "/switches", json=body).status_code == 200
    assert doctor("GET", "/model").json()["paused"] == "drift"
    assert admin("PUT", "/switches", json={"key": "paused", "value": {"models": {"demo": " "}}}).status_code == 422


def test_every_code_has_both_names(person: Callable[..., Person]) -> None:
    listed = person("viewer")("GET", "/vocabulary").json()["items"]
    assert [one["code"] for one in listed] == list(CODES)
    assert all(one["en"] and one["zh"] for one in listed)


def test_reading_the_trail_is_on_the_trail(app: FastAPI) -> None:
    admin = Person(app, "admin")
    admin("GET", "/audit")
    assert "audit.read" in [one["action"] for one in admin("GET", "/audit").json()["items"]]


def test_the_drafts_page_comes_sandboxed_under_its_own_policy(app: FastAPI, store: Store) -> None:
    doctor = Person(app, "radiologist")
    for own, expected in (
        ("default-src 'none'; script-src 'sha256-x'", "script-src 'sha256-x'"),
        ("", "default-src 'none'"),
    ):
        meta = f'<meta http-equiv="Content-Security-Policy" content="{own}">' if own else ""
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("report.html", f"<!doctype html>{meta}<script>1</script>")
        case = intake.register(store, DOCTOR, received())
        keep_draft(store, leased(store), 1, draft(USUAL), stream.getvalue())
        path = f"/cases/{case.id}/report.html"
        assert doctor("GET", path).status_code == 404, "hidden until it is revealed"
        doctor("POST", f"/cases/{case.id}/open")
        doctor("POST", f"/cases/{case.id}/reveal")
        answer = doctor("GET", path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox allow-scripts; frame-ancestors 'self'") and expected in policy
        assert "allow-same-origin" not in policy and answer.headers["x-frame-options"] == "SAMEORIGIN"
