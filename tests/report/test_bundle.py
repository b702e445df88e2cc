"""The bundle: whole or absent, equal when read back, refusing what was changed, free of identifiers."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic import EN_REPORT, build, explain_en, explain_zh, film

from radiolucent.errors import MalformedInput, RadiolucentError, UnsupportedInput
from radiolucent.report import bundle, html, picture, viewer_bridge
from radiolucent.report.bundle import (
    BundleCorrupt,
    BundlePathError,
    BundleTooNew,
    IdentifyingContent,
    load_explanation,
    save,
)
from radiolucent.report.codec import canonical
from radiolucent.report.explanation import Explanation, equal
from radiolucent.report.schema import ExplanationModel, json_schema
from radiolucent.vlm.types import AttentionRows

ROOT = Path(__file__).parents[2]
RENDER = picture.render_png


@pytest.fixture(scope="module", autouse=True)
def _light_viewer() -> Iterator[None]:
    """The picture and the page have tests of their own; here they would only cost time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "bundle", lambda: ("/* script */", "/* style */"))
        patch.setattr(viewer_bridge, "embed_font", lambda text: b"wOFF")
        patch.setattr(picture, "render_png", lambda explanation: Image.new("RGB", (40, 30)))
        yield


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Explanation, Path]:
    explanation = explain_en(thinking="Look at the angles first.")
    return explanation, save(explanation, tmp_path_factory.mktemp("bundle") / "out")


@pytest.fixture()
def copied(written: tuple[Explanation, Path], tmp_path: Path) -> Path:
    target = tmp_path / "copy"
    (target / "frames").mkdir(parents=True)
    for source in written[1].rglob("*.*"):
        (target / source.relative_to(written[1])).write_bytes(source.read_bytes())
    return target


def reseal(folder: Path, **changes: object) -> None:
    """Edit the document as someone would who also knows how its digest is made."""
    plain = json.loads((folder / "explanation.json").read_text("utf-8")) | changes
    plain["content"] = hashlib.sha256(canonical(plain)).hexdigest()
    (folder / "explanation.json").write_text(json.dumps(plain, ensure_ascii=False), "utf-8")


def test_the_bundle_has_the_files_of_the_contract(written: tuple[Explanation, Path]) -> None:
    names = {str(path.relative_to(written[1])) for path in written[1].rglob("*") if path.is_file()}
    assert names == {
        "explanation.json", "maps.npz", "report.png", "report.html", "frames/000.png", "frames/000.npz",
    }  # fmt: skip


def test_what_is_read_back_equals_what_was_saved(written: tuple[Explanation, Path]) -> None:
    explanation, folder = written
    loaded = load_explanation(folder)
    assert loaded == explanation
    assert loaded.report == explanation.report and loaded.findings == explanation.findings
    for key, attribution in explanation.maps.items():
        assert loaded.maps[key].values.dtype == np.float32
        assert np.array_equal(loaded.maps[key].values, attribution.values)  # signed, bit for bit


@pytest.mark.parametrize("make", ["zh", "frames", "nothing", "rows", "odd numbers", "colour"])
def test_round_trip_of_unusual_explanations(make: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    if make == "zh":
        explanation = explain_zh(withheld=("pleural_effusion.right",))
    elif make == "frames":
        frames = tuple(film(draw, 90 + i, 120, label=f"slice {i}") for i in range(4))
        explanation = dataclasses.replace(
            explain_en(frames=frames[:2]), study=dataclasses.replace(explain_en().study, frames=frames),
            shown_frames=(1, 3),
        )  # fmt: skip
    elif make == "nothing":
        explanation = dataclasses.replace(
            build("Clear lungs. 😀 \u202e", (), "Anything?", "en"), trace=None, confidence=None, provenance={}
        )
    elif make == "rows":
        base = explain_en()
        rows = AttentionRows(
            draw.random((2, 3, 5, 256)).astype(np.float16), draw.random((2, 3, 5)).astype(np.float32),
            draw.random((2, 3, 5)).astype(np.float32), ("sliding", "global"),
        )  # fmt: skip
        explanation = dataclasses.replace(base, generation=dataclasses.replace(base.generation, rows=rows))
    elif make == "odd numbers":
        base = explain_en()
        assert base.trace is not None
        words = (dataclasses.replace(base.trace.words[0], logprob=-np.inf, entropy=float("nan")), *base.trace.words[1:])
        frame = dataclasses.replace(base.study.frames[0], values=base.study.frames[0].values + np.float32(0.1))
        explanation = dataclasses.replace(
            base,
            trace=dataclasses.replace(base.trace, words=words),
            study=dataclasses.replace(base.study, frames=(frame,)),
        )
    else:
        base = explain_en()
        values = draw.integers(0, 255, (360, 300, 3)).astype(np.uint8)
        display = dataclasses.replace(base.study.frames[0].display, low=0.0, high=255.0)
        frame = dataclasses.replace(base.study.frames[0], values=values, display=display)
        explanation = dataclasses.replace(base, study=dataclasses.replace(base.study, frames=(frame,)))
    loaded = load_explanation(save(explanation, tmp_path / "out"))
    assert loaded == explanation
    assert loaded.study.frames[0].values.dtype == explanation.study.frames[0].values.dtype


def test_every_field_of_a_grade_is_read_back(tmp_path: Path) -> None:
    base = explain_en()
    full = {
        key: dataclasses.replace(
            grade, score=0.31, letter="C", lift=2.5, gap=1.9, gap_interval=(1.2, 2.1), specificity=0.82,
            agreement=0.6, overlap=1.0, outside=True, other_side=False,
        )
        for key, grade in base.faithfulness.items()
    }  # fmt: skip
    assert all(None not in dataclasses.astuple(grade) for grade in full.values()), "no field is left at its default"
    read = load_explanation(save(dataclasses.replace(base, faithfulness=full), tmp_path / "bundle"))
    assert read.faithfulness == full


def test_equality_sees_every_part() -> None:
    first = explain_en()
    assert first == explain_en()
    key = next(iter(first.maps))
    nudged = first.maps[key].values.copy()
    nudged[0, 0, 0] = np.nextafter(nudged[0, 0, 0], np.float32(9))
    changes: list[dict[str, object]] = [
        {"maps": dict(first.maps) | {key: dataclasses.replace(first.maps[key], values=nudged)}},
        {"findings": first.findings[:-1]},
        {"provenance": dict(first.provenance) | {"seed": 1}},
        {"generation": dataclasses.replace(first.generation, text=EN_REPORT + " ")},
        {"confidence": None},
    ]
    for change in changes:
        assert first != dataclasses.replace(first, **change)  # type: ignore[arg-type]
    assert equal(float("nan"), float("nan")) and not equal(np.float32([1]), np.float64([1]))


def test_the_document_fits_the_published_schema(written: tuple[Explanation, Path]) -> None:
    text = (written[1] / "explanation.json").read_text("utf-8")
    model = ExplanationModel.model_validate_json(text)
    assert model.schema_version == 1 and "not reviewed by a physician" in model.notice
    published = json.loads((ROOT / "docs" / "explanation.schema.json").read_text("utf-8"))
    assert published == json_schema()
    _fits(json.loads(text), published, published)


def _fits(value: object, schema: dict, root: dict) -> None:
    """A small JSON Schema checker, enough for this schema, that shares no code with pydantic."""
    if "$ref" in schema:
        return _fits(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "anyOf" in schema:
        errors = []
        for option in schema["anyOf"]:
            try:
                return _fits(value, option, root)
            except AssertionError as problem:
                errors.append(problem)
        raise AssertionError(errors)
    if "const" in schema:
        assert value == schema["const"]
    if "enum" in schema:
        assert value in schema["enum"]
    kinds = {
        "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
        "null": type(None),
    }  # fmt: skip
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]]) and (schema["type"] == "boolean" or not isinstance(value, bool))
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= set(value)
        extra = schema.get("additionalProperties", True)
        for key, entry in value.items():
            if key in schema.get("properties", {}):
                _fits(entry, schema["properties"][key], root)
            elif isinstance(extra, dict):
                _fits(entry, extra, root)
            else:
                assert extra, f"{key} is not in the schema"
    if isinstance(value, list):
        prefix = schema.get("prefixItems")
        if prefix:
            assert len(prefix) == len(value)
        for place, entry in enumerate(value):
            _fits(entry, prefix[place] if prefix else schema.get("items", {}), root)


def test_maps_open_without_pickle_under_the_documents_keys(written: tuple[Explanation, Path]) -> None:
    explanation, folder = written
    document = json.loads((folder / "explanation.json").read_text("utf-8"))
    with np.load(folder / "maps.npz", allow_pickle=False) as arrays:
        for entry in document["maps"]:
            values = arrays[entry["values"]["key"]]
            assert np.array_equal(values, explanation.maps[entry["key_method"], entry["finding"]].values)
            assert (values < 0).any() or entry["claim"] == "attended"


def test_the_frame_is_saved_as_displayed(written: tuple[Explanation, Path]) -> None:
    explanation, folder = written
    frame = explanation.study.frames[0]
    shown = np.asarray(Image.open(folder / "frames" / "000.png"))
    window = frame.display
    expected = np.clip((frame.values - window.low) / (window.high - window.low), 0, 1) * 255
    assert shown.shape == frame.values.shape and np.abs(shown - expected).max() <= 1


def test_the_report_picture_is_the_rendered_page_and_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    explanation = dataclasses.replace(explain_en(), trace=None)
    monkeypatch.setattr(picture, "render_png", RENDER)
    image = Image.open(io.BytesIO(bundle.bundle_files(explanation)["report.png"]))
    assert image.size == RENDER(explanation).size
    assert "not reviewed by a physician" in image.info["Comment"] and "未经医师审核" in image.info["Comment"]


def test_the_same_explanation_gives_the_same_arrays() -> None:
    first, second = bundle.bundle_files(explain_en()), bundle.bundle_files(explain_en())
    assert first["maps.npz"] == second["maps.npz"] and first["explanation.json"] == second["explanation.json"]


@pytest.mark.parametrize("name", ["maps.npz", "frames/000.png", "frames/000.npz", "report.png", "report.html"])
def test_a_changed_or_missing_file_is_refused(copied: Path, name: str) -> None:
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(bytes(data))
    with pytest.raises(BundleCorrupt, match="SHA-256"):
        load_explanation(copied)
    (copied / name).unlink()
    with pytest.raises(BundleCorrupt, match="missing"):
        load_explanation(copied)


def test_an_edited_document_is_refused(copied: Path) -> None:
    path = copied / "explanation.json"
    path.write_text(path.read_text("utf-8").replace("not enlarged", "enlarged", 1), "utf-8")
    with pytest.raises(BundleCorrupt, match="changed after"):
        load_explanation(copied)
    path.write_text("{", "utf-8")
    with pytest.raises(BundleCorrupt, match="not JSON"):
        load_explanation(copied)
    path.write_text("[" * 100_000, "utf-8")
    with pytest.raises(BundleCorrupt):
        load_explanation(copied)


def test_a_newer_schema_is_refused_by_name(copied: Path) -> None:
    reseal(copied, schema_version=2)
    with pytest.raises(BundleTooNew, match="Update radiolucent"):
        load_explanation(copied)
    assert issubclass(BundleTooNew, UnsupportedInput)


def test_a_document_that_lists_other_files_is_refused(copied: Path) -> None:
    files = json.loads((copied / "explanation.json").read_text("utf-8"))["files"]
    reseal(copied, files=files | {"../../etc/passwd": "0" * 64})
    with pytest.raises(BundleCorrupt, match="no file of a bundle"):
        load_explanation(copied)
    reseal(copied, files={name: digest for name, digest in files.items() if name != "maps.npz"})
    with pytest.raises(BundleCorrupt, match="does not list"):
        load_explanation(copied)


def test_an_unknown_field_is_refused(copied: Path) -> None:
    reseal(copied, surprise=1)
    with pytest.raises(BundleCorrupt, match="surprise"):
        load_explanation(copied)


def _swap_arrays(folder: Path, data: bytes) -> None:
    (folder / "maps.npz").write_bytes(data)
    files = json.loads((folder / "explanation.json").read_text("utf-8"))["files"]
    reseal(folder, files=files | {"maps.npz": hashlib.sha256(data).hexdigest()})


def test_pickled_truncated_or_missing_arrays_are_refused_even_with_a_right_digest(copied: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, **{"map/000": np.array([{"x": 1}], dtype=object)})
    _swap_arrays(copied, stream.getvalue())
    with pytest.raises(BundleCorrupt, match="sound NPZ"):
        load_explanation(copied)
    _swap_arrays(copied, stream.getvalue()[: len(stream.getvalue()) // 2])
    with pytest.raises(BundleCorrupt, match="sound NPZ"):
        load_explanation(copied)
    empty = io.BytesIO()
    np.savez(empty)
    _swap_arrays(copied, empty.getvalue())
    with pytest.raises(BundleCorrupt, match="lacks the array"):
        load_explanation(copied)


def test_an_archive_that_unpacks_beyond_the_ceiling_is_refused(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_ARRAYS", 10_000)
    with pytest.raises(BundleCorrupt, match="unpacks to more"):
        load_explanation(copied)


def test_an_understated_member_size_cannot_pass_the_ceiling(copied: Path) -> None:
    """The directory's size is a claim; reading stops there whatever the stream holds."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        member = io.BytesIO()
        np.save(member, np.zeros(100_000, dtype=np.float32))
        archive.writestr("map/000.npy", member.getvalue())
    data = bytearray(stream.getvalue())
    at = data.rindex(b"PK\x01\x02") + 24
    data[at : at + 4] = (200).to_bytes(4, "little")
    _swap_arrays(copied, bytes(data))
    with pytest.raises(BundleCorrupt):
        load_explanation(copied)


def test_there_must_be_a_bundle_to_read(tmp_path: Path) -> None:
    with pytest.raises(BundlePathError, match="is no bundle"):
        load_explanation(tmp_path)
    with pytest.raises(BundlePathError, match="is no bundle"):
        load_explanation(tmp_path / "nowhere")


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(BundlePathError, match="is a file"):
        save(explain_en(), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
    with pytest.raises(BundlePathError):
        save(explain_en(), tmp_path / "out" / "inner")


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(BundlePathError, match=r"thesis\.txt"):
        save(explain_en(), tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_unwritable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> str:  # root, who runs some tests, may write anywhere
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(BundlePathError, match="Permission denied"):
        save(explain_en(), tmp_path / "out")


def test_a_failed_disk_write_is_a_typed_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BundlePathError, match="No space left"):
        save(explain_en(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_bundle_stays_until_the_new_one_is_complete(
    copied: Path, monkeypatch: pytest.MonkeyPatch, written: tuple[Explanation, Path]
) -> None:
    real = bundle._write

    def stop(path: Path, data: bytes) -> None:
        if path.name == "report.html":
            raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr(bundle, "_write", stop)
    with pytest.raises(BundlePathError):
        save(explain_zh(), copied)
    assert load_explanation(copied) == written[0]
    monkeypatch.undo()
    save(explain_zh(), copied)
    assert load_explanation(copied) == explain_zh()
    assert sorted(entry.name for entry in copied.parent.iterdir()) == ["copy"]  # no temporary folder is left


def test_an_empty_folder_becomes_the_bundle(tmp_path: Path) -> None:
    explain_en().save(tmp_path)
    assert load_explanation(tmp_path) == explain_en()


@pytest.mark.parametrize(
    "facts",
    [
        {"patient_id": "P1"}, {"run": {"AccessionNumber": "7"}}, {"study_uid": "1.2"}, {"weights": "/home/li/weights"},
        {"weights": "C:\\Users\\li\\w"}, {"file_name": "x.dcm"}, {"hostname": "ct3"},
    ],
)  # fmt: skip
def test_nothing_identifying_is_written(facts: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(IdentifyingContent):
        save(dataclasses.replace(explain_en(), provenance=facts), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [object(), float("nan"), {1: 2}, b"x", np.zeros(3)])
def test_provenance_that_json_cannot_hold_is_refused(value: object, tmp_path: Path) -> None:
    with pytest.raises(MalformedInput, match="provenance"):
        save(dataclasses.replace(explain_en(), provenance={"x": value}), tmp_path / "out")


def test_lone_surrogates_are_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(RadiolucentError):
        save(build("bad \ud800 text", (), "What?", "en"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_maps_of_the_wrong_frames_are_refused() -> None:
    base = explain_en()
    key, attribution = next(iter(base.maps.items()))
    wrong = dataclasses.replace(attribution, values=np.zeros((2, 16, 16), dtype=np.float32))
    with pytest.raises(MalformedInput, match="expected"):
        dataclasses.replace(base, maps={key: wrong}, faithfulness={})
    with pytest.raises(MalformedInput, match="Graded"):
        dataclasses.replace(base, maps={})
