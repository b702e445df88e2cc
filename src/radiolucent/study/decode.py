"""Stored DICOM pixels: which transfer syntaxes are read, sizes checked first, then decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import apply_color_lut, get_decoder

from radiolucent.errors import MalformedInput, UnsupportedInput
from radiolucent.study.codestream import check_jpeg, check_jpeg2000, check_rle
from radiolucent.study.header import numbers, text
from radiolucent.study.limits import check_size

_NATIVE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
_JPEG = (
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
)
_JPEG2000 = (uid.JPEG2000Lossless, uid.JPEG2000)
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


@dataclass(frozen=True)
class PixelForm:
    """What the header declares of the pixels, checked."""

    rows: int
    cols: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    photometric: str
    size: int


def read_header(path: Path) -> Dataset:
    """The data set without pixels.

    Raises
    ------
    UnsupportedInput
        DICOMDIR; a transfer syntax outside the allow-list, Deflated among them (298 KB can unpack to 601 MB before
        the header can be looked at).
    MalformedInput
        No transfer syntax.
    """
    meta = read_file_meta_info(path)
    if meta.get("MediaStorageSOPClassUID") == uid.MediaStorageDirectoryStorage:
        raise UnsupportedInput(
            "DICOMDIR is not opened, because its paths can point anywhere; give the folder that holds the slices."
        )
    syntax = meta.get("TransferSyntaxUID")
    if not syntax:
        raise MalformedInput("The DICOM file states no transfer syntax; write it again as DICOM Part 10.")
    if syntax not in (*_NATIVE, *_JPEG, *_JPEG2000, uid.RLELossless):
        raise UnsupportedInput(
            f"The transfer syntax {uid.UID(syntax).name} is not read; convert the file to Explicit VR Little Endian "
            "(dcmconv, gdcmconv or dcmdjpeg do)."
        )
    return dcmread(path, stop_before_pixels=True)


def pixel_form(header: Dataset) -> PixelForm:
    """The declared size and type of the pixels, within the ceilings.

    Raises
    ------
    MalformedInput
        Missing or impossible values, sizes past the ceilings.
    UnsupportedInput
        Pixel types that hold no film: 1 or 32 bits, floats, other colour spaces.
    """
    if not text(header, "Rows") or not text(header, "Columns"):
        raise MalformedInput("The DICOM file holds no picture: Rows or Columns is missing.")
    photometric = text(header, "PhotometricInterpretation")
    rows, cols = _whole(header, "Rows"), _whole(header, "Columns")
    frames = _whole(header, "NumberOfFrames", 1)
    samples = _whole(header, "SamplesPerPixel", 1)
    allocated = _whole(header, "BitsAllocated")
    stored = _whole(header, "BitsStored", allocated)
    if photometric not in (*_GREY, *_COLOUR, "PALETTE COLOR") or (samples == 3) != (photometric in _COLOUR):
        raise UnsupportedInput(
            f"Photometric Interpretation {photometric!r} with {samples} samples a pixel is not read; "
            "expected MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB or YBR."
        )
    if allocated not in (8, 16):
        raise UnsupportedInput(f"{allocated} bits a sample are not read; expected 8 to 16.")
    if not 1 <= stored <= allocated or _whole(header, "HighBit", stored - 1) != stored - 1:
        raise MalformedInput(
            f"Bits Stored {stored} of {allocated} with High Bit {_whole(header, 'HighBit', stored - 1)} is not valid; "
            "the high bit is one below the bits stored."
        )
    size = check_size(rows, cols, frames, samples, allocated // 8)
    return PixelForm(rows, cols, frames, samples, allocated, stored, photometric, size)


def stored_pixels(path: Path, form: PixelForm) -> NDArray[Any]:
    """Decoded pixels as stored, before rescale.

    Returns
    -------
    integers (frames, rows, cols), or uint8 RGB (frames, rows, cols, 3)

    Raises
    ------
    MalformedInput
        No pixels, too few, or compressed frames that are not what the header declares.
    """
    full = dcmread(path)
    if "PixelData" not in full:
        raise MalformedInput("The DICOM file holds no pixel data (0028,0010 is there, 7FE0,0010 is not).")
    syntax = full.file_meta.TransferSyntaxUID
    if syntax not in _NATIVE:
        frames = list(generate_frames(full.PixelData, number_of_frames=form.frames))
        if len(frames) != form.frames:
            raise MalformedInput(f"The header declares {form.frames} frames; {len(frames)} compressed ones were found.")
        for frame in frames:
            _check_frame(frame, syntax, form)
        # What was checked is what is decoded: no offset table may point elsewhere.
        full.PixelData = encapsulate(frames)
        for table in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
            if table in full:
                del full[table]
    array, _ = get_decoder(syntax).as_array(full, decoding_plugin=_plugin(syntax))
    if form.photometric == "PALETTE COLOR":
        if syntax == uid.ExplicitVRBigEndian:  # pydicom 3.0.2 reads such tables with their bytes swapped
            raise UnsupportedInput("A colour palette in Explicit VR Big Endian is not read; convert to little endian.")
        array = apply_color_lut(array, full)
        array = (array >> 8).astype(np.uint8) if array.dtype.itemsize == 2 else array
    elif form.samples == 3:
        array = (array >> max(0, form.bits_stored - 8)).astype(np.uint8)
    colour = (3,) if form.samples == 3 or form.photometric == "PALETTE COLOR" else ()
    return np.asarray(array).reshape((form.frames, form.rows, form.cols, *colour))


def _check_frame(frame: bytes, syntax: str, form: PixelForm) -> None:
    if syntax in _JPEG:
        check_jpeg(frame, form.rows, form.cols, form.samples)
    elif syntax in _JPEG2000:
        check_jpeg2000(frame, form.rows, form.cols, form.samples)
    else:
        check_rle(frame, form.rows, form.cols, form.samples, form.bits_allocated // 8)


def _plugin(syntax: str) -> str:
    """The decoder for a transfer syntax: pylibjpeg's where it is installed, else another that pydicom knows.

    Raises
    ------
    UnsupportedInput
        Where none is installed, with the packages that would do.
    """
    if syntax in _NATIVE:
        return ""
    decoder = get_decoder(syntax)
    if not decoder.available_plugins:
        needed = "; ".join(decoder.missing_dependencies)
        raise UnsupportedInput(f"No decoder for {uid.UID(syntax).name} is installed ({needed}); install one with pip.")
    plugins = [str(name) for name in decoder.available_plugins]
    return "pylibjpeg" if "pylibjpeg" in plugins else plugins[0]


def _whole(header: Dataset, keyword: str, absent: int = 0) -> int:
    values = numbers(header, keyword)
    return int(values[0]) if values else absent
