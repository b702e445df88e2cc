"""Gemma 3 and MedGemma 1.5 through stock ``Gemma3ForConditionalGeneration``: encode, write, replay, score.

``token_type_ids`` reach every forward that holds image tokens: without them the bidirectional mask inside an image
vanishes and another pass than the one that wrote the words would be explained.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from radiolucent.errors import MalformedInput
from radiolucent.study.types import Study
from radiolucent.vlm import memory
from radiolucent.vlm.capture import RowRecorder, row_capture
from radiolucent.vlm.decode import Prefill, Written, write
from radiolucent.vlm.forced import embed, forced_choices, forced_logprobs, forced_statistics
from radiolucent.vlm.profile import Profile, layout_of, messages, shown_frames, study_pictures
from radiolucent.vlm.speed import Speed, measured_speed
from radiolucent.vlm.types import Alternative, Features, Generation, Prompt, PromptInputs, Replay
from radiolucent.vlm.words import Decoded, decode, split_thinking, words_of

CACHED_STUDIES = 8
IMAGES_AT_A_TIME = 8  # images run through the vision tower together where no batch is asked for


class FeatureCache:
    """The last few encoded studies; a copied model starts with an empty one, since its weights may be changed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Features] = OrderedDict()
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> FeatureCache:
        return FeatureCache()

    def find(self, key: str) -> Features | None:
        """The features of a content digest, where they are still kept."""
        with self._lock:
            return self._kept.get(key)

    def keep(self, features: Features) -> None:
        """Keep features as the newest; the oldest beyond ``CACHED_STUDIES`` go."""
        with self._lock:
            self._kept[features.key] = features
            self._kept.move_to_end(features.key)
            while len(self._kept) > CACHED_STUDIES:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()


class Gemma3Model:
    """A loaded model; see :func:`radiolucent.vlm.load_model`.

    Parameters
    ----------
    module
        ``Gemma3ForConditionalGeneration`` on its device, in evaluation mode, text decoder on ``sdpa``.
    processor
        ``Gemma3Processor`` with a chat template.
    weights_hash
        Digest of the weight files, or a function that computes it once when it is first asked for.
    folder
        Of the weights, where they came from one: files beside them (a calibration) are found there.

    Attributes
    ----------
    encodes
        Images that have run through the vision tower so far.
    parity_bound
        Largest |Δ log p| that counts as the same pass; None until measured (see :mod:`radiolucent.vlm.parity`).
    """

    def __init__(
        self,
        module: Any,
        processor: Any,
        profile: Profile,
        *,
        name: str,
        weights_hash: str | Callable[[], str],
        folder: Path | None = None,
    ) -> None:
        self.module = module
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.profile = profile
        self.name = name
        self.folder = folder
        self.encodes = 0
        self._weights_hash = weights_hash
        self._features = FeatureCache()
        self.parity_bound: float | None = None

    @property
    def weights_hash(self) -> str:
        """Digest of the weight files."""
        if not isinstance(self._weights_hash, str):
            self._weights_hash = self._weights_hash()
        return self._weights_hash

    @property
    def weights_state(self) -> str:
        """The digest and how often the weights were changed in place since (randomisation checks do)."""
        return f"{self.weights_hash} {sum(parameter._version for parameter in self.module.parameters())}"

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        device: torch.device = self.module.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """``torch.float32`` or ``torch.bfloat16``."""
        dtype: torch.dtype = self.module.dtype
        return dtype

    @property
    def hidden_size(self) -> int:
        """Width of a soft token."""
        return int(self.module.config.text_config.hidden_size)

    @property
    def layer_types(self) -> tuple[Literal["global", "sliding"], ...]:
        """``global`` or ``sliding`` for each decoder layer."""
        return self.profile.layer_types

    @cached_property
    def speed(self) -> Speed:
        """How fast this machine runs the model; see :mod:`radiolucent.vlm.speed`."""
        return measured_speed(self.module)

    # Pictures in

    def shown(self, study: Study) -> tuple[int, ...]:
        """Indices of the study's frames that the model is shown."""
        return shown_frames(study, self.profile)

    def encode(self, study: Study) -> Features:
        """The study as the language model receives it; the same pictures are encoded once.

        Raises
        ------
        UnsupportedInput, MalformedInput
            Where the study holds frames that the model cannot be shown.
        InsufficientMemory
            Where the vision tower's pass would not fit.
        """
        pixels = self.pixels(study)
        key = self._key(pixels)
        known = self._features.find(key)
        features = Features(
            soft_tokens=self._soft_tokens(pixels) if known is None else known.soft_tokens,
            pixels=pixels if known is None else known.pixels,
            geometries=self._geometries(study),
            key=key,
            frames=shown_frames(study, self.profile),
            layout=layout_of(study),
        )
        self._features.keep(features)
        return features

    def forget(self) -> None:
        """Drop encoded studies; needed after the weights were changed by hand."""
        self._features.clear()

    def pixels(self, study: Study) -> torch.Tensor:
        """What the vision tower is shown: (images, 3, size, size), normalised, in the model's dtype."""
        pictures = study_pictures(study, self.profile)
        arrays = [
            self.processor.image_processor(picture, return_tensors="np", do_pan_and_scan=False)["pixel_values"][0]
            for picture in pictures
        ]
        return torch.from_numpy(np.stack(arrays)).to(device=self.device, dtype=self.dtype)

    def encode_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Vision tower and projector: (B, 3, size, size) -> (B, cells, hidden), differentiable."""
        size = self.profile.image_size
        if pixels.ndim != 4 or tuple(pixels.shape[1:]) != (3, size, size):
            raise MalformedInput(f"Pixels of shape {tuple(pixels.shape)}; expected (images, 3, {size}, {size}).")
        shown = pixels.to(device=self.device, dtype=self.dtype)
        self.encodes += len(shown)
        soft_tokens: torch.Tensor = self.module.get_image_features(pixel_values=shown, return_dict=True).pooler_output
        return soft_tokens

    def _soft_tokens(self, pixels: torch.Tensor) -> torch.Tensor:
        memory.check_encode(self.module, min(len(pixels), IMAGES_AT_A_TIME))
        with torch.no_grad():
            return torch.cat([self.encode_pixels(some) for some in torch.split(pixels, IMAGES_AT_A_TIME)])

    def _geometries(self, study: Study) -> tuple[Any, ...]:
        size, grid = self.profile.image_size, self.profile.grid
        return tuple(study.frames[i].geometry.for_model(size, grid) for i in shown_frames(study, self.profile))

    def _key(self, pixels: torch.Tensor) -> str:
        digest = hashlib.sha256(self.weights_state.encode())
        digest.update(str(tuple(pixels.shape)).encode())
        digest.update(np.ascontiguousarray(pixels.detach().float().cpu().numpy()).tobytes())
        return digest.hexdigest()

    # Prompt

    def prompt_inputs(self, prompt: Prompt, features: Features) -> PromptInputs:
        """The prompt through the processor's own chat template, image soft tokens expanded.

        Raises
        ------
        MalformedInput
            Where the question holds the model's control tokens, or the expanded images do not match the features.
        """
        forged = sorted(token for token in self._control_tokens() if token in prompt.question)
        if forged:
            raise MalformedInput(f"The question holds control tokens of the model ({', '.join(forged)}); remove them.")
        images = len(features.soft_tokens)
        text: str = self.processor.apply_chat_template(
            messages(prompt, images, features.layout), add_generation_prompt=True, tokenize=False
        )
        text = text.replace(self.processor.boi_token, self.processor.full_image_sequence)
        bos = self.tokenizer.bos_token
        ids = self.tokenizer(text, add_special_tokens=not (bos and text.startswith(bos)))["input_ids"]
        return self._with_spans(np.asarray(ids, dtype=np.int64), images)

    def _with_spans(self, input_ids: NDArray[np.int64], images: int) -> PromptInputs:
        types = (input_ids == self.profile.image_token).astype(np.int64)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], types, [0]))))
        spans = tuple((int(first), int(last)) for first, last in edges.reshape(-1, 2))
        lengths = {last - first for first, last in spans}
        if len(spans) != images or (spans and lengths != {self.profile.cells}):
            raise MalformedInput(
                f"The prompt holds image spans {spans}; expected {images} of {self.profile.cells} tokens. "
                "The chat template or the processor's image_seq_length does not fit the weights."
            )
        return PromptInputs(input_ids, types, spans)

    def _control_tokens(self) -> set[str]:
        tokenizer = self.tokenizer
        named = {*tokenizer.all_special_tokens, self.processor.boi_token, tokenizer.image_token, tokenizer.eoi_token}
        turns = {"<start_of_turn>", "<end_of_turn>"}
        markers = {
            tokenizer.convert_ids_to_tokens(marker)
            for marker in (self.profile.thinking_open, self.profile.thinking_close)
            if marker is not None
        }
        return {token for token in named | turns | markers if token}

    # Words out

    def prefill(self, prompt: Prompt, features: Features) -> Prefill:
        """Read the prompt and the pictures once; ``generate`` and ``sample`` can start from it."""
        read = self.prefill_inputs(self.prompt_inputs(prompt, features), features.soft_tokens)
        return replace(read, features_key=features.key)

    def _start(self, prompt: Prompt, features: Features, prefill: Prefill | None) -> Prefill:
        """The prefill given, checked to be of this prompt and these pictures; a new one where there is none."""
        if prefill is None:
            return self.prefill(prompt, features)
        same_words = np.array_equal(self.prompt_inputs(prompt, features).input_ids, prefill.inputs.input_ids)
        if not same_words or prefill.features_key != features.key:
            raise MalformedInput("The prefill is of another prompt or other pictures; make one with model.prefill().")
        return prefill

    def generate(
        self,
        prompt: Prompt,
        features: Features,
        *,
        max_new_tokens: int = 256,
        capture: bool = True,
        prefill: Prefill | None = None,
    ) -> Generation:
        """Greedy answer, with the attention rows that predicted each token where ``capture`` is set.

        Parameters
        ----------
        prefill
            Of the same prompt and features, to read them only once for several calls.

        Raises
        ------
        InsufficientMemory
            Where the run would not fit.
        """
        generation, _ = self.generate_and_sample(
            prompt, features, count=0, max_new_tokens=max_new_tokens, capture=capture, prefill=prefill
        )
        return generation

    def generate_and_sample(
        self,
        prompt: Prompt,
        features: Features,
        *,
        count: int,
        temperature: float = 0.7,
        top_p: float = 0.9,
        seed: int = 0,
        max_new_tokens: int = 256,
        capture: bool = True,
        prefill: Prefill | None = None,
    ) -> tuple[Generation, tuple[Generation, ...]]:
        """The greedy answer and ``count`` samples, written side by side: each step reads the weights once for all.

        Arguments as in :meth:`generate` and :meth:`sample`; the samples are the first of their series, to be gone on
        with by ``sample(first=count)``.
        """
        self._check_run(prompt, features, max_new_tokens, sequences=1 + count, capture=capture)
        start = self._start(prompt, features, prefill)
        recorder = start.recorder.fork(room=max_new_tokens) if capture else None
        with torch.no_grad(), row_capture(self.module):
            written, *drawn = write(
                self.module,
                start,
                greedy=True,
                count=count,
                temperature=temperature,
                top_p=top_p,
                seed=seed,
                end_tokens=self.profile.end_tokens,
                max_new_tokens=max_new_tokens,
                recorder=recorder,
            )
        generation = self._generation(prompt, start.inputs, written, recorder)
        return generation, tuple(self._generation(prompt, start.inputs, one, None) for one in drawn)

    def sample(
        self,
        prompt: Prompt,
        features: Features,
        *,
        count: int,
        temperature: float = 0.7,
        top_p: float = 0.9,
        seed: int = 0,
        max_new_tokens: int = 256,
        first: int = 0,
        prefill: Prefill | None = None,
    ) -> tuple[Generation, ...]:
        """``count`` answers from one image encode and one prefill; log p at temperature 1.

        Parameters
        ----------
        first
            Number of samples drawn before with this seed; the next ones continue the series.
        prefill
            Of the same prompt and features, to read them only once for several calls.

        Raises
        ------
        DegenerateSampling
            At temperature 0 or below.
        InsufficientMemory
            Where the run would not fit.
        """
        self._check_run(prompt, features, max_new_tokens, sequences=count, capture=False)
        start = self._start(prompt, features, prefill)
        with torch.no_grad():
            written = write(
                self.module,
                start,
                count=count,
                temperature=temperature,
                top_p=top_p,
                seed=seed,
                end_tokens=self.profile.end_tokens,
                max_new_tokens=max_new_tokens,
                first=first,
            )
        return tuple(self._generation(prompt, start.inputs, one, None) for one in written)

    def replay(
        self,
        generation: Generation,
        features: Features,
        *,
        capture: bool = False,
        soft_tokens: torch.Tensor | None = None,
    ) -> Replay:
        """One teacher-forced pass over prompt and generation.

        Parameters
        ----------
        soft_tokens
            Shown in the features' place: (images, cells, hidden), (images * cells, hidden) or with a leading 1.
        """
        inputs = generation.prompt_inputs
        shown = features.soft_tokens if soft_tokens is None else soft_tokens
        rows = shown.reshape(1, -1, self.hidden_size)
        recorder = self._recorder(inputs) if capture else None
        ids = torch.as_tensor(generation.token_ids, device=self.device)
        with torch.no_grad(), row_capture(self.module):
            kept = forced_statistics(
                self.module, inputs, ids, rows, image_token=self.profile.image_token, recorder=recorder
            )
        return Replay(
            logprobs=kept.logprobs.cpu().numpy(),
            entropy=kept.entropy.cpu().numpy(),
            rows=None if recorder is None else recorder.rows(),
            top=kept.top_ids[:, 0].cpu().numpy(),
            top_logprob=kept.top_logprobs[:, 0].cpu().numpy(),
        )

    def token_logprobs(
        self,
        prompt_inputs: PromptInputs,
        token_ids: NDArray[np.int64] | Sequence[int],
        soft_tokens: torch.Tensor,
        *,
        wanted: Sequence[int] | None = None,
        batch_size: int | None = None,
    ) -> torch.Tensor:
        """log p of given tokens after the prompt, for each picture of a batch, teacher-forced.

        Parameters
        ----------
        token_ids
            (m,): the tokens that follow the prompt.
        soft_tokens
            (B, images * cells, hidden) or (B, images, cells, hidden).
        wanted
            Indices into ``token_ids`` to score; all where None. Unwanted logits are not computed.
        batch_size
            Pictures run together; chosen by memory where None.

        Returns
        -------
        float32 (B, m) or (B, len(wanted)) in nats, differentiable with respect to ``soft_tokens``.
        """
        if soft_tokens.ndim not in (3, 4) or soft_tokens.shape[-1] != self.hidden_size:
            raise MalformedInput(
                f"Soft tokens of shape {tuple(soft_tokens.shape)}; expected (B, images * cells, {self.hidden_size}) "
                f"or (B, images, cells, {self.hidden_size})."
            )
        return forced_logprobs(
            self.module,
            prompt_inputs,
            torch.as_tensor(np.asarray(token_ids, dtype=np.int64), device=self.device),
            soft_tokens.reshape(len(soft_tokens), -1, self.hidden_size),
            image_token=self.profile.image_token,
            wanted=wanted,
            batch_size=batch_size,
        )

    def choice_logprobs(
        self,
        prompt_inputs: PromptInputs,
        token_ids: NDArray[np.int64] | Sequence[int],
        soft_tokens: torch.Tensor,
        choices: Sequence[tuple[int, int]],
    ) -> torch.Tensor:
        """log p of other tokens in the places of generated ones, one pass for all of them.

        Parameters
        ----------
        soft_tokens
            (B, images * cells, hidden).
        choices
            (index into ``token_ids``, token id) pairs.

        Returns
        -------
        float32 (B, len(choices)) in nats.
        """
        with torch.no_grad():
            return forced_choices(
                self.module,
                prompt_inputs,
                torch.as_tensor(np.asarray(token_ids, dtype=np.int64), device=self.device),
                soft_tokens.reshape(len(soft_tokens), -1, self.hidden_size),
                choices,
                image_token=self.profile.image_token,
            )

    def prefill_inputs(self, inputs: PromptInputs, soft_tokens: torch.Tensor) -> Prefill:
        """The same from token arrays and one study's soft tokens, (images, cells, hidden) or flat."""
        rows = soft_tokens.reshape(1, -1, self.hidden_size)
        recorder = self._recorder(inputs)
        ids = torch.as_tensor(inputs.input_ids, device=self.device)
        recorder.expect(0, (len(ids) - 1,))
        cache = DynamicCache(config=self.module.config.text_config)
        with torch.no_grad(), row_capture(self.module):
            output = self.module(
                inputs_embeds=embed(self.module, ids, rows, self.profile.image_token),
                token_type_ids=torch.as_tensor(inputs.token_type_ids, device=self.device)[None],
                position_ids=torch.arange(len(ids), device=self.device)[None],
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
                row_recorder=recorder,
            )
        return Prefill(inputs, cache, output.logits[0, -1].float(), recorder)

    def _recorder(self, inputs: PromptInputs) -> RowRecorder:
        positions = [position for first, last in inputs.image_spans for position in range(first, last)]
        stored = torch.float32 if self.dtype == torch.float32 else torch.float16
        return RowRecorder(self.layer_types, positions, len(inputs.input_ids), stored)

    def _check_run(
        self, prompt: Prompt, features: Features, max_new_tokens: int, *, sequences: int, capture: bool
    ) -> None:
        if max_new_tokens < 1:
            raise MalformedInput(f"max_new_tokens={max_new_tokens} writes nothing; use at least 1.")
        memory.check_run(
            self.module,
            prompt_length=features.soft_tokens.shape[0] * (self.profile.cells + 8) + len(prompt.question) + 64,
            image_tokens=features.soft_tokens.shape[0] * self.profile.cells,
            new_tokens=max_new_tokens,
            sequences=sequences,
            capture=capture,
        )

    def _generation(
        self, prompt: Prompt, inputs: PromptInputs, written: Written, recorder: RowRecorder | None
    ) -> Generation:
        ids = written.token_ids
        thought, answer = split_thinking(ids.tolist(), self.profile.thinking_open, self.profile.thinking_close)
        said = decode(self.tokenizer, ids[slice(*answer)].tolist())
        meant = decode(self.tokenizer, ids[slice(*thought)].tolist()) if thought[1] > thought[0] else Decoded("", ())
        header = len(self.profile.thinking_header) if meant.text.startswith(self.profile.thinking_header) else 0
        words = words_of(meant, first_token=thought[0], part="thinking", skip_chars=header)
        words += words_of(said, first_token=answer[0])
        names = {int(token): self.token_text(int(token)) for token in np.unique(written.top_ids)}
        alternatives = tuple(
            tuple(
                Alternative(int(token), names[int(token)], float(logprob))
                for token, logprob in zip(tokens, logprobs, strict=True)
            )
            for tokens, logprobs in zip(written.top_ids, written.top_logprobs, strict=True)
        )
        return Generation(
            text=said.text,
            thinking=meant.text[header:],
            words=words,
            token_ids=ids,
            logprobs=written.logprobs,
            entropy=written.entropy,
            alternatives=alternatives,
            image_spans=inputs.image_spans,
            prompt=prompt,
            prompt_inputs=inputs,
            rows=None if recorder is None else recorder.rows(),
            finish="stop" if int(ids[-1]) in self.profile.end_tokens else "length",
        )

    def token_text(self, token_id: int) -> str:
        """A token as people read it; special tokens by their name."""
        text: str = self.tokenizer.decode([token_id], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text
