"""No secret gets into the log."""

from __future__ import annotations

import io
import logging

import pytest

from realtime.server.scrubbing import ScrubbingFormatter, scrub, scrub_handlers

SECRET = "rt_" + "aB3-_" * 8 + "xyz"


@pytest.mark.parametrize(
    "line",
    [
        f"GET /v1/responses?api_key={SECRET} HTTP/1.1",
        "GET /v1/responses?model=m&key=hunter2-hunter2&x=1 HTTP/1.1",
        "GET /v1/responses?access_token=hunter2-hunter2",
        "Authorization: Bearer hunter2-hunter2",
        "authorization: basic hunter2-hunter2",
        "b'api-key', b'hunter2-hunter2'",
        "api-key: hunter2-hunter2",
        "{'api-key': 'hunter2-hunter2'}",
        "sec-websocket-protocol: realtime, openai-insecure-api-key.hunter2-hunter2",
        "subprotocols=['realtime', 'openai-insecure-api-key.hunter2-hunter2']",
        f"no context at all {SECRET}",
        "sk-proj-abcdefghijklmnopqrstuvwxyz",
        "ek_abcdefghijklmnopqrstuvwxyz",
    ],
)
def test_scrub_leaves_no_secret(line: str) -> None:
    scrubbed = scrub(line)
    assert "***" in scrubbed
    for part in ("hunter2", SECRET, SECRET[3:], "abcdefghijklm"):
        assert part not in scrubbed


@pytest.mark.parametrize(
    "line",
    [
        '127.0.0.1:5000 - "WebSocket /v1/responses?model=starter" [accepted]',
        "response_id=resp_0123456789abcdef0123456789abcdef tokens=12",
        "the key word is not a secret, nor is a bearer",
        "risk_assessment_of_something_long start_of_everything_else",
        "GET /v1/responses?model=m&monkey=5",
    ],
)
def test_scrub_leaves_the_rest_alone(line: str) -> None:
    assert scrub(line) == line


def test_scrubbing_formatter_covers_arguments_and_tracebacks() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    scrub_handlers([handler])
    once = handler.formatter
    scrub_handlers([handler])
    assert isinstance(once, ScrubbingFormatter)
    assert handler.formatter is once
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.info('%s - "%s"', "1.2.3.4", f"/v1/responses?key={SECRET}")
    try:
        raise ValueError(f"Bearer {SECRET}")
    except ValueError:
        logger.exception("failed")
    text = stream.getvalue()
    assert SECRET not in text
    assert text.startswith('INFO 1.2.3.4 - "/v1/responses?key=***"')
    assert "Traceback" in text
