"""The command line: thin over the public API.

Exit codes: 0 done, 1 failed, 2 bad input. Errors say what to do next and never show a traceback for bad input.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from radiolucent.errors import (
    MalformedInput,
    RadiolucentError,
    TargetNotFound,
    UnsupportedInput,
    UnsupportedModel,
    WeightsUnavailable,
)

if TYPE_CHECKING:
    from radiolucent.faithfulness.evaluate import Comparison
    from radiolucent.levels import Level
    from radiolucent.report.explanation import Explanation

BAD_INPUT = (MalformedInput, UnsupportedInput, TargetNotFound, WeightsUnavailable, UnsupportedModel, FileNotFoundError)

app = typer.Typer(
    name="radiolucent",
    help="What a medical vision-language model saw, what it relied on, how sure it is. Not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

ModelOption = Annotated[
    str, typer.Option("--model", envvar="RADIOLUCENT_MODEL", help="Hub id, folder of weights, or `demo`.")
]
LevelOption = Annotated[str, typer.Option(help="`quick`, `standard` or `deep`.")]
LanguageOption = Annotated[str | None, typer.Option("--lang", help="`en` or `zh`; the question's where left out.")]
SeedOption = Annotated[int, typer.Option(help="Of sampling and of control regions.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
OutOption = Annotated[Path, typer.Option(help="Folder for the bundle.")]


def main() -> None:
    """Entry point of the ``radiolucent`` command."""
    app()


@app.command(epilog="Example: `radiolucent demo --lang zh --out out/demo`")
def demo(
    out: OutOption = Path("out/demo"),
    lang: Annotated[str, typer.Option(help="`en` or `zh`.")] = "en",
    seed: Annotated[int, typer.Option(help="Of the phantom film.")] = 7,
    level: LevelOption = "standard",
    as_json: JsonOption = False,
) -> None:
    """Draw a synthetic film with a lesion on the patient's right, explain it, and check the maps against the truth."""
    with _failures(as_json):
        from radiolucent.explain import explain as run
        from radiolucent.faithfulness.pointing import pointing_hit
        from radiolucent.phantom.dicom import write_dicom
        from radiolucent.phantom.film import draw_case
        from radiolucent.phantom.record import Lesion
        from radiolucent.study import load_study

        language = _language(lang)
        case = draw_case(seed, lesions=(Lesion("consolidation", "right", "lower"),))
        out.mkdir(parents=True, exist_ok=True)
        study = load_study(write_dicom(case, out / "phantom.dcm"))
        explanation = run(
            _load("demo"), study, language=language, level=_level(level), progress=not as_json
        )
        bundle = explanation.save(out / "bundle")
        mask = case.masks["consolidation"]
        hits = {
            f"{method} ({made.claim})": bool(pointing_hit(made.values[0], mask, made.geometry[0]))
            for (method, finding), made in explanation.maps.items()
            if finding.startswith("consolidation")
        }
        if as_json:
            _print_json({**_summary(explanation, bundle), "planted": "consolidation, right lower zone", "hits": hits})
            return
        _show(explanation)
        console = _console()
        console.print("\nPlanted: consolidation, right lower zone. The map's peak lies inside the true mask:")
        for name, hit in hits.items():
            console.print(f"  {name:<32} {'yes' if hit else 'no'}")
        _where(bundle)


@app.command(epilog='Example: `radiolucent explain chest.dcm --question "请描述主要发现" --model demo --out out/case`')
def explain(
    image: Annotated[list[Path], typer.Argument(help="A film, a folder of slices, or several files.")],
    question: Annotated[
        str | None, typer.Option("--question", "-q", help="The model's usual one where left out.")
    ] = None,
    model: ModelOption = "google/medgemma-1.5-4b-it",
    level: LevelOption = "standard",
    lang: LanguageOption = None,
    out: OutOption = Path("out/explanation"),
    seed: SeedOption = 0,
    samples: Annotated[
        int | None, typer.Option(help="Sampled reports at most; the level's own number where left out.")
    ] = None,
    boxes: Annotated[
        bool, typer.Option("--boxes", help="Ask the model for its own boxes too and compare them with the maps.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would run and how long it would take; run nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a model report on a study and explain the report: a bundle with report.png and report.html.

    Ctrl-C after the report was written leaves a valid bundle of what was finished, marked as partial.
    """
    with _failures(as_json):
        from radiolucent.explain import ExplanationInterrupted, expected_cost
        from radiolucent.explain import explain as run
        from radiolucent.study import load_study

        study = load_study(image[0] if len(image) == 1 else list(image))
        language = None if lang is None else _language(lang)
        loaded = _load(model)
        if plan:
            _show_plan(*expected_cost(loaded, study, level=_level(level), samples=samples), language or "en", as_json)
            return
        try:
            explanation = run(
                loaded,
                study,
                question=question,
                language=language,
                level=_level(level),
                seed=seed,
                samples=samples,
                boxes=boxes,
                progress=not as_json,
            )
        except ExplanationInterrupted as interrupted:
            bundle = interrupted.explanation.save(out)
            print(f"Interrupted; what was finished is in {bundle}, marked as partial.", file=sys.stderr)
            raise typer.Exit(1) from None
        bundle = explanation.save(out)
        if as_json:
            _print_json(_summary(explanation, bundle))
            return
        _show(explanation)
        _where(bundle)


@app.command(epilog="Example: `radiolucent evaluate --films 100 --methods attention:final,token_ablation`")
def evaluate(
    model: ModelOption = "demo",
    films: Annotated[int, typer.Option(help="Unseen phantoms with at least one lesion.")] = 100,
    methods: Annotated[
        str, typer.Option(help="Comma-separated; `attention:final` is the last layer's mean, the tutorial default.")
    ] = "attention:final,attention,saliency,token_ablation",
    lang: Annotated[str, typer.Option(help="`en` or `zh`.")] = "en",
    first_seed: Annotated[int, typer.Option(help="Seed of the first film.")] = 0,
    out: Annotated[Path | None, typer.Option(help="File for the scores as JSON.")] = None,
    as_json: JsonOption = False,
) -> None:
    """How often each method's map points into the true lesion, beside maps that know nothing."""
    with _failures(as_json):
        from radiolucent.faithfulness.evaluate import compare_methods
        from radiolucent.faithfulness.phantoms import phantom_cases
        from radiolucent.findings import extract_findings
        from radiolucent.vlm.types import Prompt

        loaded = _load(model)
        language = _language(lang)
        say: Callable[[str], None] | None = None
        if not as_json and sys.stderr.isatty():
            say = lambda text: print(text, end="\r", file=sys.stderr)  # noqa: E731
        comparison = compare_methods(
            loaded,
            phantom_cases(films, first_seed=first_seed),
            [name.strip() for name in methods.split(",")],
            prompt=Prompt(loaded.profile.question(language), language),
            extract=lambda text: extract_findings(text, language),
            progress=say,
        )
        stored = {
            "model": loaded.name,
            "weights_sha256": loaded.weights_hash,
            "films": comparison.cases,
            "findings_asserted": comparison.asserted,
            "findings_explained": comparison.explained,
            "methods": [asdict(row) for row in comparison.rows],
        }
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(stored, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
        if as_json:
            _print_json(stored)
        else:
            _show_comparison(comparison)


@app.command(epilog="Example: `radiolucent methods --lang zh`")
def methods(
    lang: Annotated[str, typer.Option(help="`en` or `zh`.")] = "en",
    as_json: JsonOption = False,
) -> None:
    """Every attribution method: what it claims, what it costs, where it comes from."""
    with _failures(as_json):
        from radiolucent.attribution.registry import methods as registered

        entries = registered()
        language = _language(lang)
        if as_json:
            _print_json(
                {
                    name: {
                        "claim": entry.claim,
                        "description": entry.description(language),
                        "cost": entry.cost,
                        "citation": entry.citation,
                        "options": {key: repr(value) for key, value in entry.defaults.items()},
                    }
                    for name, entry in entries.items()
                }
            )
            return
        from rich.table import Table

        table = Table("method", "claim", "what", "cost", "source")
        for name, entry in entries.items():
            table.add_row(name, entry.claim, entry.description(language), entry.cost, entry.citation)
        _console().print(table)


@app.command("train-demo", epilog="Example: `radiolucent train-demo --work runs/demo`")
def train_demo(
    work: Annotated[Path, typer.Option(help="Films, checkpoints and log; an interrupted run goes on from here.")],
    shortcut: Annotated[
        Path | None, typer.Option(help="Checkpoint (`whole.pt`) of an honest run: train the cheating model from it.")
    ] = None,
    films: Annotated[int, typer.Option(help="Unseen phantoms for the model card.")] = 500,
) -> None:
    """Draw the training films, train the demo model, measure it, and write its folder with the model card."""
    with _failures(False):
        from dataclasses import asdict as fields

        from radiolucent.demo_card import measure, write_card
        from radiolucent.phantom.training import SHORTCUT, Recipe, train

        recipe = SHORTCUT if shortcut is not None else Recipe()
        folder = train(work, recipe, say=lambda line: print(line, flush=True), start=shortcut)
        card = measure(folder, films=films)
        write_card(card, folder, fields(recipe), cheats=shortcut is not None)
        print((folder / "MODEL_CARD.md").read_text(encoding="utf-8"))


@contextmanager
def _failures(as_json: bool) -> Iterator[None]:
    """Turn errors into one clear message and the exit code that scripts rely on."""
    try:
        yield
    except RadiolucentError as error:
        _fail(error, 2 if isinstance(error, BAD_INPUT) else 1, as_json)
    except FileNotFoundError as error:
        _fail(error, 2, as_json)
    except KeyboardInterrupt:
        print("Interrupted; nothing was written.", file=sys.stderr)
        raise typer.Exit(1) from None


def _fail(error: Exception, code: int, as_json: bool) -> None:
    if as_json:
        _print_json({"error": type(error).__name__, "message": str(error)})
    else:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    raise typer.Exit(code) from None


def _load(name: str) -> Any:
    from transformers.utils import logging

    from radiolucent.vlm.load import load_model

    logging.disable_progress_bar()  # one bar is enough: ours
    return load_model(name)


def _language(text: str) -> Any:
    if text not in ("en", "zh"):
        raise MalformedInput(f"Language {text!r} is unknown; use 'en' or 'zh'.")
    return text


def _level(text: str) -> Level:
    from radiolucent.levels import PLANS

    if text not in PLANS:
        raise MalformedInput(f"Level {text!r} is unknown; use one of {', '.join(PLANS)}.")
    return cast("Level", text)


def _show_plan(plan: Any, expected: Any, language: str, as_json: bool) -> None:
    from radiolucent.levels import described

    if as_json:
        _print_json({"seconds": expected.seconds, "steps": [asdict(step) for step in expected.steps]})
    else:
        print(described(plan, expected, language))


def _console() -> Any:
    from rich.console import Console

    return Console(soft_wrap=False)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _where(bundle: Path) -> None:
    print(f"\nPicture:      {bundle / 'report.png'}\nInteractive:  {bundle / 'report.html'}")


def _summary(explanation: Explanation, bundle: Path) -> dict[str, Any]:
    return {
        "report": explanation.report,
        "findings": [
            {
                "id": finding.id,
                "code": finding.code,
                "polarity": finding.polarity,
                "side": finding.side,
                "zone": finding.zone,
                "severity": finding.severity,
                "words": finding.words,
            }
            for finding in explanation.findings
        ],
        "warnings": [notice.text(explanation.language) for notice in _notices(explanation)],
        "bundle": str(bundle),
        "report_html": str(bundle / "report.html"),
        "report_png": str(bundle / "report.png"),
        "demo_model": explanation.is_demo,
    }


def _notices(explanation: Explanation) -> list[Any]:
    return list({notice.en: notice for notice in (*explanation.study.warnings, *explanation.warnings)}.values())


def _show(explanation: Explanation) -> None:
    from rich.table import Table

    from radiolucent.confidence.types import QUADRANT_WORDS
    from radiolucent.faithfulness.types import GRADE_WORDS
    from radiolucent.findings.names import describe

    zh = explanation.language == "zh"
    console = _console()
    console.print(f"\n[bold]{'问题' if zh else 'Question'}[/bold]  {explanation.prompt.question}", markup=True)
    console.print(f"[bold]{'报告' if zh else 'Report'}[/bold]    {explanation.report}\n", markup=True)
    heads = ("征象", "一致", "区间", "依据") if zh else ("finding", "agree", "interval", "evidence")
    table = Table(*heads)
    for finding in explanation.findings:
        entry = explanation.confidence.of(finding.id) if explanation.confidence else None
        evidence = QUADRANT_WORDS[entry.quadrant][zh] if entry and entry.quadrant else ""
        grades = [
            grade.grade
            for (method, finding_id), grade in explanation.faithfulness.items()
            if finding_id == finding.id and explanation.maps[method, finding_id].claim == "relied_on"
        ]
        if grades:
            best = min(grades, key=list(GRADE_WORDS).index)
            evidence = f"{evidence}, {GRADE_WORDS[best][zh]}".strip(", ")
        table.add_row(
            describe(finding, explanation.language),
            f"{entry.support}/{entry.samples}" if entry else "",
            f"{entry.low:.2f}–{entry.high:.2f}" if entry else "",
            evidence,
        )
    console.print(table)
    if explanation.confidence is not None and explanation.confidence.note:
        console.print(explanation.confidence.note, style="dim", markup=False)
    for notice in _notices(explanation):
        console.print(f"! {notice.text(explanation.language)}", style="yellow", markup=False)


def _show_comparison(comparison: Comparison) -> None:
    from rich import box
    from rich.table import Column, Table

    heads = ("claim", "hit rate", "95 % interval", "energy", "AUC", "passes")
    table = Table(Column("method", no_wrap=True), *(Column(head, no_wrap=True) for head in heads), box=box.SIMPLE)
    for row in comparison.rows:
        low, high = row.hit_interval
        table.add_row(
            row.method, row.claim, f"{row.hit:.3f}", f"{low:.3f}–{high:.3f}", f"{row.energy:.3f}", f"{row.auc:.3f}",
            f"{row.forwards:.0f}",
        )
    console = _console()
    console.print(table)
    console.print(
        "energy: share of the map inside the true mask. "
        f"{comparison.cases} films; {comparison.asserted} findings reported rightly, {comparison.explained} of them "
        "need their lesion (removing it makes the words less likely)."
    )
