"""Source pixels, padded square, token grid, and the patient's sides; every step has an exact inverse.

Points are (column, row) with pixel centres at half-integers: the source's top-left corner is (0, 0), its
bottom-right corner (cols, rows). The padded square is the source centred on black; scaled, it is what the model
is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput

PictureSide = Literal["left", "right"]
SideSource = Literal["orientation", "assumed", "array", "none"]


@dataclass(frozen=True)
class Geometry:
    """How one frame's source pixels, the model's square and the token grid lie on each other.

    Parameters
    ----------
    rows, cols
        Size of the source frame in pixels.
    model_size
        Edge of the square picture shown to the model, in pixels.
    grid
        Token cells along an edge.
    patient_right
        The side of the *picture* on which the patient's right lies; None where a side has no meaning
        (lateral view).
    side_source
        ``orientation`` (DICOM Patient Orientation or Image Orientation), ``assumed`` (a frontal film by
        convention, to be verified by a person), ``array`` (stated by the caller) or ``none``.
    spacing
        (row, column) distance in millimetres; None where missing or invalid (such as 0).
    spacing_kind
        ``patient``, ``detector`` (projection, not corrected for magnification) or None.
    """

    rows: int
    cols: int
    model_size: int = 896
    grid: int = 16
    patient_right: PictureSide | None = "left"
    side_source: SideSource = "assumed"
    spacing: tuple[float, float] | None = None
    spacing_kind: Literal["patient", "detector"] | None = None

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1:
            raise MalformedInput(f"A frame of {self.rows} rows and {self.cols} columns holds no picture.")
        if self.grid < 1 or self.model_size < self.grid:
            raise MalformedInput(f"A grid of {self.grid} cells does not fit a square of {self.model_size} pixels.")

    def for_model(self, model_size: int, grid: int) -> Geometry:
        """The same frame, seen by a model of another input size and token grid."""
        return replace(self, model_size=model_size, grid=grid)

    @property
    def edge(self) -> int:
        """Edge of the padded square in source pixels."""
        return max(self.rows, self.cols)

    @property
    def offset(self) -> tuple[int, int]:
        """(column, row) of the source's corner inside the padded square, in source pixels."""
        return (self.edge - self.cols) // 2, (self.edge - self.rows) // 2

    def to_square(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Source points to model pixels.

        Parameters
        ----------
        points
            (..., 2) as (column, row) in source pixels.
        """
        return (np.asarray(points, dtype=np.float64) + self.offset) * (self.model_size / self.edge)

    def to_source(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Model pixels to source points; the exact inverse of :meth:`to_square`."""
        return np.asarray(points, dtype=np.float64) * (self.edge / self.model_size) - self.offset

    def to_grid(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Source points to fractional grid coordinates (column, row); cell (r, c) covers [c, c+1) x [r, r+1)."""
        return self.to_square(points) * (self.grid / self.model_size)

    def from_grid(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Fractional grid coordinates (column, row) to source points."""
        return self.to_source(np.asarray(points, dtype=np.float64) * (self.model_size / self.grid))

    def cell_of(self, column: float, row: float) -> tuple[int, int]:
        """(grid row, grid column) of the cell that holds a source point, clipped to the grid."""
        grid_column, grid_row = np.clip(np.floor(self.to_grid(np.array([column, row]))), 0, self.grid - 1)
        return int(grid_row), int(grid_column)

    def cell_box(self, grid_row: int, grid_column: int) -> tuple[float, float, float, float]:
        """Source box (x0, y0, x1, y1) of a cell; it may reach into the padding."""
        (x0, y0), (x1, y1) = self.from_grid(
            np.array([[grid_column, grid_row], [grid_column + 1, grid_row + 1]], dtype=np.float64)
        )
        return float(x0), float(y0), float(x1), float(y1)

    def pad(self, picture: NDArray[np.generic], fill: float = 0.0) -> NDArray[np.generic]:
        """Centre a (rows, cols, ...) picture on its square of ``edge`` x ``edge`` source pixels."""
        if picture.shape[:2] != (self.rows, self.cols):
            raise MalformedInput(f"Picture of {picture.shape[:2]} on a geometry of {(self.rows, self.cols)}.")
        left, top = self.offset
        widths = [(top, self.edge - self.rows - top), (left, self.edge - self.cols - left)]
        return np.pad(picture, widths + [(0, 0)] * (picture.ndim - 2), constant_values=fill)

    def on_source(self, grid_values: NDArray[np.floating], smooth: bool = False) -> NDArray[np.float32]:
        """A square map of any resolution carried to the source's pixels, padding cut away.

        Parameters
        ----------
        grid_values
            (n, n) over the padded square.
        smooth
            Bilinear between cell centres instead of flat cells; never adds information.

        Returns
        -------
        float32 (rows, cols)
        """
        values = np.asarray(grid_values, dtype=np.float64)
        if values.ndim != 2 or values.shape[0] != values.shape[1]:
            raise MalformedInput(f"A map over the padded square is square; got shape {values.shape}.")
        n = values.shape[0]
        left, top = self.offset
        columns = (np.arange(self.cols) + 0.5 + left) * n / self.edge
        rows = (np.arange(self.rows) + 0.5 + top) * n / self.edge
        if not smooth:
            flat = values[np.ix_(rows.astype(int).clip(0, n - 1), columns.astype(int).clip(0, n - 1))]
            return flat.astype(np.float32)
        return _bilinear(values, rows - 0.5, columns - 0.5).astype(np.float32)

    def patient_side(self, column: float) -> Literal["left", "right"] | None:
        """The patient's side of a source column, through where the patient's right lies in the picture."""
        if self.patient_right is None:
            return None
        on_picture_left = column < self.cols / 2
        return "right" if on_picture_left == (self.patient_right == "left") else "left"


def _bilinear(
    values: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    last = values.shape[0] - 1
    r, c = rows.clip(0, last), columns.clip(0, last)
    r0, c0 = np.floor(r).astype(int), np.floor(c).astype(int)
    r1, c1 = np.minimum(r0 + 1, last), np.minimum(c0 + 1, last)
    fr, fc = (r - r0)[:, None], (c - c0)[None, :]
    above = values[np.ix_(r0, c0)] * (1 - fc) + values[np.ix_(r0, c1)] * fc
    below = values[np.ix_(r1, c0)] * (1 - fc) + values[np.ix_(r1, c1)] * fc
    blended: NDArray[np.float64] = above * (1 - fr) + below * fr
    return blended
