"""Reports and answers in two languages, written from a film's record.

Each form is one way of writing; the question decides the form, so that a finding that is likely is never split
over several wordings. ``FORMS`` are also the material on which the findings extractor is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from radiolucent.phantom.record import CODES, Lesion

Language = Literal["en", "zh"]
Sentence = Callable[[Lesion | None], str]

DEFAULT_QUESTION: dict[str, str] = {
    "en": "Describe the main findings of this chest X-ray.",
    "zh": "请分析这张胸部X光片，描述主要发现",
}

EN_NAME = {
    "cardiomegaly": "cardiomegaly",
    "pleural_effusion": "pleural effusion",
    "pneumothorax": "pneumothorax",
    "consolidation": "consolidation",
    "nodule": "nodule",
}
ZH_NAME = {
    "cardiomegaly": "心影增大",
    "pleural_effusion": "胸腔积液",
    "pneumothorax": "气胸",
    "consolidation": "实变",
    "nodule": "结节",
}
EN_SIZE = {"mild": "small", "moderate": "moderate", "severe": "large"}
ZH_SIZE = {"mild": "少量", "moderate": "中量", "severe": "大量"}
ZH_SIDE = {"left": "左侧", "right": "右侧", "bilateral": "双侧"}
ZH_PLACE = {
    (side, zone): f"{s}{z}肺野"
    for side, s in (("left", "左"), ("right", "右"))
    for zone, z in (("upper", "上"), ("middle", "中"), ("lower", "下"))
}


def write_report(lesions: Iterable[Lesion], language: Language, form: int = 0) -> str:
    """The report of a record.

    Parameters
    ----------
    form
        Index into ``FORMS[language]``: 0 brief with explicit negatives, 1 abnormal findings only, 2 full
        sentences, 3 hedged, 4 loose wording (in Chinese: as machine translation writes it).
    """
    planted: dict[str, Lesion] = {lesion.code: lesion for lesion in lesions}
    return FORMS[language][form](planted)


def answer_yes_no(lesions: Iterable[Lesion], code: str, language: Language) -> str:
    """``Yes.``/``No.`` or ``有。``/``没有。``."""
    present = any(lesion.code == code for lesion in lesions)
    if language == "zh":
        return "有。" if present else "没有。"
    return "Yes." if present else "No."


def answer_where(lesions: Iterable[Lesion], code: str, language: Language) -> str:
    """The place of a finding, or that it is not there."""
    lesion = next((le for le in lesions if le.code == code), None)
    if lesion is None:
        return f"未见{ZH_NAME[code]}。" if language == "zh" else f"No {EN_NAME[code]}."
    if lesion.side is None:
        return "心影。" if language == "zh" else "The heart."
    if language == "zh":
        return f"{ZH_PLACE[str(lesion.side), lesion.zone]}。" if lesion.zone else f"{ZH_SIDE[str(lesion.side)]}。"
    return f"In the {lesion.side} {lesion.zone} zone." if lesion.zone else f"On {_en_side(lesion)}."


def yes_no_questions(code: str, language: Language) -> tuple[str, ...]:
    """Paraphrases; the first is the one that probes use."""
    if language == "zh":
        name = ZH_NAME[code]
        return (
            f"有{name}吗？",
            f"是否有{name}？",
            f"这张胸片有没有{name}？",
            f"能看到{name}吗？",
            f"该患者存在{name}吗？",
        )
    name = EN_NAME[code]
    article = "" if code in ("cardiomegaly", "consolidation") else "a "
    return (
        f"Is there {article}{name}?",
        f"Does this film show {article}{name}?",
        f"Do you see {article}{name}?",
        f"Does the patient have {article}{name}?",
        f"Is {article}{name} present?",
    )


def where_questions(code: str, language: Language) -> tuple[str, ...]:
    """Paraphrases of where a finding lies."""
    if language == "zh":
        name = ZH_NAME[code]
        return (f"{name}在哪里？", f"{name}在哪一侧？", f"请指出{name}的位置")
    name = EN_NAME[code]
    return (f"Where is the {name}?", f"Which side is the {name} on?", f"Locate the {name}.")


def report_questions(form: int, language: Language) -> tuple[str, ...]:
    """Paraphrases of the request that this form answers; the first is the usual one."""
    return _REPORT_QUESTIONS[language][form]


def _en_side(lesion: Lesion) -> str:
    return "both sides" if lesion.side == "bilateral" else f"the {lesion.side}"


def _en_brief(planted: dict[str, Lesion]) -> str:
    def one(code: str) -> str:
        lesion = planted.get(code)
        if code == "cardiomegaly":
            return "The heart is enlarged." if lesion else "The heart size is normal."
        if lesion is None:
            return f"No {EN_NAME[code]}."
        name = EN_NAME[code].capitalize()
        if lesion.zone:
            return f"{name} in the {lesion.side} {lesion.zone} zone."
        return f"{name} on {_en_side(lesion)}, {EN_SIZE[str(lesion.severity)]}."

    return " ".join(one(code) for code in CODES)


def _en_abnormal(planted: dict[str, Lesion]) -> str:
    if not planted:
        return "No acute abnormality."

    def one(lesion: Lesion) -> str:
        name = EN_NAME[lesion.code].capitalize()
        if lesion.zone:
            return f"{name}, {lesion.side} {lesion.zone} zone."
        if lesion.code == "cardiomegaly":
            return "Cardiomegaly."
        return f"{name}, {lesion.side}, {EN_SIZE[str(lesion.severity)]}."

    return " ".join(one(planted[code]) for code in CODES if code in planted)


def _en_full(planted: dict[str, Lesion]) -> str:
    def one(code: str) -> str:
        lesion = planted.get(code)
        if code == "cardiomegaly":
            return f"The cardiac silhouette is {'enlarged' if lesion else 'within normal limits'}."
        if lesion is None:
            return f"There is no {EN_NAME[code]}."
        if lesion.zone:
            article = "a " if code == "nodule" else ""
            return f"There is {article}{EN_NAME[code]} in the {lesion.side} {lesion.zone} zone."
        return f"There is {EN_NAME[code]} on {_en_side(lesion)}, {EN_SIZE[str(lesion.severity)]} in size."

    return " ".join(one(code) for code in CODES)


def _en_hedged(planted: dict[str, Lesion]) -> str:
    def one(code: str) -> str:
        lesion = planted.get(code)
        if lesion is None:
            return f"No evidence of {EN_NAME[code]}."
        if code == "cardiomegaly":
            return "Possible cardiomegaly."
        if lesion.zone:
            return f"Possible {EN_NAME[code]} in the {lesion.side} {lesion.zone} zone."
        side = "Bilateral" if lesion.side == "bilateral" else str(lesion.side).capitalize()
        return f"{side} {EN_NAME[code]} cannot be excluded."

    return " ".join(one(code) for code in CODES)


def _en_loose(planted: dict[str, Lesion]) -> str:
    absent = [EN_NAME[code] for code in CODES if code not in planted]
    parts = []
    for code in CODES:
        lesion = planted.get(code)
        if lesion is None:
            continue
        if code == "cardiomegaly":
            parts.append("enlarged cardiac silhouette")
        elif lesion.zone:
            parts.append(f"{lesion.side} {lesion.zone} zone {EN_NAME[code]}")
        else:
            parts.append(f"{EN_SIZE[str(lesion.severity)]} {lesion.side} {EN_NAME[code]}")
    found = f"Findings: {'; '.join(parts)}. " if parts else ""
    return f"{found}No {', '.join(absent[:-1])}{' or ' if len(absent) > 1 else ''}{absent[-1]}." if absent else found


def _zh_brief(planted: dict[str, Lesion]) -> str:
    def one(code: str) -> str:
        lesion = planted.get(code)
        if code == "cardiomegaly":
            return "心影增大。" if lesion else "心影不大。"
        if lesion is None:
            return f"未见{ZH_NAME[code]}。"
        if lesion.zone:
            return f"{ZH_PLACE[str(lesion.side), lesion.zone]}见{ZH_NAME[code]}影。"
        size = ZH_SIZE[str(lesion.severity)]
        side = ZH_SIDE[str(lesion.side)]
        return f"{side}胸腔{size}积液。" if code == "pleural_effusion" else f"{side}{size}气胸。"

    return "".join(one(code) for code in CODES)


def _zh_abnormal(planted: dict[str, Lesion]) -> str:
    if not planted:
        return "心肺未见异常。"

    def one(lesion: Lesion) -> str:
        if lesion.code == "cardiomegaly":
            return "心影增大"
        if lesion.zone:
            return f"{ZH_PLACE[str(lesion.side), lesion.zone]}{ZH_NAME[lesion.code]}"
        return f"{ZH_SIDE[str(lesion.side)]}{ZH_NAME[lesion.code]}（{ZH_SIZE[str(lesion.severity)]}）"

    return "；".join(one(planted[code]) for code in CODES if code in planted) + "。"


def _zh_full(planted: dict[str, Lesion]) -> str:
    def one(code: str) -> str:
        lesion = planted.get(code)
        if code == "cardiomegaly":
            return "心脏增大。" if lesion else "心脏大小形态正常。"
        if lesion is None:
            denied = "两肺未见明显" if code in ("consolidation", "nodule") else "未见明确"
            return f"{denied}{ZH_NAME[code]}。"
        if lesion.zone:
            return f"{ZH_PLACE[str(lesion.side), lesion.zone]}可见{ZH_NAME[code]}灶。"
        return f"{ZH_SIDE[str(lesion.side)]}可见{ZH_SIZE[str(lesion.severity)]}{ZH_NAME[code]}。"

    return "".join(one(code) for code in CODES)


def _zh_hedged(planted: dict[str, Lesion]) -> str:
    def one(code: str) -> str:
        lesion = planted.get(code)
        if lesion is None:
            return f"未见{ZH_NAME[code]}。"
        if code == "cardiomegaly":
            return "考虑心影增大。"
        place = ZH_PLACE[str(lesion.side), lesion.zone] if lesion.zone else ZH_SIDE[str(lesion.side)]
        return f"{place}{ZH_NAME[code]}不除外。"

    return "".join(one(code) for code in CODES)


_ZH_TRANSLATED = {"consolidation": "固结", "nodule": "结节", "pneumothorax": "气胸", "pleural_effusion": "胸腔积液"}


def _zh_loose(planted: dict[str, Lesion]) -> str:
    parts = []
    for code in CODES:
        lesion = planted.get(code)
        if code == "cardiomegaly":
            parts.append("心脏肿大。" if lesion else "心脏大小正常。")
        elif lesion is None:
            parts.append(f"没有{_ZH_TRANSLATED[code]}。")
        elif lesion.zone:
            parts.append(f"{ZH_PLACE[str(lesion.side), lesion.zone]}有{_ZH_TRANSLATED[code]}。")
        else:
            parts.append(f"{ZH_SIDE[str(lesion.side)]}有{ZH_SIZE[str(lesion.severity)]}{_ZH_TRANSLATED[code]}。")
    return "".join(parts)


FORMS: dict[str, tuple[Callable[[dict[str, Lesion]], str], ...]] = {
    "en": (_en_brief, _en_abnormal, _en_full, _en_hedged, _en_loose),
    "zh": (_zh_brief, _zh_abnormal, _zh_full, _zh_hedged, _zh_loose),
}
TRAINED_FORMS = 3  # hedged and loose wordings are for the extractor; the model is taught the first three

_EN_FILM = ("this chest X-ray", "this film", "this chest film", "this image", "this radiograph")
_ZH_FILM = ("这张胸部X光片", "这张胸片", "该胸片", "这幅图像", "这张X光片")

_REPORT_QUESTIONS: dict[str, tuple[tuple[str, ...], ...]] = {
    "en": (
        (
            DEFAULT_QUESTION["en"],
            *(f"{verb} {film}." for verb in ("Describe", "Analyze", "Read", "Interpret") for film in _EN_FILM),
            *(f"Describe the findings in {film}." for film in _EN_FILM),
            *(f"Please analyze {film} and describe the main findings." for film in _EN_FILM),
            "What do you see?",
            "What are the findings?",
            "What does this chest X-ray show?",
            "Are there any abnormalities?",
            "Write a report.",
        ),
        (
            "List the abnormal findings only.",
            "List only the abnormalities.",
            "Give the impression.",
            "Impression?",
            "What is abnormal?",
        ),
        (
            "Write a full report in complete sentences.",
            "Write a detailed report.",
            "Please write the full radiology report.",
            *(f"Write a full report of {film}." for film in _EN_FILM),
        ),
        ("What could be present? Say how sure you are.",),
        ("Findings, in any words.",),
    ),
    "zh": (
        (
            DEFAULT_QUESTION["zh"],
            *(f"请{verb}{film}" for verb in ("分析", "描述", "阅读", "解读") for film in _ZH_FILM),
            *(f"请分析{film}，描述主要发现。" for film in _ZH_FILM),
            *(f"{film}有什么发现？" for film in _ZH_FILM),
            "请描述影像所见",
            "你看到了什么？",
            "有什么异常吗？",
            "请写报告",
            "请用中文回答。",
        ),
        ("只列出异常发现", "请只列出异常", "诊断意见？", "请给出诊断意见", "有哪些异常？"),
        (
            "请写一份完整的报告",
            "请写详细报告",
            "请写完整的影像学报告",
            *(f"请为{film}写一份完整的报告" for film in _ZH_FILM),
        ),
        ("可能有什么？请说明把握程度",),
        ("随意描述所见",),
    ),
}
