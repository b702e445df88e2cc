"""Where the films come from: a description that can be kept in a file and sent to a process, and opened there."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from radiolucent.errors import MalformedInput, Notice
from radiolucent.faithfulness.annotations import annotated_cases
from radiolucent.faithfulness.lab.case import Case
from radiolucent.faithfulness.phantoms import SIZE, Difficulty, phantom_cases
from radiolucent.phantom.record import CODES
from radiolucent.study.load import load_study
from radiolucent.study.types import Study


class Cases(Protocol):
    """Films with truth, each opened when it is asked for."""

    def __len__(self) -> int:
        """Number of films."""

    def __getitem__(self, index: int) -> Case:
        """One film, by its place from 0."""


class CaseSource(Protocol):
    """What films are compared on. It can be pickled, unlike opened films."""

    def open(self) -> Cases:
        """The films."""

    def notices(self) -> tuple[Notice, ...]:
        """What did not fit and was left out."""

    def described(self) -> dict[str, Any]:
        """What makes these films these films, as JSON; another description means other films."""

    def title(self, language: str) -> str:
        """What the films are, for people."""


@dataclass(frozen=True)
class PhantomSource:
    """Synthetic films; see :func:`radiolucent.faithfulness.phantoms.phantom_cases`. More of them continue the same."""

    films: int
    first_seed: int = 0
    size: int = SIZE
    codes: tuple[str, ...] = CODES
    difficulty: Difficulty = field(default_factory=Difficulty)
    distractors: bool = True

    def open(self) -> Cases:
        """The films, drawn one at a time."""
        return phantom_cases(
            self.films,
            first_seed=self.first_seed,
            size=self.size,
            codes=self.codes,
            difficulty=self.difficulty,
            distractors=self.distractors,
        )

    def notices(self) -> tuple[Notice, ...]:
        """Nothing is left out."""
        return ()

    def described(self) -> dict[str, Any]:
        """Everything but the number of films: film 7 of 40 is film 7 of 300.

        The first film's pixels stand for how films are drawn: another release may draw a seed otherwise.
        """
        low, high = self.difficulty.contrast
        first = replace(self, films=1).open()[0]
        return {
            "kind": "phantoms",
            "first_seed": self.first_seed,
            "size": self.size,
            "findings": list(self.codes),
            "contrast": [low, None if math.isinf(high) else high],
            "area_percent": list(self.difficulty.area),
            "distractors": self.distractors,
            "first_film_sha256": first.study.source.sha256,
        }

    def title(self, language: str) -> str:
        """Kind and number."""
        if language == "zh":
            return f"{self.films} 张合成影像（起始种子 {self.first_seed}）"
        return f"{self.films} phantoms from seed {self.first_seed}"


@dataclass(frozen=True)
class FolderSource:
    """A user's own annotated films; see :func:`radiolucent.faithfulness.annotations.annotated_cases`.

    Parameters
    ----------
    source, films, categories
        As there.
    load
        How a film is opened; it must be a function that can be pickled.
    """

    source: Path
    films: Path | None = None
    categories: Path | None = None
    load: Callable[[Path], Study] = load_study

    def open(self) -> Cases:
        """The films that have a lesion, in the order of their paths."""
        return annotated_cases(self.source, self.films, categories=self.categories, load=self.load)

    def notices(self) -> tuple[Notice, ...]:
        """What of the annotations and films was left out."""
        return annotated_cases(self.source, self.films, categories=self.categories, load=self.load).notices

    def described(self) -> dict[str, Any]:
        """Digests of the annotations and of the films' names and sizes; no path, since paths may name patients."""
        where = self.films or (self.source if self.source.is_dir() else self.source.parent)
        return {
            "kind": "annotated films",
            "annotations": _digest(self.source),
            "films": _digest(where, contents=False),
            "categories": None if self.categories is None else _digest(self.categories),
            "opened_with": repr(self.load.keywords) if isinstance(self.load, partial) else "",
        }

    def title(self, language: str) -> str:
        """Kind and number."""
        count = len(self.open())
        return f"{count} 张带标注的影像" if language == "zh" else f"{count} annotated films"


def source_of(
    *,
    films: int = 100,
    first_seed: int = 0,
    findings: Sequence[str] = (),
    difficulty: str = "",
    distractors: bool = True,
    cases: Path | None = None,
    films_folder: Path | None = None,
    categories: Path | None = None,
) -> CaseSource:
    """The source that the command line names: a user's annotated films where ``cases`` is given, phantoms otherwise.

    Raises
    ------
    MalformedInput
        Where options of one kind are given for the other.
    """
    if cases is None:
        if films_folder is not None or categories is not None:
            raise MalformedInput("--films-folder and --categories belong to your own films; give --cases too.")
        return PhantomSource(
            films=films,
            first_seed=first_seed,
            codes=tuple(findings) or CODES,
            difficulty=Difficulty.read(difficulty),
            distractors=distractors,
        )
    if findings or difficulty or not distractors:
        raise MalformedInput("--findings, --difficulty and --no-distractors belong to phantoms; leave out --cases.")
    return FolderSource(cases, films_folder, categories)


def _digest(path: Path, *, contents: bool = True) -> str:
    """SHA-256 over a file, or over the names and sizes of a folder's files."""
    if not path.exists():
        raise MalformedInput("The annotations, the films or the categories do not exist; check the paths.")
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() if contents else str(path.stat().st_size)
    digest = hashlib.sha256()
    for one in sorted(_files(path)):
        digest.update(f"{one.relative_to(path).as_posix()} {one.stat().st_size}\n".encode())
    return digest.hexdigest()


def _files(folder: Path) -> Sequence[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
