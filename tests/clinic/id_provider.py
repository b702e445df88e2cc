"""An OpenID provider for tests: keeps to OpenID Connect, except where a test bends it; in this process or served."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from joserfc import jwt
from joserfc.jwk import RSAKey

KEY = RSAKey.generate_key(2048, {"kid": "one"})


@dataclass
class TestProvider:
    """The provider and what it was asked.

    Parameters
    ----------
    issuer, public
        Its own address, and the site's.
    """

    __test__ = False
    issuer: str
    public: str
    claims: dict[str, Any] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    key: Any = field(default_factory=lambda: KEY)
    algorithm: str = "RS256"
    configuration: dict[str, Any] = field(default_factory=dict)
    away: bool = False
    asked: dict[str, str] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def authorize(self, address: str) -> dict[str, str]:
        """What a browser brings back after the person agreed."""
        self.asked = {name: value[0] for name, value in parse_qs(urlsplit(address).query).items()}
        assert self.asked["response_type"] == "code" and self.asked["code_challenge_method"] == "S256"
        code = hashlib.sha256(self.asked["state"].encode()).hexdigest()
        self.codes[code] = dict(self.asked)
        return {"code": code, "state": self.asked["state"], "iss": self.issuer}

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Its three addresses."""
        if self.away:
            raise httpx2.ConnectError("away", request=request)
        if request.url.path.endswith("openid-configuration"):
            told = {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }
            return httpx2.Response(200, json=told | self.configuration)
        if request.url.path == "/keys":
            return httpx2.Response(200, json={"keys": [KEY.as_dict(private=False)]})
        return self._token(request)

    def _token(self, request: httpx2.Request) -> httpx2.Response:
        given = {name: value[0] for name, value in parse_qs(request.content.decode()).items()}
        assert request.headers["authorization"].startswith("Basic ")
        asked = self.codes.pop(given["code"], None)
        if asked is None:
            return httpx2.Response(400, json={"error": "invalid_grant"})
        digest = hashlib.sha256(given["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked["code_challenge"]
        assert given["redirect_uri"] == asked["redirect_uri"] == f"{self.public}/api/v1/session/oidc/callback"
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "subject-1",
            "aud": "radiolucent",
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
            "preferred_username": "li.wei",
        } | self.claims
        for name in self.drop:
            del claims[name]
        token = jwt.encode({"alg": self.algorithm, "kid": "one"}, claims, self.key, algorithms=[self.algorithm])
        return httpx2.Response(200, json={"access_token": "a", "token_type": "Bearer", "id_token": token})

    def served(self) -> FastAPI:
        """The same behind real HTTP; whoever comes agrees at once and has just given the password if asked to."""
        app = FastAPI()

        @app.get("/authorize")
        def agree(request: Request) -> Response:
            back = self.authorize(str(request.url))
            self.claims["auth_time"] = int(time.time()) if self.asked.get("prompt") == "login" else 1
            return RedirectResponse(f"{self.asked['redirect_uri']}?{urlencode(back)}", 303)

        @app.api_route("/{path:path}", methods=["GET", "POST"])
        async def other(request: Request) -> Response:
            asked = httpx2.Request(
                request.method, str(request.url), headers=request.headers.raw, content=await request.body()
            )
            told = self.answer(asked)
            return Response(told.content, told.status_code, media_type="application/json")

        return app
