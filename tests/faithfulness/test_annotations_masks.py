"""Masks as PNG: one folder a category, the film's path below it."""

import numpy as np
import pytest
from film_files import SIZE, blob, dicom_film, picture, save_dicom, save_png
from PIL import Image

from radiolucent.errors import MalformedInput, UnsupportedInput
from radiolucent.faithfulness.annotations import annotated_cases


@pytest.fixture
def folder(tmp_path):
    """A DICOM film in a subfolder and a PNG film, both with masks beside them."""
    save_dicom(tmp_path / "ward 3" / "0001.dcm", dicom_film(picture()))
    save_png(tmp_path / "0002.png", picture(seed=1))
    save_png(tmp_path / "masks" / "pleural_effusion" / "ward 3" / "0001.png", blob())
    save_png(tmp_path / "masks" / "Nodule_Mass" / "0002.png", blob(seed=1))
    save_png(tmp_path / "masks" / "Edema" / "0002.png", np.zeros(SIZE, bool))
    return tmp_path


def test_masks_lie_beside_the_films_or_in_a_folder_of_their_own(folder):
    together = list(annotated_cases(folder))
    (folder / "masks").rename(folder.parent / "truth")
    apart = list(annotated_cases(folder.parent / "truth", folder))
    for cases in (together, apart):
        assert [set(case.masks) for case in cases] == [{"nodule", "mass"}, {"pleural_effusion"}]
        np.testing.assert_array_equal(cases[0].masks["mass"], blob(seed=1))
        np.testing.assert_array_equal(cases[1].masks["pleural_effusion"], blob())
        assert cases[1].study.source.format == "dicom"


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "RGB", "P", "RGBA"])
def test_any_one_value_beside_black_is_the_lesion(folder, mode):
    mask = blob()
    deep = Image.fromarray(mask.astype(np.uint16) * 700)
    shade = Image.fromarray(mask.astype(np.uint8) * (255 if mode == "1" else 1))
    images = {"I;16": deep, "RGB": Image.merge("RGB", (shade, *[Image.new("L", shade.size)] * 2))}
    made = images.get(mode) or shade.convert(mode)
    made.save(folder / "masks" / "pleural_effusion" / "ward 3" / "0001.png")
    np.testing.assert_array_equal(list(annotated_cases(folder))[1].masks["pleural_effusion"], mask)


def test_a_mask_of_several_values_is_refused(folder):
    save_png(folder / "masks" / "Edema" / "0002.png", picture())
    with pytest.raises(MalformedInput, match=r"mask 1 of 3 .*several values"):
        annotated_cases(folder)


def test_masks_with_loss_damaged_misplaced_or_of_different_size_are_refused(folder):
    edema = folder / "masks" / "Edema" / "0002.png"
    Image.fromarray(blob().astype(np.uint8) * 255).save(edema, format="JPEG")
    with pytest.raises(UnsupportedInput, match="jpeg, not PNG"):
        annotated_cases(folder)
    edema.write_bytes(save_png(edema, blob()).read_bytes()[:60])
    with pytest.raises(MalformedInput, match="mask 1 of 3"):
        annotated_cases(folder)
    save_png(edema, blob((30, 40)))
    with pytest.raises(MalformedInput, match="sizes"):
        annotated_cases(folder)
    edema.rename(folder / "masks" / "0002.png")
    with pytest.raises(MalformedInput, match="no category"):
        annotated_cases(folder)


def test_a_film_of_another_size_than_its_mask_is_refused(folder):
    save_png(folder / "masks" / "pleural_effusion" / "ward 3" / "0001.png", blob((30, 40)))
    cases = iter(annotated_cases(folder))
    next(cases)
    with pytest.raises(MalformedInput, match="Film 2 of 2"):
        next(cases)


def test_an_empty_folder_of_masks_says_the_layout(tmp_path):
    save_png(tmp_path / "films" / "1.png", picture())
    (tmp_path / "truth").mkdir()
    with pytest.raises(MalformedInput, match="<category>"):
        annotated_cases(tmp_path / "truth", tmp_path / "films")
