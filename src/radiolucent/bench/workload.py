"""What is measured: a model that writes exactly so many tokens, a film, a question, and findings in what it wrote."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.bench.clock import FEWEST_FOR_A_MEDIAN, timed
from radiolucent.bench.peak import resident
from radiolucent.bench.record import Measurement
from radiolucent.errors import MalformedInput
from radiolucent.findings import Finding
from radiolucent.findings.vocabulary import VOCABULARY
from radiolucent.phantom.film import draw_case
from radiolucent.study import Study, load_study
from radiolucent.vlm.decode import Prefill
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.load import load_model
from radiolucent.vlm.random_weights import SHAPES, random_model
from radiolucent.vlm.types import Features, Generation, Prompt

RANDOM = "-random"  # ends the name of a random model: 4b-random
FILM_SEED = 7
FILM_EDGE = 1024  # pixels; resampled to what the model is shown
CORNER = 16  # the mark's share of the edge: a cell
WORDS_A_FINDING = 3
SHORT = 10.0  # seconds of a plain generation up to which everything is run several times

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plain:
    """The generation that everything is a multiple of: nothing captured, nothing explained.

    Parameters
    ----------
    encode, prefill, decode
        Seconds of its parts.
    """

    features: Features
    prefilled: Prefill
    generation: Generation
    encode: float
    prefill: float
    decode: float

    @property
    def total(self) -> float:
        """Seconds of the whole."""
        return self.encode + self.prefill + self.decode


@dataclass
class Workload:
    """A model with its work, and what sections share.

    Parameters
    ----------
    name
        Of the model, as for :func:`build`; it is loaded when a section first needs it.
    tokens
        New tokens of every generation; the model never ends sooner.
    findings
        Explained in each report.
    repeats
        Pairs of runs where a run is short enough.
    """

    name: str
    tokens: int
    findings: int
    repeats: int
    device: str = "auto"
    say: Say = field(default=lambda text: None)
    load: dict[str, float] = field(default_factory=dict)
    _others: dict[str, Gemma3Model] = field(default_factory=dict)
    _films: int = 0

    @cached_property
    def model(self) -> Gemma3Model:
        """The model, which goes on to the length asked for; ``load`` says what loading it took."""
        self.say(f"loading {self.name}")
        self.load["bytes_before"] = resident()
        began = time.perf_counter()
        model = without_end(build(self.name, device=self.device))
        self.load |= {"seconds": time.perf_counter() - began, "bytes_after": resident()}
        return model

    @property
    def prompt(self) -> Prompt:
        """The model's usual question."""
        return Prompt(self.model.profile.question("en"))

    def fresh_film(self) -> Study:
        """The same phantom film with another mark in its corner, so that nothing kept from earlier runs serves it."""
        self._films += 1
        return film(mark=self._films)

    @property
    def place(self) -> torch.device:
        """Where the model runs."""
        return self.model.device

    @cached_property
    def plain(self) -> Plain:
        """A plain generation, measured once in this process: every ratio's baseline comes from the same run."""
        self.say("plain generation")
        self._warm_up()
        study = self.fresh_film()
        features, encode = timed(lambda: self.model.encode(study), self.place)
        prefilled, prefill = timed(lambda: self.model.prefill(self.prompt, features), self.place)
        written, decode = timed(lambda: self.write(features, prefilled, capture=False), self.place)
        return Plain(features, prefilled, written, encode, prefill, decode)

    def _warm_up(self) -> None:
        """Run the decoder once: the first pass after loading pays for pages, kernels and buffers."""
        soft = torch.zeros(1, self.model.profile.cells, self.model.hidden_size, dtype=self.model.dtype)
        blank = Features(soft.to(self.place), torch.zeros(0), (), key="warm-up")
        self.model.generate(self.prompt, blank, max_new_tokens=2)
        if self.place.type == "cuda":
            self.model.encode(self.fresh_film())

    def write(
        self, features: Features, prefilled: Prefill | None, *, capture: bool, tokens: int | None = None
    ) -> Generation:
        """A greedy generation of the workload's length."""
        return self.model.generate(
            self.prompt, features, max_new_tokens=tokens or self.tokens, capture=capture, prefill=prefilled
        )

    def from_scratch(self) -> Generation:
        """A plain generation of a fresh film: encode, prefill and write."""
        return self.write(self.model.encode(self.fresh_film()), None, capture=False)

    @property
    def short(self) -> bool:
        """Whether a plain generation is quick enough to repeat everything."""
        return self.plain.total <= SHORT

    @property
    def pairs(self) -> int:
        """Pairs of whole runs: several where they are short, else one."""
        return self.repeats if self.short else 1

    def spans(self, text: str) -> tuple[Finding, ...]:
        """The workload's number of findings: word spans evenly spaced in a text, whatever it says."""
        return spans(text, self.findings)

    def other(self, name: str) -> Gemma3Model:
        """A second, small model, built when first asked for."""
        if name not in self._others:
            self._others[name] = without_end(build(name, device=self.device))
        return self._others[name]

    def row(self, name: str, what: str, how: str, **figures: Any) -> Measurement:
        """A row measured on the workload's model."""
        return measured_on(self.model, name, what, how, **figures)


def measured_on(model: Gemma3Model, name: str, what: str, how: str, **figures: Any) -> Measurement:
    """A row that names the model it was measured on."""
    dtype = str(model.dtype).removeprefix("torch.")
    return Measurement(name=name, what=what, how=how, model=model.name, dtype=dtype, **figures)


def build(name: str, *, device: str = "auto") -> Gemma3Model:
    """A model by name: ``4b-random`` and the other random shapes, ``demo``, a folder or a hub id."""
    shape = name.removesuffix(RANDOM)
    if name.endswith(RANDOM) and shape in SHAPES:
        return random_model(shape, device=device)
    return load_model(name, device=device)


def without_end(model: Gemma3Model) -> Gemma3Model:
    """The same model, which goes on to the length asked for."""
    model.profile = replace(model.profile, end_tokens=())
    return model


def film(edge: int = FILM_EDGE, *, mark: int = 0) -> Study:
    """A phantom film of ``edge`` x ``edge`` pixels, its corner painted in grey value ``mark``."""
    picture = _drawn(edge).copy()
    picture[: edge // CORNER, : edge // CORNER] = mark % 256
    return load_study(picture, patient_right="left")


@cache
def _drawn(edge: int) -> NDArray[np.uint8]:
    return draw_case(FILM_SEED, size=edge).film


def spans(text: str, count: int) -> tuple[Finding, ...]:
    """``count`` findings of a few words each, evenly spaced in a text; their codes differ, their meaning is none.

    Raises
    ------
    MalformedInput
        Where the text has too few words.
    """
    words = [match.span() for match in re.finditer(r"[^\W_]+", text)]
    if len(words) < count:
        raise MalformedInput(f"The text holds {len(words)} words; {count} findings need as many. Write more tokens.")
    share = len(words) / count
    found = []
    for index, code in zip(range(count), VOCABULARY, strict=False):
        first = int(index * share)
        last = min(first + WORDS_A_FINDING, max(int((index + 1) * share), first + 1))
        start, stop = words[first][0], words[last - 1][1]
        found.append(Finding(code, words=text[start:stop], chars=(start, stop)))
    return tuple(found)


def repeats_said(pairs: int) -> str:
    """Whether a figure is a median."""
    return f"median of {pairs} runs" if pairs >= FEWEST_FOR_A_MEDIAN else "one run"
