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
from typer.core import TyperGroup

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


class _WithClinic(TyperGroup):
    """The clinic's commands beside ours, loaded only when they are listed or called."""

    names = ("serve", "worker", "verify-audit", "admin", "backup", "restore", "retention")

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *self.names]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.names:
            return super().get_command(ctx, cmd_name)
        try:
            from radiolucent.clinic.commands import app as clinic
        except ImportError as missing:  # typed: it says what to install
            return _unavailable(cmd_name, str(missing))
        return _with_failures(cast(Any, typer.main.get_command(clinic)).commands[cmd_name])


app = typer.Typer(
    cls=_WithClinic,
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
        explanation = run(_load("demo"), study, language=language, level=_level(level), progress=not as_json)
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


@app.command(
    epilog="Example: `radiolucent evaluate --films 300 --workers 2 --out out/lab`; "
    "`radiolucent evaluate --shortcut --films 100 --first-seed 70000 --json`"
)
def evaluate(
    context: typer.Context,
    model: ModelOption = "demo",
    films: Annotated[int, typer.Option(help="Unseen phantoms with at least one lesion.")] = 100,
    methods: Annotated[
        str,
        typer.Option(
            help="Comma-separated; those of the committed table if left out. `attention:final` is the last layer's "
            "mean, the tutorial default."
        ),
    ] = "",
    lang: Annotated[str, typer.Option(help="`en` or `zh`.")] = "en",
    first_seed: Annotated[int, typer.Option(help="Seed of the first phantom.")] = 0,
    findings: Annotated[str, typer.Option(help="Phantom findings that count, comma-separated; all if left out.")] = "",
    difficulty: Annotated[
        str, typer.Option(help="Phantom lesions that count: `contrast=2..8,area=0.5..5` (noise ratio; % of the film).")
    ] = "",
    distractors: Annotated[bool, typer.Option(help="Side letters, tubes and leads on phantoms.")] = True,
    cases: Annotated[
        Path | None,
        typer.Option(help="Your own annotated films in place of phantoms: a folder, COCO, CheXlocalize or DICOM SEG."),
    ] = None,
    films_folder: Annotated[
        Path | None, typer.Option(help="Where the films of `--cases` lie, if not beside it.")
    ] = None,
    categories: Annotated[
        Path | None, typer.Option(help="JSON of category to finding code, for `--cases` with names of its own.")
    ] = None,
    faithfulness_on: Annotated[
        int | None, typer.Option(help="Films on which hiding cells is measured; a fifth, at most 50, if left out.")
    ] = None,
    sanity_on: Annotated[
        int | None,
        typer.Option(help="Films on which weights are randomised, maps repeated; a twentieth, at most 6, by default"),
    ] = None,
    grade: Annotated[bool, typer.Option("--grade", help="Grade every map too.")] = False,
    seed: SeedOption = 0,
    workers: Annotated[int | None, typer.Option(help="Processes, each with its own copy of the model.")] = None,
    resume: Annotated[bool, typer.Option(help="Keep the films that the folder holds already.")] = True,
    limits: Annotated[
        bool, typer.Option("--limits", help="Where the model fails instead: recall and false alarms by factor.")
    ] = False,
    shortcut: Annotated[
        bool,
        typer.Option(
            "--shortcut",
            help="Instead: does a corner marker on the film make the model name a finding, and do its explanations "
            "expose that? Beside the two bundled models, of which one was taught to cheat.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for films, tables, plots and report.html; a `.json` file: the table alone."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """How often each method's map points into the true lesion, and whether it tells what the model relied on.

    Films that are done are kept in the folder: stop at any time and run the same command again to go on.
    """
    with _failures(as_json):
        import tempfile

        from transformers.utils import logging

        from radiolucent.faithfulness.lab.choice import COMPARED
        from radiolucent.faithfulness.lab.formats import as_dict
        from radiolucent.faithfulness.lab.report import write_report
        from radiolucent.faithfulness.lab.run import Settings
        from radiolucent.faithfulness.lab.run import evaluate as run
        from radiolucent.faithfulness.lab.sources import source_of

        logging.disable_progress_bar()
        if limits:
            _limits(_load(model), films, first_seed, _language(lang), workers, resume, out, as_json)
            return
        if shortcut:
            _shortcut(model, films, first_seed, _language(lang), seed, out, as_json)
            return
        settings = Settings(
            model=model,
            source=source_of(
                films=films,
                first_seed=first_seed,
                findings=_names(findings),
                difficulty=difficulty,
                distractors=distractors,
                cases=cases,
                films_folder=films_folder,
                categories=categories,
            ),
            methods=tuple(_names(methods)) or COMPARED,
            language=_language(lang),
            perturb_on=faithfulness_on,
            check_on=sanity_on,
            grade=grade,
            seed=seed,
        )
        folder = out if out is not None and out.suffix != ".json" else None
        with tempfile.TemporaryDirectory() as passing:
            try:
                result = run(
                    settings,
                    folder or Path(passing),
                    workers=workers,
                    resume=resume,
                    say=None if as_json else _films_done(sys.stderr.isatty()),
                )
            except KeyboardInterrupt:
                kept = f"Finished films are kept in {folder}; run the same command again to go on."
                print(f"Interrupted. {kept if folder else 'Nothing was kept: no --out folder.'}", file=sys.stderr)
                raise typer.Exit(1) from None
        command = _command(context)
        stored = as_dict(result, command)
        if folder is not None:
            from radiolucent.report.embed import embed_font

            written = write_report(result, folder, command=command, embed=embed_font)
        elif out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(stored, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
        if as_json:
            _print_json(stored)
            return
        for notice in result.notices:
            print(f"! {notice.text(lang)}", file=sys.stderr)
        _show_comparison(result.comparison)
        if folder is not None:
            print(f"Report:  {written.page}\nTables:  {written.markdown}, {written.csv}, {written.table}")


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


@app.command(epilog="Example: `radiolucent bench --model demo --only plain,capture,samples --out bench.json`")
def bench(
    model: Annotated[
        str,
        typer.Option(
            "--model", help="`4b-random` (MedGemma's full shape, random weights), `demo`, a folder or a hub id."
        ),
    ] = "4b-random",
    tokens: Annotated[int, typer.Option(help="New tokens of every generation.")] = 100,
    findings: Annotated[int, typer.Option(help="Findings explained in each report.")] = 3,
    repeats: Annotated[int, typer.Option(help="Pairs of runs where a run is short enough to repeat.")] = 3,
    out: Annotated[
        Path, typer.Option(help="The record as JSON, kept after every section; a later run goes on from it.")
    ] = Path("bench.json"),
    only: Annotated[
        str, typer.Option(help="Comma-separated sections, measured again; all that are missing where left out.")
    ] = "",
    threads: Annotated[int | None, typer.Option(help="CPU threads; torch's own choice where left out.")] = None,
    device: Annotated[str, typer.Option(help="`auto`, `cpu` or `cuda`.")] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Measure what radiolucent costs on this machine: times, passes and memory as ratios of a plain generation."""
    with _failures(as_json):
        from transformers.utils import logging

        from radiolucent.bench import bench as run
        from radiolucent.bench.table import table_of

        logging.disable_progress_bar()
        try:
            record = run(
                model,
                tokens=tokens,
                findings=findings,
                repeats=repeats,
                only=[name.strip() for name in only.split(",") if name.strip()],
                out=out,
                threads=threads,
                device=device,
                say=lambda text: print(text, file=sys.stderr, flush=True),
            )
        except KeyboardInterrupt:
            print(f"Interrupted; finished sections are kept in {out}. Run it again to go on.", file=sys.stderr)
            raise typer.Exit(1) from None
        if as_json:
            _print_json(record.as_dict())
        else:
            _console().print(table_of(record))
            print(f"Record: {out}")
        if any(row.error for row in record.rows):
            raise typer.Exit(1)


@app.command(
    epilog="Example: `radiolucent calibrate --films 500 --out out/calibration`, then "
    "`radiolucent calibrate --check --words 50 --out out/check`"
)
def calibrate(
    context: typer.Context,
    cases: Annotated[
        Path | None,
        typer.Argument(help="CSV table of labelled films (film, code, present, side, patient); phantoms if left out."),
    ] = None,
    model: ModelOption = "demo",
    films: Annotated[int, typer.Option(help="Phantoms, where no table is given.")] = 500,
    first_seed: Annotated[
        int | None, typer.Option(help="Seed of the first phantom; 50000 to fit and 80000 to check if left out.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Fit nothing: hold a calibration against films that it never saw.")
    ] = False,
    calibration: Annotated[
        Path | None, typer.Option(help="To be checked; the one beside the weights if left out.")
    ] = None,
    words: Annotated[
        int,
        typer.Option(
            help="With `--check`: films of each kind (marked, blank, ordinary) on which the word for the kind of "
            "certainty is checked, with the two bundled models."
        ),
    ] = 0,
    question: Annotated[str | None, typer.Option("--question", "-q", help="The model's usual one if left out.")] = None,
    lang: Annotated[str, typer.Option(help="`en` or `zh`.")] = "en",
    risk: Annotated[float, typer.Option(help="Largest share of cases that may keep a wrong finding.")] = 0.1,
    seed: SeedOption = 0,
    out: OutOption = Path("out/calibration"),
    as_json: JsonOption = False,
) -> None:
    """Fit how probable it is that a finding is right, on films whose findings are known; good for this model only.

    With `--check` a calibration is held against other films. Films that are done are kept in the folder: stop at any
    time and run the same command again to go on.
    """
    with _failures(as_json), _films_kept(out):
        from radiolucent.calibrate import calibrate as run
        from radiolucent.calibrate import listed_cases, phantom_cases
        from radiolucent.vlm.types import Prompt

        loaded = _load(model)
        language = _language(lang)
        first = (80_000 if check else 50_000) if first_seed is None else first_seed
        known = phantom_cases(films, first_seed=first) if cases is None else listed_cases(cases)
        seeds = (first, first + films - 1) if cases is None else None
        prompt = Prompt(question or loaded.profile.question(language), language)
        say: Callable[[str], None] | None = None
        if not as_json and sys.stderr.isatty():
            say = lambda text: print(f"{text:<79}", end="\r", file=sys.stderr)  # noqa: E731
        if check:
            _check_calibration(
                loaded, known, seeds, prompt, calibration, words, first, seed, out, _command(context), as_json, say
            )
            return
        result = run(
            loaded,
            known,
            prompt,
            source="synthetic phantoms" if cases is None else "labelled films",
            seeds=seeds,
            risk=risk,
            seed=seed,
            out=out,
            say=say,
        )
        if as_json:
            _print_json(result.as_dict())
        else:
            print(result.text(language))
            print(f"Calibration: {out / 'calibration.json'}; plots beside it.")


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


def _check_calibration(
    model: Any,
    cases: Any,
    seeds: tuple[int, int] | None,
    prompt: Any,
    path: Path | None,
    words: int,
    first_seed: int,
    seed: int,
    out: Path,
    command: str,
    as_json: bool,
    say: Callable[[str], None] | None,
) -> None:
    from radiolucent.calibrate import check, observe, page, standings
    from radiolucent.confidence.calibrated import beside_weights
    from radiolucent.confidence.calibration import load

    made = beside_weights(model.folder, model.weights_hash, prompt) if path is None else load(path)
    if made is None:
        raise MalformedInput(
            "No calibration for this question lies beside the weights; make one with `radiolucent calibrate` and name "
            "it with `--calibration`."
        )
    made.check(model.weights_hash, prompt.question, prompt.language)
    made.check_unseen(seeds)
    seen = observe(model, cases, prompt, seed=seed, kept=out / "observed.jsonl", say=say)
    found = check(seen, made, seeds=seeds, seed=seed)
    standing: tuple[Any, ...] = ()
    if words:
        bundled = _load("demo"), _load("demo-shortcut")
        kept = out / "words.jsonl"
        standing = standings(
            *bundled, films=words, first_seed=first_seed, language=prompt.language, seed=seed, kept=kept, say=say
        )
    written = page.write(found, standing, out, command=command)
    if as_json:
        _print_json(page.as_dict(found, standing, command))
        return
    print(page.page(found, standing, command, prompt.language))
    print(f"Written: {', '.join(str(one) for one in written)}")


def _limits(
    model: Any,
    films: int,
    first_seed: int,
    language: Any,
    workers: int | None,
    resume: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    from radiolucent.faithfulness.limits import find_limits, write
    from radiolucent.faithfulness.limits.find import PAIRED

    folder = out or Path("out/limits")
    say: Callable[[str], None] | None = None
    if not as_json and sys.stderr.isatty():
        say = lambda text: print(text, end="\r", file=sys.stderr)  # noqa: E731
    found = find_limits(
        model,
        out=folder,
        films=films,
        paired=min(PAIRED, films),
        first_seed=first_seed,
        language=language,
        workers=workers or 2,
        progress=say,
        resume=resume,
    )
    page = write(found, folder)
    suggested = [{"en": one.en, "zh": one.zh} for one in found.suggestions]
    if as_json:
        _print_json({"suggestions": suggested, "page": str(page), "films": len(found.films)})
        return
    for one in suggested:
        print(f"- {one['zh' if language == 'zh' else 'en']}")
    if not suggested:
        print("在这些影像上未发现有统计支持的弱点。" if language == "zh" else "No weakness that these films support.")
    print(f"\nReport:  {page}")


def _shortcut(
    model: str, films: int, first_seed: int, language: Any, seed: int, out: Path | None, as_json: bool
) -> None:
    from radiolucent.faithfulness.shortcut_check import BUNDLED, as_dict, as_text, check_shortcut
    from radiolucent.findings import extract_findings
    from radiolucent.vlm.types import Prompt

    loaded = {name: _load(name) for name in dict.fromkeys((*BUNDLED, model))}
    asked = {name: (one, Prompt(one.profile.question(language), language)) for name, one in loaded.items()}
    said = None
    if not as_json and sys.stderr.isatty():
        said = lambda name, done, of: print(f"\r{name}: {done} of {of} films", end="", file=sys.stderr)  # noqa: E731
    reports = check_shortcut(
        asked, films=films, first_seed=first_seed, extract=extract_findings, seed=seed, progress=said
    )
    stored = as_dict(reports, first_seed=first_seed)
    if out is not None:
        path = out if out.suffix == ".json" else out / "shortcut.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(stored, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if as_json:
        _print_json(stored)
        return
    print(as_text(reports, language))


def _with_failures(command: Any) -> Any:
    """A clinic command whose errors end as ours do."""
    for inner in getattr(command, "commands", {}).values():
        _with_failures(inner)
    run = command.callback
    if run is not None and not hasattr(command, "commands"):

        def guarded(**given: Any) -> Any:
            with _failures(bool(given.get("as_json"))):
                return run(**given)

        command.callback = guarded
    return command


def _unavailable(name: str, message: str) -> Any:
    stub = typer.Typer(add_completion=False)

    @stub.command(name, help=f"Not installed: {message}")
    def fail() -> None:
        _fail(RadiolucentError(message), 1, False)

    return typer.main.get_command(stub)


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


@contextmanager
def _films_kept(out: Path) -> Iterator[None]:
    """On Ctrl-C say what is not lost."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"Interrupted. Finished films are kept in {out}; run the same command again to go on.", file=sys.stderr)
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


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _films_done(terminal: bool) -> Callable[[Any], None]:
    """Says how far a comparison is: one line that stays in place on a terminal, a line every half minute elsewhere."""
    import time

    last = 0.0

    def say(now: Any) -> None:
        nonlocal last
        over = now.done == now.films
        if not terminal and not over and time.monotonic() - last < 30:
            return
        last = time.monotonic()
        left = "" if now.left is None or over else f", about {now.left / 60:.0f} min left"
        failed = f", {now.failed} failed" if now.failed else ""
        text = f"{now.done} of {now.films} films{failed}{left}"
        end = "\n" if over or not terminal else ""
        print(f"\r{text:<60}" if terminal else text, end=end, file=sys.stderr, flush=True)

    return say


def _command(context: typer.Context) -> str:
    """The command with what was not left at its default; where it writes is not part of it."""
    import shlex

    words = ["radiolucent", str(context.info_name)]
    for parameter in context.command.params:
        value = context.params[str(parameter.name)]
        if parameter.name in ("out", "as_json", "workers", "resume") or value == parameter.default or value is None:
            continue
        off = isinstance(value, bool) and not value
        words.append((parameter.secondary_opts if off else parameter.opts)[0])
        words += [] if isinstance(value, bool) else [str(value)]
    return shlex.join(words)


def _console() -> Any:
    from rich.console import Console

    return Console(soft_wrap=False)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _where(bundle: Path) -> None:
    print(f"\nPicture:      {bundle / 'report.png'}\nInteractive:  {bundle / 'report.html'}")


def _summary(explanation: Explanation, bundle: Path) -> dict[str, Any]:
    from radiolucent.report.summary import clinical_summary

    trace, summary = explanation.trace, clinical_summary(explanation)
    return {
        "report": explanation.report,
        "summary": {"answer": summary.answer, "recheck": list(summary.recheck), "text": summary.text},
        "chain": [] if trace is None else [asdict(step) for step in trace.chain],
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
    from rich.text import Text

    from radiolucent.confidence.types import QUADRANT_WORDS
    from radiolucent.faithfulness.types import GRADE_WORDS
    from radiolucent.findings.names import describe
    from radiolucent.report.console import chain_pieces, report_pieces, summary_pieces
    from radiolucent.report.wording import probability

    zh = explanation.language == "zh"
    console = _console()
    console.print(f"\n[bold]{'问题' if zh else 'Question'}[/bold]  {explanation.prompt.question}", markup=True)
    console.print(Text.assemble((f"{'报告' if zh else 'Report'}    ", "bold"), *report_pieces(explanation)))
    console.print(Text.assemble(*summary_pieces(explanation)))
    calibrated = explanation.confidence is not None and explanation.confidence.calibrated
    heads = ("征象", "一致", "区间", "依据") if zh else ("finding", "agree", "interval", "evidence")
    table = Table(*heads, *((("概率" if zh else "probability"),) if calibrated else ()))
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
            *([probability(entry.probability) if entry and entry.probability is not None else ""] * calibrated),
        )
    console.print(table)
    if explanation.confidence is not None and explanation.confidence.note:
        console.print(explanation.confidence.note, style="dim", markup=False)
    console.print(Text.assemble(*chain_pieces(explanation)))
    for notice in _notices(explanation):
        console.print(f"! {notice.text(explanation.language)}", style="yellow", markup=False)


def _show_comparison(comparison: Comparison) -> None:
    from rich import box
    from rich.table import Column, Table

    heads = ("claim", "hit rate", "95 % interval", "energy", "AUC", "passes")
    columns = [Column("method", no_wrap=True), *(Column(head, no_wrap=True) for head in heads)]
    table = Table(*columns, box=box.SIMPLE, padding=(0, 1), collapse_padding=True, pad_edge=False)
    for row in comparison.rows:
        low, high = row.hit_interval
        table.add_row(
            row.method,
            row.claim,
            f"{row.hit:.3f}",
            f"{low:.3f}–{high:.3f}",
            f"{row.energy:.3f}",
            f"{row.auc:.3f}",
            f"{row.forwards:.0f}",
        )
    console = _console()
    console.print(table)
    console.print(
        "energy: share of the map inside the true mask. "
        f"{comparison.cases} films; {comparison.asserted} findings reported rightly, "
        + (
            f"{comparison.explained} of them need their lesion (removing it makes the words less likely)."
            if comparison.swapped
            else "all compared: without these films free of their lesion, none could be left out."
        )
    )
    for name, error in comparison.failed.items():
        console.print(f"! {name}: {error}", style="yellow", markup=False)
