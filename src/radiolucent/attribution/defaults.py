"""Which method stands for each claim, chosen by measurement: the only place that names them.

The committed comparison (``docs/evaluation``) decides, by the rule of :mod:`radiolucent.faithfulness.lab.choice`: of
the methods of a claim that a level can pay for, those whose hit rate the best one's interval does not exclude; of these
the cheapest. A test reads the table and fails where a name below is not the rule's.
"""

from __future__ import annotations

from collections.abc import Mapping

from radiolucent.attribution.method import Passes
from radiolucent.attribution.types import Claim

LEVEL_DEFAULTS: Mapping[str, Mapping[Claim, str]] = {
    "quick": {"attended": "distinct_attention", "sensitive": "saliency"},
    "standard": {
        "attended": "distinct_attention",
        "sensitive": "saliency",
        "relied_on": "propose_and_verify",
    },
    "deep": {
        "attended": "distinct_attention",
        "sensitive": "integrated_gradients",
        "relied_on": "propose_and_verify",
    },
}
"""Level -> claim -> method; a level makes no map of a claim that it does not name."""

DEFAULTS: Mapping[Claim, str] = LEVEL_DEFAULTS["deep"]
"""Claim -> method where cost does not matter."""

LEVEL_PASSES: Mapping[str, Passes | None] = {
    "quick": Passes(replays=1, backwards=1),
    "standard": Passes(replays=8, backwards=1),
    "deep": None,
}
"""Most passes that a level spends on one map of one finding; None for no bound. Three findings at ``standard`` then
stay within three times the cost of the report alone at the size of 4 billion weights."""


def affordable(passes: Passes, level: str) -> bool:
    """Whether a level can pay for a map."""
    most = LEVEL_PASSES[level]
    return most is None or (
        passes.replays <= most.replays
        and passes.backwards <= most.backwards
        and passes.encodes <= most.encodes
        and passes.vision_backwards <= most.vision_backwards
    )
