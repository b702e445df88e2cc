"""The rule for the word of a finding's certainty, and what a film that shows nothing is."""

import numpy as np
import pytest
import torch

import radiolucent as rl
from radiolucent.calibrate.standing import blank_film
from radiolucent.confidence.quadrant import DANGEROUS, RELIANT_NATS, quadrant, shows_nothing, with_image_lift
from radiolucent.confidence.types import QUADRANT_WORDS, FindingConfidence
from radiolucent.phantom.film import draw_case
from radiolucent.vlm.types import Features


def entry(present, samples=10, low=0.0, high=1.0):
    return FindingConfidence("nodule", None, present, 0, samples - present, 0, samples, low, high)


@pytest.mark.parametrize(
    ("low", "lift", "word"),
    [
        (0.78, 1.0, "grounded"),
        (0.40, 1.0, "unstable"),
        (0.78, 0.0, "not image-based"),
        (0.78, -3.0, "not image-based"),
        (0.40, 0.1, "unreliable"),
        (0.50, RELIANT_NATS, "unstable"),  # the bound must lie above one half
    ],
)
def test_consistent_is_crossed_with_image_reliant(low, lift, word):
    assert with_image_lift(entry(9, low=low), lift).quadrant == word


@pytest.mark.parametrize(
    ("low", "lift", "word"),
    [
        (0.78, 9.0, "evidence elsewhere"),
        (0.40, 9.0, "unreliable"),
        (0.78, 0.0, "not image-based"),  # it leans on no part of the image, whatever a map shows
        (0.40, 0.0, "unreliable"),
    ],
)
def test_leaning_on_a_place_where_it_cannot_be_seen_is_no_ground(low, lift, word):
    assert with_image_lift(entry(9, low=low), lift, elsewhere=True).quadrant == word


def test_evidence_elsewhere_is_never_grounded_and_never_said_not_to_lean_on_the_image():
    for low in np.linspace(0, 1, 21):
        for lift in np.linspace(-1, 10, 23):
            word = with_image_lift(entry(9, low=low), lift, elsewhere=True).quadrant
            assert word in DANGEROUS | {"unreliable"}
            assert word != "not image-based" or lift < RELIANT_NATS


def test_what_was_not_measured_gets_no_word():
    assert quadrant(entry(9, low=0.6)) is None and quadrant(entry(9, low=0.6), elsewhere=True) is None


def test_people_never_read_danger():
    for english, chinese in QUADRANT_WORDS.values():
        assert "danger" not in english and "危" not in chinese


def shown(*films):
    pixels = torch.stack([torch.from_numpy(film).float().div(127.5).sub(1).expand(3, -1, -1) for film in films])
    return Features(torch.zeros(len(films), 4, 2), pixels, (), "key")


def test_noise_is_nothing_and_a_film_is_something():
    for seed in range(12):
        blank = blank_film(seed).frames[0].picture().astype(np.float32)
        film = draw_case(90_000 + seed, size=256, pairs=False).film.astype(np.float32)
        assert shows_nothing(shown(blank))
        assert not shows_nothing(shown(film))
    assert not shows_nothing(shown(np.full((256, 256), 128, np.float32), film))  # one image that shows something


def test_on_a_blank_film_every_word_says_so_and_people_are_told():
    made = rl.explain(rl.load_model("demo"), blank_film(3), methods=("attention",), samples=8)
    assert made.confidence is not None and made.findings
    assert all(one.quadrant in DANGEROUS | {"unreliable"} for one in made.confidence.findings)
    assert "nothing_shown" in {notice.code for notice in made.warnings}
