"""Who may call what: one table, denied unless a line here allows it.

A line names the task that the caller's role must be allowed (:data:`radiolucent.clinic.service.access.ROLES`, the one
place that names roles) and the scope that an API token must carry; no scope: no token, people at the page only. The
application does not start with a route that has no line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from radiolucent.clinic.auth.tokens import Scope
from radiolucent.clinic.service.access import Task

Door = Literal["open", "signed in"] | Task


@dataclass(frozen=True)
class Rule:
    """What it takes.

    Parameters
    ----------
    door
        ``open``: anybody; ``signed in``: any role; otherwise the task that the role must be allowed.
    scope
        Of a token; None: tokens are refused.
    version
        The write needs ``If-Match`` with the case's version.
    quiet
        Polled by the page by itself: does not keep an idle session awake.
    """

    door: Door
    scope: Scope | None = None
    version: bool = False
    quiet: bool = False


POLICY: Mapping[str, Rule] = {
    # session
    "logIn": Rule("open"),
    "readWaysIn": Rule("open", quiet=True),
    "logInBySingleSignOn": Rule("open"),
    "finishSingleSignOn": Rule("open"),
    "readSession": Rule("signed in", quiet=True),
    "logOut": Rule("signed in"),
    "confirmPassword": Rule("signed in"),
    "readMe": Rule("signed in", "cases:read"),
    "changeMyPassword": Rule("signed in"),
    # accounts
    "listUsers": Rule("administer"),
    "addUser": Rule("administer"),
    "changeUser": Rule("administer"),
    "listTokens": Rule("signed in"),
    "makeToken": Rule("signed in"),
    "revokeToken": Rule("signed in"),
    # cases
    "listCases": Rule("see cases", "cases:read"),
    "searchCases": Rule("see cases", "cases:read"),
    "submitCase": Rule("submit", "cases:submit"),
    "readCase": Rule("see cases", "cases:read"),
    "readProgress": Rule("see cases", "cases:read", quiet=True),
    "readHistory": Rule("see cases", "cases:read"),
    "rerunCase": Rule("review", "cases:review"),
    "listOpenCriticals": Rule("see cases", "cases:read", quiet=True),
    # what a case shows
    "listFrames": Rule("see cases", "cases:read"),
    "readPixels": Rule("see cases", "cases:read"),
    "listMaps": Rule("see cases", "cases:read"),
    "readMap": Rule("see cases", "cases:read"),
    "readReportPage": Rule("see cases", "cases:read"),
    # review
    "openCase": Rule("review", "cases:review"),
    "releaseCase": Rule("review", "cases:review"),
    "revealAi": Rule("review", "cases:review"),
    "confirmSide": Rule("review", "cases:review", version=True),
    "saveText": Rule("review", "cases:review", version=True),
    "saveOwnImpression": Rule("review", "cases:review", version=True),
    "ruleOnFinding": Rule("review", "cases:review", version=True),
    "addFinding": Rule("review", "cases:review", version=True),
    "suggestText": Rule("review", "cases:review"),
    "listBlockers": Rule("see cases", "cases:read"),
    "listCriticals": Rule("see cases", "cases:read"),
    "recordCritical": Rule("review", "cases:review"),
    # signature: people only, at the page
    "signCase": Rule("sign", version=True),
    "returnCase": Rule("sign", version=True),
    "rejectCase": Rule("sign", version=True),
    "amendCase": Rule("sign", version=True),
    "reportIncident": Rule("see cases"),
    "listIncidents": Rule("administer"),
    # out
    "listExports": Rule("see cases", "exports"),
    "exportCase": Rule("export", "exports"),
    "downloadExport": Rule("export", "exports"),
    "listDestinations": Rule("export", "exports"),
    "addDestination": Rule("administer"),
    "removeDestination": Rule("administer"),
    "pullStudies": Rule("submit", "cases:submit"),
    # site
    "readModel": Rule("signed in", "site:read"),
    "readSwitches": Rule("see cases", "site:read"),
    "changeSwitch": Rule("administer"),
    "readVocabulary": Rule("signed in", "site:read"),
    "readAudit": Rule("administer"),
    "readPerformance": Rule("administer"),
}
