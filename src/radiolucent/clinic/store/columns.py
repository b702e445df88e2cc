"""Column types that hold one meaning on both databases: aware UTC times, clean text, JSON of clean text."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

from radiolucent.clinic.errors import UncleanText
from radiolucent.errors import MalformedInput

_UNCLEAN = re.compile("[\x00\ud800-\udfff]")


def new_id() -> str:
    """A fresh identifier: 32 hexadecimal digits of a random UUID (RFC 9562, version 4)."""
    return uuid.uuid4().hex


def refuse_unclean(value: Any, name: str = "The text") -> Any:
    """The value itself, where neither it nor anything in it holds a NUL character or a lone surrogate.

    SQLite stores both; PostgreSQL fails on the first, and neither can be written as UTF-8 or shown.

    Raises
    ------
    UncleanText
        Naming ``name``, never the text.
    """
    if isinstance(value, str):
        if found := _UNCLEAN.search(value):
            what = "a NUL character" if found[0] == "\x00" else "half of a surrogate pair"
            raise UncleanText(
                f"{name} holds {what} at position {found.start()}, which cannot be stored or shown. Remove it. / "
                "文本含无法存储或显示的字符，请删除。"
            )
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            refuse_unclean(key, name)
            refuse_unclean(entry, name)
    elif isinstance(value, list | tuple):
        for entry in value:
            refuse_unclean(entry, name)
    return value


class UtcTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise MalformedInput("A time without its zone was given; times are kept in UTC. Give an aware time.")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CleanText(TypeDecorator[str]):
    """Text without NUL characters and lone surrogates: the last line behind the checks of each door."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        refuse_unclean(value)
        return value


class CleanJson(TypeDecorator[Any]):
    """JSON whose texts are clean."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        refuse_unclean(value)
        return value
