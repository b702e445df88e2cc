"""Single sign-on by OpenID Connect Core 1.0: authorization code with PKCE (RFC 7636), state and nonce, by Authlib.

What has to be remembered between leaving and coming back travels in a sealed cookie of its own. An account is found by
the provider's subject; the first time by its login, which must be the ``preferred_username`` or verified e-mail that
the provider tells, and only where an administrator made the account without a password. Nobody is let in unmade.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import select

from radiolucent.clinic import MissingPackage
from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.auth.sessions import NotLoggedIn
from radiolucent.clinic.errors import KeysMismatch
from radiolucent.clinic.settings import Settings
from radiolucent.clinic.store.actor import SYSTEM
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.sealed import seal_json, unseal_json
from radiolucent.clinic.store.tables import User
from radiolucent.errors import RadiolucentError

PATIENCE_S = 600  # between leaving for the provider and coming back
NETWORK_S = 10.0
LEEWAY_S = 60
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384"]
"""Of the ID token's signature; neither ``none`` nor a shared secret."""
_CONTEXT = "single sign-on"
_PURPOSE = b"single sign-on"
REFUSED = "The identity provider's answer was not accepted; try again, or ask an administrator. / 单点登录失败。"


class ProviderAway(RadiolucentError):
    """The identity provider could not be reached or does not answer as one."""


@dataclass(frozen=True)
class Provider:
    """The site's identity provider.

    Parameters
    ----------
    issuer
        As its ID tokens name it; its configuration is read from ``/.well-known/openid-configuration`` below.
    transport
        Of the HTTP client; tests put a provider here.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False, default="")
    transport: Any = None


@dataclass(frozen=True)
class Arrival:
    """Somebody came back from the provider.

    Parameters
    ----------
    proved
        When they last gave the password there; None where the provider does not tell.
    again
        They were asked for it once more, from a page at which they are at work.
    """

    user_id: str
    proved: datetime | None
    again: bool


def provider_of(settings: Settings) -> Provider | None:
    """The provider that the settings name; None where none."""
    if not settings.oidc_issuer or not settings.oidc_client_id:
        return None
    return Provider(settings.oidc_issuer.rstrip("/"), settings.oidc_client_id, settings.oidc_client_secret)


def begin(store: Store, provider: Provider, *, redirect_uri: str, again: bool = False) -> tuple[str, str]:
    """The provider's address to go to, and what the cookie has to keep until the way back.

    Parameters
    ----------
    again
        Ask for the password even of somebody who is logged in there, as before a signature.

    Raises
    ------
    ProviderAway
        Where its configuration cannot be read.
    """
    told = _configuration(provider)
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    with _client(provider, redirect_uri) as client:
        address, _ = client.create_authorization_url(
            told["authorization_endpoint"],
            state=state,
            code_verifier=verifier,
            nonce=nonce,
            **({"prompt": "login", "max_age": "0"} if again else {}),
        )
    kept = {
        "again": again,
        "state": state,
        "nonce": nonce,
        "verifier": verifier,
        "until": int(time.time()) + PATIENCE_S,
    }
    return address, base64.urlsafe_b64encode(seal_json(store.keys.derived(_PURPOSE), kept, _CONTEXT)).decode("ascii")


def finish(store: Store, provider: Provider, kept: str, answer: Mapping[str, str], *, redirect_uri: str) -> Arrival:
    """Who came back from the provider.

    Raises
    ------
    NotLoggedIn
        Where anything about the answer is not as it must be, or nobody here is who the provider tells.
    ProviderAway
        Where the provider does not answer.
    """
    mine = _opened(store, kept)
    state = answer.get("state", "")
    if not hmac.compare_digest(state.encode(), mine["state"].encode()) or "error" in answer or not answer.get("code"):
        raise NotLoggedIn(REFUSED)
    if answer.get("iss", provider.issuer) != provider.issuer:  # RFC 9207: another provider's answer mixed in
        raise NotLoggedIn(REFUSED)
    told = _configuration(provider)
    claims = _claims(provider, told, answer["code"], mine, redirect_uri)
    at = claims.get("auth_time")
    proved = datetime.fromtimestamp(at, UTC) if isinstance(at, int) and 0 < at <= time.time() + LEEWAY_S else None
    return Arrival(_account(store, provider, claims), proved, bool(mine["again"]))


def _claims(
    provider: Provider, told: Mapping[str, Any], code: str, mine: Mapping[str, Any], redirect_uri: str
) -> Mapping[str, Any]:
    from authlib.integrations.base_client.errors import OAuthError
    from authlib.oidc.core import CodeIDToken
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    with _client(provider, redirect_uri) as client:
        try:
            token = client.fetch_token(
                told["token_endpoint"], code=code, code_verifier=mine["verifier"], grant_type="authorization_code"
            )
        except OAuthError as error:
            raise NotLoggedIn(REFUSED) from error
        except _network_faults() as error:
            raise _away(error) from error
        keys = _fetched(client, told["jwks_uri"])
    try:
        decoded = jwt.decode(str(token["id_token"]), KeySet.import_key_set(cast(Any, keys)), algorithms=ALGORITHMS)
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {
                "iss": {"essential": True, "value": provider.issuer},
                "aud": {"essential": True, "value": provider.client_id},
                "nonce": {"essential": True, "value": mine["nonce"]},
            },
            {"nonce": mine["nonce"], "client_id": provider.client_id, "access_token": token.get("access_token")},
        )
        claims.validate(leeway=LEEWAY_S)
    except (JoseError, KeyError, ValueError, TypeError) as error:
        raise NotLoggedIn(REFUSED) from error
    return dict(decoded.claims)


def _account(store: Store, provider: Provider, claims: Mapping[str, Any]) -> str:
    subject = hashlib.sha256(f"{provider.issuer} {claims['sub']}".encode()).hexdigest()
    names = {str(claims["preferred_username"]).lower()} if claims.get("preferred_username") else set()
    if claims.get("email") and claims.get("email_verified") is True:
        names.add(str(claims["email"]).lower())
    with store.begin() as session:
        known = session.scalars(select(User).where(User.oidc_subject == subject)).first()
        if known is None and names:
            known = session.scalars(
                select(User).where(User.login.in_(names), User.oidc_subject.is_(None), User.password_hash.is_(None))
            ).first()
            if known is not None:
                known.oidc_subject = subject
                note(store, session, SYSTEM, "user.linked", "user", known.id)
        if known is None or not known.active:
            raise NotLoggedIn(
                "The identity provider knows you, but you have no account here; ask an administrator to make one "
                "without a password. / 本站无此账号，请联系管理员。"
            )
        return known.id


def _opened(store: Store, kept: str) -> dict[str, Any]:
    try:
        sealed = base64.urlsafe_b64decode(kept.encode())
        mine: dict[str, Any] = unseal_json(store.keys.derived(_PURPOSE), sealed, _CONTEXT)
    except (KeysMismatch, ValueError, binascii.Error) as error:
        raise NotLoggedIn(REFUSED) from error
    if mine["until"] < time.time():
        raise NotLoggedIn("It took too long; begin again. / 登录超时，请重试。")
    return mine


def _configuration(provider: Provider) -> Mapping[str, Any]:
    with _client(provider, "") as client:
        told = _fetched(client, f"{provider.issuer}/.well-known/openid-configuration")
    wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    if told.get("issuer") != provider.issuer or not all(isinstance(told.get(name), str) for name in wanted):
        raise ProviderAway(f"{provider.issuer} does not describe itself as an OpenID provider of that name.")
    if not all(_same_scheme(provider.issuer, str(told[name])) for name in wanted):
        raise ProviderAway("The identity provider sends people or tokens over an unencrypted address.")
    return told


def _same_scheme(issuer: str, address: str) -> bool:
    return address.startswith("https://") or issuer.startswith("http://")


def _fetched(client: Any, address: str) -> dict[str, Any]:
    try:
        response = client.request("GET", address, withhold_token=True)
        response.raise_for_status()
        told = response.json()
    except _network_faults() as error:
        raise _away(error) from error
    if not isinstance(told, dict):
        raise ProviderAway("The identity provider's answer is not a JSON object.")
    return told


def _network_faults() -> tuple[type[Exception], ...]:
    """Of the HTTP client that Authlib took, and answers that are not JSON."""
    try:
        import httpx2 as http
    except ImportError:
        import httpx as http  # type: ignore[no-redef]
    return (http.HTTPError, ValueError)


def _away(error: Exception) -> ProviderAway:
    return ProviderAway(f"The identity provider cannot be reached ({type(error).__name__}); try again later.")


def _client(provider: Provider, redirect_uri: str) -> Any:
    try:
        from authlib.integrations.httpx_client import OAuth2Client
    except ImportError as error:
        raise MissingPackage("Single sign-on needs Authlib: pip install 'radiolucent[clinic]'.") from error
    given = {} if provider.transport is None else {"transport": provider.transport}
    return OAuth2Client(
        client_id=provider.client_id,
        client_secret=provider.client_secret or None,
        token_endpoint_auth_method="client_secret_basic" if provider.client_secret else "none",
        scope="openid profile email",
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
        timeout=NETWORK_S,
        **given,
    )
