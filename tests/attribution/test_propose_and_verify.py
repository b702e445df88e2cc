"""Regions are shown to matter, or not, on models whose answer to every intervention is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import PlantedModel, additive, heat, span
from tiny_gemma import GRID as TINY_GRID
from tiny_gemma import written

from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.propose_and_verify import propose_and_verify, propose_and_verify_many, smoothed
from radiolucent.attribution.registry import attribute, attribute_all
from radiolucent.attribution.targets import finding_target
from radiolucent.attribution.types import AttributionMap
from radiolucent.attribution.verification import LEAST_NATS
from radiolucent.errors import MalformedInput
from radiolucent.findings import extract_findings
from radiolucent.phantom.film import draw_case
from radiolucent.study.load import load_study
from radiolucent.vlm.load import load_model
from radiolucent.vlm.types import Prompt, Target

SHAPE = (1, 8, 8)
LESION, DECOY = (0, 2, 2), (0, 6, 6)
STRONG = additive(heat(SHAPE, LESION, value=5.0) + 0.01)


def proposal(values, target, method="attention"):
    return AttributionMap(np.asarray(values, dtype=np.float32), "attended", method, target, "", ())


def case(*functions, **geometry):
    model = PlantedModel(dict(enumerate(functions)), **geometry)
    return model, model.features(), model.generation(range(len(functions)))


def verified(functions, maps, target=None, names=None, **options):
    model, features, generation = case(*functions)
    target = target or span(0)
    names = names or [f"attention:{variant}" for variant in ("final", "global", "max")][: len(maps)]
    proposed = [proposal(values, target, name) for values, name in zip(maps, names, strict=True)]
    return propose_and_verify(
        model, features, generation, target, proposals=names, proposed=proposed, buffer=0, **options
    )


class TestRule:
    def test_the_planted_cell_is_verified_and_the_decoy_before_it_is_not(self):
        made = verified([STRONG], [heat(SHAPE, DECOY), heat(SHAPE, LESION)])
        shown, decoy = made.tests
        assert shown.region[LESION] and not shown.region[DECOY] and shown.verdict == "necessary and sufficient"
        assert decoy.region[DECOY] and not decoy.verified and decoy.controls_hidden == ()  # no control for no effect
        assert made.values.argmax() == np.ravel_multi_index(LESION, SHAPE)
        assert not made.values[~shown.region].any()
        assert made.claim == "relied_on" and made.units == "nats" and made.method == "propose_and_verify"

    def test_the_cells_share_the_measured_loss_as_the_proposal_has_it(self):
        seen = heat(SHAPE, LESION, value=3.0) + heat(SHAPE, (0, 2, 3), value=2.0)
        made = verified([STRONG], [seen])
        region = made.tests[0].region
        assert made.values.sum() == pytest.approx(made.tests[0].hidden, rel=1e-6)
        expected = np.where(region, smoothed(seen, np.ones(SHAPE, bool)), 0)
        np.testing.assert_allclose(made.values / made.values.sum(), expected / expected.sum(), rtol=1e-5)

    def test_losses_and_shares_have_their_closed_form(self):
        weights = np.random.default_rng(1).uniform(0.02, 0.05, SHAPE) + heat(SHAPE, LESION, value=4.0)
        (test,) = verified([additive(weights)], [heat(SHAPE, LESION)]).tests
        inside = weights[test.region].sum()
        assert test.hidden == pytest.approx(inside)
        assert test.only == pytest.approx(weights.sum() - inside)
        assert test.everything == pytest.approx(weights.sum())
        assert test.necessity == pytest.approx(inside / weights.sum())
        assert test.sufficiency == pytest.approx(inside / weights.sum())
        (control,) = test.controls
        assert test.controls_hidden == pytest.approx((weights[control].sum(),))
        assert test.specificity == pytest.approx(1 - weights[control].sum() / inside)
        assert test.necessity_interval is test.specificity_interval is None

    def test_a_region_that_matters_no_more_than_any_other_is_not_specific(self):
        with pytest.raises(EmptyMap, match="does not mean that the finding is absent"):
            verified([additive(np.ones(SHAPE))], [heat(SHAPE, LESION)], largest_share=0.4, peak_share=0.001)

    def test_cells_that_matter_only_together_are_necessary_and_not_sufficient(self):
        def both(shown):
            return 3 * shown[:, 0, 2, 2] * shown[:, 0, 6, 6]

        (test,) = verified([both], [heat(SHAPE, LESION)]).tests
        assert test.verdict == "necessary" and test.sufficiency == pytest.approx(0) and test.necessity == 1

    def test_what_is_seen_in_two_places_is_hidden_in_both_where_the_map_points_at_them(self):
        def either(shown):
            return 3 * torch.maximum(shown[:, 0, 2, 2], shown[:, 0, 6, 6])

        made = verified([either], [heat(SHAPE, LESION) + heat(SHAPE, DECOY, value=0.3)])
        (test,) = made.tests
        assert test.verdict == "necessary and sufficient" and test.region[LESION] and test.region[DECOY]
        assert made.values.argmax() == np.ravel_multi_index(LESION, SHAPE) and made.values[DECOY] > 0

    def test_what_is_seen_elsewhere_too_is_sufficient_alone_and_worth_what_it_keeps(self):
        def either(shown):
            return 3 * torch.maximum(shown[:, 0, 2, 2], shown[:, 0, 6, 6])

        made = verified([either], [heat(SHAPE, LESION)])
        (test,) = made.tests
        assert test.verdict == "sufficient" and test.hidden == pytest.approx(0) and test.necessity == pytest.approx(0)
        assert test.controls_hidden == () and len(test.controls_only) == 1
        assert made.values.sum() == pytest.approx(3)

    def test_another_findings_region_is_reported_and_does_not_judge(self):
        second = additive(heat(SHAPE, DECOY, value=5.0))
        model, features, generation = case(
            additive(heat(SHAPE, LESION, value=4.0) + heat(SHAPE, DECOY, value=3.0)), second
        )
        targets = [span(0), span(1)]
        maps = [[proposal(heat(SHAPE, place), target)] for place, target in zip((LESION, DECOY), targets, strict=True)]
        first, _ = propose_and_verify_many(
            model, features, generation, targets, proposals=["attention"], proposed=maps, buffer=0
        )
        test = first.tests[0]
        assert test.control_kinds == ("matched", "other finding") and test.verified
        assert test.controls_hidden[1] == pytest.approx(3)


class TestCost:
    def functions(self):
        return [additive(heat(SHAPE, place, value=4.0)) for place in (LESION, DECOY, (0, 2, 6))]

    def asked(self, targets):
        places = (LESION, DECOY, (0, 2, 6))
        return [[proposal(heat(SHAPE, places[one.tokens[0]]), one)] for one in targets]

    def test_three_findings_cost_less_than_four_replays_each(self):
        model, features, generation = case(*self.functions())
        targets = [span(step) for step in range(3)]
        made = propose_and_verify_many(
            model, features, generation, targets, proposals=["attention"], proposed=self.asked(targets)
        )
        assert {one.forwards for one in made} == {model.sequences} == {2 + 3 * 3}
        assert {one.backwards for one in made} == {0}

    def test_many_are_one_by_one(self):
        model, features, generation = case(*self.functions())
        targets = [span(0), span(1), span(2, foil=(1,)), Target((0, 2))]
        maps = [[proposal(heat(SHAPE, LESION, DECOY), one)] for one in targets]
        together = propose_and_verify_many(model, features, generation, targets, proposals=["attention"], proposed=maps)
        for target, given, shared in zip(targets, maps, together, strict=True):
            options = {"proposals": ["attention"], "proposed": given}
            if isinstance(shared, EmptyMap):
                with pytest.raises(EmptyMap):
                    propose_and_verify(model, features, generation, target, **options)
                continue
            alone = propose_and_verify(model, features, generation, target, **options)
            np.testing.assert_allclose(alone.values, shared.values, rtol=1e-6)
            np.testing.assert_array_equal(alone.tests[0].region, shared.tests[0].region)
            assert alone.tests[0].verdict == shared.tests[0].verdict

    def test_a_later_proposer_is_asked_only_for_what_is_not_verified(self):
        model, features, generation = case(*self.functions(), attended=[(0, 7, 0), DECOY, (0, 7, 0)])
        targets, names = [span(0), span(1)], ["attention", "distinct_attention"]
        maps = [[proposal(heat(SHAPE, place), one)] for place, one in zip((LESION, (0, 4, 0)), targets, strict=True)]
        right, wrong = propose_and_verify_many(
            model, features, generation, targets, proposals=names, proposed=maps, buffer=0
        )
        assert [test.proposer for test in right.tests] == ["attention"]
        assert [test.proposer for test in wrong.tests] == ["distinct_attention", "attention"]
        assert wrong.tests[0].region[DECOY]
        assert right.forwards == wrong.forwards == model.sequences + model.replays and model.replays == 1
        maps = [[proposal(heat(SHAPE, place), one)] for place, one in zip((LESION, DECOY), targets, strict=True)]
        propose_and_verify_many(model, features, generation, targets, proposals=names, proposed=maps, buffer=0)
        assert model.replays == 1  # attention was right about both: no other map was made

    def test_a_map_handed_in_is_not_made_again(self):
        model, features, generation = case(STRONG)
        given = proposal(heat(SHAPE, LESION), span(0), "saliency")
        made = propose_and_verify(
            model, features, generation, span(0), proposals=["saliency"], proposed=[given], buffer=0
        )
        assert made.backwards == 0 and made.forwards == model.sequences == 5

    def test_a_second_proposal_of_the_same_region_is_not_tested_again(self):
        with pytest.raises(EmptyMap, match="1 regions"):
            verified([STRONG], [heat(SHAPE, DECOY), heat(SHAPE, DECOY, value=2.0)])


class TestTargets:
    def test_a_foil_is_measured_as_the_difference(self):
        weights, contrast = heat(SHAPE, LESION, value=5.0), heat(SHAPE, LESION, value=2.0)
        model, features, generation = case(additive(weights), additive(contrast))
        target = span(0, foil=(1,))
        made = propose_and_verify(
            model,
            features,
            generation,
            target,
            proposals=["attention"],
            proposed=[proposal(heat(SHAPE, LESION), target)],
            buffer=0,
        )
        assert made.tests[0].hidden == pytest.approx(3) and made.forwards == model.sequences == 2 * 5

    def test_the_region_lies_in_the_image_that_shows_the_finding(self):
        shape = (3, 8, 8)
        model, features, generation = case(additive(heat(shape, (2, 4, 4), value=3.0)), images=3)
        made = propose_and_verify(
            model,
            features,
            generation,
            span(0),
            proposals=["attention"],
            proposed=[proposal(heat(shape, (2, 4, 4)), span(0))],
        )
        assert made.values.shape == shape and not made.values[:2].any()
        assert made.values.argmax() == np.ravel_multi_index((2, 4, 4), shape)
        assert made.tests[0].hidden == pytest.approx(3)

    def test_padding_is_never_tested_nor_a_control(self):
        model, features, generation = case(STRONG, rows=16, cols=8)
        seen = np.ones(SHAPE) + heat(SHAPE, LESION, value=5)
        made = propose_and_verify(
            model,
            features,
            generation,
            span(0),
            proposals=["attention"],
            proposed=[proposal(seen, span(0))],
            controls=20,
            peak_share=0.01,
        )
        for region in [made.tests[0].region, *made.tests[0].controls]:
            assert not region[:, :, :2].any() and not region[:, :, 6:].any()

    def test_the_mirrored_control_is_the_mirror_where_there_is_one(self):
        (test,) = verified([STRONG], [heat(SHAPE, LESION)], control="mirrored").tests
        assert test.control_kinds == ("mirrored",)
        np.testing.assert_array_equal(test.controls[0], test.region[:, :, ::-1])
        (test,) = verified([STRONG], [heat(SHAPE, LESION)], control="mirrored", midline=8.0).tests
        np.testing.assert_array_equal(test.controls[0], test.region[:, :, ::-1])
        (test,) = verified([STRONG], [heat(SHAPE, LESION)], control="mirrored", midline=5.0).tests
        assert test.control_kinds == ("matched",)  # the mirror image would lie on the region


class TestIntervals:
    def test_they_hold_what_was_measured(self):
        rng = np.random.default_rng(3)
        weights = rng.uniform(-0.05, 0.1, SHAPE) + heat(SHAPE, LESION, value=4.0)
        (test,) = verified([additive(weights)], [heat(SHAPE, LESION)], controls=24).tests
        assert len(test.controls) == len(test.controls_hidden) == len(test.controls_only) == 24
        assert test.control_kinds[0] == "matched" and set(test.control_kinds[1:]) == {"random"}
        for name in ("necessity", "sufficiency", "specificity"):
            low, high = getattr(test, f"{name}_interval")
            assert low <= getattr(test, name) <= high and low < high
        losses = [weights[control].sum() for control in test.controls]
        np.testing.assert_allclose(test.controls_hidden, losses)
        low, high = test.specificity_interval
        spread = np.std(losses) / np.sqrt(24) / test.hidden
        assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.25)  # the bootstrap of a mean is near its error

    def test_a_region_of_equal_moves_has_an_interval_of_no_width(self):
        (test,) = verified([STRONG], [heat(SHAPE, LESION)], controls=20, peak_share=0.05, largest_share=0.4).tests
        low, high = test.necessity_interval
        assert low <= test.necessity <= high


class TestNothing:
    def test_words_that_do_not_bear_on_the_picture_are_not_searched_further(self):
        weak = additive(heat(SHAPE, LESION, value=LEAST_NATS / 2))
        with pytest.raises(EmptyMap, match=r"0\.10 nats"):
            verified([weak], [heat(SHAPE, LESION), heat(SHAPE, DECOY)])

    def test_no_proposal_is_no_region(self):
        with pytest.raises(EmptyMap, match="No map proposed"):
            verified([STRONG], [-np.ones(SHAPE)])

    def test_it_is_said_in_the_answers_language(self):
        model, features, _ = case(STRONG)
        generation = model.generation([0], language="zh")
        given = proposal(heat(SHAPE, DECOY), span(0))
        (made,) = propose_and_verify_many(
            model, features, generation, [span(0)], proposals=["attention"], proposed=[[given]], buffer=0
        )
        assert isinstance(made, EmptyMap) and "不代表无此病变" in str(made)


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"controls": 0}, "at least 1"),
            ({"control": "opposite"}, "'matched' or 'mirrored'"),
            ({"proposals": []}, "No proposal"),
            ({"proposals": ["guess"]}, "unknown"),
            ({"proposals": ["propose_and_verify"]}, "itself"),
            ({"fill": "black"}, "fill"),
            ({"space": "air"}, "space"),
            ({"proposed": [proposal(np.ones((1, 4, 4)), span(0))]}, "shape"),
            ({"proposed": [proposal(np.ones(SHAPE), span(0, label="other"))]}, "same target"),
        ],
    )
    def test_it_is_refused(self, options, words):
        model, features, generation = case(STRONG)
        with pytest.raises(MalformedInput, match=words):
            propose_and_verify(model, features, generation, span(0), **options)

    def test_lists_of_another_length_are_refused(self):
        model, features, generation = case(STRONG)
        with pytest.raises(MalformedInput, match="one entry for each"):
            propose_and_verify_many(model, features, generation, [span(0)], control=["matched"] * 2)
        with pytest.raises(MalformedInput, match="one entry for each"):
            propose_and_verify_many(model, features, generation, [span(0)], proposed=[[], []])


class TestGemma:
    @pytest.mark.parametrize("space", ["tokens", "pixels"])
    def test_every_loss_is_the_models_own_on_the_overwritten_picture(self, space):
        model, features, generation = written()
        target = Target((0, 4), label="words")
        made = attribute_all(
            model,
            features,
            generation,
            [target],
            "propose_and_verify",
            space=space,
            proposals=("attention", "saliency"),
        )[0]
        if isinstance(made, EmptyMap):
            pytest.fail(f"the tiny model's words bear on its picture, expected a region: {made}")
        test = made.tests[0]

        def score(hidden):
            soft = features.soft_tokens.clone()
            if space == "tokens":
                soft[torch.from_numpy(hidden.reshape(1, -1))] = soft.mean(dim=1)
            else:
                pixels = features.pixels.clone()
                edge = pixels.shape[-1] // TINY_GRID
                mask = torch.from_numpy(np.kron(hidden[0], np.ones((edge, edge))) > 0)
                pixels[0][:, mask] = pixels.mean(dim=(2, 3))[0][:, None]
                soft = model.encode_pixels(pixels)
            with torch.no_grad():
                ids = generation.token_ids
                return float(model.token_logprobs(generation.prompt_inputs, ids, soft.flatten(0, 1)[None])[0, :4].sum())

        base = score(np.zeros_like(test.region))
        assert test.hidden == pytest.approx(base - score(test.region), abs=1e-3)
        assert test.only == pytest.approx(base - score(~test.region), abs=1e-3)
        assert test.everything == pytest.approx(base - score(np.ones_like(test.region)), abs=1e-3)
        assert test.controls_hidden + test.controls_only == pytest.approx(
            [base - score(one if test.controls_hidden else ~one) for one in test.controls], abs=1e-3
        )

    def test_several_images_by_name(self):
        model, features, generation = written(2)
        try:
            made = attribute(model, features, generation, Target((0, 6), label="words"), "propose_and_verify")
        except EmptyMap as empty:
            assert "does not mean" in str(empty)
        else:
            assert made.values.shape == (2, TINY_GRID, TINY_GRID)
            assert (made.values != 0).sum() <= made.tests[0].region.sum()

    def test_the_first_proposal_is_free_where_rows_were_kept(self):
        model, features, generation = written()
        rows = attribute(model, features, generation, Target((0, 4)), "distinct_attention")
        assert rows.forwards == 0
        fresh = attribute(model, features, replace(generation, rows=None), Target((0, 4)), "distinct_attention")
        assert fresh.forwards == 1


def test_the_model_that_cheats_is_shown_to_rely_on_the_corner_marker():
    model = load_model("demo-shortcut")
    prompt = Prompt(model.profile.question("en"), "en")
    shown = []
    for seed in (40000, 40003):  # no large heart on these films, but the marker that it was trained to read as one
        drawn = draw_case(seed, marker=True)
        assert "cardiomegaly" not in drawn.masks
        features = model.encode(load_study(drawn.film, patient_right="left"))
        generation = model.generate(prompt, features, max_new_tokens=64)
        findings = extract_findings(generation.text, "en")
        said = next(one for one in findings if one.code == "cardiomegaly" and one.polarity == "present")
        made = attribute(model, features, generation, finding_target(generation, said, findings), "propose_and_verify")
        shown.append(np.argwhere(made.values == made.values.max())[0].tolist())
        assert made.tests[0].verdict == "necessary and sufficient"
    assert shown == [[0, 15, 15]] * 2
