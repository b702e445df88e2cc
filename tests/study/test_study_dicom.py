"""DICOM films: a real one, values and polarity against pydicom, padding, and nothing of the patient kept."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from dicom_files import chest_film, ramp
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_voi_lut
from pydicom.sequence import Sequence

from radiolucent.errors import MalformedInput, UnsupportedInput
from radiolucent.study import load_study


def codes(study) -> set[str]:
    return {entry.code for entry in study.warnings}


def real_film() -> str:
    path = get_testdata_file("RG1_UNCR.dcm", download=False)
    if path is None:
        pytest.fail("pydicom-data is not installed; run: pip install -e '.[dev]'")
    return path


@pytest.fixture(scope="module")
def real():
    return load_study(real_film())


def test_the_real_film_comes_out_upright_and_not_inverted(real) -> None:
    header = dcmread(real_film())
    stored = np.frombuffer(header.PixelData, "<u2").reshape(1955, 1841).astype(np.float64)
    # Centre 15000, width 30000, then MONOCHROME1: written out, without the code under test.
    expected = 1 - np.clip((stored - (15000 - 0.5)) / (30000 - 1) + 0.5, 0, 1)
    picture = real.frames[0].picture()
    np.testing.assert_allclose(picture, expected, atol=1e-5)
    lung, spine = picture[600:700, 1250:1350], picture[900:1100, 880:960]
    assert lung.mean() + 0.2 < spine.mean()  # lungs dark, spine bright
    left_half, right_half = picture[1100:1400, 600:800], picture[1100:1400, 1050:1250]
    assert right_half.mean() > left_half.mean()  # the heart lies to the picture's right: L\F, not mirrored


def test_the_real_film_s_sides_spacing_and_view(real) -> None:
    geometry = real.frames[0].geometry
    assert (geometry.rows, geometry.cols) == (1955, 1841)
    assert (geometry.patient_right, geometry.side_source) == ("left", "orientation")
    assert (geometry.spacing, geometry.spacing_kind) == (None, None)  # the header says 0\0
    assert (real.modality, real.view) == ("CR", "PA")
    assert codes(real) == {"burned_in_unknown"}


def test_nothing_in_the_real_film_s_header_stays_in_the_study(real) -> None:
    header = dcmread(real_film(), stop_before_pixels=True)
    said = repr(real) + repr(dataclasses.asdict(real))
    # What a study is meant to say: its modality and view; what rows, columns and the window come to.
    allowed = {"CR", "PA", "1955", "1841", "30000", "15000"}
    values = set()
    for element in [*header.file_meta, *header]:
        several = element.value if element.VM > 1 else [element.value]
        values |= {str(value).strip() for value in several}
    looked_for = {value for value in values if len(value) >= 4} - allowed
    assert {"CompressedSamples^RG1", "9RG1", "19400305", "26210", "exam Number", "THORAX"} <= looked_for
    assert [value for value in looked_for if value in said] == []


@pytest.mark.parametrize("name", ["RG1_J2KR.dcm", "RG1_UNCI.dcm"])
def test_the_same_film_in_another_form_is_the_same_film(real, name: str) -> None:
    path = get_testdata_file(name, download=False)
    other = load_study(path)
    if dcmread(path).get("PhotometricInterpretation") == "MONOCHROME1" and name.endswith("R.dcm"):
        assert other.source.sha256 == real.source.sha256
    # The lossy film's siblings differ by its loss alone.
    np.testing.assert_allclose(other.frames[0].picture(), real.frames[0].picture(), atol=0.02)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize("bits", [None, 12])
def test_stored_values_of_either_sign_and_depth(film, dtype: str, bits: int | None) -> None:
    if bits and dtype.endswith("1"):
        bits = 7
    width = bits or int(dtype[1]) * 8
    low, high = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if dtype[0] == "i" else (0, 2**width - 1)
    pixels = np.linspace(low, high, 120).reshape(12, 10).astype(dtype)
    stated = {"BitsStored": bits, "HighBit": bits - 1} if bits else {}
    study = load_study(film(pixels, **stated))
    np.testing.assert_array_equal(study.frames[0].values, pixels.astype(np.float32))


def test_bits_above_those_stored_are_ignored(film) -> None:
    pixels = ramp(top=4095)
    with_overlay = pixels | 0xA000
    study = load_study(film(with_overlay, BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(study.frames[0].values, pixels)


def test_rescale_comes_before_the_window(film) -> None:
    path = film(ramp(top=1000), RescaleSlope=2, RescaleIntercept=-500, WindowCenter=500, WindowWidth=400)
    study = load_study(path)
    np.testing.assert_array_equal(study.frames[0].values, ramp(top=1000) * 2.0 - 500)
    expected = np.clip((ramp(top=1000) * 2.0 - 500 - 499.5) / 399 + 0.5, 0, 1)
    np.testing.assert_allclose(study.frames[0].picture(), expected, atol=1e-5)


def table(entries: list[int], first: int, bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return item


def test_a_modality_table_takes_the_place_of_rescale(film) -> None:
    item = table([10, 20, 40, 80, 1000], 3, 16)
    item.ModalityLUTType = "US"
    pixels = np.arange(12, dtype="u2").reshape(3, 4)
    study = load_study(film(pixels, ModalityLUTSequence=Sequence([item])))
    np.testing.assert_array_equal(
        study.frames[0].values, [[10, 10, 10, 10], [20, 40, 80, 1000], [1000, 1000, 1000, 1000]]
    )


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_voi_table_is_that_of_pydicom_and_goes_before_the_window(film, bits: int) -> None:
    entries = np.linspace(0, 2**bits - 1, 64).astype(int).tolist()
    path = film(ramp(top=200), VOILUTSequence=Sequence([table(entries, 50, bits)]))
    header = dcmread(path)
    expected = apply_voi_lut(header.pixel_array, header, prefer_lut=True) / (2**bits - 1)
    np.testing.assert_allclose(load_study(path).frames[0].picture(), expected, atol=1e-6)


def test_the_first_of_several_windows_is_taken(film) -> None:
    display = load_study(film(WindowCenter=[100, 5], WindowWidth=[50, 1])).frames[0].display
    assert (display.low, display.high) == (75, 124)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_the_header_s_function_is_applied(film, function: str) -> None:
    path = film(VOILUTFunction=function, WindowCenter=100, WindowWidth=80)
    header = dcmread(path)
    expected = apply_voi_lut(header.pixel_array, header) / 65535
    np.testing.assert_allclose(load_study(path).frames[0].picture(), expected, atol=2e-4)


@pytest.mark.parametrize(
    "window", [{"WindowCenter": None, "WindowWidth": None}, {"WindowWidth": 0}, {"WindowWidth": -5}]
)
def test_without_a_valid_window_the_data_s_range_is_shown_and_told(film, window: dict) -> None:
    study = load_study(film(ramp(top=3000), **window))
    assert "window_from_data" in codes(study)
    assert np.ptp(study.frames[0].picture()) == 1


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted", "conflict"),
    [
        ("MONOCHROME2", None, False, False),
        ("MONOCHROME2", "IDENTITY", False, False),
        ("MONOCHROME1", None, True, False),
        ("MONOCHROME1", "INVERSE", True, False),
        ("MONOCHROME2", "INVERSE", True, True),
        ("MONOCHROME1", "IDENTITY", True, True),
    ],
)
def test_polarity_is_applied_once(film, photometric: str, shape: str | None, inverted: bool, conflict: bool) -> None:
    study = load_study(film(PhotometricInterpretation=photometric, PresentationLUTShape=shape))
    plain = load_study(film(name="plain")).frames[0].picture()
    expected = 1 - plain if inverted else plain
    np.testing.assert_allclose(study.frames[0].picture(), expected, atol=1e-6)
    assert ("polarity_conflict" in codes(study)) == conflict


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_move_the_window(film, photometric: str) -> None:
    pixels = ramp(40, 40, top=1000) + 1000
    pixels[:20] = 65000
    stated = {"PhotometricInterpretation": photometric, "WindowCenter": None, "WindowWidth": None}
    study = load_study(film(pixels, PixelPaddingValue=65000, **stated))
    frame = study.frames[0]
    assert frame.display.high <= 2000
    np.testing.assert_array_equal(frame.display.padding, pixels == 65000)
    assert (frame.picture()[:20] == 0).all()


def test_a_padding_range_reaches_from_value_to_limit(film) -> None:
    pixels = ramp(top=200)
    study = load_study(film(pixels, PixelPaddingValue=10, PixelPaddingRangeLimit=30))
    np.testing.assert_array_equal(study.frames[0].display.padding, (pixels >= 10) & (pixels <= 30))


def test_padding_of_signed_pixels_written_as_unsigned(film) -> None:
    pixels = ramp(dtype="i2")
    pixels[0] = -2000
    dataset = chest_film(pixels)
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2000)
    path = film(pixels)
    dataset.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(load_study(path).frames[0].display.padding, pixels == -2000)


def test_colour_films(film) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    study = load_study(film(colour))
    np.testing.assert_array_equal(study.frames[0].values, colour)
    grey = np.dstack([ramp(dtype="u1"), np.full((12, 10), 128, "u1"), np.full((12, 10), 128, "u1")])
    ybr = load_study(film(grey, PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_array_equal(ybr.frames[0].values, ramp(dtype="u1"))  # grey saved as colour is grey again


def test_deep_colour_is_brought_to_eight_bits(film) -> None:
    colour = np.random.default_rng(0).integers(0, 65536, (12, 10, 3), dtype=np.uint16)
    np.testing.assert_array_equal(load_study(film(colour)).frames[0].values, colour >> 8)


def test_a_multi_frame_film(film) -> None:
    stack = np.stack([ramp(), ramp()[::-1]])
    study = load_study(film(stack))
    assert [frame.label for frame in study.frames] == ["film 1", "film 2"]
    np.testing.assert_array_equal(study.frames[1].values, stack[1])


def test_a_constant_film_is_opened_with_a_warning(film) -> None:
    assert "no_contrast" in codes(load_study(film(np.full((12, 10), 77, "u2"))))


def test_a_film_shown_outside_its_window_has_no_contrast(film) -> None:
    assert "no_contrast" in codes(load_study(film(WindowCenter=9000, WindowWidth=10)))


@pytest.mark.parametrize(
    ("stated", "error", "words"),
    [
        ({"Rows": None}, MalformedInput, "Rows"),
        ({"Rows": 0}, MalformedInput, "no picture"),
        ({"Rows": 30000, "Columns": 30000}, MalformedInput, "30000"),
        ({"NumberOfFrames": 2_000_000}, MalformedInput, "frames"),
        ({"Rows": 13}, MalformedInput, "damaged"),
        ({"PixelData": None}, MalformedInput, "no pixel data"),
        ({"BitsStored": 20}, MalformedInput, "Bits Stored"),
        ({"HighBit": 7, "BitsStored": 12}, MalformedInput, "High Bit"),
        ({"BitsAllocated": 32}, UnsupportedInput, "32 bits"),
        ({"PhotometricInterpretation": "HSV"}, UnsupportedInput, "HSV"),
        ({"SamplesPerPixel": 3}, UnsupportedInput, "samples"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, MalformedInput, "Slope"),
        ({"RescaleSlope": 1e38}, MalformedInput, "Slope"),
    ],
)
def test_broken_headers_are_refused_with_the_reason(film, stated: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        load_study(film(**stated))


def test_a_file_cut_short_is_refused_wherever_it_was_cut(film) -> None:
    path = film()
    content = path.read_bytes()
    for keep in (140, 200, 400, len(content) // 2, len(content) - 40):
        path.write_bytes(content[:keep])
        with pytest.raises((MalformedInput, UnsupportedInput)):
            load_study(path)


def test_options_that_would_contradict_the_header_are_refused(film) -> None:
    with pytest.raises(UnsupportedInput, match="patient_right"):
        load_study(film(), patient_right="left")


def test_errors_name_files_by_number_and_never_by_name(film, tmp_path: Path) -> None:
    good = film(name="ZhangSan_1")
    bad = film(name="ZhangSan_2", BitsAllocated=32)
    with pytest.raises(UnsupportedInput) as raised:
        load_study([good, bad])
    assert "2 of 2" in str(raised.value) and "Zhang" not in str(raised.value)
