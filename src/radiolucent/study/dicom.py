"""DICOM in: headers and fitness first, then sizes, then pixels; nothing that names the patient is kept."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.errors import MalformedInput, Notice, RadiolucentError
from radiolucent.study.array import finished, grey_where_grey, labels
from radiolucent.study.decode import PixelForm, pixel_form, read_header, stored_pixels
from radiolucent.study.dicom_values import modality_values, padding_of, polarity, stated_display
from radiolucent.study.display import window_from_values
from radiolucent.study.fitness import PROJECTIONS, check_fitness, view_of
from radiolucent.study.geometry import Geometry
from radiolucent.study.header import numbers, stated, text, texts
from radiolucent.study.limits import MAX_STUDY_BYTES
from radiolucent.study.notices import notice
from radiolucent.study.orientation import PatientSide, film_side, slice_side
from radiolucent.study.series import Place, check_one_study, slice_order
from radiolucent.study.spacing import pixels_are_square, spacing_of
from radiolucent.study.types import Display, Frame, Study


@dataclass(frozen=True, eq=False)
class _Shown:
    """A frame on its way: its display is None where the header states no window."""

    values: NDArray[np.float32] | NDArray[np.uint8]
    display: Display | None
    inverted: bool
    padding: NDArray[np.bool_] | None


def load_dicom(paths: Sequence[Path], *, one_series: bool = False) -> Study:
    """A study from DICOM files.

    Parameters
    ----------
    paths
        One film, several films of one patient in the reader's order, the slices of one CT series in any order, or
        one multi-frame object.
    one_series
        True where all files have to be of one series (a folder).

    Raises
    ------
    MalformedInput, UnsupportedInput
        As :func:`radiolucent.study.load_study` says.
    """
    headers, notices = [], []
    for number, path in enumerate(paths, start=1):
        with _readable(number, len(paths)):
            header = read_header(path)
            notices += check_fitness(header)
            headers.append(header)
    forms = []
    for number, header in enumerate(headers, start=1):
        with _readable(number, len(paths)):
            forms.append(pixel_form(header))
    _check_total(forms)
    modality = text(headers[0], "Modality")
    with _readable(0, len(paths)):
        check_one_study(headers, one_series)
        order, order_notices = (
            _in_turn(forms) if modality in PROJECTIONS else slice_order(headers, [form.frames for form in forms])
        )
        notices += order_notices
    shown: dict[Place, _Shown] = {}
    for number, (path, header, form) in enumerate(zip(paths, headers, forms, strict=True), start=1):
        with _readable(number, len(paths)):
            notices += polarity(header)[1]
            for frame, stored in enumerate(stored_pixels(path, form)):
                shown[Place(number - 1, frame)] = _shown(header, frame, stored)
    with _readable(0, len(paths)):
        frames = _frames(headers, order, shown, modality, notices)
    return finished(frames, modality, "dicom", notices, frames[0].view)


def _frames(
    headers: Sequence[Dataset],
    order: Sequence[Place],
    shown: dict[Place, _Shown],
    modality: str,
    notices: list[Notice],
) -> tuple[Frame, ...]:
    ranges = _ranges_from_values(order, shown, together=modality not in PROJECTIONS)
    notices += [notice("window_from_data")] if ranges else []
    frames = []
    for place, label in zip(order, labels(len(order), modality), strict=True):
        one, header = shown[place], headers[place.file]
        display = one.display or Display(*ranges[place], one.inverted, padding=one.padding)
        rows, cols = one.values.shape[:2]
        side = _side(header, place.frame, modality)
        spacing, kind = spacing_of(header, place.frame, rows, cols, projection=modality in PROJECTIONS)
        notices += side.notices
        notices += [] if pixels_are_square(header, spacing) else [notice("pixels_not_square")]
        geometry = Geometry(
            rows, cols, patient_right=side.right, side_source=side.source, spacing=spacing, spacing_kind=kind
        )
        if modality in PROJECTIONS and side.view is None:
            notices.append(notice("view_unknown"))
        frames.append(Frame(one.values, display, geometry, label, view=side.view))
    return tuple(frames)


def _side(header: Dataset, frame: int, modality: str) -> PatientSide:
    if modality in PROJECTIONS:
        laterality = text(header, "ImageLaterality") or text(header, "Laterality")
        return film_side(texts(header, "PatientOrientation"), view_of(header), laterality)
    cosines = stated(header, frame, "PlaneOrientationSequence", "ImageOrientationPatient", numbers)
    return slice_side(cosines)


def _shown(header: Dataset, frame: int, stored: NDArray[Any]) -> _Shown:
    if stored.ndim == 3:
        return _Shown(grey_where_grey(stored), Display(0.0, 255.0), False, None)
    values, padding = modality_values(header, frame, stored), padding_of(header, stored)
    inverted = polarity(header)[0]
    return _Shown(values, stated_display(header, frame, inverted, padding), inverted, padding)


def _ranges_from_values(
    order: Sequence[Place], shown: dict[Place, _Shown], together: bool
) -> dict[Place, tuple[float, float]]:
    """(low, high) of frames without a window; one for all slices of a volume, one a film."""
    without = [place for place in order if shown[place].display is None]
    if not without or not together:
        return {place: window_from_values(shown[place].values, shown[place].padding) for place in without}
    step = max(1, len(without) // 32)  # some thirty slices stand for the volume
    sample = np.concatenate([_seen(shown[place]) for place in without[::step]])
    return dict.fromkeys(without, window_from_values(sample))


def _seen(one: _Shown) -> NDArray[Any]:
    return one.values.ravel() if one.padding is None or one.padding.all() else one.values[~one.padding]


def _in_turn(forms: Sequence[PixelForm]) -> tuple[list[Place], list[Notice]]:
    return [Place(file, frame) for file, form in enumerate(forms) for frame in range(form.frames)], []


def _check_total(forms: Sequence[PixelForm]) -> None:
    total = sum(form.size for form in forms)
    if total > MAX_STUDY_BYTES:
        raise MalformedInput(
            f"The files declare {total} bytes of pixels together; at most {MAX_STUDY_BYTES} are opened. Give fewer."
        )


@contextmanager
def _readable(number: int, count: int) -> Iterator[None]:
    """Whatever a damaged file makes the parser raise becomes a typed error that names the file by its number (0: all).

    pydicom reads values when they are first used and raises ValueError, struct.error, RecursionError, AttributeError
    and others; its warnings quote header values, so they are kept out of logs.
    """
    one = "The DICOM file" if count == 1 else "The study of DICOM files"
    which = f"DICOM file {number} of {count}" if number and count > 1 else one
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except RadiolucentError as error:
        if count == 1 or not number:
            raise
        raise type(error)(f"{which}: {error}") from error
    except Exception as error:
        raise MalformedInput(
            f"{which} could not be read ({type(error).__name__}): it is truncated or damaged. Export it again."
        ) from error
