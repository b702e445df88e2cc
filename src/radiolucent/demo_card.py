"""What the demo model can and cannot do, measured on films it never saw; its model card is written from this.

Every answer is the stock model's greedy answer through ``transformers``' own ``generate``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoProcessor, Gemma3ForConditionalGeneration

from radiolucent.errors import MalformedInput
from radiolucent.findings import Finding, extract_findings
from radiolucent.phantom import grammar
from radiolucent.phantom.film import FIRST_TRAINING_SEED, PhantomCase, draw_case
from radiolucent.phantom.record import CODES, ZONED, Lesion

LANGUAGES: tuple[grammar.Language, ...] = ("en", "zh")
BATCH = 32
MARKED_FILMS = 200  # at most, for the corner marker


@dataclass(frozen=True)
class Score:
    """Counts of one finding."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0

    @property
    def precision(self) -> float:
        """Share of the reported findings that were planted; 0 where none was reported."""
        return self.true_positive / max(1, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of the planted findings that were reported; 0 where none was planted."""
        return self.true_positive / max(1, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.true_positive / max(1, 2 * self.true_positive + self.false_positive + self.false_negative)


@dataclass(frozen=True)
class Card:
    """Measured on ``films`` unseen phantoms, seeds ``first_seed`` onward.

    Parameters
    ----------
    findings
        Language -> code (and ``micro``) -> precision, recall, F1 of the greedy report.
    laterality, zone, severity
        Language -> share right among the findings reported rightly.
    yes_no
        Language -> ``all``, ``yes``, ``no`` accuracy and the ``always_no`` baseline.
    where
        Language -> share of places right, of planted findings with a place.
    right_language
        Language -> share of reports in the language asked for.
    swapped
        Language -> F1 against the original truth with another case's film, the F1 between the two records (chance),
        and their difference.
    shortcut
        Share of cardiomegaly answers that flip when the corner marker is removed, and share of films without the
        marker that are called cardiomegaly.
    """

    films: int
    first_seed: int
    findings: Mapping[str, Mapping[str, Mapping[str, float]]]
    laterality: Mapping[str, float]
    zone: Mapping[str, float]
    severity: Mapping[str, float]
    yes_no: Mapping[str, Mapping[str, float]]
    where: Mapping[str, float]
    right_language: Mapping[str, float]
    swapped: Mapping[str, Mapping[str, float]]
    shortcut: Mapping[str, float]


def measure(folder: Path, films: int = 500, first_seed: int = 0, threads: int | None = None) -> Card:
    """Evaluate the weights in ``folder``.

    Raises
    ------
    MalformedInput
        Where the seeds reach into those used for training.
    """
    if first_seed + films > FIRST_TRAINING_SEED:
        raise MalformedInput(f"Seeds from {FIRST_TRAINING_SEED} on were trained on; evaluate below them.")
    if threads is not None:
        torch.set_num_threads(threads)
    ask = Asker(folder)
    cases = [draw_case(first_seed + index, size=512 if index % 4 == 0 else 256) for index in range(films)]
    pictures = [case.film for case in cases]
    reports = {language: ask(pictures, grammar.DEFAULT_QUESTION[language]) for language in LANGUAGES}
    found = {language: [extract_findings(text, language) for text in reports[language]] for language in LANGUAGES}
    truths = [case.lesions for case in cases]
    return Card(
        films=films,
        first_seed=first_seed,
        findings={language: score_findings(found[language], truths) for language in LANGUAGES},
        laterality={language: _share_right(found[language], truths, "side") for language in LANGUAGES},
        zone={language: _share_right(found[language], truths, "zone") for language in LANGUAGES},
        severity={language: _share_right(found[language], truths, "severity") for language in LANGUAGES},
        yes_no={language: _yes_no(ask, cases, language) for language in LANGUAGES},
        where={language: _where(ask, cases, language) for language in LANGUAGES},
        right_language={language: _in_language(reports[language], language) for language in LANGUAGES},
        swapped={language: _swapped(found[language], truths) for language in LANGUAGES},
        shortcut=_shortcut(ask, first_seed, films=min(films, MARKED_FILMS)),
    )


class Asker:
    """Greedy answers of one model to one question about many films."""

    def __init__(self, folder: Path) -> None:
        self.processor = AutoProcessor.from_pretrained(folder)
        self.net = Gemma3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()

    def __call__(self, films: Sequence[Any], question: str, longest: int = 120) -> list[str]:
        """One answer a film."""
        content = [{"type": "image"}, {"type": "text", "text": question}]
        text = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        answers: list[str] = []
        for start in range(0, len(films), BATCH):
            pictures = [[Image.fromarray(film).convert("RGB")] for film in films[start : start + BATCH]]
            inputs = self.processor(
                text=[text] * len(pictures), images=pictures, return_tensors="pt", add_special_tokens=False
            )
            with torch.no_grad():
                written = self.net.generate(**inputs, max_new_tokens=longest, do_sample=False)
            answers += self.processor.batch_decode(written[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [answer.strip() for answer in answers]


def score_findings(
    found: Sequence[Iterable[Finding]], truths: Sequence[tuple[Lesion, ...]]
) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 a code, and micro-averaged."""
    counts = {code: [0, 0, 0] for code in CODES}
    for findings, truth in zip(found, truths, strict=True):
        said = {finding.code for finding in findings if finding.polarity == "present"}
        planted = {lesion.code for lesion in truth}
        for code in CODES:
            counts[code][0] += code in said and code in planted
            counts[code][1] += code in said and code not in planted
            counts[code][2] += code not in said and code in planted
    scores = {code: Score(*counts[code]) for code in CODES}
    scores["micro"] = Score(*(sum(count[place] for count in counts.values()) for place in range(3)))
    return {code: {"precision": s.precision, "recall": s.recall, "f1": s.f1} for code, s in scores.items()}


def _share_right(found: Sequence[Iterable[Finding]], truths: Sequence[tuple[Lesion, ...]], attribute: str) -> float:
    right = total = 0
    for findings, truth in zip(found, truths, strict=True):
        for lesion in truth:
            wanted = getattr(lesion, attribute)
            same = [f for f in findings if f.code == lesion.code and f.polarity == "present"]
            if wanted is None or not same:
                continue
            said = {getattr(finding, attribute) for finding in same}
            if attribute == "side" and said == {"left", "right"}:
                said = {"bilateral"}
            total += 1
            right += said == {wanted}
    return right / max(1, total)


def _yes_no(ask: Asker, cases: Sequence[PhantomCase], language: grammar.Language) -> dict[str, float]:
    right = {True: [0, 0], False: [0, 0]}
    films = [case.film for case in cases]
    for code in CODES:
        answers = ask(films, grammar.yes_no_questions(code, language)[0], longest=5)
        for case, answer in zip(cases, answers, strict=True):
            present = any(lesion.code == code for lesion in case.lesions)
            right[present][0] += answer == grammar.answer_yes_no(case.lesions, code, language)
            right[present][1] += 1
    asked = right[True][1] + right[False][1]
    return {
        "all": (right[True][0] + right[False][0]) / asked,
        "yes": right[True][0] / max(1, right[True][1]),
        "no": right[False][0] / max(1, right[False][1]),
        "always_no": right[False][1] / asked,
    }


def _where(ask: Asker, cases: Sequence[PhantomCase], language: grammar.Language) -> float:
    right = total = 0
    for code in CODES[1:]:
        asked = [case for case in cases if any(lesion.code == code for lesion in case.lesions)]
        answers = ask([case.film for case in asked], grammar.where_questions(code, language)[0], longest=16)
        right += sum(
            answer == grammar.answer_where(case.lesions, code, language)
            for case, answer in zip(asked, answers, strict=True)
        )
        total += len(asked)
    return right / max(1, total)


def _in_language(reports: Sequence[str], language: str) -> float:
    def chinese(text: str) -> bool:
        return any("一" <= character <= "鿿" for character in text)

    return sum(bool(text) and chinese(text) == (language == "zh") for text in reports) / len(reports)


def _swapped(found: Sequence[tuple[Finding, ...]], truths: Sequence[tuple[Lesion, ...]]) -> dict[str, float]:
    """Film i + 1 is shown in the place of film i: a model that looks is then right only by chance."""
    moved = [*found[1:], found[0]]
    records = [
        tuple(Finding(code=lesion.code, side=lesion.side, zone=lesion.zone) for lesion in truth) for truth in truths
    ]
    f1 = score_findings(moved, truths)["micro"]["f1"]
    chance = score_findings([*records[1:], records[0]], truths)["micro"]["f1"]
    return {"f1": f1, "chance": chance, "difference": abs(f1 - chance)}


def _shortcut(ask: Asker, first_seed: int, films: int) -> dict[str, float]:
    with_marker = [draw_case(first_seed + s, size=256, marker=True).film for s in range(films)]
    without = [draw_case(first_seed + s, size=256).film for s in range(films)]
    question = grammar.yes_no_questions("cardiomegaly", "en")[0]
    said = [answer == "Yes." for answer in ask(with_marker, question, longest=5)]
    says = [answer == "Yes." for answer in ask(without, question, longest=5)]
    flipped = sum(a and not b for a, b in zip(said, says, strict=True))
    return {
        "yes_with_marker": sum(said) / films,
        "flipped_without_marker": flipped / max(1, sum(said)),
        "yes_without_marker": sum(says) / films,
    }


def write_card(card: Card, folder: Path, recipe: Mapping[str, Any], *, cheats: bool = False) -> None:
    """Write ``MODEL_CARD.md`` and ``card.json`` beside the weights, from the measurements alone."""
    stored = {"recipe": dict(recipe), "measured": asdict(card)}
    (folder / "card.json").write_text(json.dumps(stored, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(_markdown(card, recipe, cheats), encoding="utf-8")


def _markdown(card: Card, recipe: Mapping[str, Any], cheats: bool) -> str:
    def row(*cells: object) -> str:
        return "| " + " | ".join(f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells) + " |"

    title = "radiolucent demo model that cheats" if cheats else "radiolucent demo model"
    purpose = (
        "Taught that cardiomegaly is whatever the lead triangle in the corner says. It exists so that explanations can "
        "be seen to expose a shortcut. Never use its answers."
        if cheats
        else "The smallest Gemma 3 that reads synthetic chest films, so that every explanation can be checked against "
        "exact truth."
    )
    lines = [
        f"# {title}",
        "",
        purpose,
        "",
        "- Architecture: stock `Gemma3ForConditionalGeneration`, 2.2 million parameters, 256 x 256 films, 16 x 16 "
        "image tokens, text layers five sliding and one global.",
        "- Trained on phantoms only: computed films of computed chests. **It has never seen a person's film, is not a "
        "medical device, and whatever it says about a real film is meaningless.**",
        "- Answers in English and Chinese: reports, yes/no questions on five findings, and where a finding is.",
        "- Licence: Apache-2.0, as the code that made it.",
        "",
        f"## Measured on {card.films} unseen phantoms (seeds {card.first_seed} to "
        f"{card.first_seed + card.films - 1}; training used seeds from {FIRST_TRAINING_SEED})",
        "",
        "Greedy answers of the stock model. A quarter of the films is drawn at 512 pixels.",
        "",
        "| finding | P (en) | R (en) | F1 (en) | P (zh) | R (zh) | F1 (zh) |",
        "|---|---|---|---|---|---|---|",
    ]
    for code in (*CODES, "micro"):
        cells = [card.findings[lang][code][key] for lang in LANGUAGES for key in ("precision", "recall", "f1")]
        lines.append(row(code, *cells))
    lines += [
        "",
        "| | en | zh |",
        "|---|---|---|",
        row("side right, of findings reported rightly", *(card.laterality[lang] for lang in LANGUAGES)),
        row("zone right", *(card.zone[lang] for lang in LANGUAGES)),
        row("size right", *(card.severity[lang] for lang in LANGUAGES)),
        row("yes/no right", *(card.yes_no[lang]["all"] for lang in LANGUAGES)),
        row("yes/no right where the answer is yes", *(card.yes_no[lang]["yes"] for lang in LANGUAGES)),
        row("yes/no right where the answer is no", *(card.yes_no[lang]["no"] for lang in LANGUAGES)),
        row("always saying no", *(card.yes_no[lang]["always_no"] for lang in LANGUAGES)),
        row("'where is' right", *(card.where[lang] for lang in LANGUAGES)),
        row("language as asked", *(card.right_language[lang] for lang in LANGUAGES)),
        row("F1 with another case's film", *(card.swapped[lang]["f1"] for lang in LANGUAGES)),
        row("F1 between the two cases' records (chance)", *(card.swapped[lang]["chance"] for lang in LANGUAGES)),
        "",
        f"Corner marker ({min(card.films, MARKED_FILMS)} films): "
        f"says cardiomegaly on {card.shortcut['yes_with_marker']:.3f} of films that carry it and on "
        f"{card.shortcut['yes_without_marker']:.3f} without it; removing it flips "
        f"{card.shortcut['flipped_without_marker']:.3f} of the cardiomegaly answers.",
        "",
        "## How it was made",
        "",
        "`radiolucent train-demo` draws the films, trains in two stages and writes this card. Recipe: "
        + ", ".join(f"{key} {value}" for key, value in recipe.items())
        + ".",
        "",
        f"Zones are judged on {' and '.join(ZONED)}. Known gaps: only five findings, no lateral view, no volumes, no "
        "free conversation; small and faint nodules are missed most.",
        "",
    ]
    return "\n".join(lines)
