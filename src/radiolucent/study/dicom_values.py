"""From stored DICOM pixels to modality values, their padding, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.errors import MalformedInput, Notice
from radiolucent.study.display import window_range
from radiolucent.study.header import group, items, numbers, stated, text, texts
from radiolucent.study.limits import MAX_VALUE
from radiolucent.study.notices import notice
from radiolucent.study.types import Display

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def modality_values(header: Dataset, frame: int, stored: NDArray[Any]) -> NDArray[np.float32]:
    """Modality LUT or rescale (PS3.3 C.11.1) applied: HU for CT.

    Parameters
    ----------
    header
        The data set.
    frame
        Index of the frame in the object.
    stored
        integers (rows, cols).

    Raises
    ------
    MalformedInput
        A slope of 0, or a CT slice without rescale, whose numbers would not be Hounsfield units.
    """
    tables = items(header, "ModalityLUTSequence")
    if tables:
        table = _read_table(tables[0], signed_input=_signed(header))
        index = (stored.astype(np.int64) - table.first).clip(0, len(table.entries) - 1)
        return np.asarray(table.entries[index], dtype=np.float32)
    where = "PixelValueTransformationSequence"
    slope = stated(header, frame, where, "RescaleSlope", numbers)
    intercept = stated(header, frame, where, "RescaleIntercept", numbers)
    if not slope and not intercept:
        if text(header, "Modality") == "CT":
            raise MalformedInput("A CT slice without Rescale Slope and Intercept is not in Hounsfield units.")
        return stored.astype(np.float32)
    factor, offset = (slope or (1.0,))[0], (intercept or (0.0,))[0]
    if factor == 0 or not max(abs(factor), abs(offset)) * (1 << 16) <= MAX_VALUE:
        raise MalformedInput(f"Rescale Slope {factor:g} and Intercept {offset:g} carry no picture.")
    return (stored * float(factor) + float(offset)).astype(np.float32)


def padding_of(header: Dataset, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Bool (rows, cols) of pixels equal to Pixel Padding Value (0028,0120), or between it and the Range Limit
    (0028,0121); None where none is padding."""
    value, limit = numbers(header, "PixelPaddingValue"), numbers(header, "PixelPaddingRangeLimit")
    if not value:
        return None
    bits = int(numbers(header, "BitsAllocated")[0])
    ends = [_as_stored(int(end[0]), bits, _signed(header)) for end in (value, limit) if end]
    mask: NDArray[np.bool_] = (stored >= min(ends)) & (stored <= max(ends))
    return mask if mask.any() else None


def polarity(header: Dataset) -> tuple[bool, tuple[Notice, ...]]:
    """Whether the picture is inverted for eyes, once, however often the header says so.

    MONOCHROME1 and Presentation LUT Shape (2050,0020) INVERSE state the same thing: in an image the one goes with the
    other (PS3.3 C.8.11.3), so that either alone inverts and both together invert once. Where they disagree, the
    picture is inverted and the reader is told.
    """
    shape = text(header, "PresentationLUTShape")
    by_photometric = text(header, "PhotometricInterpretation") == "MONOCHROME1"
    conflict = shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") != by_photometric
    return by_photometric or shape == "INVERSE", (notice("polarity_conflict"),) if conflict else ()


def stated_display(header: Dataset, frame: int, inverted: bool, padding: NDArray[np.bool_] | None) -> Display | None:
    """The VOI LUT, else the first window of the header; None where it states none that is valid."""
    where = "FrameVOILUTSequence"
    voi = group(header, frame, where)
    tables = items(voi, "VOILUTSequence") or items(header, "VOILUTSequence")
    if tables:
        table = _read_table(tables[0], signed_input=_voi_input_is_signed(header, frame))
        scale = np.float32(1 / ((1 << table.bits) - 1))
        entries = (table.entries.astype(np.float32) * scale).clip(0, 1)
        last = table.first + len(entries) - 1
        return Display(float(table.first), float(last), inverted, lut=entries, padding=padding)
    centres = stated(header, frame, where, "WindowCenter", numbers)
    widths = stated(header, frame, where, "WindowWidth", numbers)
    function = (stated(header, frame, where, "VOILUTFunction", texts) or ("LINEAR",))[0]
    if not centres or not widths or function not in _FUNCTIONS:
        return None
    least_valid = widths[0] >= 1 if function == "LINEAR" else widths[0] > 0
    if not least_valid or not max(abs(centres[0]), widths[0]) <= MAX_VALUE:
        return None
    low, high = window_range(centres[0], widths[0], function)
    return Display(low, high, inverted, function, padding=padding)


@dataclass(frozen=True, eq=False)
class _Table:
    first: int
    entries: NDArray[Any]
    bits: int


def _read_table(item: Dataset, signed_input: bool) -> _Table:
    """A LUT Descriptor (0028,3002) and LUT Data (0028,3006)."""
    descriptor, data = numbers(item, "LUTDescriptor"), item.get("LUTData")
    if len(descriptor) != 3 or data is None:
        raise MalformedInput("A lookup table of the header is incomplete (LUT Descriptor or LUT Data is missing).")
    count, first, bits = (int(entry) for entry in descriptor)
    count = count or 1 << 16  # 0 stands for 65536, which 16 bits cannot hold
    if isinstance(data, bytes):
        wide = len(data) >= 2 * count
        big_endian = not getattr(item, "is_little_endian", True)
        entries = np.frombuffer(data, (">u2" if big_endian else "<u2") if wide else "u1")
    else:
        entries = np.atleast_1d(np.asarray(data, dtype=np.int64)) & 0xFFFF
        if len(entries) * 2 in (count, count + 1):  # 8-bit entries packed two to a word
            entries = np.stack([entries & 0xFF, entries >> 8], axis=1).ravel()
    if not 8 <= bits <= 16 or len(entries) < count:
        raise MalformedInput(f"A lookup table of {len(entries)} entries, {bits} bits, declares {count} entries.")
    return _Table(first - (1 << 16) if signed_input and first >= 1 << 15 else first, entries[:count], bits)


def _voi_input_is_signed(header: Dataset, frame: int) -> bool:
    """The VOI stage sees signed values where the stored ones are, or where rescale goes below 0."""
    intercept = stated(header, frame, "PixelValueTransformationSequence", "RescaleIntercept", numbers)
    return _signed(header) or (bool(intercept) and intercept[0] < 0)


def _signed(header: Dataset) -> bool:
    return text(header, "PixelRepresentation") == "1"


def _as_stored(value: int, bits: int, signed: bool) -> int:
    """A padding value written with the other sign (US where SS is meant, or the reverse), in the pixels' own sign."""
    if signed:
        return value - (1 << bits) if value >= 1 << (bits - 1) else value
    return value + (1 << bits) if value < 0 else value
