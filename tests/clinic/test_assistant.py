"""The assistant as its users type it, on the demo model: cases in, drafts, review, signature, DICOM out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

import radiolucent as rl
from radiolucent.clinic.audit.verify import verify
from radiolucent.clinic.errors import Blocked, WrongState
from radiolucent.clinic.review.critical import DEFAULT_LIST
from radiolucent.clinic.service import cases
from radiolucent.clinic.service.drafted import attention_of, confidence_of, draft_of
from radiolucent.clinic.service.intake import register
from radiolucent.clinic.settings import Settings
from radiolucent.errors import MalformedInput
from radiolucent.localize import WITHHELD
from radiolucent.phantom.dicom import write_dicom
from radiolucent.phantom.film import draw_case
from radiolucent.report.summary import clinical_summary

KEYS = {"patient_id", "ai_report", "clinical_summary", "confidence_score", "key_findings", "attention_focus"}
QUESTION = "请分析这张胸部X光片，描述主要发现"


def seed_with(code: str, side: str) -> int:
    """A phantom whose only lesion is this one."""
    for seed in range(400):
        lesions = draw_case(seed).lesions
        if len(lesions) == 1 and lesions[0].code == code and lesions[0].side == side:
            return seed
    raise AssertionError(code)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("assistant")
    return Settings(data=folder / "data", keys=folder / "keys", level="standard")


@pytest.fixture(scope="module")
def assistant(site: Settings) -> Iterator[rl.ClinicalAIAssistant]:
    made = rl.ClinicalAIAssistant(site, user="Dr Zhao")
    yield made
    made.close()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    effusion = draw_case(seed_with("pleural_effusion", "right"))
    made = {"png": folder / "chest_xray.png", "mirrored": folder / "mirrored.png", "dicom": folder / "film.dcm"}
    Image.fromarray(effusion.film).save(made["png"])
    Image.fromarray(np.ascontiguousarray(effusion.film[:, ::-1])).save(made["mirrored"])
    write_dicom(effusion, made["dicom"])
    return made


@pytest.fixture(scope="module")
def first(assistant: rl.ClinicalAIAssistant, films: dict[str, Path]) -> dict[str, object]:
    return assistant.process_new_case(patient_id="P202401001", image_path=str(films["png"]), clinical_question=QUESTION)


def test_exactly_the_six_keys(first: dict[str, object], assistant: rl.ClinicalAIAssistant) -> None:
    assert set(first) == KEYS and first["patient_id"] == "P202401001"
    explanation = assistant.explanation(assistant.case_history["P202401001"]["case_id"])
    assert first["ai_report"] == explanation.report
    assert first["clinical_summary"] == clinical_summary(explanation, "zh").text
    assert any("右侧" in str(one) and "积液" in str(one) for one in first["key_findings"])  # type: ignore[attr-defined]


def test_the_score_is_the_least_certain_findings(first: dict[str, object], assistant: rl.ClinicalAIAssistant) -> None:
    explanation = assistant.explanation(assistant.case_history["P202401001"]["case_id"])
    assert explanation.confidence is not None
    shares = []
    for entry in explanation.confidence.findings:
        share = (entry.support + 0.5) / (entry.samples + 1)
        shares.append(share if entry.probability is None else entry.probability)
    assert first["confidence_score"] == pytest.approx(min(shares), abs=1e-4) and 0 < min(shares) < 1


def test_no_score_where_there_is_none(assistant: rl.ClinicalAIAssistant, films: dict[str, Path], first: object) -> None:
    explanation = assistant.explanation(assistant.case_history["P202401001"]["case_id"])
    assert confidence_of(replace(explanation, confidence=None)) is None
    assert confidence_of(replace(explanation, findings=())) is None
    withheld = replace(explanation, faithfulness={}, maps={})
    assert attention_of(withheld) == {"en": WITHHELD.en, "zh": WITHHELD.zh}
    assert "不代表排除" in attention_of(replace(explanation, findings=()))["zh"]


def test_attention_names_the_patients_side(first: dict[str, object], assistant: rl.ClinicalAIAssistant) -> None:
    focus = str(first["attention_focus"])
    # The effusion lies on the picture's left, which is the patient's right.
    assert "右侧胸膜腔" in focus and "左侧胸膜腔" not in focus and "左右未核实" in focus
    explanation = assistant.explanation(assistant.case_history["P202401001"]["case_id"])
    english = attention_of(explanation)["en"]
    assert "right pleural side" in english and "lobe" not in english


def test_attention_follows_a_film_whose_sides_are_turned(
    assistant: rl.ClinicalAIAssistant, films: dict[str, Path]
) -> None:
    explanation = assistant.explanation(assistant.case_history["P202401001"]["case_id"])
    study = explanation.study
    turned = replace(
        study,
        frames=tuple(
            replace(one, geometry=replace(one.geometry, patient_right="right", side_source="orientation"))
            for one in study.frames
        ),
    )
    focus = attention_of(replace(explanation, study=turned))
    assert "left pleural side" in focus["en"] and "左侧胸膜腔" in focus["zh"]


def test_a_review_row_a_statement(first: object, assistant: rl.ClinicalAIAssistant) -> None:
    explanation = assistant.explanation(assistant.case_history["P202401001"]["case_id"])
    text = "右下肺肺炎，右下肺炎症。患者体位旋转。右侧大量气胸。"
    said = rl.extract_findings(text, "zh")
    assert [one.code for one in said] == ["pneumonia", "inflammation", "pneumothorax"]
    made = draft_of(
        replace(
            explanation, generation=replace(explanation.generation, text=text), findings=said, maps={}, faithfulness={}
        ),
        DEFAULT_LIST,
    )
    # 肺炎 and 炎症 are decided once; what was not understood is kept or dropped; withheld maps give no box.
    assert [(row["kind"], row["code"]) for row in made.findings] == [
        ("finding", "pneumonia"),
        ("sentence", None),
        ("finding", "pneumothorax"),
    ]
    assert made.findings[0]["words"] == f"{said[0].words} / {said[1].words}"
    assert made.findings[1]["words"].startswith("患者体位旋转")
    assert made.critical and [row["place"] for row in made.findings] == [0, 1, 2]
    assert made.findings[2]["boxes"] == [] and made.findings[2]["grade"]["evidence"]["en"] == WITHHELD.en
    json.dumps(made.run)  # everything is JSON


def test_evidence_of_the_draft_is_kept(first: object, assistant: rl.ClinicalAIAssistant) -> None:
    explanation = assistant.explanation(assistant.case_history["P202401001"]["case_id"])
    made = draft_of(explanation, DEFAULT_LIST)
    effusion = next(row for row in made.findings if row["code"] == "pleural_effusion" and row["polarity"] == "present")
    assert effusion["grade"]["key"] in ("verified", "weak") and effusion["boxes"]
    rows, cols = explanation.study.frames[0].geometry.rows, explanation.study.frames[0].geometry.cols
    for box in effusion["boxes"]:
        assert 0 <= box["x0"] < box["x1"] <= cols and 0 <= box["y0"] < box["y1"] <= rows
    assert all(not row["maps"] and not row["boxes"] for row in made.findings if row["polarity"] == "absent")
    assert made.run["trace"] and made.run["chain"] and made.run["maps"]
    assert "".join(word["text"] for word in made.run["trace"]).replace(" ", "") in explanation.report.replace(" ", "")


def test_the_history_is_the_stores(first: object, assistant: rl.ClinicalAIAssistant, site: Settings) -> None:
    latest = assistant.case_history["P202401001"]
    assert latest["review_status"] == "pending" and latest["report"]
    stamp = latest["timestamp"]
    assert stamp.utcoffset() == timedelta(0) and abs(datetime.now(UTC) - stamp) < timedelta(minutes=10)
    assert {"findings", "maps", "trace", "confidence"} <= set(latest["explanations"])
    assert latest["explanations"]["findings"][0].code
    again = rl.ClinicalAIAssistant(site)
    assert again.case_history["P202401001"]["case_id"] == latest["case_id"]
    assert list(again.case_history) == ["P202401001"] and len(again.case_history) == 1
    assert "P202401002" not in again.case_history
    with pytest.raises(KeyError):
        again.case_history["P202401002"]
    again.close()


def test_several_cases_of_a_patient_are_all_kept(
    first: object, assistant: rl.ClinicalAIAssistant, films: dict[str, Path]
) -> None:
    assistant.process_new_case("P202401001", films["mirrored"], "Describe the film.", language="en")
    kept = assistant.cases("P202401001")
    assert len(kept) == 2 and kept[1]["case_id"] == assistant.case_history["P202401001"]["case_id"]
    assert kept[0]["timestamp"] <= kept[1]["timestamp"]
    assert assistant.cases("P999") == ()


def test_from_dicom_to_a_signed_report_and_out(
    assistant: rl.ClinicalAIAssistant, films: dict[str, Path], tmp_path: Path
) -> None:
    patient = str(dcmread(films["dicom"]).PatientID)
    with pytest.raises(MalformedInput, match="another patient"):
        assistant.process_new_case("P202401001", films["dicom"])
    result = assistant.process_new_case(patient, films["dicom"], "Describe the main findings of this chest X-ray.")
    assert set(result) == KEYS and "not verified" not in result["attention_focus"]
    case_id = assistant.case_history[patient]["case_id"]
    with pytest.raises(WrongState):
        assistant.export(case_id, tmp_path)
    case = assistant.review(case_id)
    assert assistant.case_history[patient]["review_status"] == "in review"
    with pytest.raises(Blocked):
        assistant.sign(case_id, attestation=True)
    rulings = {one.id: "accept" if one.kind == "finding" else "drop" for one in case.findings if one.must_rule}
    case = assistant.review(case_id, rulings, added=[{"code": "fracture", "side": "left"}])
    assert case.blockers == () and case.added[0].code == "fracture"
    assert assistant.sign(case_id, attestation=True).state == "signed"
    written = assistant.export(case_id, tmp_path / "out")
    assert {path.name.split("_", 1)[1] for path in written} == {"text_sr.dcm", "measurement_sr.dcm", "picture.dcm"}
    assert all(patient not in path.name for path in written)
    told = {path.name: dcmread(path) for path in written}
    assert all(str(one.PatientID) == patient for one in told.values())
    again = assistant.export(case_id, tmp_path / "again")
    assert [str(dcmread(path).SOPInstanceUID) for path in again] == [
        str(dcmread(path).SOPInstanceUID) for path in written
    ]
    case = assistant.amend(case_id, "No fracture on the oblique film")
    assert assistant.case_history[patient]["review_status"] == "amended"
    assistant.review(case_id, {None: {"decision": "reject", "replaces": case.added[0].id}})
    assert assistant.sign(case_id, attestation=True).editions == 2
    report = dcmread(next(path for path in assistant.export(case_id, tmp_path / "v2") if "text_sr" in path.name))
    assert report.PredecessorDocumentsSequence
    assistant.reject(case_id, "Wrong patient")
    (withdrawal,) = assistant.export(case_id, tmp_path / "note")
    assert dcmread(withdrawal).Modality == "KO"
    assert verify(assistant.store).intact


def test_a_case_of_the_service_is_one_of_the_assistants(assistant: rl.ClinicalAIAssistant) -> None:
    from clinic_site import SERVICE, received

    made = register(assistant.store, SERVICE, received("P-service"))
    assert assistant.case_history["P-service"]["case_id"] == made.id
    assert assistant.case_history["P-service"]["report"] is None
    assert cases.case(assistant.store, SERVICE, made.id).state == "queued"


def test_a_broken_file_leaves_no_case(assistant: rl.ClinicalAIAssistant, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(MalformedInput):
        assistant.process_new_case("P-broken", bad)
    assert assistant.cases("P-broken") == ()


def test_importing_the_package_needs_no_clinic_packages() -> None:
    code = (
        "import sys\n"
        "sys.modules['sqlalchemy'] = None\n"
        "import radiolucent\n"
        "radiolucent.extract_findings('no effusion')\n"
        "from importlib.util import find_spec\n"
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'sqlalchemy' else real(name, *a)\n"
        "try:\n"
        "    radiolucent.ClinicalAIAssistant\n"
        "except ImportError as error:\n"
        "    assert \"pip install 'radiolucent[clinic]'\" in str(error), error\n"
        "else:\n"
        "    raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
