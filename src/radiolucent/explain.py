"""The pipeline: a study and a question become a report with its explanation.

Every pass is planned by the level, shared where it can be, and refused where the replay is not the pass that wrote
the words.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.registry import attribute_all
from radiolucent.attribution.targets import finding_chars, finding_target
from radiolucent.attribution.types import AttributionMap
from radiolucent.confidence.quadrant import with_image_lift
from radiolucent.confidence.sampling import sample_confidence
from radiolucent.confidence.types import Confidence
from radiolucent.errors import DegenerateSampling, MalformedInput, Notice, TargetNotFound
from radiolucent.faithfulness.grade import grade_maps
from radiolucent.faithfulness.types import MapGrade, MapKey
from radiolucent.findings import Finding, extract_findings
from radiolucent.findings.names import describe
from radiolucent.localize import ZONE_ESTIMATED
from radiolucent.localize.film_places import FilmPlaces, film_places, other_side_notice, outside_notice
from radiolucent.phantom.likeness import looks_like_phantom
from radiolucent.report.explanation import Explanation
from radiolucent.study import Study
from radiolucent.trace.build import build_trace
from radiolucent.trace.types import Trace
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.parity import check_parity
from radiolucent.vlm.types import Features, Generation, Language, Prompt, Target

Level = Literal["quick", "standard", "deep"]
Progress = Callable[[str, float], None]
"""Called with what is being done now and the share done, in [0, 1]."""


@dataclass(frozen=True)
class Plan:
    """What a level runs.

    Parameters
    ----------
    methods
        Attribution methods for every finding that is not absent.
    reliance
        Measure for each word what the image added (one replay with a blank picture).
    grade
        Test every map against maps that know nothing.
    samples
        Reports drawn for the confidence; 0 for none.
    """

    methods: tuple[str, ...]
    reliance: bool
    grade: bool
    samples: int


PLANS: Mapping[str, Plan] = {
    "quick": Plan(("attention", "saliency"), reliance=False, grade=False, samples=0),
    "standard": Plan(("attention", "saliency", "token_ablation"), reliance=True, grade=True, samples=10),
    "deep": Plan(
        ("attention", "saliency", "integrated_gradients", "pixel_gradient", "token_ablation", "occlusion"),
        reliance=True,
        grade=True,
        samples=16,
    ),
}

NOT_A_PHANTOM = Notice(
    "not_a_phantom",
    "The demo model knows only synthetic phantom films, and this film does not look like one: what it says here means "
    "nothing about the patient.",
    "演示模型只认识合成的模体影像，而此片不像模体：其所述内容对患者没有任何意义。",
)
NOT_GRADED = Notice(
    "not_graded",
    "Level quick: the maps were not tested against controls; take none of them as evidence.",
    "快速级别：热图未经对照检验，均不可作为依据。",
)
NO_PRIOR = Notice(
    "no_prior",
    "The report speaks of change, but no earlier study was supplied: not knowable from the input.",
    "报告提及变化，但未提供既往影像：输入无依据。",
)
NO_SIDE = Notice(
    "no_side",
    "The report names a side or zone, but this view or orientation does not tell sides: not knowable from the input.",
    "报告给出了左右或部位，但该体位或方向无法判断左右：输入无依据。",
)
NOTHING_WRITTEN = Notice("nothing_written", "The model wrote nothing.", "模型未输出任何文字。")
CUT_SHORT = Notice(
    "cut_short",
    "The report reached the length limit and may end in mid-sentence.",
    "报告达到长度上限，可能在句中截断。",
)


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
) -> Explanation:
    """Let the model answer a question about a study, and explain the answer.

    Parameters
    ----------
    question
        The model's usual question in ``language`` where None.
    language
        ``"en"`` or ``"zh"``; taken from the question's script where None.
    level
        ``quick`` (attention and gradients), ``standard`` (with interventions, grades and sampling) or ``deep``.
    seed
        Of sampling and of control regions.
    progress
        True for a progress bar on the terminal, or a function called with (what, share done).
    samples, methods
        Instead of the level's own.

    Raises
    ------
    ParityError
        Where the replay is not the pass that wrote the words; nothing is explained then.
    MalformedInput, UnsupportedInput, InsufficientMemory
        See :func:`radiolucent.load_study` and :meth:`Gemma3Model.generate`.
    """
    if level not in PLANS:
        raise MalformedInput(f"Level {level!r} is unknown; use one of {', '.join(PLANS)}.")
    plan = PLANS[level]
    plan = replace(
        plan,
        samples=plan.samples if samples is None else samples,
        methods=plan.methods if methods is None else tuple(methods),
    )
    prompt = build_prompt(model, question, language, thinking)
    with _reported(progress) as say:
        run = _Run(model, study, prompt, plan, seed, max_new_tokens, say)
        return run.explanation(level)


def build_prompt(
    model: Gemma3Model, question: str | None, language: Language | None, thinking: bool = False
) -> Prompt:
    """The prompt of a question: its language found, and asked for in words where the question is in another one."""
    if language not in (None, "en", "zh"):
        raise MalformedInput(f"Language {language!r} is unknown; use 'en' or 'zh'.")
    if language is None:
        language = "zh" if question is not None and _is_chinese(question) else "en"
    if question is None:
        return Prompt(model.profile.question(language), language, thinking)
    if language == "zh" and question.strip() and not _is_chinese(question):
        question = f"{question} 请用中文回答。"
    return Prompt(question, language, thinking)


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


class _Run:
    """One explanation in the making: what the steps share."""

    def __init__(
        self,
        model: Gemma3Model,
        study: Study,
        prompt: Prompt,
        plan: Plan,
        seed: int,
        max_new_tokens: int,
        say: Progress,
    ) -> None:
        self.model, self.study, self.prompt, self.plan, self.seed = model, study, prompt, plan, seed
        self.max_new_tokens = max_new_tokens
        self.say = say
        self.timings: dict[str, float] = {}
        self.warnings: list[Notice] = []
        self._film_places: tuple[FilmPlaces, ...] | None = None

    def explanation(self, level: str) -> Explanation:
        with self._timed("encode", 0.0):
            features = self.model.encode(self.study)
        with self._timed("generate", 0.05):
            prefill = self.model.prefill(self.prompt, features)
            generation = self.model.generate(
                self.prompt, features, max_new_tokens=self.max_new_tokens, prefill=prefill
            )
        with self._timed("parity", 0.20):
            check_parity(self.model, generation, self.model.replay(generation, features), features=features)
        findings = extract_findings(generation.text, self.prompt.language)
        shown = tuple(finding for finding in findings if finding.polarity != "absent")
        maps = self._maps(features, generation, shown, findings)
        grades = self._grades(features, generation, maps)
        trace = self._trace(features, generation)
        confidence = self._confidence(features, findings, trace, prefill)
        self._notices(features, generation, shown, maps, grades)
        self.say("done", 1.0)
        return Explanation(
            study=self.study,
            prompt=self.prompt,
            generation=replace(generation, rows=None),  # kept word by word in the trace
            findings=findings,
            maps=maps,
            trace=trace,
            confidence=confidence,
            faithfulness=grades,
            provenance=self._provenance(level, features),
            warnings=tuple(self.warnings),
            shown_frames=features.frames,
        )

    def _maps(
        self,
        features: Features,
        generation: Generation,
        findings: Sequence[Finding],
        written: Sequence[Finding],
    ) -> dict[MapKey, AttributionMap]:
        maps: dict[MapKey, AttributionMap] = {}
        targets = self._targets(generation, findings, written)
        for place, name in enumerate(self.plan.methods):
            with self._timed(name, 0.25 + 0.35 * place / len(self.plan.methods)):
                for finding_id, made in self._method(name, features, generation, targets):
                    maps[name, finding_id] = made
        return maps

    def _targets(
        self, generation: Generation, findings: Sequence[Finding], written: Sequence[Finding]
    ) -> dict[str, Target]:
        targets: dict[str, Target] = {}
        for finding in findings:
            try:
                targets.setdefault(finding.id, finding_target(generation, finding, written))
            except TargetNotFound as error:
                self.warnings.append(Notice("no_target", str(error), f"无法定位对应文字：{finding.words}"))
        return targets

    def _method(
        self, name: str, features: Features, generation: Generation, targets: Mapping[str, Target]
    ) -> Iterator[tuple[str, AttributionMap]]:
        made = attribute_all(self.model, features, generation, list(targets.values()), name)
        for (finding_id, target), one in zip(targets.items(), made, strict=True):
            if isinstance(one, EmptyMap):
                self.warnings.append(
                    Notice("empty_map", f"{name}: {one}", f"{name}：对“{target.label}”没有得到任何图像区域。")
                )
            else:
                yield finding_id, one

    def _grades(
        self, features: Features, generation: Generation, maps: Mapping[MapKey, AttributionMap]
    ) -> dict[MapKey, MapGrade]:
        if not self.plan.grade or not maps:
            return {}
        with self._timed("grade", 0.62):
            grades = grade_maps(self.model, features, generation, list(maps.values()), seed=self.seed)
        return {
            key: grade if grade.withheld else replace(grade, note=f"{self._where(made, features)}{grade.note}")
            for (key, made), grade in zip(maps.items(), grades, strict=True)
        }

    def _where(self, made: AttributionMap, features: Features) -> str:
        """Where a map's region lies, as a sentence; empty where it holds none or the view tells no place."""
        strongest = int(made.values.max(axis=(1, 2)).argmax())
        place = self._places(features)[strongest].of_map(made.values[strongest])
        words = "" if place is None else place.text(self.prompt.language)
        if not words:
            return ""
        estimated = place is not None and ZONE_ESTIMATED in place.notices
        if self.prompt.language == "zh":
            return f"区域位于：{words}{'（' + ZONE_ESTIMATED.zh + '）' if estimated else ''}。"
        return f"The region lies: {words}{' (' + ZONE_ESTIMATED.en + ')' if estimated else ''}. "

    def _trace(self, features: Features, generation: Generation) -> Trace | None:
        if not generation.words:
            return None
        with self._timed("trace", 0.80):
            trace = build_trace(self.model, features, generation, reliance=self.plan.reliance)
        places = self._places(features)
        words = []
        for word in trace.words:
            place = None
            if word.attended is not None and word.text.strip():
                attended = word.attended.mean(axis=0)  # frames, grid, grid
                strongest = int(attended.max(axis=(1, 2)).argmax())
                place = places[strongest].of_peak(attended[strongest])
            words.append(replace(word, anatomy=None if place is None else place.text(self.prompt.language) or None))
        return replace(trace, words=tuple(words))

    def _confidence(
        self, features: Features, findings: tuple[Finding, ...], trace: Trace | None, prefill: Any
    ) -> Confidence | None:
        if self.plan.samples <= 0:
            return None
        with self._timed("sample", 0.85):
            try:
                confidence = sample_confidence(
                    _Prefilled(self.model, prefill),
                    self.prompt,
                    features,
                    lambda text: extract_findings(text, self.prompt.language),
                    draft=findings,
                    samples=self.plan.samples,
                    seed=self.seed,
                    max_new_tokens=self.max_new_tokens,
                )
            except DegenerateSampling as error:
                self.warnings.append(
                    Notice("no_confidence", f"No confidence: {error}", "采样退化，无法给出置信度。")
                )
                return None
        if trace is None or not self.plan.reliance:
            return confidence
        # A denial that stands without the picture too is no sign of guessing: a blank shows nothing either.
        lifts = {finding.id: _lift(finding, findings, trace) for finding in findings if finding.polarity != "absent"}
        entries = tuple(
            with_image_lift(entry, lifts[entry.finding_id]) if entry.finding_id in lifts else entry
            for entry in confidence.findings
        )
        return replace(confidence, findings=entries)

    def _notices(
        self,
        features: Features,
        generation: Generation,
        findings: Sequence[Finding],
        maps: Mapping[MapKey, AttributionMap],
        grades: Mapping[MapKey, MapGrade],
    ) -> None:
        frame = self.study.frames[0]
        if self.model.profile.domain == "phantom" and not looks_like_phantom(frame.picture()):
            self.warnings.append(NOT_A_PHANTOM)
        if not generation.words:
            self.warnings.append(NOTHING_WRITTEN)
        if generation.finish == "length":
            self.warnings.append(CUT_SHORT)
        if not self.plan.grade and maps:
            self.warnings.append(NOT_GRADED)
        if any(finding.change for finding in findings):
            self.warnings.append(NO_PRIOR)
        if frame.geometry.patient_right is None and any(finding.side or finding.zone for finding in findings):
            self.warnings.append(NO_SIDE)
        for (name, finding_id), made in maps.items():
            grade = grades.get((name, finding_id))
            if made.claim != "relied_on" or grade is None or grade.withheld:
                continue
            finding = next(one for one in findings if one.id == finding_id)
            strongest = int(made.values.max(axis=(1, 2)).argmax())
            places, names = self._places(features)[strongest], (describe(finding, "en"), describe(finding, "zh"))
            if places.outside(finding.code, made.values[strongest]):
                self.warnings.append(outside_notice(*names))
            place = places.of_map(made.values[strongest])
            if place is not None and {place.side, finding.side} == {"left", "right"}:
                self.warnings.append(other_side_notice(*names))

    def _places(self, features: Features) -> tuple[FilmPlaces, ...]:
        if self._film_places is None:
            frames = tuple(self.study.frames[index] for index in features.frames) or self.study.frames
            volume = features.layout == "volume"
            self._film_places = tuple(film_places(frame, volume=volume) for frame in frames)
        return self._film_places

    def _provenance(self, level: str, features: Features) -> dict[str, Any]:
        return {
            "model": self.model.name,
            "weights_sha256": self.model.weights_hash,
            "demo_model": self.model.profile.domain == "phantom",
            "image_digest": features.key,
            "level": level,
            "plan": {**asdict(self.plan), "methods": list(self.plan.methods)},
            "seed": self.seed,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": self.model.device.type,
            "versions": {name: version(name) for name in ("radiolucent", "torch", "transformers", "numpy")},
            "python": platform.python_version(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": {name: round(value, 3) for name, value in self.timings.items()},
        }

    @contextmanager
    def _timed(self, name: str, share: float) -> Iterator[None]:
        self.say(name, share)
        began = time.monotonic()
        yield
        self.timings[name] = self.timings.get(name, 0.0) + time.monotonic() - began


class _Prefilled:
    """A model whose samples start from a prefill already made: one image encode and one prefill in all."""

    def __init__(self, model: Gemma3Model, prefill: Any) -> None:
        self._model, self._prefill = model, prefill

    def sample(self, prompt: Prompt, features: Features, **options: Any) -> tuple[Generation, ...]:
        return self._model.sample(prompt, features, prefill=self._prefill, **options)


def _lift(finding: Finding, findings: Sequence[Finding], trace: Trace) -> float:
    """Nats that the image added to the words that say the finding."""
    first, last = finding_chars(finding, findings)
    return sum(
        word.image_reliance or 0.0
        for word in trace.words
        if word.part == "answer" and word.chars[0] < last and word.chars[1] > first
    )


@contextmanager
def _reported(progress: bool | Progress) -> Iterator[Progress]:
    if callable(progress):
        yield progress
        return
    if not progress:
        yield lambda what, share: None
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    with Bar(TextColumn("{task.description:<22}"), BarColumn(), TimeElapsedColumn(), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)
        bar.update(task, completed=1.0)
