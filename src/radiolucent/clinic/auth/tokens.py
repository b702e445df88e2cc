"""API tokens for programs: shown once, kept as a digest, narrower than their owner's role, revocable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import select

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.auth.accounts import actor_of
from radiolucent.clinic.auth.bearer import digest_of, new_secret
from radiolucent.clinic.errors import NotFound
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.columns import refuse_unclean
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import Token, User
from radiolucent.errors import MalformedInput

Scope = Literal["cases:read", "cases:submit", "cases:review", "exports", "site:read", "metrics"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "rlt_"
LONGEST_DAYS = 366
USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class TokenView:
    """A token as it is listed; its value is not kept."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


def make_token(
    store: Store, actor: Actor, *, name: str, scopes: Sequence[str], days: int = 90
) -> tuple[str, TokenView]:
    """A token of the actor's own account; its value is handed out here and never again.

    Raises
    ------
    MalformedInput
        Where the name, a scope or the number of days does not fit.
    """
    refuse_unclean([name, *scopes], "The token's name or scope")
    wanted = tuple(dict.fromkeys(scopes))
    if not 0 < len(name.strip()) <= 100:
        raise MalformedInput("A token's name has 1 to 100 characters; say what uses it.")
    if not wanted or not set(wanted) <= set(SCOPES):
        raise MalformedInput(f"A token has at least one of the scopes {', '.join(SCOPES)}.")
    if not 1 <= days <= LONGEST_DAYS:
        raise MalformedInput(f"A token lasts 1 to {LONGEST_DAYS} days.")
    value = PREFIX + new_secret()
    with store.begin() as session:
        row = Token(
            digest=digest_of(value),
            user_id=actor.user_id,
            name=name.strip(),
            scopes=list(wanted),
            created_at=store.now(),
            expires_at=store.now() + timedelta(days=days),
        )
        session.add(row)
        session.flush()
        note(store, session, actor, "token.made", "token", row.id, scopes=list(wanted), days=days)
        return value, _view(row)


def tokens(store: Store, actor: Actor) -> list[TokenView]:
    """The actor's tokens, the newest first."""
    with store.begin() as session:
        rows = session.scalars(
            select(Token).where(Token.user_id == actor.user_id).order_by(Token.created_at.desc(), Token.id)
        ).all()
        note(store, session, actor, "token.list", "user", actor.user_id, count=len(rows))
        return [_view(row) for row in rows]


def revoke(store: Store, actor: Actor, token_id: str) -> None:
    """Make a token worthless at once. An administrator revokes anybody's, others their own.

    Raises
    ------
    NotFound
        Where there is none, or it is somebody else's.
    """
    with store.begin() as session:
        row = session.scalars(select(Token).where(Token.id == token_id)).first()
        if row is None or (row.user_id != actor.user_id and actor.role != "admin"):
            raise NotFound("There is no such token. / 无此令牌。")
        if row.revoked_at is None:
            row.revoked_at = store.now()
            note(store, session, actor, "token.revoked", "token", row.id)


def holder_of(store: Store, value: str) -> tuple[Actor, frozenset[str]] | None:
    """Whose token a value is and what it may be used for; None where it is none, expired or revoked."""
    if not value.startswith(PREFIX):
        return None
    now, digest = store.now(), digest_of(value)
    with store.read() as session:
        row = session.get(Token, digest)
        user = None if row is None else session.get(User, row.user_id)
        if row is None or user is None or not user.active or row.revoked_at is not None:
            return None
        if row.expires_at is not None and row.expires_at <= now:
            return None
        actor, scopes, used = actor_of(user), frozenset(row.scopes), row.used_at
    if used is None or now - used > USED_EVERY:
        with store.begin() as session:
            session.get_one(Token, digest).used_at = now
    return actor, scopes


def _view(row: Token) -> TokenView:
    return TokenView(row.id, row.name, tuple(row.scopes), row.created_at, row.expires_at, row.used_at, row.revoked_at)
