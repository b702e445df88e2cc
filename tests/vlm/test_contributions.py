"""What each cell adds to the residual stream, against the decomposition of the stock layer's own output."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_gemma import Shape, picture_study, tiny_model

from radiolucent.vlm.contributions import contributions
from radiolucent.vlm.types import Prompt

SHAPES = {
    "groups of heads": (Shape(), 1),
    "two images, window 12": (Shape(window=12), 2),
    "one group": (Shape(kv_heads=1), 2),
    "no groups": (Shape(kv_heads=4), 1),
}


@pytest.mark.parametrize("name", SHAPES)
def test_lengths_are_those_of_the_vectors_that_add_to_the_layers_output(name: str) -> None:
    shape, images = SHAPES[name]
    model = tiny_model(shape)
    layers = model.module.model.language_model.layers
    with torch.no_grad():
        for layer in layers:  # norm weights that matter
            layer.post_attention_layernorm.weight.normal_(0, 0.5)
    features = model.encode(picture_study(images))
    generation = model.generate(Prompt("is the effusion seen"), features, max_new_tokens=5)
    read = contributions(model, generation, features.soft_tokens, wanted=[1, 4])

    ids = torch.cat((torch.tensor(generation.prompt_inputs.input_ids), torch.tensor(generation.token_ids[:-1])))[None]
    types = torch.zeros_like(ids)
    types[0, : len(generation.prompt_inputs.input_ids)] = torch.tensor(generation.prompt_inputs.token_type_ids)
    values: list[torch.Tensor] = []
    added: list[torch.Tensor] = []
    handles = [layer.self_attn.v_proj.register_forward_hook(lambda m, i, o: values.append(o[0])) for layer in layers]
    handles += [
        layer.post_attention_layernorm.register_forward_hook(lambda m, i, o: added.append(o[0])) for layer in layers
    ]
    model.module.set_attn_implementation("eager")
    with torch.no_grad():
        output = model.module(
            input_ids=ids, pixel_values=features.pixels, token_type_ids=types, output_attentions=True, use_cache=False
        )
    for handle in handles:
        handle.remove()

    before = len(generation.prompt_inputs.input_ids) - 1
    rows = [before + 1, before + 4]
    cells = [place for first, last in generation.image_spans for place in range(first, last)]
    group = shape.heads // shape.kv_heads
    for index, layer in enumerate(layers):
        attention = output.attentions[index][0]
        value = values[index].unflatten(-1, (shape.kv_heads, -1))
        projection = layer.self_attn.o_proj.weight.unflatten(1, (shape.heads, -1))
        plain = torch.stack(
            [
                attention[head, rows][:, :, None] * (value[:, head // group] @ projection[:, head].T)[None]
                for head in range(shape.heads)
            ]
        )  # (heads, rows, positions, hidden)
        whole = plain.sum(dim=(0, 2))
        scale = (1 + layer.post_attention_layernorm.weight) / (whole.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
        vectors = plain * scale[None, :, None]
        np.testing.assert_allclose(vectors.sum(dim=(0, 2)), added[index][rows], atol=1e-4)
        expected = vectors[:, :, cells].norm(dim=-1)
        np.testing.assert_allclose(read.lengths()[index], expected, atol=1e-5 * float(expected.max()) + 1e-6)
        np.testing.assert_allclose(read.rows.image[index], attention[:, rows][..., cells], atol=1e-5)


def test_another_text_has_other_rows_but_the_pictures_values_stay() -> None:
    model = tiny_model()
    features = model.encode(picture_study(1))
    generation = model.generate(Prompt("is the effusion seen"), features, max_new_tokens=4)
    own = contributions(model, generation, features.soft_tokens)
    other = contributions(model, generation, features.soft_tokens, token_ids=np.array([31, 33, 35]))
    np.testing.assert_allclose(other.value_norms, own.value_norms, atol=1e-6)
    np.testing.assert_allclose(other.lengths()[:, :, 0], own.lengths()[:, :, 0], atol=1e-6)
    assert abs(other.lengths()[:, :, 2] - own.lengths()[:, :, 2]).max() > 1e-4


def test_bfloat16_lengths_follow_single_precision() -> None:
    model, half = tiny_model(), tiny_model(dtype=torch.bfloat16)
    features = model.encode(picture_study(1))
    generation = model.generate(Prompt("is the effusion seen"), features, max_new_tokens=4)
    fine = contributions(model, generation, features.soft_tokens).lengths()
    rough = contributions(half, generation, features.soft_tokens.to(torch.bfloat16)).lengths()
    assert np.corrcoef(fine.ravel(), rough.ravel())[0, 1] > 0.99
