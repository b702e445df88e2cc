"""What the comparison must show, checked on its own numbers and printed whether it holds or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from radiolucent.attribution.defaults import DEFAULTS, LEVEL_DEFAULTS
from radiolucent.faithfulness.baselines import BASELINES
from radiolucent.faithfulness.lab.choice import Choice, choose
from radiolucent.faithfulness.lab.words import FILL_WORDS, TEXTS, measure_title
from radiolucent.faithfulness.metrics import Interval
from radiolucent.faithfulness.table import MethodRow

LAST_LAYER = "attention:final"
GAPS = tuple(f"gap_{fill}" for fill in FILL_WORDS)


@dataclass(frozen=True)
class Statement:
    """One sentence about the table.

    Parameters
    ----------
    holds
        None where a value is only told.
    """

    name: str
    en: str
    zh: str
    holds: bool | None = None


def statements(rows: Sequence[MethodRow]) -> tuple[Statement, ...]:
    """Everything that can be said of the defaults among the methods compared; nothing where none was."""
    defaults = [row for row in rows if row.method in default_methods()]
    baselines = [row for row in rows if row.method in BASELINES]
    if not defaults:
        return ()
    made = [*_choices(rows), *_beaten("hit", defaults, baselines)]
    for gap in GAPS:
        made += _beaten(gap, defaults, baselines)
    return (*made, *_last_layer(rows), *_destroyed(defaults))


def default_methods() -> tuple[str, ...]:
    """Every method that is some level's default, each once."""
    return tuple(dict.fromkeys(name for claims in LEVEL_DEFAULTS.values() for name in claims.values()))


def beats(row: MethodRow, other: MethodRow, measure: str) -> bool:
    """Whether a method's interval lies wholly above another's."""
    return row.measures[measure].low > other.measures[measure].high


def _choices(rows: Sequence[MethodRow]) -> Iterable[Statement]:
    compared = {row.method for row in rows}
    for claim in DEFAULTS:
        levels: dict[tuple[str, Choice], list[str]] = {}
        for level, named in LEVEL_DEFAULTS.items():
            choice = choose(rows, claim, level)
            if choice is not None and named.get(claim) in compared:
                key = named[claim], Choice(claim, "", choice.best, choice.tied)
                levels.setdefault(key, []).append(level)
        for (default, choice), told in levels.items():
            yield Statement(
                f"default_{claim}_{told[0]}",
                f"Default for “{TEXTS[claim][0]}” at {', '.join(told)}: {default}. Best hit rate at that price: "
                f"{choice.best}; within its interval, cheapest first: {', '.join(choice.tied)}.",
                f"{'、'.join(told)} 级“{TEXTS[claim][1]}”的默认方法：{default}。该开销内命中率最高：{choice.best}；"
                f"与其区间重叠者（由省到费）：{'、'.join(choice.tied)}。",
                default == choice.chosen,
            )


def _beaten(measure: str, defaults: Sequence[MethodRow], baselines: Sequence[MethodRow]) -> Iterable[Statement]:
    measured = [row for row in defaults if measure in row.measures]
    against = [row for row in baselines if measure in row.measures]
    if not measured or not against:
        return
    lost = [
        f"{row.method} {_told(row.measures[measure])} – {other.method} {_told(other.measures[measure])}"
        for row in measured
        for other in against
        if not beats(row, other, measure)
    ]
    worst = min(measured, key=lambda row: row.measures[measure].low)
    best = max(against, key=lambda row: row.measures[measure].high)
    what = measure_title(measure)
    en = (
        f"Every default beats random, edges and centre prior, intervals apart: {what[0]}. The lowest default is "
        f"{worst.method} {_told(worst.measures[measure])}, the highest baseline {best.method} "
        f"{_told(best.measures[measure])}."
    )
    zh = (
        f"各默认方法均高于随机、边缘与中心先验，且区间不重叠：{what[1]}。默认方法最低为 {worst.method} "
        f"{_told(worst.measures[measure])}，基线最高为 {best.method} {_told(best.measures[measure])}。"
    )
    if lost:
        en += f" Not apart: {'; '.join(lost)}."
        zh += f"未分开：{'；'.join(lost)}。"
    yield Statement(f"beats_{measure}", en, zh, not lost)


def _last_layer(rows: Sequence[MethodRow]) -> Iterable[Statement]:
    for row in rows:
        if row.method == LAST_LAYER:
            told = _told(row.measures["hit"])
            yield Statement(
                "last_layer",
                f"The last layer's mean attention, the usual tutorial map, points into the lesion in {told}.",
                f"末层平均注意力（常见教程做法）的命中率为 {told}。",
            )


def _destroyed(defaults: Sequence[MethodRow]) -> Iterable[Statement]:
    checked = [row for row in defaults if row.cascade]
    if not checked:
        return
    told = "; ".join(f"{row.method} {_cascade(row)}" for row in checked)
    yield Statement(
        "randomised",
        "With all weights randomised, every default map is less like the trained model's than random pairs of its "
        f"maps are (in brackets): {told}.",
        f"权重全部随机化后，各默认方法的热图与原图的相似度均低于其随机图对的均值（括号内）：{told}。",
        all(verdict.passed for row in checked for verdict in row.cascade.values()),
    )


def _cascade(row: MethodRow) -> str:
    return ", ".join(f"{name} {found.similarities[-1]:.2f} ({found.bar:.2f})" for name, found in row.cascade.items())


def _told(found: Interval) -> str:
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
