"""A level is a plan that can be read, costed and shown before anything runs."""

from __future__ import annotations

import importlib
import time
from pathlib import Path

import pytest

import radiolucent as rl
from radiolucent.attribution.method import Passes, Size
from radiolucent.attribution.registry import methods
from radiolucent.errors import MalformedInput
from radiolucent.levels import PLANS, Estimate, Step, described, estimate, plan_of
from radiolucent.phantom.film import draw_case
from radiolucent.phantom.record import Lesion
from radiolucent.progress import Announced, Clock, announced
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.speed import Speed

FULL_SIZE = Speed(position=0.015, token=0.4, sequence=0.012, encode=21.0, launch=0.02)  # 4B on two cores
pipeline = importlib.import_module("radiolucent.explain")


@pytest.fixture(scope="module")
def model() -> Gemma3Model:
    return rl.load_model("demo")


@pytest.fixture(scope="module")
def study() -> rl.Study:
    film = draw_case(12, size=256, lesions=(Lesion("consolidation", "right", "lower"),)).film
    return rl.load_study(film, patient_right="left", view="PA")


def costed(level: str, **options: int) -> Estimate:
    return estimate(plan_of(level), FULL_SIZE, images=1, cells=256, layers=34, prompt_length=300, **options)


@pytest.mark.parametrize("level", sorted(PLANS))
def test_every_method_of_a_plan_is_registered_and_every_step_is_costed(level: str) -> None:
    plan = PLANS[level]
    assert {*plan.methods, *plan.main_methods, *plan.options} <= set(methods())
    names = [step.name for step in costed(level).steps]
    assert names[:3] == ["encode", "generate", "parity"] and len(names) == len(set(names))
    assert set(plan.methods) <= set(names) and all(step.seconds >= 0 for step in costed(level).steps)


def test_deeper_levels_cost_more_and_more_findings_cost_more() -> None:
    assert costed("quick").seconds < costed("standard").seconds < costed("deep").seconds
    assert costed("standard", findings=1).seconds < costed("standard", findings=3).seconds
    assert costed("quick", findings=0).of("saliency") == 0.0


def test_seconds_are_passes_times_the_seconds_of_a_pass() -> None:
    replay = FULL_SIZE.position * 400 + FULL_SIZE.launch
    for name, explained in (("saliency", 1), ("propose_and_verify", 3)):
        step = next(step for step in costed("standard").steps if step.name == name)
        wanted = methods()[name].passes(Size(targets=explained))
        shared = name == "saliency"  # its pass is the one that checks the replay
        assert (step.passes.replays, step.passes.backwards) == (wanted.replays - shared, wanted.backwards)
        assert step.seconds == pytest.approx((step.passes.replays + 1.2 * step.passes.backwards) * replay)


def test_shares_start_at_nothing_and_never_fall() -> None:
    expected = costed("standard")
    shares = [expected.before(step.name) for step in expected.steps]
    assert shares[0] == 0.0 and shares == sorted(shares) and shares[-1] < 1.0
    with pytest.raises(MalformedInput, match="no step"):
        expected.before("coffee")


def test_the_callers_own_samples_and_methods_stand_in_the_levels_place() -> None:
    assert plan_of("standard", samples=4).samples == plan_of("standard", samples=4).beside == 4
    assert plan_of("standard", samples=0).beside == 0
    assert plan_of("quick", methods=("saliency",)).methods == ("saliency",)
    with pytest.raises(MalformedInput, match="Level"):
        plan_of("careless")
    with pytest.raises(MalformedInput, match="unknown"):
        plan_of("quick", methods=("palmistry",))


def test_standard_stays_within_three_plain_generations_where_the_samples_agree() -> None:
    """At 4B size, once the blank and the other patient's film were encoded for the weights."""
    expected = costed("standard", findings=3, tokens=100)
    once = 2 * FULL_SIZE.encode
    plain = FULL_SIZE.encode + 300 * FULL_SIZE.position + 100 * FULL_SIZE.token
    assert (expected.seconds - once - expected.of("sample")) / plain <= 3


def test_the_passes_of_the_trace_are_planned(
    model: Gemma3Model, study: rl.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures: list[int] = []
    plain = Gemma3Model.choice_logprobs

    def counted(self: Gemma3Model, inputs: object, ids: object, rows: list[object], choices: object) -> object:
        pictures.append(len(rows))
        return plain(self, inputs, ids, rows, choices)  # type: ignore[arg-type]

    monkeypatch.setattr(Gemma3Model, "choice_logprobs", counted)
    made = rl.explain(model, study, samples=0)
    planned = next(step for step in costed("standard", findings=1).steps if step.name == "trace").passes
    assert len(pictures) == 1 and 4 <= pictures[0] <= planned.replays  # the picture as it is may be known
    assert made.trace is not None and any(one.margin_hidden is not None for one in made.trace.contrasts)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_plan_reads_as_one_line_a_step(language: str) -> None:
    expected = costed("standard")
    lines = described(plan_of("standard"), expected, language).splitlines()
    assert f"{expected.seconds:.0f}" in lines[0] and len(lines) == len(expected.steps) + 2
    assert ("份" if language == "zh" else "sampled") in lines[-1]


def test_a_long_plan_is_shown_before_the_run_and_a_short_one_is_not() -> None:
    shown: list[str] = []
    for level, seconds in (("standard", FULL_SIZE), ("quick", Speed(1e-5, 1e-4, 1e-5, 1e-3, 1e-4))):
        expected = estimate(plan_of(level), seconds, images=1, cells=256, layers=34, prompt_length=300)
        Announced(lambda what, share: None, shown.append).plan(plan_of(level), expected, "en")
    assert len(shown) == 1 and shown[0].startswith("Plan (about")


def test_the_clock_moves_inside_a_step_never_back_and_never_past_its_end() -> None:
    told: list[tuple[str, float]] = []
    clock = Clock(lambda what, share: told.append((what, share)))
    clock.expect(Estimate((Step("one", Passes(), 0.02), Step("two", Passes(), 0.02))))
    clock.start("one")
    time.sleep(0.01)
    clock.tick()
    assert 0 < told[-1][1] < 0.5
    time.sleep(0.05)  # far longer than expected
    clock.tick()
    assert told[-1][1] < 0.5
    clock.expect(Estimate((Step("one", Passes(), 0.01), Step("two", Passes(), 10.0))))
    clock.start("two")
    clock.done()
    shares = [share for _, share in told]
    assert shares == sorted(shares) and told[-1] == ("done", 1.0)


def test_without_a_terminal_only_the_plan_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with announced(True) as told:
        told.plan(plan_of("standard"), costed("standard"), "en")
        told.clock.start("encode")
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("Plan (about") and "read the images" in printed.err


@pytest.mark.parametrize(
    ("stopped_in", "maps"), [("check_parity", False), ("shared_grades", True), ("build_trace", True)]
)
def test_an_interrupted_run_leaves_a_valid_partial_bundle(
    model: Gemma3Model,
    study: rl.Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stopped_in: str,
    maps: bool,
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, stopped_in, stopped)
    with pytest.raises(KeyboardInterrupt) as caught:
        rl.explain(model, study, samples=4)
    assert isinstance(caught.value, pipeline.ExplanationInterrupted)
    partial = caught.value.explanation
    assert partial.report and bool(partial.maps) is maps and partial.provenance["partial"] is True
    unfinished = set(partial.provenance["unfinished"])
    assert {"trace", "sample"} <= unfinished and "encode" not in unfinished
    assert "partial" in {notice.code for notice in partial.warnings}
    again = rl.load_explanation(partial.save(tmp_path / "bundle"))
    assert again == partial
    assert "interrupted" in (tmp_path / "bundle" / "report.html").read_text(encoding="utf-8")


def test_an_interruption_before_the_report_is_written_is_only_an_interruption(
    model: Gemma3Model, study: rl.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "generate_and_sample", stopped)
    with pytest.raises(KeyboardInterrupt) as caught:
        rl.explain(model, study, level="quick")
    assert not isinstance(caught.value, pipeline.ExplanationInterrupted)


def test_another_labeller_can_stand_in_the_extractors_place(model: Gemma3Model, study: rl.Study) -> None:
    asked: list[str] = []

    def labeller(text: str) -> tuple[rl.Finding, ...]:
        asked.append(text)
        return (rl.Finding("mass", words=text[:4], chars=(0, 4), sentence=(0, len(text))),)

    made = rl.explain(model, study, level="quick", extractor=labeller)
    assert asked[0] == made.report and [finding.code for finding in made.findings] == ["mass"]
    assert {finding_id for _, finding_id in made.maps} == {"mass"}
