"""Places on one film: its lung fields are estimated once and asked many times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import Notice
from radiolucent.localize.anatomy import outside_allowed
from radiolucent.localize.lungs import LungFields, estimate_lung_fields
from radiolucent.localize.regions import find_regions, peak_point
from radiolucent.localize.words import Place, place_of, place_of_region
from radiolucent.study.types import Frame


@dataclass(frozen=True, eq=False)
class FilmPlaces:
    """A frame with its estimated lung fields; None for slices of a volume, which have no film outline."""

    frame: Frame
    fields: LungFields | None

    @property
    def midline(self) -> float | None:
        """Source column of the patient's midline, from the mediastinum; None where it was not found."""
        if self.fields is None or self.fields.unsure or self.fields.mediastinum is None:
            return None
        return (self.fields.mediastinum[0] + self.fields.mediastinum[2]) / 2

    def of_map(self, values: NDArray[np.floating]) -> Place | None:
        """Where a map (n, n) over the padded square points: its heaviest region; None where it holds nothing.

        Parameters
        ----------
        values
            Only positive values count.
        """
        found = find_regions(values, self.frame.geometry)
        if not found.regions:
            return None
        return place_of_region(found.regions[0], self.frame.geometry, self.fields, self.frame.view)

    def of_peak(self, values: NDArray[np.floating]) -> Place | None:
        """Where a map's highest cell lies: for maps that are spread out, such as attention."""
        point = peak_point(values, self.frame.geometry)
        return None if point is None else place_of(point, self.frame.geometry, self.fields, self.frame.view)

    def outside(self, code: str, values: NDArray[np.floating]) -> bool | None:
        """Whether the heaviest region of a map lies outside the anatomy allowed for a finding; None where unknown."""
        found = find_regions(values, self.frame.geometry)
        if not found.regions:
            return None
        return outside_allowed(code, found.regions[0].centroid, self.fields)


def film_places(frame: Frame, *, volume: bool = False) -> FilmPlaces:
    """Estimate a frame's lung fields; ``volume`` says that it is a slice, which gets none."""
    return FilmPlaces(frame, None if volume else estimate_lung_fields(frame.picture()))


def outside_notice(finding_en: str, finding_zh: str) -> Notice:
    """What people are told where the evidence lies outside the anatomy allowed for a finding."""
    return Notice(
        "outside_anatomy",
        f"{finding_en}: the evidence lies outside the anatomy allowed for this finding.",
        f"{finding_zh}：依据区域位于该征象允许的解剖区域之外。",
    )


def other_side_notice(finding_en: str, finding_zh: str) -> Notice:
    """What people are told where the evidence lies on the side opposite to the one the report names."""
    return Notice(
        "other_side",
        f"{finding_en}: the evidence lies on the patient's other side. The film may be stored mirrored, or the report "
        "names the wrong side; check it.",
        f"{finding_zh}：依据区域位于患者的另一侧。图像可能为镜像存储，或报告左右有误，请核对。",
    )
