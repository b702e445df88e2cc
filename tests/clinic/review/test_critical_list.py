"""Which findings are critical, by a list that the site edits."""

from __future__ import annotations

import pytest

from radiolucent.clinic.review.critical import DEFAULT_LIST, matching, opens_record, read_list, written
from radiolucent.clinic.review.rulings import Stated
from radiolucent.errors import MalformedInput


@pytest.mark.parametrize(
    ("stated", "words", "critical"),
    [
        (Stated("pneumothorax", side="left", severity="severe"), "", True),
        (Stated("pneumothorax", side="left"), "", True),  # its size is not known to be small
        (Stated("pneumothorax", side="left", severity="mild"), "", False),
        (Stated("pneumothorax", "absent"), "", False),
        (Stated("pleural_effusion", severity="severe"), "", True),
        (Stated("pleural_effusion", severity="mild"), "", False),
        (Stated("atelectasis", zone="diffuse"), "", True),
        (Stated("subdiaphragmatic_gas"), "", True),
        (Stated("enlarged_cardiomediastinum", "uncertain"), "", True),
        (Stated("support_devices"), "endotracheal tube in place", False),
        (Stated("support_devices"), "气管插管位置异常", True),
        (Stated("nodule"), "", False),
    ],
)
def test_the_list_that_ships(stated: Stated, words: str, critical: bool) -> None:
    assert (matching(stated, DEFAULT_LIST, words) is not None) is critical


def test_what_asks_for_a_call() -> None:
    assert opens_record(Stated("pneumothorax"))
    assert opens_record(Stated("pneumothorax", "uncertain", certainty="likely"))
    assert not opens_record(Stated("pneumothorax", "uncertain", certainty="possible"))


def test_the_list_can_be_written_and_read() -> None:
    assert read_list(written(DEFAULT_LIST)) == DEFAULT_LIST


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"code": "headache", "en": "x", "zh": "x"},
        {"code": "nodule", "en": " ", "zh": "x"},
        {"code": "nodule", "en": "x", "zh": "x", "severities": ["huge"]},
        {"code": "nodule", "en": "x", "zh": "x", "zones": ["left"]},
        {"code": "nodule", "en": "x", "zh": "x", "words": [1]},
        "nodule",
    ],
)
def test_a_list_that_does_not_fit_is_refused(entry: object) -> None:
    with pytest.raises(MalformedInput):
        read_list([entry])  # type: ignore[list-item]
