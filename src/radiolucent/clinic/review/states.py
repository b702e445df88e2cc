"""What a case can be, and what may be done with it then."""

from __future__ import annotations

from typing import Literal, get_args

from radiolucent.clinic.errors import WrongState

State = Literal["queued", "drafted", "in_review", "reported", "signed", "amended", "rejected", "failed"]
Action = Literal[
    "draft", "give up", "open", "edit", "sign", "co-sign", "return", "reject", "amend", "export", "rerun", "withdraw"
]

STATES: tuple[State, ...] = get_args(State)
OPEN: tuple[State, ...] = ("queued", "drafted", "in_review", "reported", "amended", "failed")
"""Somebody still has to do something."""
EDITABLE: tuple[State, ...] = ("in_review", "amended")

STATE_WORDS: dict[State, tuple[str, str]] = {
    "queued": ("waiting for the draft", "等待草稿"),
    "drafted": ("drafted", "草稿已生成"),
    "in_review": ("in review", "审阅中"),
    "reported": ("reported, waiting for the reviewing physician", "已报告，待审核"),
    "signed": ("signed", "已签发"),
    "amended": ("being amended", "修订中"),
    "rejected": ("rejected", "已作废"),
    "failed": ("no draft could be made; report by hand", "草稿生成失败，请手工报告"),
}


# Action -> {state it may be done in: state afterwards}.
def _stays(*states: State) -> dict[State, State]:
    return {state: state for state in states}


def _to(target: State, *states: State) -> dict[State, State]:
    return {state: target for state in states}


# Action -> {state it may be done in: state afterwards}.
TRANSITIONS: dict[Action, dict[State, State]] = {
    "draft": _to("drafted", "queued", "failed", "drafted") | _stays("in_review", "reported", "amended"),
    "give up": _to("failed", "queued", "failed") | _stays("drafted", "in_review", "reported", "amended"),
    "open": _to("in_review", "queued", "drafted", "failed", "in_review") | _stays("amended", "reported"),
    "edit": _stays("in_review", "amended"),
    "sign": _to("signed", "in_review", "amended"),  # reported, where two must sign
    "co-sign": _to("signed", "reported"),
    "return": _to("in_review", "reported"),
    "reject": _to("rejected", "queued", "drafted", "in_review", "reported", "failed"),
    "withdraw": _to("rejected", "signed", "amended"),  # after a signature: with a reason
    "amend": _to("amended", "signed"),
    "export": _stays("reported", "signed"),
    "rerun": _to("queued", "queued", "drafted", "failed") | _stays("in_review", "amended"),
}


def allowed(action: Action, state: str) -> bool:
    """Whether the action may be done in that state."""
    return state in TRANSITIONS[action]


def after(action: Action, state: str) -> State:
    """The state that follows.

    Raises
    ------
    WrongState
        Saying in which states it may be done.
    """
    table = TRANSITIONS[action]
    if state not in table:
        may = ", ".join(table)
        raise WrongState(
            f"The case is {state!r}; {action!r} may be done in: {may}. / 当前状态不允许此操作。",
        )
    return table[state]
