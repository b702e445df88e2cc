"""Levels as explicit plans: which passes run, what they share, and what they will cost, known before they run.

What is shared: one image encode and one prefill; the samples are written beside the draft; one replay serves the
parity gate; one perturbed replay serves every finding; one replay of each replaced picture serves every word and
every contrast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from radiolucent.attribution.defaults import LEVEL_DEFAULTS
from radiolucent.attribution.method import Passes, Size
from radiolucent.attribution.registry import method, takes
from radiolucent.errors import MalformedInput
from radiolucent.vlm.speed import Speed

Level = Literal["quick", "standard", "deep"]
Grading = Literal["none", "shared", "full"]
Contrasts = Literal["none", "main", "all"]

BACKWARD = 1.2  # a gradient with respect to the soft tokens, in forward passes
ANNOUNCED = 10.0  # seconds from which a run's plan is shown before it starts
USUAL_FINDINGS, USUAL_TOKENS = 3, 100  # assumed before the report is written


@dataclass(frozen=True)
class Plan:
    """What a level runs.

    Parameters
    ----------
    methods
        Attribution methods for every finding that is not absent.
    main_methods
        For the main finding alone.
    reliance
        Measure for each word what the image added (a replay with a blank picture and one with another patient's film).
    contrasts
        Answer why this was written and not that, beside the reliance: ``none``; ``main``: with the main finding's
        region hidden; ``all``: with every finding's (two replays a region, and one for the picture as it is).
    grading
        ``none``; ``shared``: maps are graded by the regions that the verification hid anyway; ``full``: every map's
        region against 20 regions of its shape and area.
    samples
        Reports drawn for the confidence at most, 0 for none; drawing stops when every finding is decided.
    beside
        Samples written beside the draft, in the same decode steps.
    probes
        Ask about every finding outright even where no calibration needs it.
    options
        Method -> its options, where they are not the method's own defaults.
    """

    methods: tuple[str, ...]
    main_methods: tuple[str, ...] = ()
    reliance: bool = False
    contrasts: Contrasts = "none"
    grading: Grading = "none"
    samples: int = 0
    beside: int = 0
    probes: bool = False
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


PLANS: Mapping[str, Plan] = {
    "quick": Plan(
        ("attention", LEVEL_DEFAULTS["quick"]["attended"]), main_methods=(LEVEL_DEFAULTS["quick"]["sensitive"],)
    ),
    "standard": Plan(
        ("attention", LEVEL_DEFAULTS["standard"]["attended"], LEVEL_DEFAULTS["standard"]["relied_on"]),
        main_methods=(LEVEL_DEFAULTS["standard"]["sensitive"],),
        reliance=True,
        contrasts="main",
        grading="shared",
        samples=16,
        beside=8,
        # one proposer: about four replays a finding; the level deep asks the gradient too where attention was wrong
        options={"propose_and_verify": {"proposals": ("distinct_attention",)}},
    ),
    "deep": Plan(
        (
            "attention",
            LEVEL_DEFAULTS["deep"]["attended"],
            "saliency",
            LEVEL_DEFAULTS["deep"]["sensitive"],
            "pixel_gradient",
            LEVEL_DEFAULTS["deep"]["relied_on"],
            "token_ablation",
            "hierarchical_occlusion",
        ),
        reliance=True,
        contrasts="all",
        grading="full",
        samples=16,
        beside=16,
        probes=True,
        options={"propose_and_verify": {"controls": 20}},
    ),
}


@dataclass(frozen=True)
class Step:
    """One step of a run: its name, the passes it takes and the seconds they are expected to take."""

    name: str
    passes: Passes
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """A plan's steps in the order in which they run."""

    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float:
        """Of all steps."""
        return sum(step.seconds for step in self.steps)

    def before(self, name: str) -> float:
        """Share of the time that is over when a step starts, in [0, 1]."""
        passed = 0.0
        for step in self.steps:
            if step.name == name:
                return passed / max(self.seconds, 1e-9)
            passed += step.seconds
        raise MalformedInput(f"{name!r} is no step of this plan; its steps: {', '.join(s.name for s in self.steps)}.")

    def of(self, name: str) -> float:
        """Expected seconds of a step."""
        return next(step.seconds for step in self.steps if step.name == name)


def plan_of(level: str, *, samples: int | None = None, methods: tuple[str, ...] | None = None) -> Plan:
    """A level's plan, with the caller's own samples or methods in the level's place.

    Raises
    ------
    MalformedInput
        Where the level or a method is unknown.
    """
    if level not in PLANS:
        raise MalformedInput(f"Level {level!r} is unknown; use one of {', '.join(PLANS)}.")
    plan = PLANS[level]
    limit = plan.samples if samples is None else samples
    beside = min(plan.beside or limit, limit)
    chosen, main = (plan.methods, plan.main_methods) if methods is None else (methods, ())
    for name in (*chosen, *main):
        method(name)  # raises
    options = {name: plan.options[name] for name in chosen if name in plan.options}
    return replace(plan, methods=chosen, main_methods=main, samples=limit, beside=beside, options=options)


def estimate(
    plan: Plan,
    speed: Speed,
    *,
    images: int,
    cells: int,
    layers: int,
    prompt_length: int,
    findings: int = USUAL_FINDINGS,
    tokens: int = USUAL_TOKENS,
) -> Estimate:
    """What a plan will cost.

    Parameters
    ----------
    prompt_length
        Positions of the prompt, image soft tokens included.
    findings, tokens
        Of the report; the usual number before it is written.
    """
    replay = speed.position * (prompt_length + tokens) + speed.launch
    size = Size(cells=cells, images=images, targets=findings, layers=layers)
    main = Size(cells=cells, images=images, targets=min(findings, 1), layers=layers)

    def passes_of(name: str, explained: Size) -> Passes:
        if not explained.targets:
            return Passes()
        passes = method(name).passes(explained)
        # gradients are taken in the pass that checks the replay
        return replace(passes, replays=max(0.0, passes.replays - 1)) if takes(name, "gradients") else passes

    def step(name: str, passes: Passes, more: float = 0.0) -> Step:
        language = (passes.replays + BACKWARD * passes.backwards) * replay
        vision = (passes.encodes + BACKWARD * passes.vision_backwards) * speed.encode
        return Step(name, passes, language + vision + more)

    writing = speed.position * prompt_length + tokens * (speed.token + plan.beside * speed.sequence)
    steps = [
        step("encode", Passes(encodes=images)),
        step("generate", Passes(), writing),
        step("parity", Passes(replays=1)),
    ]
    for names, explained in ((plan.methods, size), (plan.main_methods, main)):
        steps += [step(name, passes_of(name, explained)) for name in names]
    if plan.grading == "full":
        maps = len(plan.methods) * findings
        steps.append(step("grade", Passes(replays=24 * maps)))
    elif plan.grading == "shared":
        steps.append(step("grade", Passes()))
    steps.append(step("trace", _trace_passes(plan, findings)))
    if plan.samples:
        further = plan.samples > plan.beside
        steps.append(step("sample", Passes(), tokens * (speed.token + 3 * speed.sequence) if further else 0.0))
    return Estimate(tuple(steps))


def _trace_passes(plan: Plan, findings: int) -> Passes:
    """Of the reliance and the contrasts; the blank and the other film are encoded once for the weights."""
    if not plan.reliance:
        return Passes()
    regions = {"none": 0, "main": min(findings, 1), "all": findings}[plan.contrasts]
    return Passes(replays=2 + (plan.contrasts != "none") + 2 * regions, encodes=2)


def described(plan: Plan, expected: Estimate, language: str) -> str:
    """The plan in words with what each step is expected to take, for people: one line a step."""
    zh = language == "zh"
    title = "计划（预计约 {:.0f} 秒）" if zh else "Plan (about {:.0f} s)"
    lines = [title.format(expected.seconds)]
    for step in expected.steps:
        name = STEP_WORDS.get(step.name, (step.name, step.name))[zh]
        lines.append(f"  {name:<34} {step.seconds:7.1f} s   {_passes_text(step.passes, zh)}".rstrip())
    if plan.samples:
        lines.append(
            f"  最多采样 {plan.samples} 份报告，其中 {plan.beside} 份与正文同时生成"
            if zh
            else f"  up to {plan.samples} sampled reports, {plan.beside} of them written beside the draft"
        )
    return "\n".join(lines)


STEP_WORDS: Mapping[str, tuple[str, str]] = {
    "encode": ("read the images", "读取图像"),
    "generate": ("write the report and samples", "生成报告与采样"),
    "parity": ("check the replay", "核对重放"),
    "grade": ("test the maps", "检验热图"),
    "trace": ("what the image adds to each word", "图像对各词的贡献"),
    "sample": ("further samples if undecided", "结果未定时继续采样"),
}


def _passes_text(passes: Passes, zh: bool) -> str:
    named = (
        (passes.replays, "replays", "次重放"),
        (passes.backwards, "gradients", "次梯度"),
        (passes.encodes, "image encodes", "次图像编码"),
        (passes.vision_backwards, "gradients through the vision tower", "次视觉梯度"),
    )
    return ", ".join(f"{count:g} {chinese if zh else english}" for count, english, chinese in named if count)
