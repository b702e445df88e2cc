"""The pipeline: a study and a question become a report with its explanation.

Every pass is planned by the level, shared where it can be, and refused where the replay is not the pass that wrote
the words.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from radiolucent.attribution.control_regions import control_of
from radiolucent.attribution.gradients import Gradients, target_gradients
from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.registry import attribute_all, takes
from radiolucent.attribution.targets import finding_chars, finding_target, soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.caveats import (
    NO_BOXES,
    NOTHING_SHOWN,
    PARTIAL,
    caveats,
    empty_map,
    no_confidence,
    no_target,
    place_caveats,
)
from radiolucent.confidence.calibrated import beside_weights, with_probes
from radiolucent.confidence.calibration import Calibration
from radiolucent.confidence.probe import ASKED, probe
from radiolucent.confidence.quadrant import shows_nothing, with_image_lift
from radiolucent.confidence.sequential import sample_until_decided
from radiolucent.confidence.types import Confidence
from radiolucent.errors import DegenerateSampling, MalformedInput, Notice, TargetNotFound
from radiolucent.faithfulness.grade import grade_maps
from radiolucent.faithfulness.grade_signals import Allowed
from radiolucent.faithfulness.shared_grade import shared_grades
from radiolucent.faithfulness.types import MapGrade, MapKey
from radiolucent.findings import Finding, extract_findings
from radiolucent.findings.knowable import mark_not_knowable
from radiolucent.findings.names import describe
from radiolucent.findings.vocabulary import VOCABULARY
from radiolucent.levels import Estimate, Level, Plan, estimate, plan_of
from radiolucent.localize import ZONE_ESTIMATED
from radiolucent.localize.box_readings import BoxReading, disagreements, read_boxes
from radiolucent.localize.film_places import FilmPlaces, place_of_map, study_places
from radiolucent.progress import Announced, Progress, announced
from radiolucent.report.explanation import Explanation
from radiolucent.study import Study
from radiolucent.trace.build import build_trace
from radiolucent.trace.chain import decision_chain
from radiolucent.trace.contrast import Hidden, contrasted, hidden_of
from radiolucent.trace.reliance import drawn_film
from radiolucent.trace.rivals import Rival, rivals_of
from radiolucent.trace.types import Contrast, Trace
from radiolucent.vlm.decode import Prefill
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.parity import check_parity
from radiolucent.vlm.perturb import blank_features
from radiolucent.vlm.types import Features, Generation, Language, Prompt, Target, language_of, share

Extractor = Callable[[str], Sequence[Finding]]
"""Report text -> findings."""

USUAL_QUESTION = 40  # positions of a question with the words of its turn, assumed before it is tokenised


class ExplanationInterrupted(KeyboardInterrupt):
    """Ctrl-C after the report was written.

    Attributes
    ----------
    explanation
        What was finished, valid and marked as partial: ``provenance["unfinished"]`` names the steps that are missing.
    """

    def __init__(self, explanation: Explanation) -> None:
        super().__init__("The explanation was interrupted; what was finished is in .explanation.")
        self.explanation = explanation


def explain(
    model: Gemma3Model,
    study: Study,
    *,
    question: str | None = None,
    language: Language | None = None,
    level: Level = "standard",
    seed: int = 0,
    progress: bool | Progress = False,
    thinking: bool = False,
    max_new_tokens: int = 256,
    samples: int | None = None,
    methods: Sequence[str] | None = None,
    extractor: Extractor | None = None,
    boxes: bool = False,
    calibration: Calibration | None = None,
    other: Study | None = None,
) -> Explanation:
    """Let the model answer a question about a study, and explain the answer.

    Parameters
    ----------
    question
        The model's usual question in ``language`` where None.
    language
        ``"en"`` or ``"zh"``; taken from the question's script where None.
    level
        ``quick`` (attention and gradients), ``standard`` (with verified regions, grades and sampling) or ``deep``.
    seed
        Of sampling and of control regions.
    progress
        True: on the terminal's error stream the plan with its expected cost, where it is longer than 10 s, then a bar
        with the time left; or a function called with (what, share done).
    samples
        Reports drawn for the confidence at most, in the level's place; 0 for none.
    methods
        In the place of the level's own.
    extractor
        Labeller in the place of :func:`radiolucent.extract_findings`.
    boxes
        Ask the model for its own boxes too, one more answer; boxes that the report itself holds are read in any case.
    calibration
        That turns confidence into probabilities; the one beside the weights, where it fits the question, if None.
    other
        Another patient's film, of as many images, that stands in the study's place beside a blank where the image
        reliance of the words is measured; a packaged drawn film if None.

    Raises
    ------
    ParityError
        Where the replay is not the pass that wrote the words; nothing is explained then.
    CalibrationMismatch
        Where ``calibration`` was made for other weights, another question or language.
    ExplanationInterrupted
        On Ctrl-C after the report was written; carries what was finished.
    MalformedInput, UnsupportedInput, InsufficientMemory
        See :func:`radiolucent.load_study` and :meth:`Gemma3Model.generate`.
    """
    plan = plan_of(level, samples=samples, methods=None if methods is None else tuple(methods))
    prompt = build_prompt(model, question, language, thinking)
    if calibration is not None:
        calibration.check(model.weights_hash, prompt.question, prompt.language)
    elif plan.samples > 0:
        calibration = beside_weights(model.folder, model.weights_hash, prompt)
    with announced(progress) as told:
        run = _Run(model, study, prompt, plan, level, seed, max_new_tokens, extractor, boxes, calibration, told, other)
        return run.explanation()


def expected_cost(
    model: Gemma3Model, study: Study, *, level: Level = "standard", samples: int | None = None
) -> tuple[Plan, Estimate]:
    """The plan of a run and what it will cost on this machine, before anything is run."""
    plan = plan_of(level, samples=samples)
    return plan, _estimate(model, plan, images=len(model.shown(study)))


def build_prompt(model: Gemma3Model, question: str | None, language: Language | None, thinking: bool = False) -> Prompt:
    """The prompt of a question: its language found, and asked for in words where the question is in another one."""
    if language not in (None, "en", "zh"):
        raise MalformedInput(f"Language {language!r} is unknown; use 'en' or 'zh'.")
    if language is None:
        language = "en" if question is None else language_of(question)
    if question is None:
        return Prompt(model.profile.question(language), language, thinking)
    if language == "zh" and question.strip() and language_of(question) != "zh":
        question = f"{question} 请用中文回答。"
    return Prompt(question, language, thinking)


class _Run:
    """One explanation in the making: what the steps share, and what is finished."""

    def __init__(
        self,
        model: Gemma3Model,
        study: Study,
        prompt: Prompt,
        plan: Plan,
        level: str,
        seed: int,
        max_new_tokens: int,
        extractor: Extractor | None,
        boxes: bool,
        calibration: Calibration | None,
        told: Announced,
        other: Study | None = None,
    ) -> None:
        self.model, self.study, self.prompt, self.plan, self.level = model, study, prompt, plan, level
        self.seed, self.max_new_tokens, self.told = seed, max_new_tokens, told
        self.ask_boxes, self.boxes = boxes, tuple[BoxReading, ...]()
        self.calibration, self.other = calibration, other
        self.extract: Extractor = extractor or (lambda text: extract_findings(text, prompt.language))
        self.timings: dict[str, float] = {}
        self.warnings: list[Notice] = []
        self.findings: tuple[Finding, ...] = ()
        self.maps: dict[MapKey, AttributionMap] = {}
        self.grades: dict[MapKey, MapGrade] = {}
        self.trace: Trace | None = None
        self.confidence: Confidence | None = None
        self._film_places: tuple[FilmPlaces, ...] | None = None

    def explanation(self) -> Explanation:
        expected = _estimate(self.model, self.plan, images=len(self.model.shown(self.study)))
        self.told.plan(self.plan, expected, self.prompt.language)
        with self._timed("encode"):
            features = self.model.encode(self.study)
        with self._timed("generate"):
            prefill = self.model.prefill(self.prompt, features)
            generation, drawn = self.model.generate_and_sample(
                self.prompt,
                features,
                count=self.plan.beside,
                seed=self.seed,
                max_new_tokens=self.max_new_tokens,
                prefill=prefill,
            )
        try:
            self._explain(features, generation, drawn, prefill)
        except KeyboardInterrupt:
            self.warnings.append(PARTIAL)
            unfinished = [step.name for step in expected.steps if step.name not in self.timings]
            raise ExplanationInterrupted(self._assembled(features, generation, unfinished)) from None
        self.told.clock.done()
        return self._assembled(features, generation, [])

    def _explain(
        self, features: Features, generation: Generation, drawn: Sequence[Generation], prefill: Prefill
    ) -> None:
        self.findings = mark_not_knowable(
            tuple(self.extract(generation.text)),
            generation.text,
            has_prior=False,  # earlier studies are not shown to the model
            has_spacing=self.study.frames[0].geometry.spacing is not None,
            has_other_view=len(self.study.frames) > 1,
        )
        shown = tuple(finding for finding in self.findings if finding.polarity != "absent")
        self.told.clock.expect(
            _estimate(
                self.model,
                self.plan,
                images=len(features.soft_tokens),
                prompt_length=prefill.length,
                findings=len({finding.id for finding in shown}),
                tokens=len(generation.token_ids),
            )
        )
        demo = self.model.profile.domain == "phantom"
        targets = self._targets(generation, shown)
        with self._timed("parity"):
            gradients = self._checked_pass(features, generation, targets, shown)
        self._make_maps(features, generation, targets, shown, gradients)
        self._make_grades(features, generation)
        self._read_boxes(features, generation, shown)
        self._make_trace(features, generation)
        self._make_confidence(features, generation, drawn, prefill)
        self.warnings += caveats(
            self.study,
            generation,
            shown,
            demo_model=demo,
            graded=self.plan.grading != "none",
            mapped=bool(self.maps),
        )
        if shows_nothing(features):
            self.warnings.append(NOTHING_SHOWN)
        self.warnings += place_caveats(shown, self.maps, self.grades, self._places(features))

    def _assembled(self, features: Features, generation: Generation, unfinished: Sequence[str]) -> Explanation:
        return Explanation(
            study=self.study,
            prompt=self.prompt,
            generation=replace(generation, rows=None),  # kept word by word in the trace
            findings=self.findings,
            maps=self.maps,
            trace=self.trace,
            confidence=self.confidence,
            faithfulness=self.grades,
            provenance=self._provenance(features, unfinished),
            warnings=tuple(self.warnings),
            shown_frames=features.frames,
            boxes=self.boxes,
        )

    def _checked_pass(
        self, features: Features, generation: Generation, targets: Mapping[str, Target], shown: Sequence[Finding]
    ) -> Gradients | None:
        """The replay, held against the generation; where the plan takes gradients, they come from this very pass."""
        explained = list(_of_main(targets, shown).values())
        if any(takes(name, "gradients") for name in self.plan.methods):
            explained = list(targets.values())
        elif not any(takes(name, "gradients") for name in self.plan.main_methods):
            explained = []
        gradients = None
        if explained:
            gradients = target_gradients(self.model, generation, soft_rows(features), explained, replay=True)
        replay = None if gradients is None else gradients.replay
        if replay is None:
            replay = self.model.replay(generation, features)
        check_parity(self.model, generation, replay, features=features)
        return gradients

    def _make_maps(
        self,
        features: Features,
        generation: Generation,
        targets: Mapping[str, Target],
        shown: Sequence[Finding],
        gradients: Gradients | None,
    ) -> None:
        named = {finding.id: finding for finding in shown}
        of_main = _of_main(targets, shown)
        for names, explained in ((self.plan.methods, targets), (self.plan.main_methods, of_main)):
            for name in names:
                with self._timed(name):
                    self._method(name, features, generation, explained, named, gradients)

    def _targets(self, generation: Generation, findings: Sequence[Finding]) -> dict[str, Target]:
        targets: dict[str, Target] = {}
        for finding in findings:
            try:
                targets.setdefault(finding.id, finding_target(generation, finding, self.findings))
            except TargetNotFound as error:
                self.warnings.append(no_target(error, finding))
        return targets

    def _method(
        self,
        name: str,
        features: Features,
        generation: Generation,
        targets: Mapping[str, Target],
        named: Mapping[str, Finding],
        gradients: Gradients | None,
    ) -> None:
        """One method for some findings, given what is known already under the options that it declares."""
        explained = tuple(targets.values())
        options: dict[str, Any] = dict(self.plan.options.get(name, {}))
        if takes(name, "gradients") and gradients is not None and gradients.targets == explained:
            options["gradients"] = gradients
        if takes(name, "proposed"):
            coarse = features.geometries[0].grid
            options["proposed"] = [
                [made for (_, of), made in self.maps.items() if of == finding and made.values.shape[1] == coarse]
                for finding in targets
            ]
        if takes(name, "control"):
            options["control"] = [control_of(named[finding]) for finding in targets]
        if takes(name, "midline"):
            options["midline"] = self._places(features)[0].midline
        made = attribute_all(self.model, features, generation, explained, name, **options)
        for (finding_id, target), one in zip(targets.items(), made, strict=True):
            if isinstance(one, EmptyMap):
                self.warnings.append(empty_map(name, one, target.label))
            else:
                self.maps[name, finding_id] = one

    def _make_grades(self, features: Features, generation: Generation) -> None:
        if self.plan.grading == "none" or not self.maps:
            return
        with self._timed("grade"):
            if self.plan.grading == "shared" and any(takes(name, "proposed") for name in self.plan.methods):
                grades = shared_grades(self.maps, self.prompt.language, allowed=self._allowed(features))
            else:
                made, anatomy = list(self.maps.values()), self._allowed(features)
                beside = [anatomy.get(finding, ()) for _, finding in self.maps]
                found = grade_maps(self.model, features, generation, made, allowed=beside, seed=self.seed)
                grades = dict(zip(self.maps, found, strict=True))
        self.grades = {
            key: grade
            if grade.withheld
            else replace(grade, note=f"{self._where(self.maps[key], features)}{grade.note}")
            for key, grade in grades.items()
        }

    def _allowed(self, features: Features) -> dict[str, Allowed]:
        """Finding's id -> the anatomy allowed for it, frame by frame; an external labeller's codes have none."""
        grid = features.geometries[0].grid
        mapped = {finding for _, finding in self.maps}
        return {
            finding.id: [place.allowed(finding.code, grid, side=finding.side) for place in self._places(features)]
            for finding in self.findings
            if finding.id in mapped and finding.code in VOCABULARY
        }

    def _where(self, made: AttributionMap, features: Features) -> str:
        """Where a map's region lies, as a sentence; empty where it holds none or the view tells no place."""
        place = place_of_map(self._places(features), made)
        words = "" if place is None else place.text(self.prompt.language)
        if not words:
            return ""
        estimated = place is not None and ZONE_ESTIMATED in place.notices
        if self.prompt.language == "zh":
            return f"区域位于：{words}{'（' + ZONE_ESTIMATED.zh + '）' if estimated else ''}。"
        return f"The region lies: {words}{' (' + ZONE_ESTIMATED.en + ')' if estimated else ''}. "

    def _read_boxes(self, features: Features, generation: Generation, findings: Sequence[Finding]) -> None:
        """The model's own boxes, from its report or asked for, on the first picture."""
        profile, answer = self.model.profile, generation.text
        if self.ask_boxes and profile.box_format is None:
            self.warnings.append(NO_BOXES)
        elif self.ask_boxes and findings:
            names = list(dict.fromkeys(describe(finding, self.prompt.language) for finding in findings))
            prompt = Prompt(profile.box_question(names, self.prompt.language), self.prompt.language)
            asked = self.model.generate(prompt, features, max_new_tokens=self.max_new_tokens, capture=False)
            answer = asked.text
        if profile.box_format is None or "box_2d" not in answer:
            return
        relied_on: dict[str, AttributionMap] = {}
        for key, made in self.maps.items():
            grade = self.grades.get(key)
            if made.claim == "relied_on" and not (grade is not None and grade.withheld):
                relied_on.setdefault(key[1], made)
        self.boxes, faults = read_boxes(answer, features.geometries[0], findings, relied_on)
        self.warnings += [*faults, *disagreements(self.boxes, findings)]

    def _make_trace(self, features: Features, generation: Generation) -> None:
        if not generation.words:
            return
        with self._timed("trace"):
            reliance, contrasts, other = None, tuple[Contrast, ...](), None
            if self.plan.reliance:
                other = self._other(features)
                rivals, regions = self._rivals(generation), self._contrast_regions(features)
                reliance, contrasts = contrasted(self.model, features, generation, rivals, other=other, regions=regions)
            trace = build_trace(
                self.model,
                features,
                generation,
                reliance=False if reliance is None else reliance,
                drawn=self.other is None,
                findings=self.findings,
                places=self._places(features),
            )
            grades = {key: grade.grade for key, grade in self.grades.items()}
            chain = decision_chain(trace, self.prompt.question, self.findings, self.maps, grades, contrasts)
            self.trace = replace(trace, chain=chain, contrasts=contrasts)

    def _rivals(self, generation: Generation) -> list[Rival]:
        """What each finding is contrasted with; one that has no foil in the model's words has none."""
        found: list[Rival] = []
        order = ("present", "uncertain", "absent")  # contrasts are told in this order
        told = sorted(self.findings, key=lambda finding: order.index(finding.polarity))
        for finding in {finding.id: finding for finding in told}.values():
            for about in ("presence", "side") if self.plan.contrasts != "none" else ():
                try:
                    found += rivals_of(self.model, generation, finding, self.findings, about=about)
                except TargetNotFound:  # not every finding names a side or has a denial of its own
                    continue
        return found

    def _contrast_regions(self, features: Features) -> dict[str, Hidden]:
        """Verified regions to hide for the contrasts: the main finding's, or every finding's."""
        named = {finding.id: finding for finding in self.findings if finding.polarity != "absent"}
        wanted = list(named)
        if self.plan.contrasts == "main":
            wanted = list(_of_main(dict.fromkeys(named, Target((0, 1))), tuple(named.values())))
        regions = {}
        for finding_id in wanted if self.plan.contrasts != "none" else []:
            made = self.maps.get(("propose_and_verify", finding_id))
            hidden = hidden_of(made, None if made is None else self._place_of(made, features))
            if hidden is not None:
                regions[finding_id] = hidden
        return regions

    def _place_of(self, made: AttributionMap, features: Features) -> str | None:
        place = place_of_map(self._places(features), made)
        return None if place is None else place.text(self.prompt.language) or None

    def _probed(self, confidence: Confidence, features: Features, generation: Generation) -> Confidence:
        """Ask about every finding outright, with the picture and without it."""
        codes = [code for code in dict.fromkeys(finding.code for finding in self.findings) if code in ASKED]
        blank = blank_features(self.model, features)
        other = self._other(features, packaged=self.calibration is not None)
        answers = probe(self.model, features, codes, language=self.prompt.language, without=blank, other=other)
        spans: list[tuple[int, int] | None] = []
        for finding in self.findings:
            try:
                spans.append(finding_target(generation, finding, self.findings).tokens)
            except TargetNotFound:
                spans.append(None)
        return with_probes(confidence, dict(zip(codes, answers, strict=True)), generation, spans, self.calibration)

    def _other(self, features: Features, *, packaged: bool = False) -> Features:
        """Another patient's film: the one given, or the packaged one."""
        if packaged or self.other is None:
            return drawn_film(self.model, features)
        return self.model.encode(self.other)

    def _make_confidence(
        self, features: Features, generation: Generation, drawn: Sequence[Generation], prefill: Prefill
    ) -> None:
        if self.plan.samples <= 0:
            return
        with self._timed("sample"):
            try:
                confidence, _ = sample_until_decided(
                    self.model,
                    self.prompt,
                    features,
                    self.extract,
                    draft=self.findings,
                    limit=self.plan.samples,
                    seed=self.seed,
                    max_new_tokens=self.max_new_tokens,
                    drawn=drawn,
                    prefill=prefill,
                )
            except DegenerateSampling as error:
                self.warnings.append(no_confidence(error))
                return
            if self.findings and (self.calibration is not None or self.plan.probes):
                confidence = self._probed(confidence, features, generation)
        if self.trace is not None and self.plan.reliance:
            confidence = self._with_quadrants(confidence, features, self.trace)
        self.confidence = confidence

    def _with_quadrants(self, confidence: Confidence, features: Features, trace: Trace) -> Confidence:
        """The word for each certainty; for denials only where the film shows nothing that they could rest on."""
        nothing = shows_nothing(features)
        elsewhere = {
            finding_id
            for (name, finding_id), grade in self.grades.items()
            if self.maps[name, finding_id].claim == "relied_on" and not grade.withheld and grade.outside
        }
        lifts = {f.id: _lift(f, self.findings, trace) for f in self.findings if nothing or f.polarity != "absent"}
        entries = tuple(
            with_image_lift(entry, lifts[entry.finding_id], elsewhere=nothing or entry.finding_id in elsewhere)
            if entry.finding_id in lifts
            else entry
            for entry in confidence.findings
        )
        return replace(confidence, findings=entries)

    def _places(self, features: Features) -> tuple[FilmPlaces, ...]:
        if self._film_places is None:
            self._film_places = study_places(self.study, features)
        return self._film_places

    def _provenance(self, features: Features, unfinished: Sequence[str]) -> dict[str, Any]:
        plan = {
            **asdict(self.plan),
            "methods": list(self.plan.methods),
            "main_methods": list(self.plan.main_methods),
            "options": {name: dict(options) for name, options in self.plan.options.items()},
        }
        return {
            "model": self.model.name,
            "weights_sha256": self.model.weights_hash,
            "demo_model": self.model.profile.domain == "phantom",
            "image_digest": features.key,
            "level": self.level,
            "plan": plan,
            "seed": self.seed,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": self.model.device.type,
            "versions": {name: version(name) for name in ("radiolucent", "torch", "transformers", "numpy")},
            "python": platform.python_version(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": {name: round(value, 3) for name, value in self.timings.items()},
            **({"calibration": self.calibration.digest} if self.calibration is not None else {}),
            **({"partial": True, "unfinished": list(unfinished)} if unfinished else {}),
        }

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        self.told.clock.start(name)
        began = time.monotonic()
        yield
        self.timings[name] = self.timings.get(name, 0.0) + time.monotonic() - began


def _of_main(targets: Mapping[str, Target], shown: Sequence[Finding]) -> dict[str, Target]:
    """The target of the main finding: the first present one, else the first."""
    main = next((finding for finding in shown if finding.polarity == "present"), next(iter(shown), None))
    return {main.id: targets[main.id]} if main is not None and main.id in targets else {}


def _estimate(
    model: Gemma3Model, plan: Plan, *, images: int, prompt_length: int | None = None, **counts: int
) -> Estimate:
    cells = model.profile.cells
    return estimate(
        plan,
        model.speed,
        images=images,
        cells=cells,
        layers=len(model.layer_types),
        prompt_length=images * cells + USUAL_QUESTION if prompt_length is None else prompt_length,
        **counts,
    )


def _lift(finding: Finding, findings: Sequence[Finding], trace: Trace) -> float:
    """Nats that the image added to the words that say the finding."""
    said = finding_chars(finding, findings)
    return sum(word.reliance_blank or 0.0 for word in trace.words if word.part == "answer" and share(word.chars, said))
