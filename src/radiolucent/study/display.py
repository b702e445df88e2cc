"""From stored values to what eyes see: window or lookup table, then polarity once, then padding black."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.study.types import Display

# The window of a picture without one: what lies between these percentiles of its values.
WINDOW_PERCENTILES = (0.5, 99.5)
_MOST_VALUES_LOOKED_AT = 4_000_000


def apply_display(values: NDArray[np.float32] | NDArray[np.uint8], display: Display) -> NDArray[np.float32]:
    """The displayed picture.

    Parameters
    ----------
    values
        float32 (rows, cols) in modality units, or uint8 (rows, cols, 3), which is shown as it is.
    display
        Window or lookup table, polarity and padding.

    Returns
    -------
    float32 in [0, 1], of ``values``' shape; 0 is black.

    Notes
    -----
    Functions of DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3; ``LINEAR`` and ``LINEAR_EXACT`` are the same ramp once
    :func:`window_range` has turned centre and width into the values shown black and white.
    """
    if values.ndim == 3:
        picture = values.astype(np.float32) / np.float32(255)
    else:
        picture = _grey(values.astype(np.float32, copy=False), display)
    if display.inverted:
        picture = np.float32(1) - picture
    if display.padding is not None:
        picture[display.padding] = 0
    return picture


def window_range(centre: float, width: float, function: str = "LINEAR") -> tuple[float, float]:
    """(low, high): the values shown black and white for a DICOM window.

    Parameters
    ----------
    centre, width
        Window Center (0028,1050) and Window Width (0028,1051) in modality units.
    function
        VOI LUT Function (0028,1056).

    Raises
    ------
    MalformedInput
        Where the width is below the standard's limit (1 for ``LINEAR``, above 0 otherwise).

    Examples
    --------
    The standard's own example, 8 bits from a window of centre 2048 and width 4096:

    >>> window_range(2048, 4096)
    (0.0, 4095.0)
    """
    least = 1.0 if function == "LINEAR" else np.finfo(np.float32).tiny
    if not (np.isfinite(centre) and np.isfinite(width)) or width < least:
        raise MalformedInput(f"A window of centre {centre} and width {width} is not one of function {function}.")
    if function == "LINEAR":
        return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    return centre - width / 2, centre + width / 2


def window_from_values(
    values: NDArray[np.float32] | NDArray[np.uint8], padding: NDArray[np.bool_] | None = None
) -> tuple[float, float]:
    """(low, high) from the values themselves, padding left out: their 0.5th and 99.5th percentiles.

    Where these coincide (a mark on an even ground) the extremes are taken instead.
    """
    seen = values.ravel() if padding is None or padding.all() else values[~padding]
    step = max(1, -(-seen.size // _MOST_VALUES_LOOKED_AT))
    low, high = np.percentile(seen[::step], WINDOW_PERCENTILES)
    if not low < high:
        low, high = seen.min(), seen.max()
    return float(low), float(high)


def _grey(values: NDArray[np.float32], display: Display) -> NDArray[np.float32]:
    if display.lut is not None:
        last = len(display.lut) - 1
        step = last / (display.high - display.low) if display.high > display.low else 0.0
        index = np.rint(((values - np.float32(display.low)) * np.float32(step)).clip(0, last)).astype(np.intp)
        return np.asarray(display.lut[index], dtype=np.float32)
    span = np.float32(display.high - display.low)
    if not span > 0:  # a window of width 1 is a threshold
        return (values > display.low).astype(np.float32)
    if display.function == "SIGMOID":
        centre, width = (display.low + display.high) / 2, display.high - display.low
        exponent = (values.astype(np.float64) - centre) * (-4 / width)
        return np.asarray(1 / (1 + np.exp(exponent.clip(-80, 80))), dtype=np.float32)
    if display.function not in ("LINEAR", "LINEAR_EXACT"):
        raise MalformedInput(f"VOI LUT function {display.function!r} is none of LINEAR, LINEAR_EXACT, SIGMOID.")
    with np.errstate(over="ignore"):  # far outside a narrow window: infinite, then clipped
        ramp = (values - np.float32(display.low)) / span
    return np.asarray(ramp.clip(0, 1), dtype=np.float32)
