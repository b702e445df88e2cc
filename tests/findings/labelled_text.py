"""The hand-labelled sentences and reports, and how well the extractor reads them."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radiolucent.findings import CODES, Finding, extract_findings

HERE = Path(__file__).parent
LANGUAGES = ("en", "zh")
POLARITIES = {"present", "absent", "uncertain"}
SIDES = {"left", "right", "bilateral", "midline"}
ZONES = {"upper", "middle", "lower", "hilar", "diffuse"}
SEVERITIES = {"minimal", "mild", "moderate", "severe"}
CHANGES = {"new", "increased", "decreased", "stable", "resolved"}


@dataclass(frozen=True)
class Case:
    """One labelled text; a ``trap`` is wording that a careless reader gets wrong."""

    language: str
    text: str
    says: tuple[tuple[tuple[str, Any], ...], ...]
    trap: bool
    normal: bool | None


@dataclass(frozen=True)
class Score:
    """How often (code, polarity) pairs were labelled, read, and both."""

    labelled: int
    read: int
    right: int

    @property
    def precision(self) -> float:
        return self.right / self.read if self.read else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.labelled if self.labelled else 1.0

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.labelled + self.read) if self.labelled + self.read else 1.0


def cases(language: str) -> list[Case]:
    """Those written with the rules (``reports``, ``traps``) and those labelled before a first run (the others)."""
    return [
        Case(
            language,
            case["text"],
            _sorted(_labelled(s) for s in case["says"]),
            case.get("trap", False),
            case.get("normal"),
        )
        for name in ("reports", "traps", "fresh", "later", "last")
        for case in tomllib.loads((HERE / f"{name}_{language}.toml").read_text(encoding="utf-8"))["cases"]
    ]


def read(text: str) -> tuple[tuple[tuple[str, Any], ...], ...]:
    """What the extractor finds, in the form of the labels."""
    return _sorted(_described(finding) for finding in extract_findings(text))


def score(labelled: list[Case]) -> dict[str, Score]:
    """Code -> score over (code, polarity); ``""`` -> over all of them."""
    counts: dict[str, list[int]] = {code: [0, 0, 0] for code in CODES}
    for case in labelled:
        truth = Counter((dict(each)["code"], dict(each)["polarity"]) for each in case.says)
        found = Counter((finding.code, finding.polarity) for finding in extract_findings(case.text))
        for place, pairs in enumerate((truth, found, truth & found)):
            for (code, _), count in pairs.items():
                counts[code][place] += count
    scores = {code: Score(*numbers) for code, numbers in counts.items()}
    totals = (sum(getattr(each, name) for each in scores.values()) for name in ("labelled", "read", "right"))
    return scores | {"": Score(*totals)}


def table(language: str, scores: dict[str, Score]) -> str:
    """Precision, recall and F1 a finding, one line each."""
    lines = [f"{language:28s}    n  precision  recall   F1"]
    for code in (*CODES, ""):
        each = scores[code]
        lines.append(
            f"{code or 'all':28s} {each.labelled:4d}  {each.precision:9.3f}  {each.recall:6.3f}  {each.f1:.3f}"
        )
    return "\n".join(lines)


def _labelled(says: str) -> tuple[tuple[str, Any], ...]:
    code, *words = says.split()
    assert code in CODES, says
    pairs = [tuple(word.split("=", 1)) for word in words if "=" in word]
    plain = [word for word in words if "=" not in word]
    assert set(plain) <= POLARITIES | SIDES | ZONES | SEVERITIES | CHANGES | {"likely", "possible", "contradicted"}, (
        says
    )

    def one(values: set[str]) -> str | None:
        found = [word for word in plain if word in values]
        assert len(found) <= 1, says
        return found[0] if found else None

    polarity, certainty = one(POLARITIES), one({"likely", "possible"})
    contradicted = "contradicted" in plain
    assert polarity is not None and (polarity == "uncertain") == (certainty is not None or contradicted), says
    zones = [value.split(",") for name, value in pairs if name == "zones"]
    count = [int(value) if value.isdigit() else value for name, value in pairs if name == "count"]
    zone = one(ZONES)
    return _as_pairs(
        code=code,
        polarity=polarity,
        side=one(SIDES),
        zone=zone,
        zones=frozenset(zones[0] if zones else [zone] if zone and zone != "diffuse" else []),
        severity=one(SEVERITIES),
        certainty=certainty or ("possible" if contradicted else "definite"),
        change=one(CHANGES),
        contradicted=contradicted,
        size_mm=tuple(float(mm) for name, value in pairs if name == "size" for mm in value.split(",")),
        percent=next((float(value) for name, value in pairs if name == "percent"), None),
        count=count[0] if count else None,
        attributes=frozenset(pair for pair in pairs if pair[0] in ("kind", "margin", "density", "vessels")),
    )


def _described(finding: Finding) -> tuple[tuple[str, Any], ...]:
    plain = (
        "code",
        "polarity",
        "side",
        "zone",
        "severity",
        "certainty",
        "change",
        "contradicted",
        "size_mm",
        "percent",
    )
    said = {name: getattr(finding, name) for name in (*plain, "count")}
    return _as_pairs(**said, zones=frozenset(finding.zones), attributes=frozenset(finding.attributes))


def _as_pairs(**said: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(said.items()))


def _sorted(findings: Any) -> tuple[tuple[tuple[str, Any], ...], ...]:
    return tuple(sorted(findings, key=lambda each: (dict(each)["code"], str(dict(each)["side"]))))
