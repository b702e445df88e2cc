"""A labeller from outside is registered by name and held to the vocabulary."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from radiolucent.errors import MalformedInput
from radiolucent.findings import Finding, Labeller, ReportFindings, extract_report, label, labellers, register_labeller
from radiolucent.findings.labellers import unregister_labeller

TEXT = "Small left effusion."


@pytest.fixture
def named() -> Iterator[str]:
    yield "outside"
    if "outside" in labellers():
        unregister_labeller("outside")


def _returning(*findings: Finding) -> Labeller:
    return lambda text: ReportFindings(findings, (), False)


def test_the_rules_are_always_there() -> None:
    assert label(TEXT) == extract_report(TEXT)
    with pytest.raises(MalformedInput):
        unregister_labeller("rules")


def test_a_registered_labeller_is_used_by_name(named: str) -> None:
    finding = Finding("pleural_effusion", side="left", words="effusion", chars=(11, 19), sentence=(0, 20))
    register_labeller(named, _returning(finding))
    assert label(TEXT, named).findings == (finding,)
    with pytest.raises(MalformedInput, match="taken"):
        register_labeller(named, extract_report)


@pytest.mark.parametrize(
    "findings",
    [
        (Finding("wibble"),),
        (Finding("nodule", attributes=(("margin", "wibble"),)),),
        (Finding("nodule", words="effusion", chars=(0, 8)),),
        (Finding("nodule", words="", chars=(30, 40)),),
        (Finding("nodule"), Finding("nodule")),
    ],
)
def test_what_cannot_be_is_refused(named: str, findings: tuple[Finding, ...]) -> None:
    register_labeller(named, _returning(*findings))
    with pytest.raises(MalformedInput, match="outside"):
        label(TEXT, named)


def test_other_types_and_names_are_refused(named: str) -> None:
    register_labeller(named, lambda text: [])  # type: ignore[arg-type, return-value]
    with pytest.raises(MalformedInput, match="list"):
        label(TEXT, named)
    with pytest.raises(MalformedInput, match="registered are"):
        label(TEXT, "nobody")
    with pytest.raises(MalformedInput, match="called"):
        register_labeller("text", "no function")  # type: ignore[arg-type]
