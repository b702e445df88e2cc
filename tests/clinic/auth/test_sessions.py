"""Sessions end in time, are fresh at every login, and guessing is slowed down, in the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from radiolucent.clinic.audit.verify import entries, verify
from radiolucent.clinic.auth import accounts, sessions, tokens
from radiolucent.clinic.errors import Conflict, Forbidden, NotFound
from radiolucent.clinic.store.actor import SYSTEM, Actor
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import LoginSession, Token, User
from radiolucent.errors import MalformedInput

PASSWORD = "correct horse battery"
HERE = "192.0.2.7"


def later(store: Store, **shift: float) -> Store:
    return replace(store, clock=lambda: store.now() + timedelta(**shift))


def ada(store: Store, role: str = "admin") -> Actor:
    made = accounts.add_user(store, SYSTEM, login="ada", name="Ada", role=role, password=PASSWORD)
    return Actor(made.id, role, "Ada")  # type: ignore[arg-type]


def test_a_session_is_found_by_its_cookie_until_it_is_idle_or_old(store: Store) -> None:
    ada(store)
    cookie, who = sessions.log_in(store, "ADA ", PASSWORD, HERE)
    idle = store.settings.session_idle_minutes
    assert sessions.present(store, cookie) == who
    assert sessions.present(store, "x" + cookie) is None
    assert sessions.present(later(store, minutes=idle), cookie) is None
    quiet = later(store, minutes=idle - 1)
    assert sessions.present(quiet, cookie, active=False) is not None
    assert sessions.present(later(store, minutes=idle + 1), cookie) is None, "polling keeps nobody awake"
    for hour in range(1, 3 * store.settings.session_hours + 1):  # active every twenty minutes less one
        at = later(store, minutes=hour * (idle - 1))
        alive = sessions.present(at, cookie) is not None
        assert alive == (at.now() < who.expires_at)
    assert sessions.clear_ended(later(store, hours=store.settings.session_hours)) == 1


def test_neither_cookies_nor_tokens_nor_passwords_are_kept(store: Store) -> None:
    me = ada(store)
    cookie, _ = sessions.log_in(store, "ada", PASSWORD, HERE)
    value, _ = tokens.make_token(store, me, name="x", scopes=["metrics"])
    with store.read() as session:
        kept = repr([vars(row) for table in (LoginSession, Token, User) for row in session.scalars(select(table))])
    assert cookie not in kept and value not in kept and PASSWORD not in kept
    assert "$argon2id$" in kept


def test_each_login_begins_a_fresh_session(store: Store) -> None:
    ada(store)
    first, one = sessions.log_in(store, "ada", PASSWORD, HERE)
    second, two = sessions.log_in(store, "ada", PASSWORD, HERE)
    assert first != second and one.csrf != two.csrf
    sessions.log_out(store, one)
    assert sessions.present(store, first) is None and sessions.present(store, second) is not None


def test_the_password_once_more_renews_the_session_without_dropping_a_save_on_its_way(store: Store) -> None:
    ada(store)
    old, who = sessions.log_in(store, "ada", PASSWORD, HERE)
    at = later(store, minutes=10)
    new, renewed = sessions.confirm_password(at, who, PASSWORD, HERE)
    assert new != old and renewed.csrf == who.csrf and renewed.expires_at == who.expires_at
    assert renewed.reauth_at is not None and who.reauth_at is not None and renewed.reauth_at > who.reauth_at
    assert sessions.present(later(store, minutes=10, seconds=5), old) is not None
    assert sessions.present(later(store, minutes=10, seconds=11), old) is None
    with pytest.raises(Forbidden):
        sessions.confirm_password(store, who, "wrong", HERE)


def test_another_role_a_new_password_or_a_closed_account_ends_its_sessions_and_tokens(store: Store) -> None:
    admin = ada(store)
    user = accounts.add_user(store, admin, login="bob", name="Bob", role="radiologist", password=PASSWORD)
    bob = Actor(user.id, "radiologist", "Bob")
    changes = (
        lambda: accounts.change_user(store, admin, user.id, role="viewer"),
        lambda: accounts.change_user(store, admin, user.id, password="another long one"),
        lambda: accounts.change_own_password(store, bob, "another long one", PASSWORD),
    )
    password = PASSWORD
    for number, change in enumerate(changes):
        cookie, _ = sessions.log_in(store, "bob", password, HERE)
        change()
        assert sessions.present(store, cookie) is None
        password = "another long one" if number == 1 else PASSWORD
    cookie, _ = sessions.log_in(store, "bob", password, HERE)
    value, _ = tokens.make_token(store, bob, name="x", scopes=["metrics"])
    assert tokens.holder_of(store, value) is not None
    accounts.change_user(store, admin, user.id, active=False)
    assert sessions.present(store, cookie) is None and tokens.holder_of(store, value) is None
    with pytest.raises(sessions.NotLoggedIn):
        sessions.log_in(store, "bob", password, HERE)
    accounts.change_user(store, admin, user.id, active=True)
    assert tokens.holder_of(store, value) is None, "a revoked token stays revoked"


def test_an_account_locks_after_five_wrong_passwords_and_says_no_more_than_before(store: Store) -> None:
    ada(store)
    told = set()
    for number in range(sessions.WRONG_BEFORE_LOCK):
        with pytest.raises(sessions.NotLoggedIn) as wrong:
            sessions.log_in(store, "ada", "wrong", f"192.0.2.{number}")
        told.add(str(wrong.value))
    with pytest.raises(sessions.NotLoggedIn) as locked:
        sessions.log_in(store, "ada", PASSWORD, HERE)
    with pytest.raises(sessions.NotLoggedIn) as unknown:
        sessions.log_in(store, "nobody", PASSWORD, HERE)
    assert told == {str(locked.value)} == {str(unknown.value)}
    sessions.log_in(later(store, minutes=1, seconds=1), "ada", PASSWORD, HERE)
    sessions.log_in(store, "ada", PASSWORD, HERE)


def test_an_address_waits_after_many_failures_whatever_the_logins(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sessions.WRONG_FROM_ADDRESS == 20
    monkeypatch.setattr(sessions, "WRONG_FROM_ADDRESS", 6)
    ada(store)
    for number in range(sessions.WRONG_FROM_ADDRESS):
        with pytest.raises(sessions.NotLoggedIn):
            sessions.log_in(store, f"guess{number}", "wrong", HERE)
    with pytest.raises(sessions.TooManyTries) as refused:
        sessions.log_in(store, "ada", PASSWORD, HERE)
    assert 0 < refused.value.wait_s <= 15 * 60 + 1
    sessions.log_in(store, "ada", PASSWORD, "192.0.2.8")
    sessions.log_in(later(store, minutes=16), "ada", PASSWORD, HERE)
    trail = list(entries(store))
    assert sum(one.action == "login.failed" for one in trail) == sessions.WRONG_FROM_ADDRESS
    assert "guess" not in repr(trail), "what was typed may be a password"
    assert verify(store).intact


@pytest.mark.parametrize("bad", ["short", "aaaaaaaaaaaaaaaa", "ada@example.org", "x" * 257, "with a NUL \x00 inside"])
def test_a_weak_password_is_refused_without_being_repeated(bad: str, make_store: Callable[..., Store]) -> None:
    with pytest.raises(MalformedInput) as refused:
        accounts.add_user(make_store(), SYSTEM, login="ada@example.org", name="A", role="viewer", password=bad)
    assert bad not in str(refused.value)


def test_somebody_always_administers(store: Store) -> None:
    admin = ada(store)
    for change in ({"role": "viewer"}, {"active": False}):
        with pytest.raises(Conflict, match="administer"):
            accounts.change_user(store, admin, admin.user_id, **change)  # type: ignore[arg-type]
    assert accounts.has_admin(store)
    with pytest.raises(Conflict):
        accounts.add_user(store, admin, login="ada", name="Other", role="viewer")
    with pytest.raises(NotFound):
        accounts.change_user(store, admin, "0" * 32, name="X")


def test_a_token_is_its_owners_and_lasts_so_long(store: Store) -> None:
    me = ada(store, "radiologist")
    other = Actor("other", "radiologist", "Other")
    value, view = tokens.make_token(store, me, name="x", scopes=["cases:read"], days=1)
    assert tokens.holder_of(store, value) == (me, frozenset({"cases:read"}))
    assert tokens.holder_of(later(store, days=1), value) is None
    assert tokens.holder_of(store, value + "x") is None and tokens.holder_of(store, "Basic") is None
    assert tokens.tokens(store, other) == []
    with pytest.raises(NotFound):
        tokens.revoke(store, other, view.id)
    tokens.revoke(store, me, view.id)
    assert tokens.holder_of(store, value) is None
    for scopes, days in ((["all"], 1), ([], 1), (["metrics"], 0), (["metrics"], 400)):
        with pytest.raises(MalformedInput):
            tokens.make_token(store, me, name="x", scopes=scopes, days=days)
