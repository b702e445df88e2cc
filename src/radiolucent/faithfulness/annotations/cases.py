"""Films and their annotations joined into cases with truth."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput, Notice, RadiolucentError, UnsupportedInput
from radiolucent.faithfulness.annotations.categories import Categories, codes_of, read_categories
from radiolucent.faithfulness.annotations.chexlocalize import is_chexlocalize, read_chexlocalize
from radiolucent.faithfulness.annotations.coco import is_coco, read_coco
from radiolucent.faithfulness.annotations.dicom_seg import read_segmentations
from radiolucent.faithfulness.annotations.films import Film, Folder, check_once_each, read_folder
from radiolucent.faithfulness.annotations.notices import annotation_notice
from radiolucent.faithfulness.annotations.png_masks import LAYOUT, read_masks
from radiolucent.faithfulness.annotations.strict_json import read_json
from radiolucent.faithfulness.annotations.types import AnnotatedImage, Area
from radiolucent.faithfulness.evaluate import Case
from radiolucent.study.limits import check_file
from radiolucent.study.load import load_study, sniff
from radiolucent.study.types import Study

MASKS = "masks"

PathLike = str | os.PathLike[str]
Load = Callable[[Path], Study]


@dataclass(frozen=True, eq=False)
class AnnotatedCases:
    """Cases with truth, each film opened only when its turn comes; may be gone through more than once.

    Parameters
    ----------
    notices
        What did not fit and was left out, with counts; show them.
    films, images
        How many films the folder holds and how many images the annotations name.
    left_out
        Category -> its areas that were left out, because it is no finding or the mapping says so.
    films_without_annotation, annotations_without_film
        Which they are. Paths and names may name patients: for the caller's eyes, never for a log.
    """

    notices: tuple[Notice, ...]
    films: int
    images: int
    left_out: Mapping[str, int]
    films_without_annotation: tuple[Path, ...] = field(repr=False)
    annotations_without_film: tuple[str, ...] = field(repr=False)
    _joined: tuple[_Joined, ...] = field(repr=False)
    _load: Load = field(repr=False)

    def __len__(self) -> int:
        """Number of cases."""
        return len(self._joined)

    def __getitem__(self, index: int) -> Case:
        """One case, by its place from 0; errors as when iterating."""
        return _case(self._joined[index], self._load)

    def __iter__(self) -> Iterator[Case]:
        """The cases in the order of the films' paths.

        Raises
        ------
        MalformedInput, UnsupportedInput
            A film that cannot be opened, is a volume, or has not the size that its annotations were drawn on.
        """
        return (_case(joined, self._load) for joined in self._joined)


@dataclass(frozen=True, eq=False)
class _Joined:
    """A film with its areas by finding code."""

    film: Film
    size: tuple[int, int]
    where: str
    areas: Mapping[str, tuple[Area, ...]]


def annotated_cases(
    source: PathLike,
    films: PathLike | None = None,
    *,
    categories: Categories | PathLike | None = None,
    load: Load = load_study,
) -> AnnotatedCases:
    """A user's own films with their annotated lesions, for :func:`radiolucent.faithfulness.evaluate.compare_methods`.

    What ``source`` holds is found from its content:

    - *COCO* JSON: polygons, boxes, run lengths; films found by ``file_name``;
    - *CheXlocalize* JSON: its masks or its outlines;
    - *DICOM SEG* objects: films found by the SOP instance that they refer to;
    - *masks* as PNG: ``<category>/<the film's path from the folder of films>.png``.

    Parameters
    ----------
    source
        The annotations: a JSON file, a SEG object, a folder of SEG objects, a folder of masks; or one folder with films
        and annotations: one JSON file at its top, SEG objects anywhere, or masks in its folder ``masks``.
    films
        The folder of films (DICOM, PNG, JPEG, TIFF, one a file, subfolders too). Where None: ``source``, or the folder
        that the file ``source`` lies in.
    categories
        Category -> finding code, list of codes, or None to leave it out; or a JSON file of that. Asked first; the names
        of codes in both languages and whatever the report extractor reads as a finding need no entry.
    load
        How a film is opened, such as ``partial(load_study, view="PA", patient_right="left")`` for pictures that do
        not say so themselves.

    Returns
    -------
    AnnotatedCases
        Iterable of :class:`~radiolucent.faithfulness.evaluate.Case`; masks are in the film's source pixels and a case's
        name is its film's number and the start of its pixels' digest. Without counterfactuals: no case can be filtered
        by whether the words need the lesion.

    Raises
    ------
    MalformedInput
        Damaged or contradicting annotations, areas off the film or empty, two images that mean one film, no annotation
        that fits any film; while iterating, a film of another size than its annotations.
    UnsupportedInput
        Annotations of a kind that is not read; while iterating, a film that may not be explained.
    """
    mapping = Path(categories) if isinstance(categories, (str, os.PathLike)) else categories
    wanted = read_categories(mapping)
    apart = [mapping] if isinstance(mapping, Path) else []
    images, folder = _read(Path(source), None if films is None else Path(films), apart)
    check_once_each((image.film, image.where) for image in images)
    left_out: Counter[str] = Counter()
    unknown: set[str] = set()
    joined: list[_Joined] = []
    without_lesion = without_category = 0
    for image in images:
        if image.film is None:
            continue
        by_code: dict[str, tuple[Area, ...]] = {}
        for area in image.areas:
            codes = codes_of(area.category, wanted, area.meaning)
            if not codes:
                left_out[area.category] += 1
                unknown |= {area.category} if codes is None else set()
            for code in codes or ():
                by_code[code] = (*by_code.get(code, ()), area)
        without_lesion += not image.areas
        without_category += bool(image.areas) and not by_code
        if by_code:
            joined.append(_Joined(image.film, image.size, image.where, by_code))
    known = {image.film.number for image in images if image.film is not None}
    without_annotation = tuple(film.path for film in folder.films if film.number not in known)
    without_film = tuple(image.name for image in images if image.film is None)
    counts = {
        "films_without_annotation": (len(without_annotation), len(folder.films)),
        "annotations_without_film": (len(without_film), len(images)),
        "films_without_lesion": (without_lesion, len(folder.films)),
        "films_without_known_category": (without_category, len(folder.films)),
        "boxes_filled": _boxes(joined),
        "files_ignored": (folder.ignored, len(folder.films)),
    }
    notices = [annotation_notice(code, count=count, total=total) for code, (count, total) in counts.items() if count]
    for code, names in (("categories_unknown", unknown), ("categories_left_out", set(left_out) - unknown)):
        if names:
            listed = ", ".join(f"{name} ({left_out[name]})" for name in sorted(names))
            notices.append(annotation_notice(code, names=listed))
    if not joined:
        told = " ".join(notice.en for notice in notices)
        raise MalformedInput(
            f"{len(folder.films)} films and {len(images)} annotated images give no case with a lesion. {told}"
        )
    return AnnotatedCases(
        notices=tuple(notices),
        films=len(folder.films),
        images=len(images),
        left_out=dict(left_out),
        films_without_annotation=without_annotation,
        annotations_without_film=without_film,
        _joined=tuple(sorted(joined, key=lambda one: one.film.number)),
        _load=load,
    )


def _read(source: Path, films: Path | None, apart: Sequence[Path]) -> tuple[list[AnnotatedImage], Folder]:
    """The annotated images of a source, and the folder that their films were looked for in; files apart are neither."""
    if not source.exists():
        raise MalformedInput("The annotations do not exist; check the path.")
    if source.is_file():
        folder = read_folder(films or source.parent, [source, *apart])
        if _is_dicom(source):
            return read_segmentations([source], folder), folder
        return _read_json(source, folder), folder
    documents = sorted(path for path in source.glob("*.json") if path.resolve() not in {one.resolve() for one in apart})
    masks = source / MASKS if films is None else source
    if films is None:
        folder = read_folder(source, [*documents, masks, *apart])
        objects = folder.segmentations
    else:
        folder = read_folder(films, [*documents, *apart])
        objects = read_folder(source, [*documents, *apart], "the folder of annotations").segmentations
    kinds = {
        "JSON files": bool(documents),
        "DICOM segmentations": bool(objects),
        "a folder of masks": films is None and masks.is_dir(),
    }
    found = [kind for kind, held in kinds.items() if held]
    if len(found) > 1 or len(documents) > 1:
        held = " and ".join(found) if len(found) > 1 else f"{len(documents)} JSON files"
        raise MalformedInput(f"The folder holds {held}; name the one that holds the annotations.")
    if documents:
        return _read_json(documents[0], folder), folder
    if objects:
        return read_segmentations(objects, folder), folder
    if not masks.is_dir():
        raise MalformedInput(
            "The folder holds no annotations: a JSON file (COCO or CheXlocalize), DICOM SEG objects, or a folder "
            f"{MASKS} of PNG masks laid out as {LAYOUT}."
        )
    return read_masks(masks, folder), folder


def _read_json(path: Path, folder: Folder) -> list[AnnotatedImage]:
    document: Any = read_json(path, "The annotations")
    if is_coco(document):
        return read_coco(document, folder)
    if is_chexlocalize(document):
        return read_chexlocalize(document, folder)
    raise MalformedInput(
        "The annotations are neither COCO (images, annotations, categories) nor CheXlocalize (for each image its "
        "findings' masks, or img_size and outlines); convert them to one of these."
    )


def _is_dicom(path: Path) -> bool:
    check_file(path, "The annotations")
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM" and sniff(path) == "dicom"


def _boxes(joined: Sequence[_Joined]) -> tuple[int, int]:
    areas = [area for one in joined for several in one.areas.values() for area in several]
    return sum(area.kind == "box" for area in areas), len(areas)


def _case(joined: _Joined, load: Load) -> Case:
    film = joined.film
    try:
        study = load(film.path)
    except RadiolucentError as error:
        raise type(error)(f"{_begun(film)}: {error}") from error
    if study.modality == "CT" or len(study.frames) != 1:
        raise UnsupportedInput(
            f"{_begun(film)} is {study.modality} with {len(study.frames)} frames; annotated cases are single films."
        )
    if any(notice.code == "exif_turned" for notice in study.warnings):
        raise UnsupportedInput(
            f"{_begun(film)} is turned by its EXIF tag, so that it is not known which way up it was annotated; save it "
            "upright, without the tag."
        )
    geometry = study.frames[0].geometry
    if (geometry.rows, geometry.cols) != joined.size:
        raise MalformedInput(
            f"{_begun(film)} has {geometry.rows} rows and {geometry.cols} columns, but {joined.where} was annotated on "
            f"{joined.size[0]} rows and {joined.size[1]} columns; give the films that were annotated."
        )
    masks = {code: _union(areas) for code, areas in joined.areas.items()}
    for code, mask in masks.items():
        if mask.all():
            raise MalformedInput(f"{_begun(film)}: the area of {code} is the whole film, which points at nothing.")
    return Case(study=study, masks=masks, name=f"film {film.number}, {study.source.sha256[:12]}")


def _union(areas: Sequence[Area]) -> NDArray[np.bool_]:
    union: NDArray[np.bool_] = np.logical_or.reduce([area.draw() for area in areas])
    return union


def _begun(film: Film) -> str:
    return film.called[:1].upper() + film.called[1:]
