"""NIfTI volumes in, through nibabel (extra ``volumes``): frames as DICOM shows axial slices, by the affine."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput, Notice, RadiolucentError, UnsupportedInput
from radiolucent.study.array import checked_modality, checked_window, finished, labels
from radiolucent.study.display import window_from_values
from radiolucent.study.geometry import Geometry, PictureSide, SideSource
from radiolucent.study.limits import MAX_VALUE, check_size
from radiolucent.study.notices import notice
from radiolucent.study.types import Display, Frame, Study

_MM_PER_UNIT = {"mm": 1.0, "meter": 1000.0, "micron": 0.001}
_MOST_TRAILING_BYTES = 1 << 20
_LEAST_MM, _MOST_MM = 0.01, 10.0


def load_nifti(path: Path, *, modality: str | None = None, window: tuple[float, float] | None = None) -> Study:
    """A study from a NIfTI-1 or NIfTI-2 file, gzipped or not.

    The frames are axial slices from the feet up, the patient's front at the top and the patient's left on the
    picture's right, whatever the order of the file's axes: NIfTI's axes run towards the patient's right, front and
    head, DICOM's picture axes towards left and back.

    Parameters
    ----------
    path
        The file.
    modality
        ``CT`` where the caller knows that the values are Hounsfield units; a NIfTI file does not say.
    window
        (low, high) values shown black and white.

    Raises
    ------
    MalformedInput
        Truncated or damaged files, NaN, an affine without inverse, sizes past the ceilings.
    UnsupportedInput
        Several volumes in one file, colour, a header whose pixels are in another file; nibabel not installed.
    """
    nibabel = _nibabel()
    with _readable(), _opened(path) as stream:
        image = _image(nibabel, stream)
        shape, oriented = _checked_shape(image), _states_orientation(image)
        _check_complete(path, stream, image)
        canonical = nibabel.as_closest_canonical(image)
        volume = np.asarray(canonical.dataobj, dtype=np.float32).reshape(canonical.shape[:3])
        spacing = _spacing(image, canonical)
        _check_end(stream)
    if not np.abs(volume).max() <= MAX_VALUE:  # false for NaN, too
        raise MalformedInput(f"The volume {shape} holds NaN, infinite or absurd values; replace them before loading.")
    notices: list[Notice] = []
    if window is None:
        notices.append(notice("window_from_data"))
        low, high = window_from_values(volume)
    else:
        low, high = checked_window(window)
    named = checked_modality(modality or "OT")
    notices += [] if modality else [notice("modality_unknown")]
    notices += [] if oriented else [notice("side_assumed")]
    side: PictureSide = "left"
    origin: SideSource = "orientation" if oriented else "assumed"
    frames = []
    for index, label in enumerate(labels(volume.shape[2], "CT")):
        plane = as_picture(volume[:, :, index])
        rows, cols = plane.shape
        geometry = Geometry(
            rows,
            cols,
            patient_right=side,
            side_source=origin,
            spacing=spacing,
            spacing_kind="patient" if spacing else None,
        )
        frames.append(Frame(plane, Display(low, high), geometry, label))
    return finished(tuple(frames), named, "nifti", notices, None)


def as_picture(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """A slice with axes (towards right, towards front) as a picture: rows towards the back, columns to the left."""
    return np.ascontiguousarray(plane[::-1, ::-1].T)


def _nibabel() -> ModuleType:
    try:
        import nibabel
    except ImportError as error:
        raise UnsupportedInput(
            "NIfTI volumes need nibabel; install it with: pip install 'radiolucent[volumes]'"
        ) from error
    return nibabel


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path)) if zipped else path.open("rb")


def _image(nibabel: ModuleType, stream: IO[bytes]) -> Any:
    """The image, its pixels unread: which of the two versions it is stands in the header's first number."""
    head = stream.read(8)
    stream.seek(0)
    second_version = 540 in (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))
    kind = nibabel.Nifti2Image if second_version else nibabel.Nifti1Image
    return kind.from_stream(stream)


def _check_complete(path: Path, stream: IO[bytes], image: Any) -> None:
    """An unzipped file is as long as its header says, before room is made for its pixels."""
    wanted = int(image.dataobj.offset) + int(np.prod(image.shape, dtype=object)) * image.get_data_dtype().itemsize
    if not isinstance(stream, gzip.GzipFile) and path.stat().st_size < wanted:
        raise MalformedInput(f"The NIfTI file is cut short: its header asks for {wanted} bytes. Copy it again.")


def _check_end(stream: IO[bytes]) -> None:
    """A gzip stream is read to its end, where its checksum is; nothing large may follow the volume."""
    if isinstance(stream, gzip.GzipFile) and len(stream.read(_MOST_TRAILING_BYTES + 1)) > _MOST_TRAILING_BYTES:
        raise MalformedInput("The NIfTI file unpacks to far more than its volume; it was not opened.")


def _checked_shape(image: Any) -> tuple[int, ...]:
    shape = tuple(int(size) for size in image.shape)
    kind = image.get_data_dtype()
    if len(shape) < 3 or any(size != 1 for size in shape[3:]):
        raise UnsupportedInput(f"A NIfTI file of shape {shape} is not one volume; give three axes.")
    if kind.kind not in "iuf":
        raise UnsupportedInput(f"NIfTI pixels of type {kind} are not grey levels; give a grey volume.")
    # Which axis becomes which is not known yet: the largest two make the largest frame.
    few, *many = sorted(shape[:3])
    check_size(many[0], many[1], few, bytes_per_sample=max(4, kind.itemsize))
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise MalformedInput("The volume's affine has no inverse, so that no side can be known; repair its header.")
    return shape


def _states_orientation(image: Any) -> bool:
    """False where both codes are 0: then the affine is nibabel's default and says nothing of the patient."""
    return int(image.header["qform_code"]) > 0 or int(image.header["sform_code"]) > 0


def _spacing(image: Any, canonical: Any) -> tuple[float, float] | None:
    """(row, column) millimetres of the axial picture; None where the header states no unit of length."""
    factor = _MM_PER_UNIT.get(image.header.get_xyzt_units()[0])
    if factor is None:
        return None
    across, along = (float(zoom) * factor for zoom in canonical.header.get_zooms()[:2])
    valid = all(np.isfinite(step) and _LEAST_MM <= step <= _MOST_MM for step in (across, along))
    return (along, across) if valid else None


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except RadiolucentError:
        raise
    except Exception as error:  # nibabel and gzip raise OSError, EOFError, HeaderDataError, ValueError and others
        raise MalformedInput(
            f"The NIfTI file could not be read ({type(error).__name__}): it is truncated or damaged, or its pixels "
            "are in another file (.img). Save it again as one .nii or .nii.gz file."
        ) from error
