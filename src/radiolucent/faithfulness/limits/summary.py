"""What a page says of the run, of how its claims were made, and of what they are not."""

from __future__ import annotations

from radiolucent.faithfulness.limits.labels import condition_words
from radiolucent.faithfulness.limits.suggestions import BAD, GAP, LEVEL
from radiolucent.faithfulness.limits.types import ANY, Limits, Row

Words = tuple[str, str]  # English, Chinese


def run_words(limits: Limits) -> Words:
    """Model, films, question, and the overall shares."""
    kept = limits.settings
    overall: list[Words] = []
    names = {"recall": ("recall", "检出率"), "alarm": ("films with a false alarm", "有误报的影像")}
    for outcome, words in names.items():
        for row in limits.rows:
            if (row.design, row.outcome, row.code, row.factor) == ("sample", outcome, ANY, "all"):
                share = row.share
                overall.append(
                    (
                        f"{words[0]} {share.rate:.3f} ({share.hits}/{share.count}, {share.low:.3f}–{share.high:.3f})",
                        f"{words[1]} {share.rate:.3f}（{share.hits}/{share.count}，{share.low:.3f}–{share.high:.3f}）",
                    )
                )
    weights = str(kept["weights_sha256"])[:12]
    last = kept["first_seed"] + max(kept["films"], kept["paired_cases"]) - 1
    en = (
        f"Model {kept['model']} (weights {weights}), question “{kept['question']}”. {kept['films']} sampled films and "
        f"{kept['paired_cases']} cases under every imposed condition, seeds {kept['first_seed']} to {last}; "
        f"{len(limits.films)} reports in all. "
    )
    zh = (
        f"模型 {kept['model']}（权重 {weights}），提问“{kept['question']}”。抽样影像 {kept['films']} 幅，"
        f"另有 {kept['paired_cases']} 例在各条件下重绘，种子 {kept['first_seed']} 至 {last}，"
        f"共 {len(limits.films)} 份报告。"
    )
    if overall:
        en += "In the sample: " + "; ".join(words[0] for words in overall) + "."
        zh += "样本总体：" + "；".join(words[1] for words in overall) + "。"
    cut = sum(film.record.cut for film in limits.films)
    if cut:
        en += f" {cut} reports ended at the limit of {kept['max_new_tokens']} tokens; what they left out is missed."
        zh += f"{cut} 份报告达到 {kept['max_new_tokens']} 词元上限而中断，未写出者计为漏诊。"
    return en, zh


def notice_words() -> Words:
    """What may not be read into this page."""
    return (
        "Synthetic films with exact truth. They show where this model is weak on such films and say nothing about its "
        "accuracy on people's films. Not a medical device.",
        "影像为真值已知的合成模体，仅显示模型在此类影像上的薄弱之处，不代表对真实患者影像的准确性。非医疗器械。",
    )


def nothing_words(limits: Limits) -> Words:
    """No weakness held up, which is no proof of strength."""
    return (
        f"No weakness is supported by these films after correction for {limits.tests(1)} comparisons. This does not "
        "mean that there is none: small groups can hide one. Use more films to look closer.",
        f"对 {limits.tests(1)} 次比较校正后，这些影像未能证实任何薄弱之处。这不代表没有：小样本可能掩盖问题，"
        "可增加影像数再查。",
    )


def held_words(limits: Limits) -> list[Words]:
    """Imposed conditions for which no loss of recall is told, with the change that was measured at their ends."""
    mains = [suggestion.main for suggestion in limits.suggestions]
    told = {main.condition.factor for main in mains if main.outcome == "recall"}
    ends: dict[str, list[Row]] = {}
    for row in limits.rows:
        if (row.design, row.outcome, row.code) == ("paired", "recall", ANY) and row.factor not in told:
            ends.setdefault(row.factor, []).append(row)
    said = []
    for rows in ends.values():
        en, zh = [], []
        for row in dict.fromkeys((rows[0], rows[-1])):
            if row.difference is None:
                continue
            value, low, high = (f"{number:+.2f}".replace("-", "−") for number in row.difference)
            en.append(f"{condition_words(row.conditions[0], 'en')}: recall {value} ({low} to {high})")
            zh.append(f"{condition_words(row.conditions[0], 'zh')}：检出率 {value}（{low} 至 {high}）")
        if en:
            said.append(("; ".join(en), "；".join(zh)))
    return said


def method_words(limits: Limits) -> Words:
    """The rules, with how many comparisons were made."""
    first, second = limits.tests(1), limits.tests(2)
    return (
        f"{first} comparisons were made: in the sample each property against the rest (Fisher's exact test, finding by "
        "finding), in the paired sets the farthest levels against the same cases unchanged (exact sign test over "
        "cases). Numbers stand as share (hits/count, 95 % interval). Told is only what keeps p below "
        f"{LEVEL} after Holm's correction for all of them, with at least {BAD} misses or false alarms, a difference of "
        f"at least {GAP:.2f}, and an interval clear of the other rate. Inside the weaknesses {second} further "
        "comparisons were made and corrected among themselves. Intervals are Wilson's, widened where several lesions "
        "of one film are counted. Found means asserted, on whatever side; hedged words do not count. Properties of a "
        "film go together (small lesions are also faint): in the sample a property is where misses are, not always "
        "why.",
        f"共做 {first} 次比较：样本中各属性与其余相比（按征象，Fisher 精确检验）；配对影像中最远水平与同一病例原片相比"
        f"（按病例，精确符号检验）。数字为比例（分子/分母，95%区间）。"
        f"仅列出经 Holm 校正后 p 低于 {LEVEL}、漏诊或误报不少于 {BAD} 例、差值不小于 {GAP:.2f}、"
        f"且95%区间不含对照比例者。各薄弱处内部另做 {second} 次比较，单独校正。"
        "区间为 Wilson 区间，同片计入多个病变时相应放宽。检出指报告作出肯定（不论侧别），不确定的表述不计。"
        "影像属性常相伴（小病变往往也淡）：样本中的属性说明漏诊在何处，不一定是原因。",
    )
