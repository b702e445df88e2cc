"""Accounts: made by an administrator, never with a password that ships; every change is on record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import cast, get_args

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.auth.passwords import hashed, matches
from radiolucent.clinic.errors import Conflict, Forbidden, NotFound
from radiolucent.clinic.store.actor import Actor, Role
from radiolucent.clinic.store.columns import new_id, refuse_unclean
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import LoginSession, Token, User
from radiolucent.errors import MalformedInput

LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,63}")
LONGEST_NAME = 100


@dataclass(frozen=True)
class UserView:
    """An account as it is handed out; ``signs_in_by`` is ``password``, ``oidc`` or ``nothing``."""

    id: str
    login: str
    name: str
    role: str
    active: bool
    signs_in_by: str
    locked: bool
    created_at: datetime


def actor_of(user: User) -> Actor:
    """Whom the use cases are told."""
    return Actor(user.id, cast(Role, user.role), user.name)


def has_admin(store: Store) -> bool:
    """Whether anybody can administer this site yet."""
    with store.read() as session:
        return bool(session.scalar(select(func.count()).select_from(User).where(*_ADMINS)))


def add_user(store: Store, actor: Actor, *, login: str, name: str, role: str, password: str | None = None) -> UserView:
    """Add an account. Without a password it signs in through the site's identity provider, or by tokens only.

    Raises
    ------
    MalformedInput, Conflict
        Where the login, name, role or password does not fit; where the login is taken.
    """
    login, name = _login(login), _name(name)
    role = _role(role)
    kept = None if password is None else hashed(password, login)
    with store.begin() as session:
        if session.scalars(select(User.id).where(User.login == login)).first() is not None:
            raise Conflict("This login is taken; choose another. / 该登录名已存在。")
        user = User(
            id=new_id(),
            login=login,
            name=name,
            password_hash=kept,
            role=role,
            created_at=store.now(),
            password_changed_at=None if kept is None else store.now(),
        )
        session.add(user)
        session.flush()
        note(store, session, actor, "user.added", "user", user.id, role=role)
        return user_view(store, user)


def users(
    store: Store, actor: Actor, *, cursor: str | None = None, limit: int = 50
) -> tuple[list[UserView], str | None]:
    """Accounts in the order of their logins, and the login after which the next part begins."""
    with store.begin() as session:
        found = select(User).order_by(User.login).limit(limit + 1)
        if cursor is not None:
            found = found.where(User.login > cursor)
        rows = list(session.scalars(found))
        note(store, session, actor, "user.list", "user", "all", count=len(rows[:limit]))
        return [user_view(store, row) for row in rows[:limit]], rows[limit - 1].login if len(rows) > limit else None


def change_user(
    store: Store,
    actor: Actor,
    user_id: str,
    *,
    name: str | None = None,
    role: str | None = None,
    active: bool | None = None,
    password: str | None = None,
) -> UserView:
    """Change an account. Another role, password or a locked door ends its sessions; closing it revokes its tokens.

    Raises
    ------
    NotFound, MalformedInput
        Where there is none; where a value does not fit.
    Conflict
        Where nobody would be left to administer the site.
    """
    with store.read() as session:
        login = _existing(session, user_id).login
    kept = None if password is None else hashed(password, login)
    with store.begin() as session:
        user = _existing(session, user_id, lock=True)
        changed = []
        if name is not None and _name(name) != user.name:
            user.name = _name(name)
            changed.append("name")
        if role is not None and _role(role) != user.role:
            user.role = role
            changed.append("role")
        if active is not None and active != user.active:
            user.active = active
            changed.append("active")
        if kept is not None:
            user.password_hash, user.password_changed_at = kept, store.now()
            user.failed, user.locked_until = 0, None
            changed.append("password")
        session.flush()
        if {"role", "active"} & set(changed) and not session.scalar(
            select(func.count()).select_from(User).where(*_ADMINS)
        ):
            raise Conflict("Nobody would be left to administer this site; make another administrator first.")
        if {"role", "active", "password"} & set(changed):
            session.execute(delete(LoginSession).where(LoginSession.user_id == user.id))
        if not user.active:
            for token in session.scalars(select(Token).where(Token.user_id == user.id, Token.revoked_at.is_(None))):
                token.revoked_at = store.now()
        if changed:
            note(store, session, actor, "user.changed", "user", user.id, changed=changed, role=user.role)
        return user_view(store, user)


def find_user(store: Store, login: str) -> str:
    """The id of the account with a login.

    Raises
    ------
    NotFound
        Where there is none.
    """
    with store.read() as session:
        found = session.scalars(select(User.id).where(User.login == _login(login))).first()
    if found is None:
        raise NotFound("There is no account with this login. / 无此登录名。")
    return found


def change_own_password(store: Store, actor: Actor, old: str, new: str) -> None:
    """Give oneself another password; every session of the account ends, the caller's is started anew by the caller.

    Raises
    ------
    Forbidden
        Where the old one is wrong.
    """
    with store.read() as session:
        user = _existing(session, actor.user_id)
        login, before = user.login, user.password_hash
    if not matches(before, old):
        raise Forbidden("The old password is wrong. / 原密码错误。")
    kept = hashed(new, login)
    with store.begin() as session:
        user = _existing(session, actor.user_id, lock=True)
        user.password_hash, user.password_changed_at = kept, store.now()
        session.execute(delete(LoginSession).where(LoginSession.user_id == user.id))
        note(store, session, actor, "user.password_changed", "user", user.id)


def user_view(store: Store, user: User) -> UserView:
    """An account as it is handed out."""
    by = "password" if user.password_hash else "oidc" if user.oidc_subject else "nothing"
    locked = user.locked_until is not None and user.locked_until > store.now()
    return UserView(user.id, user.login, user.name, user.role, user.active, by, locked, user.created_at)


_ADMINS = (User.role == "admin", User.active.is_(True))


def _existing(session: Session, user_id: str, lock: bool = False) -> User:
    found = select(User).where(User.id == user_id)
    user = session.scalars(found.with_for_update() if lock else found).first()
    if user is None:
        raise NotFound("There is no such account. / 无此账号。")
    return user


def _login(login: str) -> str:
    refuse_unclean(login, "The login")
    login = login.strip().lower()
    if not LOGIN.fullmatch(login):
        raise MalformedInput(
            "A login has 2 to 64 characters of a-z, 0-9 and . _ @ + -, and begins with a letter or digit."
        )
    return login


def _name(name: str) -> str:
    refuse_unclean(name, "The name")
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise MalformedInput(f"A name has 1 to {LONGEST_NAME} characters; it stands under what the person signs.")
    return name


def _role(role: str) -> str:
    if role not in get_args(Role):
        raise MalformedInput(f"The role {role!r} is unknown; the roles are {', '.join(get_args(Role))}.")
    return role
