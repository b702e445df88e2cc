"""Millimetres only where they are valid, and at the detector unless calibrated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from radiolucent.study import load_study
from radiolucent.study.spacing import spacing_of


@pytest.mark.parametrize(
    ("stated", "spacing", "kind"),
    [
        ({}, None, None),
        ({"PixelSpacing": [0, 0]}, None, None),
        ({"PixelSpacing": [0.2, 0]}, None, None),
        ({"PixelSpacing": [-0.2, 0.2]}, None, None),
        ({"PixelSpacing": [1000, 1000]}, None, None),
        ({"PixelSpacing": [1e-6, 1e-6]}, None, None),
        ({"PixelSpacing": [0.2, 0.2]}, (0.2, 0.2), "detector"),
        ({"ImagerPixelSpacing": [0.143, 0.143]}, (0.143, 0.143), "detector"),
        ({"ImagerPixelSpacing": [0, 0], "PixelSpacing": [0.2, 0.2]}, (0.2, 0.2), "detector"),
        ({"ImagerPixelSpacing": [0.143, 0.143], "PixelSpacing": [0, 0]}, (0.143, 0.143), "detector"),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.18, 0.18]}, (0.2, 0.2), "detector"),
        (
            {
                "ImagerPixelSpacing": [0.2, 0.2],
                "PixelSpacing": [0.18, 0.18],
                "PixelSpacingCalibrationType": "GEOMETRY",
            },
            (0.18, 0.18),
            "patient",
        ),
        ({"PixelSpacing": [0, 0], "PixelSpacingCalibrationType": "FIDUCIAL"}, None, None),
    ],
)
def test_films(film, stated: dict, spacing: tuple[float, float] | None, kind: str | None) -> None:
    geometry = load_study(film(**stated)).frames[0].geometry
    assert (geometry.spacing, geometry.spacing_kind) == (spacing, kind)


def test_a_field_longer_than_any_film_is_in_another_unit() -> None:
    header = Dataset()
    header.ImagerPixelSpacing = [2, 2]
    assert spacing_of(header, 0, 2000, 100, projection=True) == (None, None)
    assert spacing_of(header, 0, 200, 100, projection=True) == ((2, 2), "detector")


def test_slices_measure_the_patient(ct_slice) -> None:
    geometry = load_study(ct_slice(0, PixelSpacing=[0.5, 0.7])).frames[0].geometry
    assert (geometry.spacing, geometry.spacing_kind) == ((0.5, 0.7), "patient")
    none = load_study(ct_slice(0, PixelSpacing=[0, 0], name="zero")).frames[0].geometry
    assert (none.spacing, none.spacing_kind) == (None, None)


@pytest.mark.parametrize("stated", [{"PixelSpacing": [0.2, 0.4]}, {"PixelAspectRatio": [1, 2]}])
def test_pixels_that_are_not_square_are_told(film, stated: dict) -> None:
    assert "pixels_not_square" in {entry.code for entry in load_study(film(**stated)).warnings}


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=3))
def test_whatever_the_header_says_a_spacing_is_positive_or_none(values: list[float]) -> None:
    class Header(dict):
        pass

    header = Header(ImagerPixelSpacing=values)
    spacing, kind = spacing_of(header, 0, 100, 100, projection=True)  # type: ignore[arg-type]
    assert (spacing is None) == (kind is None)
    assert spacing is None or (len(spacing) == 2 and all(0.01 <= step <= 10 for step in spacing))
