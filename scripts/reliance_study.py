"""How well image reliance tells words that state facts of the film from grammar: writes docs/trace/reliance.{json,md}.

    python scripts/reliance_study.py --films 220

The films are phantoms that nobody trained on, the model is the packaged demo model. A clinical word *states a fact*
where the reports' own grammar leaves a choice: given the words of its sentence before it, another record could have
been written otherwise. That is decided from the grammar alone, never from the model. Words that the words before them
settle ("effusion" after "Pleural") carry nothing of the film; they are counted apart, and so is the grammar that a
choice falls on ("The heart *is* enlarged" against "The heart size is normal").
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import radiolucent as rl
from radiolucent.confidence.scores import auroc
from radiolucent.phantom.film import draw_case
from radiolucent.phantom.grammar import FORMS, report_questions
from radiolucent.phantom.record import CODES, ZONES, Lesion
from radiolucent.trace.build import build_trace
from radiolucent.trace.kinds import CLINICAL, KIND_WORDS
from radiolucent.trace.reliance import DEPENDS, drawn_film
from radiolucent.vlm.forced import forced_logits
from radiolucent.vlm.perturb import blank_features
from radiolucent.vlm.types import Prompt
from radiolucent.vlm.words import Decoded, words_of

FIRST_SEED = 600_000
DRAWS = 1000
LIKELY_FORMS = {"en": (0, 2), "zh": (0, 2)}  # brief, and in full sentences
OUT = Path(__file__).parents[1] / "docs" / "trace"
DEFINITIONS: dict[str, tuple[str, Callable[[dict[str, Any]], float]]] = {
    "larger": ("nats lost, the larger of blank and other patient (used)", lambda w: max(w["blank"], w["other"])),
    "blank": ("nats lost with a blank", lambda w: w["blank"]),
    "other": ("nats lost with another patient's film", lambda w: w["other"]),
    "change": ("change in nats, either way, the larger of the two", lambda w: max(abs(w["blank"]), abs(w["other"]))),
    "kl_blank": ("KL of the next-word distribution, with against without the picture", lambda w: w["kl"][0]),
    "kl_larger": ("KL, the larger of blank and other patient", lambda w: max(w["kl"])),
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=220, help="phantoms a language and wording")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    model = rl.load_model("demo")
    result: dict[str, Any] = {"films": asked.films, "first_seed": asked.first_seed, "threshold_nats": DEPENDS}
    result["weights_sha256"] = model.weights_hash
    for language, forms in LIKELY_FORMS.items():
        words: list[dict[str, Any]] = []
        for form in forms:
            choices = _choices(language, form)
            for seed in range(asked.first_seed, asked.first_seed + asked.films):
                words += _measured(model, seed, language, form, choices)
            print(language, form, len(words), "words", flush=True)
        result[language] = _judged(words)
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "reliance.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (asked.out / "reliance.md").write_text(_page(result), encoding="utf-8")


def _measured(
    model: Any, seed: int, language: Any, form: int, choices: dict[tuple[Any, ...], set[str]]
) -> Iterator[dict[str, Any]]:
    """Every word of one report but punctuation."""
    case = draw_case(seed, pairs=False)
    features = model.encode(rl.load_study(case.film, patient_right="left"))
    generation = model.generate(Prompt(report_questions(form, language)[0], language), features, max_new_tokens=200)
    other = drawn_film(model, features)
    findings = rl.extract_findings(generation.text, language)
    trace = build_trace(model, features, generation, other=other, findings=findings, attended=False)
    kl = _divergences(model, features, generation, other)
    sentence: tuple[str, ...] = ()
    number = 0
    for word in trace.words:
        options = choices.get((number, *sentence), set())
        sentence = (*sentence, word.text)
        if word.text in ".。":
            number, sentence = number + 1, ()
        if word.kind == "punctuation":
            continue
        first, last = word.tokens
        yield {
            "film": (form, seed),
            "word": word.text,
            "kind": word.kind,
            "mark": word.mark,
            "open": len(options) > 1,
            "blank": word.reliance_blank,
            "other": word.reliance_other,
            "kl": kl[:, first:last].sum(axis=1),
        }


def _divergences(model: Any, features: Any, generation: Any, other: Any) -> NDArray[np.float64]:
    """KL(with the picture || with a replacement) of each next-token distribution: (2, tokens) in nats."""
    shown = torch.stack([features.soft_tokens, blank_features(model, features).soft_tokens, other.soft_tokens])
    ids = torch.as_tensor(generation.token_ids)
    with torch.no_grad():
        logits = forced_logits(
            model.module,
            generation.prompt_inputs,
            ids,
            shown.reshape(3, -1, model.hidden_size),
            image_token=model.profile.image_token,
        )
    logp = torch.log_softmax(logits.double(), -1)
    kept: NDArray[np.float64] = (logp[0].exp() * (logp[:1] - logp[1:])).sum(-1).numpy()
    return kept


def _choices(language: str, form: int) -> dict[tuple[Any, ...], set[str]]:
    """(sentence number, words of the sentence so far) -> the words that some record writes next."""
    following: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for code in CODES:
        for lesion in (None, *_lesions(code)):
            text = FORMS[language][form]({} if lesion is None else {code: lesion})
            sentence: tuple[str, ...] = ()
            number = 0
            for word in words_of(Decoded(text, tuple((place, place + 1) for place in range(len(text))))):
                following[(number, *sentence)].add(word.text)
                sentence = (*sentence, word.text)
                if word.text in ".。":
                    number, sentence = number + 1, ()
    return following


def _lesions(code: Any) -> list[Lesion]:
    if code == "cardiomegaly":
        return [Lesion(code)]
    if code in ("consolidation", "nodule"):
        return [Lesion(code, side, zone) for side, zone in product(("left", "right"), ZONES)]  # type: ignore[arg-type]
    sides = ("left", "right", "bilateral") if code == "pleural_effusion" else ("left", "right")
    sizes = ("mild", "moderate", "severe") if code == "pleural_effusion" else ("mild", "severe")
    return [Lesion(code, side, severity=size) for side, size in product(sides, sizes)]  # type: ignore[arg-type]


def _judged(words: list[dict[str, Any]]) -> dict[str, Any]:
    clinical = np.array([word["kind"] in CLINICAL for word in words])
    open_ = np.array([word["open"] for word in words])
    films = np.unique([f"{word['film']}" for word in words], return_inverse=True)[1]
    groups = {
        "facts": (clinical & open_) | ~clinical,
        "facts_fixed_grammar": (clinical & open_) | (~clinical & ~open_),
        "all": np.ones(len(words), dtype=bool),
    }
    found: dict[str, Any] = {
        "words": {
            "clinical, stating a fact": int((clinical & open_).sum()),
            "clinical, settled by the words before": int((clinical & ~open_).sum()),
            "grammar": int((~clinical).sum()),
            "grammar that a choice falls on": int((~clinical & open_).sum()),
        },
        "auroc": {},
    }
    for name, (_, measure) in DEFINITIONS.items():
        values = np.array([measure(word) for word in words])
        found["auroc"][name] = {group: auroc(values[kept], clinical[kept]) for group, kept in groups.items()}
        if name == "larger":
            found["interval"] = _interval(values, clinical, groups["facts"], films)
            found["above_threshold"] = {
                "clinical, stating a fact": float((values >= DEPENDS)[clinical & open_].mean()),
                "clinical, settled by the words before": float((values >= DEPENDS)[clinical & ~open_].mean()),
                "grammar": float((values >= DEPENDS)[~clinical].mean()),
            }
    marks = [word["mark"] for word in words]
    found["marked_seen"] = {
        kind: float(np.mean([mark == "seen" for mark, word in zip(marks, words, strict=True) if word["kind"] == kind]))
        for kind in KIND_WORDS
        if kind in CLINICAL and any(word["kind"] == kind for word in words)
    }
    return found


def _interval(
    values: NDArray[np.float64], clinical: NDArray[np.bool_], kept: NDArray[np.bool_], films: NDArray[np.int64]
) -> tuple[float, float]:
    """95 % bootstrap over films."""
    rng = np.random.default_rng(0)
    of = [np.flatnonzero(kept & (films == film)) for film in range(films.max() + 1)]
    drawn = []
    for _ in range(DRAWS):
        rows = np.concatenate([of[film] for film in rng.integers(len(of), size=len(of))])
        drawn.append(auroc(values[rows], clinical[rows]))
    return float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))


def _page(result: dict[str, Any]) -> str:
    lines = [
        "# Image reliance of words",
        "",
        f"Demo model, {result['films']} phantoms from seed {result['first_seed']} in each of two wordings a language "
        "(brief, and full sentences), none of them trained on. Made by `python scripts/reliance_study.py`; every "
        "number is in `reliance.json`.",
        "",
        "**What is measured.** The log-probability that a word loses when the picture is replaced by a blank one and "
        "by another patient's film (a packaged drawing with five findings); the larger of the two. The question: does "
        "that number tell clinical words that state a fact of the film from grammar words (punctuation left out)?",
        "",
        "**What is a fact.** A clinical word (finding, place, side, degree, denial, hedge) at which the reports' "
        "grammar leaves a choice, given the words of its sentence before it. Whether it does is read off the grammar, "
        "not off the model. The other clinical words (“effusion” after “Pleural”, “pneumothorax” after “No” in a list "
        "whose order never changes) follow from the words before them; no measure of the word alone can tell them from "
        "grammar, and the last column says so.",
        "",
    ]
    for language, name in (("en", "English"), ("zh", "Chinese")):
        one = result[language]
        low, high = one["interval"]
        lines += [
            f"## {name}",
            "",
            "; ".join(f"{count} words {group}" for group, count in one["words"].items()) + ".",
            "",
            "| measure | facts against all grammar, AUROC | against grammar that is fixed | all clinical words |",
            "|---|---|---|---|",
            *(
                f"| {DEFINITIONS[key][0]} | {row['facts']:.3f} | {row['facts_fixed_grammar']:.3f} | {row['all']:.3f} |"
                for key, row in one["auroc"].items()
            ),
            "",
            f"The measure in use: {one['auroc']['larger']['facts']:.3f} (95 % interval over films "
            f"{low:.3f} to {high:.3f}).",
            "",
            f"At the threshold of {result['threshold_nats']} nats: "
            + "; ".join(f"{share:.1%} of words {group}" for group, share in one["above_threshold"].items())
            + " lie above it.",
            "",
            "Marked as depending on the image, judged by statement (see `radiolucent.trace.marks`): "
            + ", ".join(f"{KIND_WORDS[kind][0]} {share:.1%}" for kind, share in one["marked_seen"].items())
            + ".",
            "",
        ]
    lines += [
        "## Limits",
        "",
        "Phantoms and a small model whose wording is fixed: in freer reports grammar carries choices too (“there is” "
        "against “there is no”), and the separation will be lower. A mark says that the words depend on the image, not "
        "that they are right. The packaged other patient is a drawing; for a model that reads real films give a real "
        "one (`explain(..., other=study)`).",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
