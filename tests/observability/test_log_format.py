"""The log's two forms, and that no form lets a credential through."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from realtime.observability import lines
from realtime.observability.log_format import formatter
from realtime.server.scrubbing import ScrubbingFormatter

KEY = "rt_" + "a1B2" * 11


def record(said: str, /, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("realtime.x", logging.INFO, "x.py", 1, said, arguments, None)
    made.__dict__.update(extra)
    return made


def as_json(made: logging.LogRecord) -> dict[str, Any]:
    line = ScrubbingFormatter(formatter("json")).format(made)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def test_any_message_is_one_object_a_line() -> None:
    line = as_json(record('said "%s"\n', "x"))
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "info", "logger": "realtime.x", "message": 'said "x"\n'}


def test_members_are_members() -> None:
    line = as_json(record("over a=1", text="over", members={"a": 1, "level": "no", "seconds": 0.5}))
    assert (line["message"], line["a"], line["seconds"], line["level"]) == ("over", 1, 0.5, "info")


def test_a_traceback_is_in_it() -> None:
    made = record("failed")
    try:
        raise ValueError("why")
    except ValueError as error:
        made.exc_info = (ValueError, error, error.__traceback__)
    assert "ValueError: why" in as_json(made)["exception"]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_credentials_are_scrubbed_in_either_form(log_format: str) -> None:
    scrubbing = ScrubbingFormatter(formatter(log_format))
    for made in (
        record(f"authorization: Bearer {KEY}"),
        record("x", text="x", members={"api_key": KEY, "header": f"Bearer {KEY}"}),
    ):
        assert KEY not in scrubbing.format(made)


def test_a_line_is_the_same_in_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        lines.connection_closed("sess_1", "native", "ada", 1000, 1.5, 2)
    assert caplog.messages == [
        "connection closed session=sess_1 profile=native tenant=ada code=1000 seconds=1.5 responses=2"
    ]
