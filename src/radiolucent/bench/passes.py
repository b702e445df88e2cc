"""How often the two towers really run, counted by hooks on the modules and not by the code that is being measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class PassCount:
    """Passes seen so far.

    Parameters
    ----------
    encodes
        Pictures passed through the vision tower.
    prefills
        Passes that opened an empty cache.
    steps
        Passes that went on from a cache: decode steps, whatever the number of sequences.
    forwards
        Sequences passed through the language model without a cache: replays, one for each picture of a batch.
    """

    encodes: int = 0
    prefills: int = 0
    steps: int = 0
    forwards: int = 0

    def __add__(self, other: PassCount) -> PassCount:
        return PassCount(
            self.encodes + other.encodes,
            self.prefills + other.prefills,
            self.steps + other.steps,
            self.forwards + other.forwards,
        )


@contextmanager
def counted_passes(module: Any) -> Iterator[PassCount]:
    """Count the passes of a ``Gemma3ForConditionalGeneration`` inside the block; the hooks are removed afterwards."""
    count = PassCount()

    def saw_picture(_module: Any, _arguments: Any, output: Any) -> None:
        count.encodes += len(output.last_hidden_state)

    def saw_text(_module: Any, _arguments: Any, named: dict[str, Any]) -> None:
        cache = named.get("past_key_values")
        if cache is None or not named.get("use_cache", True):
            count.forwards += len(named["inputs_embeds"])
        elif cache.get_seq_length() == 0:
            count.prefills += 1
        else:
            count.steps += 1

    handles = [
        module.model.vision_tower.register_forward_hook(saw_picture),
        module.model.language_model.register_forward_pre_hook(saw_text, with_kwargs=True),
    ]
    try:
        yield count
    finally:
        for handle in handles:
            handle.remove()
