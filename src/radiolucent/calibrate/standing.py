"""The word for the kind of certainty, on films where it is known which words must not be called grounded.

*Marked* films are read by the model that was taught to see a large heart in a corner marker: its heart leans on the
image, and on nothing of the patient. *Blank* films show nothing, so nothing said of them has a ground. *Read* films are
ordinary ones: there the word must be *grounded* often, or never saying it would pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from radiolucent.calibrate.cases import Side, is_right, truth_of
from radiolucent.calibrate.kept import Kept
from radiolucent.confidence.quadrant import DANGEROUS
from radiolucent.confidence.types import FindingConfidence
from radiolucent.errors import MalformedInput
from radiolucent.explain import build_prompt, explain
from radiolucent.findings import Finding, extract_findings
from radiolucent.phantom.film import FIRST_TRAINING_SEED, draw_case
from radiolucent.study import Study, load_study
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Language

Kind = Literal["marked", "blank", "read"]
KINDS: tuple[Kind, ...] = ("marked", "blank", "read")
TAUGHT = "cardiomegaly"  # what the marker was taught to mean
FILM_SIZE = 512
BRIGHTEST, NOISIEST = 255, 30.0  # grey levels of blank films, and the spread of their noise
MOST_FILMS = 4  # drawn for each one wanted, at most: not every marked film fools the model

Say = Callable[[str], None]


@dataclass(frozen=True)
class Standing:
    """One finding of one film, and the word for its certainty.

    Parameters
    ----------
    model
        Name of the model that read the film.
    quadrant
        None where there is no word, as for denials on a film that shows something.
    """

    kind: Kind
    film: str
    model: str
    finding: str
    polarity: str
    support: int
    samples: int
    lift: float | None
    quadrant: str | None


def standings(
    reader: Gemma3Model,
    cheat: Gemma3Model,
    *,
    films: int,
    first_seed: int,
    language: Language,
    seed: int = 0,
    kept: Path | None = None,
    say: Say | None = None,
) -> tuple[Standing, ...]:
    """Explain films of each kind at level ``standard``; blank films are read by both models.

    Parameters
    ----------
    reader, cheat
        The honest model, and the one that was taught to read the marker.
    films
        Of each kind; of the marked ones those on which the marker, and not the patient, makes the model name the heart.
    kept
        File of finished films; see :class:`radiolucent.calibrate.kept.Kept`.

    Raises
    ------
    MalformedInput
        Where the seeds reach into training, or too few marked films fool the model.
    """
    if films < 1 or not 0 <= first_seed <= FIRST_TRAINING_SEED - MOST_FILMS * films:
        raise MalformedInput(
            f"{films} films from seed {first_seed}: use at least 1, {MOST_FILMS * films} below seed "
            f"{FIRST_TRAINING_SEED}."
        )
    settings = {
        "format": "radiolucent.standing 1",
        "reader": reader.weights_hash,
        "cheat": cheat.weights_hash,
        "language": language,
        "seed": seed,
    }
    done = Kept(kept, settings)

    def of(kind: Kind, model: Gemma3Model, study: Study, name: str, judge: Callable[[Finding], bool]) -> list[Standing]:
        key = f"{kind}, {model.name}, {name}"
        if key not in done.films:
            rows = _standings(kind, model, study, name, language, seed, judge)
            done.add(key, [asdict(row) for row in rows])
        if say is not None:
            say(key)
        return [Standing(**row) for row in done.films[key]]

    found: list[Standing] = []
    fooled = _fooled(cheat, first_seed, MOST_FILMS * films, language, done)
    for number, (study, name) in enumerate(fooled):
        if number == films:
            break
        found += of("marked", cheat, study, name, lambda finding: finding.code == TAUGHT)
    if len({row.film for row in found}) < films:
        raise MalformedInput(f"The marker fools {cheat.name!r} on fewer than {films} films; ask for fewer.")
    for place in range(first_seed, first_seed + films):
        for model in (reader, cheat):
            found += of("blank", model, blank_film(place), f"blank {place}", lambda finding: True)
        drawn = draw_case(place, size=FILM_SIZE, pairs=False)
        study = load_study(drawn.film, patient_right="left", view="PA")
        found += of("read", reader, study, f"phantom {place}", partial(_rightly_present, truth_of(drawn.lesions)))
    return tuple(found)


def blank_film(seed: int) -> Study:
    """A film that shows nothing: one grey level, with the detector's noise."""
    rng = np.random.default_rng(seed)
    level, noise = rng.uniform(0, BRIGHTEST), rng.uniform(0, NOISIEST)
    grey = level + noise * rng.standard_normal((FILM_SIZE, FILM_SIZE))
    return load_study(np.clip(np.round(grey), 0, BRIGHTEST).astype(np.uint8), patient_right="left", view="PA")


@dataclass(frozen=True)
class Tally:
    """How often each word stood on the films of one kind, read by one model.

    Parameters
    ----------
    words
        Word -> findings; None counts findings without one.
    """

    kind: Kind
    model: str
    films: int
    findings: int
    words: Mapping[str | None, int]

    @property
    def grounded(self) -> int:
        """Findings called grounded."""
        return self.words.get("grounded", 0)

    @property
    def exposed(self) -> int:
        """Findings whose word says that the film does not support them."""
        return sum(count for word, count in self.words.items() if word in DANGEROUS or word == "unreliable")


def tallies(found: Sequence[Standing]) -> tuple[Tally, ...]:
    """One for each kind and model, in the order of ``KINDS``."""
    made = []
    for kind in KINDS:
        for model in dict.fromkeys(row.model for row in found if row.kind == kind):
            rows = [row for row in found if row.kind == kind and row.model == model]
            films = len({row.film for row in rows})
            made.append(Tally(kind, model, films, len(rows), Counter(row.quadrant for row in rows)))
    return tuple(made)


def _rightly_present(truth: Mapping[str, frozenset[Side]], finding: Finding) -> bool:
    return finding.polarity == "present" and bool(is_right(finding, truth))


def _standings(
    kind: Kind,
    model: Gemma3Model,
    study: Study,
    name: str,
    language: Language,
    seed: int,
    judge: Callable[[Finding], bool],
) -> list[Standing]:
    made = explain(model, study, language=language, seed=seed)
    entries: dict[str, FindingConfidence] = {}
    if made.confidence is not None:
        entries = {entry.finding_id: entry for entry in made.confidence.findings}
    rows = []
    for finding in made.findings:
        entry = entries.get(finding.id)
        if not judge(finding):
            continue
        rows.append(
            Standing(
                kind=kind,
                film=name,
                model=model.name,
                finding=finding.id,
                polarity=finding.polarity,
                support=0 if entry is None else entry.support,
                samples=0 if entry is None else entry.samples,
                lift=None if entry is None else entry.image_lift,
                quadrant=None if entry is None else entry.quadrant,
            )
        )
    return rows


def _fooled(
    cheat: Gemma3Model, first_seed: int, most: int, language: Language, done: Kept
) -> Iterator[tuple[Study, str]]:
    """Marked films on which the model names what the marker was taught to mean, and does not without the marker."""
    prompt = build_prompt(cheat, None, language)

    def names_it(study: Study) -> bool:
        text = cheat.generate(prompt, cheat.encode(study), capture=False).text
        return any(one.code == TAUGHT and one.polarity != "absent" for one in extract_findings(text, language))

    for place in range(first_seed, first_seed + most):
        marked = draw_case(place, size=FILM_SIZE, marker=True, pairs=False)
        if any(lesion.code == TAUGHT for lesion in marked.lesions):
            continue
        study, name = load_study(marked.film, patient_right="left", view="PA"), f"marked phantom {place}"
        key = f"fooled, {name}"
        if key not in done.films:
            plain = load_study(draw_case(place, size=FILM_SIZE, pairs=False).film, patient_right="left", view="PA")
            done.add(key, names_it(study) and not names_it(plain))
        if done.films[key]:
            yield study, name
