"""The two-part text that the rulings amount to: 检查所见 / Findings and 诊断意见 / Impression, as a radiologist writes.

Findings in words of places that the film shows (a lung zone, never a lobe); the impression numbers what was found and
says that nothing was found only where something was looked for and denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from radiolucent.clinic.review.rulings import Stated
from radiolucent.findings.names import code_name, describe, details

NORMAL = ("No acute cardiopulmonary abnormality.", "心肺未见明显异常。")
_OWN_DENIAL = (  # denied in words of their own, not by "no X"
    "cardiomegaly",
    "enlarged_cardiomediastinum",
    "hilar_enlargement",
    "raised_diaphragm",
    "increased_lung_markings",
    "pleural_other",
)


def compose(stands: Sequence[Stated], kept: Sequence[str], language: str) -> tuple[str, str]:
    """(findings, impression) in ``language``; both empty where nothing stands.

    Parameters
    ----------
    stands
        From :func:`radiolucent.clinic.review.rulings.standing`.
    kept
        AI sentences that a person kept, as written.

    Examples
    --------
    >>> effusion = Stated("pleural_effusion", side="right", severity="mild")
    >>> compose([effusion, Stated("pneumothorax", "absent")], [], "zh")
    ('右侧胸腔少量积液。未见气胸。', '右侧胸腔少量积液。')
    """
    said = [_plain(one) for one in _unique(stands)]
    positive = sorted((one for one in said if one.asserted), key=lambda one: one.polarity != "present")
    lines = [_sentence(one, language) for one in positive]
    lines += _denials([one for one in said if not one.asserted], language)
    lines += [text.strip() for text in kept]
    findings = ("" if language == "zh" else " ").join(lines)
    if positive:
        return findings, _numbered([_sentence(one, language) for one in positive])
    return findings, (NORMAL[language == "zh"] if said else "")


def _sentence(stated: Stated, language: str) -> str:
    finding = stated.as_finding()
    extra = details(finding, language)
    phrase = describe(finding, language)
    if language == "zh":
        return phrase + (f"，大小约{extra[0]}" if extra else "") + "。"
    return phrase + (f", {extra[0]}" if extra else "") + "."


def _denials(denied: Sequence[Stated], language: str) -> list[str]:
    own = [one for one in denied if one.code in _OWN_DENIAL or one.side in ("left", "right")]
    plain = [one for one in denied if one not in own]
    said = [_sentence(one, language) for one in own]
    if plain:
        names = list(dict.fromkeys(code_name(one.code, language) for one in plain))
        if language == "zh":
            said.append(f"未见{'、'.join(names)}。")
        else:
            said.append(f"No {' or '.join([', '.join(names[:-1]), names[-1]] if len(names) > 1 else names)}.")
    return said


def _numbered(lines: Sequence[str]) -> str:
    if len(lines) == 1:
        return lines[0]
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))


def _unique(stands: Iterable[Stated]) -> list[Stated]:
    return list(dict.fromkeys(stands))


def _plain(stated: Stated) -> Stated:
    """A sided denial of both sides is a denial."""
    return replace(stated, side=None) if not stated.asserted and stated.side == "bilateral" else stated
