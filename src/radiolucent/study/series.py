"""Which frames of which files make one study, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from radiolucent.errors import MalformedInput, Notice
from radiolucent.study.header import numbers, stated, text
from radiolucent.study.notices import notice
from radiolucent.study.orientation import slice_normal, valid_cosines

_SAME_DIRECTION = 1e-3
_SAME_PLACE_MM = 1e-3
_UNEVEN = 1.5


@dataclass(frozen=True)
class Place:
    """One frame of one file."""

    file: int
    frame: int


def check_one_study(headers: Sequence[Dataset], one_series: bool) -> None:
    """Refuse files that do not belong together.

    Parameters
    ----------
    headers
        One data set a file.
    one_series
        True for a folder or a volume: all of one series. False for films that a caller listed (a lateral view, a
        prior film): of one patient.

    Raises
    ------
    MalformedInput
        Different patients, modalities or series; slices of different size.
    """
    if len({text(header, "Modality") for header in headers}) > 1:
        raise MalformedInput("The files mix modalities; give one series.")
    patient = "PatientID" if all(text(header, "PatientID") for header in headers) else "StudyInstanceUID"
    if len({text(header, patient) for header in headers}) > 1:
        raise MalformedInput("The files are of different patients, or do not say that it is one; give one patient's.")
    volume = text(headers[0], "Modality") == "CT"
    if (one_series or volume) and len({text(header, "SeriesInstanceUID") for header in headers}) > 1:
        raise MalformedInput(
            "The files are of several series; give the slices of one series alone"
            + (" or list the films to open them side by side." if not volume else ".")
        )
    sizes = {(text(header, "Rows"), text(header, "Columns")) for header in headers}
    if volume and len(sizes) > 1:
        raise MalformedInput("The slices differ in size; give the slices of one series alone.")


def slice_order(headers: Sequence[Dataset], frame_counts: Sequence[int]) -> tuple[list[Place], list[Notice]]:
    """The slices of a volume from the feet up, with a notice where their distances are uneven.

    By Image Position Patient (0020,0032) along the slice normal; where it is missing, by Instance Number (0020,0013)
    of the files, then in stored order.

    Raises
    ------
    MalformedInput
        Slices of different orientation (a scout among them), two slices at one place, or no order at all.
    """
    places = [Place(file, frame) for file, count in enumerate(frame_counts) for frame in range(count)]
    if len(places) == 1:
        return places, []
    cosines = [
        stated(headers[one.file], one.frame, "PlaneOrientationSequence", "ImageOrientationPatient", numbers)
        for one in places
    ]
    positions = [
        stated(headers[one.file], one.frame, "PlanePositionSequence", "ImagePositionPatient", numbers) for one in places
    ]
    if all(len(position) == 3 for position in positions) and all(valid_cosines(pair) for pair in cosines):
        return _by_position(places, np.array(positions), np.array(cosines))
    if len(headers) == 1:
        return places, []
    instances = [numbers(header, "InstanceNumber")[:1] for header in headers]
    if not all(instances) or len(set(instances)) < len(instances):
        raise MalformedInput(
            "The slices cannot be put in order: Image Position Patient is missing, and Instance Number is missing or "
            "used twice. Export the series again."
        )
    return sorted(places, key=lambda one: (instances[one.file], one.frame)), []


def _by_position(places: list[Place], positions: np.ndarray, cosines: np.ndarray) -> tuple[list[Place], list[Notice]]:
    if np.abs(cosines - cosines[0]).max() > _SAME_DIRECTION:
        raise MalformedInput("The slices lie in different directions (a scout or a reformat among them?); give one.")
    heights = positions @ np.array(slice_normal(tuple(cosines[0])))
    order = np.argsort(heights, kind="stable")
    gaps = np.diff(heights[order])
    if gaps.min() < _SAME_PLACE_MM:
        raise MalformedInput("Two slices lie at the same place: the files hold several phases or copies; give one.")
    uneven = gaps.max() > _UNEVEN * float(np.median(gaps))
    return [places[index] for index in order], [notice("slices_uneven")] if uneven else []
