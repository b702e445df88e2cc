"""COCO instances: ``{"images": [...], "categories": [...], "annotations": [...]}`` (cocodataset.org, "Data format")."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.annotations.films import Folder
from radiolucent.faithfulness.annotations.outlines import check_box, check_outline, fill_box, fill_outlines
from radiolucent.faithfulness.annotations.run_lengths import fill_runs, is_empty, read_runs
from radiolucent.faithfulness.annotations.strict_json import listed, mapped, number, whole, words
from radiolucent.faithfulness.annotations.types import AnnotatedImage, Area
from radiolucent.study.limits import check_size

Identifier = int | str


def is_coco(document: Any) -> bool:
    """Whether a JSON document has COCO's parts."""
    return isinstance(document, dict) and "images" in document and "annotations" in document


def read_coco(document: Any, folder: Folder) -> list[AnnotatedImage]:
    """The images of a COCO document with their areas.

    An annotation's ``segmentation`` (polygons or run lengths) is its area; where it has none, its ``bbox`` filled.
    A film is found by ``file_name``: its path, or the end of its path.

    Raises
    ------
    MalformedInput
        Parts that are missing or of the wrong kind, identifiers used twice or not defined, areas off the film or
        empty, sizes past the ceilings.
    """
    whole_document = mapped(document, "The COCO file")
    categories = _categories(whole_document.get("categories"))
    images = listed(whole_document.get("images"), "The COCO file, images")
    by_image = _by_image(whole_document.get("annotations"))
    found: dict[Identifier, AnnotatedImage] = {}
    for place, entry in enumerate(images, start=1):
        where = f"image {place} of {len(images)} in the COCO file"
        image = mapped(entry, where)
        identifier = _identifier(image.get("id"), f"{where}, id")
        if identifier in found:
            raise MalformedInput(f"{where}: its id {identifier!r} is used twice, so that areas cannot be told apart.")
        size = _size(image, where)
        name = words(image.get("file_name"), f"{where}, file_name")
        areas = tuple(_area(annotation, size, categories, spot) for spot, annotation in by_image.pop(identifier, []))
        found[identifier] = AnnotatedImage(folder.at_path(name), name, where, size, areas)
    if by_image:
        spot, _ = next(iter(by_image.values()))[0]
        raise MalformedInput(f"{spot}: its image_id is none of the file's images; export the annotations again.")
    return list(found.values())


def _categories(value: Any) -> dict[Identifier, str]:
    entries = listed(value, "The COCO file, categories")
    names: dict[Identifier, str] = {}
    for place, entry in enumerate(entries, start=1):
        where = f"category {place} in the COCO file"
        category = mapped(entry, where)
        identifier = _identifier(category.get("id"), f"{where}, id")
        if identifier in names:
            raise MalformedInput(f"{where}: its id {identifier!r} is used twice.")
        names[identifier] = words(category.get("name"), f"{where}, name")
    return names


def _by_image(value: Any) -> dict[Identifier, list[tuple[str, dict[str, Any]]]]:
    """Image id -> annotations, each with how messages call it."""
    entries = listed(value, "The COCO file, annotations")
    found: dict[Identifier, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for place, entry in enumerate(entries, start=1):
        where = f"annotation {place} of {len(entries)} in the COCO file"
        annotation = mapped(entry, where)
        found[_identifier(annotation.get("image_id"), f"{where}, image_id")].append((where, annotation))
    return found


def _area(annotation: dict[str, Any], size: tuple[int, int], categories: dict[Identifier, str], where: str) -> Area:
    identifier = _identifier(annotation.get("category_id"), f"{where}, category_id")
    if identifier not in categories:
        raise MalformedInput(f"{where}: its category_id {identifier!r} is none of the file's categories.")
    category, drawn = categories[identifier], annotation.get("segmentation")
    if isinstance(drawn, dict):
        stated, runs = read_runs(drawn, where)
        if stated != size:
            raise MalformedInput(f"{where}: a mask of {stated} rows and columns on an image of {size}.")
        if is_empty(runs):
            raise MalformedInput(f"{where}: its mask is empty; delete the annotation.")
        return Area(category, "pixels", partial(fill_runs, size, runs))
    if drawn:
        outlines = [_outline(one, size, where) for one in listed(drawn, f"{where}, segmentation")]
        return Area(category, "outline", partial(fill_outlines, outlines, size))
    if annotation.get("bbox") is None:
        raise MalformedInput(f"{where}: it has neither a segmentation nor a bbox; delete or redraw it.")
    sides = [number(side, f"{where}, bbox") for side in listed(annotation["bbox"], f"{where}, bbox")]
    if len(sides) != 4:
        raise MalformedInput(f"{where}: a bbox is [x, y, width, height]; found {len(sides)} numbers.")
    box = (sides[0], sides[1], sides[2], sides[3])
    check_box(box, size, where)
    return Area(category, "box", partial(fill_box, box, size))


def _outline(value: Any, size: tuple[int, int], where: str) -> NDArray[np.float64]:
    numbers = [number(one, f"{where}, segmentation") for one in listed(value, f"{where}, segmentation")]
    if len(numbers) % 2:
        raise MalformedInput(f"{where}: an outline of {len(numbers)} numbers; expected x and y in turn.")
    points = np.array(numbers, dtype=np.float64).reshape(-1, 2)
    check_outline(points, size, where)
    return points


def _size(image: dict[str, Any], where: str) -> tuple[int, int]:
    rows, cols = whole(image.get("height"), f"{where}, height"), whole(image.get("width"), f"{where}, width")
    try:
        check_size(rows, cols)
    except MalformedInput as error:
        raise MalformedInput(f"{where}: {error}") from error
    return rows, cols


def _identifier(value: Any, where: str) -> Identifier:
    """COCO's identifiers are whole numbers; some tools write texts."""
    return value if isinstance(value, str) and value else whole(value, where)
