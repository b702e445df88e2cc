"""Report text to findings: rules as data, English and Chinese, standard library only."""

from radiolucent.findings.extract import ReportFindings, extract_findings, extract_report
from radiolucent.findings.settle import Contradiction
from radiolucent.findings.types import Finding
from radiolucent.findings.vocabulary import CODES, VOCABULARY, Code

__all__ = [
    "CODES",
    "VOCABULARY",
    "Code",
    "Contradiction",
    "Finding",
    "ReportFindings",
    "extract_findings",
    "extract_report",
]
