"""Decisions: what may be decided of a finding, what must be, and what stands once it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

from radiolucent.errors import MalformedInput
from radiolucent.findings.types import Certainty, Finding, Polarity, Severity, Side, Zone
from radiolucent.findings.vocabulary import CODES, VOCABULARY

Decision = Literal["accept", "change", "reject", "add", "keep", "drop"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)
ASSERTING = ("accept", "change", "add")

TWINS: Mapping[str, str] = {"inflammation": "pneumonia"}
"""肺炎 and 炎症 share one review row and mean one thing when a text is held against rulings."""

WEAK_QUADRANTS = ("not image-based", "evidence elsewhere")
"""Consistent, yet it ignores the image: to be decided even where it is a denial."""

LARGEST_MM = 1000.0


@dataclass(frozen=True)
class Stated:
    """What is said of the patient, whoever says it."""

    code: str
    polarity: str = "present"
    side: str | None = None
    zone: str | None = None
    severity: str | None = None
    certainty: str = "definite"
    size_mm: tuple[float, ...] = ()

    @property
    def twin(self) -> str:
        """The code under which it is compared."""
        return TWINS.get(self.code, self.code)

    @property
    def asserted(self) -> bool:
        """Present or uncertain: not denied."""
        return self.polarity != "absent"

    def as_finding(self) -> Finding:
        """For wording."""
        return Finding(
            self.code,
            polarity=cast(Polarity, self.polarity),
            side=cast("Side | None", self.side),
            zone=cast("Zone | None", self.zone),
            severity=cast("Severity | None", self.severity),
            certainty=cast(Certainty, self.certainty),
            size_mm=self.size_mm,
        )


@dataclass(frozen=True)
class Drafted:
    """What the AI stated, as far as rules care.

    Parameters
    ----------
    stated
        None for a sentence in which no finding was recognised.
    """

    id: str
    kind: Literal["finding", "sentence"]
    stated: Stated | None
    words: str = ""
    quadrant: str | None = None
    not_knowable: tuple[str, ...] = ()
    contradicted: bool = False

    @property
    def must_rule(self) -> bool:
        """Whether signing waits for a decision on it: present, uncertain, contradicted or not image-based ones, and
        every unmatched sentence. Other negatives are covered by the signature."""
        if self.stated is None or self.contradicted:
            return True
        return self.stated.asserted or self.quadrant in WEAK_QUADRANTS


@dataclass(frozen=True)
class Ruled:
    """A decision that has not been replaced."""

    id: str
    finding_id: str | None
    decision: str
    stated: Stated | None = None


def decide(drafted: Drafted | None, decision: str, changed: Stated | None = None) -> Stated | None:
    """What a decision states, where it may be made.

    Parameters
    ----------
    drafted
        What is decided on; None for ``add``.
    changed
        For ``change`` and ``add``.

    Returns
    -------
    What is stated by it; None where nothing is (reject, drop, keep).

    Raises
    ------
    MalformedInput
        Where the decision does not fit, with the decisions that do.
    """
    fitting = _fitting(drafted)
    if decision not in fitting:
        raise MalformedInput(
            f"{decision!r} is no decision on this; decide one of: {', '.join(fitting)}. / 此项不支持该裁定。"
        )
    if decision in ("reject", "drop", "keep"):
        return None
    if decision == "accept":
        assert drafted is not None
        if drafted.not_knowable:
            raise MalformedInput(
                "What the AI says here is not knowable from the input, so it cannot be accepted unchanged; change or "
                "reject it. / 输入无依据，不可原样采纳，请修改或否决。"
            )
        if drafted.contradicted:
            raise MalformedInput(
                "The AI's report contradicts itself here; say what is so by changing or rejecting it. / "
                "AI 报告前后矛盾，请修改或否决。"
            )
        return drafted.stated
    if changed is None:
        raise MalformedInput(f"{decision!r} needs what is stated instead; give at least its code.")
    checked = check_stated(changed)
    if decision == "change" and drafted is not None and checked == drafted.stated and not drafted.not_knowable:
        raise MalformedInput("Nothing is changed; accept it instead. / 未作修改，请直接采纳。")
    return checked


def check_stated(stated: Stated) -> Stated:
    """The statement itself, where the vocabulary has it.

    Raises
    ------
    MalformedInput
        Naming the field that does not fit, and what does.
    """
    if stated.code not in VOCABULARY:
        raise MalformedInput(f"The code {stated.code!r} is unknown; the codes are {', '.join(CODES)}.")
    code = VOCABULARY[stated.code]
    for name, value, values in (
        ("polarity", stated.polarity, get_args(Polarity)),
        ("side", stated.side, (None, *get_args(Side))),
        ("zone", stated.zone, (None, *get_args(Zone))),
        ("severity", stated.severity, (None, *get_args(Severity))),
        ("certainty", stated.certainty, get_args(Certainty)),
    ):
        if value not in values:
            raise MalformedInput(f"{name} is {value!r}; expected one of {', '.join(map(str, values))}.")
    for name, value, has in (
        ("side", stated.side, code.sided),
        ("zone", stated.zone, code.zoned),
        ("severity", stated.severity, code.graded),
    ):
        if value is not None and not has:
            raise MalformedInput(f"{code.en} has no {name} ({code.zh}不分此项); leave it out.")
    if stated.code == "mediastinal_shift" and stated.side == "bilateral":
        raise MalformedInput("The mediastinum shifts to one side. / 纵隔只向一侧移位，请选择左或右。")
    if stated.size_mm and not code.measured:
        raise MalformedInput(f"{code.en} is not measured; leave the size out.")
    if len(stated.size_mm) > 3 or any(not math.isfinite(mm) or not 0 < mm <= LARGEST_MM for mm in stated.size_mm):
        raise MalformedInput(
            f"size_mm is {list(stated.size_mm)}; expected one to three lengths above 0 in millimetres."
        )
    if stated.polarity == "present" and stated.certainty != "definite":
        raise MalformedInput("A finding that is likely or possible is 'uncertain', not 'present'.")
    if stated.polarity == "uncertain" and stated.certainty == "definite":
        return replace(stated, certainty="possible")
    if stated.polarity == "absent":
        return replace(stated, certainty="definite", zone=None, severity=None, size_mm=())
    return stated


def check_box(box: Mapping[str, Any], frames: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """A box in source pixels, its corners ordered and inside its frame.

    Parameters
    ----------
    frames
        (rows, cols) of each.
    """
    try:
        index = int(box["frame"])
        x0, y0, x1, y1 = (float(box[name]) for name in ("x0", "y0", "x1", "y1"))
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedInput("A box is {frame, x0, y0, x1, y1} in source pixels.") from error
    if not 0 <= index < len(frames) or not all(map(math.isfinite, (x0, y0, x1, y1))):
        raise MalformedInput(f"The box lies on frame {index}; the case has {len(frames)}.")
    rows, cols = frames[index]
    x0, x1 = sorted((x0, x1))
    y0, y1 = sorted((y0, y1))
    x0, x1 = max(x0, 0.0), min(x1, float(cols))
    y0, y1 = max(y0, 0.0), min(y1, float(rows))
    if x1 - x0 < 1 or y1 - y0 < 1:
        raise MalformedInput("The box has no area inside the film; draw it on the film.")
    return {"frame": index, "x0": x0, "y0": y0, "x1": x1, "y1": y1}


def undecided(drafted: Iterable[Drafted], ruled: Iterable[Ruled]) -> list[Drafted]:
    """What signing still waits for."""
    decided = {one.finding_id for one in ruled}
    return [one for one in drafted if one.must_rule and one.id not in decided]


def standing(drafted: Iterable[Drafted], ruled: Iterable[Ruled]) -> list[Stated]:
    """What the report says once it is signed: accepted, changed and added findings, and the denials nobody touched."""
    by_finding = {one.finding_id: one for one in ruled if one.finding_id is not None}
    stands: list[Stated] = []
    for one in drafted:
        ruling = by_finding.get(one.id)
        if ruling is not None:
            if ruling.decision in ASSERTING and ruling.stated is not None:
                stands.append(ruling.stated)
        elif one.stated is not None and not one.must_rule:
            stands.append(one.stated)
    stands += [one.stated for one in ruled if one.finding_id is None and one.decision == "add" and one.stated]
    return stands


def kept_sentences(drafted: Iterable[Drafted], ruled: Iterable[Ruled]) -> list[str]:
    """Unmatched AI sentences that a person wants in the report."""
    kept = {one.finding_id for one in ruled if one.decision == "keep"}
    return [one.words for one in drafted if one.kind == "sentence" and one.id in kept]


def _fitting(drafted: Drafted | None) -> tuple[Decision, ...]:
    if drafted is None:
        return ("add",)
    return ("keep", "drop") if drafted.kind == "sentence" else ("accept", "change", "reject")
