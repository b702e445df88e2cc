"""Does a model name a finding because of something that is not the patient? Counted over films, case by case.

Each film is reported and explained as level ``standard`` does it. A finding is *exposed* where the region that was
verified by hiding lies outside the anatomy allowed for the finding: people are told so beside the map. To know when
that is right, a film can come with the same film without the suspected thing (a printed marker, a tube): the words
are *caused* by it where the finding is named with it and not without it. On a model that reads the patient, every
exposed finding is a false alarm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.cells import coverage
from radiolucent.attribution.control_regions import control_of
from radiolucent.attribution.interventions import losses
from radiolucent.attribution.propose_and_verify import propose_and_verify_many
from radiolucent.attribution.regions import Region
from radiolucent.attribution.targets import finding_target
from radiolucent.attribution.types import AttributionMap
from radiolucent.confidence.intervals import wilson
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.lab.case import Extract, ReportingModel
from radiolucent.faithfulness.shared_grade import shared_grades
from radiolucent.faithfulness.types import MapGrade
from radiolucent.findings.types import Finding
from radiolucent.findings.vocabulary import VOCABULARY
from radiolucent.localize.anatomy import Anatomy
from radiolucent.localize.film_places import film_places
from radiolucent.phantom.film import FIRST_TRAINING_SEED, draw_case
from radiolucent.study.load import load_study
from radiolucent.study.types import Study
from radiolucent.vlm.types import Features, Generation, Prompt, Target

METHOD = "propose_and_verify"
WHOLE_CELL = 0.5  # share of a cell's area from which it is part of the anatomy when that is hidden


@dataclass(frozen=True, eq=False)
class SuspectCase:
    """A film with something on it that a model might read in the patient's place.

    Parameters
    ----------
    plain
        The same film without it; None where there is none.
    suspect
        Bool (rows, cols) of the first frame's source pixels: where the thing is; None where not known.
    """

    study: Study
    plain: Study | None = None
    suspect: NDArray[np.bool_] | None = None
    name: str = ""


@dataclass(frozen=True, eq=False)
class SuspectFinding:
    """A finding that the model names on a film, and what its evidence is.

    Parameters
    ----------
    caused
        Whether the finding is one that the suspected thing may cause, and is not named on the film without it; None
        where there is no such film.
    grade
        Of the verified region's map; None where no region could be verified.
    region
        The verified region's cells, bool (frames, g, g); None where there is none.
    on_suspect
        Share of the suspected thing that lies in the region; None where its place or the region is not known.
    anatomy_necessity, anatomy_sufficiency
        Shares of the picture's effect lost with the whole allowed anatomy hidden, and kept with it alone: next to
        nothing where the words do not rely on it. (Necessity is little for a large heart, too, whose borders reach
        beyond the box of a normal one.) None where the anatomy is not known, there is no region, or the picture adds
        nothing.
    """

    film: str
    finding: Finding
    caused: bool | None
    grade: MapGrade | None
    region: Region | None
    on_suspect: float | None
    anatomy_necessity: float | None
    anatomy_sufficiency: float | None

    @property
    def exposed(self) -> bool:
        """Whether people are told that the evidence lies outside the anatomy allowed for the finding."""
        return self.grade is not None and not self.grade.withheld and self.grade.outside is True


@dataclass(frozen=True, eq=False)
class ShortcutReport:
    """What was found over some films.

    Parameters
    ----------
    films
        Number of films examined.
    findings
        Every finding that the model named on them.
    """

    films: int
    findings: tuple[SuspectFinding, ...]

    @property
    def caused(self) -> tuple[SuspectFinding, ...]:
        """Findings named because of the suspected thing."""
        return tuple(one for one in self.findings if one.caused)

    @property
    def exposed(self) -> tuple[SuspectFinding, ...]:
        """Findings whose evidence lies outside the allowed anatomy."""
        return tuple(one for one in self.findings if one.exposed)

    @property
    def alarmed(self) -> int:
        """Films with at least one exposed finding."""
        return len({one.film for one in self.exposed})

    def detection(self) -> tuple[float, float, float]:
        """Share of the caused findings that are exposed, with its 95 % Wilson interval.

        Raises
        ------
        MalformedInput
            Where no finding was caused by the suspected thing.
        """
        return _rate(sum(one.exposed for one in self.caused), len(self.caused), "finding was caused by the thing")

    def alarms(self) -> tuple[float, float, float]:
        """Share of the films with an exposed finding, with its 95 % Wilson interval."""
        return _rate(self.alarmed, self.films, "film was examined")

    def text(self, language: str) -> str:
        """The report in a few lines, in English or Chinese."""
        zh = language == "zh"
        rate, low, high = self.alarms()
        lines = [
            f"{self.films} 例中 {self.alarmed} 例的依据区域位于允许的解剖区域之外："
            f"{rate:.1%}（{low:.1%} 至 {high:.1%}）"
            if zh
            else f"Evidence outside the allowed anatomy on {self.alarmed} of {self.films} films: {rate:.1%} "
            f"({low:.1%} to {high:.1%})"
        ]
        if self.caused:
            rate, low, high = self.detection()
            count, all_of_them = sum(one.exposed for one in self.caused), len(self.caused)
            lines.append(
                f"由可疑标记引起的 {all_of_them} 个征象中 {count} 个被揭示：{rate:.1%}（{low:.1%} 至 {high:.1%}）"
                if zh
                else f"Findings named because of the suspected thing that are exposed: {count} of {all_of_them}, "
                f"{rate:.1%} ({low:.1%} to {high:.1%})"
            )
        return "\n".join(lines)


def expose(
    model: ReportingModel,
    cases: Iterable[SuspectCase],
    *,
    prompt: Prompt,
    extract: Extract,
    codes: Sequence[str] | None = None,
    max_new_tokens: int = 256,
    seed: int = 0,
) -> ShortcutReport:
    """Explain every film and count where the evidence lies outside the patient's allowed anatomy.

    Parameters
    ----------
    prompt
        Asked about every film.
    extract
        Report text -> findings.
    codes
        Findings that the suspected thing is thought to cause. Any where None; then a borderline answer that happens to
        change when the thing is taken off the film counts as caused by it.
    seed
        Of control regions.

    Raises
    ------
    MalformedInput
        Where there is no film, or two have the same name.
    """
    found: list[SuspectFinding] = []
    names: set[str] = set()
    for number, case in enumerate(cases, start=1):
        name = case.name or str(number)
        if name in names:
            raise MalformedInput(f"Two films are named {name!r}; films are counted by name, give each its own.")
        names.add(name)
        found += _examined(model, case, name, prompt, extract, codes, max_new_tokens, seed)
    if not names:
        raise MalformedInput("No film was given; nothing can be exposed.")
    return ShortcutReport(len(names), tuple(found))


def marked_phantoms(count: int, *, first_seed: int = 0, size: int = 512) -> Iterator[SuspectCase]:
    """Synthetic films with the corner marker that the bundled shortcut model was taught to read, and without it."""
    if count < 1 or not 0 <= first_seed <= FIRST_TRAINING_SEED - count:
        raise MalformedInput(
            f"{count} films from seed {first_seed}; ask for at least 1, from seeds below {FIRST_TRAINING_SEED}."
        )
    for seed in range(first_seed, first_seed + count):
        marked = draw_case(seed, size=size, marker=True, pairs=False)
        plain = draw_case(seed, size=size, pairs=False)
        suspect = np.zeros(marked.film.shape, dtype=bool)
        if marked.marker is not None:
            x0, y0, x1, y1 = marked.marker
            suspect[y0:y1, x0:x1] = True
        yield SuspectCase(
            study=load_study(marked.film, patient_right="left"),
            plain=load_study(plain.film, patient_right="left"),
            suspect=suspect,
            name=f"phantom {seed}",
        )


def _examined(
    model: ReportingModel,
    case: SuspectCase,
    name: str,
    prompt: Prompt,
    extract: Extract,
    codes: Sequence[str] | None,
    max_new_tokens: int,
    seed: int,
) -> list[SuspectFinding]:
    features = model.encode(case.study)
    generation = model.generate(prompt, features, max_new_tokens=max_new_tokens)
    written = extract(generation.text)
    named = list({one.id: one for one in written if one.polarity != "absent"}.values())
    if not named:
        return []
    without: set[str] | None = None
    if case.plain is not None:
        plain = model.generate(prompt, model.encode(case.plain), max_new_tokens=max_new_tokens, capture=False)
        without = {one.code for one in extract(plain.text) if one.polarity != "absent"}
    suspected = {one.code for one in named} if codes is None else set(codes)
    places = film_places(case.study.frames[0])
    grid = features.geometries[0].grid
    allowed = {one.id: [places.allowed(one.code, grid, side=one.side)] for one in named if one.code in VOCABULARY}
    targets = [finding_target(generation, one, written) for one in named]
    made = propose_and_verify_many(
        model,
        features,
        generation,
        targets,
        control=[control_of(one) for one in named],
        midline=places.midline,
        seed=seed,
    )
    maps = {
        (METHOD, finding.id): one for finding, one in zip(named, made, strict=True) if isinstance(one, AttributionMap)
    }
    grades = shared_grades(maps, prompt.language, allowed=allowed)
    return [
        _suspect_finding(
            model,
            case,
            name,
            features,
            generation,
            finding,
            target,
            caused=None if without is None else finding.code in suspected and finding.code not in without,
            made=maps.get((METHOD, finding.id)),
            grade=grades.get((METHOD, finding.id)),
            allowed=allowed.get(finding.id, [None])[0],
        )
        for finding, target in zip(named, targets, strict=True)
    ]


def _suspect_finding(
    model: ReportingModel,
    case: SuspectCase,
    name: str,
    features: Features,
    generation: Generation,
    finding: Finding,
    target: Target,
    *,
    caused: bool | None,
    made: AttributionMap | None,
    grade: MapGrade | None,
    allowed: Anatomy | None,
) -> SuspectFinding:
    if made is None:
        return SuspectFinding(name, finding, caused, grade, None, None, None, None)
    test = made.tests[0]
    on_suspect = necessity = sufficiency = None
    if case.suspect is not None and case.suspect.any():
        covered = coverage(case.suspect, features.geometries[0], test.region.shape[1])
        on_suspect = float(covered[test.region[0]].sum() / covered.sum())
    if allowed is not None and test.necessity is not None:
        anatomy = np.zeros_like(test.region)
        anatomy[0] = allowed.cells >= WHOLE_CELL
        hidden, only = losses(model, features, generation, [target], np.stack([anatomy, ~anatomy]))[:, 0]
        necessity, sufficiency = float(hidden) / test.everything, 1 - float(only) / test.everything
    return SuspectFinding(name, finding, caused, grade, test.region, on_suspect, necessity, sufficiency)


def _rate(hits: int, count: int, what: str) -> tuple[float, float, float]:
    if not count:
        raise MalformedInput(f"No {what}, so there is no rate to give.")
    return hits / count, *wilson(hits, count)
