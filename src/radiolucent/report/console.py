"""What ``explain`` says on a terminal beside its table: summary, marked report, decision chain, why this and not that.

Pieces of (text, style); the styles are names that rich knows, and empty for plain text.
"""

from __future__ import annotations

from radiolucent.report.explanation import Explanation
from radiolucent.report.summary import clinical_summary
from radiolucent.report.wording import pick, say
from radiolucent.trace.chain import CHAIN_NOTE, STAGE_WORDS, STRENGTH_WORDS
from radiolucent.trace.marks import MARK_WORDS
from radiolucent.trace.types import Mark, Strength

Piece = tuple[str, str]

MARK_STYLES: dict[Mark, str] = {"seen": "green", "guessed": "red underline", "unknown": "dim"}
STRENGTH_STYLES: dict[Strength, str] = {"verified": "green", "weak": "yellow", "not shown": "dim"}


def summary_pieces(explanation: Explanation) -> list[Piece]:
    """The clinical summary, its answer bold."""
    summary = clinical_summary(explanation)
    _, _, rest = summary.text.partition(summary.answer)
    return [(f"{summary.answer}", "bold"), (f"{rest}\n", "")]


def report_pieces(explanation: Explanation) -> list[Piece]:
    """The report, each clinical word in the colour of its mark, and a legend of the marks that it has."""
    text, pieces, at = explanation.report, list[Piece](), 0
    words = explanation.trace.words if explanation.trace is not None else ()
    marked = [word for word in words if word.mark is not None and word.part == "answer"]
    for word in marked:
        if word.chars[0] < at:
            continue
        pieces += [(text[at : word.chars[0]], ""), (text[slice(*word.chars)], MARK_STYLES[word.mark or "unknown"])]
        at = word.chars[1]
    pieces.append((f"{text[at:]}\n", ""))
    used = [mark for mark in MARK_STYLES if any(word.mark == mark for word in marked)]
    for mark in used:
        pieces += [("  ", ""), (pick(MARK_WORDS[mark], explanation.language), MARK_STYLES[mark])]
    return [piece for piece in [*pieces, ("\n" if used else "", "")] if piece[0]]


def chain_pieces(explanation: Explanation) -> list[Piece]:
    """The decision chain and the contrasts; empty where none were made."""
    trace, language = explanation.trace, explanation.language
    if trace is None or not trace.chain:
        return []
    pieces: list[Piece] = [
        (f"{say('chain', language)}\n", "bold"),
        (f"{pick(CHAIN_NOTE, language)}\n", "dim"),
    ]
    for number, step in enumerate(trace.chain, start=1):
        pieces.append((f"{number:>3}. {pick(STAGE_WORDS[step.stage], language)}  ", "bold"))
        if step.stage != "question":
            pieces.append((f"[{pick(STRENGTH_WORDS[step.strength], language)}]  ", STRENGTH_STYLES[step.strength]))
        pieces.append((f"{pick((step.en, step.zh), language)}\n", ""))
        for link in step.shown_links:
            pieces.append((f"       {pick((link.en, link.zh), language)}\n", STRENGTH_STYLES[link.strength]))
    if trace.contrasts:
        pieces.append((f"{say('contrasts', language)}\n", "bold"))
    for one in trace.contrasts:
        pieces.append((f"     {one.ask(language)} ", ""))
        pieces.append((f"[{pick(STRENGTH_WORDS[one.strength], language)}]\n", STRENGTH_STYLES[one.strength]))
        pieces.append((f"       {pick((one.en, one.zh), language)}\n", "dim"))
    return pieces
