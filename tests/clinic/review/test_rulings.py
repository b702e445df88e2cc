"""What may be decided, what must be, and what stands afterwards."""

from __future__ import annotations

import pytest

from radiolucent.clinic.review.rulings import (
    Drafted,
    Ruled,
    Stated,
    check_box,
    check_stated,
    decide,
    kept_sentences,
    standing,
    undecided,
)
from radiolucent.errors import MalformedInput

EFFUSION = Drafted("f1", "finding", Stated("pleural_effusion", side="right", severity="mild"))
DENIED = Drafted("f2", "finding", Stated("pneumothorax", "absent"))
SENTENCE = Drafted("s1", "sentence", None, "The patient was rotated.")


@pytest.mark.parametrize(
    ("one", "must"),
    [
        (EFFUSION, True),
        (Drafted("x", "finding", Stated("nodule", "uncertain")), True),
        (DENIED, False),
        (Drafted("x", "finding", Stated("pneumothorax", "absent"), quadrant="not image-based"), True),
        (Drafted("x", "finding", Stated("pneumothorax", "absent"), contradicted=True), True),
        (SENTENCE, True),
    ],
)
def test_what_must_be_decided(one: Drafted, must: bool) -> None:
    assert one.must_rule is must
    assert bool(undecided([one], [])) is must
    assert not undecided([one], [Ruled("r", one.id, "reject")])


@pytest.mark.parametrize("decision", ["keep", "drop", "add", "accept all", ""])
def test_a_finding_is_accepted_changed_or_rejected(decision: str) -> None:
    with pytest.raises(MalformedInput):
        decide(EFFUSION, decision, Stated("nodule"))


@pytest.mark.parametrize("decision", ["accept", "change", "reject", "add"])
def test_a_sentence_is_kept_or_dropped(decision: str) -> None:
    with pytest.raises(MalformedInput):
        decide(SENTENCE, decision, Stated("nodule"))
    assert decide(SENTENCE, "keep") is None


def test_what_is_not_knowable_is_not_accepted_unchanged() -> None:
    sized = Drafted("x", "finding", Stated("nodule", size_mm=(8.0,)), not_knowable=("size",))
    with pytest.raises(MalformedInput, match="not knowable"):
        decide(sized, "accept")
    assert decide(sized, "change", Stated("nodule")) == Stated("nodule")
    assert decide(sized, "change", Stated("nodule", size_mm=(8.0,))) is not None  # the reader measured it
    assert decide(sized, "reject") is None


def test_a_contradiction_is_not_accepted() -> None:
    with pytest.raises(MalformedInput, match="contradicts"):
        decide(Drafted("x", "finding", Stated("nodule", "uncertain"), contradicted=True), "accept")


def test_a_change_changes_something() -> None:
    with pytest.raises(MalformedInput, match="accept it"):
        decide(EFFUSION, "change", EFFUSION.stated)
    assert decide(EFFUSION, "change", Stated("pleural_effusion", side="left")) == Stated(
        "pleural_effusion", side="left"
    )


@pytest.mark.parametrize(
    "stated",
    [
        Stated("headache"),
        Stated("nodule", "maybe"),
        Stated("nodule", side="up"),
        Stated("nodule", severity="mild"),  # measured, never graded
        Stated("cardiomegaly", side="left"),
        Stated("pneumothorax", zone="upper"),
        Stated("nodule", size_mm=(float("nan"),)),
        Stated("nodule", size_mm=(0.0,)),
        Stated("nodule", size_mm=(1.0, 2.0, 3.0, 4.0)),
        Stated("cardiomegaly", size_mm=(5.0,)),
        Stated("nodule", "present", certainty="possible"),
    ],
)
def test_the_vocabulary_is_kept(stated: Stated) -> None:
    with pytest.raises(MalformedInput):
        check_stated(stated)


def test_certainty_is_kept() -> None:
    assert check_stated(Stated("nodule", "uncertain", certainty="likely")).certainty == "likely"
    assert check_stated(Stated("nodule", "uncertain")).certainty == "possible"
    assert check_stated(Stated("nodule", "absent", "left", "upper")) == Stated("nodule", "absent", "left")


def test_what_stands() -> None:
    nodule = Drafted("f3", "finding", Stated("nodule", side="left"))
    ruled = [
        Ruled("r1", "f1", "change", Stated("pleural_effusion", side="left")),
        Ruled("r2", "f3", "reject"),
        Ruled("r3", None, "add", Stated("fracture", side="right")),
        Ruled("r4", "s1", "keep"),
    ]
    assert standing([EFFUSION, DENIED, nodule, SENTENCE], ruled) == [
        Stated("pleural_effusion", side="left"),
        Stated("pneumothorax", "absent"),  # covered by the signature
        Stated("fracture", side="right"),
    ]
    assert kept_sentences([SENTENCE], ruled) == ["The patient was rotated."]
    assert standing([EFFUSION], []) == []  # nobody has decided: nothing stands


def test_boxes_lie_on_their_frame() -> None:
    frames = [(100, 80)]
    box = check_box({"frame": 0, "x0": 50, "y0": -5, "x1": 20, "y1": 30}, frames)
    assert box == {"frame": 0, "x0": 20.0, "y0": 0.0, "x1": 50.0, "y1": 30.0}
    for bad in (
        {"frame": 1, "x0": 0, "y0": 0, "x1": 9, "y1": 9},
        {"frame": 0, "x0": 90, "y0": 0, "x1": 99, "y1": 9},
        {"frame": 0, "x0": float("nan"), "y0": 0, "x1": 9, "y1": 9},
        {"frame": 0, "x0": 0, "y0": 0},
        {"frame": "x", "x0": 0, "y0": 0, "x1": 9, "y1": 9},
    ):
        with pytest.raises(MalformedInput):
            check_box(bad, frames)


def test_the_mediastinum_shifts_to_one_side() -> None:
    assert check_stated(Stated("mediastinal_shift", side="left")).side == "left"
    with pytest.raises(MalformedInput, match="one side"):
        check_stated(Stated("mediastinal_shift", side="bilateral"))
