"""The films of a folder, and which of them an annotation means."""

from __future__ import annotations

import os
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from radiolucent.errors import MalformedInput, RadiolucentError
from radiolucent.study.decode import read_header
from radiolucent.study.header import text
from radiolucent.study.load import sniff

FILM_FORMATS = ("dicom", "png", "jpeg", "tiff")
SEGMENTATION_MODALITY = "SEG"


@dataclass(frozen=True)
class Film:
    """A file that holds a film.

    Parameters
    ----------
    path
        Kept out of ``repr`` and of every message: file names hold patients' names.
    inside
        The path from the folder of films, with forward slashes.
    number, count
        Its place among the folder's films in the order of their paths, from 1, and how many there are.
    instance
        SOP Instance UID of a DICOM film, else empty; used to find the film that a DICOM SEG means, never kept.
    """

    path: Path = field(repr=False)
    inside: PurePosixPath = field(repr=False)
    number: int
    count: int
    instance: str = field(default="", repr=False)

    @property
    def called(self) -> str:
        """How messages call it."""
        return f"film {self.number} of {self.count} (in the order of their paths)"


@dataclass(frozen=True)
class Folder:
    """What a folder of films holds.

    Parameters
    ----------
    films
        In the order of their paths.
    segmentations
        DICOM SEG objects among them.
    ignored
        How many files are neither.
    """

    films: tuple[Film, ...]
    segmentations: tuple[Path, ...]
    ignored: int

    def at_path(self, name: str) -> Film | None:
        """The film that a path or file name in an annotation means.

        The film's whole path has to end in it: ``1.png`` and ``images/1.png`` both mean a film ``1.png`` in a folder
        ``images``. None where there is no such film.

        Raises
        ------
        MalformedInput
            Where more than one film fits.
        """
        wanted = [part for part in re.split(r"[\\/]+", name) if part not in ("", ".", "..")]
        if not wanted:
            return None
        named = self._by_name.get(wanted[-1], ())
        fitting = [film for film in named if list(film.path.parts[-len(wanted) :]) == wanted]
        exact = [film for film in fitting if list(film.inside.parts) == wanted]
        return _only(exact or fitting, "file name")

    def joined(self, name: str) -> Film | None:
        """The film whose path without its ending, joined by ``_``, ends in ``name`` from a folder on; None if none.

        ``patient1_study1_view1_frontal`` means ``patient1/study1/view1_frontal.jpg`` as well as
        ``patient1_study1_view1_frontal.png``.
        """
        return _only(self._by_joined_name.get(name, ()), "identifier")

    def without_ending(self, inside: PurePosixPath) -> Film | None:
        """The film at that path from the folder, whatever its ending; None where there is none."""
        return _only(self._by_place.get(str(inside), ()), "name")

    def instance(self, identifier: str) -> Film | None:
        """The DICOM film of that SOP Instance UID; None where there is none."""
        return _only(self._by_instance.get(identifier, ()), "SOP instance")

    @cached_property
    def _by_name(self) -> dict[str, list[Film]]:
        return _grouped((film.inside.name, film) for film in self.films)

    @cached_property
    def _by_joined_name(self) -> dict[str, list[Film]]:
        return _grouped((name, film) for film in self.films for name in _joined_names(film.path))

    @cached_property
    def _by_place(self) -> dict[str, list[Film]]:
        return _grouped((str(film.inside.with_suffix("")), film) for film in self.films)

    @cached_property
    def _by_instance(self) -> dict[str, list[Film]]:
        return _grouped((film.instance, film) for film in self.films if film.instance)


def read_folder(root: Path, left_out: Sequence[Path] = (), called: str = "the folder of films") -> Folder:
    """Sort a folder's files, subfolders included, into films, DICOM SEG objects and others; nothing is decoded.

    Parameters
    ----------
    root
        The folder, or one film.
    left_out
        Files and folders below it that are not looked at.
    called
        How messages call it.

    Raises
    ------
    MalformedInput
        Where it is missing, or a file with a picture's ending is none.
    """
    if not root.exists():
        raise MalformedInput(f"{called[:1].upper()}{called[1:]} does not exist; check the path.")
    root = _absolute(root)
    base = root if root.is_dir() else root.parent
    found = sorted(_files(root, left_out), key=lambda path: path.relative_to(base).as_posix())
    films: list[tuple[Path, str]] = []
    segmentations: list[Path] = []
    ignored = 0
    for number, path in enumerate(found, start=1):
        name = f"File {number} of {len(found)} in {called}"
        form = _form(path, name)
        if form == "dicom":
            modality, instance = _named(path, name)
            if modality == SEGMENTATION_MODALITY:
                segmentations.append(path)
            else:
                films.append((path, instance))
        elif form in FILM_FORMATS:
            films.append((path, ""))
        else:
            ignored += 1
    return Folder(
        tuple(
            Film(path, PurePosixPath(path.relative_to(base).as_posix()), number, len(films), instance)
            for number, (path, instance) in enumerate(films, start=1)
        ),
        tuple(segmentations),
        ignored,
    )


def check_once_each(named: Iterable[tuple[Film | None, str]]) -> None:
    """Refuse annotations in which two images mean one film.

    Parameters
    ----------
    named
        A film and how messages call the image that means it.
    """
    places: dict[int, list[str]] = defaultdict(list)
    for film, where in named:
        if film is not None:
            places[film.number].append(where)
    for number, several in places.items():
        if len(several) > 1:
            raise MalformedInput(
                f"{several[0][:1].upper()}{several[0][1:]} and {several[1]} mean the same film, number {number} in the "
                "order of the paths; merge them into one."
            )


@contextmanager
def readable_dicom(name: str) -> Iterator[None]:
    """Whatever a damaged file makes pydicom raise becomes a typed error that begins with the file's name in messages.

    pydicom raises ValueError, struct.error, RecursionError and others; its warnings quote header values, patients'
    names among them, so they are kept out of logs.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except RadiolucentError as error:
        raise type(error)(f"{name}: {error}") from error
    except Exception as error:
        raise MalformedInput(
            f"{name} could not be read ({type(error).__name__}): it is truncated or damaged. Export it again."
        ) from error


def _files(root: Path, left_out: Sequence[Path]) -> list[Path]:
    """Files below ``root`` that are neither hidden, in a hidden folder, nor left out."""
    if root.is_file():
        return [root]
    away = {_absolute(path) for path in left_out}
    return [
        path
        for path in root.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and not away.intersection((path, *path.parents))
    ]


def _absolute(path: Path) -> Path:
    """Without ``..``, links as they are named."""
    return Path(os.path.abspath(path))


def _form(path: Path, name: str) -> str | None:
    """The picture format of a file; None where it is none (a text file, a table)."""
    try:
        return sniff(path, name)
    except RadiolucentError:
        # A file with a film's ending that is no film is damage; any other file is only not a film.
        if path.suffix.lower() in (".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".tif", ".tiff"):
            raise
        return None


def _named(path: Path, name: str) -> tuple[str, str]:
    """Modality and SOP Instance UID of a DICOM file."""
    with readable_dicom(name):
        header = read_header(path)
        return text(header, "Modality"), text(header, "SOPInstanceUID")


def _joined_names(path: Path) -> list[str]:
    parts = [*path.parts[:-1], path.stem]
    return ["_".join(parts[first:]) for first in range(len(parts))]


def _grouped(pairs: Iterable[tuple[str, Film]]) -> dict[str, list[Film]]:
    found: dict[str, list[Film]] = defaultdict(list)
    for key, film in pairs:
        found[key].append(film)
    return dict(found)


def _only(fitting: Sequence[Film], what: str) -> Film | None:
    if len(fitting) > 1:
        numbers = ", ".join(str(film.number) for film in fitting[:5])
        raise MalformedInput(
            f"One {what} in the annotations fits {len(fitting)} films (numbers {numbers} in the order of their paths); "
            "give the path from the folder of films."
        )
    return fitting[0] if fitting else None
