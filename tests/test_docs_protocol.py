"""docs/protocol.md lists exactly the errors and events that the code has."""

from __future__ import annotations

from pathlib import Path

from realtime.wire import requests
from realtime.wire.errors import ErrorCode

TEXT = (Path(__file__).parents[1] / "docs" / "protocol.md").read_text()


def test_the_table_of_errors_is_the_registry() -> None:
    table = TEXT.split("<!-- errors -->")[1].split("<!-- /errors -->")[0].strip().splitlines()[2:]
    rows = [
        f"| `{e.value.code}` | {e.value.status} | {e.value.fault.value} | {'yes' if e.value.retry else 'no'} |"
        for e in ErrorCode
    ]
    assert table == rows


def test_every_client_event_has_a_section() -> None:
    for kind in requests.ClientEvent.__subclasses__():
        assert f"`{kind.__struct_config__.tag}`.**" in TEXT
