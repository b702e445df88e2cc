"""Every change of a chain that is not an addition at its end is found, whatever it is."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.clinic.audit.chain import GENESIS, Entry, canonical, check, digest_of, link
from radiolucent.errors import MalformedInput

KEY = b"k" * 32
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
DETAIL = st.dictionaries(TEXT, TEXT | st.integers() | st.none() | st.booleans(), max_size=3)


def chain(details: list[dict[str, object]], key: bytes = KEY) -> list[Entry]:
    made: list[Entry] = []
    for number, detail in enumerate(details):
        last = made[-1] if made else None
        made.append(
            link(key, last, at=f"t{number}", actor="a", action="b", object_kind="c", object_id="d", detail=detail)
        )
    return made


@settings(max_examples=40, deadline=None)
@given(st.lists(DETAIL, max_size=6))
def test_an_untouched_chain_is_whole(details: list[dict[str, object]]) -> None:
    entries = chain(details)
    assert check(entries, KEY) == []
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))


@settings(max_examples=40, deadline=None)
@given(st.lists(DETAIL, min_size=1, max_size=6), st.data())
def test_an_edit_of_any_field_is_found(details: list[dict[str, object]], data: st.DataObject) -> None:
    entries = chain(details)
    place = data.draw(st.integers(0, len(entries) - 1))
    name = data.draw(st.sampled_from([field.name for field in dataclasses.fields(Entry)]))
    old = getattr(entries[place], name)
    new = old + data.draw(st.integers(1, 9)) if name == "seq" else data.draw(TEXT.filter(lambda text: text != old))
    entries[place] = dataclasses.replace(entries[place], **{name: new})
    assert check(entries, KEY)


@settings(max_examples=40, deadline=None)
@given(st.lists(DETAIL, min_size=2, max_size=6), st.data())
def test_a_deletion_that_is_not_at_the_end_is_found(details: list[dict[str, object]], data: st.DataObject) -> None:
    entries = chain(details)
    del entries[data.draw(st.integers(0, len(entries) - 2))]
    assert check(entries, KEY)


@settings(max_examples=40, deadline=None)
@given(st.lists(DETAIL, min_size=2, max_size=6), st.data())
def test_reordering_is_found(details: list[dict[str, object]], data: st.DataObject) -> None:
    entries = chain(details)
    first, second = data.draw(
        st.tuples(st.integers(0, len(entries) - 1), st.integers(0, len(entries) - 1)).filter(
            lambda two: two[0] != two[1]
        )
    )
    swapped = list(entries)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    assert check(swapped, KEY)
    renumbered = [dataclasses.replace(entry, seq=number) for number, entry in enumerate(swapped, start=1)]
    assert check(renumbered, KEY)


@settings(max_examples=40, deadline=None)
@given(st.lists(DETAIL, min_size=2, max_size=5))
def test_a_chain_made_with_another_key_is_found(details: list[dict[str, object]]) -> None:
    assert check(chain(details, b"x" * 32), KEY)
    forged = chain(details)
    forged[0] = dataclasses.replace(forged[0], detail='{"forged":true}')
    forged[0] = dataclasses.replace(forged[0], digest=digest_of(forged[0], b"x" * 32))
    assert check(forged, KEY)


def test_the_digest_is_an_hmac_over_every_field() -> None:
    entry = chain([{"b": 1, "a": "张"}])[0]
    fields = dict(entry.__dict__)
    digest = fields.pop("digest")
    plain = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    assert hmac.new(KEY, plain, hashlib.sha256).hexdigest() == digest
    assert entry.detail == '{"a":"张","b":1}' and entry.previous == GENESIS


def test_a_detail_without_one_spelling_is_refused() -> None:
    for value in (float("nan"), b"x", {1, 2}):
        with pytest.raises(MalformedInput):
            canonical({"a": value})
