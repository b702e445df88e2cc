"""A film with its truth, and which of a report's findings are to be explained."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import scores, soft_rows
from radiolucent.findings.types import Finding
from radiolucent.study.types import Study
from radiolucent.vlm.types import Features, Generation, Prompt, Target

FLIP_NATS = math.log(2)  # without the lesion the words are at most half as likely

Extract = Callable[[str], Sequence[Finding]]


class ReportingModel(ExplainableModel, Protocol):
    """A model that also writes reports."""

    def generate(self, prompt: Prompt, features: Features, *, max_new_tokens: int, capture: bool = True) -> Generation:
        """The report, with its attention rows where they are captured."""


@dataclass(frozen=True, eq=False)
class Case:
    """A film with its truth.

    Parameters
    ----------
    masks
        Finding code -> bool (rows, cols) of the first frame's source pixels.
    without
        Finding code -> the same film without that lesion; codes without one are not filtered.
    name
        Shown in the table's scores, free of identifiers.
    """

    study: Study
    masks: Mapping[str, NDArray[np.bool_]]
    without: Mapping[str, Study] = field(default_factory=dict)
    name: str = ""


def true_positives(findings: Sequence[Finding], case: Case) -> list[Finding]:
    """The first assertion of every code that the film holds."""
    first: dict[str, Finding] = {}
    for finding in findings:
        if finding.polarity == "present" and finding.code in case.masks and case.masks[finding.code].any():
            first.setdefault(finding.code, finding)
    return list(first.values())


def swap_loss(
    model: ExplainableModel, case: Case, code: str, features: Features, generation: Generation, target: Target
) -> float | None:
    """Nats that the words lose on the film without the lesion; None where there is no such film.

    Words that lose less than ``FLIP_NATS`` do not need their lesion, so that no map of them is right or wrong
    (MedGround-Bench's filter, arXiv 2605.20158).
    """
    if code not in case.without:
        return None
    swapped = model.encode(case.without[code])
    with_lesion = scores(model, generation, soft_rows(features), [target])[0, 0]
    without = scores(model, generation, soft_rows(swapped), [target])[0, 0]
    return float(with_lesion - without)
