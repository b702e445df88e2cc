"""How sure the model is of each finding: counts over samples, an interval, and a word for the kind of certainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from radiolucent.errors import MalformedInput
from radiolucent.findings.types import Polarity, Side

Quadrant = Literal["grounded", "unstable", "not image-based", "evidence elsewhere", "unreliable"]

# (English, Chinese) as people see them. Never "dangerous": 危险 reads as a critical value (危急值) in a reading room.
QUADRANT_WORDS: dict[Quadrant, tuple[str, str]] = {
    "grounded": ("grounded", "有图像依据"),
    "unstable": ("unstable", "不稳定"),
    "not image-based": ("not image-based", "未依据图像"),
    "evidence elsewhere": ("evidence elsewhere", "依据在他处"),
    "unreliable": ("unreliable", "不可靠"),
}


@dataclass(frozen=True)
class FindingConfidence:
    """Agreement of the sampled reports with one finding of the draft.

    Parameters
    ----------
    code, side
        Of the finding in the draft.
    present, uncertain, absent, silent
        Samples that assert, hedge, deny or do not mention it; they add to ``samples``. Silence is not denial.
    polarity
        What the draft says, and so which of the counts supports it.
    low, high
        Interval of the supporting share, in [0, 1].
    interval
        Name of the interval's rule.
    level
        Nominal coverage of the interval.
    yes_probability
        p(yes) / (p(yes) + p(no)) of the direct question, image shown; None where it was not asked.
    image_lift
        Nats that the image adds to what the draft says; None where not measured.
    quadrant
        Consistent or not, image-reliant or not, in the word that people see; None where it cannot be told.
    probability
        Calibrated probability; None until a calibration was fitted on labelled cases.
    side_agreement
        (samples that place the finding on the draft's side, samples that assert and place it): given presence. None
        where the draft gives no side.
    side_interval
        Interval of that share, as ``low`` and ``high``; None where no sample asserts and places it.
    severity_agreement, severity_interval
        The same for the severity: (samples of the draft's severity, samples that assert it with a severity).
    lift_blank, lift_other
        Nats of log-odds that the picture adds to the direct question's answer in the draft's direction, against a
        blank one and against another patient's film; None where it was not asked. A calibration knows the packaged
        film; without one it is the film that the run was given, if any.
    """

    code: str
    side: Side | None
    present: int
    uncertain: int
    absent: int
    silent: int
    samples: int
    low: float
    high: float
    polarity: Polarity = "present"
    interval: Literal["jeffreys", "wilson"] = "jeffreys"
    level: float = 0.95
    yes_probability: float | None = None
    image_lift: float | None = None
    quadrant: Quadrant | None = None
    probability: float | None = None
    side_agreement: tuple[int, int] | None = None
    side_interval: tuple[float, float] | None = None
    severity_agreement: tuple[int, int] | None = None
    severity_interval: tuple[float, float] | None = None
    lift_blank: float | None = None
    lift_other: float | None = None

    def __post_init__(self) -> None:
        counts = (self.present, self.uncertain, self.absent, self.silent)
        if min(counts) < 0 or sum(counts) != self.samples:
            raise MalformedInput(f"{self.finding_id}: counts {counts} do not add to {self.samples} samples.")
        if not 0.0 <= self.low <= self.high <= 1.0:
            raise MalformedInput(f"{self.finding_id}: interval {self.low}..{self.high} is not inside 0..1.")

    @property
    def finding_id(self) -> str:
        """The key of the finding it belongs to, equal to ``Finding.id``."""
        return f"{self.code}.{self.side}" if self.side else self.code

    @property
    def support(self) -> int:
        """Samples that say what the draft says."""
        return {"present": self.present, "uncertain": self.uncertain, "absent": self.absent}[self.polarity]


@dataclass(frozen=True)
class Confidence:
    """Confidence of every finding, and how the samples were drawn.

    Parameters
    ----------
    calibrated
        True only where ``probability`` was fitted on labelled cases; ``note`` then says on which.
    note
        Sentence shown beside the numbers, in the prompt's language.
    terms
        Finding code -> percent of samples that assert it, negation understood; see
        :func:`radiolucent.confidence.agreement.term_frequencies`.
    entropy
        Semantic entropy of the samples over their finding-sets, nats; ``meanings`` of them differ. See
        :func:`radiolucent.confidence.semantic.semantic_entropy`. None and 0 where no samples were compared.
    """

    findings: tuple[FindingConfidence, ...]
    samples: int
    temperature: float
    top_p: float
    seed: int
    calibrated: bool = False
    note: str = ""
    terms: Mapping[str, float] = field(default_factory=dict)
    entropy: float | None = None
    meanings: int = 0

    def of(self, finding_id: str) -> FindingConfidence | None:
        """The entry of a finding, or None where it was not sampled."""
        return next((entry for entry in self.findings if entry.finding_id == finding_id), None)
