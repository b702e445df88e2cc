"""CheXlocalize's two files (Saporta et al. 2022, Nat Mach Intell 4:867): masks, and the readers' outlines.

``gt_segmentations_*.json`` holds for each image an object of findings to run lengths, all ten findings, many of them
empty; ``gt_annotations_*.json`` holds ``img_size`` (rows, cols) and for each finding a list of outlines of [x, y]. An
image ``patient1_study1_view1_frontal`` is the film ``patient1/study1/view1_frontal.jpg`` of CheXpert, or a film of that
name.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.annotations.films import Folder
from radiolucent.faithfulness.annotations.outlines import check_outline, fill_outlines
from radiolucent.faithfulness.annotations.run_lengths import fill_runs, is_empty, read_runs
from radiolucent.faithfulness.annotations.strict_json import listed, mapped, number, whole
from radiolucent.faithfulness.annotations.types import AnnotatedImage, Area
from radiolucent.study.limits import check_size

SIZE = "img_size"


def is_chexlocalize(document: Any) -> bool:
    """Whether a JSON document is either of the two: every image an object, of run lengths or with its size."""
    if not isinstance(document, dict) or not document:
        return False
    return all(isinstance(image, dict) and (SIZE in image or _is_masks(image)) for image in document.values())


def read_chexlocalize(document: Any, folder: Folder) -> list[AnnotatedImage]:
    """The images of either file with their areas.

    Raises
    ------
    MalformedInput
        Parts of the wrong kind, masks of one image that differ in size, outlines off the film or empty.
    """
    images = mapped(document, "The CheXlocalize file")
    found = []
    for place, (name, entry) in enumerate(images.items(), start=1):
        where = f"image {place} of {len(images)} in the CheXlocalize file"
        image = mapped(entry, where)
        size, areas = _outlined(image, where) if SIZE in image else _masked(image, where)
        found.append(AnnotatedImage(folder.joined(name), name, where, size, areas))
    return found


def _is_masks(image: dict[str, Any]) -> bool:
    return bool(image) and all(isinstance(mask, dict) and "counts" in mask for mask in image.values())


def _masked(image: dict[str, Any], where: str) -> tuple[tuple[int, int], tuple[Area, ...]]:
    areas, sizes = [], set()
    for category, mask in image.items():
        size, runs = read_runs(mask, f"{where}, {category}")
        sizes.add(size)
        if not is_empty(runs):
            areas.append(Area(category, "pixels", partial(fill_runs, size, runs)))
    if len(sizes) != 1:
        raise MalformedInput(f"{where}: its masks have the sizes {sorted(sizes)}; one film has one size.")
    return sizes.pop(), tuple(areas)


def _outlined(image: dict[str, Any], where: str) -> tuple[tuple[int, int], tuple[Area, ...]]:
    sides = listed(image[SIZE], f"{where}, {SIZE}")
    if len(sides) != 2:
        raise MalformedInput(f"{where}: {SIZE} is [rows, cols]; found {len(sides)} values.")
    size = whole(sides[0], f"{where}, {SIZE}"), whole(sides[1], f"{where}, {SIZE}")
    try:
        check_size(*size)
    except MalformedInput as error:
        raise MalformedInput(f"{where}: {error}") from error
    areas = []
    for category, drawn in image.items():
        if category == SIZE:
            continue
        spot = f"{where}, {category}"
        outlines = [_outline(one, size, spot) for one in listed(drawn, spot)]
        if outlines:
            areas.append(Area(category, "outline", partial(fill_outlines, outlines, size)))
    return size, tuple(areas)


def _outline(value: Any, size: tuple[int, int], where: str) -> NDArray[np.float64]:
    points = []
    for point in listed(value, where):
        pair = [number(one, where) for one in listed(point, where)]
        if len(pair) != 2:
            raise MalformedInput(f"{where}: a point is [x, y]; found {len(pair)} numbers.")
        points.append(pair)
    outline = np.array(points, dtype=np.float64).reshape(-1, 2)
    check_outline(outline, size, where)
    return outline
