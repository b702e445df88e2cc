"""The regions that maps are graded by: see :mod:`radiolucent.attribution.regions` and ``control_regions`` beside it."""

from radiolucent.attribution.control_regions import control_regions
from radiolucent.attribution.regions import Region, centre_region, top_region

__all__ = ["Region", "centre_region", "control_regions", "top_region"]
