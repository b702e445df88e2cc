"""What radiolucent costs on this machine: times and memory as ratios measured in one run, beside absolute figures."""

from radiolucent.bench.record import Goal, Measurement
from radiolucent.bench.run import SECTIONS, bench

__all__ = ["SECTIONS", "Goal", "Measurement", "bench"]
