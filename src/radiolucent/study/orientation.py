"""On which side of the picture the patient's right lies, from the header or assumed; pixels are never flipped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radiolucent.errors import Notice
from radiolucent.study.geometry import PictureSide, SideSource
from radiolucent.study.notices import notice

# A direction counts as along a patient axis within 45 degrees of it.
_ALONG = float(np.sqrt(0.5))
_UNIT_TOLERANCE = 0.02


@dataclass(frozen=True)
class PatientSide:
    """Where the patient's right lies in a picture, how that is known, and the view that follows from it."""

    right: PictureSide | None
    source: SideSource
    view: str | None
    notices: tuple[Notice, ...] = ()


def film_side(orientation: tuple[str, ...], view: str | None, laterality: str = "") -> PatientSide:
    """The side of a projection film.

    Parameters
    ----------
    orientation
        Patient Orientation (0020,0020): where the rows run to (picture right) and where the columns run to (picture
        bottom), each of the letters L, R, A, P, H, F, the principal one first; () where not stated.
    view
        ``PA``, ``AP``, ``LATERAL`` or None.
    laterality
        Laterality (0020,0060) or Image Laterality (0020,0062): ``R`` or ``L`` where one side of a pair is shown.

    Returns
    -------
    PatientSide
        ``L\\F`` is the upright standard; ``R\\F`` is mirrored, the patient's right on the picture's right. Anything
        else (upside down, lying, contradicting the view) gives no side and says so. Not stated: assumed.

    Examples
    --------
    >>> film_side(("R", "F"), "PA").right
    'right'
    """
    rows_to, columns_to = (entry[:1] for entry in orientation) if len(orientation) == 2 else ("", "")
    if view is None and rows_to in ("A", "P") and rows_to:
        view = "LATERAL"
    if view == "LATERAL":
        return PatientSide(None, "none", view, (notice("lateral_view"),))
    if laterality in ("L", "R"):
        return PatientSide(None, "none", view, (notice("one_sided"),))
    if not orientation:
        return PatientSide("left", "assumed", view, (notice("side_assumed"),))
    if rows_to in ("A", "P"):
        return PatientSide(None, "none", view, (notice("view_conflict"),))
    if rows_to not in ("L", "R") or columns_to != "F":
        return PatientSide(None, "none", view, (notice("orientation_unclear"),))
    if rows_to == "R":
        return PatientSide("right", "orientation", view, (notice("mirrored"),))
    return PatientSide("left", "orientation", view)


def slice_side(cosines: tuple[float, ...]) -> PatientSide:
    """The side of a tomographic slice.

    Parameters
    ----------
    cosines
        Image Orientation Patient (0020,0037): direction of the rows, then of the columns, in the patient's
        (left, posterior, head) axes; () where not stated.

    Returns
    -------
    PatientSide
        A side wherever the rows run across the patient (axial and coronal slices, prone ones too); none for
        sagittal, oblique beyond 45 degrees or invalid directions.
    """
    if not cosines:
        return PatientSide("left", "assumed", None, (notice("side_assumed"),))
    if not valid_cosines(cosines) or abs(cosines[0]) < _ALONG:
        return PatientSide(None, "none", None, (notice("orientation_unclear"),))
    mirrored = cosines[0] < 0
    _, posterior, head = cosines[3:]
    upright = posterior > 0 if abs(posterior) >= abs(head) else head < 0
    notices = [notice("mirrored")] if mirrored else []
    notices += [] if upright else [notice("slice_turned")]
    return PatientSide("right" if mirrored else "left", "orientation", None, tuple(notices))


def valid_cosines(cosines: tuple[float, ...]) -> bool:
    """Two unit vectors at right angles."""
    if len(cosines) != 6 or not np.isfinite(cosines).all():
        return False
    pair = np.reshape(cosines, (2, 3))
    return bool(np.allclose(pair @ pair.T, np.eye(2), atol=_UNIT_TOLERANCE))


def slice_normal(cosines: tuple[float, ...]) -> tuple[float, float, float]:
    """The direction across slices, its largest part positive: towards the head for axial slices."""
    normal = np.cross(cosines[:3], cosines[3:])
    if normal[np.abs(normal).argmax()] < 0:
        normal = -normal
    return float(normal[0]), float(normal[1]), float(normal[2])
