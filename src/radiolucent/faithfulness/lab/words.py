"""Headings and notes of the comparison's report, in English and Chinese."""

from __future__ import annotations

from radiolucent.faithfulness.lab.randomise import STAGES
from radiolucent.faithfulness.table import MEASURES

Pair = tuple[str, str]  # (English, Chinese)

TEXTS: dict[str, Pair] = {
    "title": ("Explanation methods compared", "解释方法比较"),
    "not_device": ("Not a medical device.", "非医疗器械。"),
    "localisation": ("Does the map point at the lesion?", "热图是否指向病灶？"),
    "perturbation": ("Is the map faithful to the model?", "热图是否忠实于模型？"),
    "sanity": ("Does the map depend on the model, and stay steady?", "热图是否依赖模型且稳定？"),
    "cost": ("What a map costs", "单张热图的开销"),
    "statements": ("What it shows", "结论"),
    "holds": ("holds", "成立"),
    "fails": ("does not hold", "不成立"),
    "told": ("value", "数值"),
    "hits": ("Pointing hit rate with 95 % interval", "命中率与 95% 区间"),
    "curves": ("Words' log-probability as cells are hidden", "逐步遮挡时语句对数概率的变化"),
    "cost_plot": ("Cost and hit rate", "开销与命中率"),
    "cascade": ("Maps of a model whose weights are randomised", "模型权重随机化后的热图"),
    "examples": ("Best and worst cases of each method", "各方法的最佳与最差病例"),
    "best": ("best", "最佳"),
    "worst": ("worst", "最差"),
    "method": ("method", "方法"),
    "claim": ("claim", "主张"),
    "findings": ("findings", "征象数"),
    "films": ("films", "影像数"),
    "empty": ("empty maps", "空图数"),
    "over_baseline": ("hit rate over best baseline", "命中率超出最佳基线"),
    "randomised_ssim": ("randomised, SSIM (bar)", "随机化后 SSIM（界限）"),
    "randomised_rank": ("randomised, rank (bar)", "随机化后秩相关（界限）"),
    "passed": ("depends on weights", "依赖权重"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "chance": ("chance", "随机"),
    "share_hidden": ("share of cells hidden", "遮挡比例"),
    "nats": ("nats against the whole picture", "相对完整图像（nats）"),
    "seconds_axis": ("seconds a map", "每张热图秒数"),
    "hit": ("hit", "命中"),
    "hit_axis": ("hit rate", "命中率"),
    "similarity": ("similarity to the trained model's map", "与原模型热图的相似度"),
    "bar": ("bar: maps of different films", "界限：不同影像的热图"),
    "morf": ("most relevant first", "先遮最相关"),
    "lerf": ("least relevant first", "先遮最不相关"),
    "random_order": ("random order", "随机顺序"),
    "film_map": ("film, true outline, map", "影像、真实轮廓、热图"),
    "raw_grid": ("raw grid", "原始网格"),
    "no_map": ("the method found nothing", "该方法未得到热图"),
    "settings": ("Settings", "设置"),
    "failed": ("Films that could not be examined", "未能处理的影像"),
    "no_measure": ("not measured", "未测量"),
    "baseline": ("baseline", "基线"),
    "attended": ("attended", "关注"),
    "sensitive": ("sensitive to", "敏感"),
    "relied_on": ("relied on", "依赖"),
    "plausible": ("plausible", "合理"),
}

NOTES: dict[str, Pair] = {
    "films": (
        "{films} films ({title}) hold {lesions} lesions. The report rightly named {asserted} of them; "
        "{explained} of these findings are compared.",
        "{films} 张影像（{title}）共含 {lesions} 处病灶；报告正确描述 {asserted} 处，其中 {explained} 处用于比较。",
    ),
    "swap": (
        "Left out: {dropped} findings whose words do not need the lesion, that is, lose less than {nats:.2f} nats on "
        "the same film without it. {share:.0%} of the findings passed.",
        "略去 {dropped} 处：在去除病灶的同一影像上，语句损失不足 {nats:.2f} nats，即不依赖病灶。"
        "{share:.0%} 的征象通过。",
    ),
    "no_swap": (
        "These films have no counterpart without the lesion, so that findings whose words do not need it could not be "
        "left out, and there is no counterfactual fill.",
        "这些影像没有去除病灶的对照，无法略去不依赖病灶的征象，也没有反事实填充。",
    ),
    "intervals": (
        "Brackets: 95 % bootstrap intervals over films. Localisation, cost: all {explained} findings. Judged on each "
        "map's own grid, true outline carried to it as exact area. An empty map counts as a miss.",
        "括号内为按影像重抽样的 95% 区间。定位与开销基于全部 {explained} 处征象，在热图自身网格上评判，"
        "真实轮廓按精确面积换算；空图计为未命中。",
    ),
    "perturbed": (
        "Films, drawn by the seed: {films}; findings: {findings}. Gap: area between the curves with the "
        "least and the most relevant cells hidden first (read backwards, the former is insertion), less that of random "
        "orders; above 0 is faithful. Infidelity: 1 is as good as no map. Cells are hidden in the soft tokens.",
        "按种子抽取影像 {films} 张，征象 {findings} 处。差距：先遮最不相关（反向即插入）与先遮最相关两曲线之间的"
        "面积，减去随机顺序；大于 0 为忠实。不忠实度为 1 等同于无图。遮挡作用于图像软标记。",
    ),
    "fills": (
        "A fill's gap rests on the findings whose words lose at least {nats:.2f} nats with everything hidden by it, "
        "since a fill that hides nothing tells nothing: {counts}.",
        "各填充的差距只计入以该填充遮去全部后语句至少损失 {nats:.2f} nats 的征象（遮不住的填充不说明问题）：{counts}。",
    ),
    "not_perturbed": (
        "Not measured in this run; `--faithfulness-on` asks for it.",
        "本次未测量；可用 `--faithfulness-on` 指定。",
    ),
    "checked": (
        "Films, drawn by the seed: {films}; findings: {findings}. A method depends on the weights if, with "
        "all of them randomised, its maps are less like the trained model's than maps of different films are (the "
        "bar). Shift, seed, bfloat16: rank correlation of the map made again with its first form.",
        "按种子抽取影像 {films} 张，征象 {findings} 处。若权重全部随机化后，热图与原模型热图的相似度"
        "低于不同影像热图之间的相似度（界限），则该方法依赖权重。平移、种子、bfloat16 为重做热图与原图的秩相关。",
    ),
    "not_checked": (
        "Not measured in this run; `--sanity-on` asks for it.",
        "本次未测量；可用 `--sanity-on` 指定。",
    ),
    "cost": (
        "Passes: what one map costs alone. Encodes and seconds: measured, all of a film's findings together, shared "
        "out evenly.",
        "前向与反向次数为单张热图单独所需；编码次数与秒数为同一影像全部征象共同实测后均摊。",
    ),
    "examples": (
        "By AUPRC; at most one finding a film. White: true outline. Red speaks for the words, blue against. Each map "
        "is scaled to its own largest value. R, L: the patient's sides.",
        "按 AUPRC 排序，每张影像至多一处征象。白线为真实轮廓；红色支持该语句，蓝色相反。各图按自身最大值缩放。"
        "R、L 为患者右、左。",
    ),
    "failed": (
        "{failed} of {films} films could not be examined; the numbers are of the others.",
        "{films} 张影像中有 {failed} 张未能处理；数值基于其余影像。",
    ),
}

STAGE_WORDS: dict[str, Pair] = dict(
    zip(
        STAGES,
        (
            ("language 1/3", "语言 1/3"),
            ("language 2/3", "语言 2/3"),
            ("language", "语言"),
            ("+ projector", "＋投影层"),
            ("+ vision", "＋视觉"),
        ),
        strict=True,
    )
)

FILL_WORDS: dict[str, Pair] = {
    "mean": ("mean", "均值"),
    "blur": ("blur", "模糊"),
    "blank": ("blank", "空白"),
    "counterfactual": ("counterfactual", "反事实"),
    "road": ("ROAD", "ROAD"),
}

GROUPS: dict[str, tuple[str, ...]] = {
    "localisation": (
        "hit", "energy", "auc", "average_precision", "rank_accuracy", "iou_otsu", "iou_best", "iou_share", "chance",
    ),
    "perturbation": (
        "gap_mean", "gap_blur", "gap_blank", "gap_counterfactual", "gap_road", "sensitivity", "infidelity",
        "necessity", "sufficiency",
    ),
    "sanity": ("repeat_shift", "repeat_seed", "repeat_precision"),
    "cost": ("forwards", "backwards", "encodes", "seconds", "verified", "hit_verified"),
}  # fmt: skip

_BY_NAME = {measure.name: measure for measure in MEASURES}


def text(key: str, language: str) -> str:
    """A heading in ``language``."""
    return TEXTS[key][1 if language == "zh" else 0]


def both(pair: Pair) -> str:
    """English and Chinese on one line."""
    return pair[0] if pair[0] == pair[1] else f"{pair[0]} · {pair[1]}"


def measure_title(name: str) -> Pair:
    """Heading of a column."""
    return _BY_NAME[name].en, _BY_NAME[name].zh
