"""The draft in plain clinical language: the clinical question answered first, then what is to be re-checked, and why.

It repeats what the draft says and what was measured about it; it never adds a finding, never turns a withheld map or an
unmentioned finding into "no disease", and says of every point why it is to be re-checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from radiolucent.findings.matching import find_matches
from radiolucent.findings.names import code_name, describe
from radiolucent.findings.rules import FINDING_KINDS
from radiolucent.findings.sentences import lower, plain
from radiolucent.findings.types import Finding
from radiolucent.findings.vocabulary import VOCABULARY
from radiolucent.report.blocks import shown_map
from radiolucent.report.explanation import Explanation
from radiolucent.report.wording import finding_name, say
from radiolucent.trace.summaries import nearly_written
from radiolucent.vlm.types import share

CLOSE_CALL = 1.0  # nats: the foil was at least a third as likely as what was written
SHOWN_CODES = (
    "side_assumed", "other_side", "outside_anatomy", "no_side", "not_a_phantom", "nothing_shown", "cut_short",
)  # fmt: skip
UNKNOWABLE = {
    "comparison": ("a change is claimed without an earlier study", "未提供既往影像却描述变化"),
    "size": ("a size is given without a valid scale", "无有效比例尺却给出大小"),
    "history": ("a history is named that was not supplied", "提及未提供的病史"),
    "view": ("a view is named that was not supplied", "提及未提供的体位"),
}


@dataclass(frozen=True)
class ClinicalSummary:
    """What a clinician reads first.

    Parameters
    ----------
    answer
        To the clinical question, from the draft's own words.
    recheck
        What to look at again, one sentence each with its reason; empty where nothing stood out, which is no clearance.
    closing
        That the draft is unreviewed and absence of a finding is not shown by it.
    """

    answer: str
    recheck: tuple[str, ...]
    closing: str
    language: str

    @property
    def text(self) -> str:
        """All of it, a paragraph each."""
        head = "需复核：" if self.language == "zh" else "To re-check:"
        lines = [self.answer]
        if self.recheck:
            lines += [head, *(f"- {one}" for one in self.recheck)]
        return "\n".join([*lines, self.closing])


def clinical_summary(explanation: Explanation, language: str | None = None) -> ClinicalSummary:
    """The explanation in plain clinical language.

    Parameters
    ----------
    language
        ``en`` or ``zh``; the prompt's where None.
    """
    tongue = language or explanation.language
    zh = tongue == "zh"
    closing = (
        "AI草稿，未经医师审核；未描述或描述为无均不代表排除病变。"
        if zh
        else "AI draft, not reviewed by a physician; what is not mentioned or called absent is not excluded."
    )
    return ClinicalSummary(_answer(explanation, zh), tuple(_recheck(explanation, zh)), closing, tongue)


def asked_codes(question: str) -> tuple[str, ...]:
    """Findings that a clinical question asks about by name, in its order; empty for an open question."""
    folded = lower(plain(question))
    found = [match for match in find_matches(folded, ("en", "zh")) if match.kind in FINDING_KINDS]
    return tuple(dict.fromkeys(match.value for match in found if match.value in VOCABULARY))


def _answer(explanation: Explanation, zh: bool) -> str:
    asked = asked_codes(explanation.prompt.question)
    said = [_asked(code, explanation, zh) for code in asked]
    rest = [finding for finding in explanation.findings if finding.code not in asked]
    return ("" if zh else " ").join([*said, _stated(rest, bool(asked), zh)]).strip()


def _asked(code: str, explanation: Explanation, zh: bool) -> str:
    name = code_name(code, "zh" if zh else "en")
    found = [finding for finding in explanation.findings if finding.code == code]
    if not found:
        return (
            f"关于{name}：草稿未提及，不代表排除。"
            if zh
            else f"{_upper(name)}: the draft does not mention it; this does not exclude it."
        )
    told = "；".join(_said(one, zh) for one in found) if zh else "; ".join(_said(one, zh) for one in found)
    return f"关于{name}：{told}。" if zh else f"{_upper(name)}: {told}."


def _said(finding: Finding, zh: bool) -> str:
    phrase = finding_name(finding, "zh" if zh else "en")
    phrase = phrase if zh else phrase[:1].lower() + phrase[1:]
    if finding.polarity == "absent":
        return "草稿描述为无" if zh else "the draft denies it"
    if finding.polarity == "uncertain":
        return f"草稿未作定论（{phrase}）" if zh else f"the draft leaves it open ({phrase})"
    return f"草稿描述为有（{phrase}）" if zh else f"the draft states it ({phrase})"


_FIRST = {False: ("The draft states: ", "草稿描述："), True: ("It also states: ", "另描述：")}


def _stated(findings: Sequence[Finding], further: bool, zh: bool) -> str:
    groups = {
        polarity: [finding_name(finding, "zh" if zh else "en") for finding in findings if finding.polarity == polarity]
        for polarity in ("present", "uncertain", "absent")
    }
    heads = {
        "present": _FIRST[further][zh],
        "uncertain": "未作定论：" if zh else "It leaves open: ",
        "absent": "描述为无：" if zh else "It denies: ",
    }
    if not findings:
        if further:
            return ""
        return (
            "未从草稿中识别出征象，不代表影像正常。"
            if zh
            else ("No finding was recognised in the draft. This does not mean that the film is normal.")
        )
    parts = []
    if not groups["present"] and not further:
        parts.append("草稿未描述阳性征象。" if zh else "The draft states no present finding.")
    for polarity, names in groups.items():
        if polarity == "absent" and not zh:
            names = [name[:1].lower() + name[1:] for name in names]
        if names:
            parts.append(f"{heads[polarity]}{('；' if zh else '; ').join(names)}{'。' if zh else '.'}")
    return ("" if zh else " ").join(parts)


def _recheck(explanation: Explanation, zh: bool) -> Iterator[str]:
    for notice in dict.fromkeys((*explanation.study.warnings, *explanation.warnings)):
        if notice.code in SHOWN_CODES:
            yield notice.zh if zh else notice.en
    for finding in explanation.findings:
        reasons = list(_reasons(finding, explanation, zh))
        if reasons:
            name = _phrase(finding, zh)
            yield f"{name}：{'；'.join(reasons)}。" if zh else f"{name}: {'; '.join(reasons)}."


def _reasons(finding: Finding, explanation: Explanation, zh: bool) -> Iterator[str]:
    """Why a finding is to be looked at again, the gravest first."""
    if finding.contradicted:
        yield "草稿前后矛盾" if zh else "the draft contradicts itself"
    for what in finding.not_knowable:
        yield f"输入无依据：{UNKNOWABLE[what][1]}" if zh else f"not knowable from the input, {UNKNOWABLE[what][0]}"
    entry = None if explanation.confidence is None else explanation.confidence.of(finding.id)
    if entry is not None and entry.quadrant in ("unstable", "unreliable"):
        yield (
            f"重复生成不一致（{entry.support}/{entry.samples}）"
            if zh
            else f"repeated drafts disagree ({entry.support} of {entry.samples} say the same)"
        )
    yield from _guessed(finding, explanation, zh)
    yield from _close(finding, explanation, zh)
    if finding.polarity != "absent":
        shown = shown_map(explanation, finding, "relied_on")
        if shown is None or shown.withheld:
            sentence = say("withheld", "zh" if zh else "en").rstrip("。.")
            yield sentence if zh else sentence[:1].lower() + sentence[1:]
        elif shown.grade is not None and shown.grade.grade == "weak":
            yield "图像区域的依据较弱" if zh else "its region in the image is only weakly supported"
    if finding.polarity == "uncertain" and not finding.contradicted:
        yield "草稿本身不确定" if zh else "the draft itself is unsure"


def _guessed(finding: Finding, explanation: Explanation, zh: bool) -> Iterator[str]:
    trace = explanation.trace
    summary = None if trace is None else trace.summary_of(finding.id)
    if trace is None or summary is None:
        return
    words = [
        word.text.strip()
        for word in trace.words
        if word.part == "answer" and word.mark == "guessed" and share(word.chars, summary.chars)
    ]
    if not words:
        return
    quoted = "".join(words) if explanation.language == "zh" else " ".join(words)
    yield f"“{quoted}”不依赖图像" if zh else f"“{quoted}” does not depend on the image"


def _close(finding: Finding, explanation: Explanation, zh: bool) -> Iterator[str]:
    """What was nearly written instead."""
    trace = explanation.trace
    for contrast in trace.contrasts if trace is not None else ():
        if contrast.finding == finding.id and contrast.margin < CLOSE_CALL:
            yield f"险些写成“{contrast.foil}”" if zh else f"“{contrast.foil}” was nearly written"
            return
    summary = None if trace is None else trace.summary_of(finding.id)
    if trace is None or summary is None or trace.contrasts:
        return
    near = [other for index, *_ in summary.nearly for other in nearly_written(trace.words[index]) if other[1] >= 0.25]
    if near:
        yield f"险些写成“{near[0][0]}”" if zh else f"“{near[0][0]}” was nearly written"


def _phrase(finding: Finding, zh: bool) -> str:
    if finding.code not in VOCABULARY:
        return finding.code.replace("_", " ")
    return describe(finding, "zh" if zh else "en")


def _upper(name: str) -> str:
    return name[:1].upper() + name[1:]
