"""The record as a table for people: what was measured, the goal, whether it is met, and how it was measured."""

from __future__ import annotations

from typing import Any

from radiolucent.bench.record import Goal, Measurement, Record

BUSY = 0.5  # load beyond the bench's own threads from which times are called disturbed
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def table_of(record: Record) -> Any:
    """A rich table, one row a quantity, its way of measuring beneath it."""
    from rich import box
    from rich.table import Column, Table

    run = record.run
    table = Table(
        Column("what", ratio=3),
        Column("time", justify="right", no_wrap=True),
        Column("ratio", justify="right", no_wrap=True),
        Column("memory", justify="right", no_wrap=True),
        Column("passes", no_wrap=True),
        Column("goal", no_wrap=True),
        Column("met", no_wrap=True),
        box=box.SIMPLE,
        caption=disturbed(record),
        title=f"{run.get('model')} on {run.get('device')}, {run.get('threads')} threads, {run.get('tokens')} tokens",
    )
    for row in record.rows:
        how = row.error or row.how
        model = "" if row.model == run.get("model") else f" [{row.model}]"
        table.add_row(
            f"{row.what}{model}\n[dim]{_plain(how)}[/dim]",
            "" if row.seconds is None else seconds_text(row.seconds),
            "" if row.ratio is None else ratio_text(row),
            "" if row.bytes is None else bytes_text(row.bytes),
            passes_text(row),
            "" if row.goal is None else goal_text(row.goal),
            {True: "yes", False: "[bold red]no[/bold red]", None: "" if row.goal is None else "not measured"}[row.met],
        )
    return table


def disturbed(record: Record) -> str:
    """A warning where other work ran beside the bench: threads of its own explain a load of one core each at most."""
    cores, threads = record.run.get("cores") or 1, record.run.get("threads") or 1
    worst = max((section.load_average or 0.0 for section in record.sections.values()), default=0.0)
    if worst <= max(threads, cores / 2) + BUSY:
        return ""
    return (
        f"Other work ran on this machine (load average up to {worst:.1f} on {cores} cores): absolute times are too "
        "long, ratios of single runs uncertain."
    )


def goal_text(goal: Goal) -> str:
    """A goal in a few characters, such as ``≤ 3.00, encodes 1``."""
    texts = {
        "ratio": lambda value: f"{value:.2f}",
        "seconds": seconds_text,
        "bytes": bytes_text,
    }
    exact = "".join(f"\n{name} = {count}" for name, count in goal.counts.items())
    return f"≤ {texts[goal.of](goal.at_most)}{exact}"


def ratio_text(row: Measurement) -> str:
    """The ratio, marked where it was not run."""
    assert row.ratio is not None
    text = f"{row.ratio:.2f}" if row.ratio >= 0.1 else f"{row.ratio:.2g}"
    return f"~{text}" if row.extrapolated else text


def seconds_text(seconds: float) -> str:
    """Seconds or milliseconds."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def bytes_text(count: float) -> str:
    """Bytes in a readable unit."""
    for size, unit in UNITS:
        if abs(count) >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def passes_text(row: Measurement) -> str:
    """The passes that were counted, one kind a line."""
    counted = {"encodes": row.encodes, "prefills": row.prefills, "steps": row.steps, "forwards": row.forwards}
    return "\n".join(f"{count} {name}" for name, count in counted.items() if count)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
