"""The words for findings, properties and levels, in English and Chinese."""

from __future__ import annotations

from collections.abc import Sequence

from radiolucent.faithfulness.limits.judging import OTHER
from radiolucent.faithfulness.limits.types import ANY, Condition
from radiolucent.findings.names import code_name

Words = tuple[str, str]  # English, Chinese

FACTORS: dict[str, Words] = {
    "all": ("all", "全部"),
    "finding": ("finding", "征象"),
    "side": ("patient's side", "患者侧别"),
    "zone": ("lung zone", "肺野"),
    "severity": ("amount", "程度"),
    "size": ("size on the film, cm", "片上大小（cm）"),
    "contrast": ("contrast-to-noise ratio", "对比噪声比"),
    "distractors": ("letters, tubes, leads", "字母、管路、电极"),
    "company": ("other findings on the film", "并存征象"),
    "lesion_contrast": ("lesion contrast, times its own", "病变对比度（倍）"),
    "lesion_size": ("lesion size, times its own", "病变大小（倍）"),
    "rotation": ("patient turned, degrees (clockwise +)", "患者旋转（度，顺时针为正）"),
    "shift": ("patient off the middle, cm (picture's right +)", "患者偏移（cm，向图右为正）"),
    "exposure": ("brightness, share of the window (brighter +)", "亮度（窗宽的比例，变亮为正）"),
    "noise": ("noise, times the film's own", "噪声（倍）"),
    "border": ("black border, share of the edge", "黑边（边长的比例）"),
    "crop": ("cut off each edge, share", "四边裁切（边长的比例）"),
    "pixels": ("pixels on an edge", "边长（像素）"),
    "marker": ("corner marker", "角落铅标"),
}

OUTCOMES: dict[str, Words] = {
    "recall": ("recall", "检出率"),
    "alarm": ("false alarms", "误报率"),
    "wrong_side": ("wrong side", "侧别错误率"),
}

_LEVELS: dict[tuple[str, str], Words] = {
    ("side", "left"): ("on the patient's left", "患者左侧"),
    ("side", "right"): ("on the patient's right", "患者右侧"),
    ("side", "bilateral"): ("on both sides", "双侧"),
    ("zone", "upper"): ("in the upper zone", "上肺野"),
    ("zone", "middle"): ("in the middle zone", "中肺野"),
    ("zone", "lower"): ("in the lower zone", "下肺野"),
    ("severity", "mild"): ("small in amount", "少量"),
    ("severity", "moderate"): ("moderate in amount", "中量"),
    ("severity", "severe"): ("large in amount", "大量"),
}
_SHORT: dict[tuple[str, str], Words] = {
    ("side", "left"): ("left", "左"),
    ("side", "right"): ("right", "右"),
    ("side", "bilateral"): ("both", "双侧"),
    ("zone", "upper"): ("upper", "上"),
    ("zone", "middle"): ("middle", "中"),
    ("zone", "lower"): ("lower", "下"),
    ("severity", "mild"): ("small", "少量"),
    ("severity", "moderate"): ("moderate", "中量"),
    ("severity", "severe"): ("large", "大量"),
}
_THINGS: dict[str, Words] = {
    "letter": ("a side letter", "左右字母"),
    "tube": ("a tube", "管路"),
    "lead": ("an electrode lead", "电极导线"),
}
_SHORT_THINGS: dict[str, Words] = {
    "letter": ("letter", "字母"),
    "tube": ("tube", "管路"),
    "lead": ("lead", "电极"),
    "cardiomegaly": ("heart", "心影大"),
    "pleural_effusion": ("effusion", "积液"),
    "pneumothorax": ("pneumo.", "气胸"),
    "consolidation": ("consol.", "实变"),
    "nodule": ("nodule", "结节"),
    OTHER: ("other", "其他"),
}


def factor_name(factor: str, language: str) -> str:
    """What a property is called."""
    return FACTORS[factor][language == "zh"]


def outcome_name(outcome: str, language: str) -> str:
    """What is counted."""
    return OUTCOMES[outcome][language == "zh"]


def finding_name(code: str, language: str) -> str:
    """The finding's name; every finding together and alarms with other codes have one too."""
    if code == ANY:
        return "所有征象" if language == "zh" else "all findings"
    if code == OTHER:
        return "其他征象" if language == "zh" else "other findings"
    return code_name(code, language)


def condition_words(condition: Condition, language: str) -> str:
    """A condition as it stands in a sentence."""
    zh = language == "zh"
    factor, relation, level = condition.factor, condition.relation, condition.level
    if isinstance(level, float | int) and relation == "is":
        return imposed_words(factor, float(level), language)
    if factor == "size":
        if relation == "below":
            return f"片上小于 {level} cm" if zh else f"under {level} cm on the film"
        return f"片上 {level} cm 及以上" if zh else f"of {level} cm and more on the film"
    if factor == "contrast":
        if relation == "below":
            return f"对比噪声比低于 {level}" if zh else f"with a contrast-to-noise ratio under {level}"
        return f"对比噪声比 {level} 及以上" if zh else f"with a contrast-to-noise ratio of {level} and more"
    if factor == "distractors":
        thing = _THINGS[str(level)][zh]
        if relation == "with":
            return f"片上有{thing}" if zh else f"with {thing} on the film"
        return f"片上无{thing}" if zh else f"without {thing} on the film"
    if factor == "company":
        thing = code_name(str(level), language)
        if relation == "with":
            return f"同片有{thing}" if zh else f"beside {thing}"
        return f"同片无{thing}" if zh else f"without {thing} on the film"
    if factor == "finding":
        return finding_name(str(level), language)
    return _LEVELS[factor, str(level)][zh]


def imposed_words(factor: str, level: float, language: str) -> str:
    """The level of an imposed condition as it stands in a sentence."""
    zh = language == "zh"
    size = f"{abs(level):g}"
    share = f"{abs(level):.0%}"
    words: dict[str, Words] = {
        "lesion_contrast": (f"lesion contrast × {size}", f"病变对比度×{size}"),
        "lesion_size": (f"lesion size × {size}", f"病变大小×{size}"),
        "rotation": (
            f"patient turned by {size}° {'clockwise' if level > 0 else 'counter-clockwise'}",
            f"患者{'顺' if level > 0 else '逆'}时针旋转{size}°",
        ),
        "shift": (
            f"patient {size} cm towards the picture's {'right' if level > 0 else 'left'}",
            f"患者向图{'右' if level > 0 else '左'}偏移 {size} cm",
        ),
        "exposure": (
            f"film {'brighter' if level > 0 else 'darker'} by {share} of the window",
            f"影像{'变亮' if level > 0 else '变暗'}窗宽的{share}",
        ),
        "noise": (f"noise × {size}", f"噪声×{size}"),
        "border": (f"black border of {share} of the edge", f"黑边占边长{share}"),
        "crop": (f"{share} cut off every edge", f"四边各裁去{share}"),
        "pixels": (f"film of {size} × {size} pixels", f"影像 {size}×{size} 像素"),
        "marker": ("corner marker printed", "印有角落铅标") if level else ("no corner marker", "无角落铅标"),
    }
    return words[factor][zh]


def short_label(conditions: Sequence[Condition], language: str) -> str:
    """A group's label under a plot's axis."""
    zh = language == "zh"
    if not conditions:
        return FACTORS["all"][zh]
    first = conditions[0]
    if first.relation == "without":
        return "无" if zh else "none"
    if len(conditions) == 2:
        return f"{first.level}–{conditions[1].level}"
    if first.relation in ("below", "from"):
        return f"{'<' if first.relation == 'below' else '≥'}{first.level}"
    if isinstance(first.level, float | int):
        return imposed_level(first.factor, float(first.level), language)
    if first.factor in ("distractors", "company", "finding"):
        return _SHORT_THINGS[str(first.level)][zh]
    return _SHORT[first.factor, str(first.level)][zh]


def imposed_level(factor: str, level: float, language: str) -> str:
    """An imposed level alone, as under a plot's axis."""
    if factor == "marker":
        return (("无", "有") if language == "zh" else ("none", "printed"))[level > 0]
    if factor in ("lesion_contrast", "lesion_size", "noise"):
        return f"×{level:g}"
    if factor in ("border", "crop"):
        return f"{level:.0%}"
    if factor in ("rotation", "shift", "exposure") and level:
        return f"{level:+g}".replace("-", "−")
    return f"{level:g}"
