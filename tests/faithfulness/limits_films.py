"""Films of phantoms whose reports err exactly as they are told to: weaknesses can be planted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace

import numpy as np

from radiolucent.errors import RadiolucentError
from radiolucent.faithfulness.limits.drawing import DrawnFilm, PlantedLesion
from radiolucent.faithfulness.limits.judging import JudgedFilm, judge
from radiolucent.faithfulness.limits.plan import PlannedFilm
from radiolucent.faithfulness.limits.record import FilmRecord
from radiolucent.phantom.grammar import write_report
from radiolucent.phantom.record import Lesion

Reads = Callable[[PlannedFilm, PlantedLesion], "Lesion | None"]
Alarms = Callable[[PlannedFilm, DrawnFilm], "Sequence[Lesion]"]


def truly(_film: PlannedFilm, lesion: PlantedLesion) -> Lesion:
    return Lesion(lesion.code, lesion.side, lesion.zone, lesion.severity)


def no_alarm(_film: PlannedFilm, _drawn: DrawnFilm) -> Sequence[Lesion]:
    return ()


def report(film: PlannedFilm, drawn: DrawnFilm, reads: Reads, alarms: Alarms, language: str = "en") -> str:
    read = [reads(film, lesion) for lesion in drawn.lesions]
    return write_report([*(lesion for lesion in read if lesion is not None), *alarms(film, drawn)], language)


def judged(
    films: Iterable[tuple[PlannedFilm, DrawnFilm]], reads: Reads = truly, alarms: Alarms = no_alarm
) -> list[JudgedFilm]:
    return [
        judge(
            FilmRecord(
                film.seed, film.set, film.level, drawn.lesions, drawn.distractors, report(film, drawn, reads, alarms)
            ),
            "en",
        )
        for film, drawn in films
    ]


class Reader:
    """A model that looks films up by their pixels and reports on them as told."""

    name, weights_hash = "reader", "0" * 64

    def __init__(self, films: Iterable[tuple[PlannedFilm, DrawnFilm]], reads: Reads = truly, alarms: Alarms = no_alarm):
        self.known = {_key(drawn.picture): (film, drawn) for film, drawn in films}
        self.reads, self.alarms = reads, alarms
        self.asked = 0
        self.profile = SimpleNamespace(question=lambda language: f"What is there, in {language}?")

    def encode(self, study):
        return self.known[_key(study.frames[0].values)]

    def generate(self, prompt, features, *, max_new_tokens, capture=True):
        self.asked += 1
        film, drawn = features
        text = report(film, drawn, self.reads, self.alarms, prompt.language)
        return SimpleNamespace(text=text, finish="stop")


def _key(picture) -> bytes:
    return np.asarray(picture).astype(np.uint8).tobytes() + bytes(str(np.shape(picture)), "ascii")


class Brightness:
    """Answers by the picture's mean grey level alone: needs no truth, so any process can make one."""

    name, weights_hash = "brightness", "1" * 64

    def __init__(self):
        self.profile = SimpleNamespace(question=lambda language: "What is there?")

    def encode(self, study):
        return float(np.asarray(study.frames[0].values, dtype=float).mean())

    def generate(self, prompt, features, *, max_new_tokens, capture=True):
        odd = int(features) % 2 == 1
        text = "The heart is enlarged." if odd else "No nodule."
        return SimpleNamespace(text=text, finish="length" if odd else "stop")


def no_model():
    raise RadiolucentError("the weights are gone")
