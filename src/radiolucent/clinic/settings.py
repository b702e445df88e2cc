"""Everything that a site can configure, in one frozen value; read from the environment once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from radiolucent.errors import MalformedInput

PREFIX = "RADIOLUCENT_"
Mode = Literal["research", "clinical"]


def default_data_folder() -> Path:
    """``$XDG_DATA_HOME/radiolucent``, by default ``~/.local/share/radiolucent``."""
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base else Path.home() / ".local" / "share") / "radiolucent"


@dataclass(frozen=True)
class Settings:
    """How this site runs. Each field ``x`` is read from the environment variable ``RADIOLUCENT_X``.

    Parameters
    ----------
    data
        Folder of the database (SQLite), encrypted films and bundles.
    database_url
        SQLAlchemy URL; empty: SQLite in ``data``. PostgreSQL: ``postgresql+psycopg://user@host/name``.
    keys
        Folder of ``master.key``, ``audit.key``, ``index.key`` and the audit checkpoint; empty: ``keys`` in ``data``.
        A site keeps it on another disk than the database and its backups.
    model
        Hub id, folder of weights or ``demo``.
    level
        Of the explanation that is drafted.
    mode
        ``clinical`` needs ``legal_basis``: a sentence that says on what ground the site uses it for care.
    public_url
        How people reach the site, such as ``https://reading.example.org``; empty: ``host`` and ``port`` by http.
    two_signatures
        A case is final only after a reviewing physician (审核医师) has signed too.
    author_is_not_approver
        With two signatures: the reviewing physician is another person.
    reader_first
        New cases hide the AI until the reader's own impression is saved.
    upload_limit_mb
        Of one upload, all files together.
    parse_memory_mb, parse_cpu_s, parse_wall_s, parse_pixels
        Limits of the confined process that opens uploaded files; pixels over all frames.
    session_idle_minutes, session_hours, reauth_minutes
        A session ends after so long without a request, and after so long in any case; a signature needs the password
        within ``reauth_minutes``.
    lease_s, max_attempts, retry_s
        Of jobs: how long a silent worker keeps one; how often it is tried; the first pause between two tries, doubled
        each time.
    retention_days
        Finished cases older than this may be erased; 0: never.
    log_retention_days
        Never under 183: EU AI Act 19 and 26(6) ask for six months.
    """

    data: Path = field(default_factory=default_data_folder)
    database_url: str = field(default="", repr=False)  # may hold a password
    keys: Path = Path()
    model: str = "demo"
    level: str = "standard"
    language: Literal["en", "zh"] = "en"
    mode: Mode = "research"
    legal_basis: str = ""
    host: str = "127.0.0.1"
    port: int = 8411
    public_url: str = ""
    two_signatures: bool = False
    author_is_not_approver: bool = True
    reader_first: bool = False
    upload_limit_mb: int = 512
    parse_memory_mb: int = 2048
    parse_cpu_s: int = 60
    parse_wall_s: int = 90
    parse_pixels: int = 64_000_000
    session_idle_minutes: int = 20
    session_hours: int = 12
    reauth_minutes: int = 5
    lease_s: float = 60.0
    max_attempts: int = 5
    retry_s: float = 2.0
    retention_days: int = 0
    log_retention_days: int = 183
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        data = Path(self.data).expanduser().absolute()
        object.__setattr__(self, "data", data)
        keys = data / "keys" if Path(self.keys) == Path() else Path(self.keys).expanduser().absolute()
        object.__setattr__(self, "keys", keys)
        if not self.database_url:
            object.__setattr__(self, "database_url", f"sqlite:///{data / 'clinic.sqlite'}")
        if not self.database_url.startswith(("sqlite:///", "postgresql")):
            raise MalformedInput(
                "RADIOLUCENT_DATABASE_URL must begin with sqlite:/// or postgresql; other databases are not tested."
            )
        if self.database_url.startswith(("postgresql://", "postgres://")):
            object.__setattr__(self, "database_url", "postgresql+psycopg://" + self.database_url.split("://", 1)[1])
        if self.language not in ("en", "zh"):
            raise MalformedInput(f"RADIOLUCENT_LANGUAGE is {self.language!r}; use 'en' or 'zh'.")
        if self.level not in ("quick", "standard", "deep"):
            raise MalformedInput(f"RADIOLUCENT_LEVEL is {self.level!r}; use 'quick', 'standard' or 'deep'.")
        if self.mode not in ("research", "clinical"):
            raise MalformedInput(f"RADIOLUCENT_MODE is {self.mode!r}; use 'research' or 'clinical'.")
        if self.mode == "clinical" and not self.legal_basis.strip():
            raise MalformedInput(
                "Clinical mode needs RADIOLUCENT_LEGAL_BASIS: one sentence on what ground this site uses the product "
                "for care. It is recorded in the audit trail. Without one, use research mode."
            )
        if self.log_retention_days < 183:
            raise MalformedInput("RADIOLUCENT_LOG_RETENTION_DAYS must be at least 183 (six months).")
        for name in ("upload_limit_mb", "parse_memory_mb", "parse_cpu_s", "parse_wall_s", "parse_pixels", "lease_s"):
            if getattr(self, name) <= 0:
                raise MalformedInput(f"{PREFIX}{name.upper()} must be above 0.")
        if not 0 < self.port < 65536:
            raise MalformedInput(f"RADIOLUCENT_PORT is {self.port}; a port lies between 1 and 65535.")

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite."""
        return self.database_url.startswith("sqlite")

    @property
    def incoming(self) -> Path:
        """Where uploads and fetched studies lie while they are taken in."""
        return self.data / "incoming"

    def with_(self, **changes: Any) -> Settings:
        """A copy with some fields changed (and checked again)."""
        return replace(self, **changes)


def from_env(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Settings from ``RADIOLUCENT_*``; what is ``given`` stands above the environment.

    Raises
    ------
    MalformedInput
        Where a value cannot be read; it names the variable.
    """
    values = os.environ if environment is None else environment
    read: dict[str, Any] = {}
    for entry in fields(Settings):
        name = PREFIX + entry.name.upper()
        if entry.name in given or not values.get(name, ""):
            continue
        read[entry.name] = _converted(name, values[name], str(entry.type))
    return Settings(**read, **given)


def _converted(name: str, text: str, kind: str) -> Any:
    try:
        if kind == "bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except (KeyError, ValueError) as error:
        wanted = {"bool": "true or false", "int": "a whole number", "float": "a number"}[kind]
        raise MalformedInput(f"{name} is {text!r}; expected {wanted}.") from error
    return Path(text) if kind == "Path" else text
