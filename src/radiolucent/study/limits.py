"""Ceilings on what may be opened, checked from the header before anything is decoded.

A file of some hundred kilobytes can declare gigabytes of pixels (decompression bomb), so that the declared size
counts, not the file's.
"""

from __future__ import annotations

from pathlib import Path

from radiolucent.errors import MalformedInput

# The largest chest detectors give about 4300 x 3600 pixels, scanned films up to about 7000 x 6000.
MAX_FRAME_PIXELS = 64_000_000
# A thin-slice chest CT of 1000 slices is 512 MB at 16 bits.
MAX_STUDY_BYTES = 1 << 30
MAX_FRAMES = 4096
MAX_FILE_BYTES = 1 << 30
# Values and windows beyond this are damage: no modality unit comes near, and float32 differences would overflow.
MAX_VALUE = 1e12


def check_file(path: Path, name: str = "The file") -> None:
    """Refuse what is not a regular file of a sensible size.

    Raises
    ------
    MalformedInput
        Where ``path`` is missing, not a regular file, empty, or too large.
    """
    if not path.exists():
        raise MalformedInput(f"{name} does not exist; check the path.")
    if not path.is_file():
        raise MalformedInput(f"{name} is not a regular file; give a picture, a DICOM file or a folder of slices.")
    size = path.stat().st_size
    if size == 0:
        raise MalformedInput(f"{name} is empty (0 bytes); export or copy it again.")
    if size > MAX_FILE_BYTES:
        raise MalformedInput(f"{name} has {size} bytes; at most {MAX_FILE_BYTES} are opened.")


def check_size(rows: int, cols: int, frames: int = 1, samples: int = 1, bytes_per_sample: int = 1) -> int:
    """Refuse declared sizes that are zero or past the ceilings; the decoded size in bytes.

    Raises
    ------
    MalformedInput
        With the declared size and the ceiling.
    """
    if min(rows, cols, frames, samples, bytes_per_sample) < 1:
        raise MalformedInput(f"The header declares {frames} frames of {rows} x {cols} pixels: there is no picture.")
    if rows * cols > MAX_FRAME_PIXELS:
        raise MalformedInput(
            f"The header declares {rows} x {cols} pixels; at most {MAX_FRAME_PIXELS} pixels a frame are opened. "
            "Check the file, or export it at the detector's own size."
        )
    if frames > MAX_FRAMES:
        raise MalformedInput(f"The study declares {frames} frames; at most {MAX_FRAMES} are opened. Give one series.")
    size = rows * cols * frames * samples * bytes_per_sample
    if size > MAX_STUDY_BYTES:
        raise MalformedInput(
            f"The study declares {size} bytes of pixels; at most {MAX_STUDY_BYTES} are opened. Give fewer slices."
        )
    return size
