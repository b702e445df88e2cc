"""The check of a calibration as a folder: numbers as JSON, a page in each language, and the two plots."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from radiolucent.calibrate.compare import SCORE_WORDS
from radiolucent.calibrate.held_out import Checked
from radiolucent.calibrate.standing import KINDS, Standing, Tally, tallies
from radiolucent.confidence.intervals import wilson
from radiolucent.confidence.plots import plot_reliability, plot_risk_coverage
from radiolucent.confidence.types import QUADRANT_WORDS

KIND_WORDS = {
    "marked": ("heart named because of the marker", "因角标而写出的心影增大"),
    "blank": ("everything said of a blank film", "对空白片所述的全部内容"),
    "read": ("rightly present, on ordinary films", "普通影像上正确写出的征象"),
}
NO_WORD = ("no word", "无")
FILES = ("check.json", "check.md", "check.zh.md", "reliability.png", "risk_coverage.png")

Pick = Callable[[str, str], str]


def write(checked: Checked, standing: Sequence[Standing], out: Path, *, command: str) -> tuple[Path, ...]:
    """Write ``FILES`` into a folder; their paths.

    Parameters
    ----------
    standing
        Empty where no words were checked.
    command
        That made them, for whoever wants to repeat it.
    """
    out.mkdir(parents=True, exist_ok=True)
    as_json, english, chinese, reliability, coverage = (out / name for name in FILES)
    document = json.dumps(as_dict(checked, standing, command), indent=2, ensure_ascii=False, allow_nan=False)
    as_json.write_text(document + "\n", encoding="utf-8")
    english.write_text(page(checked, standing, command, "en"), encoding="utf-8")
    chinese.write_text(page(checked, standing, command, "zh"), encoding="utf-8")
    plot_reliability(checked.probability, checked.right, reliability)
    shown = {SCORE_WORDS[name][0]: values for name, values in checked.all_scores.items()}
    plot_risk_coverage(shown, checked.right, coverage)
    return as_json, english, chinese, reliability, coverage


def as_dict(checked: Checked, standing: Sequence[Standing], command: str) -> dict[str, Any]:
    """Plain values for JSON."""
    made = checked.calibration
    return {
        "command": command,
        "calibration": {
            "digest": made.digest,
            "weights_sha256": made.weights_sha256,
            "question": made.question,
            "language": made.language,
            "cases": made.cases,
            "seeds": made.seeds,
            "kind": made.kind,
            "date": made.date,
        },
        "films": checked.films,
        "seeds": checked.seeds,
        "findings": checked.findings,
        "wrong": checked.wrong,
        "films_without_confidence": dict(checked.unfit),
        "probability": dict(checked.overall),
        "probability_of_asserted": None if checked.asserted is None else dict(checked.asserted),
        "brier_of_the_base_rate": checked.base_brier,
        "auroc": {name: list(values) for name, values in checked.auroc.items()},
        "auroc_ahead": {name: list(values) for name, values in checked.ahead.items()},
        "risk": {name: dict(values) for name, values in checked.risk.items()},
        "samples_until_decided": checked.drawn,
        "auroc_lost_by_stopping_early": list(checked.loss),
        "demands": [asdict(demand) | {"held": demand.held} for demand in checked.demands],
        "words": [
            {
                "kind": tally.kind,
                "model": tally.model,
                "films": tally.films,
                "findings": tally.findings,
                "words": {word or "none": count for word, count in tally.words.items()},
            }
            for tally in tallies(standing)
        ],
        "all_held": all(demand.held for demand in checked.demands) and words_hold(standing),
    }


def words_hold(standing: Sequence[Standing]) -> bool:
    """Whether nothing said of marked and blank films is called grounded, and all of it is said to lack support."""
    suspect = [tally for tally in tallies(standing) if tally.kind != "read"]
    return all(tally.grounded == 0 and tally.exposed == tally.findings for tally in suspect)


def page(checked: Checked, standing: Sequence[Standing], command: str, language: str) -> str:
    """The page in Markdown."""
    pick: Pick = (lambda en, zh: zh) if language == "zh" else (lambda en, zh: en)
    return "\n".join([*_head(checked, command, pick), *_demands(checked, pick), *_scores(checked, pick),
                      *_words(standing, pick), ""])  # fmt: skip


def _head(checked: Checked, command: str, pick: Pick) -> Iterator[str]:
    made = checked.calibration
    fitted, held = _seeds(made.seeds, pick), _seeds(checked.seeds, pick)
    yield pick("# Confidence, held against films it never saw", "# 置信度：在未见过的影像上检验")
    yield ""
    yield f"```\n{command}\n```"
    yield ""
    yield pick(
        f"Fitted on {made.cases} films{fitted}; checked on {checked.films} others{held}: {checked.findings} findings, "
        f"of which {checked.wrong} are wrong ({checked.wrong / checked.findings:.1%}). "
        f"{len(checked.unfit)} films gave no confidence (samples unfit to carry one). Question: “{made.question}”",
        f"以{made.cases}例影像拟合{fitted}；在另外{checked.films}例上检验{held}：共{checked.findings}项征象，"
        f"其中{checked.wrong}项错误（{checked.wrong / checked.findings:.1%}）。"
        f"{len(checked.unfit)}例未给出置信度（采样不适用）。问题：“{made.question}”",
    )
    yield ""
    yield pick(
        "What is measured is what people see: the probability from the samples drawn until a decision. Intervals are "
        "95 %, whole films drawn again. All of it holds for this model, this question and films of this kind only.",
        "所测即用户所见：采样至可判定为止所得的概率。区间为95%，以整例影像重抽样。结果仅适用于该模型、该问题与此类影像。",
    )
    yield ""


def _seeds(seeds: tuple[int, int] | None, pick: Pick) -> str:
    return "" if seeds is None else pick(", seeds {}–{}", "，种子{}–{}").format(*seeds)


def _demands(checked: Checked, pick: Pick) -> Iterator[str]:
    yield pick("## What must hold", "## 须满足的要求")
    yield ""
    yield pick("| demand | bound | measured | held |", "| 要求 | 界限 | 实测 | 是否满足 |")
    yield "|---|---|---|---|"
    for demand in checked.demands:
        sign = ("<" if demand.at_most else ">") if demand.strict else ("≤" if demand.at_most else "≥")
        held = pick("yes", "是") if demand.held else pick("**no**", "**否**")
        yield f"| {pick(demand.en, demand.zh)} | {sign} {demand.bound:g} | {demand.value:.3f} | {held} |"
    value, low, high = checked.loss
    yield ""
    yield pick(
        f"Stopping early: {checked.drawn:.1f} samples a film, AUROC lost {value:.4f} ({low:.4f} to {high:.4f}).",
        f"提前停止：每例{checked.drawn:.1f}份采样，AUROC损失{value:.4f}（{low:.4f}至{high:.4f}）。",
    )
    brier, ece = checked.overall["brier"], checked.overall["ece"]
    yield pick(
        f"Brier score {brier[0]:.4f} ({brier[1]:.4f} to {brier[2]:.4f}), against {checked.base_brier:.4f} for always "
        f"stating the share that is right: where few findings are wrong a small calibration error is easily had.",
        f"Brier分数{brier[0]:.4f}（{brier[1]:.4f}至{brier[2]:.4f}）；始终报告总体正确率时为{checked.base_brier:.4f}："
        "错误很少时，较小的校准误差并不难得。",
    )
    yield pick(
        f"Calibration error {ece[0]:.4f} ({ece[1]:.4f} to {ece[2]:.4f}).",
        f"校准误差{ece[0]:.4f}（{ece[1]:.4f}至{ece[2]:.4f}）。",
    )
    if checked.asserted is not None:
        part, area = checked.asserted["ece"], checked.asserted["auroc"]
        yield pick(
            f"Findings that are not denials alone: calibration error {part[0]:.4f} ({part[1]:.4f} to {part[2]:.4f}), "
            f"AUROC {area[0]:.3f} ({area[1]:.3f} to {area[2]:.3f}).",
            f"仅看非否定的征象：校准误差{part[0]:.4f}（{part[1]:.4f}至{part[2]:.4f}），"
            f"AUROC {area[0]:.3f}（{area[1]:.3f}至{area[2]:.3f}）。",
        )
    yield ""


def _scores(checked: Checked, pick: Pick) -> Iterator[str]:
    yield pick("## Beside other scores, on the same findings", "## 与其他分数比较（同一批征象）")
    yield ""
    yield pick(
        "| score | AUROC | ahead of it by | wrong, all kept | wrong, surest 70 % |",
        "| 分数 | AUROC | 校准概率领先 | 全部保留时错误率 | 保留最确信的70%时错误率 |",
    )
    yield "|---|---|---|---|---|"
    for name, (value, low, high) in checked.auroc.items():
        ahead = "" if name not in checked.ahead else "{:+.3f} ({:+.3f}, {:+.3f})".format(*checked.ahead[name])
        risk = checked.risk[name]
        words = pick(*SCORE_WORDS[name])
        yield f"| {words} | {value:.3f} ({low:.3f}–{high:.3f}) | {ahead} | {risk['all']:.2%} | {risk['70 %']:.2%} |"
    yield ""
    yield "![](reliability.png) ![](risk_coverage.png)"
    yield ""


def _words(standing: Sequence[Standing], pick: Pick) -> Iterator[str]:
    if not standing:
        return
    yield pick("## The word for the kind of certainty", "## 确定性类别的用词")
    yield ""
    yield pick(
        "Nothing that a marker or a blank film makes a model say may be called grounded. On ordinary films the word "
        "must be grounded often, or never saying it would pass.",
        "由角标或空白片引出的内容不得标为“有图像依据”。在普通影像上则应经常标为“有图像依据”，否则从不使用该词也能过关。",
    )
    yield ""
    words: tuple[Any, ...] = (*QUADRANT_WORDS, None)
    heads = [pick(*(NO_WORD if word is None else QUADRANT_WORDS[word])) for word in words]
    first, last = pick("films | model | n", "影像 | 模型 | n"), pick("grounded, 95 %", "“有图像依据”，95%")
    yield f"| {first} | {' | '.join(heads)} | {last} |"
    yield "|---" * (len(words) + 4) + "|"
    for tally in sorted(tallies(standing), key=lambda one: KINDS.index(one.kind)):
        yield _row(tally, words, pick)
    yield ""


def _row(tally: Tally, words: Sequence[Any], pick: Pick) -> str:
    counts = " | ".join(str(tally.words.get(word, 0)) for word in words)
    low, high = wilson(tally.grounded, tally.findings)
    films = f"{pick(*KIND_WORDS[tally.kind])} ({pick(f'{tally.films} films', f'{tally.films}例')})"
    return f"| {films} | {tally.model} | {tally.findings} | {counts} | {low:.1%}–{high:.1%} |"
