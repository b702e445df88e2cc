"""The files of a run: table as CSV, JSON and Markdown, plots as SVG, films as JPEG, and one page with all of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from radiolucent.faithfulness.lab.records import write_atomically
from radiolucent.faithfulness.limits.factors import paired_factors
from radiolucent.faithfulness.limits.gallery import Shown, suggestion_films, typical_films
from radiolucent.faithfulness.limits.page import COLUMNS, HEADS, TITLE, page, row_cells
from radiolucent.faithfulness.limits.panels import figure
from radiolucent.faithfulness.limits.plots import Plot, plots_of
from radiolucent.faithfulness.limits.summary import held_words, method_words, nothing_words, notice_words, run_words
from radiolucent.faithfulness.limits.types import Comparison, Limits, Row, Share

CSV_COLUMNS = (
    "films",
    "outcome",
    "finding",
    "factor",
    "level",
    "hits",
    "count",
    "rate",
    "low",
    "high",
    "usual",
    "difference",
    "difference_low",
    "difference_high",
)


def write(limits: Limits, folder: Path) -> Path:
    """Write everything into a folder; returns the page's path.

    ``limits.html``, ``limits.json``, ``limits.csv``, ``limits.md`` and ``limits.zh.md``, ``plots/FACTOR.LANG.svg``,
    ``films/*.jpg``. The films are drawn again from their seeds.
    """
    edge = int(limits.settings["edge"])
    factors = paired_factors(edge)
    suggested = [suggestion_films(limits, suggestion, factors, edge) for suggestion in limits.suggestions]
    typical = typical_films(limits, factors, edge)
    plots = plots_of(limits)
    folder.mkdir(parents=True, exist_ok=True)
    for plot in plots:
        for language in ("en", "zh"):
            write_atomically(folder / "plots" / f"{plot.factor}.{language}.svg", _svg(plot, language))
    (folder / "films").mkdir(exist_ok=True)
    for shown in (*(shown for films in suggested for shown in films), *typical):
        for name, picture in zip(_names(shown), shown.pictures, strict=True):
            (folder / "films" / name).write_bytes(picture)
    stored = json.dumps(as_dict(limits), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / "limits.json", stored + "\n")
    write_atomically(folder / "limits.csv", as_csv(limits.rows))
    write_atomically(folder / "limits.md", as_markdown(limits, plots, suggested, "en"))
    write_atomically(folder / "limits.zh.md", as_markdown(limits, plots, suggested, "zh"))
    write_atomically(folder / "limits.html", page(limits, suggested, typical, plots))
    return folder / "limits.html"


def as_dict(limits: Limits) -> dict[str, Any]:
    """Plain JSON values: settings, table, every comparison, suggestions."""
    return {
        "settings": dict(limits.settings),
        "comparisons_made": {"first_step": limits.tests(1), "second_step": limits.tests(2)},
        "suggestions": [
            {
                "en": suggestion.en,
                "zh": suggestion.zh,
                "rests_on": _comparison(suggestion.main, members=True),
                "narrower": [_comparison(comparison) for comparison in suggestion.narrower],
                "also": [_comparison(comparison) for comparison in suggestion.also],
            }
            for suggestion in limits.suggestions
        ],
        "rows": [
            {
                "films": row.design,
                "outcome": row.outcome,
                "finding": row.code,
                "factor": row.factor,
                "conditions": [asdict(condition) for condition in row.conditions],
                **_share(row.share),
                "usual": row.usual,
                "difference": None if row.difference is None else list(row.difference),
            }
            for row in limits.rows
        ],
        "comparisons": [_comparison(comparison) for comparison in limits.comparisons],
    }


def as_csv(rows: Sequence[Row]) -> str:
    """The table with one row a group; machine names, no words."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        share = _share(row.share)
        level = " & ".join(f"{condition.relation} {condition.level}" for condition in row.conditions)
        writer.writerow(
            [
                row.design,
                row.outcome,
                row.code,
                row.factor,
                level,
                share["hits"],
                share["count"],
                share["rate"],
                share["low"],
                share["high"],
                int(row.usual),
                *(row.difference or ("", "", "")),
            ]
        )
    return stream.getvalue()


def as_markdown(limits: Limits, plots: Sequence[Plot], suggested: Sequence[Sequence[Shown]], language: str) -> str:
    """Suggestions, rules, plots and the table as Markdown."""
    which = language == "zh"
    lines = [f"# {TITLE[which]}", "", run_words(limits)[which], "", f"> {notice_words()[which]}", ""]
    lines += [f"## {HEADS['suggestions'][which]}", ""]
    for number, (suggestion, films) in enumerate(zip(limits.suggestions, suggested, strict=True), start=1):
        lines.append(f"{number}. {suggestion.text(language)}")
        links = [f"[{name}](films/{name})" for shown in films for name in _names(shown)]
        lines += [f"   {' '.join(links)}"] if links else []
    if not limits.suggestions:
        lines.append(nothing_words(limits)[which])
    held = held_words(limits)
    if held:
        lines += ["", f"### {HEADS['held'][which]}", "", *(f"- {words[which]}" for words in held)]
    lines += ["", f"## {HEADS['method'][which]}", "", method_words(limits)[which], ""]
    lines += [f"## {HEADS['plots'][which]}", ""]
    lines += [f"![{plot.factor}](plots/{plot.factor}.{language}.svg)" for plot in plots]
    lines += ["", f"## {HEADS['table'][which]}", ""]
    lines.append("| " + " | ".join(column[which] for column in COLUMNS) + " |")
    lines.append("|" + "---|" * len(COLUMNS))
    lines += ["| " + " | ".join(row_cells(row, language)) + " |" for row in limits.rows]
    return "\n".join(lines) + "\n"


def _svg(plot: Plot, language: str) -> str:
    return figure(plot.factor, plot.panels, language) + "\n"


def _names(shown: Shown) -> list[str]:
    """Files of a film's pictures; of a pair the unchanged film's too."""
    stem = f"{shown.kind}-{shown.code}-{shown.film.name}"
    return [f"{stem}.jpg"] if len(shown.pictures) == 1 else [f"{stem}-before.jpg", f"{stem}.jpg"]


def _share(share: Share) -> dict[str, Any]:
    known = share.count > 0
    return {
        "hits": share.hits,
        "count": share.count,
        "rate": round(share.rate, 6) if known else None,
        "low": round(share.low, 6),
        "high": round(share.high, 6),
    }


def _comparison(comparison: Comparison, *, members: bool = False) -> dict[str, Any]:
    """A comparison as plain values; ``members``: the seed and finding of every miss or alarm in the weak group."""
    stored = {key: value for key, value in asdict(comparison).items() if key != "members"}
    stored |= {"weak": _share(comparison.weak), "others": _share(comparison.others)}
    if members:
        stored["cases"] = [{"seed": seed, "finding": code} for seed, code in sorted(comparison.members)]
    return stored
