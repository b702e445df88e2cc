"""Report text to findings: rules as data, English and Chinese, standard library only."""

from radiolucent.findings.extract import ReportFindings, extract_findings, extract_report
from radiolucent.findings.knowable import Claim, claims_beyond_input, mark_not_knowable
from radiolucent.findings.labellers import Labeller, label, labellers, register_labeller
from radiolucent.findings.settle import Contradiction
from radiolucent.findings.types import Finding
from radiolucent.findings.vocabulary import ATTRIBUTES, CODES, VOCABULARY, Code

__all__ = [
    "ATTRIBUTES",
    "CODES",
    "VOCABULARY",
    "Claim",
    "Code",
    "Contradiction",
    "Finding",
    "Labeller",
    "ReportFindings",
    "claims_beyond_input",
    "extract_findings",
    "extract_report",
    "label",
    "labellers",
    "mark_not_knowable",
    "register_labeller",
]
