"""Every sentence that the pictures show, in English and Chinese. Safety wording is fixed: change it nowhere alone."""

from __future__ import annotations

from dataclasses import replace

from radiolucent.attribution.types import Claim
from radiolucent.confidence.types import QUADRANT_WORDS, Quadrant
from radiolucent.faithfulness.types import GRADE_WORDS, Grade, MapGrade
from radiolucent.findings.names import describe
from radiolucent.findings.types import Finding
from radiolucent.findings.vocabulary import VOCABULARY
from radiolucent.localize.wording import OTHER_SIDE, OUTSIDE_ANATOMY, WITHHELD

Pair = tuple[str, str]  # (English, Chinese)

TEXTS: dict[str, Pair] = {
    "title": ("Explained report", "报告与解释"),
    "ai_generated": ("AI-generated, not reviewed by a physician", "AI生成，未经医师审核"),
    "not_device": ("Not a medical device", "非医疗器械"),
    "demo": (
        "DEMO MODEL: it has only ever seen drawn phantoms. Its words about any other film mean nothing.",
        "演示模型：仅见过绘制的模拟胸片，对其他影像的描述无意义。",
    ),
    "side_assumed": ("side assumed, not verified", "左右未核实"),
    "side_none": ("no side is given for this view", "该投照体位不给出左右"),
    "side_header": ("side from the file's header", "左右依据文件头"),
    "side_stated": ("side stated by the caller", "左右由调用者给出"),
    "withheld": (WITHHELD.en, WITHHELD.zh),
    "box": (
        "Area the model relied on, not the lesion's outline; not for measurement",
        "模型依赖区域，非病灶轮廓，不可测量",
    ),
    "no_intervention": (
        "No intervention was run, so what the model relied on is not known.",
        "未做遮挡验证，模型依赖的区域未知。",
    ),
    "no_region": ("No place of this map supports the words.", "图中无支持该描述之处。"),
    "no_finding_map": (
        "The report states no finding, so no area is marked. A finding that is not stated is not excluded.",
        "报告未描述阳性征象，故不标记区域。未描述不代表排除。",
    ),
    "not_excluded": (
        "“Absent” repeats what the report says; it does not exclude a finding.",
        "“无”仅复述报告所写，不代表排除该病变。",
    ),
    "no_findings": (
        "No finding was recognised in this report. This does not mean that the film is normal.",
        "未从报告中识别出征象，不代表影像正常。",
    ),
    "nothing_recognised": ("No finding recognised", "未识别出征象"),
    "not_graded": ("not graded", "未评级"),
    "outside_means": (OUTSIDE_ANATOMY.en, OUTSIDE_ANATOMY.zh),
    "other_side_means": (OTHER_SIDE.en, OTHER_SIDE.zh),
    "weak_means": (
        "Better than chance, but not clearly enough to be called verified.",
        "优于随机，但不足以称为已验证。",
    ),
    "claim_none": ("not computed", "未计算"),
    "question": ("Question", "问题"),
    "report": ("Report", "报告"),
    "findings": ("Findings", "征象"),
    "warnings": ("Warnings", "警告"),
    "maps": ("Maps", "图"),
    "present": ("present", "有"),
    "uncertain": ("uncertain", "不确定"),
    "absent": ("absent", "无"),
    "agree": ("agree, 95 % interval", "采样一致，95%区间"),
    "evidence": ("evidence", "依据"),
    "map": ("map", "图"),
    "uncalibrated": (
        "Uncalibrated: shares of sampled reports, not probabilities of disease.",
        "未校准：为采样报告的比例，不是患病概率。",
    ),
    "calibrated_word": ("calibrated", "已校准"),
    "probability_of": ("probability {p}", "概率 {p}"),
    "not_sampled": ("not sampled", "未采样"),
    "continues": ("continues on page 2", "续见第2页"),
    "more_findings": ("{n} more on page 2", "另有{n}项见第2页"),
    "more_warnings": ("{n} more on page 2", "另有{n}条见第2页"),
    "page_one": ("Page 1", "第1页"),
    "page_two": ("Page 2, technical", "第2页：技术"),
    "all_warnings": ("All warnings", "全部警告"),
    "full_report": ("Report in full", "报告全文"),
    "full_question": ("Question in full", "问题全文"),
    "all_findings": ("All findings", "全部征象"),
    "other_maps": ("Maps of every finding", "各征象的图"),
    "frames": ("Pictures of the study", "各帧图像"),
    "layers": ("Attended, layer by layer", "逐层关注"),
    "layers_of": ("while writing “{words}”", "书写“{words}”时"),
    "layers_all": ("mean over every word of the report", "报告各词的平均"),
    "layers_note": (
        "Each layer has its own colour range. Layers are neither time nor thought; attention is a hint, not evidence.",
        "各层色阶独立。层不是时间，也不是思考；注意力仅为线索，不是证据。",
    ),
    "global": ("global", "全局"),
    "sliding": ("sliding", "滑动窗"),
    "trace": ("Word by word", "逐词记录"),
    "trace_word": ("word", "词"),
    "trace_p": ("probability", "概率"),
    "trace_reliance": ("image reliance, nats", "图像依赖（奈特）"),
    "trace_instead": ("instead", "备选"),
    "trace_more": ("{n} more words in explanation.json", "另有{n}词见 explanation.json"),
    "trace_note": (
        "Probability of the word as written. Image reliance: log-probability lost with a blank or another patient's "
        "film in the image's place, the larger of the two; near zero, the word would be written all the same.",
        "概率：写出该词的概率。图像依赖：换成空白图像或他人影像后损失的对数概率，取较大者；接近零表示换掉影像仍会写出该词。",
    ),
    "chain": ("Decision chain", "决策链"),
    "contrasts": ("Why this and not that", "为何如此而非其他"),
    "contrasts_note": (
        "By how much the model preferred what it wrote at the word where the two part; nats: 2.3 are ten to one.",
        "在二者分开的词处，模型对所写内容的偏好程度；2.3 奈特约为十比一。",
    ),
    "marks": ("Dependence on the image", "是否依赖图像"),
    "provenance": ("How this was made", "生成信息"),
    "frame_of": ("{label}, picture {n} of {all}", "{label}，第{n}幅，共{all}幅"),
    "missing_glyphs": (
        "Characters outside the packaged font are shown as their code points: {codes}",
        "字体未收录的字符以码位方框显示：{codes}",
    ),
    "contradicted": ("contradicted in the report", "报告前后矛盾"),
    "region_of": ("Relied on for", "所依赖："),
    "normal_title": ("No present finding stated", "未描述阳性征象"),
}

CLAIM_NAMES: dict[str, Pair] = {
    "attended": ("Attended", "关注"),
    "sensitive": ("Sensitive to", "敏感"),
    "relied_on": ("Relied on", "依赖"),
    "plausible": ("Plausible", "相符"),
}
CLAIM_MEANINGS: dict[str, Pair] = {
    "attended": ("Where the model looked while writing; a hint, not evidence.", "书写时看的位置；仅为线索，不是证据。"),
    "sensitive": (
        "Small changes here would move the answer; hiding it was not tried.",
        "此处的微小变化会影响答案；未做遮挡验证。",
    ),
    "relied_on": ("Hiding this area changes the answer.", "遮住此区域，答案会改变。"),
    "plausible": (
        "Where the word would fit the picture; not what the model used.",
        "该词与图像相符之处；并非模型所用。",
    ),
}
METHOD_NAMES: dict[str, Pair] = {
    "attention": ("attention", "注意力"),
    "attention_layers": ("attention by layer", "逐层注意力"),
    "attention:corrected": ("attention, corrected", "校正注意力"),
    "attention:final": ("attention, last layer", "末层注意力"),
    "distinct_attention": ("distinct attention", "特异注意力"),
    "rollout": ("rollout", "注意力展开"),
    "relevance": ("relevance", "相关性"),
    "saliency": ("gradient", "梯度"),
    "input_x_gradient": ("input × gradient", "输入×梯度"),
    "integrated_gradients": ("integrated gradients", "积分梯度"),
    "smooth_grad": ("smoothed gradient", "平滑梯度"),
    "pixel_gradient": ("pixel gradient", "像素梯度"),
    "grad_cam": ("Grad-CAM", "Grad-CAM"),
    "token_ablation": ("token ablation", "图像块置换"),
    "occlusion": ("occlusion", "遮挡"),
    "hierarchical_occlusion": ("coarse-to-fine occlusion", "分级遮挡"),
    "propose_and_verify": ("proposed and verified", "提出并验证"),
    "evidence_search": ("smallest evidence", "最小依据"),
    "logit_lens": ("logit lens", "词元透视"),
}
UNITS: dict[str, Pair] = {
    "attention": ("attention", "注意力"),
    "share of attention": ("share of attention", "注意力占比"),
    "square root of attention": ("√attention", "注意力平方根"),
    "relevance": ("relevance", "相关性"),
    "nats": ("nats", "奈特"),
    "gradient": ("gradient", "梯度"),
    "probability": ("probability", "概率"),
}
SIDES: dict[str, Pair] = {
    "left": ("left", "左侧"), "right": ("right", "右侧"), "bilateral": ("both sides", "双侧"),
    "midline": ("midline", "中线"),
}  # fmt: skip
ZONES: dict[str, Pair] = {
    "upper": ("upper zone", "上野"), "middle": ("middle zone", "中野"), "lower": ("lower zone", "下野"),
    "hilar": ("hilar", "肺门"), "diffuse": ("diffuse", "弥漫"),
}  # fmt: skip
SEVERITIES: dict[str, Pair] = {
    "minimal": ("minimal", "微量"), "mild": ("mild", "轻度"), "moderate": ("moderate", "中度"),
    "severe": ("severe", "重度"),
}  # fmt: skip
HEDGES: dict[str, Pair] = {"likely": ("likely", "考虑"), "possible": ("possible", "不除外")}


def say(key: str, language: str, **values: object) -> str:
    """The sentence of that key in ``language`` (``"en"`` or ``"zh"``)."""
    return pick(TEXTS[key], language).format(**values) if values else pick(TEXTS[key], language)


def both(key: str) -> str:
    """The sentence in both languages, for words that must be read by everyone."""
    return " / ".join(TEXTS[key])


def pick(pair: Pair, language: str) -> str:
    """One of a pair."""
    return pair[1] if language == "zh" else pair[0]


def name_of(table: dict[str, Pair], key: str, language: str) -> str:
    """The shown name of a key; a key that has none is shown as it is, underscores opened."""
    return pick(table[key], language) if key in table else key.replace("_", " ")


def finding_name(finding: Finding, language: str) -> str:
    """What the finding would be if it were there: ``Small right pleural effusion``, ``右侧胸腔少量积液``.

    Polarity and hedge are shown beside the name, never by it.
    """
    if finding.code not in VOCABULARY:  # of an external labeller
        return finding.code.replace("_", " ")
    plain = replace(finding, polarity="present", certainty="definite", change=None, contradicted=False)
    return describe(plain, language)


def doubt(claim: Claim, grade: MapGrade | None) -> Pair | None:
    """Why a shown map is no proof that the model relied on the right place; None where nothing speaks against it."""
    if claim != "relied_on" or grade is None or grade.grade != "weak":
        return None
    return TEXTS["other_side_means" if grade.other_side else "outside_means" if grade.outside else "weak_means"]


def grade_word(grade: Grade, language: str) -> str:
    """``verified`` / ``weak`` / ``not shown`` as people see it."""
    return pick(GRADE_WORDS[grade], language)


def quadrant_word(quadrant: Quadrant, language: str) -> str:
    """``grounded`` / ``unstable`` / ``not image-based`` / … as people see it."""
    return pick(QUADRANT_WORDS[quadrant], language)


def probability(value: float) -> str:
    """A probability with two digits, never rounded to certainty: 0.997 reads >0.99."""
    if value > 0.995:
        return ">0.99"
    return "<0.01" if value < 0.005 else f"{value:.2f}"
