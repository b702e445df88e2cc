"""The application: routes under the policy, errors as problems, the page, and the gateway around all of it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from radiolucent.clinic.api import (
    account_routes,
    case_routes,
    export_routes,
    health_routes,
    page_routes,
    problems,
    review_routes,
    session_routes,
    site_routes,
)
from radiolucent.clinic.api.answers import PREFIX
from radiolucent.clinic.api.caller import COOKIE, gate
from radiolucent.clinic.api.gateway import Gateway
from radiolucent.clinic.api.policy import POLICY, Rule
from radiolucent.clinic.api.problems import Problem, documented
from radiolucent.clinic.auth.oidc import Provider, provider_of
from radiolucent.clinic.store.engine import Store
from radiolucent.errors import MalformedInput

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ABOUT = """\
What a vision-language model drafted about a chest film, and a physician's decisions on it, up to a signed report.
**Not a medical device.** AI-generated until a physician has signed. / 非医疗器械。签发前为 AI 生成，未经医师审核。

Errors are `application/problem+json` (RFC 9457). Lists are `{items, next}`; `next` goes into `cursor`. A case answers
with its version as `ETag`; writes name it in `If-Match` (428 without, 412 where somebody was faster). People log in
(`POST /session`) and send `X-CSRF-Token`; programs send `Authorization: Bearer` with a token of fitting scopes.
"""


def make_app(store: Store, *, provider: Provider | None = None, public_url: str | None = None) -> FastAPI:
    """The application over an open store.

    Parameters
    ----------
    provider
        Of single sign-on; from the settings where None.
    public_url
        How people reach the site, from the settings where None; with https, cookies are marked secure.

    Raises
    ------
    MalformedInput
        Where the page is not built, or the public address is none.
    """
    settings = store.settings
    reached = (public_url or settings.public_url or f"http://{_bracketed(settings.host)}:{settings.port}").rstrip("/")
    app = FastAPI(
        title="radiolucent clinic",
        version="1",
        description=ABOUT,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        separate_input_output_schemas=False,
        redirect_slashes=False,
    )
    app.state.store = store
    app.state.public_url = reached
    app.state.secure = reached.startswith("https://")
    app.state.provider = provider or provider_of(settings)
    for part in (session_routes, account_routes, case_routes, review_routes, export_routes, site_routes):
        app.include_router(_guarded(part.routes), prefix=PREFIX)
    app.include_router(health_routes.routes)
    app.include_router(page_routes.page_router())
    problems.install(app)
    app.add_middleware(Gateway, hosts=_hosts(settings.host, reached), secure=app.state.secure)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _guarded(routes: APIRouter) -> APIRouter:
    """The routes behind the gate, each with its rule.

    Raises
    ------
    MalformedInput
        Where one has none: nothing is open by being forgotten.
    """
    for route in routes.routes:
        if not isinstance(route, APIRoute) or route.operation_id not in POLICY:
            raise MalformedInput(f"The route {route} has no line in the policy; it stays closed.")
    guarded = APIRouter()
    guarded.include_router(routes, dependencies=[Depends(gate)])
    return guarded


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = made["components"]["schemas"]
        whole = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= whole.pop("$defs", {})
        schemas["Problem"] = whole
        made["components"]["securitySchemes"] = {
            "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            "token": {"type": "http", "scheme": "bearer"},
        }
        for path in made["paths"].values():
            for operation in path.values():
                _document(operation, POLICY[operation["operationId"]])
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        app.openapi_schema = made
    return app.openapi_schema


def _document(operation: dict[str, Any], rule: Rule) -> None:
    """What the gate and the gateway do to every operation."""
    codes = ["bad-request", "malformed", "unexpected", "unavailable"]
    if "requestBody" in operation:
        codes += ["too-large", "unsupported-media"]
    if rule.door == "open":
        operation["security"] = []
    else:
        codes += ["not-logged-in", "forbidden", "wrong-csrf"]
        operation["security"] = [{"session": []}, *([{"token": []}] if rule.scope else [])]
        told = "any role" if rule.door == "signed in" else f"a role that may *{rule.door}*"
        operation["description"] = (
            f"{operation.get('description', '')}\n\nTakes {told}; "
            f"{f'scope `{rule.scope}`' if rule.scope else 'no token'}."
        ).strip()
    if rule.version:
        operation.setdefault("parameters", []).append(
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "schema": {"type": "string", "pattern": '^"[1-9][0-9]{0,8}"$'},
                "description": "The case's version as read in ETag.",
            }
        )
    answers = operation["responses"]
    answers.pop("422", None)
    for status, described in documented(*codes).items():
        answers.setdefault(str(status), described)


def _hosts(host: str, reached: str) -> tuple[str, ...]:
    name = reached.split("://", 1)[1].split("/")[0]
    public = name[: name.index("]") + 1] if name.startswith("[") else name.rsplit(":", 1)[0]
    return (*LOOPBACK, _bracketed(host), public.lower())


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
