"""The chain, free of any store: an entry's digest is an HMAC over all its fields and the digest before it.

HMAC-SHA256 (RFC 2104) over canonical JSON: keys sorted, no spaces, UTF-8. The key stays outside the database, so that
who can write there cannot make a chain that verifies.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from radiolucent.errors import MalformedInput

GENESIS = "0" * 64
"""What the first entry names as the digest before it."""

Fault = Literal["edited", "missing", "reordered", "truncated", "unanchored", "forged checkpoint"]


@dataclass(frozen=True)
class Entry:
    """One audit entry as it is sealed.

    Parameters
    ----------
    seq
        1, 2, 3, … without gaps.
    at
        ISO 8601 in UTC.
    detail
        Canonical JSON; free of identifiers.
    previous, digest
        64 hexadecimal digits.
    """

    seq: int
    at: str
    actor: str
    action: str
    object_kind: str
    object_id: str
    detail: str
    previous: str
    digest: str


@dataclass(frozen=True)
class Finding:
    """Where the trail is not what was written."""

    seq: int
    fault: Fault
    en: str
    zh: str


def canonical(value: Any) -> str:
    """JSON with one spelling a value.

    Raises
    ------
    MalformedInput
        Where the value has none (NaN, other types).
    """
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise MalformedInput(f"An audit detail must be plain JSON: {error}.") from error


def digest_of(entry: Entry, key: bytes) -> str:
    """The digest that the entry should carry."""
    sealed = canonical(
        {
            "seq": entry.seq,
            "at": entry.at,
            "actor": entry.actor,
            "action": entry.action,
            "object_kind": entry.object_kind,
            "object_id": entry.object_id,
            "detail": entry.detail,
            "previous": entry.previous,
        }
    )
    return hmac.new(key, sealed.encode("utf-8"), hashlib.sha256).hexdigest()


def link(
    key: bytes,
    previous: Entry | None,
    *,
    at: str,
    actor: str,
    action: str,
    object_kind: str,
    object_id: str,
    detail: Mapping[str, Any],
) -> Entry:
    """The entry that follows ``previous``."""
    bare = Entry(
        seq=1 if previous is None else previous.seq + 1,
        at=at,
        actor=actor,
        action=action,
        object_kind=object_kind,
        object_id=object_id,
        detail=canonical(dict(detail)),
        previous=GENESIS if previous is None else previous.digest,
        digest="",
    )
    return Entry(**{**bare.__dict__, "digest": digest_of(bare, key)})


def check(entries: Iterable[Entry], key: bytes) -> list[Finding]:
    """Every place where entries, taken in the order of ``seq``, are not an unbroken chain from the first.

    An entry whose own digest holds, but which does not follow on the one before it, was moved or its neighbour taken
    out; one whose digest does not hold was edited.
    """
    found: list[Finding] = []
    expected, previous = 1, GENESIS
    for entry in entries:
        if entry.seq != expected:
            found.append(
                Finding(
                    expected,
                    "missing",
                    f"Entries {expected} to {entry.seq - 1} are missing."
                    if entry.seq > expected
                    else f"Entry {entry.seq} occurs twice or out of order.",
                    f"缺少第 {expected} 至 {entry.seq - 1} 条记录。"
                    if entry.seq > expected
                    else f"第 {entry.seq} 条记录重复或次序错误。",
                )
            )
        if digest_of(entry, key) != entry.digest:
            found.append(
                Finding(entry.seq, "edited", f"Entry {entry.seq} was changed.", f"第 {entry.seq} 条记录被改动。")
            )
        elif entry.seq == expected and entry.previous != previous:
            found.append(
                Finding(
                    entry.seq,
                    "reordered",
                    f"Entry {entry.seq} does not follow on entry {entry.seq - 1}.",
                    f"第 {entry.seq} 条记录与前一条不衔接。",
                )
            )
        expected, previous = entry.seq + 1, entry.digest
    return found
