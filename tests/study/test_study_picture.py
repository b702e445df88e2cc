"""PNG, JPEG and TIFF: bit depths, polarity, EXIF, and files that must be refused."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from radiolucent.errors import MalformedInput, RadiolucentError, UnsupportedInput
from radiolucent.study import load_study

GREY8 = np.linspace(0, 255, 12 * 10).reshape(12, 10).astype(np.uint8)
GREY16 = np.linspace(0, 60000, 12 * 10).reshape(12, 10).astype(np.uint16)
ORIENTATION = 0x0112


def codes(study) -> set[str]:
    return {entry.code for entry in study.warnings}


def saved(tmp_path: Path, picture: Image.Image, form: str, **options) -> Path:
    path = tmp_path / "x"
    picture.save(path, format=form, **options)
    return path


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_eight_bit_grey_is_shown_as_it_is(tmp_path: Path, form: str) -> None:
    study = load_study(saved(tmp_path, Image.fromarray(GREY8), form))
    np.testing.assert_array_equal(study.frames[0].values, GREY8)
    np.testing.assert_allclose(study.frames[0].picture() * 255, GREY8, atol=1e-4)
    assert study.source.format == form.lower() and study.modality == "OT" and study.view is None
    assert codes(study) == {"side_assumed", "view_unknown"}
    geometry = study.frames[0].geometry
    assert (geometry.patient_right, geometry.side_source, geometry.spacing) == ("left", "assumed", None)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_every_level(tmp_path: Path, form: str) -> None:
    study = load_study(saved(tmp_path, Image.fromarray(GREY16), form))
    np.testing.assert_array_equal(study.frames[0].values, GREY16)
    assert "window_from_data" in codes(study)


def test_jpeg_is_close_to_what_was_saved(tmp_path: Path) -> None:
    picture = np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)
    study = load_study(saved(tmp_path, Image.fromarray(picture), "JPEG", quality=98))
    assert np.abs(study.frames[0].values - picture).max() <= 3


def test_grey_saved_as_colour_is_grey_again_and_colour_stays(tmp_path: Path) -> None:
    grey = load_study(saved(tmp_path, Image.fromarray(GREY8).convert("RGB"), "PNG"))
    np.testing.assert_array_equal(grey.frames[0].values, GREY8)
    colour = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(load_study(saved(tmp_path, Image.fromarray(colour), "PNG")).frames[0].values, colour)


def test_palette_and_one_bit_pictures(tmp_path: Path) -> None:
    palette = Image.fromarray(GREY8).convert("P")
    np.testing.assert_array_equal(load_study(saved(tmp_path, palette, "PNG")).frames[0].values, GREY8)
    bits = Image.fromarray(GREY8 > 100)
    np.testing.assert_array_equal(load_study(saved(tmp_path, bits, "PNG")).frames[0].values, (GREY8 > 100) * 255)


def test_transparency_is_shown_on_black_with_a_notice(tmp_path: Path) -> None:
    pixels = np.dstack([GREY8] * 3 + [np.full_like(GREY8, 255)])
    opaque = load_study(saved(tmp_path, Image.fromarray(pixels), "PNG"))
    np.testing.assert_array_equal(opaque.frames[0].values, GREY8)
    assert "transparency_flattened" not in codes(opaque)
    pixels[:6, :, 3] = 0
    holed = load_study(saved(tmp_path, Image.fromarray(pixels), "PNG"))
    assert (holed.frames[0].values[:6] == 0).all()
    np.testing.assert_array_equal(holed.frames[0].values[6:], GREY8[6:])
    assert "transparency_flattened" in codes(holed)


def tiff(pixels: np.ndarray, white_is_zero: bool) -> bytes:
    """A TIFF written by hand, so that its polarity tag is ours."""
    rows, cols = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    tags = [
        (256, 3, 1, cols), (257, 3, 1, rows), (258, 3, 1, pixels.dtype.itemsize * 8), (259, 3, 1, 1),
        (262, 3, 1, 0 if white_is_zero else 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, rows),
        (279, 4, 1, len(data)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHLL", *tag) for tag in tags) + b"\0" * 4
    return struct.pack("<2sHL", b"II", 42, 8 + len(data)) + data + directory


@pytest.mark.parametrize("pixels", [GREY8, GREY16])
def test_white_is_zero_is_inverted_once(tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / "x"
    window = (0.0, float(pixels.max()))
    path.write_bytes(tiff(pixels, white_is_zero=False))
    plain = load_study(path, window=window).frames[0].picture()
    np.testing.assert_allclose(plain, pixels / pixels.max(), atol=1e-6)
    path.write_bytes(tiff(pixels, white_is_zero=True))
    np.testing.assert_allclose(load_study(path, window=window).frames[0].picture(), 1 - plain, atol=1e-6)


def test_the_pages_of_a_tiff_are_frames(tmp_path: Path) -> None:
    pages = [Image.fromarray(GREY8), Image.fromarray(GREY8[::-1])]
    study = load_study(saved(tmp_path, pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert [frame.label for frame in study.frames] == ["film 1", "film 2"]
    np.testing.assert_array_equal(study.frames[1].values, GREY8[::-1])


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (6, lambda a: np.rot90(a, -1)),
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_exif_orientation_is_applied_and_told(tmp_path: Path, form: str, orientation: int, turn) -> None:
    picture = np.zeros((24, 16), np.uint8)
    picture[:8, :8] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"tiffinfo": {ORIENTATION: orientation}} if form == "TIFF" else {"exif": exif}
    study = load_study(saved(tmp_path, Image.fromarray(picture), form, **options))
    frame = study.frames[0]
    np.testing.assert_allclose(frame.values, turn(picture), atol=12)
    assert (frame.geometry.rows, frame.geometry.cols) == turn(picture).shape
    assert ("exif_turned" in codes(study)) == (orientation != 1)


def test_nothing_of_exif_or_text_stays(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = "Zhang San 19400305", "Dr Li"
    assert "Zhang" not in repr(load_study(saved(tmp_path, Image.fromarray(GREY8), "JPEG", exif=exif)))
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[270] = "Zhang San"
    assert "Zhang" not in repr(load_study(saved(tmp_path, Image.fromarray(GREY8), "TIFF", tiffinfo=info)))


def test_the_caller_s_statements_are_taken(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(GREY8), "PNG")
    study = load_study(path, modality="CR", view="PA", patient_right="right", spacing=(0.1, 0.1), window=(0, 510))
    assert (study.modality, study.view, study.warnings) == ("CR", "PA", ())
    assert study.frames[0].geometry.patient_right == "right"
    assert study.frames[0].picture().max() == pytest.approx(0.5)


def png_declaring(cols: int, rows: int, data: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    header = struct.pack(">LLBBBBB", cols, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("cols", "rows"), [(30000, 30000), (9000, 9000), (12000, 8000), (2**31 - 1, 1), (0, 5)])
def test_bombs_and_empty_pictures_are_refused_before_decoding(tmp_path: Path, cols: int, rows: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(png_declaring(cols, rows))
    with pytest.raises(MalformedInput):
        load_study(path)


def test_tiff_bombs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    content = bytearray(tiff(GREY8, white_is_zero=False))
    for tag in (256, 257):
        at = content.index(struct.pack("<HHL", tag, 3, 1)) + 8
        content[at : at + 4] = struct.pack("<L", 30000)
    path.write_bytes(content)
    with pytest.raises(MalformedInput, match="far more pixels"):
        load_study(path)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_truncated_files_are_refused(tmp_path: Path, form: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80), dtype=np.uint8))
    path = saved(tmp_path, noise, form)
    content = path.read_bytes()
    for keep in (12, len(content) // 3, len(content) // 2):
        path.write_bytes(content[:keep])
        with pytest.raises(MalformedInput):
            load_study(path)


def test_a_tiff_with_missing_strips_is_refused_not_filled_with_black(tmp_path: Path) -> None:
    path = tmp_path / "x"
    content = bytearray(tiff(GREY8, white_is_zero=False))
    at = content.index(struct.pack("<HHL", 257, 3, 1)) + 8
    content[at : at + 4] = struct.pack("<L", 500)  # rows; the one strip has 12
    path.write_bytes(content)
    with pytest.raises(MalformedInput, match="strips"):
        load_study(path)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_tiffs_of_many_strips_and_of_colour_are_whole(tmp_path: Path, compression: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 260, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), "TIFF", compression=compression, strip_size=4096)
    np.testing.assert_array_equal(load_study(path).frames[0].values, noise)


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(GREY8), Image.fromarray(GREY8[::-1])]
    with pytest.raises(UnsupportedInput, match="animation"):
        load_study(saved(tmp_path, frames[0], "PNG", save_all=True, append_images=frames[1:]))


def test_floats_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    pixels = GREY8.astype(np.float32)
    pixels[0, 0] = np.nan
    with pytest.raises(MalformedInput, match="NaN"):
        load_study(saved(tmp_path, Image.fromarray(pixels), "TIFF"))


def _content(form: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(GREY8).save(buffer, format=form)
    return buffer.getvalue()


@given(st.sampled_from(["PNG", "JPEG", "TIFF"]).map(_content), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_open_or_raise_a_typed_error(tmp_path: Path, content: bytes, data: st.DataObject) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(8, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "x"
    path.write_bytes(damaged)
    try:
        study = load_study(path)
    except RadiolucentError:
        return
    assert all(np.isfinite(frame.picture()).all() for frame in study.frames)
