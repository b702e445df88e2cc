"""Films without content: the same in every call, encoded once, and the prior that they give."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from small_gemma import Shape, picture_study, tiny_model

from radiolucent.errors import MalformedInput
from radiolucent.vlm.prior_films import content_free_prior, film_pixels, prior_films
from radiolucent.vlm.types import Prompt


def test_films_are_grey_noise_and_a_film_does_not_depend_on_how_many_are_drawn() -> None:
    films = film_pixels(32, range(16))
    assert films.shape == (16, 3, 32, 32) and float(films.abs().max()) <= 1
    torch.testing.assert_close(films[5:7], film_pixels(32, range(5, 7)))
    torch.testing.assert_close(films[:, 0], films[:, 2])
    means = films.mean(dim=(1, 2, 3))
    assert float(means.min()) < -0.3 and float(means.max()) > 0.3
    halves = films[:, 0].unflatten(1, (2, 16)).unflatten(3, (2, 16)).mean(dim=(2, 4))
    assert float((halves - means[:, None, None]).abs().max()) < 0.05  # nothing to see in any quarter


def test_films_are_encoded_once_for_the_weights() -> None:
    model = tiny_model()
    first = prior_films(model, 4)
    assert model.encodes == 4
    again = prior_films(model, 6)
    assert model.encodes == 6 and torch.equal(again[:4], first)
    prior_films(model, 3)
    assert model.encodes == 6
    with torch.no_grad():
        model.module.model.multi_modal_projector.mm_input_projection_weight.mul_(2)
    assert not torch.allclose(prior_films(model, 3), first[:3]) and model.encodes == 9
    for count in (0, -1):
        with pytest.raises(MalformedInput, match="at least 1"):
            prior_films(model, count)


@pytest.mark.parametrize("images", [1, 2])
def test_the_prior_is_the_geometric_mean_of_the_row_behind_the_prompt(images: int) -> None:
    model = tiny_model(Shape(window=14))
    features = model.encode(picture_study(images))
    generation = model.generate(Prompt("is the effusion seen"), features, max_new_tokens=4)
    prior, cost = content_free_prior(model, generation, 3)
    assert cost == 3

    pixels = film_pixels(model.profile.image_size, range(3))
    prompt = generation.prompt_inputs
    cells = [place for first, last in generation.image_spans for place in range(first, last)]
    maps = []
    model.module.set_attn_implementation("eager")
    for film in range(3):
        with torch.no_grad():
            output = model.module(
                input_ids=torch.tensor(prompt.input_ids)[None],
                pixel_values=torch.stack([pixels[(film + image) % 3] for image in range(images)]),
                token_type_ids=torch.tensor(prompt.token_type_ids)[None],
                output_attentions=True,
                use_cache=False,
            )
        maps.append(np.stack([layer[0, :, -1].numpy()[:, cells] for layer in output.attentions]))
    model.module.set_attn_implementation("sdpa")
    seen = maps[0] > 0
    with np.errstate(divide="ignore"):
        expected = np.exp(np.mean(np.log(maps), axis=0))
    np.testing.assert_allclose(prior.attention[seen], expected[seen], rtol=1e-3, atol=1e-7)
    blind = ~seen.any(axis=-1)
    assert (prior.attention[blind] == 0).all() and (prior.contribution[blind] == 0).all()

    other = dataclasses.replace(generation, token_ids=np.array([40, 41]))
    assert content_free_prior(model, other, 3) == (prior, 0)  # the prompt's, not the answer's
    asked = model.generate(Prompt("is the heart seen"), features, max_new_tokens=2)
    assert content_free_prior(model, asked, 3)[1] == 3
