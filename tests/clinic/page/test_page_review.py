"""A doctor at the review page: keys, what is hidden, what is never lost."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import clinic_site
from page_desk import SICK, Desk, Site
from playwright.sync_api import Response

from radiolucent.clinic.service import cases, review
from radiolucent.clinic.service.switches import set_switch

RECORD_TEXT = """
window.written = [];
const original = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
  window.written.push(text);
  return original.call(this, text, ...place);
};
"""

Sign = Callable[..., Desk]
ONE = (
    clinic_site.finding("pleural_effusion", side="right", severity="mild", words="small right pleural effusion"),
    clinic_site.finding("pneumothorax", "absent", words="no pneumothorax"),
)

NORMAL = tuple(clinic_site.finding(code, "absent") for code in ("pleural_effusion", "pneumothorax", "consolidation"))


def state(site: Site, case_id: str) -> Any:
    return cases.case(site.store, site.people["zhao"], case_id)


def test_normal_film_is_signed_with_four_keys(desk_of: Sign, site: Site) -> None:
    case = clinic_site.drafted_case(site.store, NORMAL)
    desk = desk_of()
    desk.open(case.id)
    desk.press("a", "t", "s", "Enter")
    desk.page.wait_for_selector(".state.signed")
    signed = state(site, case.id)
    assert signed.state == "signed"
    assert signed.signatures[0].user == "Dr Zhao"
    assert not [each for each in desk.complaints if "401" not in each]


def test_film_with_one_finding_is_signed_with_eight_keys_at_most(desk_of: Sign, site: Site) -> None:
    case = clinic_site.drafted_case(site.store, ONE)
    desk = desk_of()
    desk.open(case.id)
    keys = ("a", "y", "t", "s", "Enter")
    desk.press(*keys)
    desk.page.wait_for_selector(".state.signed")
    assert len(keys) <= 8
    assert "right pleural effusion" in state(site, case.id).texts.signed.impression


def test_nothing_of_the_ai_reaches_the_browser_before_its_key(desk_of: Sign, site: Site) -> None:
    case = clinic_site.drafted_case(site.store, ONE)
    desk = desk_of()
    seen: list[str] = []

    def keep(answer: Response) -> None:
        if f"cases/{case.id}" in answer.url and "pixels" not in answer.url:
            seen.append(answer.text())

    desk.page.on("response", keep)
    desk.open(case.id)
    assert seen and not any("effusion" in text for text in seen)
    assert not any("/maps" in url for url in desk.requests)
    desk.press("a")
    assert desk.page.locator(".finding").count() == 2


def test_reader_first_shows_the_draft_only_after_the_own_impression(desk_of: Sign, site: Site) -> None:
    set_switch(site.store, site.people["ada"], "reader_first", {"value": True})
    case = clinic_site.drafted_case(site.store, ONE, urgency=3, critical=True)
    set_switch(site.store, site.people["ada"], "reader_first", {"value": False})
    desk = desk_of()
    row = desk.page.locator("tr", has=desk.page.locator(f"a[href='#/case/{case.id}']"))
    row.wait_for()
    assert "Critical" not in row.inner_text() and "to check" not in row.inner_text()
    desk.open(case.id)
    desk.press("a")  # goes to the text, shows nothing
    assert desk.page.locator(".finding").count() == 0
    desk.page.keyboard.type("Blunted right angle.")
    desk.press("Control+Enter")
    desk.page.wait_for_selector(".finding")
    assert "Blunted" in state(site, case.id).texts.own_impression.impression


def test_side_that_nobody_verified_is_marked_and_confirmed(desk_of: Sign, site: Site) -> None:
    case = clinic_site.drafted_case(site.store, ONE, side=None)
    desk = desk_of()
    desk.page.add_init_script(RECORD_TEXT)
    desk.page.reload()
    desk.page.wait_for_selector(".top .me")
    desk.open(case.id)
    assert {"R?", "L?"} <= set(desk.page.evaluate("window.written"))
    assert "Side assumed, not verified" in desk.page.locator(".side-line").inner_text()
    desk.press("a", "y", "t", "s")
    assert "Side assumed" in desk.page.locator("dialog .blockers").inner_text()
    assert desk.page.locator("dialog button[type=submit]").is_disabled()
    desk.press("Escape")
    desk.page.evaluate("window.written = []")
    desk.press("x")
    desk.page.wait_for_selector(".side-line:not(.doubt)")
    assert state(site, case.id).side.confirmed_by == "Dr Zhao"
    written = set(desk.page.evaluate("window.written"))
    assert {"R", "L"} <= written and not {"R?", "L?"} & written


def test_the_prior_film_beside_it_carries_its_own_sides(desk_of: Sign, site: Site) -> None:
    first = clinic_site.drafted_case(site.store, NORMAL, patient_id="P-prior", side=None)
    case = clinic_site.drafted_case(site.store, NORMAL, patient_id="P-prior", side="left")
    desk = desk_of()
    desk.page.add_init_script(RECORD_TEXT)
    desk.page.reload()
    desk.page.wait_for_selector(".top .me")
    desk.open(case.id)
    assert {"R", "L"} <= set(desk.page.evaluate("window.written"))
    desk.press("p")
    desk.page.wait_for_function("window.written.includes('R?') && window.written.includes('L?')")
    assert any(f"/cases/{first.id}/frames/0/pixels" in each for each in desk.requests)


def test_text_is_saved_within_two_seconds(desk_of: Sign, site: Site) -> None:
    case = clinic_site.opened_case(site.store)
    desk = desk_of("zhao")
    desk.open(case.id)
    desk.page.get_by_role("button", name="Take over").click()
    box = desk.page.locator("textarea[name=findings]:not([readonly])")
    box.click()
    desk.page.keyboard.type("Seen.")
    typed = time.monotonic()
    while (text := state(site, case.id).texts.working) is None or text.findings != "Seen.":
        assert time.monotonic() - typed < 2, "not saved within two seconds"
        time.sleep(0.05)


def test_a_dead_line_loses_no_text(desk_of: Sign, site: Site) -> None:
    case = clinic_site.drafted_case(site.store, ONE)
    desk = desk_of()
    desk.open(case.id)
    desk.page.route("**/text", lambda route: route.abort())
    desk.page.fill("textarea[name=findings]", "Typed while the line was dead.")
    desk.page.wait_for_selector(".save-state.failed")
    assert desk.page.input_value("textarea[name=findings]") == "Typed while the line was dead."
    desk.page.unroute("**/text")
    desk.page.wait_for_selector(".save-state.saved", timeout=10_000)
    assert state(site, case.id).texts.working.findings == "Typed while the line was dead."


def test_a_session_that_ended_loses_no_text(desk_of: Sign, site: Site) -> None:
    case = clinic_site.drafted_case(site.store, ONE)
    desk = desk_of()
    desk.open(case.id)
    desk.page.context.clear_cookies()
    desk.page.fill("textarea[name=impression]", "Typed after the time-out.")
    dialog = desk.page.locator("dialog[open]")
    dialog.wait_for()
    dialog.locator("input[name=password]").fill("correct horse battery")
    dialog.locator("button[type=submit]").click()
    dialog.wait_for(state="detached")
    desk.page.wait_for_selector(".save-state.saved", timeout=10_000)
    assert state(site, case.id).texts.working.impression == "Typed after the time-out."


def test_two_people_s_words_are_both_kept_until_one_is_chosen(desk_of: Sign, site: Site) -> None:
    case = clinic_site.drafted_case(site.store, ONE)
    desk = desk_of()
    desk.open(case.id)
    desk.page.wait_for_selector("textarea[name=findings]:not([readonly])")
    now = state(site, case.id)
    review.save_text(site.store, site.people["zhao"], case.id, now.version, "From another window.", "")
    desk.page.fill("textarea[name=findings]", "Mine.")
    desk.page.wait_for_selector(".clash")
    assert desk.page.input_value("textarea[name=findings]") == "Mine."
    assert "From another window." in desk.page.locator(".clash").inner_text()
    desk.page.get_by_role("button", name="Keep mine").click()
    desk.page.wait_for_selector(".save-state.saved")
    assert state(site, case.id).texts.working.findings == "Mine."


def test_box_is_moved_by_keys_and_kept_with_the_decision(desk_of: Sign, site: Site) -> None:
    desk = desk_of()
    desk.open(site.drafted[SICK])
    desk.press("a")
    first = state(site, site.drafted[SICK]).findings
    target = next(one for one in first if one.must_rule)
    start = target.boxes[0]
    desk.press("b")
    for _ in range(4):
        desk.page.keyboard.press("ArrowRight")
    desk.press("Enter", "y")
    ruled = next(one for one in state(site, site.drafted[SICK]).findings if one.id == target.id)
    assert ruled.ruling is not None and ruled.ruling.decision == "accept"
    assert ruled.ruling.box is not None
    step = max(1, round(512 / 200))
    assert ruled.ruling.box["x0"] - start["x0"] == 4 * step
    assert ruled.ruling.box["y1"] == start["y1"]


def test_overlay_is_off_until_held_and_only_relied_on_is_shown(desk_of: Sign, site: Site) -> None:
    desk = desk_of()
    desk.open(site.drafted[SICK])
    desk.press("a")
    ink = """() => {
        const canvas = document.querySelector("canvas.marks");
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let n = 0;
        for (let i = 3; i < data.length; i += 4) n += data[i] > 0;
        return n;
    }"""
    bare = desk.page.evaluate(ink)
    desk.page.keyboard.down("v")
    desk.page.wait_for_timeout(300)
    held = desk.page.evaluate(ink)
    assert "not the lesion's outline" in desk.page.locator(".map-note").inner_text()
    assert desk.page.locator(".map-bar .claim").inner_text() == "Relied on"
    desk.page.keyboard.up("v")
    desk.page.wait_for_timeout(300)
    assert held > bare + 500
    assert desk.page.evaluate(ink) == bare
    shown = " ".join(desk.page.locator(".desk .panel").all_inner_texts())
    assert not re.search(r"\b(Attended|Sensitive)\b", shown)


def test_page_stores_nothing_and_asks_nobody_else(desk_of: Sign, site: Site) -> None:
    desk = desk_of()
    desk.open(site.drafted[SICK])
    desk.press("a")
    stores = "() => [localStorage.length, sessionStorage.length, document.cookie]"
    assert desk.page.evaluate(stores) == [0, 0, ""]
    assert all(url.startswith(site.address) for url in desk.requests)
    assert not [each for each in desk.complaints if "Content Security Policy" in each]
    assert not [url for url in desk.requests if "PHANTOM" in url.upper()]


def test_patient_id_is_searched_for_in_no_address(desk_of: Sign, site: Site) -> None:
    desk = desk_of()
    desk.page.fill("input[type=search]", f"PHANTOM{SICK}")
    desk.press("Enter")
    desk.page.wait_for_selector(f"a[href='#/case/{site.drafted[SICK]}']")
    assert desk.page.locator("tbody tr").count() == 1
    assert not [url for url in desk.requests if "PHANTOM" in url]
