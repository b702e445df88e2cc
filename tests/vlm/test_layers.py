"""Taps on a layer: what they see, what they cut, and that they are gone afterwards."""

import threading

import pytest
import torch

from radiolucent.errors import MalformedInput
from radiolucent.vlm.layers import language_head, language_layers, layer_at, tapped, vision_layers


def pixels(model, images=2):
    size = model.profile.image_size
    return torch.randn(images, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_a_tap_sees_what_transformers_itself_records(model):
    shown = pixels(model)
    with torch.no_grad():
        recorded = model.module.model.vision_tower(pixel_values=shown, output_hidden_states=True).hidden_states
        for index, layer in enumerate(vision_layers(model)):
            with tapped(layer) as outputs:
                model.encode_pixels(shown)
            (output,) = outputs
            assert torch.equal(output, recorded[index + 1])


def test_a_cut_starts_the_graph_at_the_layer_and_changes_no_value(model):
    shown = pixels(model)
    plain = model.encode_pixels(shown).detach()
    with torch.enable_grad(), tapped(vision_layers(model)[0], cut=True) as outputs:
        tokens = model.encode_pixels(shown.requires_grad_(True))
    (leaf,) = outputs
    assert torch.equal(tokens, plain) and leaf.is_leaf and leaf.requires_grad
    at_layer, at_pixels = torch.autograd.grad(tokens.sum(), (leaf, shown), allow_unused=True)
    assert at_layer.abs().max() > 0 and at_pixels is None


def test_a_tap_sees_its_own_threads_passes_only_and_ends_with_its_block(model):
    shown = pixels(model)
    layer = vision_layers(model)[0]
    before = dict(layer._forward_hooks)  # transformers keeps some of its own
    others = []
    with torch.no_grad(), tapped(layer, cut=True) as outputs:
        thread = threading.Thread(target=lambda: others.append(model.encode_pixels(shown)))
        thread.start()
        thread.join()
        assert outputs == []
        model.encode_pixels(shown)
        model.encode_pixels(shown)
    assert len(outputs) == 2 and not others[0].requires_grad
    with pytest.raises(RuntimeError, match="mine"), tapped(layer):
        raise RuntimeError("mine")
    assert dict(layer._forward_hooks) == before


def test_layers_are_counted_from_either_end_and_others_are_refused(model):
    layers = language_layers(model)
    assert layer_at(layers, -1) == (len(layers) - 1, layers[-1]) and layer_at(layers, 0) == (0, layers[0])
    for index in (len(layers), -len(layers) - 1):
        with pytest.raises(MalformedInput, match=f"Layer {index} is none of these {len(layers)} layers"):
            layer_at(layers, index)
    assert language_head(model).out_features == model.module.config.text_config.vocab_size
