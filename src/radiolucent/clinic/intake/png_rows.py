"""Does a PNG hold all of its rows? Pillow shows missing ones black without a word: a film without its lower half."""

from __future__ import annotations

import struct
import zlib

from radiolucent.errors import MalformedInput

_MAGIC = 8
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type (PNG 11.2.1)
# Adam7 (PNG 8.2): first row, first column, row step, column step of each pass.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_STEP = 1 << 20


def check_rows(content: bytes) -> None:
    """Unpack the picture's data, a megabyte at a time and no more than the header asks for.

    Raises
    ------
    MalformedInput
        Where there is less than the header declares, or it is damaged.
    """
    cols, rows, depth, kind, _, _, interlaced = struct.unpack_from(">IIBBBBB", content, _MAGIC + 8)
    bits = depth * _CHANNELS.get(kind, 1)
    needed = (
        _size(rows, cols, bits)
        if not interlaced
        else sum(
            _size(-(-(rows - top) // down), -(-(cols - left) // across), bits) for top, left, down, across in _PASSES
        )
    )
    unpacker, found, at = zlib.decompressobj(), 0, _MAGIC
    try:
        while at + 12 <= len(content) and found < needed:
            (length,) = struct.unpack_from(">I", content, at)
            if content[at + 4 : at + 8] == b"IDAT":
                rest = content[at + 8 : at + 8 + length]
                while rest and found < needed:
                    found += len(unpacker.decompress(rest, _STEP))
                    rest = unpacker.unconsumed_tail
            at += 12 + length
    except zlib.error as error:
        raise MalformedInput("The PNG file's data is damaged; export or copy it again.") from error
    if found < needed:
        raise MalformedInput(
            f"The PNG file holds {found:,} bytes of the {needed:,} that its size needs: rows are missing. "
            "Export or copy it again."
        )


def _size(rows: int, cols: int, bits: int) -> int:
    """Bytes of a pass, a filter byte before each row."""
    return rows * (1 + (cols * bits + 7) // 8) if rows > 0 and cols > 0 else 0
