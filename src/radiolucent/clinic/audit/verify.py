"""Whether the trail is what was written: edits, deletions, reordering and a cut-off end are all found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from radiolucent.clinic.audit.chain import Entry, Finding, check
from radiolucent.clinic.audit.checkpoint import Checkpoint, Head, read_checkpoint, reanchor
from radiolucent.clinic.audit.trail import as_entry, note
from radiolucent.clinic.errors import AuditBroken
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import AuditEntry

BATCH = 5_000


@dataclass(frozen=True)
class Verdict:
    """The result of a check.

    Parameters
    ----------
    entries
        That were read.
    checkpoint
        Number of the entry that the checkpoint names; None where there is no checkpoint.
    breaks
        Heads given up by a confirmed restore.
    """

    entries: int
    checkpoint: int | None
    findings: tuple[Finding, ...]
    breaks: tuple[int, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verify(store: Store) -> Verdict:
    """Read the whole trail and hold it against the chain and the checkpoint."""
    found: list[Finding] = []
    checkpoint: Checkpoint | None = None
    try:
        checkpoint = read_checkpoint(store)
    except AuditBroken as error:
        found.append(Finding(0, "forged checkpoint", str(error), "审计检查点文件损坏或被伪造。"))
    wanted = set() if checkpoint is None else {checkpoint.head}
    counter = _Counter(wanted)
    found += check(counter.passing(entries(store)), store.keys.audit)
    if checkpoint is not None:
        found += [_cut_off(head, counter) for head in wanted if head.seq > 0 and head not in counter.met]
    elif counter.read and not found:
        found.append(
            Finding(
                0,
                "unanchored",
                "There is no checkpoint file beside the keys, so a cut-off end could not be seen.",
                "密钥旁缺少检查点文件，无法判断末尾是否被截断。",
            )
        )
    breaks = () if checkpoint is None else tuple(head.seq for head in checkpoint.breaks)
    return Verdict(counter.read, None if checkpoint is None else checkpoint.head.seq, tuple(found), breaks)


def entries(store: Store, first: int = 0) -> Iterator[Entry]:
    """Every entry after number ``first`` in order, a batch at a time."""
    with store.read() as session:
        after = first
        while True:
            rows = session.scalars(
                select(AuditEntry).where(AuditEntry.seq > after).order_by(AuditEntry.seq).limit(BATCH)
            ).all()
            if not rows:
                return
            for row in rows:
                yield as_entry(row)
            after = rows[-1].seq
            session.expunge_all()


def confirm_restored(store: Store, actor: Actor, reason: str) -> Head | None:
    """Accept the trail as it stands after a restore: the checkpoint moves to its end, and both say so for good.

    Raises
    ------
    AuditBroken
        Where what is there is not a chain in itself.
    """
    last: Entry | None = None
    held = []
    for entry in entries(store):
        held.append(entry)
        last = entry
    if faults := check(held, store.keys.audit):
        raise AuditBroken(f"The trail is broken in itself and cannot be accepted: {faults[0].en}")
    given_up = reanchor(store, Head() if last is None else Head(last.seq, last.digest))
    with store.begin() as session:
        note(
            store,
            session,
            actor,
            "audit.restored",
            "audit",
            "trail",
            given_up=None if given_up is None else given_up.seq,
            reason=reason,
        )
    return given_up


def _cut_off(head: Head, counter: _Counter) -> Finding:
    if head.seq > counter.last:
        return Finding(
            head.seq,
            "truncated",
            f"The trail ends at entry {counter.last}; the checkpoint knows entry {head.seq}.",
            f"审计记录止于第 {counter.last} 条，而检查点记有第 {head.seq} 条。",
        )
    return Finding(
        head.seq,
        "edited",
        f"Entry {head.seq} is not the one that the checkpoint names: the end was cut off and written anew.",
        f"第 {head.seq} 条记录与检查点不符：末尾曾被截断并重写。",
    )


class _Counter:
    """Counts entries as they pass and notices the heads among them."""

    def __init__(self, wanted: set[Head]) -> None:
        self.wanted, self.met = wanted, set[Head]()
        self.read, self.last = 0, 0

    def passing(self, given: Iterator[Entry]) -> Iterator[Entry]:
        for entry in given:
            self.read, self.last = self.read + 1, entry.seq
            head = Head(entry.seq, entry.digest)
            if head in self.wanted:
                self.met.add(head)
            yield entry
