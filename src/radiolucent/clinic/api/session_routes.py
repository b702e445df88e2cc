"""Logging in and out, oneself, and the password once more before a signature."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from radiolucent.clinic.api.answers import answer
from radiolucent.clinic.api.caller import COOKIE, InSession, SignedIn, TheStore, address_of
from radiolucent.clinic.api.problems import Refusal, documented
from radiolucent.clinic.api.shapes import LogIn, PasswordAgain, PasswordChange, SessionAnswer, SessionUser, WaysIn
from radiolucent.clinic.auth import oidc
from radiolucent.clinic.auth.accounts import change_own_password
from radiolucent.clinic.auth.sessions import NotLoggedIn, Present, confirm_password, enter, log_in, log_out
from radiolucent.clinic.service.signing import ATTESTATION
from radiolucent.clinic.settings import Settings

routes = APIRouter(tags=["session"])
SIGN_ON = "rl_sign_on"
SIGN_ON_PATH = "/api/v1/session/oidc"


@routes.post(
    "/session",
    operation_id="logIn",
    response_model=SessionAnswer,
    responses=documented("not-logged-in", "too-many-tries"),
)
def start(request: Request, body: LogIn, store: TheStore) -> Response:
    """Log in. The cookie `rl_session` carries the session, `csrf` goes into `X-CSRF-Token`. The failure is the same
    for an unknown login, a wrong password, and an account that is closed or locked for a while."""
    cookie, who = log_in(store, body.login, body.password, address_of(request))
    return _with_cookie(request, JSONResponse(session_json(request, store.settings, who)), cookie)


@routes.get("/session", operation_id="readSession", response_model=SessionAnswer)
def read(request: Request, who: InSession, store: TheStore) -> Response:
    """The session as it stands; asking keeps it no longer."""
    return JSONResponse(session_json(request, store.settings, who))


@routes.delete("/session", operation_id="logOut", status_code=204, response_class=Response)
def end(request: Request, who: InSession, store: TheStore) -> Response:
    """Log out."""
    log_out(store, who)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=_secure(request))
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@routes.post(
    "/session/reauth",
    operation_id="confirmPassword",
    response_model=SessionAnswer,
    responses=documented("too-many-tries"),
)
def confirm(request: Request, body: PasswordAgain, who: InSession, store: TheStore) -> Response:
    """The password once more, before a signature; the session goes on under a fresh cookie."""
    cookie, renewed = confirm_password(store, who, body.password, address_of(request))
    return _with_cookie(request, JSONResponse(session_json(request, store.settings, renewed)), cookie)


@routes.get("/me", operation_id="readMe", response_model=SessionUser)
def me(caller: SignedIn) -> Response:
    """Who is calling."""
    who = caller.present
    login = "" if who is None else who.login
    return answer({"id": caller.actor.user_id, "login": login, "name": caller.actor.name, "role": caller.actor.role})


@routes.put(
    "/me/password",
    operation_id="changeMyPassword",
    response_model=SessionAnswer,
    responses=documented("malformed"),
)
def change(request: Request, body: PasswordChange, who: InSession, store: TheStore) -> Response:
    """Another password: every session of the account ends, and this one begins anew under a fresh cookie."""
    change_own_password(store, who.actor, body.old, body.new)
    cookie, renewed = enter(store, who.actor.user_id, "password", address_of(request), reauth_at=store.now())
    return _with_cookie(request, JSONResponse(session_json(request, store.settings, renewed)), cookie)


@routes.get("/session/ways", operation_id="readWaysIn", response_model=WaysIn)
def ways(request: Request) -> Response:
    """How people come in here: what the sign-in page offers."""
    return JSONResponse({"single_sign_on": request.app.state.provider is not None})


@routes.get(
    "/session/oidc",
    operation_id="logInBySingleSignOn",
    status_code=303,
    response_class=Response,
    responses=documented("not-set-up", "unavailable"),
)
def go_to_provider(
    request: Request,
    store: TheStore,
    again: Annotated[bool, Query(description="Ask for the password there once more, as before a signature.")] = False,
) -> Response:
    """To the site's identity provider: authorization code with PKCE, state and nonce."""
    try:
        provider = _provider(request)
        address, kept = oidc.begin(store, provider, redirect_uri=_callback(request), again=again)
    except (Refusal, oidc.ProviderAway):
        if _at_a_browser(request):
            return RedirectResponse("/#/signed-on/away", 303)
        raise
    response = RedirectResponse(address, 303)
    response.set_cookie(
        SIGN_ON,
        kept,
        max_age=oidc.PATIENCE_S,
        path=SIGN_ON_PATH,
        httponly=True,
        samesite="lax",  # the provider's redirect comes from another site
        secure=_secure(request),
    )
    return response


@routes.get(
    "/session/oidc/callback",
    operation_id="finishSingleSignOn",
    status_code=303,
    response_class=Response,
    responses=documented("not-logged-in", "not-set-up", "unavailable"),
)
def back_from_provider(request: Request, store: TheStore) -> Response:
    """Back from the identity provider; ends at the page, which says so to somebody who was already at work there."""
    kept = request.cookies.get(SIGN_ON, "")
    try:
        arrival = oidc.finish(
            store, _provider(request), kept, dict(request.query_params), redirect_uri=_callback(request)
        )
        cookie, _ = enter(store, arrival.user_id, "oidc", address_of(request), reauth_at=arrival.proved)
    except (NotLoggedIn, oidc.ProviderAway) as error:
        if _at_a_browser(request):
            return RedirectResponse(f"/#/signed-on/{'refused' if isinstance(error, NotLoggedIn) else 'away'}", 303)
        raise
    response = _with_cookie(request, RedirectResponse("/#/signed-on/again" if arrival.again else "/", 303), cookie)
    response.delete_cookie(SIGN_ON, path=SIGN_ON_PATH, httponly=True, samesite="lax", secure=_secure(request))
    return response


def session_json(request: Request, settings: Settings, who: Present) -> dict[str, Any]:
    """The session as the page wants it."""
    return {
        "user": {"id": who.actor.user_id, "login": who.login, "name": who.actor.name, "role": who.actor.role},
        "by_password": who.by_password,
        "csrf": who.csrf,
        "idle_seconds": settings.session_idle_minutes * 60,
        "reauth_seconds": settings.reauth_minutes * 60,
        "reauth_at": None if who.reauth_at is None else who.reauth_at.isoformat(),
        "expires_at": who.expires_at.isoformat(),
        "mode": settings.mode,
        "language": settings.language,
        "demo": settings.model == "demo",
        "model": settings.model,
        "single_sign_on": request.app.state.provider is not None,
        "attestation": {"en": ATTESTATION[0], "zh": ATTESTATION[1]},
    }


def _with_cookie(request: Request, response: Response, cookie: str) -> Response:
    """Ends with the browser; the server's own time-outs are shorter."""
    response.set_cookie(COOKIE, cookie, path="/", httponly=True, samesite="strict", secure=_secure(request))
    return response


def _at_a_browser(request: Request) -> bool:
    """Whether a person would look at the answer as a page."""
    return "text/html" in request.headers.get("accept", "")


def _secure(request: Request) -> bool:
    return bool(request.app.state.secure)


def _provider(request: Request) -> oidc.Provider:
    provider: oidc.Provider | None = request.app.state.provider
    if provider is None:
        raise Refusal("not-set-up", "Single sign-on is not set up: RADIOLUCENT_OIDC_ISSUER and _CLIENT_ID are empty.")
    return provider


def _callback(request: Request) -> str:
    return f"{request.app.state.public_url}{SIGN_ON_PATH}/callback"
