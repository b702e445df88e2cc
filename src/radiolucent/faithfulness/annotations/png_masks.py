"""Masks as pictures, in one layout: ``<category>/<the film's path from the folder of films>.png``.

A film ``films/ward 3/0001.dcm`` with an effusion has the mask ``masks/pleural_effusion/ward 3/0001.png``: black where
there is none, any one other value where there is.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput, RadiolucentError, UnsupportedInput
from radiolucent.faithfulness.annotations.films import Folder
from radiolucent.faithfulness.annotations.types import AnnotatedImage, Area
from radiolucent.study.limits import check_file
from radiolucent.study.load import load_study, sniff

LAYOUT = "<category>/<the film's path from the folder of films>.png"


def read_masks(root: Path, folder: Folder) -> list[AnnotatedImage]:
    """The images that have masks below ``root``, one folder a category.

    Raises
    ------
    MalformedInput
        Files that are not in a category's folder, not PNG, damaged, of more than one value beside black, or of another
        size than the film's other masks.
    """
    paths = sorted(path for path in root.rglob("*") if path.is_file() and not _hidden(path.relative_to(root)))
    if not paths:
        raise MalformedInput(f"The folder of masks holds no files; the layout is {LAYOUT}.")
    masks: dict[PurePosixPath, list[tuple[str, Path, str]]] = {}
    for number, path in enumerate(paths, start=1):
        where = f"mask {number} of {len(paths)} (in the order of their paths)"
        category, *inside = path.relative_to(root).parts
        if not inside:
            raise MalformedInput(f"{where} lies in no category's folder; the layout is {LAYOUT}.")
        masks.setdefault(PurePosixPath(*inside).with_suffix(""), []).append((category, path, where))
    return [_image(name, entries, folder) for name, entries in masks.items()]


def _image(name: PurePosixPath, entries: list[tuple[str, Path, str]], folder: Folder) -> AnnotatedImage:
    areas, sizes = [], set()
    for category, path, where in entries:
        mask = _mask(path, where)
        sizes.add((mask.shape[0], mask.shape[1]))
        if mask.any():
            areas.append(Area(category, "pixels", partial(_mask, path, where)))
    if len(sizes) != 1:
        raise MalformedInput(f"{entries[0][2]} and the film's other masks have the sizes {sorted(sizes)}.")
    return AnnotatedImage(folder.without_ending(name), str(name), entries[0][2], sizes.pop(), tuple(areas))


def _mask(path: Path, where: str) -> NDArray[np.bool_]:
    try:
        check_file(path, "The file")
        form = sniff(path)
        if form != "png":  # JPEG's ringing would grow the lesion
            raise UnsupportedInput(f"it is {form}, not PNG; save masks without loss as PNG.")
        values = load_study(path).frames[0].values
    except RadiolucentError as error:
        raise type(error)(f"{where}: {error}") from error
    flat = values.reshape(values.shape[0], values.shape[1], -1)
    on: NDArray[np.bool_] = np.asarray(flat.any(axis=2))
    colours = flat[on]
    if len(colours) and (colours != colours[0]).any():
        raise MalformedInput(
            f"{where}: it holds several values beside black; a mask holds one. Save each category in its own folder, "
            "without smoothed edges."
        )
    return on


def _hidden(inside: Path) -> bool:
    return any(part.startswith(".") for part in inside.parts)
