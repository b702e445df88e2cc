"""A weakness in words: what was measured, beside what, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from radiolucent.faithfulness.limits.labels import (
    condition_words,
    finding_name,
    imposed_level,
    outcome_name,
)
from radiolucent.faithfulness.limits.types import ANY, Comparison, Condition, Share

Words = tuple[str, str]  # English, Chinese

_TRAIN: Words = ("Add such films to training.", "建议在训练中加入此类胸片。")
ADVICE: dict[str, Words] = {
    "finding": (
        "Add films with this finding to training, above all of the kinds that are missed.",
        "建议增加含该征象的训练片，尤其是漏诊的类型。",
    ),
    "distractors": (
        "Add films that carry it to training, with and without the finding.",
        "建议加入带有该物的训练片，有无该征象者均需包括。",
    ),
    "company": (
        "Add films that show both findings together, and each alone, to training.",
        "建议加入两种征象并存及各自单独出现的训练片。",
    ),
    "lesion_contrast": ("Add fainter lesions to training.", "建议在训练中加入更淡的病变。"),
    "lesion_size": ("Add smaller lesions to training.", "建议在训练中加入更小的病变。"),
    "rotation": (
        "Turn training films at random, or straighten films before they are read.",
        "建议训练时随机旋转影像，或在读片前校正。",
    ),
    "shift": (
        "Shift training films at random, or centre the chest before films are read.",
        "建议训练时随机平移影像，或在读片前居中。",
    ),
    "exposure": (
        "Vary brightness in training, or set the window before films are read.",
        "建议训练时变化亮度，或在读片前统一窗宽窗位。",
    ),
    "noise": ("Add noise to training films, or warn on noisy ones.", "建议训练时加入噪声，或对高噪声影像给出警告。"),
    "border": (
        "Add black borders in training, or trim them before films are read.",
        "建议训练时加入黑边，或在读片前裁除。",
    ),
    "crop": (
        "Crop training films at random, or refuse films that cut the lungs.",
        "建议训练时随机裁切，或拒绝肺野不全的影像。",
    ),
    "pixels": ("Train on films of this size too, or refuse them.", "建议训练时加入此尺寸的影像，或拒绝此类影像。"),
    "marker": (
        "The answer follows a printed marker, not the patient: balance or remove markers in the training data.",
        "模型依据的是铅标而非患者：请在训练数据中均衡或去除铅标。",
    ),
}
ALARM_ADVICE: dict[str, Words] = {
    "company": (
        "One finding is taken for another: add films that show the one without the other.",
        "模型混淆两种征象：建议加入只有其一的训练片。",
    ),
    "distractors": ("Add films that carry it and are otherwise normal.", "建议加入带有该物而其余正常的训练片。"),
}
SIDE_ADVICE: Words = (
    "Check how sides are labelled in training, and add films of both sides under this condition.",
    "请检查训练数据的左右标注，并在此条件下补充两侧的训练片。",
)


def sentence(main: Comparison, narrower: Sequence[Comparison], also: Sequence[Comparison], language: str) -> str:
    """The suggestion's text: measurement, where it is worst, what goes with it, what to do."""
    parts = [_paired(main, language) if main.design == "paired" else _sampled(main, language)]
    parts += [_narrower(comparison, language) for comparison in narrower]
    parts += [_also(main, also, language), _advice(main, language)]
    return ("" if language == "zh" else " ").join(part for part in parts if part)


def share_words(share: Share, language: str) -> str:
    """``0.41 (7/17, 0.22-0.64)``: the share, its counts, its 95 % interval."""
    if language == "zh":
        return f"{share.rate:.2f}（{share.hits}/{share.count}，{share.low:.2f}–{share.high:.2f}）"
    return f"{share.rate:.2f} ({share.hits}/{share.count}, {share.low:.2f}–{share.high:.2f})"


def p_words(p: float) -> str:
    """``< 0.0001`` or two digits of the number."""
    return "< 0.0001" if p < 0.0001 else f"= {p:.2g}"


def against_words(comparison: Comparison, language: str) -> str:
    """The group that the weak one is held against."""
    zh = language == "zh"
    if comparison.against is not None:
        return condition_words(comparison.against, language)
    if comparison.condition.factor == "finding":
        return "其他征象" if zh else "for the other findings"
    return "其余" if zh else "elsewhere"


def subject(comparison: Comparison, language: str) -> str:
    """Which finding, under which condition."""
    zh = language == "zh"
    words = condition_words(comparison.condition, language)
    name = finding_name(comparison.code, language)
    if comparison.design == "paired":
        return words if comparison.code == ANY else (f"{words}，{name}" if zh else f"{words}, {name}")
    if comparison.condition.factor == "finding":
        return words
    return f"{name}，{words}" if zh else f"{name} {words}"


def _sampled(main: Comparison, language: str) -> str:
    zh = language == "zh"
    name, condition = finding_name(main.code, language), condition_words(main.condition, language)
    weak, others = share_words(main.weak, language), share_words(main.others, language)
    p = p_words(main.adjusted)
    against = against_words(main, language)
    if main.outcome == "alarm":
        if zh:
            what = "任何征象" if main.code == ANY else name
            return f"误报{what}：{condition}时为 {weak}，{against}时为 {others}；校正后 p {p}。"
        what = "any finding" if main.code == ANY else name
        return f"Reports {what} that is not there: {weak} {condition}, against {others} {against}; adjusted p {p}."
    outcome = outcome_name(main.outcome, language)
    if zh:
        return f"{subject(main, language)}：{outcome} {weak}，{against}为 {others}；校正后 p {p}。"
    return f"{_capital(subject(main, language))}: {outcome} {weak}, against {others} {against}; adjusted p {p}."


def _paired(main: Comparison, language: str) -> str:
    zh = language == "zh"
    worse, better = main.changed or (0, 0)
    outcome = outcome_name(main.outcome, language)
    weak, others, p = share_words(main.weak, language), share_words(main.others, language), p_words(main.adjusted)
    condition = condition_words(main.condition, language)
    if zh:
        return (
            f"{condition}：{outcome} {weak}，同一批病例原片为 {others}；{worse} 例变差，{better} 例变好，校正后 p {p}。"
        )
    return (
        f"{_capital(condition)}: {outcome} {weak}, against {others} on the same cases as they were; {worse} cases got "
        f"worse and {better} better, adjusted p {p}."
    )


def _narrower(comparison: Comparison, language: str) -> str:
    zh = language == "zh"
    weak, others = share_words(comparison.weak, language), share_words(comparison.others, language)
    if comparison.design == "paired":
        name = finding_name(comparison.code, language)
        return f"其中{name}：{weak}，原片 {others}。" if zh else f"Among them {name}: {weak}, before {others}."
    condition, against = condition_words(comparison.condition, language), against_words(comparison, language)
    if zh:
        return f"其中最差者：{condition}，{weak}；{against}为 {others}。"
    return f"Among these it is worst {condition}: {weak}, against {others} {against}."


def _also(main: Comparison, also: Sequence[Comparison], language: str) -> str:
    zh = language == "zh"
    if main.design == "paired":
        levels = sorted({float(c.condition.level) for c in also} - {float(main.condition.level)})
        joined = ("、" if zh else ", ").join(imposed_level(main.condition.factor, level, language) for level in levels)
        if not levels:
            return ""
        return f"以下水平同样变差：{joined}。" if zh else f"Also worse at {joined}."
    seen: dict[str, Condition] = {}
    for comparison in also:  # the surest of each property
        if comparison.condition.factor != main.condition.factor or comparison.condition.relation == "is":
            seen.setdefault(condition_words(comparison.condition, language), comparison.condition)
    factors: set[str] = set()
    told = []
    for words, condition in seen.items():
        if condition.relation == "is" or condition.factor not in factors:
            told.append(words)
            factors.add(condition.factor)
    if not told:
        return ""
    joined = ("、" if zh else "; ").join(told)
    return f"同一批问题也表现为：{joined}。" if zh else f"The same cases also stand out as: {joined}."


def _advice(main: Comparison, language: str) -> str:
    factor = main.condition.factor
    if main.outcome == "wrong_side":
        words = SIDE_ADVICE
    elif main.outcome == "alarm":
        words = ALARM_ADVICE.get(factor, ADVICE.get(factor, _TRAIN))
    else:
        words = ADVICE.get(factor, _TRAIN)
    return words[language == "zh"]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
