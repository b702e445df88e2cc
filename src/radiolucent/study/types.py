"""What a study is: frames of pixel values, how they are displayed, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import Notice
from radiolucent.study.geometry import Geometry


@dataclass(frozen=True, eq=False)
class Display:
    """How stored values become grey levels for eyes.

    Parameters
    ----------
    low, high
        Modality units shown as black and as white (before inversion).
    inverted
        True where the stored polarity is MONOCHROME1 or Presentation LUT Shape INVERSE; applied once.
    function
        VOI LUT function (DICOM PS3.3 C.11.2.1.2): ``LINEAR``, ``LINEAR_EXACT`` or ``SIGMOID``.
    lut
        VOI LUT as float32 (entries,) scaled to [0, 1], its first entry standing at ``low`` and its last at
        ``high``; None where a window is used.
    padding
        Bool (rows, cols): pixels that are padding (0028,0120), shown black; None where there is none.
    """

    low: float
    high: float
    inverted: bool = False
    function: str = "LINEAR"
    lut: NDArray[np.float32] | None = None
    padding: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a study.

    Parameters
    ----------
    values
        float32 (rows, cols) in modality units after rescale (HU for CT), or uint8 (rows, cols, 3) colour.
    display
        How ``values`` are shown.
    geometry
        Source pixels, padded square, token grid, patient's sides.
    label
        Short name without identifiers, such as ``"film"`` or ``"slice 12"``.
    view
        ``PA``, ``AP``, ``LATERAL`` or None where unknown; a study may hold a frontal and a lateral frame.
    """

    values: NDArray[np.float32] | NDArray[np.uint8]
    display: Display
    geometry: Geometry
    label: str = "film"
    view: str | None = None

    def picture(self) -> NDArray[np.float32]:
        """The frame as eyes see it: float32 in [0, 1], (rows, cols) or (rows, cols, 3)."""
        from radiolucent.study.display import apply_display

        return apply_display(self.values, self.display)


@dataclass(frozen=True)
class Source:
    """Where a study came from, free of patient identifiers (no file names, no UIDs).

    Parameters
    ----------
    format
        ``dicom``, ``png``, ``jpeg``, ``tiff``, ``nifti`` or ``array``.
    sha256
        Digest of the decoded pixel values, so that the same picture is recognised again.
    """

    format: str
    sha256: str
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Study:
    """What is explained: one film, several views, or a volume's slices. Never holds patient identifiers.

    Parameters
    ----------
    frames
        At least one.
    modality
        DICOM modality (``CR``, ``DX``, ``CT``, …); ``OT`` where the file does not say (PNG).
    view
        The first frame's: ``PA``, ``AP``, ``LATERAL`` or None where unknown.
    """

    frames: tuple[Frame, ...]
    modality: str
    source: Source
    warnings: tuple[Notice, ...] = ()
    view: str | None = None
