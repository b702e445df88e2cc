"""Which plots a run has."""

from __future__ import annotations

from dataclasses import dataclass

from radiolucent.faithfulness.limits.panels import Panel, paired_panels, sample_panels
from radiolucent.faithfulness.limits.sample import LESION_FACTORS
from radiolucent.faithfulness.limits.types import Design, Limits


@dataclass(frozen=True)
class Plot:
    """One factor's plot."""

    design: Design
    factor: str
    panels: tuple[Panel, ...]


def plots_of(limits: Limits) -> list[Plot]:
    """Every factor that has rows: the sample's properties first, then the imposed conditions."""
    imposed = dict.fromkeys(row.factor for row in limits.rows if row.design == "paired")
    varied = ("finding", *LESION_FACTORS)
    made = [Plot("sample", factor, tuple(sample_panels(limits.rows, factor))) for factor in varied]
    made += [Plot("paired", factor, tuple(paired_panels(limits.rows, factor))) for factor in imposed]
    return [plot for plot in made if plot.panels]
