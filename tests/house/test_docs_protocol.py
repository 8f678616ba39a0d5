"""docs/protocol.md lists exactly the errors and events that the code has."""

from __future__ import annotations

from pathlib import Path

from realtime.context.client_tools import CLIENT_TOOLS
from realtime.context.tools import HIDDEN
from realtime.wire import requests
from realtime.wire.bounds import Bound
from realtime.wire.errors import ErrorCode
from realtime.wire.items import ITEM_TYPES
from realtime.wire.limits import DEFAULT

TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


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


def section(begin: str, end: str) -> str:
    return TEXT.split(begin)[1].split(end)[0]


def test_every_item_has_a_row() -> None:
    table = section("**3.8 Items.**", "**3.9 ")
    assert [kind for kind in [*ITEM_TYPES, "program", "program_output"] if f"`{kind}`" not in table] == []


def test_every_tool_has_a_row() -> None:
    table = section("**3.6 Tools.**", "**3.7")
    dated = {kind for kind in HIDDEN if kind[-1].isdigit()}  # `web_search_2025_08_26`
    assert [kind for kind in {*HIDDEN, *CLIENT_TOOLS} - dated if f"`{kind}`" not in table] == []


def test_every_member_of_a_create_has_a_row() -> None:
    table = section("**3.1", "**3.2")
    known = set(requests.ResponseCreate.__struct_fields__) - {"event_id", "response", "items", "unknown", "num_before"}
    assert {name for name in known if f"`{name}`" not in table and f"`{name}." not in table} == set()


def test_the_bounds_are_those_of_the_code() -> None:
    rows = TEXT.split("<!-- bounds -->")[1].split("<!-- /bounds -->")[0].strip().splitlines()[2:]
    assert rows == [f"| {bound.value.what} | {bound.limit(DEFAULT):,} | `{bound.value.setting}` |" for bound in Bound]
