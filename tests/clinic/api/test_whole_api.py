"""schemathesis over every operation on both databases: no 5xx, and nothing that the schema does not say.

Requests are generated from the schema, right ones and wrong ones; half of the identifiers and versions are then put in
the place of real ones, so that more than 404 is reached. RADIOLUCENT_FUZZ multiplies the examples for longer runs.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

import pytest
import schemathesis
from clinic_door import BASE, Person
from clinic_site import drafted_case, received, signed_case
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from radiolucent.clinic.api.policy import POLICY
from radiolucent.clinic.audit.verify import verify
from radiolucent.clinic.service import intake, review
from radiolucent.clinic.store.actor import SYSTEM, Actor
from radiolucent.clinic.store.engine import Store

EXAMPLES = int(os.environ.get("RADIOLUCENT_FUZZ", "1")) * 5
SLOW = {"submitCase": 3, "logIn": 3, "exportCase": 3, "confirmPassword": 3, "changeMyPassword": 3}
ENDS = {"logOut"}  # whoever asks is gone afterwards
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


class Site:
    """People, and cases in several states."""

    def __init__(self, app: FastAPI, store: Store) -> None:
        self.doctor, self.admin = Person(app, "radiologist"), Person(app, "admin")
        me = Actor(self.doctor.id, "radiologist", "Doctor")
        opened = drafted_case(store, patient_id="OPEN")
        review.open_case(store, me, opened.id)
        review.reveal_ai(store, me, opened.id)
        shown = drafted_case(store, patient_id="SHOWN")
        queued = intake.register(store, SYSTEM, received("QUEUED"))
        self.cases = [opened.id, opened.id, shown.id, queued.id]
        self.findings = [one.id for one in review.open_case(store, me, opened.id).findings]
        self.dice = random.Random(11)

    def aimed(self, case: Any, name: str, right: bool) -> dict[str, str]:
        """Puts real identifiers in; returns the headers of whoever may ask."""
        who = self.admin if POLICY[name].door == "administer" else self.doctor
        headers = {"Host": BASE.removeprefix("http://"), "Cookie": "", "X-CSRF-Token": who.csrf}
        headers["Cookie"] = f"rl_session={who.client.cookies['rl_session']}"
        parameters = case.path_parameters
        if right and parameters and self.dice.random() < 0.7:
            if "case_id" in parameters:
                parameters["case_id"] = self.dice.choice(self.cases)
            if "finding_id" in parameters:
                parameters["finding_id"] = self.dice.choice(self.findings)
            if POLICY[name].version:
                seen = self.doctor("GET", f"/cases/{parameters['case_id']}")
                if seen.status_code == 200:
                    headers["If-Match"] = seen.headers["etag"]
        return headers


@pytest.mark.filterwarnings("ignore")
def test_no_server_error_and_no_schema_violation(app: FastAPI, store: Store) -> None:
    signed_case(store, patient_id="SIGNED")
    site = Site(app, store)
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers={"Host": BASE.removeprefix("http://")})
    schema.raw_schema["components"].pop("securitySchemes")  # the right cookie is always sent; policy has its own test
    for path in schema.raw_schema["paths"].values():
        for described in path.values():
            described.pop("security")
    answered: Counter[str] = Counter()
    faults: list[str] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        name = operation.definition.raw["operationId"]
        if name in ENDS:
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                _run(site, operation, name, mode, answered)
            except (FailureGroup, BaseExceptionGroup) as found:
                faults.append(f"{name} ({mode.name}): {'; '.join(str(one) for one in found.exceptions)}")
    assert not faults, "\n\n".join(faults)
    reached = {one.split()[0] for one in answered if one.split()[1][0] == "2"}
    assert len(reached) >= 25, sorted(reached)
    assert verify(store).intact


def _run(site: Site, operation: Any, name: str, mode: Any, answered: Counter[str]) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=SLOW.get(name, EXAMPLES),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def one(case: Any) -> None:
        headers = site.aimed(case, name, mode is GenerationMode.POSITIVE)
        response = case.call(base_url=BASE, headers=headers, allow_redirects=False)
        answered[f"{name} {response.status_code}"] += 1
        case.validate_response(response, checks=CHECKS)

    try:
        one()
    except Unsatisfiable:  # nothing can be wrong about a request without parts
        if mode is GenerationMode.POSITIVE:
            raise
