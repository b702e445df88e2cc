"""One film: what is measured, that gathered perturbations equal direct ones, and that records come back equal."""

import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from radiolucent.attribution.cells import coverage
from radiolucent.attribution.interventions import hidden_scores
from radiolucent.attribution.regions import top_region
from radiolucent.attribution.targets import finding_target, soft_rows
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.lab.case import swap_loss
from radiolucent.faithfulness.lab.examine import Plan, examine
from radiolucent.faithfulness.lab.interventions import Interventions
from radiolucent.faithfulness.lab.perturb import SHARES, perturb_all
from radiolucent.faithfulness.lab.randomise import STAGES, copied, randomised
from radiolucent.faithfulness.lab.records import CaseRecord, read_record, write_record
from radiolucent.faithfulness.lab.sanity import picture_cells, shifted
from radiolucent.faithfulness.metrics import necessity_and_sufficiency, removal_curves
from radiolucent.faithfulness.phantoms import phantom_cases
from radiolucent.faithfulness.table import compared, tabulate
from radiolucent.findings import extract_findings
from radiolucent.vlm.load import load_model
from radiolucent.vlm.types import Prompt, Target

sys.path.insert(0, str(Path(__file__).parents[1] / "attribution"))
from analytic import CELLS, GRID, AnalyticModel


def same(one, other):
    """Equal down to the last array."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and all(
            same(getattr(one, part.name), getattr(other, part.name)) for part in fields(one)
        )
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def extract(text):
    return extract_findings(text, "en")


@pytest.fixture(scope="module")
def model():
    return load_model("demo")


@pytest.fixture(scope="module")
def plan(model):
    return Plan(("attention", "saliency"), Prompt(model.profile.question("en")), fills=("counterfactual", "road"))


@pytest.fixture(scope="module")
def record(model, plan):
    case = phantom_cases(1, first_seed=24, size=256)[0]
    return examine(model, case, 1, plan, extract, perturb=True, sanity=True)


# Gathered perturbations


def analytic(fills=("mean", "blur", "counterfactual")):
    model = AnalyticModel(seed=3)
    features, other = model.features(), model.features(seed=1)
    generation = model.generation()
    targets = [Target((0, 2)), Target((3, 5))]
    inside = np.ones((1, GRID, GRID), dtype=bool)
    maps = [
        (target, np.random.default_rng(target).standard_normal((1, GRID, GRID)).astype(np.float32))
        for target in (0, 1, 0)
    ]
    interventions = Interventions(model, features, generation, targets, [other, None], inside, batch=5)
    return model, features, generation, targets, other, inside, maps, interventions, fills


def test_gathered_perturbations_equal_those_of_one_metric_alone():
    model, features, generation, targets, other, inside, maps, interventions, fills = analytic()
    found = perturb_all(maps, interventions, inside, fills, seed=7)
    for (target, values), perturbed in zip(maps, found, strict=True):
        wanted = fills if target == 0 else fills[:2]  # the second target has no counterfactual
        assert [curve.fill for curve in perturbed.curves] == list(wanted)
        for curve in perturbed.curves:

            def score(hidden, fill=curve.fill, target=target):
                return hidden_scores(
                    model,
                    features,
                    generation,
                    [targets[target]],
                    hidden,
                    fill=fill,
                    other=other if fill == "counterfactual" else None,
                )[:, 0]

            direct = removal_curves(
                values, score, shares=sorted({round(s * CELLS) / CELLS for s in SHARES}), random_orders=2, seed=7
            )
            assert curve.morf == pytest.approx(direct.morf) and curve.lerf == pytest.approx(direct.lerf)
            assert (curve.gap, curve.excess) == pytest.approx((direct.gap, direct.excess))
        region = top_region(values, inside)
        worth = necessity_and_sufficiency(
            region,
            lambda hidden, t=target: hidden_scores(model, features, generation, [targets[t]], hidden)[:, 0],
            inside=inside,
            least=0.2,
        )
        assert perturbed.necessity == (None if worth.necessity is None else pytest.approx(worth.necessity))
        assert perturbed.sufficiency == (None if worth.sufficiency is None else pytest.approx(worth.sufficiency))


def test_no_picture_is_scored_twice_for_one_fill():
    model, _, _, _, _, inside, maps, interventions, fills = analytic()
    perturb_all(maps[:1], interventions, inside, fills, seed=0)
    once = interventions.pictures
    again = analytic()[7]
    perturb_all([maps[0], maps[0], (1, maps[0][1])], again, inside, ("mean", "blur"), seed=0)
    assert again.pictures < once and model.sequences >= once


def test_road_fills_from_neighbours_only_what_is_hidden():
    model, features, generation, targets, _, inside, _, _, _ = analytic()
    interventions = Interventions(model, features, generation, targets, [None, None], inside)
    nothing = np.zeros((1, 1, GRID, GRID), dtype=bool)
    one = nothing.copy()
    one[0, 0, 1, 2] = True
    score = interventions.asking(1, "road")
    score(np.concatenate([nothing, one]))
    interventions.run()
    whole, holed = score(np.concatenate([nothing, one]))
    plain = hidden_scores(model, features, generation, targets, nothing)[0]
    assert whole == pytest.approx(plain[1])
    # the model is linear in its tokens: only the hidden cell's share may change
    weight = model.weight(targets[1], generation).numpy()
    tokens = soft_rows(features).numpy().reshape(GRID, GRID, -1)
    near = sum(
        (1 / 12 if down and right else 1 / 6) * tokens[1 + down, 2 + right]
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if down or right
    )
    expected = plain[1] + weight[1 * GRID + 2] @ (near - tokens[1, 2])
    noise = 4 * 0.04 * np.linalg.norm(weight[1 * GRID + 2]) * tokens.reshape(CELLS, -1).std(axis=0).max()
    assert holed == pytest.approx(expected, abs=noise)


# One film of the demo model


def test_every_map_is_measured(record, plan):
    assert not record.error and record.findings
    assert {"report", "swap", "maps", "localisation", "perturbation", "sanity"} <= set(record.seconds)
    for finding in record.findings:
        assert {score.method for score in finding.scores} == {*plan.methods, "random", "centre_prior", "edges"}
        assert finding.swap > 0.69 and finding.code in record.asserted
        for score in finding.scores:
            assert {curve.fill for curve in score.perturbed.curves} == set(plan.fills)
            assert len(score.sanity.cascade) == len(STAGES)
            assert 0 <= score.iou_otsu <= score.iou_best <= score.iou_ceiling <= 1


def test_a_record_comes_back_equal(record, tmp_path):
    path = tmp_path / "00001.json"
    write_record(record, path)
    assert same(read_record(path), record)
    assert [one.name for one in tmp_path.iterdir()] == ["00001.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"number": 1, "findings": [], "strange": 2}'])
def test_what_is_no_record_is_refused(tmp_path, text):
    path = tmp_path / "1.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MalformedInput, match=r"1\.json is no record"):
        read_record(path)


def test_weights_decide_a_method_that_uses_them_and_not_an_edge_detector(model, plan):
    cases = phantom_cases(3, first_seed=24, size=256)
    records = [
        examine(model, case, number, plan, extract, sanity=number == 1) for number, case in enumerate(cases, start=1)
    ]
    table = compared(records)
    for method in plan.methods:
        assert all(verdict.passed for verdict in table.row(method).cascade.values()), method
    for verdict in table.row("edges").cascade.values():
        assert not verdict.passed and verdict.similarities == pytest.approx([1.0] * len(STAGES))
    assert table.row("saliency").value("repeat_shift") > 0.8 and table.row("saliency").value("repeat_precision") > 0.9
    assert table.row("random").value("repeat_seed") == pytest.approx(0, abs=0.3)
    assert table.row("saliency").value("repeat_seed") is None  # it draws nothing
    assert table.checked[1] == 1


def test_randomising_leaves_the_model_itself_alone(model):
    before = {name: weights.clone() for name, weights in model.module.named_parameters()}
    changed = {}
    for stage, other in randomised(model, seed=1):
        differing = {
            name for name, weights in other.module.named_parameters() if not torch.equal(weights, before[name])
        }
        changed[stage] = differing
    assert list(changed) == list(STAGES)
    sizes = [len(names) for names in changed.values()]
    assert sizes == sorted(set(sizes))  # each stage changes more, and what was changed stays changed
    assert not any("vision_tower" in name for name in changed["projector"])
    assert all(torch.equal(weights, before[name]) for name, weights in model.module.named_parameters())
    moving = {name for name, weights in before.items() if weights.ndim > 1}
    assert moving <= changed["vision tower"]


def test_noise_keeps_the_size_of_weights(model):
    *_, (_, last) = randomised(model, seed=2)
    for (name, one), (_, other) in zip(model.module.named_parameters(), last.module.named_parameters(), strict=True):
        if one.ndim > 1 and one.numel() > 1000:
            assert float(other.std()) == pytest.approx(float(one.std()), rel=0.1), name
        elif one.ndim == 1:
            assert torch.equal(one.sort().values, other.sort().values), name


def test_a_copy_encodes_with_its_own_weights(model):
    study = phantom_cases(1, size=256)[0].study
    kept = model.encode(study).soft_tokens.clone()
    other = copied(model)
    with torch.no_grad():
        other.module.model.multi_modal_projector.mm_input_projection_weight.mul_(2)
    assert not torch.allclose(other.encode(study).soft_tokens, kept)
    assert torch.equal(model.encode(study).soft_tokens, kept)


def test_a_shift_moves_the_picture_and_keeps_its_edge():
    model = AnalyticModel()
    features = model.features()
    moved = shifted(model, features, 2)
    assert torch.equal(moved.pixels[:, :, 2:, 2:], features.pixels[:, :, :-2, :-2])
    assert torch.equal(moved.pixels[:, :, 0, 2:], features.pixels[:, :, 0, :-2])
    assert moved.key != features.key and model.encoded == 1
    with pytest.raises(MalformedInput):
        shifted(model, features, 99)


def test_maps_that_know_the_lesion_beat_every_baseline(model, plan):
    """The oracle is the mask itself, put in a method's place."""
    case = phantom_cases(1, first_seed=24, size=256)[0]
    record = examine(model, case, 1, plan, extract)
    geometry = case.study.frames[0].geometry.for_model(model.profile.image_size, model.profile.grid)
    for finding in record.findings:
        truth = coverage(case.masks[finding.code], geometry)[None]
        inside = picture_cells([geometry], geometry.grid)
        features = model.encode(case.study)
        generation = model.generate(plan.prompt, features, max_new_tokens=64)
        assert truth.max() > 0 and inside.all()
        # hiding the lesion's own cells costs more than hiding as many others
        written = extract(generation.text)
        (said,) = [one for one in written if one.code == finding.code and one.polarity == "present"]
        target = finding_target(generation, said, written)
        interventions = Interventions(model, features, generation, [target], [None], inside)
        (oracle, chance) = perturb_all(
            [(0, truth.astype(np.float32)), (0, np.random.default_rng(0).random(truth.shape).astype(np.float32))],
            interventions,
            inside,
            ("mean",),
            seed=0,
        )
        assert oracle.curves[0].excess > chance.curves[0].excess + 0.5
        assert swap_loss(model, case, finding.code, features, generation, target) == pytest.approx(finding.swap)


# Bad input


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"methods": ()}, "No method"),
        ({"methods": ("saliency", "saliency")}, "twice"),
        ({"methods": ("random",)}, "always compared"),
        ({"methods": ("tea leaves",)}, "unknown"),
        ({"options": {"attention": {}}}, "none of the methods"),
        ({"fills": ("mean", "snow")}, "snow"),
    ],
)
def test_bad_plans_are_refused(change, told):
    with pytest.raises(MalformedInput, match=told):
        replace(Plan(("saliency",), Prompt("Describe.")), **change)


def test_a_film_without_a_rightly_reported_finding_is_a_record_without_maps(model, plan):
    case = replace(phantom_cases(1, size=256)[0], masks={}, without={})
    record = examine(model, case, 3, plan, extract, perturb=True)
    assert isinstance(record, CaseRecord) and record.findings == () and record.lesions == ()
    assert record.report and not record.error


def test_maps_finer_than_the_token_grid_are_compared_on_the_pictures_own_cells(record):
    """As maps of pixels are: each cell a square of equal values is the same map, and so is its bar."""

    def finer(score):
        return replace(score, values=score.values.repeat(2, axis=1).repeat(2, axis=2))

    scores = [score for score in record.scores if score.method == "saliency"]
    other = [replace(score, case="another", values=score.values[:, ::-1].copy()) for score in scores]
    inside = {record.case: record.inside, "another": record.inside}
    (coarse,) = tabulate([*scores, *other], inside=inside)
    (fine,) = tabulate([finer(score) for score in (*scores, *other)], inside=inside)
    assert fine.cascade["rank"].bar == pytest.approx(coarse.cascade["rank"].bar)
