"""Every error is a problem, none repeats what was sent, and every response carries the headers."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from clinic_door import Person, picture
from clinic_site import drafted_case
from fastapi import FastAPI

from radiolucent.clinic.api import case_routes
from radiolucent.clinic.api.gateway import HEADERS
from radiolucent.clinic.api.problems import KINDS
from radiolucent.clinic.ops.logs import JsonLines

SECRET = "ZHANG-SAN-1970"


def is_problem(answer: Any, code: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told = answer.json()
    assert (told["code"], told["status"]) == (code, answer.status_code) == (code, KINDS[code].status), answer.text
    assert told["type"].endswith(code) and told["title"] and told["title_zh"] and told["detail"]
    assert told["request_id"] == answer.headers["x-request-id"]
    assert SECRET not in answer.text


def test_each_kind_of_fault(person: Callable[..., Person]) -> None:
    doctor = person("radiologist")
    json_type = {"Content-Type": "application/json"}
    is_problem(doctor("GET", "/nowhere"), "not-found")
    is_problem(doctor("GET", f"/cases/{'0' * 32}"), "not-found")
    is_problem(doctor("GET", f"/cases/{SECRET}"), "malformed")
    is_problem(doctor("PATCH", "/cases"), "method-not-allowed")
    is_problem(doctor("POST", "/cases/search", content=b"{", headers=json_type), "bad-request")
    is_problem(doctor("POST", "/cases/search", json={"query": SECRET, "more": SECRET}), "malformed")
    is_problem(doctor("POST", "/cases/search", json={"query": [SECRET]}), "malformed")
    is_problem(
        doctor("POST", "/cases/search", content=b"a=b", headers={"Content-Type": "text/plain"}), "unsupported-media"
    )
    is_problem(doctor("POST", "/cases", json={}), "unsupported-media")
    is_problem(doctor("POST", "/cases/search", content=b"x" * 1_100_000, headers=json_type), "too-large")
    is_problem(doctor("GET", "/users"), "forbidden")
    is_problem(doctor("GET", "/session/oidc"), "not-set-up")
    is_problem(doctor("GET", "/cases?cursor=" + "A" * 40), "malformed")
    is_problem(doctor("GET", "/cases", headers={"Host": "evil.example.org"}), "unknown-host")


def test_a_body_that_grows_without_saying_so_is_cut_off(person: Callable[..., Person]) -> None:
    def endless() -> Any:
        for _ in range(40):
            yield b"x" * 65_536

    answer = person("radiologist")(
        "POST", "/cases/search", content=endless(), headers={"Content-Type": "application/json"}
    )
    is_problem(answer, "too-large")


@pytest.mark.parametrize("bad", ["a\x00b", "a\ud800b"], ids=["NUL", "lone surrogate"])
def test_unclean_text_is_refused_at_every_field(bad: str, app: FastAPI) -> None:
    store = app.state.store
    doctor, admin = Person(app, "radiologist"), Person(app, "admin")
    case = drafted_case(store)
    version = doctor("POST", f"/cases/{case.id}/open").json()["version"]
    case_path = f"/cases/{case.id}"
    headers = {"Content-Type": "application/json", "If-Match": f'"{version}"'}
    for who, method, path, body in (
        (doctor, "POST", "/session", {"login": bad, "password": bad}),
        (doctor, "POST", "/cases/search", {"query": bad}),
        (doctor, "PUT", f"{case_path}/text", {"findings_text": bad, "impression_text": ""}),
        (doctor, "PUT", f"{case_path}/own-impression", {"text": bad}),
        (doctor, "POST", f"{case_path}/findings", {"code": "nodule", "note": bad}),
        (doctor, "POST", f"{case_path}/reject", {"reason": bad}),
        (doctor, "POST", f"{case_path}/incident", {"text": bad}),
        (doctor, "POST", f"{case_path}/exports", {"destination": bad}),
        (doctor, "POST", "/tokens", {"name": bad, "scopes": ["metrics"]}),
        (admin, "POST", "/users", {"login": "new", "name": bad, "role": "viewer"}),
        (admin, "PUT", "/switches", {"key": "paused", "value": {"models": {"demo": bad}}}),
    ):
        is_problem(who(method, path, content=json.dumps(body), headers=headers), "malformed")
    for path in ("/performance?model=%00", "/cases?q=%00", "/cases/%00", "/audit?cursor=%00"):
        is_problem(admin("GET", path), "malformed")
    if bad == "a\x00b":
        sent = doctor("POST", "/cases", files=[("files", ("x", picture()))], data={"clinical_information": bad})
        is_problem(sent, "malformed")


_NO_BOUNDARY = {"Content-Type": "multipart/form-data"}
FILE = b'--b\r\nContent-Disposition: form-data; name="files"; filename="f"\r\n\r\nabc'
FIELD = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad-request"),
        (b"junk", "bad-request"),
        (b"--b\r\n", "bad-request"),
        (b"--b--\r\n", "malformed"),
        (FILE, "bad-request"),  # cut off
        (b"--b\r\nA: " + b"x" * 9000 + b"\r\n\r\n\r\n--b--\r\n", "bad-request"),
        (FIELD % (b"other", b"abc"), "malformed"),
        (FIELD % (b"question", b"x" * 9000), "malformed"),
        (FIELD % (b"question", b"\xff"), "malformed"),
        (FIELD % (b"files", b"a field, not a file"), "malformed"),
        (FILE + b"\r\n--b--\r\n", "malformed"),  # whole, but no film
    ],
)
def test_a_broken_upload_is_refused_and_leaves_nothing(
    body: bytes, code: str, person: Callable[..., Person], lone_app: FastAPI
) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    is_problem(person("radiologist")("POST", "/cases", content=body, headers=kind), code)
    is_problem(
        person("radiologist", login="other")("POST", "/cases", content=body, headers=_NO_BOUNDARY), "bad-request"
    )
    incoming = lone_app.state.store.settings.data / "incoming"
    assert not incoming.exists() or not list(incoming.iterdir())


def test_an_upload_over_the_limit_is_refused_before_and_while_it_comes(
    make_store: Callable[..., Any],
) -> None:
    from radiolucent.clinic.api.app import make_app

    doctor = Person(make_app(make_store(upload_limit_mb=1)), "radiologist")
    big = [("files", ("x", b"x" * 1_200_000))]
    is_problem(doctor("POST", "/cases", files=big), "too-large")
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="f"\r\n\r\n'
    stream = (part for part in [head, *[b"x" * 100_000] * 12])
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    is_problem(doctor("POST", "/cases", content=stream, headers=headers), "too-large")


def test_every_response_carries_the_headers(person: Callable[..., Person]) -> None:
    doctor = person("radiologist")
    for answer in (
        doctor.client.get("/"),
        doctor.client.get("/healthz"),
        doctor("GET", "/session"),
        doctor("GET", "/nowhere"),
        doctor("GET", "/session", headers={"Host": "elsewhere"}),
    ):
        for name in HEADERS:
            assert name in answer.headers, (answer.url, name)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy


def test_an_unexpected_error_tells_nobody_anything(
    person: Callable[..., Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError(f"{SECRET} broke it")

    doctor = person("radiologist")
    monkeypatch.setattr(case_routes.cases, "worklist", broken)
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    try:
        answer = doctor("GET", "/cases")
    finally:
        logging.getLogger().removeHandler(handler)
    is_problem(answer, "unexpected")
    assert SECRET not in lines.getvalue() and "ValueError" in lines.getvalue()
    assert answer.headers["x-request-id"] in lines.getvalue()
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_change_asked_for_by_another_page_is_refused(person: Callable[..., Person]) -> None:
    doctor = person("radiologist")
    body = {"name": "x", "scopes": ["metrics"]}
    for headers in (
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "x" * 43},
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        is_problem(doctor("POST", "/tokens", json=body, headers=headers), "wrong-csrf")
    login = {"login": "radiologist", "password": "correct horse battery"}
    is_problem(doctor("POST", "/session", json=login, headers={"Sec-Fetch-Site": "cross-site"}), "wrong-csrf")
    fine = {"Origin": "http://127.0.0.1:8411", "Sec-Fetch-Site": "same-origin"}
    assert doctor("POST", "/tokens", json=body, headers=fine).status_code == 201


def test_lists_go_on_from_a_cursor(app: FastAPI) -> None:
    doctor, admin = Person(app, "radiologist"), Person(app, "admin")
    numbers = [drafted_case(app.state.store, patient_id=f"P{n}").number for n in range(5)]
    for path in ("/cases?sort=received", "/cases?sort=urgency", "/cases?sort=due"):
        seen, cursor = [], ""
        while True:
            page = doctor("GET", f"{path}&limit=2{cursor}").json()
            seen += [row["number"] for row in page["items"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert sorted(seen) == numbers
    seen, cursor = [], 0
    while cursor is not None:
        page = admin("GET", f"/audit?limit=7&cursor={cursor}").json()
        seen += [row["seq"] for row in page["items"]]
        cursor = page["next"]
    assert seen == list(range(1, len(seen) + 1))
    people = admin("GET", "/users?limit=1").json()
    assert people["items"][0]["login"] == "admin" and people["next"] == "admin"
    assert admin("GET", "/users?limit=1&cursor=admin").json()["items"][0]["login"] == "radiologist"
