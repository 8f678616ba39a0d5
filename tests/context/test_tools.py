"""Tools and the tool choice of a request, docs/protocol.md 3.6."""

from __future__ import annotations

from typing import Any, TypeAlias, get_args

import pytest

from realtime.context.client_tools import CLIENT_TOOLS, Kind
from realtime.context.request_tools import tool_set
from realtime.context.tool_definitions import HIDDEN
from realtime.context.tools import Grammar, Held, McpOrigin, Mode, Tool, ToolSet
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.limits import DEFAULT

Json: TypeAlias = dict[str, Any]

F: Json = {
    "type": "function",
    "name": "f",
    "description": "d",
    "parameters": {"type": "object", "properties": {"x": {}}},
}
G: Json = {"type": "function", "name": "g", "strict": True}
C: Json = {"type": "custom", "name": "c", "description": "free"}
LARK: Json = {"type": "custom", "name": "l", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}}
REGEX: Json = {"type": "custom", "name": "r", "format": {"type": "grammar", "syntax": "regex", "definition": "[a-z]+"}}
HOME: Json = {
    "type": "namespace",
    "name": "home",
    "tools": [F, {"type": "custom", "name": "say"}, {"type": "web_search"}],
}
WEB: Json = {"type": "web_search", "external_web_access": True}
ALL = [F, G, C, LARK, REGEX, HOME, WEB]


def offered(tools: list[dict[str, Any]] | None = None, choice: Any = None, parallel: bool | None = None) -> ToolSet:
    """What the model is shown."""
    return tool_set(ALL if tools is None else tools, choice, parallel)


def names(tools: ToolSet) -> list[str]:
    """As the model sees them."""
    return [tool.shown_as for tool in tools.tools]


def test_every_kind_of_tool_becomes_a_function() -> None:
    tools = offered()
    assert names(tools) == ["f", "g", "c", "l", "r", "home__f", "home__say"]
    f, g, c, lark, regex, home_f, say = tools.tools
    assert (f.description, f.parameters, f.strict, f.custom) == ("d", F["parameters"], None, False)
    assert (g.parameters, g.strict) == ({"type": "object", "properties": {}}, True)
    assert (c.custom, c.held, c.grammar, c.parameters["required"]) == (True, Held.ALWAYS, None, ["input"])
    assert lark.grammar == Grammar("lark", "start: X")
    assert regex.grammar == Grammar("regex", "[a-z]+")
    assert (home_f.name, home_f.namespace) == ("f", "home")
    assert (say.name, say.namespace, say.custom) == ("say", "home", True)


def test_a_definition_in_the_form_of_chat_completions_is_understood() -> None:
    (tool,) = offered([{"type": "function", "function": {"name": "f", "description": "d", "strict": True}}]).tools
    assert (tool.name, tool.description, tool.strict) == ("f", "d", True)


@pytest.mark.parametrize("kind", sorted(HIDDEN))
def test_a_hosted_tool_is_accepted_and_hidden(kind: str) -> None:
    assert names(offered([{"type": kind, "whatever": [1]}, F])) == ["f"]


@pytest.mark.parametrize("kind", ["local_shell", "shell", "apply_patch"])
def test_a_tool_that_the_client_runs_is_shown_as_a_function_of_its_types_name(kind: Kind) -> None:
    (tool,) = offered([{"type": kind, "environment": {"type": "local"}}]).tools
    assert (tool.name, tool.shown_as, tool.kind, tool.custom, tool.held) == (kind, kind, kind, False, Held.ALWAYS)
    assert (tool.description, tool.parameters) == (CLIENT_TOOLS[kind].description, CLIENT_TOOLS[kind].parameters)


SEARCH = {"type": "tool_search", "execution": "client"}
DEFERRED = {"type": "function", "name": "later", "defer_loading": True}
NAMESPACE = {"type": "namespace", "name": "n", "tools": [DEFERRED, F]}


def test_a_search_of_the_clients_is_shown_with_what_the_client_says_of_it() -> None:
    (tool,) = offered([SEARCH]).tools
    assert (tool.kind, tool.held, tool.parameters["required"]) == ("tool_search", Held.ALWAYS, ["query"])
    (own,) = offered([{**SEARCH, "description": "d", "parameters": F["parameters"]}]).tools
    assert (own.description, own.parameters, own.strict) == ("d", F["parameters"], False)


def test_deferred_tools_are_unknown_to_the_model_where_the_client_searches_and_else_there_from_the_start() -> None:
    assert names(offered([SEARCH, DEFERRED, NAMESPACE])) == ["tool_search", "n__f"]
    for other in ({"type": "tool_search"}, {"type": "tool_search", "execution": "server"}):
        assert names(offered([other, DEFERRED, NAMESPACE])) == ["later", "n__later", "n__f"]


def test_tools_that_came_with_items_are_offered_too_and_the_newest_of_a_name_holds() -> None:
    more: list[tuple[str, list[Json]]] = [
        ("input[0].tools", [DEFERRED, {"type": "shell"}]),
        ("input[1].tools", [{**F, "description": "new"}, WEB]),
    ]
    found = tool_set([SEARCH, F, DEFERRED], None, None, more)
    assert names(found) == ["tool_search", "f", "later", "shell"]
    assert [tool.description for tool in found.tools if tool.name == "f"] == ["new"]
    assert tool_set([], {"type": "function", "name": "later"}, None, more).only is not None
    with pytest.raises(WireError) as caught:
        tool_set([], None, None, [("input[3].tools", [F, {"type": "nope"}])])
    assert caught.value.param == "input[3].tools[1].type"
    many = [{"type": "function", "name": f"f{n}"} for n in range(DEFAULT.max_tools)]
    assert len(tool_set([], None, None, [("x", many), ("y", many)]).tools) == DEFAULT.max_tools
    brought: list[tuple[str, list[Json]]]
    for brought in ([("y", [*many, SEARCH])], [("x", many), ("y", [F])]):
        with pytest.raises(WireError, match="more tools than the 1024") as caught:
            tool_set([], None, None, brought)
        assert caught.value.param == "y"


@pytest.mark.parametrize("kind", ["local_shell", "shell", "apply_patch", "tool_search"])
def test_a_tool_that_the_client_runs_can_be_chosen(kind: Kind) -> None:
    tools = [F, {"type": kind, "execution": "client"}]
    found = offered(tools, {"type": kind})
    assert (found.mode, found.only and found.only.kind) == (Mode.REQUIRED, kind)
    assert offered(tools, {"type": "function", "name": kind}).only == found.only
    assert names(offered(tools, {"type": "allowed_tools", "tools": [{"type": kind}]})) == [kind]
    with pytest.raises(WireError, match=f"no tool named '{kind}'"):
        offered([F], {"type": kind})


def test_hidden_tools_among_the_allowed_ones_are_passed_over() -> None:
    allowed = [{"type": "web_search"}, {"type": "mcp", "server_label": "s"}, {"type": "function", "name": "f"}]
    assert names(offered(choice={"type": "allowed_tools", "tools": allowed})) == ["f"]


@pytest.mark.parametrize("kind", sorted(HIDDEN))
def test_a_hidden_tool_can_not_be_chosen(kind: str) -> None:
    with pytest.raises(WireError, match=f"does not run tools of type '{kind}'") as caught:
        offered([F, {"type": kind}], {"type": kind})
    assert caught.value.param == "tool_choice.type"


@pytest.mark.parametrize("name", ["f", "A_z-0.9:/x", "-", "n" * 128])
def test_names_that_models_and_clients_can_say(name: str) -> None:
    for kind in ("function", "custom"):
        assert names(offered([{"type": kind, "name": name}])) == [name]


@pytest.mark.parametrize("name", ["", "n" * 129, "a b", "f\n", "é", "<|end|>", "a\u2028", 'a"'])
@pytest.mark.parametrize("kind", ["function", "custom"])
def test_other_names_are_refused_wherever_the_tool_comes_from(kind: str, name: str) -> None:
    tool, more = {"type": kind, "name": name}, {"type": "namespace", "name": "n", "tools": [G]}
    for tools, brought, param in (
        ([F, tool], [], "tools[1].name"),
        ([{**more, "tools": [G, tool]}], [], "tools[0].tools[1].name"),
        ([F], [("input[2].tools", [tool])], "input[2].tools[0].name"),
    ):
        with pytest.raises(WireError, match="1 to 128 characters") as caught:
            tool_set(tools, None, None, brought)
        assert (caught.value.code, caught.value.param) == (ErrorCode.INVALID_REQUEST, param)


@pytest.mark.parametrize("name", ["", "a b", "a\n", 'a"b', "<|x|>", "é", "x" * 129])
def test_names_of_namespaces_are_as_those_of_tools(name: str) -> None:
    space = {"type": "namespace", "name": name, "tools": [G]}
    for tools, brought, param in (
        ([F, space], [], "tools[1].name"),
        ([], [("input[2].tools", [space])], "input[2].tools[0].name"),
    ):
        with pytest.raises(WireError, match="1 to 128 characters") as caught:
            tool_set(tools, None, None, brought)
        assert (caught.value.code, caught.value.param) == (ErrorCode.INVALID_REQUEST, param)


def test_a_name_and_its_namespace_are_together_what_every_family_can_write() -> None:
    long = {"type": "function", "name": "x" * 98}
    assert len(names(tool_set([{"type": "namespace", "name": "n" * 100, "tools": [long]}], None, None))[0]) == 200
    with pytest.raises(WireError, match="at most 200 characters") as caught:
        tool_set([{"type": "namespace", "name": "n" * 101, "tools": [G, long]}], None, None)
    assert caught.value.param == "tools[0].tools[1].name"


def test_what_an_mcp_server_lists_may_have_any_name() -> None:
    assert names(tool_set([], None, None, mcp=[mcp("a b é")])) == ["a b é"]


def mcp(name: str, label: str = "s", shown_as: str | None = None) -> Tool:
    return Tool(
        name=name,
        shown_as=shown_as or name,
        parameters={"type": "object"},
        strict=False,
        mcp=McpOrigin(label, needs_approval=False),
    )


@pytest.mark.parametrize(
    ("tools", "shown"),
    [
        ([mcp("a"), mcp("b")], ["f", "a", "b"]),
        ([mcp("f")], ["f", "s__f"]),
        ([mcp("a", "s"), mcp("a", "t")], ["f", "s__a", "t__a"]),
        ([mcp("a"), mcp("a")], ["f", "s__a", "s__a_"]),  # a server that lists a name twice
        ([mcp("a b", shown_as="a_b"), mcp("a_b")], ["f", "s__a_b", "s__a_b_"]),
    ],
)
def test_mcp_tools_have_their_own_names_where_nothing_else_has_them(tools: list[Tool], shown: list[str]) -> None:
    assert [tool.shown_as for tool in tool_set([F], None, None, mcp=tools).tools] == shown


def test_mcp_tools_can_be_chosen_and_allowed() -> None:
    tools = [mcp("a"), mcp("b"), mcp("c", "t")]
    one = tool_set([F], {"type": "mcp", "server_label": "s", "name": "b"}, None, mcp=tools)
    assert (one.mode, one.only) == (Mode.REQUIRED, one.find("b"))
    server = tool_set([F], {"type": "mcp", "server_label": "s"}, None, mcp=tools)
    assert (server.mode, names(server)) == (Mode.REQUIRED, ["a", "b"])
    allowed = [{"type": "mcp", "server_label": "t"}, {"type": "mcp", "server_label": "s", "name": "a"}]
    some = tool_set([F], {"type": "allowed_tools", "mode": "auto", "tools": allowed}, None, mcp=tools)
    assert (some.mode, names(some)) == (Mode.AUTO, ["a", "c"])


@pytest.mark.parametrize("where", ["input[0].tools", "previous_response_id"])
def test_mcp_servers_do_not_come_with_items(where: str) -> None:
    with pytest.raises(WireError, match="in the request's `tools` only"):
        tool_set([F], None, None, [(where, [{"type": "mcp", "server_label": "s"}])])


def test_every_type_of_tool_of_the_sdk_is_known() -> None:
    from openai.types.responses import Tool  # half a second

    for model in get_args(get_args(Tool)[0]):
        for kind in get_args(model.model_fields["type"].annotation):
            offered([{"type": kind, "name": "x", "tools": []}])  # would raise


@pytest.mark.parametrize("tool", offered().tools, ids=lambda tool: tool.shown_as)
def test_there_is_a_way_back_from_the_name_that_the_model_sees(tool: Any) -> None:
    assert offered().find(tool.shown_as) is tool or offered().find(tool.shown_as) == tool


def test_a_name_that_is_not_offered_is_not_found() -> None:
    assert offered().find("home") is None


@pytest.mark.parametrize("tools", [None, [], [WEB]])
def test_without_tools_there_is_nothing_to_call(tools: Any) -> None:
    found = tool_set(tools, None, None)
    assert (found.tools, found.mode, found.only) == ((), Mode.AUTO, None)


CHOICES: list[tuple[Any, Mode, str | None, list[str] | None]] = [
    (None, Mode.AUTO, None, None),
    ("auto", Mode.AUTO, None, None),
    ("none", Mode.NONE, None, None),
    ("required", Mode.REQUIRED, None, None),
    ({"type": "function", "name": "f"}, Mode.REQUIRED, "f", None),
    ({"type": "function", "name": "home__f"}, Mode.REQUIRED, "home__f", None),
    ({"type": "function", "name": "f", "namespace": "home"}, Mode.REQUIRED, "home__f", None),
    ({"type": "function", "function": {"name": "g"}}, Mode.REQUIRED, "g", None),
    ({"type": "custom", "name": "c"}, Mode.REQUIRED, "c", None),
    ({"type": "custom", "name": "say"}, Mode.REQUIRED, "home__say", None),
    ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "g"}]}, Mode.AUTO, None, ["g"]),
    (
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}, C]},
        Mode.REQUIRED, None, ["f", "c"],
    ),
    ({"type": "allowed_tools", "tools": []}, Mode.AUTO, None, []),
]  # fmt: skip


@pytest.mark.parametrize(("choice", "mode", "only", "shown"), CHOICES)
def test_every_form_of_tool_choice(choice: Any, mode: Mode, only: str | None, shown: list[str] | None) -> None:
    found = offered(choice=choice)
    assert found.mode is mode
    assert (found.only.shown_as if found.only else None) == only
    assert names(found) == (names(offered()) if shown is None else shown)


@pytest.mark.parametrize(("asked", "parallel"), [(None, True), (True, True), (False, False)])
def test_calls_are_parallel_unless_forbidden(asked: bool | None, parallel: bool) -> None:
    assert offered(parallel=asked).parallel is parallel


def test_one_tool_with_a_grammar_that_is_required_is_the_one_that_must_be_called() -> None:
    assert offered([LARK, WEB], "required").only == offered([LARK]).tools[0]
    assert offered([F, WEB], "required").only is None  # it may be called more than once


REFUSED: list[tuple[list[dict[str, Any]], Any, str, str]] = [
    ([{"type": "nope"}], None, "tools[0].type", "'nope' is not supported"),
    ([{}], None, "tools[0].type", "not supported"),
    ([F, {"type": "function"}], None, "tools[1]", "name"),
    ([{"type": "function", "name": 1}], None, "tools[0]", "name"),
    ([{"type": "function", "name": "f", "parameters": []}], None, "tools[0]", "parameters"),
    ([{"type": "namespace", "name": "n", "tools": [F, {"type": "nope"}]}], None, "tools[0].tools[1].type", "nope"),
    ([{"type": "namespace", "name": "n", "tools": [HOME]}], None, "tools[0].tools[0].type", "namespace"),
    ([{"type": "custom", "name": "c", "format": {"type": "grammar"}}], None, "tools[0].format", "syntax"),
    ([{"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "ebnf"}}], None, "tools[0]", "ebnf"),
    (
        [{**LARK, "format": {"type": "grammar", "syntax": "lark", "definition": "x" * 32_769}}],
        None,
        "tools[0].format.definition",
        "at most 32768",
    ),
    ([F, F], None, "tools", "'f' is given to more than one tool"),
    ([HOME, {"type": "function", "name": "home__f"}], None, "tools", "home__f"),
    ([{"type": "function", "name": f"f{n}"} for n in range(DEFAULT.max_tools + 1)], None, "tools", "the 1024 that"),
    ([{"type": "shell"}, {"type": "function", "name": "shell"}], None, "tools", "'shell' is given"),
    ([{"type": "tool_search", "execution": "moon"}], None, "tools[0]", "moon"),
    ([{**SEARCH, "parameters": {"properties": 7}}], None, "tools[0].parameters.properties", "object"),
    ([{"type": "namespace", "name": "n", "tools": [{"type": "shell"}]}], None, "tools[0].tools[0].type", "shell"),
    ([F], "maybe", "tool_choice", "must be"),
    ([WEB], "required", "tool_choice", "no tool"),
    ([F], {"type": "function", "name": "g"}, "tool_choice", "'g'"),
    ([F], {"type": "function"}, "tool_choice", "no tool"),
    ([F], {"type": "function", "name": "f", "namespace": "home"}, "tool_choice", "'f'"),
    ([F], {"name": "f"}, "tool_choice", "type"),
    ([F], {"type": "mcp", "name": "f"}, "tool_choice.server_label", "mcp"),
    ([F], {"type": "mcp", "server_label": "s"}, "tool_choice", "MCP server 's'"),
    ([F], {"type": "allowed_tools", "mode": "none", "tools": []}, "tool_choice", "none"),
    ([F], {"type": "allowed_tools", "tools": [{"type": "function", "name": "g"}]}, "tool_choice", "'g'"),
    ([F], {"type": "allowed_tools", "mode": "required", "tools": []}, "tool_choice", "no tool"),
]


@pytest.mark.parametrize(("tools", "choice", "param", "reason"), REFUSED)
def test_what_is_refused_is_named_by_its_path(
    tools: list[dict[str, Any]], choice: Any, param: str, reason: str
) -> None:
    with pytest.raises(WireError) as caught:
        tool_set(tools, choice, None)
    assert caught.value.code is ErrorCode.INVALID_REQUEST
    assert caught.value.param == param
    assert reason in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(("definition", "held"), [("[a-z]+", True), ('"[a-z]+"', False), (r"a\nb", False)])
def test_a_regex_is_a_pattern_of_the_input_where_json_does_not_escape_it(definition: str, held: bool) -> None:
    form = {"type": "grammar", "syntax": "regex", "definition": definition}
    (tool,) = offered([{"type": "custom", "name": "r", "format": form}]).tools
    assert tool.parameters["properties"]["input"].get("pattern") == (definition if held else None)


MANY_GROUPS: Json = {"type": "object", "properties": {"x": {"type": "string", "pattern": "(" * 99 + "a" + ")" * 99}}}
LOOSE: Json = {"type": "function", "name": "loose", "parameters": MANY_GROUPS}
MCP = Tool(
    name="m", shown_as="m", parameters=MANY_GROUPS, mcp=McpOrigin("s", needs_approval=False), path="s.m.input_schema"
)


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [
        ([F, {**LOOSE, "strict": True}], None, "tools[1].parameters"),
        ([F, LOOSE], "required", "tools[1].parameters"),
        ([F, LOOSE], {"type": "function", "name": "loose"}, "tools[1].parameters"),
        ([F, {"type": "tool_search", "execution": "client", "parameters": MANY_GROUPS}], "required", "tools[1].param"),
        ([F], {"type": "mcp", "server_label": "s"}, "s.m.input_schema"),
        ([F, LOOSE], None, None),
        ([F, LOOSE], {"type": "function", "name": "f"}, None),
        ([F, {**LOOSE, "strict": True}], {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]}, None),
    ],
)  # fmt: skip
def test_parameters_are_bounded_where_sampling_is_held_to_them(
    tools: list[dict[str, Any]], choice: Any, param: str | None
) -> None:
    if param is None:
        tool_set(tools, choice, None, mcp=[MCP])
        return
    with pytest.raises(WireError, match="levels of groups in a `pattern`") as caught:
        tool_set(tools, choice, None, mcp=[MCP])
    assert (caught.value.param or "").startswith(param)
