"""A doctor's whole day in a real browser, from the film coming in to the report in a real archive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from orthanc_server import Orthanc
from page_desk import Desk, Site
from playwright.sync_api import expect

from radiolucent.clinic.jobs.worker import Worker
from radiolucent.clinic.ops.destinations import DestinationView, add_destination
from radiolucent.clinic.ops.work import handlers
from radiolucent.clinic.service import cases, exporting
from radiolucent.clinic.service.switches import set_switch
from radiolucent.phantom.dicom import write_dicom
from radiolucent.phantom.film import draw_case
from radiolucent.phantom.record import Lesion

OWN = "Three things to see on this film, I think."
CODES = ("pleural_effusion", "nodule", "consolidation")


@pytest.fixture
def worker(site: Site) -> Iterator[threading.Thread]:
    """Not started: the page is looked at before anything is drafted."""
    made = Worker(site.store, handlers(site.store))
    thread = threading.Thread(target=made.run, daemon=True)
    yield thread
    made.stop()
    if thread.is_alive():
        thread.join(60)


def test_film_in_draft_review_signature_and_report_in_the_archive(
    desk_of: Callable[..., Desk], site: Site, orthanc: Orthanc, worker: threading.Thread, tmp_path: Path
) -> None:
    zhao, ada = site.people["zhao"], site.people["ada"]
    lesions = (
        Lesion("pleural_effusion", "right", severity="moderate"),
        Lesion("nodule", "left", "upper"),
        Lesion("consolidation", "left", "lower"),
    )
    film = write_dicom(draw_case(101, lesions=lesions), tmp_path / "film.dcm")
    add_destination(
        site.store,
        ada,
        DestinationView("archive", "stow", orthanc.web, None, None, None, verify_tls=True, enabled=True),
    )
    set_switch(site.store, ada, "reader_first", {"value": True})
    desk = desk_of()
    page = desk.page

    # the film comes in; its draft is made while the worklist is watched
    desk.press("u")
    page.set_input_files("dialog input[type=file]", str(film))
    page.fill("dialog textarea", "Cough for three days.")
    page.locator("dialog button[type=submit]").click()
    page.wait_for_selector("dialog[open]", state="detached")
    row = page.locator("tbody tr", has=page.locator("progress")).first
    row.wait_for()
    case_id = row.locator("a[href*='/case/']").first.get_attribute("href").split("/")[-1]  # type: ignore[union-attr]
    set_switch(site.store, ada, "reader_first", {"value": False})
    worker.start()
    mine = page.locator("tr", has=page.locator(f"a[href='#/case/{case_id}']"))
    expect(mine.locator("progress")).to_have_count(0, timeout=120_000)

    # read first, then the draft
    desk.open(case_id)
    assert page.locator(".finding").count() == 0
    desk.press("a")
    page.keyboard.type(OWN)
    desk.press("Control+Enter")
    page.wait_for_selector(".finding")
    found = [one for one in cases.case(site.store, zhao, case_id).findings if one.must_rule]
    assert {one.code for one in found} == set(CODES)
    by_code = {one.code: one for one in found}

    def line(code: str) -> str:
        return f"li.finding[data-finding='{by_code[code].id}']"

    # the box of one is moved, then the finding accepted; one is rejected, one accepted, one added
    page.locator(f"{line('nodule')} button.phrase").click()
    desk.settle()
    desk.press("b")
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    desk.press("Enter")
    for code, act in (("nodule", "Accept"), ("consolidation", "Reject"), ("pleural_effusion", "Accept")):
        page.locator(f"{line(code)} button[aria-label='{act}']").click()
        desk.settle()
    page.get_by_role("button", name="Add a finding").click()
    form = page.locator(".findings form")
    form.locator("select").first.select_option("fibrosis")
    form.locator("label", has_text="Side").locator("select").select_option("right")
    form.locator("label", has_text="Zone").locator("select").select_option("upper")
    form.locator("button[type=submit]").click()
    form.wait_for(state="detached")
    desk.settle()

    # the text is suggested from the rulings, edited and signed
    page.get_by_role("button", name="Insert suggested text").first.click()
    desk.settle()
    impression = page.locator("textarea[name=impression]")
    impression.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("\nFollow-up film in six weeks.")
    page.wait_for_selector(".save-state.saved", timeout=10_000)
    page.get_by_role("button", name="Sign", exact=False).last.click()
    page.locator("dialog[open] button[type=submit]").click()
    page.wait_for_selector(".state.signed")

    # and it goes to the archive
    page.get_by_role("tab", name="Export").click()
    page.locator(".exports select").select_option("archive")
    page.locator(".exports button[type=submit]").click()
    expect(page.locator(".exports tbody td", has_text="sent").first).to_be_visible(timeout=60_000)
    expect(page.locator(".exports .fault")).to_have_count(0)

    view = cases.case(site.store, zhao, case_id)
    sent = {one.kind: one for one in exporting.exports(site.store, zhao, case_id)}
    assert {one.state for one in sent.values()} == {"sent"}
    stored = {kind: pydicom.dcmread(BytesIO(orthanc.file_of(one.sop_uid))) for kind, one in sent.items()}
    texts = [everything(data) for data in stored.values() if data.Modality == "SR"]
    written = next(text for text in texts if "Follow-up film in six weeks." in text)
    assert view.texts.signed is not None and view.texts.signed.impression in written
    assert view.texts.signed.findings in written
    measured = next(text for text in texts if text is not written)
    assert "Pleural effusion" in measured and "nodule" in measured.lower() and "fibrosis" in measured.lower()
    assert "consolidation" not in measured.lower()
    assert view.texts.own_impression is not None and view.texts.own_impression.impression == OWN
    ruled = next(one for one in view.findings if one.code == "nodule")
    assert ruled.ruling is not None and ruled.ruling.box is not None
    assert ruled.ruling.box["y0"] > ruled.boxes[0]["y0"]
    assert not [each for each in desk.complaints if "401" not in each]


def everything(data: pydicom.Dataset) -> str:
    """Texts and code meanings of a structured report, one a line."""
    parts: list[str] = []

    def visit(_: pydicom.Dataset, element: pydicom.DataElement) -> None:
        if element.keyword in ("TextValue", "CodeMeaning"):
            parts.append(str(element.value).replace("\r\n", "\n"))

    data.walk(visit)
    return "\n".join(parts)
