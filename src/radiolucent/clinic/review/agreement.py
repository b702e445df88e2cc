"""The text against the rulings: before a signature the text is read again, and may not say otherwise than they do.

Held against each other: whether a finding is asserted at all (present or uncertain) or denied, and its side. Both
parts of the text are read, each by itself, since a contradiction inside one part is the writer's, not a change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from radiolucent.clinic.review.rulings import TWINS, Stated
from radiolucent.errors import Notice
from radiolucent.findings.extract import ReportFindings, extract_report
from radiolucent.findings.names import code_name, describe
from radiolucent.findings.types import Finding
from radiolucent.findings.vocabulary import VOCABULARY


def mismatches(parts: Sequence[str], stands: Sequence[Stated]) -> list[Notice]:
    """Every place where the text and the rulings disagree.

    Parameters
    ----------
    parts
        The findings and the impression.
    stands
        What the rulings amount to.
    """
    read = [extract_report(part) for part in parts if part.strip()]
    asserted = [one for one in stands if one.asserted]
    written = [finding for report in read for finding in report.findings]
    found: list[Notice] = []
    for report in read:
        found += _contradictions(report)
        if asserted and report.normal:
            found.append(
                Notice(
                    "text_calls_normal",
                    f"The text calls the film normal, but {_names(asserted, 'en')} stands.",
                    f"文本称影像正常，但已认定：{_names(asserted, 'zh')}。",
                )
            )
    for finding in written:
        found += _against_rulings(finding, asserted)
    for one in asserted:
        found += _against_text(one, written)
    return list({(notice.code, notice.en): notice for notice in found}.values())


def _against_rulings(finding: Finding, asserted: Sequence[Stated]) -> Iterator[Notice]:
    same = [one for one in asserted if one.twin == TWINS.get(finding.code, finding.code)]
    sided = VOCABULARY[finding.code].sided
    en, zh = describe(finding, "en"), describe(finding, "zh")
    if finding.contradicted:
        return  # reported once, as a contradiction
    if finding.polarity == "absent":
        denied = _sides(finding.side) if sided else set()
        if any(not denied or not _sides(one.side) or denied & _sides(one.side) for one in same):
            yield Notice(
                "text_denies",
                f"The text denies what was accepted or added: “{finding.words}”.",
                f"文本否认了已认定的征象：“{finding.words}”。",
            )
        return
    if not same:
        yield Notice(
            "text_asserts",
            f"The text says “{en}”, which no accepted, changed or added finding covers.",
            f"文本写有“{zh}”，但无对应的已采纳、修改或新增征象。",
        )
        return
    ruled = set().union(*(_sides(one.side) for one in same))
    if sided and _sides(finding.side) - ruled:
        yield Notice(
            "text_side",
            f"The text says “{en}”; the rulings place it on another side or on none.",
            f"文本写有“{zh}”，与裁定的侧别不一致。",
        )


def _against_text(one: Stated, written: Sequence[Finding]) -> Iterator[Notice]:
    same = [
        finding
        for finding in written
        if TWINS.get(finding.code, finding.code) == one.twin and finding.polarity != "absent"
    ]
    en, zh = describe(one.as_finding(), "en"), describe(one.as_finding(), "zh")
    if not same:
        yield Notice(
            "text_lacks",
            f"“{en}” stands, but the text does not say it.",
            f"已认定“{zh}”，但文本未写。",
        )
    elif VOCABULARY[one.code].sided and _sides(one.side) - set().union(*(_sides(each.side) for each in same)):
        yield Notice(
            "text_side",
            f"“{en}” stands, but the text does not give this side.",
            f"已认定“{zh}”，但文本侧别不符或未写侧别。",
        )


def _contradictions(report: ReportFindings) -> Iterator[Notice]:
    for finding in report.findings:
        if finding.contradicted:
            yield Notice(
                "text_contradicts_itself",
                f"The text both asserts and denies {code_name(finding.code, 'en')}.",
                f"文本对“{code_name(finding.code, 'zh')}”前后矛盾。",
            )


def _sides(side: str | None) -> set[str]:
    if side == "bilateral":
        return {"left", "right"}
    return set() if side is None else {side}


def _names(stands: Sequence[Stated], language: str) -> str:
    joined = "、" if language == "zh" else ", "
    return joined.join(dict.fromkeys(describe(one.as_finding(), language) for one in stands))
