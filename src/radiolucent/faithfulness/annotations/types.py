"""What an annotation says, whatever its format: areas of one film, each with the category it was drawn for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.faithfulness.annotations.films import Film

Kind = Literal["box", "outline", "pixels"]


@dataclass(frozen=True, eq=False)
class Area:
    """One annotated lesion.

    Parameters
    ----------
    category
        As the annotator named it; never a patient's data.
    kind
        A box says less than an outline or pixels: boxes are counted and told.
    draw
        Bool (rows, cols) in the film's source pixels, at least one pixel True.
    meaning
        A second name for the category, such as the code meaning beside a DICOM segment's label; empty where none.
    """

    category: str
    kind: Kind
    draw: Callable[[], NDArray[np.bool_]]
    meaning: str = ""


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """What the annotations say of one image.

    Parameters
    ----------
    film
        The film it was found to be; None where no film of the folder is it.
    name
        As the annotations call it. It may name the patient, so it is kept out of messages and of ``repr``.
    where
        How messages call it, such as ``image 3 of 12``.
    size
        (rows, cols) that the annotations were drawn on.
    areas
        Empty where the annotator found nothing.
    """

    film: Film | None
    name: str = field(repr=False)
    where: str
    size: tuple[int, int]
    areas: tuple[Area, ...]
