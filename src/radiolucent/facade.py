"""The short way in: a picture and a question, a report and four explanations.

The same pipeline as :func:`radiolucent.explain`, handed out as plain dictionaries and arrays.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.registry import attribute
from radiolucent.attribution.targets import finding_target
from radiolucent.explain import explain
from radiolucent.findings import Finding
from radiolucent.levels import Level
from radiolucent.report.bundle import save
from radiolucent.report.explanation import Explanation
from radiolucent.report.summary import clinical_summary
from radiolucent.report.wording import pick
from radiolucent.study import Study, load_study
from radiolucent.trace.chain import STAGE_WORDS, STRENGTH_WORDS
from radiolucent.trace.types import ChainStep, Contrast, Trace, TraceWord
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.load import load_model
from radiolucent.vlm.types import Language, Target

Array = NDArray[np.float32]

DEFAULT_MODEL = "google/medgemma-1.5-4b-it"
SAMPLES = 10


class ExplainableMedGemma:
    """A model that reports on a picture and explains the report.

    Parameters
    ----------
    model_name
        Hub id, folder of weights, or ``demo``. The environment variable ``RADIOLUCENT_MODEL`` stands above it.
    output
        Folder for ``explainable_report.png`` and the bundle ``explainable_report/``; the working folder by default.

    Examples
    --------
    ::

        explainer = ExplainableMedGemma()
        report, explanations = explainer.analyze_image("chest_xray.jpg", "请描述主要发现")
    """

    def __init__(
        self, model_name: str = DEFAULT_MODEL, *, output: str | Path = ".", level: Level = "standard", seed: int = 0
    ) -> None:
        self.model: Gemma3Model = load_model(os.environ.get("RADIOLUCENT_MODEL") or model_name)
        self.output, self.level, self.seed = Path(output), level, seed
        self.explanation: Explanation | None = None

    def analyze_image(
        self, image: str | Path | Study | NDArray[Any], question: str, *, language: Language | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Report and explanations of one picture.

        Returns
        -------
        report
            The answer as written.
        explanations
            ``attention_maps``
                ``final_layer`` (grid, grid), ``layers`` {1-based layer: (grid, grid)}, both averaged over the answer's
                words and the heads, and ``word`` {word: (grid, grid)} averaged over layers; a word that occurs again
                is named ``word#2``. On the padded square; frames after the first are in the bundle.
            ``feature_importance``
                (rows, cols) signed float32 on the picture's own pixels: gradient of the main finding's
                log-probability (of the whole answer where it finds nothing) at the pixels.
            ``confidence_analysis``
                {term: percent of samples that assert it}, negation understood; empty, with a warning in the
                explanation, where the samples cannot carry it.
            ``decision_trace``
                One dictionary a generated word: probability, entropy, alternatives, image reliance (the larger of a
                blank's and another patient's film's, and each), what the word does (``kind``), whether it depends on
                the image (``depends_on_image``: ``seen``, ``guessed``, ``unknown`` or None for grammar), attended maps
                by layer, with each layer's type.
            ``decision_chain``
                The steps from the question to the conclusion, each with its strength, links and words.
            ``contrasts``
                Why this and not that, in sentences, with the margins in nats.
            ``clinical_summary``
                The clinical question answered first, then what to re-check.
        """
        study = image if isinstance(image, Study) else load_study(image)
        explanation = explain(
            self.model, study, question=question, language=language, level=self.level, seed=self.seed, samples=SAMPLES
        )
        self.explanation = explanation
        bundle = save(explanation, self.output / "explainable_report")
        shutil.copyfile(bundle / "report.png", self.output / "explainable_report.png")
        return explanation.report, {
            "attention_maps": _attention_maps(explanation.trace),
            "feature_importance": self._importance(explanation),
            "confidence_analysis": dict(explanation.confidence.terms) if explanation.confidence else {},
            "decision_trace": [_step(word, explanation.trace) for word in _words(explanation.trace)],
            "decision_chain": [_chain_step(step, explanation) for step in _chain(explanation.trace)],
            "contrasts": [_contrast(one, explanation) for one in _contrasts(explanation.trace)],
            "clinical_summary": clinical_summary(explanation).text,
        }

    def _importance(self, explanation: Explanation) -> Array:
        features = self.model.encode(explanation.study)
        main, generation = explanation.main_finding, explanation.generation
        target = Target((0, len(generation.token_ids))) if main is None else _target(explanation, main)
        made = attribute(self.model, features, generation, target, "pixel_gradient")
        return made.geometry[0].on_source(made.values[0])


def _target(explanation: Explanation, finding: Finding) -> Target:
    return finding_target(explanation.generation, finding, explanation.findings)


def _words(trace: Trace | None) -> tuple[TraceWord, ...]:
    return () if trace is None else trace.words


def _attention_maps(trace: Trace | None) -> dict[str, Any]:
    seen = [word for word in _words(trace) if word.attended is not None and word.part == "answer"]
    if trace is None or not seen:
        return {"final_layer": None, "layers": {}, "word": {}}
    stack = np.stack([word.attended[:, 0] for word in seen if word.attended is not None])  # words, layers, grid, grid
    layers = {int(layer) + 1: stack[:, place].mean(axis=0) for place, layer in enumerate(trace.layers)}
    named: dict[str, Array] = {}
    for word, attended in zip(seen, stack, strict=True):
        count = 1
        name = word.text
        while name in named:
            count += 1
            name = f"{word.text}#{count}"
        named[name] = attended.mean(axis=0)
    return {"final_layer": layers[max(layers)], "layers": layers, "word": named}


def _step(word: TraceWord, trace: Trace | None) -> dict[str, Any]:
    layers = trace.layers if trace is not None and word.attended is not None else ()
    return {
        "word": word.text,
        "part": word.part,
        "probability": word.probability,
        "entropy": word.entropy,
        "alternatives": [(one.text, float(np.exp(one.logprob))) for one in word.alternatives],
        "image_reliance": word.image_reliance,
        "image_reliance_blank": word.reliance_blank,
        "image_reliance_other_patient": word.reliance_other,
        "kind": word.kind,
        "depends_on_image": word.mark,
        "attended_place": word.anatomy,
        "attention": {
            int(layer) + 1: word.attended[place, 0] for place, layer in enumerate(layers) if word.attended is not None
        },
        "layer_types": {
            int(layer) + 1: kind for layer, kind in zip(layers, trace.layer_types if trace else (), strict=False)
        },
    }


def _chain(trace: Trace | None) -> tuple[ChainStep, ...]:
    return () if trace is None else trace.chain


def _contrasts(trace: Trace | None) -> tuple[Contrast, ...]:
    return () if trace is None else trace.contrasts


def _chain_step(step: ChainStep, explanation: Explanation) -> dict[str, Any]:
    language = explanation.language
    trace = explanation.trace
    return {
        "stage": pick(STAGE_WORDS[step.stage], language),
        "text": pick((step.en, step.zh), language),
        "strength": pick(STRENGTH_WORDS[step.strength], language),
        "words": [trace.words[index].text for index in step.words] if trace is not None else [],
        "finding": step.finding or None,
        "links": [
            {
                "text": pick((link.en, link.zh), language),
                "strength": pick(STRENGTH_WORDS[link.strength], language),
                "map": (link.method, link.finding) if link.method else None,
            }
            for link in step.links
        ],
    }


def _contrast(one: Contrast, explanation: Explanation) -> dict[str, Any]:
    language = explanation.language
    return {
        "question": one.ask(language),
        "answer": pick((one.en, one.zh), language),
        "strength": pick(STRENGTH_WORDS[one.strength], language),
        "finding": one.finding,
        "margin": one.margin,
        "margin_blank": one.margin_blank,
        "margin_other_patient": one.margin_other,
        "margin_region_hidden": one.margin_hidden,
        "margin_control_hidden": one.margin_control,
    }
