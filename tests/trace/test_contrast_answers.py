"""Contrasts on the demo model, checked against passes made by hand; the rule against closed cases."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import radiolucent as rl
from radiolucent.attribution.interventions import intervention
from radiolucent.errors import MalformedInput, TargetNotFound
from radiolucent.phantom.film import draw_case
from radiolucent.phantom.record import Lesion
from radiolucent.trace.contrast import Hidden, contrasted, strength_of
from radiolucent.trace.reliance import drawn_film, image_reliance
from radiolucent.trace.rivals import rivals_of
from radiolucent.trace.types import Contrast
from radiolucent.vlm.perturb import blank_features
from radiolucent.vlm.target import target_scores
from radiolucent.vlm.types import Prompt

FIRST_WORDS = {"en": "No pneumothorax", "zh": "未见气胸"}


@pytest.fixture(scope="module", params=["en", "zh"])
def told(request):
    """A film with a large pneumothorax on the left, and what the demo model says of it."""
    model = rl.load_model("demo")
    lesions = (Lesion("pneumothorax", "left", severity="severe"),)
    study = rl.load_study(draw_case(3, size=256, lesions=lesions, pairs=False).film, patient_right="left", view="PA")
    features = model.encode(study)
    language = request.param
    generation = model.generate(Prompt(model.profile.question(language), language), features)
    findings = rl.extract_findings(generation.text, language)
    finding = next(one for one in findings if one.code == "pneumothorax")
    assert finding.polarity == "present" and finding.side == "left"
    return model, study, features, generation, findings, finding


def test_margins_are_those_of_the_attribution_target_with_every_picture(told):
    model, _, features, generation, findings, finding = told
    rivals = [rival for about in ("presence", "side") for rival in rivals_of(
        model, generation, finding, findings, about=about
    )]  # fmt: skip
    grid = features.geometries[0].grid
    region = np.zeros((1, grid, grid), dtype=bool)
    region[0, 4:9, 9:13] = True
    hidden = Hidden(region, region[:, :, ::-1].copy())
    other = drawn_film(model, features)
    _, found = contrasted(model, features, generation, rivals, other=other, regions={finding.id: hidden})
    assert {one.about for one in found} == {"presence", "side"}
    shown = intervention(model, features)(np.stack([hidden.region, hidden.control]))
    pictures = {
        "margin": features.soft_tokens.flatten(0, 1)[None],
        "margin_blank": blank_features(model, features).soft_tokens.flatten(0, 1)[None],
        "margin_other": other.soft_tokens.flatten(0, 1)[None],
        "margin_hidden": shown[:1],
        "margin_control": shown[1:],
    }
    for one in found:
        rival = next(each for each in rivals if (each.about, each.rival) == (one.about, one.foil_ids[0]))
        for name, picture in pictures.items():
            with torch.no_grad():
                by_hand = float(target_scores(model, generation, picture, [rival.target])[0, 0])
            assert getattr(one, name) == pytest.approx(by_hand, abs=2e-3), (one.about, name)


def test_the_same_passes_give_every_words_reliance(told):
    model, _, features, generation, findings, finding = told
    other = drawn_film(model, features)
    reliance, _ = contrasted(model, features, generation, rivals_of(model, generation, finding, findings), other=other)
    alone = image_reliance(model, features, generation, other=other)
    np.testing.assert_allclose(reliance.blank, alone.blank, atol=1e-3)
    np.testing.assert_allclose(reliance.other, alone.other, atol=1e-3)
    none, answers = contrasted(model, features, generation, [], other=other)
    assert answers == ()
    np.testing.assert_allclose(none.blank, alone.blank, atol=1e-3)


def test_the_likeliest_foil_stands_for_the_finding(told):
    model, _, features, generation, findings, finding = told
    rivals = rivals_of(model, generation, finding, findings)
    _, found = contrasted(model, features, generation, rivals)
    margins = []
    for rival in rivals:
        picture = features.soft_tokens.flatten(0, 1)[None]
        with torch.no_grad():
            margins.append(float(target_scores(model, generation, picture, [rival.target])[0, 0]))
    assert found[0].margin == pytest.approx(min(margins), abs=2e-3)


def test_the_denial_in_the_reports_own_words_is_among_the_foils(told):
    model, _, _, generation, findings, finding = told
    foils = [rival.foil for rival in rivals_of(model, generation, finding, findings)]
    assert FIRST_WORDS[generation.prompt.language] in foils


def test_on_demand_the_region_that_carries_the_side_lies_on_that_side(told):
    model, study, _, generation, findings, finding = told
    answer = rl.contrast(model, study, generation, finding, findings, about="side")
    assert answer.strength == "verified" and answer.margin > 1
    columns = np.flatnonzero(answer.region.any(axis=(0, 1)))
    assert columns.mean() > answer.region.shape[2] / 2  # the patient's left is the picture's right
    assert answer.margin - answer.margin_hidden > answer.margin - answer.margin_control
    assert answer.ask("en").startswith("Why") and answer.ask("zh").startswith("为何") and answer.en and answer.zh


def test_a_denied_finding_is_contrasted_but_gets_no_region(told):
    model, study, _, generation, findings, _ = told
    denied = next(one for one in findings if one.polarity == "absent" and one.code != "cardiomegaly")
    answer = rl.contrast(model, study, generation, denied, findings)
    assert answer.region is None and answer.margin_hidden is None


def test_what_cannot_be_exchanged_is_refused(told):
    model, _, features, generation, findings, _ = told
    heart = next(one for one in findings if one.code == "cardiomegaly")
    with pytest.raises(TargetNotFound, match="side"):
        rivals_of(model, generation, heart, findings, about="side")
    with pytest.raises(TargetNotFound):
        rivals_of(model, generation, heart, findings, about="words", foil="")
    two = replace(features, soft_tokens=features.soft_tokens.repeat(2, 1, 1))
    with pytest.raises(MalformedInput, match="as many images"):
        contrasted(model, features, generation, [], other=two)


def made(**values):
    return Contrast("x", "side", "left", "right", 3, (7,), (0, 4), **values)


@pytest.mark.parametrize(
    ("values", "strength"),
    [
        ({"margin": 5.0}, "not shown"),  # nothing was replaced
        ({"margin": 5.0, "margin_blank": 5.0}, "not shown"),
        ({"margin": 5.0, "margin_blank": 5.0, "margin_other": -1.0}, "weak"),
        ({"margin": -1.0, "margin_blank": -4.0}, "not shown"),
        ({"margin": 5.0, "margin_blank": 0.0, "margin_hidden": 1.0, "margin_control": 4.9}, "verified"),
        ({"margin": 5.0, "margin_blank": 0.0, "margin_hidden": 1.0, "margin_control": 2.0}, "weak"),
        ({"margin": 5.0, "margin_blank": 4.8, "margin_hidden": 4.5, "margin_control": 5.0}, "weak"),
    ],
)
def test_strength_follows_the_rule_of_the_region_tests(values, strength):
    assert strength_of(made(**values)) == strength
