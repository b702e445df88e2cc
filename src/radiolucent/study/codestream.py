"""Do compressed frames hold what the DICOM header declares? Looked at before a decoder allocates anything.

A decoder trusts the codestream's own size, so that a header of 512 x 512 in front of a JPEG 2000 stream of
30000 x 30000 would pass a ceiling that looks at the header alone.
"""

from __future__ import annotations

import struct
from itertools import pairwise

from radiolucent.errors import MalformedInput

_JPEG_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}  # ISO 10918-1 B.1.1.3; 14495-1
_JPEG_HIERARCHICAL = 0xDE
_JPEG_LS_PARAMETERS, _JPEG_LS_OVERSIZE = 0xF8, 4
_J2K_START = b"\xff\x4f\xff\x51"  # SOC, then SIZ (ISO 15444-1 A.5.1)


def check_jpeg(frame: bytes, rows: int, cols: int, samples: int) -> None:
    """A JPEG or JPEG-LS frame's size, from its start-of-frame marker, against the header's.

    Raises
    ------
    MalformedInput
        Where they differ or no size is found.
    """
    position = 2
    if frame[:2] != b"\xff\xd8":
        raise MalformedInput("A compressed frame is not JPEG as its transfer syntax says; export the study again.")
    while position + 9 < len(frame) and frame[position] == 0xFF:
        marker = frame[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        (length,) = struct.unpack_from(">H", frame, position + 2)
        if marker in _JPEG_FRAME_MARKERS:
            height, width, components = struct.unpack_from(">HHB", frame, position + 5)
            _compare((height, width, components), (rows, cols, samples))
            return
        if marker == _JPEG_HIERARCHICAL or (marker == _JPEG_LS_PARAMETERS and frame[position + 4] == _JPEG_LS_OVERSIZE):
            raise MalformedInput("A compressed frame hides its size (hierarchical or oversize JPEG); it is not opened.")
        position += 2 + length
    raise MalformedInput("A compressed frame is a damaged JPEG: no size was found; export the study again.")


def check_jpeg2000(frame: bytes, rows: int, cols: int, samples: int) -> None:
    """A JPEG 2000 codestream's size, from its SIZ marker, against the header's.

    Raises
    ------
    MalformedInput
        Where they differ or no size is found.
    """
    if not frame.startswith(_J2K_START) or len(frame) < 42:
        raise MalformedInput("A compressed frame is not a JPEG 2000 codestream as its transfer syntax says.")
    right, bottom, left, top = struct.unpack_from(">IIII", frame, 8)
    (components,) = struct.unpack_from(">H", frame, 40)
    _compare((bottom - top, right - left, components), (rows, cols, samples))


def check_rle(frame: bytes, rows: int, cols: int, samples: int, bytes_per_sample: int) -> None:
    """The number of segments and unpacked bytes of an RLE frame (PS3.5 annex G) against the header's.

    Raises
    ------
    MalformedInput
        Where the frame unpacks to more or less than one picture.
    """
    planes = samples * bytes_per_sample
    if len(frame) < 64:
        raise MalformedInput("A compressed frame is a damaged RLE frame: its 64-byte header is cut short.")
    segments, *offsets = struct.unpack_from("<16L", frame)
    if segments != planes:
        raise MalformedInput(f"An RLE frame has {segments} segments; its header asks for {planes}.")
    bounds = [*offsets[:segments], len(frame)]
    for start, end in pairwise(bounds):
        if not 64 <= start < end <= len(frame):
            raise MalformedInput("A compressed frame is a damaged RLE frame: its segments overlap or lie outside it.")
        _check_segment(frame[start:end], rows * cols)


def _check_segment(segment: bytes, wanted: int) -> None:
    unpacked, position, last = 0, 0, len(segment) - 1
    while position < last and unpacked <= wanted:
        control = segment[position]
        if control < 128:
            unpacked += control + 1
            position += control + 2
        else:
            unpacked += 257 - control if control > 128 else 0
            position += 2 if control > 128 else 1
    # A segment is padded to an even length; a trailing zero pair may add one or two bytes.
    if not wanted <= unpacked <= wanted + 2:
        raise MalformedInput(f"An RLE segment unpacks to {unpacked} bytes or more; a picture plane here has {wanted}.")


def _compare(found: tuple[int, int, int], declared: tuple[int, int, int]) -> None:
    if found != declared:
        raise MalformedInput(
            f"A compressed frame holds {found[0]} x {found[1]} pixels of {found[2]} samples; the header declares "
            f"{declared[0]} x {declared[1]} of {declared[2]}. The file is damaged or was put together wrongly."
        )
