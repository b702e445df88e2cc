"""The table as CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from radiolucent.faithfulness.lab.case import FLIP_NATS
from radiolucent.faithfulness.lab.records import CaseRecord, Score
from radiolucent.faithfulness.lab.run import Evaluation
from radiolucent.faithfulness.lab.statements import Statement, statements
from radiolucent.faithfulness.lab.words import FILL_WORDS, GROUPS, NOTES, TEXTS, Pair, both, measure_title
from radiolucent.faithfulness.metrics import Interval
from radiolucent.faithfulness.table import MEASURES, Comparison, MethodRow, hides

_DIGITS = {measure.name: measure.digits for measure in MEASURES}


def as_dict(evaluation: Evaluation, command: str = "") -> dict[str, Any]:
    """Everything that was measured, as JSON."""
    comparison, settings = evaluation.comparison, evaluation.settings
    return {
        "command": command,
        "model": settings["model"],
        "weights_sha256": settings["weights_sha256"],
        "cases": evaluation.source.title("en"),
        "films": comparison.cases,
        "films_failed": dict(comparison.failed),
        "lesions": comparison.lesions,
        "findings_asserted": comparison.asserted,
        "findings_explained": comparison.explained,
        "findings_with_counterfactual": comparison.swapped,
        "perturbation_on": dict(zip(("findings", "films"), comparison.perturbed, strict=True)),
        "sanity_on": dict(zip(("findings", "films"), comparison.checked, strict=True)),
        "notices": [notice.en for notice in evaluation.notices],
        "runs": [asdict(run) for run in evaluation.runs],
        "cpu_seconds": round(evaluation.cpu, 1),
        "seconds": {stage: round(seconds, 2) for stage, seconds in evaluation.seconds.items()},
        "statements": [asdict(one) for one in statements(comparison.rows)],
        "settings": settings,
        "methods": [row.flat() for row in comparison.rows],
    }


def as_csv(comparison: Comparison) -> str:
    """One line a method, one column a number; what was not measured is left empty."""
    rows = [row.flat() for row in comparison.rows]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: " ".join(map(str, one)) if isinstance(one, list) else one for key, one in row.items()})
    return stream.getvalue()


def as_markdown(evaluation: Evaluation, command: str = "") -> str:
    """Tables with intervals, and under each what it rests on, in both languages."""
    lines = [f"# {both(TEXTS['title'])}", "", both(TEXTS["not_device"]), ""]
    if command:
        lines += ["```", command, "```", ""]
    for note in (*general_notes(evaluation), *((one.en, one.zh) for one in evaluation.notices)):
        lines += [note[0], "", note[1], ""]
    said = statements(evaluation.comparison.rows)
    if said:
        lines += [f"## {both(TEXTS['statements'])}", ""]
        lines += [f"- **{both(verdict(one))}**: {one.en} {one.zh}" for one in said]
        lines.append("")
    for group, note in group_notes(evaluation.comparison).items():
        lines += [f"## {both(TEXTS[group])}", "", note[0], "", note[1], ""]
        heads, rows = cells(evaluation.comparison, group)
        if rows:
            lines += [
                "| " + " | ".join(both(head) for head in heads) + " |",
                "|" + "---|" * 2 + "---:|" * (len(heads) - 2),
                *("| " + " | ".join(row) + " |" for row in rows),
                "",
            ]
    return "\n".join(lines)


def verdict(statement: Statement) -> Pair:
    """Whether a statement holds, in words."""
    if statement.holds is None:
        return TEXTS["told"]
    return TEXTS["holds" if statement.holds else "fails"]


def as_findings(records: Sequence[CaseRecord]) -> str:
    """One line a finding: for each method its hit, and where it was measured its gap over random by the mean fill."""
    every = [(record, finding) for record in records for finding in record.findings]
    names = [score.method for score in every[0][1].scores] if every else []
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["film", "case", "code", "swap_nats", *(f"hit {name}" for name in names), *(f"gap {name}" for name in names)]
    )
    for record, finding in every:
        swap = "" if finding.swap is None else f"{finding.swap:.3f}"
        hits = [f"{score.hit:.3g}" for score in finding.scores]
        gaps = [_gap(score) for score in finding.scores]
        writer.writerow([record.number, record.case, finding.code, swap, *hits, *gaps])
    return stream.getvalue()


def _gap(score: Score) -> str:
    curves = () if score.perturbed is None else score.perturbed.curves
    return next((f"{curve.excess:.3f}" for curve in curves if curve.fill == "mean"), "")


def general_notes(evaluation: Evaluation) -> list[Pair]:
    """What all numbers rest on."""
    comparison = evaluation.comparison
    notes = []
    values: dict[str, Any] = {
        "films": comparison.cases,
        "lesions": comparison.lesions,
        "asserted": comparison.asserted,
        "explained": comparison.explained,
    }
    notes.append(
        (
            NOTES["films"][0].format(**values, title=evaluation.source.title("en")),
            NOTES["films"][1].format(**values, title=evaluation.source.title("zh")),
        )
    )
    if comparison.swapped:
        share = comparison.explained / comparison.asserted
        dropped = comparison.asserted - comparison.explained
        notes.append(_filled("swap", {"dropped": dropped, "nats": FLIP_NATS, "share": share}))
    else:
        notes.append(NOTES["no_swap"])
    if comparison.failed:
        notes.append(_filled("failed", {"failed": len(comparison.failed), "films": comparison.cases}))
    return notes


def group_notes(comparison: Comparison) -> dict[str, Pair]:
    """Group of columns -> what it rests on."""
    notes = {"localisation": _filled("intervals", {"explained": comparison.explained})}
    for group, kind, (findings, films) in (
        ("perturbation", "perturbed", comparison.perturbed),
        ("sanity", "checked", comparison.checked),
    ):
        values = {"findings": findings, "films": films}
        notes[group] = _filled(kind, values) if findings else NOTES[f"not_{kind}"]
    if comparison.perturbed[0]:
        notes["perturbation"] = _joined(notes["perturbation"], _fills(comparison))
    return {**notes, "cost": NOTES["cost"]}


def _fills(comparison: Comparison) -> Pair:
    """On how many findings each fill's gap rests."""
    every: dict[str, set[tuple[str, str]]] = {}
    for score in comparison.scores:
        for curve in () if score.perturbed is None else score.perturbed.curves:
            of_fill = every.setdefault(curve.fill, set())
            if hides(curve):
                of_fill.add((score.case, score.code))
    told = [(FILL_WORDS[fill], len(findings)) for fill, findings in every.items()]
    en, zh = NOTES["fills"]
    return (
        en.format(nats=FLIP_NATS, counts=", ".join(f"{words[0]} {count}" for words, count in told)),
        zh.format(nats=FLIP_NATS, counts="，".join(f"{words[1]} {count}" for words, count in told)),
    )


def _joined(first: Pair, second: Pair) -> Pair:
    return f"{first[0]} {second[0]}", first[1] + second[1]


def cells(comparison: Comparison, group: str) -> tuple[list[Pair], list[list[str]]]:
    """Headings and rows of one group of columns; no row where nothing of it was measured."""
    names = [name for name in GROUPS[group] if any(name in row.measures for row in comparison.rows)]
    randomised = group == "sanity" and any(row.cascade for row in comparison.rows)
    if not names and not randomised:
        return [], []
    heads: list[Pair] = [TEXTS["method"], TEXTS["claim"]]
    if group == "localisation":
        heads += [TEXTS["findings"], TEXTS["empty"]]
    heads += [measure_title(name) for name in names]
    if group == "localisation":
        heads.append(TEXTS["over_baseline"])
    if randomised:
        heads += [TEXTS["randomised_ssim"], TEXTS["randomised_rank"], TEXTS["passed"]]
    rows = []
    for row in comparison.rows:
        line = [row.method, both(TEXTS[row.claim])]
        if group == "localisation":
            line += [str(row.findings), str(row.empty)]
        line += [interval_text(row.measures.get(name), _DIGITS[name], group != "cost") for name in names]
        if group == "localisation":
            line.append(interval_text(row.over_baseline, 3, True, signed=True))
        if randomised:
            line += _verdicts(row)
        rows.append(line)
    return heads, rows


def interval_text(found: Interval | None, digits: int, bounds: bool, *, signed: bool = False) -> str:
    """A number with its interval; a dash where there is none."""
    if found is None:
        return "–"
    sign = "+" if signed else ""
    value = f"{found.value:{sign}.{digits}f}"
    if not bounds or found.cases < 2:  # of one film nothing can be told about others
        return value
    return f"{value} ({found.low:{sign}.{digits}f} to {found.high:{sign}.{digits}f})"


def _verdicts(row: MethodRow) -> list[str]:
    if not row.cascade:
        return ["–", "–", "–"]
    told = [f"{row.cascade[name].similarities[-1]:.2f} ({row.cascade[name].bar:.2f})" for name in ("ssim", "rank")]
    passed = all(verdict.passed for verdict in row.cascade.values())
    return [*told, both(TEXTS["yes" if passed else "no"])]


def _filled(key: str, values: Mapping[str, Any]) -> Pair:
    en, zh = NOTES[key]
    return en.format(**values), zh.format(**values)
