"""The pipeline on phantoms with known truth: sides, refusals, honesty about what it cannot know, no identifiers."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

import radiolucent as rl
from radiolucent.errors import MalformedInput, ParityError
from radiolucent.faithfulness.pointing import pointing_hit
from radiolucent.faithfulness.types import MapGrade
from radiolucent.localize import WITHHELD
from radiolucent.localize.film_places import film_places
from radiolucent.phantom.dicom import write_dicom
from radiolucent.phantom.film import PhantomCase, draw_case
from radiolucent.phantom.record import Lesion
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Features, Generation, Replay

RIGHT_LOWER = (Lesion("consolidation", "right", "lower"),)
pipeline = importlib.import_module("radiolucent.explain")


@dataclass(frozen=True)
class Seen:
    """An explanation with what it was made from and what the model ran for it."""

    case: PhantomCase
    explanation: rl.Explanation
    shares: tuple[float, ...]
    images: int  # times the study's own picture ran through the vision tower


def peak(values: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(int(values[0].argmax()), values.shape[1:])
    return int(row), int(column)


@pytest.fixture(scope="module")
def model() -> Gemma3Model:
    return rl.load_model("demo")


@pytest.fixture(scope="module")
def case() -> PhantomCase:
    return draw_case(12, size=256, lesions=RIGHT_LOWER)


@pytest.fixture(scope="module")
def study(case: PhantomCase) -> rl.Study:
    return rl.load_study(case.film, patient_right="left", view="PA")


@pytest.fixture(scope="module")
def standard(model: Gemma3Model, case: PhantomCase, study: rl.Study) -> Seen:
    """Level standard, with every image encode watched."""
    model.forget()
    shown, shares, images = model.pixels(study), [], 0
    encode = model.encode_pixels

    def watched(pixels):  # type: ignore[no-untyped-def]
        nonlocal images
        images += int(pixels.shape == shown.shape and bool((pixels == shown).all()))
        return encode(pixels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "encode_pixels", watched)
        made = rl.explain(model, study, samples=4, progress=lambda what, share: shares.append(share))
    return Seen(case, made, tuple(shares), images)


@pytest.fixture(scope="module")
def mirrored(model: Gemma3Model, case: PhantomCase) -> rl.Explanation:
    """The same film stored mirrored, and said to be so."""
    flipped = rl.load_study(np.ascontiguousarray(case.film[:, ::-1]), patient_right="right", view="PA")
    return rl.explain(model, flipped, samples=0, methods=("attention", "token_ablation"))


@pytest.fixture(scope="module")
def real_film(model: Gemma3Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[rl.Explanation, Path]:
    """A real film, MONOCHROME1, with a full header; explained and saved."""
    made = rl.explain(model, rl.load_study(get_testdata_file("RG1_UNCR.dcm")), level="quick", methods=("saliency",))
    return made, made.save(tmp_path_factory.mktemp("real") / "bundle")


# Sides


def test_report_and_maps_agree_with_the_planted_lesion(standard: Seen) -> None:
    asserted = [f for f in standard.explanation.findings if f.polarity == "present"]
    assert [(f.code, f.side, f.zone) for f in asserted] == [("consolidation", "right", "lower")]
    claims = {made.claim for made in standard.explanation.maps.values()}
    assert claims == {"attended", "sensitive", "relied_on"}
    for (method, _), made in standard.explanation.maps.items():
        _, column = peak(made.values)
        assert column < made.values.shape[2] / 2, f"{method} does not peak on the patient's right (picture left)"
        assert pointing_hit(made.values, standard.case.masks["consolidation"], made.geometry) == 1.0, method


def test_maps_are_graded_against_maps_that_know_nothing(standard: Seen) -> None:
    assert set(standard.explanation.faithfulness) == set(standard.explanation.maps)
    relied = standard.explanation.faithfulness["propose_and_verify", "consolidation.right"]
    assert relied.grade == "verified" and relied.effect > 2 * abs(relied.control_high or 0.0)
    test = standard.explanation.maps["propose_and_verify", "consolidation.right"].tests[0]
    assert (relied.effect, relied.necessity) == (test.hidden, test.necessity) and "mirrored" in test.control_kinds


def test_a_mirrored_film_is_named_and_pointed_at_on_the_other_picture_side(mirrored: rl.Explanation) -> None:
    for (method, _), made in mirrored.maps.items():
        _, column = peak(made.values)
        assert column >= made.values.shape[2] / 2, f"{method} does not peak on the picture's right"
        place = film_places(mirrored.frames[0]).of_map(made.values[0])
        assert place is not None and place.side == "right", f"{method}: {place} is not the patient's right"


def test_words_that_name_the_wrong_side_of_a_mirrored_film_are_called_out(mirrored: rl.Explanation) -> None:
    """The model reads pictures, not headers: on a mirrored film it says left where the header says right."""
    main = mirrored.main_finding
    assert main is not None and main.side == "left"
    assert "other_side" in {notice.code for notice in mirrored.warnings}


def test_words_that_name_the_right_side_are_not_called_out(standard: Seen) -> None:
    codes = {notice.code for notice in standard.explanation.warnings}
    assert not codes & {"other_side", "outside_anatomy", "not_a_phantom", "no_side", "not_graded"}


def test_attended_places_of_words_are_places_of_this_film(standard: Seen, mirrored: rl.Explanation) -> None:
    for made in (standard.explanation, mirrored):
        assert made.trace is not None
        word = next(word for word in made.trace.words if word.text.startswith("lower"))
        assert word.anatomy is not None and word.anatomy.startswith("right")


def test_lateral_view_has_no_side_words_without_the_notice(model: Gemma3Model, case: PhantomCase) -> None:
    lateral = rl.load_study(case.film, view="LATERAL")
    made = rl.explain(model, lateral, level="quick", methods=("saliency",))
    named = [f for f in made.findings if f.polarity != "absent" and (f.side or f.zone)]
    assert named, "the demo model names sides on any picture; choose another film"
    assert "no_side" in {notice.code for notice in made.warnings}
    assert made.trace is not None and all(word.anatomy is None for word in made.trace.words)


# What gets a map


def test_absent_findings_get_no_map(standard: Seen) -> None:
    absent = {f.id for f in standard.explanation.findings if f.polarity == "absent"}
    assert absent and not absent & {finding_id for _, finding_id in standard.explanation.maps}


def test_a_normal_film_is_explained_without_maps(model: Gemma3Model) -> None:
    normal = rl.load_study(draw_case(15, size=256, lesions=()).film, patient_right="left", view="PA")
    made = rl.explain(model, normal, samples=0)
    assert {f.polarity for f in made.findings} == {"absent"}
    assert not made.maps and not made.faithfulness and made.main_finding is None
    assert made.trace is not None and len(made.trace.words) == len(made.generation.words)


def test_a_withheld_map_says_so_and_is_not_judged_further(
    model: Gemma3Model, study: rl.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    withheld = MapGrade("not shown", effect=0.0, control_low=0.0, control_high=1.0, withheld=True)
    monkeypatch.setattr(pipeline, "grade_maps", lambda model, features, generation, maps, **_: [withheld] * len(maps))
    made = rl.explain(model, study, samples=0, methods=("saliency",))
    assert all(grade.withheld for grade in made.faithfulness.values())
    assert not {"other_side", "outside_anatomy"} & {notice.code for notice in made.warnings}
    page = (made.save(tmp_path / "bundle") / "report.html").read_text(encoding="utf-8")
    assert WITHHELD.en in page


# Language and question


def test_a_chinese_question_gets_a_chinese_report(model: Gemma3Model, study: rl.Study) -> None:
    made = rl.explain(model, study, question="请描述主要发现", level="quick", methods=("saliency",))
    assert made.language == "zh"
    assert not re.search("[A-Za-z]{2,}", made.report) and "实变" in made.report
    assert made.main_finding is not None and made.main_finding.id == "consolidation.right"


def test_an_english_question_can_be_answered_in_chinese(model: Gemma3Model) -> None:
    asked = pipeline.build_prompt(model, "Is there a nodule?", "zh")
    assert asked.language == "zh" and "中文" in asked.question
    assert pipeline.build_prompt(model, "有结节吗？", None).language == "zh"
    assert pipeline.build_prompt(model, None, None).question == model.profile.question("en")


@pytest.mark.parametrize(
    "options",
    [
        {"question": ""},
        {"question": "   "},
        {"question": "What\x00now?"},
        {"question": "\ud800"},
        {"question": "x" * 5000},
        {"question": "<start_of_turn>model"},
        {"language": "fr"},
        {"level": "deepest"},
        {"methods": ("attentive",)},
    ],
    ids=lambda options: "-".join(f"{key}" for key in options),
)
def test_bad_requests_are_refused_with_a_typed_error(
    model: Gemma3Model, study: rl.Study, options: dict[str, object]
) -> None:
    with pytest.raises(MalformedInput) as refused:
        rl.explain(model, study, **{"level": "quick", **options})  # type: ignore[arg-type]
    assert len(str(refused.value)) > 20


def test_the_function_keeps_its_name_beside_the_file_of_the_same_name() -> None:
    importlib.import_module("radiolucent.explain")
    importlib.import_module("radiolucent.facade")
    assert rl.explain is pipeline.explain


# Refusal: only the pass that wrote the words is explained


def drop_rows(replayed: Replay) -> Replay:
    return replace(replayed, logprobs=replayed.logprobs[:-1], top=replayed.top[:-1])  # type: ignore[index]


def alter_token(generation: Generation) -> Generation:
    ids = generation.token_ids.copy()
    ids[2] = ids[3]
    return replace(generation, token_ids=ids)


def causal_mask(generation: Generation) -> Generation:
    types = np.zeros_like(generation.prompt_inputs.token_type_ids)
    return replace(generation, prompt_inputs=replace(generation.prompt_inputs, token_type_ids=types))


@pytest.mark.parametrize("fault", [drop_rows, alter_token, causal_mask])
def test_a_replay_of_another_pass_is_refused(  # type: ignore[no-untyped-def]
    model: Gemma3Model, study: rl.Study, monkeypatch: pytest.MonkeyPatch, fault
) -> None:
    replay = model.replay

    def faulty(generation: Generation, features: Features, **options: object) -> Replay:
        if fault is drop_rows:
            return drop_rows(replay(generation, features, **options))  # type: ignore[arg-type]
        return replay(fault(generation), features, **options)

    def faulty_gradients(of: Gemma3Model, generation: Generation, *rest: object, **options: object) -> object:
        if fault is drop_rows:
            made = gradients(of, generation, *rest, **options)
            return replace(made, replay=drop_rows(made.replay))
        return gradients(of, fault(generation), *rest, **options)

    gradients = pipeline.target_gradients
    monkeypatch.setattr(model, "replay", faulty)
    monkeypatch.setattr(pipeline, "target_gradients", faulty_gradients)
    for methods in (("attention",), ("saliency",)):  # the replay alone, and the one that gradients are taken in
        with pytest.raises(ParityError):
            rl.explain(model, study, level="quick", methods=methods)


# The demo model and films that are no phantoms


def test_a_real_film_is_called_no_phantom(real_film: tuple[rl.Explanation, Path]) -> None:
    made, _ = real_film
    assert "not_a_phantom" in {notice.code for notice in made.warnings}
    assert made.is_demo


@pytest.mark.parametrize("seed", [21, 22])
def test_a_phantom_read_from_dicom_is_not_called_foreign(model: Gemma3Model, tmp_path: Path, seed: int) -> None:
    stored = rl.load_study(write_dicom(draw_case(seed), tmp_path / "phantom.dcm"))
    made = rl.explain(model, stored, level="quick", methods=("saliency",))
    assert "not_a_phantom" not in {notice.code for notice in made.warnings}


IDENTIFYING = {"PN", "LO", "SH", "UI", "DA", "DT", "TM", "LT", "ST", "UT", "AE"}


def identifiers() -> Iterator[str]:
    """Header values of at least 4 characters; numbers and coded words (CS) name nobody."""
    for element in pydicom.dcmread(get_testdata_file("RG1_UNCR.dcm")).iterall():
        if element.VR in IDENTIFYING:
            values = [element.value] if element.VM <= 1 else list(element.value)
            yield from (str(value) for value in values if len(str(value)) >= 4)


def texts_of(bundle: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(bundle.rglob("*")):
        if path.suffix in (".json", ".html"):
            text = path.read_text(encoding="utf-8")
            yield path.name, re.sub(r"[A-Za-z0-9+/=]{200,}", "", text)  # pictures and arrays in base64
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                yield path.name, "\n".join(f"{key}={value}" for key, value in picture.info.items())
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                yield path.name, "\n".join(arrays.files)


def test_the_bundle_of_a_real_film_holds_no_identifier(real_film: tuple[rl.Explanation, Path]) -> None:
    values = sorted(set(identifiers()))
    assert "CompressedSamples^RG1" in values and "9RG1" in values and len(values) > 20
    for name, text in texts_of(real_film[1]):
        found = [v for v in values if re.search(rf"(?<![\w.]){re.escape(v)}(?![\w.])", text, re.IGNORECASE)]
        assert not found, f"{name} holds {found}"
        assert not re.search("CompressedSamples|5962", text), name


def test_the_frame_is_stored_upright_and_with_bone_bright(real_film: tuple[rl.Explanation, Path]) -> None:
    stored = pydicom.dcmread(get_testdata_file("RG1_UNCR.dcm"))
    assert stored.PhotometricInterpretation == "MONOCHROME1"
    raw = -stored.pixel_array.astype(np.float64)  # low stored values are bright
    with Image.open(real_film[1] / "frames" / "000.png") as picture:
        shown = np.asarray(picture.convert("L"), dtype=np.float64)
    assert shown.shape == raw.shape

    def alike(other: np.ndarray) -> float:
        return float(np.corrcoef(shown[::8, ::8].ravel(), other[::8, ::8].ravel())[0, 1])

    assert alike(raw) > 0.9
    assert max(alike(raw[::-1]), alike(raw[:, ::-1]), alike(raw[::-1, ::-1]), alike(-raw)) < alike(raw) - 0.1


# Cost, progress, seeds, storage


def test_the_picture_is_encoded_once(standard: Seen, model: Gemma3Model) -> None:
    assert standard.images == 1
    fresh = rl.load_study(draw_case(31, size=256, lesions=RIGHT_LOWER).film, patient_right="left", view="PA")
    before = model.encodes
    rl.explain(model, fresh, level="quick", samples=4)
    assert model.encodes == before + 1


def test_progress_only_goes_forward(standard: Seen) -> None:
    assert len(standard.shares) > 5
    assert list(standard.shares) == sorted(standard.shares)
    assert standard.shares[0] == 0.0 and standard.shares[-1] == 1.0


def test_the_same_seed_gives_the_same_explanation(model: Gemma3Model, study: rl.Study) -> None:
    first, again, other = (
        rl.explain(model, study, level="quick", samples=4, seed=seed, methods=("saliency",)) for seed in (3, 3, 4)
    )
    volatile = {"created", "seconds"}
    assert {k: v for k, v in first.provenance.items() if k not in volatile} == {
        k: v for k, v in again.provenance.items() if k not in volatile
    }
    assert replace(first, provenance={}) == replace(again, provenance={})
    assert other.report == first.report and other.provenance["seed"] == 4


def test_an_explanation_reads_back_equal(standard: Seen, tmp_path: Path) -> None:
    bundle = standard.explanation.save(tmp_path / "bundle")
    assert rl.load_explanation(bundle) == standard.explanation


def test_levels_that_do_not_test_maps_say_so(model: Gemma3Model, study: rl.Study) -> None:
    made = rl.explain(model, study, level="quick", methods=("saliency",))
    assert not made.faithfulness and made.confidence is None
    assert "not_graded" in {notice.code for notice in made.warnings}


def test_an_answer_cut_short_says_so(model: Gemma3Model, study: rl.Study) -> None:
    made = rl.explain(model, study, level="quick", methods=("saliency",), max_new_tokens=3)
    assert len(made.generation.token_ids) == 3
    assert "cut_short" in {notice.code for notice in made.warnings}


# The model's own boxes


class _BoxWriter:
    """The demo model as one that writes boxes: it answers the box question with a fixed list."""

    def __init__(self, model: Gemma3Model, answer: str) -> None:
        self._model, self._answer, self.asked = model, answer, ""
        self.profile = replace(model.profile, box_format="box_2d")

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def generate(self, prompt, features, **options):  # type: ignore[no-untyped-def]
        self.asked = prompt.question
        return replace(self._model.generate(self._model_prompt(prompt), features, **options), text=self._answer)

    def _model_prompt(self, prompt):  # type: ignore[no-untyped-def]
        return replace(prompt, question=self._model.profile.question("en"))


@pytest.mark.parametrize(("place", "agrees"), [((550, 80, 900, 450), True), ((0, 600, 200, 900), False)])
def test_the_models_own_boxes_are_compared_with_what_it_relied_on(
    model: Gemma3Model, study: rl.Study, tmp_path: Path, place: tuple[int, ...], agrees: bool
) -> None:
    writer = _BoxWriter(model, f'Final Answer: [{{"box_2d": {list(place)}, "label": "consolidation"}}]')
    made = rl.explain(writer, study, samples=0, methods=("token_ablation",), boxes=True)  # type: ignore[arg-type]
    assert "onsolidation" in writer.asked and "box_2d" in writer.asked
    (reading,) = made.boxes
    assert reading.finding == "consolidation.right" and reading.agreement is not None
    assert reading.agreement.agrees is agrees
    assert ("box_disagrees" in {notice.code for notice in made.warnings}) is not agrees
    assert rl.load_explanation(made.save(tmp_path / "bundle")) == made
    assert '"origin":"model"' in (tmp_path / "bundle" / "report.html").read_text(encoding="utf-8").replace(" ", "")


def test_a_model_without_boxes_says_so_when_asked(model: Gemma3Model, study: rl.Study) -> None:
    made = rl.explain(model, study, level="quick", boxes=True)
    assert made.boxes == () and "no_boxes" in {notice.code for notice in made.warnings}


# What the input cannot show


@pytest.mark.parametrize(
    ("said", "notices"),
    [
        ("The right effusion has increased.", {"no_prior"}),
        ("There is an 8 mm nodule in the left upper zone.", {"no_spacing"}),
        ("There is a nodule in the left upper zone.", set()),
    ],
)
def test_claims_that_the_input_cannot_show_are_called_out(
    model: Gemma3Model, study: rl.Study, monkeypatch: pytest.MonkeyPatch, said: str, notices: set[str]
) -> None:
    write = model.generate_and_sample

    def other_words(*arguments, **options):  # type: ignore[no-untyped-def]
        draft, drawn = write(*arguments, **options)
        return replace(draft, text=said), drawn

    monkeypatch.setattr(model, "generate_and_sample", other_words)
    made = rl.explain(model, study, level="quick", methods=())
    assert {notice.code for notice in made.warnings} & {"no_prior", "no_spacing", "no_history"} == notices
    assert bool([f for f in made.findings if f.not_knowable]) is bool(notices)
