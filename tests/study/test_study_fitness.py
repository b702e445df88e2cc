"""Which films are refused, and which are opened with a warning."""

import pytest
from dicom_files import chest_film, ramp
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from radiolucent.errors import UnsupportedInput
from radiolucent.study import load_study
from radiolucent.study.fitness import age_of, check_fitness, view_of
from radiolucent.study.notices import CODES, notice


def codes(study) -> set[str]:
    return {entry.code for entry in study.warnings}


def coded(value: str, scheme: str = "SCT", meaning: str = "") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def test_a_film_that_says_all_it_should_has_no_warnings(film) -> None:
    assert load_study(film()).warnings == ()


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"Modality": "MR"}, "magnetic resonance"),
        ({"Modality": "US"}, "ultrasound"),
        ({"Modality": "MG"}, "mammogram"),
        ({"Modality": "RF"}, "fluoroscopy"),
        ({"Modality": "XA"}, "angiography"),
        ({"Modality": "OT"}, "OT"),
        ({"Modality": None}, "no modality"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "FOR PRESENTATION"),
        ({"BodyPartExamined": "ANKLE"}, "ankle"),
        ({"BodyPartExamined": "SKULL"}, "skull"),
        ({"BodyPartExamined": "TSPINE"}, "tspine"),
        ({"BodyPartExamined": "THORACIC SPINE"}, "spine"),
        ({"BodyPartExamined": "LSPINE"}, "lspine"),
        ({"BodyPartExamined": "ABDOMEN"}, "abdomen"),
        ({"BodyPartExamined": None, "StudyDescription": "Left knee 2 views"}, "knee"),
        ({"BodyPartExamined": None, "SpecificCharacterSet": "ISO_IR 192", "StudyDescription": "膝关节正位"}, "膝"),
        ({"AnatomicalOrientationType": "QUADRUPED"}, "animal"),
    ],
)
def test_films_that_may_not_be_explained_are_refused_with_the_reason(film, stated: dict, reason: str) -> None:
    with pytest.raises(UnsupportedInput, match=reason):
        load_study(film(**stated))


def test_a_coded_region_other_than_the_chest_is_refused(film) -> None:
    region = Sequence([coded("72696002", meaning="Knee region, knee")])
    with pytest.raises(UnsupportedInput, match="knee"):
        load_study(film(BodyPartExamined=None, AnatomicRegionSequence=region))


def test_a_real_ankle_film_is_refused() -> None:
    with pytest.raises(UnsupportedInput, match="another body part"):
        load_study(get_testdata_file("RG3_UNCR.dcm", download=False))


@pytest.mark.parametrize(
    "stated",
    [
        {"BodyPartExamined": "CHEST"},
        {"BodyPartExamined": "Thorax"},
        {"BodyPartExamined": "CHEST_ABDOMEN"},
        {"BodyPartExamined": "CHESTABDPELVIS"},
        {"BodyPartExamined": "LUNG"},
        {"BodyPartExamined": None, "StudyDescription": "CXR PA"},
        {"BodyPartExamined": None, "SpecificCharacterSet": "ISO_IR 192", "StudyDescription": "胸部正位"},
        {"BodyPartExamined": None, "AnatomicRegionSequence": Sequence([coded("51185008")])},
    ],
)
def test_chests_by_any_name_are_opened(film, stated: dict) -> None:
    assert "body_part_unknown" not in codes(load_study(film(**stated)))


@pytest.mark.parametrize("stated", [{"BodyPartExamined": None}, {"BodyPartExamined": "WHOLEBODY"}])
def test_a_part_that_is_not_stated_is_told(film, stated: dict) -> None:
    assert "body_part_unknown" in codes(load_study(film(**stated)))


@pytest.mark.parametrize(
    ("stated", "view", "told"),
    [
        ({"ViewPosition": "PA"}, "PA", set()),
        ({"ViewPosition": "AP"}, "AP", {"view_ap"}),
        ({"ViewPosition": "AP SUPINE"}, "AP", {"view_ap", "supine"}),
        ({"ViewPosition": None}, None, {"view_unknown"}),
        ({"ViewPosition": "RAO"}, None, {"view_unknown"}),
        ({"ViewPosition": "LLD"}, None, {"view_unknown", "supine"}),
        ({"ViewPosition": None, "ViewCodeSequence": Sequence([coded("399348003")])}, "AP", {"view_ap"}),
        ({"ViewPosition": None, "ViewCodeSequence": Sequence([coded("R-10214", "SRT")])}, "PA", set()),
        ({"SeriesDescription": "CHEST SUPINE"}, "PA", {"supine"}),
        ({"PatientPosition": "HFS"}, "PA", {"supine"}),
        ({"PatientOrientationCodeSequence": Sequence([coded("102538003")])}, "PA", {"supine"}),
        ({"PatientOrientationCodeSequence": Sequence([coded("10904000")])}, "PA", set()),  # erect
        ({"PatientAge": "017Y"}, "PA", {"paediatric"}),
        ({"PatientAge": "018Y"}, "PA", set()),
        ({"PatientAge": "011M"}, "PA", {"paediatric"}),
        ({"BurnedInAnnotation": None}, "PA", {"burned_in_unknown"}),
        ({"BurnedInAnnotation": "YES"}, "PA", {"burned_in_unknown"}),
    ],
)
def test_views_positions_and_ages(film, stated: dict, view: str | None, told: set[str]) -> None:
    study = load_study(film(**stated))
    assert study.view == view
    assert codes(study) == told


@pytest.mark.parametrize("stated", ["LL", "RL", "LATERAL", "LAT"])
def test_lateral_views_have_no_side(film, stated: str) -> None:
    study = load_study(film(ViewPosition=stated))
    geometry = study.frames[0].geometry
    assert (study.view, geometry.patient_right, geometry.side_source) == ("LATERAL", None, "none")
    assert codes(study) == {"lateral_view"}


def test_the_age_is_taken_from_the_dates_where_it_is_not_stated() -> None:
    header = chest_film(ramp(), PatientAge=None, PatientBirthDate="20100601", StudyDate="20280531")
    years = age_of(header)
    assert years is not None and 17.9 < years < 18
    header.AcquisitionDate = "20110601"
    assert age_of(header) == pytest.approx(1, abs=0.01)
    header.PatientBirthDate = "20101399"
    assert age_of(header) is None


def test_the_burned_in_sentence_is_the_agreed_one() -> None:
    assert "ext in the pixels was not removed" in notice("burned_in_unknown").en
    assert "左右未核实" in notice("side_assumed").zh
    assert "ide assumed, not verified" in notice("side_assumed").en


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_notice_has_both_languages(code: str) -> None:
    entry = notice(code)
    assert entry.en.isascii() and entry.en.endswith(".")
    assert any("一" <= letter <= "鿿" for letter in entry.zh) and entry.zh.endswith("。")


def test_ct_needs_no_view_and_a_scout_is_refused(ct_slice) -> None:
    assert load_study(ct_slice(0)).warnings == ()
    with pytest.raises(UnsupportedInput, match="scout"):
        load_study(ct_slice(0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))


def test_nothing_is_invented_from_an_empty_header() -> None:
    header = Dataset()
    assert view_of(header) is None and age_of(header) is None
    with pytest.raises(UnsupportedInput, match="no modality"):
        check_fitness(header)
