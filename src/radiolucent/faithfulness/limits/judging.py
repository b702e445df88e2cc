"""A report held against the film's truth: what was found, on which side, and what was alarmed without cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from radiolucent.faithfulness.limits.drawing import PlantedLesion
from radiolucent.faithfulness.limits.record import FilmRecord
from radiolucent.findings import extract_findings
from radiolucent.phantom.record import CODES

# Words of the vocabulary that name the same shadow on a film. Pneumonia is what a reader calls a consolidation.
NAMES: Mapping[str, frozenset[str]] = {
    "cardiomegaly": frozenset({"cardiomegaly", "enlarged_cardiomediastinum"}),
    "pleural_effusion": frozenset({"pleural_effusion"}),
    "pneumothorax": frozenset({"pneumothorax"}),
    "consolidation": frozenset({"consolidation", "pneumonia", "inflammation", "lung_opacity"}),
    "nodule": frozenset({"nodule", "mass"}),
}
# Whiter lung is a fair, if vague, name of these; it does not count as having found them.
VAGUE: Mapping[str, frozenset[str]] = {
    "nodule": frozenset({"lung_opacity"}),
    "pleural_effusion": frozenset({"lung_opacity"}),
}
# Tubes and leads are drawn without being in the record, so naming them is neither right nor wrong here.
NOT_JUDGED = frozenset({"support_devices"})
OTHER = "other"  # alarms with a finding that no phantom shows


@dataclass(frozen=True)
class JudgedLesion:
    """What the report made of one lesion.

    Parameters
    ----------
    found
        Whether the report asserts it, on whatever side; a hedge ("possible") is no assertion.
    wrong_side
        Whether the sides stated are not the planted ones; None where it was not found, states no side or has none.
    """

    lesion: PlantedLesion
    found: bool
    wrong_side: bool | None


@dataclass(frozen=True)
class JudgedFilm:
    """What the report made of one film.

    Parameters
    ----------
    alarms
        Phantom codes, or ``other``, that the report asserts and the film does not hold.
    """

    record: FilmRecord
    lesions: tuple[JudgedLesion, ...]
    alarms: frozenset[str]

    def lesion(self, code: str) -> JudgedLesion | None:
        """The lesion of a code; a film holds at most one."""
        return next((judged for judged in self.lesions if judged.lesion.code == code), None)


def judge(record: FilmRecord, language: str) -> JudgedFilm:
    """Hold a report against its film's truth."""
    said: dict[str, set[str | None]] = {}
    for finding in extract_findings(record.report, language):
        if finding.polarity == "present":
            said.setdefault(finding.code, set()).add(finding.side)
    planted = [lesion.code for lesion in record.lesions]
    explained = NOT_JUDGED.union(*(NAMES[code] | VAGUE.get(code, frozenset()) for code in planted))
    return JudgedFilm(
        record,
        tuple(_judge_lesion(lesion, said) for lesion in record.lesions),
        frozenset(_phantom_code(code) for code in said if code not in explained),
    )


def _judge_lesion(lesion: PlantedLesion, said: Mapping[str, set[str | None]]) -> JudgedLesion:
    named = [said[code] for code in NAMES[lesion.code] if code in said]
    sides = {side for stated in named for side in stated if side is not None}
    if sides == {"left", "right"}:
        sides = {"bilateral"}
    known = bool(named) and lesion.side is not None and bool(sides)
    return JudgedLesion(lesion, bool(named), sides != {lesion.side} if known else None)


def _phantom_code(code: str) -> str:
    return next((own for own in CODES if code in NAMES[own]), OTHER)
