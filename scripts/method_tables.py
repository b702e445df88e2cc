"""Write the registry's own words about each method into docs/methods: claim, cost, options, source.

    python scripts/method_tables.py

Each page keeps its table between two comments, and all else is left as it is; a test holds the tables against the
registry.
"""

from __future__ import annotations

import re
from pathlib import Path

from radiolucent.attribution.method import Method, Passes, Size
from radiolucent.attribution.registry import methods
from radiolucent.levels import PLANS
from radiolucent.report.wording import CLAIM_MEANINGS

PAGES = Path(__file__).resolve().parent.parent / "docs" / "methods"
BLOCK = "<!-- {name} -->\n{text}\n<!-- /{name} -->"


def write_tables() -> None:
    """The registry's tables, in every page and in the index."""
    for name, entry in methods().items():
        written_into(PAGES / f"{name}.md", "registry", registry_block(entry))
    written_into(PAGES / "index.md", "registry", index_block())


def registry_block(entry: Method) -> str:
    """One method, for its page."""
    one, three = (passes_text(entry.passes(Size(targets=number))) for number in (1, 3))
    rows = {
        "claim": f"**{entry.claim.replace('_', ' ')}**: {CLAIM_MEANINGS[entry.claim][0]}",
        "what it does": entry.en,
        "in Chinese": entry.zh,
        "cost": entry.cost,
        "at the 4B shape": f"one film of 256 cells, 34 layers. One finding: {one}. Three findings: {three}.",
        "options": ", ".join(f"`{name}={value!r}`" for name, value in entry.defaults.items()) or "none",
        "variants": ", ".join(f"`{entry.name}:{name}`" for name in entry.variants) or "none",
        "runs at level": levels_text(entry.name),
        "source": entry.citation,
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {cell(text)} |" for name, text in rows.items())])


def index_block() -> str:
    """All methods, strongest claim first."""
    rows = [
        f"| [{entry.name}]({entry.name}.md) | {entry.claim.replace('_', ' ')} | {cell(entry.cost)} | {cell(entry.en)} |"
        for entry in methods().values()
    ]
    return "\n".join(["| method | claim | cost | in one line |", "|---|---|---|---|", *rows])


def levels_text(name: str) -> str:
    """At which levels a method runs, and for which findings."""
    found = [f"`{level}`, every finding" for level, plan in PLANS.items() if name in plan.methods]
    found += [f"`{level}`, the main finding" for level, plan in PLANS.items() if name in plan.main_methods]
    return "; ".join(found) or "none; ask for it by name"


def passes_text(passes: Passes) -> str:
    """Counted passes in words."""
    named = (
        (passes.replays, "replay", "replays"),
        (passes.backwards, "gradient", "gradients"),
        (passes.encodes, "image encode", "image encodes"),
        (passes.vision_backwards, "gradient through the vision tower", "gradients through the vision tower"),
    )
    counted = [f"{count:g} {one if count == 1 else many}" for count, one, many in named if count]
    return ", ".join(counted) or "nothing beyond the report itself"


def cell(text: str) -> str:
    """Text inside a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def written_into(page: Path, name: str, text: str) -> None:
    """The page with a block's text replaced; a page without the block, or with two, is refused."""
    before = page.read_text(encoding="utf-8")
    start, end = BLOCK.format(name=name, text="\0").split("\0")
    after, number = re.subn(
        f"{re.escape(start)}.*?{re.escape(end)}",
        lambda _: BLOCK.format(name=name, text=text),
        before,
        flags=re.DOTALL,
    )
    if number != 1:
        raise SystemExit(f"{page.name} has {number} blocks {name!r}; expected one, between its two comments.")
    page.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    write_tables()
