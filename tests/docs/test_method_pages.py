"""The methods' pages say what the registry says, show a picture of their own, and lead nowhere that is not there."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from radiolucent.attribution.registry import method, methods

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "methods"
PICTURES = PAGES / "pictures"
NAMES = sorted(methods())
LARGEST_PICTURE, LARGEST_FOLDER = 60_000, 1_500_000  # bytes
LONGEST = 120  # lines
SECTIONS = ("What it claims", "How it is computed here", "Options", "When it misleads", "Use it")


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def block(text: str, name: str) -> str:
    (found,) = re.findall(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", text, re.DOTALL)
    return found


def rows(table: str) -> dict[str, str]:
    """Two columns of a Markdown table as written."""
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
    return {one[0].strip(): one[1].strip().replace("\\|", "|") for one in cells if len(one) == 2}


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("method_tables", ROOT / "scripts" / "method_tables.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_method_has_a_page_and_every_page_a_method() -> None:
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted([*NAMES, "index"])


@pytest.mark.parametrize("name", NAMES)
def test_page_names_claim_cost_and_source_of_the_registry(name: str) -> None:
    entry, table = method(name), rows(block(page(name), "registry"))
    assert table["claim"].startswith(f"**{entry.claim.replace('_', ' ')}**")
    assert table["cost"] == entry.cost
    assert table["source"] == entry.citation
    assert table["what it does"] == entry.en
    assert table["in Chinese"] == entry.zh
    assert all(f"`{name}:{variant}`" in table["variants"] for variant in entry.variants)
    assert all(f"`{option}=" in table["options"] for option in entry.defaults)


@pytest.mark.parametrize("name", NAMES)
def test_page_is_what_the_script_writes(name: str, tables: ModuleType) -> None:
    assert block(page(name), "registry") == tables.registry_block(method(name)), "run scripts/method_tables.py"


@pytest.mark.parametrize("name", NAMES)
def test_page_is_short_and_holds_its_sections(name: str) -> None:
    text = page(name)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    places = [next((at for at, one in enumerate(headings) if one.startswith(wanted)), -1) for wanted in SECTIONS]
    assert -1 not in places and places == sorted(places)
    assert len(text.splitlines()) <= LONGEST
    assert "does **not** claim" in text


@pytest.mark.parametrize("name", NAMES)
def test_page_claims_in_bold_what_the_registry_claims(name: str) -> None:
    said = re.search(r"## What it claims\n\n\*\*(.+?)\*\*", page(name))
    assert said is not None and said.group(1).lower() == method(name).claim.replace("_", " ")


def test_index_lists_every_method_in_the_order_of_the_registry(tables: ModuleType) -> None:
    text = page("index")
    assert block(text, "registry") == tables.index_block(), "run scripts/method_tables.py"
    assert re.findall(r"^\| \[(\w+)\]", text, re.MULTILINE) == list(methods())
    measured = re.findall(r"^\| (\w+) \|", block(text, "measured"), re.MULTILINE)
    assert measured[1:] == list(methods()), "run scripts/method_pictures.py"


@pytest.mark.parametrize("name", NAMES)
def test_picture_is_small_and_shows_something(name: str) -> None:
    measured = block(page(name), "measured")
    (shown,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", measured)
    path = PAGES / shown
    assert path.stat().st_size <= LARGEST_PICTURE
    with Image.open(path) as image:
        assert image.format in ("JPEG", "PNG")
        assert 400 <= image.width <= 1000 and 300 <= image.height <= 1000
        colours = np.asarray(image.convert("RGB"), dtype=float)
    assert colours.std() > 20
    coloured = np.ptp(colours, axis=2) > 60  # films are grey: outlines and maps are not
    assert 0.002 < coloured.mean() < 0.5


@pytest.mark.parametrize("name", NAMES)
def test_caption_says_what_was_measured(name: str) -> None:
    measured = block(page(name), "measured")
    assert "phantom" in measured and re.search(r"\d+\.\d+", measured)
    assert re.search(r"highest value in the lesion \d+ of \d+ \(\d\.\d\d\)", measured)


def test_pictures_are_few_and_all_are_shown() -> None:
    files = [path for path in PICTURES.iterdir() if path.is_file()]
    assert sorted(path.stem for path in files) == NAMES
    assert sum(path.stat().st_size for path in files) <= LARGEST_FOLDER


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if not re.match(r"https?://", link):
            assert not link.startswith("/"), link
            assert (path.parent / link).exists(), link


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_no_path_of_a_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.:/])/(work|home|root|tmp|usr|Users|var|opt)\b|file://|[A-Z]:\\", text)


@pytest.mark.parametrize("name", [*NAMES, "index"])
def test_examples_call_what_there_is(name: str) -> None:
    """Every call of ``rl.attribute`` names a method, and options that it takes; every ``name:variant`` exists."""
    text = page(name)
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        for call in [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]:
            if ast.unparse(call.func) == "rl.attribute":
                asked = method(ast.literal_eval(call.args[4]))
                assert {keyword.arg for keyword in call.keywords} <= set(asked.defaults)
    for variant in re.findall(rf"\b((?:{'|'.join(NAMES)}):[a-z_]+)\b", text):
        method(variant)
