"""Explanation methods compared on films whose lesions are known, for a model and films that are at hand.

Each film is reported by the model; every finding that the report asserts and the film holds (a true positive) is
explained by every method, and the map is held against the lesion's mask, beside maps that know nothing. Findings whose
words do not need the lesion are left out: where the same film without the lesion is at hand, the words must lose at
least ``FLIP_NATS`` when the films are swapped (MedGround-Bench's filter, arXiv 2605.20158); how many pass is reported.

:func:`radiolucent.faithfulness.lab.run.evaluate` does the same for many films in processes, keeps what is done in a
folder, and writes the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from radiolucent.faithfulness.lab.case import FLIP_NATS, Case, Extract, ReportingModel, true_positives
from radiolucent.faithfulness.lab.examine import Plan, examine
from radiolucent.faithfulness.table import Comparison, compared
from radiolucent.vlm.types import Prompt

__all__ = [
    "FLIP_NATS",
    "Case",
    "Comparison",
    "Extract",
    "ReportingModel",
    "compare_methods",
    "true_positives",
]

Progress = Callable[[str], None]


def compare_methods(
    model: ReportingModel,
    cases: Iterable[Case],
    methods: Sequence[str],
    *,
    prompt: Prompt,
    extract: Extract,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    max_new_tokens: int = 256,
    grade: bool = False,
    perturb: bool = False,
    sanity: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Every method's measures over some films, with bootstrap intervals.

    Parameters
    ----------
    methods
        Names from :func:`radiolucent.attribution.methods`; the baselines are always added.
    extract
        Report text -> findings.
    options
        Method name -> its options.
    grade
        Grade every map too (about 24 passes a map): does the grade, blind to the mask, pick the maps that hit?
    perturb
        Measure what hiding cells says of every map (about 50 passes a map).
    sanity
        Make every map anew under randomised weights, another seed, a shift and bfloat16 (about 9 times its cost).
    seed
        Of everything drawn: baselines, controls, random orders, noise weights, the bootstrap.

    Raises
    ------
    MalformedInput
        Where a method is unknown, there is no case, or no finding was left to explain.
    """
    plan = Plan(
        methods=tuple(methods),
        prompt=prompt,
        options=options or {},
        max_new_tokens=max_new_tokens,
        grade=grade,
        seed=seed,
    )
    records = []
    for number, case in enumerate(cases, start=1):
        records.append(examine(model, case, number, plan, extract, perturb=perturb, sanity=sanity))
        if progress is not None:
            explained = sum(len(record.findings) for record in records)
            progress(f"{number} films, {explained} findings explained")
    return compared(records, seed=seed)
