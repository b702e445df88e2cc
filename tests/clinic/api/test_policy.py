"""The policy table: complete, and held for every role, every scope and nobody."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from clinic_door import Person, token_client
from fastapi import APIRouter, FastAPI

from radiolucent.clinic.api.app import _guarded
from radiolucent.clinic.api.policy import POLICY
from radiolucent.clinic.auth.tokens import SCOPES
from radiolucent.clinic.service.access import ROLES
from radiolucent.clinic.store.actor import Role
from radiolucent.errors import MalformedInput

ROLE_NAMES: tuple[Role, ...] = ("viewer", "radiologist", "admin", "service")
NONE = "0" * 32


def operations(app: FastAPI) -> list[tuple[str, str, str, Any]]:
    """(operation id, method, path with ids that are none's, its description)."""
    found = []
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            filled = path.replace("{number}", "0").replace("{key}", "a:b").replace("{name}", "none")
            found.append((operation["operationId"], method.upper(), re.sub(r"\{\w+\}", NONE, filled), operation))
    return found


def body_of(operation: Any, app: FastAPI) -> dict[str, Any]:
    """Arguments of a request whose body fits."""
    content = operation.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        return {"files": [("files", ("x", b"not a film"))]}
    schema = content.get("application/json", {}).get("schema", {})
    reference = schema.get("$ref") or next((one["$ref"] for one in schema.get("anyOf", []) if "$ref" in one), None)
    if reference is None:
        return {}
    examples = app.openapi()["components"]["schemas"][reference.rsplit("/", 1)[1]].get("examples")
    return {"json": examples[0]}


def test_every_operation_has_a_rule_and_every_rule_an_operation(lone_app: FastAPI) -> None:
    assert {one[0] for one in operations(lone_app)} == set(POLICY)


def test_a_route_without_a_rule_keeps_the_application_from_starting() -> None:
    routes = APIRouter()
    routes.add_api_route("/forgotten", lambda: None, operation_id="forgotten")
    with pytest.raises(MalformedInput, match="policy"):
        _guarded(routes)


def test_nobody_is_let_in(lone_app: FastAPI) -> None:
    nobody = Person(lone_app, None)
    for name, method, path, operation in operations(lone_app):
        if POLICY[name].door == "open":
            continue
        answer = nobody(method, path, version=1, **body_of(operation, lone_app))
        assert answer.status_code == 401, (name, answer.text)
        assert answer.json()["code"] == "not-logged-in"


def test_each_role_reaches_exactly_what_the_table_allows(lone_app: FastAPI) -> None:
    """Let in means: an answer other than 401 and 403; the objects asked for do not exist."""
    ends = {"logOut", "changeMyPassword", "confirmPassword", "logIn"}  # they change who is asking
    for role in ROLE_NAMES:
        somebody = Person(lone_app, role)
        for name, method, path, operation in operations(lone_app):
            rule = POLICY[name]
            if name in ends or rule.door == "open":
                continue
            allowed = rule.door == "signed in" or role in ROLES[rule.door]
            answer = somebody(method, path, version=1, **body_of(operation, lone_app))
            seen = answer.status_code not in (401, 403) or answer.json()["code"] == "not-shown"
            assert seen == allowed, (role, name, answer.status_code, answer.text)


def test_each_scope_reaches_exactly_its_operations(lone_app: FastAPI) -> None:
    """Whatever the owner's role: a radiologist's token signs nothing, an administrator's makes no accounts."""
    for role in ("radiologist", "admin"):
        owner = Person(lone_app, role)
        for scope in SCOPES:
            program = token_client(lone_app, lone_app.state.store, owner, scope)
            for name, method, path, operation in operations(lone_app):
                rule = POLICY[name]
                if rule.door == "open":
                    continue
                headers = {"If-Match": '"1"'}
                more = body_of(operation, lone_app)
                answer = program.request(method, f"/api/v1{path.removeprefix('/api/v1')}", headers=headers, **more)
                allowed = rule.scope == scope and (rule.door == "signed in" or role in ROLES[rule.door])
                assert (answer.status_code not in (401, 403)) == allowed, (scope, name, answer.text)


def test_what_a_token_may_never_do_has_no_scope() -> None:
    people_only = {name for name, rule in POLICY.items() if rule.scope is None}
    assert {"signCase", "returnCase", "rejectCase", "amendCase", "addUser", "changeUser", "makeToken"} <= people_only
    assert {"changeSwitch", "addDestination", "readAudit", "changeMyPassword"} <= people_only


def test_every_write_to_a_reviewed_case_names_its_version(person: Callable[..., Person], lone_app: FastAPI) -> None:
    doctor = person("radiologist")
    for name, method, path, operation in operations(lone_app):
        if POLICY[name].version:
            answer = doctor(method, path, **body_of(operation, lone_app))
            assert answer.status_code == 428, (name, answer.text)
