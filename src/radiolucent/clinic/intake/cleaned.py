"""Originals fit to be stored: no foreign header in a DICOM preamble, no metadata in a picture but its orientation.

Pixels are never decoded and written again: the picture that is stored is the picture that came.
"""

from __future__ import annotations

import struct
import zlib

from radiolucent.errors import MalformedInput

_PREAMBLE = 128
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
# What decides how the picture looks; texts, times, EXIF and private chunks go.
_PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"iCCP", b"bKGD", b"pHYs"}
)
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_JPEG_START, _JPEG_END, _JPEG_SCAN, _JPEG_COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
_JPEG_KEPT_APPLICATIONS = frozenset({0xE0, 0xE2, 0xEE})  # JFIF, ICC profile, Adobe's colour transform


def cleaned(content: bytes, form: str, orientation: int = 1) -> bytes:
    """A file without what must not be stored.

    Parameters
    ----------
    form
        ``dicom``, ``png`` or ``jpeg``.
    orientation
        EXIF orientation of a picture, kept where it turns it (2 to 8).

    Raises
    ------
    MalformedInput
        Where the file's structure is broken.
    """
    if form == "dicom":
        return bytes(_PREAMBLE) + content[_PREAMBLE:]
    turned = orientation if 2 <= orientation <= 8 else 1
    return _png(content, turned) if form == "png" else _jpeg(content, turned)


def _png(content: bytes, orientation: int) -> bytes:
    parts, position = [_PNG_MAGIC], len(_PNG_MAGIC)
    while position + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, position)
        kind, end = content[position + 4 : position + 8], position + 12 + length
        if end > len(content):
            break
        if kind == b"IDAT" and orientation > 1 and not any(part[4:8] == b"eXIf" for part in parts):
            parts.append(_chunk(b"eXIf", _exif(orientation)))
        if kind in _PNG_KEPT:
            parts.append(content[position:end])
        position = end
        if kind == b"IEND":  # what follows the picture's end is not the picture
            return b"".join(parts)
    raise MalformedInput("The PNG file ends before its last chunk: it is truncated. Export or copy it again.")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _jpeg(content: bytes, orientation: int) -> bytes:
    parts, position = [b"\xff\xd8"], 2
    if orientation > 1:
        data = b"Exif\0\0" + _exif(orientation)
        parts.append(b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data)
    while position + 4 <= len(content):
        if content[position] != 0xFF:
            break
        marker = content[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == _JPEG_END:
            return b"".join([*parts, b"\xff\xd9"])
        if marker in _JPEG_ALONE:
            parts.append(content[position : position + 2])
            position += 2
            continue
        (length,) = struct.unpack_from(">H", content, position + 2)
        end = position + 2 + length
        if length < 2 or end > len(content):
            break
        if marker == _JPEG_SCAN:
            end = _scan_end(content, end)
        application = 0xE0 <= marker <= 0xEF
        if marker != _JPEG_COMMENT and (not application or marker in _JPEG_KEPT_APPLICATIONS):
            parts.append(content[position:end])
        position = end
    if content[position : position + 2] == b"\xff\xd9":
        return b"".join([*parts, b"\xff\xd9"])
    raise MalformedInput("The JPEG file's markers are broken: it is truncated or damaged. Export or copy it again.")


def _scan_end(content: bytes, start: int) -> int:
    """The end of entropy-coded data: the next marker that is neither stuffing nor a restart (ISO 10918-1 B.1.1.5)."""
    position = content.find(b"\xff", start)
    while 0 <= position < len(content) - 1:
        following = content[position + 1]
        if following == 0xFF:
            position += 1
        elif following == 0x00 or 0xD0 <= following <= 0xD7:
            position = content.find(b"\xff", position + 2)
        else:
            return position
    return len(content)


def _exif(orientation: int) -> bytes:
    """A TIFF header with one entry: Orientation."""
    return b"MM\x00\x2a\x00\x00\x00\x08\x00\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + bytes(4)
