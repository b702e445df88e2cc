import json

import pytest

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.annotations.categories import KNOWN, codes_of, read_categories
from radiolucent.findings.vocabulary import CODES, VOCABULARY


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_known_by_itself_and_by_its_names_in_both_languages(code):
    for name in (code, code.replace("_", " ").title(), code.upper(), VOCABULARY[code].en, VOCABULARY[code].zh):
        assert codes_of(name) == (code,), name


@pytest.mark.parametrize(
    "category, codes",
    [  # the ten of CheXlocalize
        ("Enlarged Cardiomediastinum", ("enlarged_cardiomediastinum",)),
        ("Cardiomegaly", ("cardiomegaly",)),
        ("Lung Lesion", ("nodule", "mass")),
        ("Airspace Opacity", ("lung_opacity",)),
        ("Edema", ("edema",)),
        ("Consolidation", ("consolidation",)),
        ("Atelectasis", ("atelectasis",)),
        ("Pneumothorax", ("pneumothorax",)),
        ("Pleural Effusion", ("pleural_effusion",)),
        ("Support Devices", ("support_devices",)),
        # other sets' terms, and people's
        ("Lung Opacity", ("lung_opacity",)),
        ("Nodule/Mass", ("nodule", "mass")),
        ("Pleural_Thickening", ("pleural_other",)),
        ("Effusion", ("pleural_effusion",)),
        ("nodule-001", ("nodule",)),
        ("肺结节", ("nodule",)),
        ("气胸", ("pneumothorax",)),
    ],
)
def test_names_of_public_sets_and_of_people_are_understood(category, codes):
    assert codes_of(category) == codes


@pytest.mark.parametrize("category", ["No finding", "rib 3", "Aortic enlargement", "roi", "?", "no pneumothorax"])
def test_what_is_no_finding_or_a_denied_one_is_unknown(category):
    assert codes_of(category) is None


def test_what_is_known_by_heart_is_in_the_vocabulary():
    assert all(code in VOCABULARY for codes in KNOWN.values() for code in codes)


def test_the_users_mapping_is_asked_first_and_may_leave_a_category_out():
    mapping = {"Lung Lesion": "mass", "Nodule": None, "GGO": ["lung_opacity", "pneumonia"]}
    assert codes_of("Lung Lesion", mapping) == ("mass",)
    assert codes_of("Nodule", mapping) == ()
    assert codes_of("GGO", mapping) == ("lung_opacity", "pneumonia")
    assert codes_of("Edema", mapping) == ("edema",)


def test_a_second_name_is_asked_where_the_first_is_unknown_and_must_not_contradict():
    assert codes_of("Finding 1", meaning="Pleural effusion") == ("pleural_effusion",)
    assert codes_of("Nodule", meaning="Lesion") == ("nodule",)
    with pytest.raises(MalformedInput, match="say in the categories mapping"):
        codes_of("Nodule", meaning="Pneumothorax")
    assert codes_of("Nodule", {"Nodule": "nodule"}, meaning="Pneumothorax") == ("nodule",)


def test_a_mapping_file_is_read_and_its_codes_checked(tmp_path):
    path = tmp_path / "categories.json"
    path.write_text(json.dumps({"GGO": "lung_opacity", "rib": None}), encoding="utf-8")
    assert read_categories(path) == {"GGO": "lung_opacity", "rib": None}
    path.write_text(json.dumps({"GGO": "ground_glass"}), encoding="utf-8")
    with pytest.raises(MalformedInput, match="ground_glass"):
        read_categories(path)
    for wrong in ("[]", '{"a": 3}', '{"a": {"b": 1}}', '{"a": [null]}', "{", '{"a": "nodule", "a": "mass"}'):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(MalformedInput):
            read_categories(path)
    with pytest.raises(MalformedInput, match="does not exist"):
        read_categories(tmp_path / "none.json")
