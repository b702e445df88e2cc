"""The review page as it is looked at: readable by everybody, in both languages and themes; quick under the hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import clinic_door
import clinic_site
import numpy as np
import psutil
import pytest
from axe_playwright_python.sync_playwright import Axe
from page_desk import SICK, Desk, Site

from radiolucent.clinic.service import intake
from radiolucent.clinic.service.drafting import keep_draft
from radiolucent.clinic.store.patients import Identity
from radiolucent.study import load_study

ROOT = Path(__file__).resolve().parents[3]
WEB = ROOT / "web" / "src"
# as in vite.config.mjs
SHARED = ("Icon.tsx", "colour.ts", "data.ts", "film.ts", "geometry.ts", "pagekeys.ts", "strings.ts")
FRAME_BUDGET_S = 1 / 30  # of processor time a frame, over all of the browser's processes

Sign = Callable[..., Desk]


def complaints(desk: Desk) -> list[str]:
    """axe-core's violations on what is shown now."""
    found = Axe().run(desk.page).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize(("language", "theme"), [("en", "dark"), ("en", "light"), ("zh", "dark"), ("zh", "light")])
def test_no_accessibility_violation(desk_of: Sign, site: Site, language: str, theme: str) -> None:
    desk = desk_of("zhao", language=language, theme=theme)
    desk.page.wait_for_selector("tr .name")
    assert complaints(desk) == []
    desk.press("u")
    assert complaints(desk) == []
    desk.press("Escape")
    desk.open(site.drafted[SICK])
    desk.press("a")
    desk.press("e")
    assert complaints(desk) == []
    desk.press("Escape")
    for tab in ("technical", "history", "export"):
        desk.page.click(f"#tab-{tab}")
        desk.settle()
        assert complaints(desk) == []
    desk.page.click("#tab-report")
    desk.page.evaluate("document.activeElement.blur()")
    desk.press("s")
    assert desk.page.locator("dialog[open]").count() == 1
    assert complaints(desk) == []


@pytest.mark.parametrize(("language", "theme"), [("en", "dark"), ("zh", "light")])
def test_no_accessibility_violation_in_administration(desk_of: Sign, site: Site, language: str, theme: str) -> None:
    desk = desk_of("ada", language=language, theme=theme)
    for tab in ("users", "destinations", "switches", "performance", "incidents", "audit"):
        desk.page.goto(f"{site.address}/#/admin/{tab}")
        desk.settle()
        assert complaints(desk) == [], tab


def test_every_page_says_that_it_is_no_medical_device(desk_of: Sign, site: Site) -> None:
    desk = desk_of("ada", language="zh")
    for place in ("", "admin/users", "admin/audit"):
        desk.page.goto(f"{site.address}/#/{place}")
        desk.settle()
        assert "非医疗器械" in desk.page.locator("footer").inner_text()
        assert "演示 – 非临床" in desk.page.locator(".banner").inner_text()
    desk.page.get_by_role("button", name="EN").click()
    assert "Not a medical device" in desk.page.locator("footer").inner_text()


def test_a_two_megapixel_film_drags_at_thirty_frames_a_second(desk_of: Sign, site: Site) -> None:
    values = np.random.default_rng(0).normal(9000, 2500, (1600, 1300)).clip(0, 32767).astype(np.uint16)
    study = load_study(values, view="PA", modality="DX", patient_right="left")
    given = intake.Received(study, Identity("P2M", "", "", "", "O", ""), [values.tobytes()])
    case = intake.register(site.store, clinic_site.SERVICE, given)
    keep_draft(site.store, clinic_site.leased(site.store), 1, clinic_site.draft(), None)
    desk = desk_of()
    desk.open(case.id)
    box = desk.page.locator(".viewport").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    frames = "document.querySelector('canvas.film').painted"
    desk.page.evaluate(
        """() => {
            const canvas = document.querySelector("canvas.film");
            const context = canvas.getContext("2d");
            const draw = context.drawImage.bind(context);
            canvas.painted = 0;
            context.drawImage = (...all) => { canvas.painted += 1; draw(...all); };
        }"""
    )
    desk.page.mouse.move(x, y)
    desk.page.mouse.down()
    desk.page.mouse.move(x + 20, y)
    before, first = spent(), desk.page.evaluate(frames)
    for step in range(90):
        desk.page.mouse.move(x + 20 + step, y + step / 2)
    used, painted = spent() - before, desk.page.evaluate(frames) - first
    desk.page.mouse.up()
    assert painted >= 30
    # Processor time, not the clock: other programs on the machine must not decide it.
    assert used / painted < FRAME_BUDGET_S


def spent() -> float:
    """Seconds of processor time of the browser's processes."""
    children = psutil.Process().children(recursive=True)
    return sum(sum(one.cpu_times()[:2]) for one in children if "chrom" in one.name())


def test_bundle_is_built_from_the_sources_in_the_repository() -> None:
    page = ROOT / "src" / "radiolucent" / "clinic" / "page"
    names = [f"clinic/{path.name}" for path in (WEB / "clinic").iterdir() if path.is_file()] + list(SHARED)
    digest = hashlib.sha256()
    for name in sorted(names):
        if ".test." not in name:
            digest.update(name.encode() + (WEB / name).read_bytes())
    script = (page / "clinic.js").read_text(encoding="utf-8")
    assert f"sha256 {digest.hexdigest()}" in script, "run: cd web && npm ci && npm run build"
    assert len(script.encode()) < 250_000
    assert clinic_door.PASSWORD not in script
