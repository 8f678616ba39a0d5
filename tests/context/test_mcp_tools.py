"""Which MCP servers a request may use, with what it sends them, and which tools the model gets of them."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.context.mcp_tools import MAX_HEADERS, MAX_SERVERS, ServerUse, servers_of
from realtime.settings.fields import McpServer, McpSettings
from realtime.wire.errors import WireError
from realtime.wire.items import McpTool

SETTINGS = McpSettings(
    mcp_servers={
        "one": McpServer(url="https://one.test/mcp", require_approval="never"),
        "base": McpServer(url="https://base.test/", prefix=True),
        "below": McpServer(url="https://base.test/deep", prefix=True, require_approval="never"),
    }
)


def use(settings: McpSettings = SETTINGS, **members: Any) -> ServerUse:
    (found,) = servers_of([{"type": "mcp", "server_label": "one", **members}], settings)
    return found


def test_a_server_is_named_by_its_name_in_the_table_or_by_its_url() -> None:
    assert use().url == "https://one.test/mcp"
    named = use(server_label="other", server_url="https://one.test/mcp", server_description="words")
    assert (named.label, named.server, named.description) == ("other", SETTINGS.mcp_servers["one"], "words")
    assert servers_of(None, SETTINGS) == servers_of([{"type": "function", "name": "f"}], SETTINGS) == ()


def test_of_prefixes_the_longest_counts() -> None:
    assert use(server_url="https://base.test/a/b").server is SETTINGS.mcp_servers["base"]
    assert use(server_url="https://base.test/deep/b").server is SETTINGS.mcp_servers["below"]
    assert use(server_url="https://base.test/deeper").server is SETTINGS.mcp_servers["base"]


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown": ({"server_label": "two"}, "server_url", "named 'two'"),
    "elsewhere": ({"server_url": "https://elsewhere.test/mcp"}, "server_url", "not allowed"),
    "below one that is no prefix": ({"server_url": "https://one.test/mcp/x"}, "server_url", "not allowed"),
    "climbing": ({"server_url": "https://base.test/deep/../x"}, "server_url", "not allowed"),
    "climbing in disguise": ({"server_url": "https://base.test/%2E%2e/x"}, "server_url", "not allowed"),
    "another host": ({"server_url": "https://base.test/@evil.test"}, "server_url", "not allowed"),
    "a label with a space": ({"server_label": "a b"}, "server_label", "letter"),
    "a long label": ({"server_label": "a" * 65}, "server_label", "letter"),
    "a connector": ({"connector_id": "connector_x"}, "connector_id", "server_url"),
    "a tunnel": ({"tunnel_id": "t"}, "tunnel_id", "server_url"),
    "a header of the connection's": ({"headers": {"Content-Length": "1"}}, "headers", "Content-Length"),
    "a header of the protocol's": ({"headers": {"Mcp-Session-Id": "1"}}, "headers", "Mcp-Session-Id"),
    "a header's name": ({"headers": {"a b": "1"}}, "headers", "can't be set"),
    "a header's value": ({"headers": {"X": "a\nb"}}, "headers", "printable"),
    "many headers": ({"headers": {f"X{n}": "" for n in range(MAX_HEADERS + 1)}}, "headers", "at most 64"),
    "a token": ({"authorization": "\u00e9"}, "authorization", "printable"),
    "members of another type": ({"allowed_tools": 1}, "", "allowed_tools"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    members, param, words = REFUSED[name]
    with pytest.raises(WireError) as caught:
        servers_of([{"type": "web_search"}, {"type": "mcp", "server_label": "one", **members}], SETTINGS)
    assert caught.value.param == (f"tools[1].{param}" if param else "tools[1]")
    assert words in caught.value.message


def test_without_a_table_mcp_is_off() -> None:
    with pytest.raises(WireError, match="MCP is off"):
        use(McpSettings())


def test_a_label_stands_for_one_server_and_there_are_not_too_many() -> None:
    with pytest.raises(WireError, match="more than one") as caught:
        servers_of([{"type": "mcp", "server_label": "one"}] * 2, SETTINGS)
    assert caught.value.param == "tools[1].server_label"
    many = [{"type": "mcp", "server_label": f"s{n}", "server_url": "https://base.test/"} for n in range(MAX_SERVERS)]
    assert len(servers_of(many, SETTINGS)) == MAX_SERVERS
    with pytest.raises(WireError, match="at most 32"):
        servers_of([*many, {"type": "mcp", "server_label": "one"}], SETTINGS)


READS = McpTool(name="reads", input_schema={}, annotations={"readOnlyHint": True})
WRITES = McpTool(name="writes", input_schema={}, annotations={"readOnlyHint": False})
PLAIN = McpTool(name="plain", input_schema={})
ALL = [READS, WRITES, PLAIN]

OFFERED: list[tuple[Any, list[McpTool]]] = [
    (None, ALL),
    ([], []),
    (["plain", "unknown"], [PLAIN]),
    ({"tool_names": ["reads", "writes"]}, [READS, WRITES]),
    ({"read_only": True}, [READS]),
    ({"read_only": False}, [WRITES, PLAIN]),
    ({"tool_names": ["writes"], "read_only": True}, []),
]


@pytest.mark.parametrize(("allowed", "offered"), OFFERED)
def test_the_tools_that_the_model_gets(allowed: Any, offered: list[McpTool]) -> None:
    assert [tool.name for tool in use(allowed_tools=allowed).offer(ALL)] == [tool.name for tool in offered]


ASKED: list[tuple[Any, list[McpTool]]] = [
    (None, []),  # as the operator has it for this server
    ("always", ALL),
    ("never", []),
    ({}, ALL),
    ({"never": {"read_only": True}}, [WRITES, PLAIN]),
    ({"always": {"tool_names": ["writes"]}}, ALL),
    ({"always": {"tool_names": ["reads"]}, "never": {"read_only": True}}, ALL),
    ({"always": {"tool_names": ["writes"]}, "never": {"tool_names": ["reads", "writes"]}}, [WRITES, PLAIN]),
]


@pytest.mark.parametrize(("approval", "asked"), ASKED)
def test_the_calls_that_the_user_has_to_allow(approval: Any, asked: list[McpTool]) -> None:
    used = use(require_approval=approval)
    assert [tool for tool in ALL if used.needs_approval(tool)] == asked
    assert [tool.name for tool in used.offer(ALL) if tool.mcp and tool.mcp.needs_approval] == [t.name for t in asked]


def test_names_and_schemas_are_ones_that_a_model_can_be_given() -> None:
    named = McpTool(name="a b/c" + "x" * 200, input_schema={"properties": {"p": {}}}, description="does")
    schemas: list[Any] = ["none", {"properties": []}]
    odd = [McpTool(name="odd", input_schema=schema) for schema in schemas]
    first, *others = use().offer([named, *odd])
    assert (first.name, first.shown_as) == (named.name, ("a_b_c" + "x" * 200)[:128])
    assert first.parameters == {"type": "object", "properties": {"p": {}}}
    assert [tool.parameters for tool in others] == [{"type": "object", "properties": {}}] * 2
    assert (first.description, others[0].description) == ("does", None)
