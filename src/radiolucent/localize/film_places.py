"""Places on one film: its lung fields are estimated once and asked many times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.cells import coverage
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import Notice
from radiolucent.findings.types import Side
from radiolucent.localize.anatomy import ALLOWED, PAIRED, Anatomy, allowed_mask
from radiolucent.localize.lungs import Box, LungFields, estimate_lung_fields
from radiolucent.localize.regions import find_regions, peak_point
from radiolucent.localize.wording import OTHER_SIDE, OUTSIDE_ANATOMY
from radiolucent.localize.words import Place, place_of, place_of_region
from radiolucent.study.geometry import PictureSide
from radiolucent.study.types import Frame, Study
from radiolucent.vlm.types import Features

ALLOWED_EDGE = 256


@dataclass(frozen=True, eq=False)
class FilmPlaces:
    """A frame with its estimated lung fields; None for slices of a volume, which have no film outline."""

    frame: Frame
    fields: LungFields | None

    @property
    def midline(self) -> float | None:
        """Source column of the patient's midline, from the mediastinum; None where it was not found."""
        return None if self.fields is None or self.fields.unsure else self.fields.midline

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

    def allowed(self, code: str, grid: int, *, side: Side | None = None) -> Anatomy | None:
        """The anatomy allowed for a finding, over (grid, grid) cells; None where the lungs were not found.

        The fields are taken at ``ALLOWED_EDGE`` pixels or a little more, finer than they were estimated at: distances
        on a film of 3000 pixels would take seconds.

        Parameters
        ----------
        side
            The finding's: ``left`` or ``right`` hold it to that lung or pleura, where the film's sides and midline
            are known. Any other has no such meaning.
        """
        if self.fields is None:
            return None
        rows, cols = self.fields.both.shape
        step = max(1, max(rows, cols) // ALLOWED_EDGE)
        fields = _reduced(self.fields, step)

        def cells(picture_side: PictureSide | None) -> NDArray[np.float64] | None:
            mask = allowed_mask(code, fields, picture_side=picture_side)
            if mask is None:
                return None
            whole = mask.repeat(step, axis=0).repeat(step, axis=1)[:rows, :cols]
            return coverage(whole, self.frame.geometry, grid)

        both = cells(None)
        if both is None:
            return None
        shown_on = None if set(PAIRED).isdisjoint(ALLOWED[code]) else self._picture_side(side)
        one = None if shown_on is None else cells(shown_on)
        return Anatomy(both) if one is None else Anatomy(one, both)

    def _picture_side(self, side: Side | None) -> PictureSide | None:
        """The side of the picture that a side of the patient lies on; None where that is unknown, or there is none."""
        right = self.frame.geometry.patient_right
        if side not in ("left", "right") or right is None or self.midline is None or self.frame.view == "LATERAL":
            return None
        return right if side == "right" else "left" if right == "right" else "right"


def _reduced(fields: LungFields, step: int) -> LungFields:
    """Every ``step``-th pixel of the fields."""

    def box(found: Box | None) -> Box | None:
        return None if found is None else (found[0] / step, found[1] / step, found[2] / step, found[3] / step)

    return replace(
        fields,
        picture_left=fields.picture_left[::step, ::step],
        picture_right=fields.picture_right[::step, ::step],
        heart=box(fields.heart),
        mediastinum=box(fields.mediastinum),
    )


def film_places(frame: Frame, *, volume: bool = False) -> FilmPlaces:
    """Estimate a frame's lung fields; ``volume`` says that it is a slice, which gets none."""
    return FilmPlaces(frame, None if volume else estimate_lung_fields(frame.picture()))


def study_places(study: Study, features: Features) -> tuple[FilmPlaces, ...]:
    """One for each image that the model was shown."""
    frames = tuple(study.frames[index] for index in features.frames) or study.frames
    return tuple(film_places(frame, volume=features.layout == "volume") for frame in frames)


def place_of_map(places: Sequence[FilmPlaces], made: AttributionMap) -> Place | None:
    """Where a map points, in the frame that holds its highest value; None where it holds nothing there."""
    return places[made.peak_frame].of_map(made.values[made.peak_frame])


def outside_notice(finding_en: str, finding_zh: str) -> Notice:
    """What people are told where the evidence lies outside the anatomy allowed for a finding."""
    return _of(finding_en, finding_zh, OUTSIDE_ANATOMY)


def other_side_notice(finding_en: str, finding_zh: str) -> Notice:
    """What people are told where the evidence lies on the side opposite to the one the report names."""
    said = _of(finding_en, finding_zh, OTHER_SIDE)
    return replace(
        said,
        en=f"{said.en} The film may be stored mirrored, or the report names the wrong side; check it.",
        zh=f"{said.zh}图像可能为镜像存储，或报告左右有误，请核对。",
    )


def _of(finding_en: str, finding_zh: str, said: Notice) -> Notice:
    return replace(said, en=f"{finding_en}: {said.en[0].lower()}{said.en[1:]}", zh=f"{finding_zh}：{said.zh}")
