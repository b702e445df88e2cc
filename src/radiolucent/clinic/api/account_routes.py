"""Accounts and API tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from radiolucent.clinic.api.answers import answer, list_answer
from radiolucent.clinic.api.caller import SignedIn, TheStore
from radiolucent.clinic.api.problems import documented
from radiolucent.clinic.api.shapes import NewToken, NewUser, TokenList, TokenMade, UserChange, UserList
from radiolucent.clinic.api.texts import Cursor, Id, Limit
from radiolucent.clinic.auth import accounts
from radiolucent.clinic.auth import tokens as held
from radiolucent.clinic.auth.accounts import UserView
from radiolucent.clinic.service.views import as_json

routes = APIRouter(tags=["accounts"])


@routes.get("/users", operation_id="listUsers", response_model=UserList)
def listed(
    caller: SignedIn, store: TheStore, cursor: Annotated[Cursor | None, Query()] = None, limit: Limit = 50
) -> Response:
    """Accounts in the order of their logins."""
    found, following = accounts.users(store, caller.actor, cursor=cursor, limit=limit)
    return list_answer(found, following)


@routes.post(
    "/users",
    operation_id="addUser",
    status_code=201,
    response_model=UserView,
    responses=documented("conflict"),
)
def add(body: NewUser, caller: SignedIn, store: TheStore) -> Response:
    """Add an account."""
    made = accounts.add_user(
        store, caller.actor, login=body.login, name=body.name, role=body.role, password=body.password
    )
    return answer(made, 201)


@routes.patch(
    "/users/{user_id}",
    operation_id="changeUser",
    response_model=UserView,
    responses=documented("not-found", "conflict"),
)
def change(user_id: Id, body: UserChange, caller: SignedIn, store: TheStore) -> Response:
    """Change an account; another role or password, or closing it, ends its sessions."""
    changed = accounts.change_user(
        store,
        caller.actor,
        user_id,
        name=body.name,
        role=body.role,
        active=body.active,
        password=body.password,
    )
    return answer(changed)


@routes.get("/tokens", operation_id="listTokens", response_model=TokenList)
def own_tokens(caller: SignedIn, store: TheStore) -> Response:
    """One's own tokens, the newest first."""
    return list_answer(held.tokens(store, caller.actor))


@routes.post("/tokens", operation_id="makeToken", status_code=201, response_model=TokenMade)
def make(body: NewToken, caller: SignedIn, store: TheStore) -> Response:
    """A token of one's own account: never more than one's role allows, and only what its scopes name."""
    value, view = held.make_token(store, caller.actor, name=body.name, scopes=body.scopes, days=body.days)
    return JSONResponse({"value": value, "token": as_json(view)}, 201)


@routes.delete(
    "/tokens/{token_id}",
    operation_id="revokeToken",
    status_code=204,
    response_class=Response,
    responses=documented("not-found"),
)
def revoke(token_id: Id, caller: SignedIn, store: TheStore) -> Response:
    """Make a token worthless at once."""
    held.revoke(store, caller.actor, token_id)
    return Response(status_code=204)
