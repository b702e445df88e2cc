"""What stands between a case and its signature, each in words that say what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from radiolucent.clinic.review.agreement import mismatches
from radiolucent.clinic.review.rulings import Drafted, Ruled, standing, undecided
from radiolucent.errors import Notice
from radiolucent.findings.names import describe

SIDE = Notice(
    "side_unverified",
    "Side assumed, not verified: confirm on the film which side is the patient's right.",
    "左右未核实：请在片上确认患者右侧。",
)
NO_IMPRESSION = Notice("no_impression", "The impression is empty.", "诊断意见为空。")
NO_FINDINGS_TEXT = Notice("no_findings_text", "The findings are empty.", "检查所见为空。")
OWN_IMPRESSION = Notice(
    "own_impression_missing",
    "Reader-first: save your own impression before the AI is shown.",
    "先读片模式：请先保存本人印象，再显示 AI。",
)
NOT_REVEALED = Notice(
    "not_revealed",
    "The AI draft was not opened; its findings wait for decisions.",
    "AI 草稿尚未打开，其征象待裁定。",
)


@dataclass(frozen=True)
class Reviewed:
    """A case as far as signing is concerned.

    Parameters
    ----------
    side_matters
        The sides are assumed and nobody has confirmed them, on a view that has sides.
    revealed
        The AI's draft is open; True where there is none.
    """

    findings_text: str
    impression_text: str
    drafted: Sequence[Drafted]
    ruled: Sequence[Ruled]
    side_matters: bool
    reader_first: bool
    has_own_impression: bool
    revealed: bool


def blockers(case: Reviewed) -> list[Notice]:
    """Everything that has to be dealt with first, in a sensible order; empty where the case may be signed."""
    return list(_blockers(case))


def _blockers(case: Reviewed) -> Iterator[Notice]:
    if case.reader_first and not case.has_own_impression:
        yield OWN_IMPRESSION
    if not case.revealed:
        yield NOT_REVEALED
    if case.side_matters:
        yield SIDE
    if case.revealed:
        for one in undecided(case.drafted, case.ruled):
            yield _undecided(one)
    if not case.findings_text.strip():
        yield NO_FINDINGS_TEXT
    if not case.impression_text.strip():
        yield NO_IMPRESSION
    if case.revealed:
        yield from mismatches((case.findings_text, case.impression_text), standing(case.drafted, case.ruled))


def _undecided(one: Drafted) -> Notice:
    if one.stated is None:
        return Notice(
            "sentence_undecided",
            f"Keep or drop the AI's sentence: “{one.words}”.",
            f"请保留或删除 AI 语句：“{one.words}”。",
        )
    finding = one.stated.as_finding()
    return Notice(
        "finding_undecided",
        f"Decide on: {describe(finding, 'en')}.",
        f"待裁定：{describe(finding, 'zh')}。",
    )
