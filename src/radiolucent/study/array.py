"""NumPy arrays in: one grey film, one colour picture, or a stack of frames."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput, Notice, UnsupportedInput
from radiolucent.study.display import window_from_values
from radiolucent.study.fitness import MODALITIES
from radiolucent.study.geometry import Geometry, PictureSide, SideSource
from radiolucent.study.limits import MAX_VALUE, check_size
from radiolucent.study.notices import notice, once
from radiolucent.study.types import Display, Frame, Source, Study

VIEWS = ("PA", "AP", "LATERAL")
_EXACT_IN_FLOAT32 = 1 << 24


def load_array(
    array: NDArray[np.generic],
    *,
    modality: str = "OT",
    patient_right: PictureSide | None = None,
    spacing: tuple[float, float] | None = None,
    view: str | None = None,
    window: tuple[float, float] | None = None,
) -> Study:
    """A study from pixel values; see :func:`radiolucent.study.load_study` for the parameters."""
    checked_modality(modality)
    values = checked_values(array)
    single = values[0]
    if window is None:
        low, high, stated = _own_range(array, values)
    else:
        low, high, stated = *checked_window(window), True
    notices = [] if stated or single.ndim == 3 else [notice("window_from_data")]
    display = Display(low, high)
    geometry, side_notices = stated_geometry(
        single.shape[0], single.shape[1], modality, patient_right, checked_spacing(spacing), view
    )
    frames = tuple(
        Frame(plane, display, geometry, label, view=view)
        for plane, label in zip(values, labels(len(values), modality), strict=True)
    )
    return finished(frames, modality, "array", [*notices, *side_notices], view)


def checked_values(array: NDArray[np.generic]) -> list[NDArray[np.float32] | NDArray[np.uint8]]:
    """Frames of an array: float32 (rows, cols) or uint8 (rows, cols, 3).

    Raises
    ------
    MalformedInput
        Wrong number of axes, a dtype that holds no grey levels, zero size, NaN or infinity, integers that float32
        cannot hold, colour outside [0, 1] (floats) or 0 to 255 (integers).
    """
    if array.dtype.kind not in "buif":
        raise MalformedInput(f"An array of dtype {array.dtype} holds no pixel values; give integers or floats.")
    if array.size == 0:
        raise MalformedInput(f"An array of shape {array.shape} holds no pixels.")
    colour = array.ndim == 3 and array.shape[2] == 3
    if array.ndim not in (2, 3):
        raise MalformedInput(
            f"An array of shape {array.shape} is not a study; expected (rows, cols), (rows, cols, 3) or "
            "(frames, rows, cols)."
        )
    stack = array[None] if array.ndim == 2 or colour else array
    check_size(stack.shape[1], stack.shape[2], stack.shape[0], 3 if colour else 1, array.itemsize)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise MalformedInput("The array holds NaN or infinite values; replace them before loading.")
    if colour:
        return [_colour(array)]
    if array.dtype.kind in "uif" and array.dtype.itemsize >= 4:
        largest = max(abs(float(array.min())), abs(float(array.max())))
        if largest > (_EXACT_IN_FLOAT32 if array.dtype.kind != "f" else MAX_VALUE):
            raise MalformedInput(f"Values up to {largest:g} cannot be held exactly as float32; rescale the array.")
    return [np.array(plane, dtype=np.float32, order="C") for plane in stack]


def checked_modality(modality: str) -> str:
    """A modality that a caller states.

    Raises
    ------
    UnsupportedInput
        Where it is one that is not explained.
    """
    if modality not in (*MODALITIES, "OT"):
        raise UnsupportedInput(f"Modality {modality!r} is not explained; expected {', '.join(MODALITIES)} or OT.")
    return modality


def checked_window(window: tuple[float, float]) -> tuple[float, float]:
    """(low, high) of a caller's window.

    Raises
    ------
    MalformedInput
        Where it is not two finite numbers with low below high.
    """
    low, high = (float(edge) for edge in window)
    if not (-MAX_VALUE <= low < high <= MAX_VALUE):
        raise MalformedInput(f"A window is (low, high) with low below high; got {window}.")
    return low, high


def checked_spacing(spacing: tuple[float, float] | None) -> tuple[float, float] | None:
    """(row, column) millimetres that a caller states.

    Raises
    ------
    MalformedInput
        Where they are not two finite positive numbers.
    """
    if spacing is None:
        return None
    row, column = (float(step) for step in spacing)
    if not (np.isfinite(row) and np.isfinite(column) and row > 0 and column > 0):
        raise MalformedInput(f"A spacing is two positive numbers of millimetres (row, column); got {spacing}.")
    return row, column


def stated_geometry(
    rows: int,
    cols: int,
    modality: str,
    patient_right: PictureSide | None,
    spacing: tuple[float, float] | None,
    view: str | None,
) -> tuple[Geometry, list[Notice]]:
    """Geometry and notices where nothing but the caller says how the picture lies."""
    if view is not None and view not in VIEWS:
        raise MalformedInput(f"The view {view!r} is none of {', '.join(VIEWS)}.")
    if patient_right not in ("left", "right", None):
        raise MalformedInput(f'patient_right is "left" or "right" (of the picture); got {patient_right!r}.')
    notices: list[Notice] = []
    side: PictureSide | None = patient_right
    origin: SideSource = "array"
    if view == "LATERAL":
        side, origin = None, "none"
        notices.append(notice("lateral_view"))
    elif patient_right is None:
        side, origin = "left", "assumed"
        notices.append(notice("side_assumed"))
    if modality != "CT":
        notices += [notice("view_unknown")] if view is None else []
        notices += [notice("view_ap")] if view == "AP" else []
    kind: Literal["patient", "detector"] = "patient" if modality == "CT" else "detector"
    geometry = Geometry(
        rows,
        cols,
        patient_right=side,
        side_source=origin,
        spacing=spacing,
        spacing_kind=kind if spacing is not None else None,
    )
    return geometry, notices


def grey_where_grey(colour: NDArray[np.uint8]) -> NDArray[np.float32] | NDArray[np.uint8]:
    """A grey film that was saved as colour is grey again: float32 (rows, cols); real colour stays (rows, cols, 3)."""
    red = colour[..., 0]
    if (red == colour[..., 1]).all() and (red == colour[..., 2]).all():
        return np.asarray(red, dtype=np.float32)
    return colour


def labels(count: int, modality: str, word: str = "film") -> list[str]:
    """Short names without identifiers: ``film``, ``film 2``, ``slice 12``."""
    if modality == "CT":
        return [f"slice {number}" for number in range(1, count + 1)]
    return [word] if count == 1 else [f"{word} {number}" for number in range(1, count + 1)]


def finished(
    frames: tuple[Frame, ...],
    modality: str,
    form: str,
    notices: Sequence[Notice],
    view: str | None,
    details: dict[str, str] | None = None,
) -> Study:
    """The study, its digest taken and its contrast looked at."""
    warnings = list(notices)
    if not any(_has_contrast(frame) for frame in frames):
        warnings.append(notice("no_contrast"))
    source = Source(form, digest([frame.values for frame in frames]), details or {})
    return Study(frames, modality, source, once(warnings), view)


def digest(planes: Sequence[NDArray[np.float32] | NDArray[np.uint8]]) -> str:
    """SHA-256 over the frames' shapes, types and little-endian values."""
    state = hashlib.sha256()
    for plane in planes:
        state.update(f"{plane.dtype.name}{plane.shape}".encode())
        state.update(np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("<")).data)
    return state.hexdigest()


def _has_contrast(frame: Frame) -> bool:
    """At least one grey level of 256 between darkest and brightest pixel, padding left out."""
    picture = frame.picture()
    if frame.display.padding is not None and not frame.display.padding.all():
        picture = picture[~frame.display.padding]
    return bool(picture.max() - picture.min() >= 1 / 256)


def _own_range(
    array: NDArray[np.generic], values: list[NDArray[np.float32] | NDArray[np.uint8]]
) -> tuple[float, float, bool]:
    """(low, high, stated): what the dtype implies, else what the values span."""
    if array.dtype == np.bool_:
        return 0.0, 1.0, True
    if array.dtype == np.uint8:
        return 0.0, 255.0, True
    if array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1:  # a picture in [0, 1] is shown as it is
        return 0.0, 1.0, True
    return *window_from_values(np.stack([plane.astype(np.float32, copy=False) for plane in values])), False


def _colour(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    low, high = float(array.min()), float(array.max())
    top = 1 if array.dtype.kind == "f" else 255
    if low < 0 or high > top:
        raise MalformedInput(f"A colour array of {array.dtype} lies in 0 to {top}; found {low:g} to {high:g}.")
    if array.dtype.kind == "f":
        return np.rint(array.astype(np.float64) * 255).astype(np.uint8)
    return np.array(array, dtype=np.uint8, order="C")
