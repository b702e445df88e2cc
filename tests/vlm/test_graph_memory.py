"""The memory of a gradient's graph: estimated as autograd keeps it, checkpointed to the same numbers, or refused."""

import pytest
import torch
from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3TextConfig, SiglipVisionConfig

from radiolucent.errors import InsufficientMemory
from radiolucent.vlm import graph_memory, memory
from radiolucent.vlm.graph_memory import checkpointed, language_graph, vision_graph
from radiolucent.vlm.layers import language_layers, vision_layers

SHAPES = [
    {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16},
    {"hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16},
    {"hidden_size": 160, "intermediate_size": 640, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32},
]


def module(shape, layers, dtype):
    text = Gemma3TextConfig(
        vocab_size=64, num_hidden_layers=layers, layer_types=["full_attention"] * layers, sliding_window=64, **shape
    )
    vision = SiglipVisionConfig(
        hidden_size=shape["hidden_size"],
        intermediate_size=shape["intermediate_size"],
        num_hidden_layers=layers,
        num_attention_heads=4,
        image_size=64,
        patch_size=8,
        vision_use_head=False,
    )
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=16)
    made = Gemma3ForConditionalGeneration(config).eval().requires_grad_(False).to(dtype)
    made.set_attn_implementation("sdpa")
    return made


def kept_bytes(model, run):
    """What autograd itself keeps of a pass, weights left out."""
    weights = {part.untyped_storage().data_ptr() for part in (*model.parameters(), *model.buffers())}
    storages, held = {}, []

    def pack(tensor):
        held.append(tensor)  # so that no storage is used twice
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(size for place, size in storages.items() if place not in weights)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_layers_graph_is_as_large_as_estimated(shape, dtype):
    def of_layers(run):
        few, many = module(shape, 1, dtype), module(shape, 3, dtype)
        return (kept_bytes(many, lambda: run(many)) - kept_bytes(few, lambda: run(few))) / 2

    positions, pictures = 96, 2

    def language(made):
        soft = torch.randn(pictures, positions, shape["hidden_size"], requires_grad=True)
        types = torch.zeros(pictures, positions, dtype=torch.long)
        return made(inputs_embeds=soft.to(dtype), token_type_ids=types, use_cache=False).logits

    def vision(made):
        return made.get_image_features(torch.randn(pictures, 3, 64, 64, requires_grad=True).to(dtype))

    config = module(shape, 1, dtype).config
    estimated = pictures * graph_memory.language_layer_bytes(config.text_config, dtype, positions)
    assert estimated == pytest.approx(of_layers(language), rel=0.15)
    estimated = pictures * graph_memory.vision_layer_bytes(config.vision_config, dtype)
    assert estimated == pytest.approx(of_layers(vision), rel=0.15)


def gradients(model):
    """Of a pass through both towers, at the pixels."""
    size = model.profile.image_size
    shown = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    tokens = model.encode_pixels(shown)
    output = model.module.model.language_model(inputs_embeds=tokens, use_cache=False).last_hidden_state
    return torch.autograd.grad(output.square().sum(), shown)[0]


def test_checkpointed_layers_keep_less_and_give_the_same_gradient(model):
    plain = gradients(model)
    layers = [*vision_layers(model), *language_layers(model)]
    before = kept_bytes(model.module, lambda: gradients(model))
    with checkpointed(layers):
        assert all(layer.training and not any(part.training for part in layer.children()) for layer in layers)
        torch.testing.assert_close(gradients(model), plain)
    assert not any(layer.training or layer.gradient_checkpointing for layer in layers)
    assert kept_bytes(model.module, lambda: gradients(model)) == before


def test_the_whole_graph_is_kept_where_there_is_room(model):
    with (
        language_graph(model, positions=50, pictures=1, rows=0) as language,
        vision_graph(model, pictures=1) as vision,
    ):
        assert not language and not vision
        assert not any(layer.training for layer in language_layers(model))


def test_layers_are_checkpointed_where_memory_is_short_and_refused_where_even_that_would_not_fit(model, monkeypatch):
    config = model.module.config.text_config
    layers = len(language_layers(model))
    each = graph_memory.language_layer_bytes(config, torch.float32, 50)
    short = int(each * layers / graph_memory.COMFORTABLE) - 1
    monkeypatch.setattr(memory, "free_bytes", lambda device: short)
    with language_graph(model, positions=50, pictures=1, rows=0) as lean:
        assert lean and all(layer.training for layer in language_layers(model))
    monkeypatch.setattr(memory, "free_bytes", lambda device: short + 2)
    with language_graph(model, positions=50, pictures=1, rows=0) as whole:
        assert not whole
    with language_graph(model, positions=50, pictures=1, rows=1) as lean:  # one row of the vocabulary too many
        assert lean
    monkeypatch.setattr(memory, "free_bytes", lambda device: each)
    refused = pytest.raises(InsufficientMemory, match="even with checkpoints")
    with refused, language_graph(model, positions=50, pictures=1, rows=0):
        pass
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1)
    with pytest.raises(InsufficientMemory, match="fewer slices"), vision_graph(model, pictures=1):
        pass
    assert not any(layer.training for layer in (*language_layers(model), *vision_layers(model)))
