"""The types of the Python client are those of the server's own document."""

from __future__ import annotations

import json

from realtime.server.app import build_document
from scripts.python_types import WIRE, render


def test_the_types_are_what_the_server_says() -> None:
    generated = render(json.loads(build_document()))
    assert generated == WIRE.read_text("utf-8"), "realtime_client/wire.py is behind the code: run `make docs`"


def test_every_event_of_a_response_names_it() -> None:
    generated = render(json.loads(build_document()))
    delta = generated.partition("class OutputTextDelta(TypedDict):")[2].partition("\n\n\n")[0]
    assert 'type: Literal["response.output_text.delta"]' in delta
    assert "    response_id: str\n" in delta
