"""Films whose findings are known, and whether what a report says of one is right."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from radiolucent.confidence.agreement import sides_meet
from radiolucent.errors import MalformedInput
from radiolucent.findings import Finding
from radiolucent.findings.vocabulary import VOCABULARY
from radiolucent.phantom.film import FIRST_TRAINING_SEED, draw_case
from radiolucent.phantom.record import CODES as PHANTOM_CODES
from radiolucent.phantom.record import Lesion
from radiolucent.study import Study, load_study

COLUMNS = ("film", "code", "present")

Side = str | None


@dataclass(frozen=True, eq=False)
class TrueCase:
    """A film whose findings are known.

    Parameters
    ----------
    name
        Of the patient, free of identifiers; folds never split one.
    truth
        Code -> the patient's sides on which it is; empty where it is not. Codes that are missing are not judged.
    """

    name: str
    study: Study
    truth: Mapping[str, frozenset[Side]]


def truth_of(lesions: Iterable[Lesion]) -> dict[str, frozenset[Side]]:
    """What a phantom holds: every code that one can have, with the sides it is on."""
    truth: dict[str, frozenset[Side]] = {code: frozenset() for code in PHANTOM_CODES}
    for lesion in lesions:
        truth[lesion.code] = truth[lesion.code] | {lesion.side}
    return truth


def phantom_cases(count: int, *, first_seed: int = 0, size: int = 256) -> Iterator[TrueCase]:
    """Synthetic films, with and without lesions, from seeds that no training used."""
    if count < 1 or not 0 <= first_seed <= FIRST_TRAINING_SEED - count:
        raise MalformedInput(f"{count} films from seed {first_seed}: use at least 1, below seed {FIRST_TRAINING_SEED}.")
    for seed in range(first_seed, first_seed + count):
        drawn = draw_case(seed, size=size, pairs=False)
        study = load_study(drawn.film, patient_right="left", view="PA")
        yield TrueCase(f"phantom {seed}", study, truth_of(drawn.lesions))


def listed_cases(table: Path) -> Iterator[TrueCase]:
    """Films named in a CSV table: ``film`` (path, relative to the table), ``code``, ``present`` (1 or 0), and
    optionally ``side`` (``left``, ``right``, ``bilateral``) and ``patient`` (any label that tells patients apart).

    Raises
    ------
    MalformedInput
        Where the table lacks a column, names an unknown code or side, or is empty; rows are named by number.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedInput(f"The table is not UTF-8: {error}. Save it as UTF-8.") from error
    rows = list(csv.DictReader(text.splitlines()))
    if not rows or any(column not in rows[0] for column in COLUMNS):
        raise MalformedInput(f"The table needs the columns {', '.join(COLUMNS)} and at least one row.")
    films: dict[str, dict[str, set[Side]]] = {}
    patients: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        film, code, present = (str(row[column] or "").strip() for column in COLUMNS)
        side = str(row.get("side") or "").strip() or None
        if not film or code not in VOCABULARY or present not in ("0", "1"):
            raise MalformedInput(f"Row {number}: film {film!r}, code {code!r}, present {present!r} cannot be read.")
        if side not in (None, "left", "right", "bilateral", "midline"):
            raise MalformedInput(f"Row {number}: side {side!r} is unknown; use left, right, bilateral or leave it out.")
        sides = films.setdefault(film, {}).setdefault(code, set())
        if present == "1":
            sides.add(side)
        patients[film] = str(row.get("patient") or "").strip() or film
    number_of = {patient: place for place, patient in enumerate(dict.fromkeys(patients.values()), start=1)}
    for film, truth in films.items():
        yield TrueCase(
            f"patient {number_of[patients[film]]}",
            load_study(table.parent / film),
            {code: frozenset(sides) for code, sides in truth.items()},
        )


def is_right(finding: Finding, truth: Mapping[str, frozenset[Side]]) -> bool | None:
    """Whether a film holds what a finding says; None where its code is not judged.

    A side counts only where both name one; what is left open (``uncertain``) is right where the film holds it.
    """
    if finding.code not in truth:
        return None
    there = truth[finding.code]
    if finding.polarity == "absent":
        return not there
    return any(sides_meet(side, finding.side) for side in there)  # type: ignore[arg-type]
