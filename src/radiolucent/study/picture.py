"""PNG, JPEG and TIFF in, through Pillow: 8- and 16-bit grey, colour, EXIF orientation applied and EXIF dropped."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from radiolucent.errors import MalformedInput, Notice, RadiolucentError, UnsupportedInput
from radiolucent.study.array import (
    checked_modality,
    checked_spacing,
    checked_window,
    finished,
    grey_where_grey,
    labels,
    stated_geometry,
)
from radiolucent.study.display import window_from_values
from radiolucent.study.geometry import PictureSide
from radiolucent.study.limits import check_size
from radiolucent.study.notices import notice
from radiolucent.study.types import Display, Frame, Study

# Pillow knows some forty formats, among them ones that start other programs (EPS); only these are ever tried.
FORMATS = ("PNG", "JPEG", "TIFF")
_EXIF_ORIENTATION = 0x0112
_TIFF_PHOTOMETRIC = 262
_TIFF_STRIPS, _TIFF_TILES = 273, 324
_TIFF_WHITE_IS_ZERO = 0


@dataclass(frozen=True, eq=False)
class _Plane:
    values: NDArray[np.float32] | NDArray[np.uint8]
    inverted: bool
    full_range: bool  # the dtype's whole range is meant (8 bits), so that no window has to be found


def load_pictures(
    paths: Sequence[Path],
    form: str,
    *,
    modality: str = "OT",
    patient_right: PictureSide | None = None,
    spacing: tuple[float, float] | None = None,
    view: str | None = None,
    window: tuple[float, float] | None = None,
) -> Study:
    """A study from picture files, one or more frames each.

    Parameters
    ----------
    paths
        Files of one format.
    form
        ``png``, ``jpeg`` or ``tiff``, as found in the files' first bytes.
    modality, patient_right, spacing, view, window
        What the caller states; a picture file says none of it.

    Raises
    ------
    MalformedInput
        Truncated or broken files, sizes past the ceilings, decompression bombs.
    UnsupportedInput
        Animations and pixel types that hold no film.
    """
    checked_modality(modality)
    notices: list[Notice] = []
    planes: list[_Plane] = []
    for path in paths:
        planes += _read(path, form, notices)
    stated = checked_window(window) if window is not None else None
    millimetres = checked_spacing(spacing)
    frames = []
    for plane, label in zip(planes, labels(len(planes), modality), strict=True):
        rows, cols = plane.values.shape[:2]
        geometry, side_notices = stated_geometry(rows, cols, modality, patient_right, millimetres, view)
        notices += side_notices
        if stated is not None:
            low, high = stated
        elif plane.full_range:
            low, high = 0.0, 255.0
        else:
            low, high = window_from_values(plane.values)
            notices.append(notice("window_from_data"))
        display = Display(low, high, inverted=plane.inverted)
        frames.append(Frame(plane.values, display, geometry, label, view=view))
    return finished(tuple(frames), modality, form, notices, view)


def _read(path: Path, form: str, notices: list[Notice]) -> list[_Plane]:
    """All frames of one file, upright."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow tolerates in damaged tags; pixels raise
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # By stream, not by path: Pillow 13 maps a plain TIFF into memory with its turned size and garbles it.
            with path.open("rb") as stream, Image.open(stream, formats=FORMATS) as picture:
                frame_count = getattr(picture, "n_frames", 1)
                # A phone's MPO file is a JPEG with previews behind it; the first picture is the photograph.
                frame_count = 1 if picture.format == "MPO" else frame_count
                if frame_count > 1 and form != "tiff":
                    raise UnsupportedInput("The picture is an animation; give a still picture.")
                check_size(picture.height, picture.width, frame_count, len(picture.getbands()), 2)
                planes = []
                for index in range(frame_count):
                    if index:
                        picture.seek(index)
                        check_size(picture.height, picture.width, frame_count, len(picture.getbands()), 2)
                    _check_strips(getattr(picture, "tag_v2", {}))
                    planes.append(_plane(picture, notices))
                return planes
    except RadiolucentError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MalformedInput("The picture unpacks to far more pixels than a film has; it was not opened.") from error
    except Exception as error:  # Pillow's readers raise OSError, SyntaxError, ValueError, struct.error and others
        raise MalformedInput(
            f"The {form.upper()} file could not be read ({type(error).__name__}): it is truncated or damaged. "
            "Export or copy it again."
        ) from error


def _check_strips(tags: Mapping[int, Any]) -> None:
    """Refuse a TIFF that lists fewer strips or tiles than its size needs: Pillow would leave the rest black."""
    cols, rows = tags.get(256, 0), tags.get(257, 0)
    if _TIFF_TILES in tags:
        across, down = -(-cols // tags[322]), -(-rows // tags[323])
        listed, needed = tags[_TIFF_TILES], across * down
    elif _TIFF_STRIPS in tags:
        listed, needed = tags[_TIFF_STRIPS], -(-rows // tags.get(278, rows))
    else:
        return
    planes = tags.get(277, 1) if tags.get(284, 1) == 2 else 1
    count = len(listed) if isinstance(listed, tuple) else 1
    if count < needed * planes:
        raise MalformedInput(f"The TIFF file lists {count} strips or tiles where its size needs {needed * planes}.")


def _plane(picture: Image.Image, notices: list[Notice]) -> _Plane:
    tags = getattr(picture, "tag_v2", {})
    white_is_zero = tags.get(_TIFF_PHOTOMETRIC) == _TIFF_WHITE_IS_ZERO
    orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)
    if orientation in range(2, 9):
        notices.append(notice("exif_turned"))
    picture.load()
    # Pillow turns a TIFF while loading and takes the tag away; a PNG or JPEG keeps the tag and is turned here.
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith(("I", "F")):
        grey = np.asarray(upright)
        if not np.isfinite(grey).all() or abs(grey.astype(np.float64)).max() > 1 << 24:
            raise MalformedInput("The picture holds NaN, infinite or very large values; rescale it to 16 bits.")
        # Pillow turns white-is-zero round for 8 bits, but hands deeper pixels over as stored.
        return _Plane(np.ascontiguousarray(grey, dtype=np.float32), white_is_zero, full_range=False)
    if upright.mode in ("1", "L"):
        return _Plane(np.asarray(upright.convert("L"), dtype=np.float32), False, full_range=True)
    if upright.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in upright.info:
        upright = _on_black(upright.convert("RGBA"), notices)
    return _Plane(grey_where_grey(np.array(upright.convert("RGB"), dtype=np.uint8)), False, full_range=True)


def _on_black(picture: Image.Image, notices: list[Notice]) -> Image.Image:
    if picture.getchannel("A").getextrema() == (255, 255):
        return picture.convert("RGB")
    notices.append(notice("transparency_flattened"))
    ground = Image.new("RGBA", picture.size, (0, 0, 0, 255))
    return Image.alpha_composite(ground, picture)
