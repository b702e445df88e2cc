"""One line a method: what was measured on many films joined, with bootstrap intervals.

Intervals are percentile bootstraps over films, not findings: two findings of one film are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.registry import method as method_of
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.baselines import BASELINES
from radiolucent.faithfulness.lab.case import FLIP_NATS
from radiolucent.faithfulness.lab.randomise import STAGES
from radiolucent.faithfulness.lab.records import CaseRecord, Curve, Score
from radiolucent.faithfulness.metrics import (
    CascadeVerdict,
    Interval,
    bootstrap,
    cascade_verdict,
    paired_difference,
    random_pair_bar,
)

Of = Callable[[Score], float | None]


@dataclass(frozen=True)
class Measure:
    """A column of the table.

    Parameters
    ----------
    en, zh
        Heading.
    of
        Score -> number; None where it was not measured, or cannot be.
    better
        1 where higher is better, -1 where lower is, 0 where neither.
    digits
        After the point.
    """

    name: str
    en: str
    zh: str
    of: Of
    better: int = 1
    digits: int = 3

    def title(self, language: str) -> str:
        """The heading in ``language``."""
        return self.zh if language == "zh" else self.en


def _excess(fill: str) -> Of:
    def of(score: Score) -> float | None:
        if score.perturbed is None:
            return None
        return next((one.excess for one in score.perturbed.curves if one.fill == fill and hides(one)), None)

    return of


def hides(curve: Curve) -> bool:
    """Whether the fill takes the evidence away: with everything hidden, the words must lose ``FLIP_NATS``.

    Where the whole picture can be hidden at no cost (a blur that leaves a large lesion), an order of hiding says
    nothing. ROAD hides a part at most and is always taken.
    """
    return curve.hidden[-1] < 1 or curve.morf[0] - curve.morf[-1] >= FLIP_NATS


def _sensitivity(score: Score) -> float | None:
    return None if score.perturbed is None else float(np.mean(score.perturbed.sensitivity))


def _repeat(check: str, part: int) -> Of:
    def of(score: Score) -> float | None:
        pair = None if score.sanity is None else getattr(score.sanity, check)
        return None if pair is None else float(pair[part])

    return of


MEASURES: tuple[Measure, ...] = (
    Measure("hit", "hit rate", "命中率", lambda s: s.hit),
    Measure("energy", "energy in mask", "掩膜内能量", lambda s: s.energy),
    Measure("auc", "rank AUC", "排序 AUC", lambda s: s.auc),
    Measure("average_precision", "AUPRC", "AUPRC", lambda s: s.average_precision),
    Measure("rank_accuracy", "rank accuracy", "排序准确率", lambda s: s.rank_accuracy),
    Measure("iou_otsu", "IoU (Otsu)", "IoU（Otsu 阈值）", lambda s: s.iou_otsu),
    Measure("iou_best", "IoU (best threshold)", "IoU（最佳阈值）", lambda s: s.iou_best),
    Measure("iou_ceiling", "IoU ceiling of the grid", "网格 IoU 上限", lambda s: s.iou_ceiling, 0),
    Measure("iou_share", "IoU (Otsu) ÷ ceiling", "IoU ÷ 上限", lambda s: s.iou_otsu / s.iou_ceiling),
    Measure("chance", "hit rate of chance", "随机命中率", lambda s: s.chance, 0),
    Measure("gap_mean", "gap over random, mean fill (nats)", "超出随机的差距，均值填充（nats）", _excess("mean")),
    Measure("gap_blur", "gap over random, blur fill (nats)", "超出随机的差距，模糊填充（nats）", _excess("blur")),
    Measure("gap_blank", "gap over random, blank fill (nats)", "超出随机的差距，空白填充（nats）", _excess("blank")),
    Measure(
        "gap_counterfactual",
        "gap over random, counterfactual fill (nats)",
        "超出随机的差距，反事实填充（nats）",
        _excess("counterfactual"),
    ),
    Measure("gap_road", "gap over random, ROAD (nats)", "超出随机的差距，ROAD（nats）", _excess("road")),
    Measure("sensitivity", "sensitivity-n", "敏感度-n", _sensitivity),
    Measure(
        "infidelity", "infidelity", "不忠实度", lambda s: None if s.perturbed is None else s.perturbed.infidelity, -1
    ),
    Measure("necessity", "necessity", "必要性", lambda s: None if s.perturbed is None else s.perturbed.necessity),
    Measure("sufficiency", "sufficiency", "充分性", lambda s: None if s.perturbed is None else s.perturbed.sufficiency),
    Measure("repeat_seed", "another seed (rank)", "更换随机种子（秩相关）", _repeat("seed", 1)),
    Measure("repeat_shift", "shift of 2 px (rank)", "平移 2 像素（秩相关）", _repeat("shift", 1)),
    Measure("repeat_precision", "bfloat16 (rank)", "bfloat16（秩相关）", _repeat("precision", 1)),
    Measure("forwards", "passes", "前向次数", lambda s: float(s.forwards), -1, 0),
    Measure("backwards", "backward passes", "反向次数", lambda s: float(s.backwards), -1, 0),
    Measure("encodes", "image encodes", "图像编码次数", lambda s: s.encodes, -1, 1),
    Measure("seconds", "seconds", "秒", lambda s: s.seconds, -1, 2),
    Measure("verified", "graded verified", "评为已验证", lambda s: _share(s.grade), 0),
    Measure("hit_verified", "hit rate of those", "其命中率", lambda s: s.hit if s.grade == "verified" else None),
)


def _share(grade: str | None) -> float | None:
    return None if grade is None else float(grade == "verified")


@dataclass(frozen=True)
class MethodRow:
    """A method's line in the table.

    Parameters
    ----------
    claim
        The method's, or ``baseline``.
    findings, films
        That its maps were made for.
    empty
        Maps that were nothing.
    measures
        Name of :data:`MEASURES` -> mean with its 95 % interval; absent where it was not measured.
    over_baseline
        Hit rate less that of the best baseline, paired by finding; None for baselines and for fewer than two films.
    cascade
        ``ssim`` and ``rank`` -> what weight randomisation did to the maps; empty where it was not measured.
    """

    method: str
    claim: str
    findings: int
    films: int
    empty: int
    measures: Mapping[str, Interval]
    over_baseline: Interval | None = None
    cascade: Mapping[str, CascadeVerdict] = field(default_factory=dict)

    def value(self, name: str) -> float | None:
        """The mean of a measure; None where it was not measured."""
        found = self.measures.get(name)
        return None if found is None else found.value

    @property
    def hit(self) -> float:
        """Pointing hit rate."""
        return self.measures["hit"].value

    @property
    def hit_interval(self) -> tuple[float, float]:
        """95 % interval of the hit rate."""
        return self.measures["hit"].low, self.measures["hit"].high

    @property
    def energy(self) -> float:
        """Share of the map's positive mass inside the mask."""
        return self.measures["energy"].value

    @property
    def auc(self) -> float:
        """Rank AUC."""
        return self.measures["auc"].value

    @property
    def forwards(self) -> float:
        """Passes through the language model a map."""
        return self.measures["forwards"].value

    @property
    def chance(self) -> float:
        """Hit rate of a map that knows nothing."""
        return self.measures["chance"].value

    def flat(self) -> dict[str, Any]:
        """The line as plain numbers: each measure under its name, its interval under ``_low`` and ``_high``."""
        plain: dict[str, Any] = {
            "method": self.method,
            "claim": self.claim,
            "findings": self.findings,
            "films": self.films,
            "empty": self.empty,
        }
        for measure in MEASURES:
            plain |= _bounds(measure.name, self.measures.get(measure.name))
        plain |= _bounds("over_baseline", self.over_baseline)
        for name in ("ssim", "rank"):
            verdict = self.cascade.get(name)
            plain[f"randomised_{name}"] = None if verdict is None else verdict.similarities[-1]
            plain[f"randomised_{name}_bar"] = None if verdict is None else verdict.bar
            plain[f"randomised_{name}_passed"] = None if verdict is None else verdict.passed
            plain[f"randomised_{name}_stages"] = None if verdict is None else list(verdict.similarities)
        return plain


def row_from(stored: Mapping[str, Any]) -> MethodRow:
    """A line from what :meth:`MethodRow.flat` made, as it stands in ``table.json``.

    Raises
    ------
    MalformedInput
        Where an entry is missing.
    """

    def found(name: str) -> Interval | None:
        if stored[name] is None:
            return None
        return Interval(stored[name], stored[f"{name}_low"], stored[f"{name}_high"], stored["films"])

    try:
        measures = {measure.name: found(measure.name) for measure in MEASURES}
        cascade = {
            name: cascade_verdict(STAGES, np.array(stages), stored[f"randomised_{name}_bar"])
            for name in ("ssim", "rank")
            if (stages := stored[f"randomised_{name}_stages"]) is not None
        }
        return MethodRow(
            **{name: stored[name] for name in ("method", "claim", "findings", "films", "empty")},
            measures={name: one for name, one in measures.items() if one is not None},
            over_baseline=found("over_baseline"),
            cascade=cascade,
        )
    except KeyError as error:
        raise MalformedInput(f"The stored line has no {error}; make the table again with this release.") from error


@dataclass(frozen=True)
class Comparison:
    """The table, and what it rests on.

    Parameters
    ----------
    rows
        Best hit rate first, baselines among them.
    scores
        Every map's score.
    cases, asserted, explained
        Films; true-positive findings; those of them whose words need the lesion.
    swapped
        Findings with a film without the lesion, so that they could be filtered.
    perturbed, checked
        Findings on which hiding cells, and randomised weights, were measured, and their films.
    failed
        Name -> error of every film that could not be examined.
    """

    rows: tuple[MethodRow, ...]
    scores: tuple[Score, ...]
    cases: int
    asserted: int
    explained: int
    lesions: int = 0
    swapped: int = 0
    perturbed: tuple[int, int] = (0, 0)
    checked: tuple[int, int] = (0, 0)
    failed: Mapping[str, str] = field(default_factory=dict)

    def row(self, method: str) -> MethodRow:
        """The line of a method."""
        found = [row for row in self.rows if row.method == method]
        if not found:
            raise MalformedInput(f"{method} was not compared; there are {', '.join(row.method for row in self.rows)}.")
        return found[0]


def compared(records: Sequence[CaseRecord], *, seed: int = 0) -> Comparison:
    """The table of some films' records.

    Raises
    ------
    MalformedInput
        Where there is no film, none could be examined, or no finding was left to explain.
    """
    if not records:
        raise MalformedInput("No case was given; a comparison needs at least one film with masks.")
    failed = {record.case: record.error for record in records if record.error}
    if len(failed) == len(records):
        name, error = next(iter(failed.items()))
        raise MalformedInput(f"None of the {len(records)} films could be examined. {name}: {error}")
    scores = [score for record in records for score in record.scores]
    findings = [(record, finding) for record in records for finding in record.findings]
    asserted = sum(len(record.asserted) for record in records)
    if not scores:
        raise MalformedInput(
            f"None of the {asserted} findings that the model rightly reported on {len(records)} films needs its "
            "lesion; there is nothing to compare. Use more films, or a model that reads them."
        )
    perturbed = [record for record, finding in findings if any(s.perturbed is not None for s in finding.scores)]
    checked = [record for record, finding in findings if any(s.sanity is not None for s in finding.scores)]
    return Comparison(
        rows=tabulate(scores, seed=seed, inside=_insides(records)),
        scores=tuple(scores),
        cases=len(records),
        asserted=asserted,
        explained=len(findings),
        lesions=sum(len(record.lesions) for record in records),
        swapped=sum(finding.swap is not None for _, finding in findings),
        perturbed=(len(perturbed), len({record.number for record in perturbed})),
        checked=(len(checked), len({record.number for record in checked})),
        failed=failed,
    )


def tabulate(
    scored: Sequence[Score], *, seed: int = 0, inside: Mapping[str, NDArray[np.bool_]] | None = None
) -> tuple[MethodRow, ...]:
    """A line for each method among the scores, best hit rate first; filter the scores first for one code or size.

    Parameters
    ----------
    inside
        Case -> cells of its picture, for comparing maps of different films; every cell where None.
    """
    names = dict.fromkeys(score.method for score in scored)
    groups = {name: [score for score in scored if score.method == name] for name in names}
    baselines = [name for name in names if name in BASELINES]
    best = max(baselines, key=lambda name: np.mean([score.hit for score in groups[name]]), default=None)
    rows = [
        _row(name, group, None if best is None or name in BASELINES else groups[best], seed, inside or {})
        for name, group in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: -row.hit))


def _row(
    name: str,
    scored: Sequence[Score],
    baseline: Sequence[Score] | None,
    seed: int,
    inside: Mapping[str, NDArray[np.bool_]],
) -> MethodRow:
    films = {score.case for score in scored}
    over = None
    if baseline is not None and len(films) > 1:
        hits, others = ([score.hit for score in group] for group in (scored, baseline))
        over = paired_difference(hits, others, [score.case for score in scored], seed=seed)
    measures = {measure.name: _interval(scored, measure.of, seed) for measure in MEASURES}
    return MethodRow(
        method=name,
        claim="baseline" if name in BASELINES else method_of(name).claim,
        findings=len(scored),
        films=len(films),
        empty=sum(score.empty for score in scored),
        measures={key: value for key, value in measures.items() if value is not None},
        over_baseline=over,
        cascade=_cascades(scored, seed, inside),
    )


def _interval(scored: Sequence[Score], of: Of, seed: int) -> Interval | None:
    """Mean and interval of what was measured; None where nothing was."""
    found = [(score.case, value) for score in scored if (value := of(score)) is not None]
    if not found:
        return None
    cases = {case: number for number, case in enumerate(dict.fromkeys(case for case, _ in found))}
    values = np.array([value for _, value in found])
    low, high = bootstrap(values, np.array([cases[case] for case, _ in found]), seed=seed)
    return Interval(float(values.mean()), low, high, len(cases))


def _cascades(scored: Sequence[Score], seed: int, inside: Mapping[str, NDArray[np.bool_]]) -> dict[str, CascadeVerdict]:
    """What randomised weights did to the maps, against maps of different films."""
    checked = [score.sanity.cascade for score in scored if score.sanity is not None]
    maps: dict[str, NDArray[np.float32]] = {}  # one a film: two maps of one film are not of different pictures
    for score in scored:
        if score.values is not None:
            maps.setdefault(score.case, score.values)
    shapes = {values.shape for values in maps.values()}
    if not checked or len(maps) < 2 or len(shapes) > 1:
        return {}
    (shape,) = shapes
    cells = [_on_grid(inside[case], shape) if case in inside else np.ones(shape, dtype=bool) for case in maps]
    verdicts = {}
    for part, measure in enumerate(("ssim", "rank")):
        bar = random_pair_bar(
            list(maps.values()), inside=cells, measure="ssim" if measure == "ssim" else "rank", seed=seed
        )
        verdicts[measure] = cascade_verdict(STAGES, np.array(checked)[:, :, part], bar)
    return verdicts


def _on_grid(cells: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Token cells on the grid of a map that is a whole number of times finer, as maps of pixels are."""
    finer = shape[1] // cells.shape[1]
    return cells.repeat(finer, axis=1).repeat(finer, axis=2)


def _insides(records: Sequence[CaseRecord]) -> dict[str, NDArray[np.bool_]]:
    return {record.case: record.inside for record in records if record.inside is not None}


def _bounds(name: str, found: Interval | None) -> dict[str, float | None]:
    if found is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
