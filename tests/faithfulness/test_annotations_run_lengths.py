"""COCO's run lengths, there and back through COCO's own code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as cocoapi

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.annotations.run_lengths import decompress, fill_runs, is_empty, read_runs

masks = st.builds(
    lambda rows, cols, seed, share, block: np.kron(
        np.random.default_rng(seed).random((rows, cols)) < share, np.ones((block, block))
    ).astype(bool),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 2**16),
    st.sampled_from([0.0, 0.02, 0.3, 0.9, 1.0]),
    st.sampled_from([1, 3, 14]),  # long runs need more than one 6-bit group
)


def compressed(mask):
    encoded = cocoapi.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode()}


def uncompressed(mask):
    """Written out from the definition: pixels down the columns, from off."""
    flat = mask.ravel(order="F")
    counts, value, run = [], False, 0
    for pixel in flat:
        if pixel != value:
            counts.append(run)
            value, run = pixel, 0
        run += 1
    return {"size": list(mask.shape), "counts": [*counts, run]}


@given(masks)
@settings(deadline=None)
def test_what_coco_encodes_is_read_back_pixel_for_pixel(mask):
    size, runs = read_runs(compressed(mask), "a mask")
    assert size == mask.shape and is_empty(runs) == (not mask.any())
    np.testing.assert_array_equal(fill_runs(size, runs), mask)


@given(masks)
@settings(deadline=None)
def test_both_forms_hold_the_same_runs(mask):
    listed = uncompressed(mask)
    assert decompress(compressed(mask)["counts"]).tolist() == listed["counts"]
    np.testing.assert_array_equal(fill_runs(*read_runs(listed, "a mask")), mask)


@given(st.text(alphabet=[chr(code) for code in range(48, 112)], max_size=30), st.integers(1, 40), st.integers(1, 40))
@settings(deadline=None, max_examples=300)
def test_any_text_is_a_mask_of_that_size_or_a_typed_error(counts, rows, cols):
    try:
        size, runs = read_runs({"size": [rows, cols], "counts": counts}, "a mask")
    except MalformedInput:
        return
    assert fill_runs(size, runs).shape == (rows, cols)


@pytest.mark.parametrize(
    "value, said",
    [
        (None, "expected an object, found nothing"),
        ({"size": [4, 4]}, "counts"),
        ({"size": [4], "counts": [16]}, "size"),
        ({"size": [4, 0], "counts": [0]}, "no picture"),
        ({"size": [10**6, 10**6], "counts": [10**12]}, "at most"),
        ({"size": [4.5, 4], "counts": [18]}, "whole number"),
        ({"size": ["4", 4], "counts": [16]}, "expected a number"),
        ({"size": [4, 4], "counts": [15]}, "add up to 15"),
        ({"size": [4, 4], "counts": [20, -4]}, "negative or longer"),
        ({"size": [4, 4], "counts": [10**30]}, "negative or longer"),
        ({"size": [4, 4], "counts": []}, "missing"),
        ({"size": [4, 4], "counts": ""}, "empty"),
        ({"size": [4, 4], "counts": "\x7f"}, "characters"),
        ({"size": [4, 4], "counts": "é"}, "characters"),
        ({"size": [4, 4], "counts": "o"}, "cut short"),  # says that a group follows
        ({"size": [4, 4], "counts": "o" * 40 + "0"}, "too large"),
        ({"size": [4, 4], "counts": {}}, "expected a list, found an object"),
    ],
)
def test_damage_is_a_typed_error_that_names_the_mask(value, said):
    with pytest.raises(MalformedInput, match=said) as caught:
        read_runs(value, "annotation 3 of 9")
    assert "annotation 3 of 9" in str(caught.value)
