"""Log lines are JSON and say nothing that a library may have quoted from a file or an address."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from radiolucent.clinic.ops.logs import JsonLines, configure, request_id
from radiolucent.errors import MalformedInput

NAME = "ZHANG^SAN"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def told(lines: io.StringIO) -> dict[str, object]:
    return dict(json.loads(lines.getvalue().splitlines()[-1]))


def test_an_error_of_a_library_is_told_by_its_kind_and_place(lines: io.StringIO) -> None:
    try:
        raise ValueError(f"invalid value {NAME!r} for PN")
    except ValueError:
        logging.getLogger("radiolucent.clinic.jobs").exception("job %s failed", "j1")
    line = told(lines)
    assert line["message"] == "job j1 failed" and NAME not in json.dumps(line)
    assert line["error"]["type"] == "ValueError" and "test_structured_logs.py" in line["error"]["where"][-1]


def test_an_error_of_ours_is_told_in_its_own_words(lines: io.StringIO) -> None:
    try:
        raise MalformedInput("The film has no pixels.")
    except MalformedInput:
        logging.getLogger("radiolucent").exception("refused")
    assert told(lines)["error"]["message"] == "The film has no pixels."


@pytest.mark.parametrize("name", ["pydicom", "httpx", "sqlalchemy.engine", "some.library"])
def test_what_other_libraries_say_is_not_repeated(name: str, lines: io.StringIO) -> None:
    logging.getLogger(name).warning("value %s is wrong", NAME)
    logging.getLogger(name).warning(f"value {NAME} is wrong")
    assert NAME not in lines.getvalue()


def test_a_line_carries_the_requests_number(lines: io.StringIO) -> None:
    mark = request_id.set("abc123")
    logging.getLogger("radiolucent").warning("x")
    request_id.reset(mark)
    assert told(lines)["request_id"] == "abc123"


def test_the_servers_access_log_is_silent() -> None:
    kept = logging.getLogger().handlers[:]
    stream = io.StringIO()
    try:
        configure(stream)
        logging.getLogger("uvicorn.access").info('"GET /api/v1/cases?q=%s"', NAME)
        logging.getLogger("uvicorn.error").info("started")
    finally:
        logging.getLogger().handlers[:] = kept
    assert NAME not in stream.getvalue() and "started" in stream.getvalue()
