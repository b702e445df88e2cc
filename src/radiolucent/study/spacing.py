"""Millimetres from a DICOM header, or None: a zero, missing or absurd spacing never becomes a measurement."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydicom.dataset import Dataset

from radiolucent.study.header import numbers, stated, text

SpacingKind = Literal["patient", "detector"]

# Detectors and scanners lie between 0.04 and about 2 mm; beyond these bounds the number is in another unit.
_LEAST_MM, _MOST_MM = 0.01, 10.0
# The longest film made (full spine) is about 1.3 m.
_LONGEST_FIELD_MM = 2000.0
_CALIBRATED = ("GEOMETRY", "FIDUCIAL")
_SQUARE_TOLERANCE = 0.01


def spacing_of(
    header: Dataset, frame: int, rows: int, cols: int, projection: bool
) -> tuple[tuple[float, float] | None, SpacingKind | None]:
    """(row, column) millimetres of a frame and what they measure.

    Parameters
    ----------
    header
        The data set; functional groups are looked into.
    projection
        True for films: their spacing is ``detector`` (magnified anatomy) unless Pixel Spacing Calibration Type
        (0028,0A02) says that it was calibrated (PS3.3 10.7.1.3).
    """
    pixel = _valid(stated(header, frame, "PixelMeasuresSequence", "PixelSpacing", numbers), rows, cols)
    if not projection:
        return pixel, "patient" if pixel else None
    if pixel and text(header, "PixelSpacingCalibrationType") in _CALIBRATED:
        return pixel, "patient"
    at_detector = _valid(numbers(header, "ImagerPixelSpacing"), rows, cols) or pixel
    return at_detector, "detector" if at_detector else None


def pixels_are_square(header: Dataset, spacing: tuple[float, float] | None) -> bool:
    """False where the spacing or Pixel Aspect Ratio (0028,0034) states otherwise."""
    ratio = spacing or numbers(header, "PixelAspectRatio")
    return len(ratio) != 2 or min(ratio) <= 0 or abs(ratio[0] / ratio[1] - 1) <= _SQUARE_TOLERANCE


def _valid(values: tuple[float, ...], rows: int, cols: int) -> tuple[float, float] | None:
    if len(values) != 2 or not np.isfinite(values).all():
        return None
    row, column = values
    if not (_LEAST_MM <= row <= _MOST_MM and _LEAST_MM <= column <= _MOST_MM):
        return None
    if max(row * rows, column * cols) > _LONGEST_FIELD_MM:
        return None
    return row, column
