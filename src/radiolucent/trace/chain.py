"""The decision chain: from the question to the conclusion in the order in which the words were written.

It is the order of the words and nothing else: layers are neither time nor thought, and no step claims to be what the
model "thought". Each step names what it rests on, and how strongly that was shown: ``verified`` where hiding a region
changed the answer clearly more than its control did, ``weak`` where the words depend on the image or where attention,
which is no evidence, points; ``not shown`` where nothing ties the step to the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from radiolucent.attribution.targets import finding_chars
from radiolucent.attribution.types import AttributionMap
from radiolucent.findings.names import describe
from radiolucent.findings.types import Finding
from radiolucent.findings.vocabulary import VOCABULARY
from radiolucent.trace.summaries import nearly_written
from radiolucent.trace.types import ChainStep, Contrast, Link, Span, Stage, Strength, Trace, TraceWord
from radiolucent.vlm.types import share

MapKey = tuple[str, str]  # (method, finding id)
Pair = tuple[str, str]  # (English, Chinese)

CHAIN_NOTE: tuple[str, str] = (
    "The chain follows the order of the words. Layers are not time or thought, and attention is a hint, not evidence; "
    "only hiding a region tests what the words relied on.",
    "决策链按词语书写顺序排列。层不是时间，也不是思考；注意力仅为线索，不是证据；只有遮挡才能检验描述依赖何处。",
)
STAGE_WORDS: dict[Stage, tuple[str, str]] = {
    "question": ("Question", "问题"),
    "looked": ("Looked at first", "先看何处"),
    "named": ("Structures named", "提及的结构"),
    "weighed": ("Weighed", "权衡"),
    "concluded": ("Conclusion", "结论"),
}
STRENGTH_WORDS: dict[Strength, tuple[str, str]] = {
    "verified": ("verified", "已验证"),
    "weak": ("weak link", "联系较弱"),
    "not shown": ("no link shown", "未证实联系"),
}
_RANK: tuple[Strength, ...] = ("verified", "weak", "not shown")
_POLARITY: dict[str, Pair] = {
    "present": ("stated", "描述为有"),
    "uncertain": ("left open", "未作定论"),
    "absent": ("denied", "描述为无"),
}


def decision_chain(
    trace: Trace,
    question: str,
    findings: Sequence[Finding],
    maps: Mapping[MapKey, AttributionMap],
    grades: Mapping[MapKey, Strength],
    contrasts: Sequence[Contrast] = (),
) -> tuple[ChainStep, ...]:
    """Question, what was looked at first, structures named, abnormalities weighed, conclusion.

    Parameters
    ----------
    maps, grades
        Of the answer's findings; a withheld map has the grade ``not shown``.
    contrasts
        That were answered.
    """
    answer = [index for index, word in enumerate(trace.words) if word.part == "answer"]
    steps = [
        ChainStep("question", f"The question: “{question}”", f"问题：“{question}”", strength="not shown"),
        _looked(trace, answer),
        _named(trace, answer),
        *(_weighed(trace, finding, findings, maps, grades, contrasts) for finding in findings),
    ]
    kept = [step for step in steps if step is not None]
    return (*kept, _concluded(kept, findings))


def _looked(trace: Trace, answer: Sequence[int]) -> ChainStep | None:
    """Where the first words of the answer attended."""
    first = [index for index in answer if trace.words[index].anatomy is not None][:3]
    if not first:
        return None
    words = [trace.words[index] for index in first]
    places = list(dict.fromkeys(str(word.anatomy) for word in words))
    said = _joined(trace, first)
    en = f"At its first words (“{said}”) the model attended, more than at its other words, to: {'; '.join(places)}."
    zh = f"书写开头“{said}”时，与其他词相比更关注：{'；'.join(places)}。"
    link = Link("words", "weak", "Attention: a hint, not evidence.", "注意力：仅为线索，不是证据。")
    return ChainStep("looked", en, zh, tuple(word.chars for word in words), tuple(first), (link,), "weak")


def _named(trace: Trace, answer: Sequence[int]) -> ChainStep | None:
    """Anatomy in the order of the words: runs of neighbouring words are one name."""
    runs: list[list[int]] = []
    for index in answer:
        if trace.words[index].kind != "anatomy":
            continue
        if runs and index - runs[-1][-1] == 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    if not runs:
        return None
    names = list(dict.fromkeys(_joined(trace, run) for run in runs))
    words = tuple(index for run in runs for index in run)
    seen = [index for index in words if trace.words[index].mark == "seen"]
    measured = any(trace.words[index].mark in ("seen", "guessed") for index in words)
    strength: Strength = "weak" if seen else "not shown"
    if not measured:
        link = Link("words", strength, "Dependence on the image was not measured.", "是否依赖图像未测量。")
    else:
        link = Link(
            "words",
            strength,
            f"Of these {len(words)} words {len(seen)} belong to statements that depend on the image.",
            f"其中 {len(seen)}/{len(words)} 个词所在描述依赖图像。",
        )
    chars = tuple((trace.words[run[0]].chars[0], trace.words[run[-1]].chars[1]) for run in runs)
    return ChainStep(
        "named",
        f"Structures named, in this order: {', '.join(names)}.",
        f"依次提及的结构：{'、'.join(names)}。",
        chars,
        words,
        (link,),
        strength,
    )


def _weighed(
    trace: Trace,
    finding: Finding,
    findings: Sequence[Finding],
    maps: Mapping[MapKey, AttributionMap],
    grades: Mapping[MapKey, Strength],
    contrasts: Sequence[Contrast],
) -> ChainStep:
    span = finding_chars(finding, findings)
    words = [index for index, word in enumerate(trace.words) if word.part == "answer" and share(word.chars, span)]
    links = [
        *_word_links(trace, words, trace.threshold),
        *_map_links(finding, maps, grades),
        *(_contrast_link(contrast) for contrast in contrasts if contrast.finding == finding.id),
    ]
    strength = _strongest(links)
    name_en, name_zh = _name(finding, "en"), _name(finding, "zh")
    stated_en, stated_zh = _POLARITY[finding.polarity]
    hedge_en = {"possible": " (“cannot be excluded”)", "likely": " (“likely”)"}.get(finding.certainty, "")
    hedge_zh = {"possible": "（不除外）", "likely": "（考虑）"}.get(finding.certainty, "")
    if finding.polarity != "uncertain":
        hedge_en = hedge_zh = ""
    near = [(trace.words[index], *other) for index in words for other in nearly_written(trace.words[index])]
    nearly_en = ", ".join(f"“{text}” for “{word.text.strip()}” ({_share(p)})" for word, text, p in near)
    nearly_zh = "，".join(f"“{word.text.strip()}”处曾可能写“{text}”（{_share(p)}）" for word, text, p in near)
    en = f"{name_en}: {stated_en}{hedge_en}. " + (
        f"Nearly written instead: {nearly_en}." if near else "No other wording came near."
    )
    zh = f"{name_zh}：{stated_zh}{hedge_zh}。" + (f"{nearly_zh}。" if near else "没有接近的其他写法。")
    inner = _trimmed(trace, words, span)
    return ChainStep("weighed", en, zh, (inner,), tuple(words), tuple(links), strength, finding.id)


def _word_links(trace: Trace, words: Sequence[int], threshold: float) -> list[Link]:
    clinical = [trace.words[index] for index in words if trace.words[index].clinical]
    measured = [word for word in clinical if word.image_reliance is not None]
    if not measured:
        en, zh = "Whether the words depend on the image was not measured.", "是否依赖图像未测量。"
        return [Link("words", "not shown", en, zh)]
    top = max(measured, key=_reliance)
    guessed = [index for index in words if trace.words[index].mark == "guessed"]
    seen = _reliance(top) >= threshold
    en = f"“{top.text.strip()}” loses {_reliance(top):.1f} nats with the image replaced"
    zh = f"更换图像后“{top.text.strip()}”损失 {_reliance(top):.1f} 奈特"
    en += ": the statement depends on the image" if seen else ": the statement does not depend on the image"
    zh += "：该描述依赖图像" if seen else "：该描述不依赖图像"
    if guessed and seen:
        en += f"; not so “{_joined(trace, guessed)}”"
        zh += f"；但“{_joined(trace, guessed)}”不依赖图像"
    return [Link("words", "weak" if seen else "not shown", f"{en}.", f"{zh}。")]


def _map_links(
    finding: Finding, maps: Mapping[MapKey, AttributionMap], grades: Mapping[MapKey, Strength]
) -> list[Link]:
    links = []
    for (method, of), made in maps.items():
        if of != finding.id or made.claim != "relied_on":
            continue
        test = next((test for test in made.tests if test.verified), None)
        grade = grades.get((method, of), "weak")
        if test is None or grade == "not shown":
            en = "No region could be shown to support it; this does not mean that it is absent."
            zh = "未能证实其依据的图像区域，不代表无此病变。"
            links.append(Link("map", "not shown", en, zh, method, of))
            continue
        en = f"Hiding the marked area costs {test.hidden:.1f} nats (the whole picture: {test.everything:.1f})"
        zh = f"遮住标记区域损失 {test.hidden:.1f} 奈特（遮住全部为 {test.everything:.1f}）"
        if test.controls_hidden:
            control = round(float(np.mean(test.controls_hidden)), 1) + 0.0  # no "-0.0"
            en += f", hiding its control {control:.1f}"
            zh += f"，遮住对照区域损失 {control:.1f}"
        links.append(Link("intervention", grade, f"{en}.", f"{zh}。", method, of))
    if not links:
        attended = next(((key, made) for key, made in maps.items() if key[1] == finding.id), None)
        if attended is not None:
            (method, of), made = attended
            en, zh = "Attended only: a hint, not evidence.", "仅有注意力：线索，不是证据。"
            links.append(Link("map", "weak" if made.claim == "attended" else "not shown", en, zh, method, of))
    return links


def _contrast_link(contrast: Contrast) -> Link:
    en, zh = f"{contrast.ask('en')} {contrast.en}", f"{contrast.ask('zh')}{contrast.zh}"
    return Link("intervention", contrast.strength, en, zh, "", contrast.finding)


def _concluded(steps: Sequence[ChainStep], findings: Sequence[Finding]) -> ChainStep:
    stated = [finding for finding in findings if finding.polarity == "present"]
    opened = [finding for finding in findings if finding.polarity == "uncertain"]
    weighed = {step.finding: step for step in steps if step.stage == "weighed"}
    parts_en, parts_zh = [], []
    if stated:
        parts_en.append(f"stated: {'; '.join(_name(finding, 'en') for finding in stated)}")
        parts_zh.append(f"描述为有：{'；'.join(_name(finding, 'zh') for finding in stated)}")
    if opened:
        parts_en.append(f"left open: {'; '.join(_name(finding, 'en') for finding in opened)}")
        parts_zh.append(f"未作定论：{'；'.join(_name(finding, 'zh') for finding in opened)}")
    if not parts_en:
        en = "No present finding was stated. What is not stated is not excluded."
        zh = "未描述阳性征象。未描述不代表排除。"
    else:
        en, zh = f"In conclusion {', and '.join(parts_en)}.", f"结论：{'；'.join(parts_zh)}。"
    shown = stated or opened or list(findings)
    of = [weighed[finding.id] for finding in shown if finding.id in weighed]
    weakest: Strength = max((step.strength for step in of), key=_RANK.index, default="not shown")
    link_en = {
        "verified": "Every stated finding is tied to a region by intervention.",
        "weak": "At least one of them is tied to the image only weakly.",
        "not shown": "At least one of them could not be tied to the image.",
    }[weakest]
    link_zh = {
        "verified": "每项描述的区域均经遮挡验证。",
        "weak": "至少一项与图像的联系较弱。",
        "not shown": "至少一项未能证实与图像有关。",
    }[weakest]
    return ChainStep(
        "concluded",
        en,
        zh,
        tuple(span for step in of for span in step.chars),
        tuple(index for step in of for index in step.words),
        (Link("words", weakest, link_en, link_zh),),
        weakest,
    )


def _reliance(word: TraceWord) -> float:
    return float("-inf") if word.image_reliance is None else word.image_reliance


def _strongest(links: Sequence[Link]) -> Strength:
    return min((link.strength for link in links), key=_RANK.index, default="not shown")


def _name(finding: Finding, language: str) -> str:
    if finding.code not in VOCABULARY:
        return finding.code.replace("_", " ")
    return describe(Finding(finding.code, side=finding.side, zone=finding.zone, severity=finding.severity), language)


def _share(probability: float) -> str:
    return f"{probability:.0%}" if probability >= 0.01 else "<1%"


def _joined(trace: Trace, run: Sequence[int]) -> str:
    """Neighbouring words as they stand: with spaces where the text has them."""
    out = ""
    for before, index in zip([None, *run[:-1]], run, strict=True):
        word = trace.words[index]
        gap = before is not None and word.chars[0] > trace.words[before].chars[1]
        out += (" " if gap else "") + word.text.strip()
    return out


def _trimmed(trace: Trace, words: Sequence[int], span: Span) -> Span:
    """The span without the separators at its ends."""
    alone = [
        trace.words[index].chars for index in words if any(character.isalnum() for character in trace.words[index].text)
    ]
    return (alone[0][0], alone[-1][1]) if alone else span
