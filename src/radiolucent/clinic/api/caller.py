"""Who calls: a person in a session or a program with a token, held against the policy before anything else."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from radiolucent.clinic.api.policy import POLICY, Rule
from radiolucent.clinic.api.problems import Refusal
from radiolucent.clinic.auth.sessions import Present, present
from radiolucent.clinic.auth.tokens import holder_of
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store

COOKIE = "rl_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_ETAG = re.compile(r'(?:W/)?"([1-9][0-9]{0,8})"')


@dataclass(frozen=True)
class Caller:
    """Who calls.

    Parameters
    ----------
    present
        The session; None for a token.
    version
        Of If-Match; None where it was not given.
    """

    actor: Actor
    present: Present | None
    version: int | None = None


def store_of(request: Request) -> Store:
    """The site's store."""
    store: Store = request.app.state.store
    return store


def address_of(request: Request) -> str:
    """Where the request comes from, as the connection says; headers about it are not believed."""
    return request.client.host if request.client else "unknown"


def gate(request: Request) -> Caller | None:
    """Let in whom the policy lets in.

    Raises
    ------
    Refusal
        401 where nobody is logged in, 403 where it is not theirs, 428 where a write names no version.
    """
    rule = POLICY[request.scope["route"].operation_id]
    if request.method not in SAFE:
        _same_site(request)
    if rule.door == "open":
        return None
    caller = _caller(request, rule)
    request.state.caller = caller
    if rule.door != "signed in":
        permit(caller.actor, rule.door)
    if rule.version and caller.version is None:
        raise Refusal(
            "version-needed",
            'Name the version of the case that you have seen, as in If-Match: "3"; it is the ETag of what you read.',
        )
    return caller


def signed_in(caller: Annotated[Caller | None, Depends(gate)]) -> Caller:
    """Somebody."""
    if caller is None:
        raise Refusal("not-logged-in", "Log in first. / 请先登录。")
    return caller


def in_session(caller: Annotated[Caller, Depends(signed_in)]) -> Present:
    """A person at the page."""
    if caller.present is None:
        raise Refusal("forbidden", "A token may not do this; log in at the page.")
    return caller.present


def seen_version(caller: Annotated[Caller, Depends(signed_in)]) -> int:
    """The version that the caller has seen."""
    if caller.version is None:
        raise Refusal("version-needed", "Name the version of the case that you have seen in If-Match.")
    return caller.version


SignedIn = Annotated[Caller, Depends(signed_in)]
InSession = Annotated[Present, Depends(in_session)]
TheStore = Annotated[Store, Depends(store_of)]
Version = Annotated[int, Depends(seen_version)]


def _caller(request: Request, rule: Rule) -> Caller:
    store, version = store_of(request), _version(request)
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme:
        held = holder_of(store, value.strip()) if scheme.lower() == "bearer" else None
        if held is None:
            raise Refusal("not-logged-in", "The token is unknown, expired or revoked.", {"WWW-Authenticate": "Bearer"})
        if rule.scope is None or rule.scope not in held[1]:
            wanted = "no token may do this; log in at the page" if rule.scope is None else f"it takes {rule.scope!r}"
            raise Refusal("forbidden", f"The token's scopes do not cover this: {wanted}.")
        return Caller(held[0], None, version)
    found = present(store, request.cookies.get(COOKIE, ""), active=not rule.quiet)
    if found is None:
        raise Refusal(
            "not-logged-in",
            "Log in first, or again: the session ended. What you wrote stays on the page. / 请登录；页面内容不会丢失。",
            {"WWW-Authenticate": "Bearer"},
        )
    if request.method not in SAFE and not secrets.compare_digest(
        request.headers.get("x-csrf-token", "").encode(), found.csrf.encode()
    ):
        raise Refusal("wrong-csrf", "X-CSRF-Token must be the session's, which GET /api/v1/session tells.")
    return Caller(found.actor, found, version)


def _same_site(request: Request) -> None:
    """A browser says where a request was made; one made elsewhere changes nothing here, not even who is logged in."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refusal("wrong-csrf", "The request was made by another site.")
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Refusal("wrong-csrf", "The request was made by another site.")


def _version(request: Request) -> int | None:
    given = request.headers.get("if-match")
    if given is None:
        return None
    match = _ETAG.fullmatch(given.strip())
    if match is None:
        raise Refusal("bad-request", 'If-Match names one version, as in "3"; neither * nor a list is taken.')
    request.state.version = int(match[1])
    return int(match[1])
