"""The comparison written to a folder: table.csv, table.json, table.md, plots, and one self-contained page."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from radiolucent.faithfulness.baselines import BASELINES
from radiolucent.faithfulness.lab.formats import (
    as_csv,
    as_dict,
    as_findings,
    as_markdown,
    cells,
    general_notes,
    group_notes,
    verdict,
)
from radiolucent.faithfulness.lab.pictures import Example, examples
from radiolucent.faithfulness.lab.plots import plots
from radiolucent.faithfulness.lab.records import write_atomically
from radiolucent.faithfulness.lab.run import Evaluation
from radiolucent.faithfulness.lab.statements import statements
from radiolucent.faithfulness.lab.words import NOTES, TEXTS, both
from radiolucent.findings.names import code_name

PLOTS = {"localisation": ("hits",), "perturbation": ("curves",), "sanity": ("cascade",), "cost": ("cost",)}
PLOT_TITLES = {"hits": "hits", "curves": "curves", "cascade": "cascade", "cost": "cost_plot"}

Embed = Callable[[str], bytes]
"""The page's text -> a font (WOFF) that holds its characters."""


@dataclass(frozen=True)
class Written:
    """Where the report lies."""

    page: Path
    table: Path
    csv: Path
    findings: Path
    markdown: Path


def write_report(evaluation: Evaluation, folder: Path, *, command: str = "", embed: Embed | None = None) -> Written:
    """Write every form of the report into a folder, beside the films' records.

    Parameters
    ----------
    command
        That made it, printed in each form.
    embed
        Gives the page a font for its Chinese; the reader's own where None.
    """
    written = Written(
        folder / "report.html",
        folder / "table.json",
        folder / "table.csv",
        folder / "findings.csv",
        folder / "table.md",
    )
    drawn = plots(evaluation.comparison)
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    for name, png in drawn.items():
        (folder / "plots" / f"{name}.png").write_bytes(png)
    stored = json.dumps(as_dict(evaluation, command), indent=2, ensure_ascii=False) + "\n"
    write_atomically(written.table, stored)
    write_atomically(written.csv, as_csv(evaluation.comparison))
    write_atomically(written.findings, as_findings(evaluation.records))
    write_atomically(written.markdown, as_markdown(evaluation, command))
    write_atomically(written.page, page(evaluation, drawn, command=command, embed=embed))
    return written


def page(evaluation: Evaluation, drawn: dict[str, bytes], *, command: str = "", embed: Embed | None = None) -> str:
    """The self-contained page: tables, plots, and each method's best and worst cases. It loads nothing.

    Parameters
    ----------
    drawn
        Name -> PNG of the plots.
    """
    comparison = evaluation.comparison
    notes = group_notes(comparison)
    opened = evaluation.source.open()
    shown = examples(
        list(evaluation.records),
        lambda number: opened[number - 1],
        [row.method for row in comparison.rows if row.method not in BASELINES],
    )
    groups = []
    for group in PLOTS:
        heads, rows = cells(comparison, group)
        groups.append(
            {
                "name": group,
                "title": TEXTS[group],
                "note": notes[group],
                "heads": heads,
                "rows": rows,
                "plots": [
                    {"title": TEXTS[PLOT_TITLES[name]], "data": _base64(drawn[name])}
                    for name in PLOTS[group]
                    if name in drawn
                ],
            }
        )
    values: dict[str, Any] = {
        "texts": TEXTS,
        "model": evaluation.settings["model"],
        "notes": [*general_notes(evaluation), *((one.en, one.zh) for one in evaluation.notices)],
        "statements": [(verdict(one), (one.en, one.zh)) for one in statements(comparison.rows)],
        "groups": groups,
        "baselines": list(BASELINES),
        "examples_note": NOTES["examples"],
        "examples": {method: [_example(one) for one in some] for method, some in shown.items()},
        "failed": dict(comparison.failed),
        "settings": json.dumps(evaluation.settings, indent=2, ensure_ascii=False),
        "command": command,
    }
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(
        (files("radiolucent.faithfulness.lab") / "page.html").read_text(encoding="utf-8")
    )
    without = template.render(**values, font="")
    if embed is None:
        return without
    return template.render(**values, font=_base64(embed(without)))


def _example(one: Example) -> dict[str, Any]:
    return {
        "rank": one.rank,
        "case": one.score.case,
        "code": (code_name(one.score.code, "en"), code_name(one.score.code, "zh")),
        "auprc": f"{one.score.average_precision:.2f}",
        "hit": f"{one.score.hit:.2g}",
        "empty": one.score.empty,
        "words": one.words,
        "data": _base64(one.picture),
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def summary(evaluation: Evaluation) -> str:
    """The notes under the table on a terminal, in both languages."""
    return "\n".join(both(note) for note in general_notes(evaluation))
