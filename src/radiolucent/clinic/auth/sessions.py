"""Sessions of people at the page: fresh at every login, short when idle, never longer than a shift.

The cookie's value is random and only its digest is kept. The brake on guessing stands in the database, so that it
holds over several server processes and restarts: five wrong passwords lock an account for a while that doubles, and
an address with twenty failures in a quarter of an hour waits. What is answered never says whether a login exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.auth.accounts import actor_of
from radiolucent.clinic.auth.bearer import digest_of, new_secret
from radiolucent.clinic.auth.passwords import hashed, matches, outdated
from radiolucent.clinic.errors import Forbidden
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import AuditEntry, LoginSession, User
from radiolucent.errors import RadiolucentError

WRONG_BEFORE_LOCK = 5
FIRST_LOCK, LONGEST_LOCK = timedelta(minutes=1), timedelta(minutes=30)
WRONG_FROM_ADDRESS, WATCHED = 20, timedelta(minutes=15)
SEEN_EVERY = timedelta(seconds=20)  # a request within it writes nothing
GRACE = timedelta(seconds=10)  # requests already on their way when a session was renewed
NOBODY = Actor("anonymous", "viewer", "anonymous")


class NotLoggedIn(RadiolucentError):
    """Nobody is logged in, or not with what was given."""


class TooManyTries(RadiolucentError):
    """An address failed too often.

    Parameters
    ----------
    wait_s
        Seconds after which another try is looked at.
    """

    def __init__(self, message: str, wait_s: int) -> None:
        super().__init__(message)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Present:
    """Somebody in a session.

    Parameters
    ----------
    csrf
        Has to come back in the header ``X-CSRF-Token`` with everything that changes something.
    reauth_at
        When the password was last given.
    by_password
        False: the site's identity provider knows the password, and is asked for it before a signature.
    """

    digest: str
    actor: Actor
    login: str
    csrf: str
    reauth_at: datetime | None
    expires_at: datetime
    by_password: bool


def log_in(store: Store, login: str, password: str, address: str) -> tuple[str, Present]:
    """Start a session; returns the cookie's value and who it is.

    Raises
    ------
    TooManyTries
        Where this address failed too often lately.
    NotLoggedIn
        Where login or password is wrong, or the account is closed or locked for a while: one message for all.
    """
    _slow_down(store, address)
    with store.read() as session:
        known = session.scalars(select(User).where(User.login == login.strip().lower())).first()
        user_id, kept = (None, None) if known is None else (known.id, known.password_hash)
    right = matches(kept, password)  # outside of any transaction: it takes a tenth of a second
    fresh = hashed(password, login) if right and kept is not None and outdated(kept) else None
    cookie = ""
    with store.begin() as session:
        user = None if user_id is None else _locked(session, user_id)
        if user is not None and right and _may_enter(store, user):
            user.failed, user.locked_until = 0, None
            user.password_hash = fresh or user.password_hash
            cookie, present = _started(store, session, user, reauth_at=store.now())
            note(store, session, actor_of(user), "login.in", "user", user.id, by="password", address=address)
        else:
            _failed(store, session, user, address)
    if not cookie:
        raise NotLoggedIn(
            "Login or password is wrong, or the account is locked for some minutes after several failures. / "
            "登录名或密码错误，或账号因多次失败被暂时锁定。"
        )
    return cookie, present


def enter(store: Store, user_id: str, by: str, address: str, *, reauth_at: datetime | None) -> tuple[str, Present]:
    """Start a session of somebody whom another authority has recognised.

    Parameters
    ----------
    reauth_at
        When they last proved there who they are; None where it does not tell, and a signature has to ask again.

    Raises
    ------
    NotLoggedIn
        Where the account is closed.
    """
    with store.begin() as session:
        user = _locked(session, user_id)
        if user is None or not user.active:
            raise NotLoggedIn("This account is closed; ask an administrator. / 该账号已停用。")
        cookie, present = _started(store, session, user, reauth_at=reauth_at)
        note(store, session, actor_of(user), "login.in", "user", user.id, by=by, address=address)
    return cookie, present


def present(store: Store, cookie: str, *, active: bool = True) -> Present | None:
    """Who a cookie belongs to; None where to nobody any more.

    Parameters
    ----------
    active
        False: the request is the page's own polling and keeps nobody awake.
    """
    digest, now = digest_of(cookie), store.now()
    with store.read() as session:
        row = session.get(LoginSession, digest)
        user = None if row is None else session.get(User, row.user_id)
        if row is None or user is None or not user.active:
            return None
        idle = now - row.seen_at
        if now >= row.expires_at or idle >= timedelta(minutes=store.settings.session_idle_minutes):
            return None
        found = _present(row, user)
    if active and idle > SEEN_EVERY:
        with store.begin() as session:
            row = session.get(LoginSession, digest)
            if row is None:
                return None
            row.seen_at = now
    return found


def confirm_password(store: Store, who: Present, password: str, address: str) -> tuple[str, Present]:
    """The password once more, before a signature; the session goes on under a fresh cookie.

    Raises
    ------
    TooManyTries, Forbidden
        As at login; a wrong one counts as a failed login.
    """
    _slow_down(store, address)
    with store.read() as session:
        known = session.get(User, who.actor.user_id)
        kept = None if known is None else known.password_hash
    right = matches(kept, password)
    cookie = ""
    with store.begin() as session:
        user = _locked(session, who.actor.user_id)
        if user is not None and right and _may_enter(store, user):
            user.failed, user.locked_until = 0, None
            cookie, renewed = _renewed(store, session, user, who)
            note(store, session, actor_of(user), "session.confirmed", "user", user.id)
        else:
            _failed(store, session, user, address)
    if not cookie:
        raise Forbidden("The password is wrong, or the account is locked for a while. / 密码错误或账号被暂时锁定。")
    return cookie, renewed


def log_out(store: Store, who: Present) -> None:
    """End a session."""
    with store.begin() as session:
        session.execute(delete(LoginSession).where(LoginSession.digest == who.digest))
        note(store, session, who.actor, "login.out", "user", who.actor.user_id)


def clear_ended(store: Store) -> int:
    """Take away sessions that ended; returns how many."""
    now = store.now()
    idle = now - timedelta(minutes=store.settings.session_idle_minutes)
    with store.begin() as session:
        ended = session.scalars(
            select(LoginSession.digest).where((LoginSession.expires_at <= now) | (LoginSession.seen_at <= idle))
        ).all()
        session.execute(delete(LoginSession).where(LoginSession.digest.in_(ended)))
    return len(ended)


def _slow_down(store: Store, address: str) -> None:
    since = (store.now() - WATCHED).isoformat(timespec="microseconds")
    with store.read() as session:
        failures = session.execute(
            select(func.count(), func.min(AuditEntry.at)).where(
                AuditEntry.object_kind == "address",
                AuditEntry.object_id == address,
                AuditEntry.action == "login.failed",
                AuditEntry.at > since,
            )
        ).one()
    if failures[0] >= WRONG_FROM_ADDRESS:
        wait = datetime.fromisoformat(failures[1]) + WATCHED - store.now()
        raise TooManyTries(
            "Too many failed logins from here; wait some minutes. / 失败次数过多，请稍后再试。",
            max(1, int(wait.total_seconds()) + 1),
        )


def _failed(store: Store, session: Session, user: User | None, address: str) -> None:
    """Under the address, with the account where there is one; what was typed is not kept: it may be a password."""
    if user is not None and _may_enter(store, user):
        user.failed += 1
        if user.failed >= WRONG_BEFORE_LOCK:
            lock = min(FIRST_LOCK * 2 ** (user.failed - WRONG_BEFORE_LOCK), LONGEST_LOCK)
            user.locked_until = store.now() + lock
    note(
        store,
        session,
        NOBODY,
        "login.failed",
        "address",
        address,
        user=None if user is None else user.id,
        locked=user is not None and user.locked_until is not None,
    )


def _may_enter(store: Store, user: User) -> bool:
    return user.active and (user.locked_until is None or user.locked_until <= store.now())


def _locked(session: Session, user_id: str) -> User | None:
    return session.scalars(select(User).where(User.id == user_id).with_for_update()).first()


def _started(store: Store, session: Session, user: User, *, reauth_at: datetime | None) -> tuple[str, Present]:
    cookie, now = new_secret(), store.now()
    row = LoginSession(
        digest=digest_of(cookie),
        user_id=user.id,
        csrf=new_secret(),
        created_at=now,
        seen_at=now,
        reauth_at=reauth_at,
        expires_at=now + timedelta(hours=store.settings.session_hours),
    )
    session.add(row)
    session.flush()
    return cookie, _present(row, user)


def _renewed(store: Store, session: Session, user: User, who: Present) -> tuple[str, Present]:
    """The same session under another cookie; the old one lasts some seconds, for a save that is on its way."""
    cookie, now = new_secret(), store.now()
    old = session.get(LoginSession, who.digest)
    row = LoginSession(
        digest=digest_of(cookie),
        user_id=user.id,
        csrf=who.csrf,
        created_at=now if old is None else old.created_at,
        seen_at=now,
        reauth_at=now,
        expires_at=who.expires_at,
    )
    session.add(row)
    if old is not None:
        old.expires_at = min(old.expires_at, now + GRACE)
    session.flush()
    return cookie, _present(row, user)


def _present(row: LoginSession, user: User) -> Present:
    by_password = user.password_hash is not None
    return Present(row.digest, actor_of(user), user.login, row.csrf, row.reauth_at, row.expires_at, by_password)
