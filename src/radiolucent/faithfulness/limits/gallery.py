"""The films to look at: typical misses and false alarms, and the pairs in which a condition lost a lesion."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.measure import find_contours

from radiolucent.faithfulness.limits.drawing import DrawnFilm, PlantedLesion, draw
from radiolucent.faithfulness.limits.factors import Factor
from radiolucent.faithfulness.limits.judging import JudgedFilm
from radiolucent.faithfulness.limits.plan import SAMPLE, USUAL, PlannedFilm
from radiolucent.faithfulness.limits.types import Limits, Suggestion

EDGE = 280  # of a shown picture, in pixels
QUALITY = 66  # of the JPEG
EACH = 4  # films for a suggestion, a kind of miss, or a kind of false alarm
OUTLINE = (255, 190, 60)


@dataclass(frozen=True)
class Shown:
    """A film with the report's words.

    Parameters
    ----------
    kind
        ``miss``, ``alarm``, or ``side`` (put on a wrong side).
    code
        The finding that it is about.
    lesion
        The lesion missed or put on a wrong side; None for an alarm.
    pictures
        JPEG files: one, or the unchanged film and the changed one.
    reports
        One a picture.
    """

    kind: str
    code: str
    seed: int
    lesion: PlantedLesion | None
    pictures: tuple[bytes, ...]
    reports: tuple[str, ...]
    film: PlannedFilm

    @property
    def sources(self) -> tuple[str, ...]:
        """The pictures as data addresses for a page."""
        return tuple(f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}" for picture in self.pictures)


def suggestion_films(limits: Limits, suggestion: Suggestion, factors: tuple[Factor, ...], edge: int) -> list[Shown]:
    """Cases of one suggestion: first those where it is worst, the plainest lesion first."""
    main = suggestion.main
    kind = {"recall": "miss", "alarm": "alarm", "wrong_side": "side"}[main.outcome]
    set_, level = (SAMPLE, 0.0) if main.design == "sample" else (main.condition.factor, float(main.condition.level))
    films = {film.record.seed: film for film in limits.films if (film.record.set, film.record.level) == (set_, level)}
    usual = {film.record.seed: film for film in limits.films if film.record.set == USUAL}
    worst = [comparison.code for comparison in suggestion.narrower]  # in the sample all of them are the main finding

    def about(member: tuple[int, str]) -> str:
        """The finding to show: of alarms with anything, one that the suggestion names where there is one."""
        seed, code = member
        if kind != "alarm" or code in films[seed].alarms:
            return code
        return next((named for named in worst if named in films[seed].alarms), min(films[seed].alarms))

    def rank(member: tuple[int, str]) -> tuple[int, float, int]:
        seed, code = member
        inside = sum((seed, code) in c.members or (seed, about(member)) in c.members for c in suggestion.narrower)
        return -inside, -_contrast(films[seed], code), seed

    shown = []
    for member in sorted(main.members, key=rank)[:EACH]:
        before = usual.get(member[0]) if main.design == "paired" else None
        shown.append(_shown(kind, about(member), films[member[0]], before, factors, edge))
    return shown


def typical_films(limits: Limits, factors: tuple[Factor, ...], edge: int) -> list[Shown]:
    """Misses and false alarms of the sample: for each finding the plainest miss, then the typical ones."""
    sampled = [film for film in limits.films if film.record.set == SAMPLE]
    shown = []
    for code in dict.fromkeys(lesion.lesion.code for film in sampled for lesion in film.lesions):
        missed = [film for film in sampled if (judged := film.lesion(code)) is not None and not judged.found]
        by_contrast = sorted(missed, key=lambda film: -_contrast(film, code))
        shown += [_shown("miss", code, film, None, factors, edge) for film in plainest_and_typical(by_contrast, 3)]
    alarms: dict[str, list[JudgedFilm]] = {}
    for film in sampled:
        for code in sorted(film.alarms):
            alarms.setdefault(code, []).append(film)
    for code, films in sorted(alarms.items(), key=lambda item: -len(item[1])):
        shown += [_shown("alarm", code, film, None, factors, edge) for film in films[:3]]
    return shown


def plainest_and_typical(films: Sequence[JudgedFilm], count: int) -> list[JudgedFilm]:
    """The first film (the plainest miss) and those around the middle, ``count`` in all."""
    if len(films) <= count:
        return list(films)
    middle = max(1, (len(films) - (count - 1)) // 2)
    return [films[0], *films[middle : middle + count - 1]]


def _contrast(film: JudgedFilm, code: str) -> float:
    judged = film.lesion(code)
    return 0.0 if judged is None else judged.lesion.contrast


def _shown(
    kind: str,
    code: str,
    film: JudgedFilm,
    before: JudgedFilm | None,
    factors: tuple[Factor, ...],
    edge: int,
) -> Shown:
    judged = film.lesion(code)
    lesion = None if judged is None or kind == "alarm" else judged.lesion
    outlined = () if lesion is None else (code,)
    films = (film,) if before is None else (before, film)
    pictures = tuple(jpeg(picture_of(draw(each.record.plan, factors, edge), outlined)) for each in films)
    return Shown(
        kind, code, film.record.seed, lesion, pictures, tuple(each.record.report for each in films), film.record.plan
    )


def picture_of(drawn: DrawnFilm, outlined: Iterable[str]) -> Image.Image:
    """The film with the outlines of some lesions, RGB, ``EDGE`` pixels on its longer side."""
    film = Image.fromarray(drawn.picture)
    scale = EDGE / max(film.size)
    size = (max(1, round(film.width * scale)), max(1, round(film.height * scale)))
    shown = film.resize(size, Image.Resampling.NEAREST if scale > 1.5 else Image.Resampling.LANCZOS).convert("RGB")
    pen = ImageDraw.Draw(shown)
    for code in outlined:
        for contour in outline(drawn.masks[code]):
            points = [(float(col + 0.5) * scale, float(row + 0.5) * scale) for row, col in contour]
            if len(points) > 1:
                pen.line(points, fill=OUTLINE, width=2)
    return shown


def outline(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Contours of a mask as (row, col) points; a mask at the film's edge is closed there."""
    padded = np.pad(mask.astype(float), 1)
    return [contour - 1 for contour in find_contours(padded, 0.5)]


def jpeg(picture: Image.Image) -> bytes:
    """The picture as a JPEG file."""
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=QUALITY, optimize=True)
    return stream.getvalue()
