import inspect
import re

import numpy as np
import pytest
from analytic import HIDDEN, AnalyticModel
from tiny_gemma import sampled

from radiolucent.attribution.registry import attribute, method, methods
from radiolucent.attribution.targets import finding_target, resolve_target
from radiolucent.errors import MalformedInput, TargetNotFound
from radiolucent.findings.types import Finding
from radiolucent.vlm.types import Target, Word

CLAIMS = {"attended", "sensitive", "relied_on", "plausible"}


READ_DECODER = {"attention", "rollout", "relevance", "logit_lens"}  # more than the analytic model has


def case(name=""):
    if name in READ_DECODER:
        return sampled(1)
    model = AnalyticModel(1)
    if name == "propose_and_verify":
        rely_on_one_cell(model)
    return model, model.features(), model.generation()


def rely_on_one_cell(model, cell=5):
    """The model's words at steps 1 and 2 rest on one cell, and it attends there: a map that is refused otherwise."""
    tokens = model.features().soft_tokens[0]
    model.weights[[2, 3], [1, 2]] = 0.0
    for token, step in ((2, 1), (3, 2)):
        model.weights[token, step].view(-1, HIDDEN)[cell] = tokens[cell] - tokens.mean(dim=0)
    model.image_rows[:, :, 1:3, cell] += 0.5


def test_every_method_says_what_it_claims_costs_and_where_it_comes_from():
    assert {"attention", "saliency", "pixel_gradient", "token_ablation", "occlusion"} <= set(methods())
    for name, entry in methods().items():
        assert entry.name == name and entry.claim in CLAIMS
        assert entry.en and re.search("[一-鿿]", entry.zh) and entry.cost and re.search(r"\d{4}", entry.citation)
        assert entry.description("zh") == entry.zh and entry.description() == entry.en
        parameters = list(inspect.signature(entry.function).parameters)
        assert parameters[:4] == ["model", "features", "generation", "target"]
        assert set(entry.defaults) == set(parameters[4:])


@pytest.mark.parametrize("name", sorted(methods()))
def test_every_map_carries_its_methods_name_claim_target_and_geometry(name):
    model, features, generation = case(name)
    result = attribute(model, features, generation, Target((1, 3)), name)
    assert (result.method, result.claim) == (name, methods()[name].claim)
    assert result.target == Target((1, 3)) and result.geometry == features.geometries
    assert result.values.dtype == np.float32 and result.values.ndim == 3 and result.units


def test_words_a_word_and_a_span_name_the_same_target():
    model, features, generation = case()
    word = generation.words[2]
    by_text = attribute(model, features, generation, "finding", "saliency")
    by_word = attribute(model, features, generation, word, "saliency")
    by_span = attribute(model, features, generation, Target((2, 3)), "saliency")
    np.testing.assert_array_equal(by_text.values, by_span.values)
    np.testing.assert_array_equal(by_word.values, by_span.values)
    assert by_word.target.label == "finding"


def test_words_of_several_tokens_are_one_span():
    _, _, generation = case()
    assert resolve_target(generation, "acute finding").tokens == (1, 3)


def test_a_finding_is_every_token_of_its_evidence():
    _, _, generation = case()
    first = generation.text.index("acute")
    words = "acute finding at"
    target = finding_target(generation, Finding("nodule", words=words, chars=(first, first + len(words))))
    assert (target.tokens, target.label) == ((1, 4), words)
    with pytest.raises(TargetNotFound):
        finding_target(generation, Finding("nodule", words="x", chars=(900, 901)))


@pytest.mark.parametrize(
    "target",
    [
        "effusion",
        "",
        Word("effusion", (0, 8), (0, 1)),
        Target((3, 3)),
        Target((-1, 2)),
        Target((5, 7)),
        Target((1, 2), foil=()),
    ],
)
def test_what_is_not_in_the_generation_is_not_found(target):
    model, features, generation = case()
    with pytest.raises(TargetNotFound):
        attribute(model, features, generation, target)


def test_unknown_methods_and_options_are_refused_by_name():
    model, features, generation = case()
    with pytest.raises(MalformedInput, match=r"lrp.*token_ablation"):
        attribute(model, features, generation, Target((1, 3)), "lrp")
    with pytest.raises(MalformedInput, match=r"patch.*fill, group, batch"):
        attribute(model, features, generation, Target((1, 3)), "token_ablation", patch=3)
    with pytest.raises(MalformedInput):
        method("")


def test_a_study_is_encoded():
    model, features, generation = case()
    seen = []
    model.encode = lambda study: seen.append(study) or features
    study = object()
    attribute(model, study, generation, Target((1, 3)), "saliency")
    assert seen == [study]


def test_the_package_offers_its_names():
    import radiolucent.attribution as package

    assert package.methods() == methods() and package.attribute is attribute
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError):
        _ = package.uniform_fallback


def test_a_variant_is_its_method_with_other_settings_under_its_own_name():
    target = Target((1, 3))
    for name, entry in methods().items():
        model, features, generation = case(name)
        for variant, options in entry.variants.items():
            full = f"{name}:{variant}"
            named = attribute(model, features, generation, target, full)
            plain = attribute(model, features, generation, target, name, **options)
            np.testing.assert_array_equal(named.values, plain.values)
            assert (named.method, named.claim, method(full).claim) == (full, plain.claim, entry.claim)
            assert options.items() <= method(full).defaults.items()
    model, features, generation = case()
    final = attribute(model, features, generation, target, "attention:final", heads=[0])
    assert not np.array_equal(final.values, attribute(model, features, generation, target, "attention:final").values)
    with pytest.raises(MalformedInput, match=r"no variant 'first'.*final"):
        method("attention:first")
    with pytest.raises(MalformedInput, match="none"):
        method("saliency:")
