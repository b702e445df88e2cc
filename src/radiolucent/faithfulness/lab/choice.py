"""Which method a claim's default should be, by the table: the rule, so that taste has no part in it.

Of the methods of a claim that a level can pay for, the one with the highest hit rate is the best. Those whose 95 %
interval reaches its interval are tied with it. Of the tied ones, the cheapest is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from radiolucent.attribution.defaults import affordable
from radiolucent.attribution.method import Passes, Size
from radiolucent.attribution.registry import method as method_of
from radiolucent.attribution.types import Claim
from radiolucent.faithfulness.table import MethodRow

COMPARED = (
    "attention:final",
    "attention",
    "distinct_attention",
    "attention:corrected",
    "relevance",
    "saliency",
    "input_x_gradient",
    "integrated_gradients",
    "pixel_gradient",
    "grad_cam",
    "token_ablation:coarse",
    "hierarchical_occlusion",
    "propose_and_verify",
)
"""Methods of the committed comparison. Left out: what costs more than it can win there (``evidence_search`` and
``occlusion`` hundreds of passes a map; ``smooth_grad`` eight times ``saliency``, which it did not beat surely on 24
films), and what claims nothing that a default stands for."""

BACKWARD, ENCODE = 1.2, 3.5  # in replays of one picture, at MedGemma's shape on a processor


@dataclass(frozen=True)
class Choice:
    """What the table says of one claim at one level.

    Parameters
    ----------
    best
        Highest hit rate.
    tied
        Methods that the intervals do not tell from it, itself included, cheapest first.
    """

    claim: Claim
    level: str
    best: str
    tied: tuple[str, ...]

    @property
    def chosen(self) -> str:
        """The cheapest of the tied."""
        return self.tied[0]


def choose(rows: Sequence[MethodRow], claim: Claim, level: str) -> Choice | None:
    """The rule for one claim and level; None where no method compared has the claim at the level's price."""
    able = [row for row in rows if row.claim == claim and affordable(_passes(row.method), level)]
    if not able:
        return None
    best = max(able, key=lambda row: row.hit)
    tied = [row for row in able if row.hit_interval[1] >= best.hit_interval[0]]
    tied.sort(key=lambda row: (price(row.method), -row.hit))
    return Choice(claim, level, best.method, tuple(row.method for row in tied))


def price(method: str) -> float:
    """What one map of one finding costs, in replays of one picture."""
    passes = _passes(method)
    return passes.replays + BACKWARD * passes.backwards + ENCODE * (passes.encodes + BACKWARD * passes.vision_backwards)


def _passes(method: str) -> Passes:
    return method_of(method).passes(Size(targets=1))
