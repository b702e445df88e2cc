"""What people read: the name of every code, and one finding as a phrase, in English and native Chinese.

Places are named as a lung zone, never a lobe; effusion and pneumothorax name the pleural side; cardiomegaly names
the heart. Every phrase is read back by :func:`radiolucent.findings.extract_findings` as the finding it describes.
"""

from __future__ import annotations

from radiolucent.errors import MalformedInput
from radiolucent.findings.types import Finding
from radiolucent.findings.vocabulary import ATTRIBUTES, VOCABULARY

_EN_SIZE = {"minimal": "tiny", "mild": "small", "moderate": "moderate", "severe": "large"}
_EN_GRADE = {"minimal": "minimal", "mild": "mild", "moderate": "moderate", "severe": "severe"}
_ZH_AMOUNT = {"minimal": "微量", "mild": "少量", "moderate": "中量", "severe": "大量"}
_ZH_GRADE = {"minimal": "极轻微", "mild": "轻度", "moderate": "中度", "severe": "重度"}
_ZH_SIDE = {"left": "左侧", "right": "右侧", "bilateral": "双侧", "midline": "中线"}
_ZH_LUNG = {"left": "左", "right": "右", "bilateral": "双"}
_ZH_ZONE = {"upper": "上肺野", "middle": "中肺野", "lower": "下肺野"}
_EN_CHANGE = {"new": "new", "increased": "increased", "decreased": "decreased", "stable": "unchanged"}
_ZH_CHANGE = {"new": "新出现", "increased": "较前增多", "decreased": "较前减少", "stable": "无明显变化"}
_AMOUNTS = ("pleural_effusion", "pneumothorax", "subdiaphragmatic_gas")
# After a place, 肺 is not said twice: 右下肺野不张, 双肺过度充气.
_ZH_AFTER_PLACE = {
    "lung_opacity": "密度增高影",
    "increased_lung_markings": "纹理增多",
    "atelectasis": "肺不张",
    "pleural_effusion": "胸腔积液",
}
_ZH_SUBJECT = {  # subject, predicate: the grade stands between
    "enlarged_cardiomediastinum": ("纵隔", "增宽"),
    "cardiomegaly": ("心影", "增大"),
    "hilar_enlargement": ("肺门", "增大"),
    "raised_diaphragm": ("膈肌", "抬高"),
    "increased_lung_markings": ("肺纹理", "增多"),
    "pleural_other": ("胸膜", "增厚"),
}


def code_name(code: str, language: str) -> str:
    """The name of a code, such as ``胸腔积液``.

    Raises
    ------
    MalformedInput
        Where the code is not in the vocabulary or the language is unknown.
    """
    if code not in VOCABULARY:
        raise MalformedInput(f"{code!r} is not in the vocabulary; the codes are {', '.join(VOCABULARY)}.")
    if language not in ("en", "zh"):
        raise MalformedInput(f"Language {language!r} is unknown; use 'en' or 'zh'.")
    return VOCABULARY[code].zh if language == "zh" else VOCABULARY[code].en


def place_name(side: str | None, zone: str | None, language: str) -> str:
    """A lung zone in words: ``right lower zone``, ``右下肺野``; empty where neither is known.

    Examples
    --------
    >>> place_name("right", "lower", "zh"), place_name("left", None, "en")
    ('右下肺野', 'left lung')
    """
    if language == "zh":
        return _zh_place(side, zone)
    if zone == "diffuse":
        return (
            {"bilateral": "both lungs", None: "diffuse"}.get(side, f"{side} lung") if side != "midline" else "midline"
        )
    if zone is None:
        return {"bilateral": "both lungs", "midline": "midline", None: ""}.get(side, f"{side} lung")
    which = "both" if side == "bilateral" else (side or "")
    noun = ("perihilar" if zone == "hilar" else zone) + (" zones" if side == "bilateral" else " zone")
    return f"{which} {noun}".strip()


def describe(finding: Finding, language: str) -> str:
    """One finding as a phrase without a full stop.

    Parameters
    ----------
    language
        ``"en"`` or ``"zh"``; the Chinese is native wording.

    Examples
    --------
    >>> describe(Finding("pleural_effusion", side="right", severity="mild"), "zh")
    '右侧胸腔少量积液'
    >>> describe(Finding("nodule", "uncertain", side="left", zone="upper", certainty="possible"), "en")
    'Possible nodule in the left upper zone'
    """
    code_name(finding.code, language)
    return _zh(finding) if language == "zh" else _en(finding)


def details(finding: Finding, language: str) -> tuple[str, ...]:
    """What the words add to the phrase: kind, number, size, percentage, margin and the like, each a few words.

    Examples
    --------
    >>> details(Finding("nodule", size_mm=(8.0,), count=2, attributes=(("margin", "spiculated"),)), "en")
    ('2', '8 mm', 'spiculated')
    >>> details(Finding("pneumothorax", percent=30.0), "zh")
    ('肺压缩约30%',)
    """
    code_name(finding.code, language)
    chinese = language == "zh"
    said = [ATTRIBUTES[name][value][chinese] for name, value in finding.attributes]
    if finding.percent is not None:
        said.insert(0, f"肺压缩约{finding.percent:g}%" if chinese else f"{finding.percent:g} % of the lung")
    if finding.size_mm:
        said.insert(0, " × ".join(f"{length:g}" for length in finding.size_mm) + " mm")
    if finding.count is not None:
        said.insert(0, ("多发" if chinese else "multiple") if finding.count == "multiple" else str(finding.count))
    return tuple(said)


def _en(finding: Finding) -> str:
    code = VOCABULARY[finding.code]
    name, side = code.en, finding.side if code.sided else None
    size = _EN_SIZE if finding.code in _AMOUNTS else _EN_GRADE
    if finding.polarity == "absent":
        phrase = f"no {side if side in ('left', 'right') else ''} {name}"
        if finding.code == "cardiomegaly":
            phrase = "heart not enlarged"
        return _sentence_case(phrase + (", resolved" if finding.change == "resolved" else ""))
    grade = size[finding.severity] if finding.severity and code.graded else ""
    if finding.code in ("cardiomegaly", "enlarged_cardiomediastinum", "hilar_enlargement", "raised_diaphragm"):
        grade = {"minimal": "minimally", "mild": "mildly", "moderate": "moderately", "severe": "severely"}.get(
            finding.severity or "", ""
        )
    where = ""
    if code.zoned and finding.zone:
        where = _en_where(side, finding.zone)
        side = None
    parts = (side or "", grade) if finding.code in ("hilar_enlargement", "raised_diaphragm") else (grade, side or "")
    phrase = " ".join(part for part in (*parts, name, where) if part)
    if finding.polarity == "uncertain":
        phrase = f"{'likely' if finding.certainty == 'likely' else 'possible'} {phrase}"
    if finding.change in _EN_CHANGE:
        phrase += f", {_EN_CHANGE[finding.change]}"
    if finding.contradicted:
        phrase += " (the report contradicts itself)"
    return _sentence_case(phrase)


def _en_where(side: str | None, zone: str) -> str:
    if zone == "diffuse":
        lungs = {"bilateral": "both lungs", "left": "the left lung", "right": "the right lung"}.get(side or "")
        return f"throughout {lungs}" if lungs else "throughout the lungs"
    if side == "bilateral":
        return f"in {place_name(side, zone, 'en')}"
    return f"in the {place_name(side, zone, 'en')}"


def _sentence_case(phrase: str) -> str:
    phrase = " ".join(phrase.split())
    return phrase[:1].upper() + phrase[1:]


def _zh(finding: Finding) -> str:
    if finding.polarity == "absent":
        return _zh_absent(finding)
    phrase = _zh_present(finding)
    if finding.polarity == "uncertain":
        phrase = f"考虑{phrase}" if finding.certainty == "likely" else f"{phrase}不除外"
    if finding.change in _ZH_CHANGE:
        phrase += f"，{_ZH_CHANGE[finding.change]}"
    if finding.contradicted:
        phrase += "（报告前后矛盾）"
    return phrase


def _zh_absent(finding: Finding) -> str:
    resolved = finding.change == "resolved"
    side = _ZH_SIDE.get(finding.side or "", "") if finding.side != "bilateral" else ""
    if finding.code == "cardiomegaly":
        return "心影不大"
    name = VOCABULARY[finding.code].zh
    if finding.code in _ZH_SUBJECT:
        subject, predicate = _ZH_SUBJECT[finding.code]
        return f"{side}{subject}未见{predicate}"
    return f"{side}{name}已吸收" if resolved else f"{side}未见{name}"


def _zh_present(finding: Finding) -> str:
    code = VOCABULARY[finding.code]
    name, graded = code.zh, finding.severity if code.graded else None
    side = finding.side if code.sided else None
    place = _zh_place(side, finding.zone) if code.zoned else _ZH_SIDE.get(side or "", "")
    spread = "弥漫性" if code.zoned and finding.zone == "diffuse" else ""
    if finding.code == "pleural_effusion":
        return f"{place}胸腔{_ZH_AMOUNT.get(graded or '', '')}积液"
    if finding.code == "mediastinal_shift":
        turn = {"left": "向左", "right": "向右"}.get(side or "", "")
        return f"纵隔{_ZH_GRADE.get(graded or '', '')}{turn}移位"
    grade = (_ZH_AMOUNT if finding.code in _AMOUNTS else _ZH_GRADE).get(graded or "", "")
    if finding.code in _ZH_SUBJECT:
        subject, predicate = _ZH_SUBJECT[finding.code]
        if finding.code == "increased_lung_markings" and place:
            subject = subject.removeprefix("肺") if place.endswith(("肺", "肺野")) else subject
        return f"{place}{subject}{spread}{grade}{predicate}"
    if place:
        name = _ZH_AFTER_PLACE.get(finding.code, name)
    return f"{place}{spread}{grade}{name}"


def _zh_place(side: str | None, zone: str | None) -> str:
    lung = _ZH_LUNG.get(side or "", "")
    if zone in _ZH_ZONE:
        return lung + _ZH_ZONE[zone]
    if zone == "hilar":
        return f"{lung}肺门区"
    if side == "midline":
        return "中线"
    if lung:
        return f"{lung}肺"
    return "双肺" if zone == "diffuse" else ""
