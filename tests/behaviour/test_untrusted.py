"""Requests that once did harm: each must cost nobody but its sender."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.dialects.chat import ChatDialect
from realtime.engine.scripted import say
from realtime.service.service import Service
from tests.support.server import running

LOOP = "{% for i in range(1000) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("variables", "param"),
    [
        ({"chat_template": LOOP}, "chat_template_kwargs.chat_template"),
        ({"tools": "x"}, "chat_template_kwargs.tools"),
        ({"tokenize": True}, "chat_template_kwargs.tokenize"),
        ({"return_dict": True}, "chat_template_kwargs.return_dict"),
        ({"a": {"deep": [1]}}, "chat_template_kwargs[...]"),
        ({"a": 2**64}, "chat_template_kwargs[...]"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_request_sets_template_variables_and_nothing_else(variables: dict[str, Any], param: str) -> None:
    async with running(say("x")) as server, server.client() as client:
        (refusal,) = await client.create(chat_template_kwargs=variables)
        assert (refusal["error"]["code"], refusal["error"]["param"]) == ("invalid_request", param)
        assert (await client.create(chat_template_kwargs={"a": 1, "b": "x"}))[-1]["type"] == "response.completed"


async def test_a_tool_of_a_nonsensical_type_is_refused_and_its_lane_goes_on() -> None:
    async with running(say("x")) as server, server.client() as client:
        await client.send("response.create", input="a")
        await client.send("response.create", input="b", tools=[{"type": [1]}])
        await client.send("response.create", input="c")
        last = [(await client.until_done())[-1] for _ in range(3)]
    assert [event["type"] for event in last] == ["response.completed", "error", "response.completed"]
    assert last[1]["error"]["param"] == "tools[0].type"


async def test_a_bug_in_the_service_is_answered_and_holds_no_lane(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    create = Service.create

    def broken(self: Service, principal: Any, request: Any, *rest: Any, **named: Any) -> Any:
        if request.metadata:
            raise RuntimeError("a bug of ours")
        return create(self, principal, request, *rest, **named)

    monkeypatch.setattr(Service, "create", broken)
    async with running(say("x")) as server, server.client() as client:
        await client.send("response.create", input="a")
        await client.send("response.create", input="b", metadata={"a": "b"})
        await client.send("response.create", input="c")
        last = [(await client.until_done())[-1] for _ in range(3)]
    assert [event["type"] for event in last] == ["response.completed", "error", "response.completed"]
    assert last[1]["error"]["code"] == "server_error"
    assert "bug" not in last[1]["error"]["message"]
    assert "a bug of ours" in caplog.text
    caplog.clear()


async def test_truncation_of_a_long_history_takes_few_renderings(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = []
    render = ChatDialect.render

    def counted(self: ChatDialect, request: Any, tools: Any, items: Any, *rest: Any) -> Any:
        rendered.append(len(items))
        return render(self, request, tools, items, *rest)

    monkeypatch.setattr(ChatDialect, "render", counted)
    history = [{"role": "user", "content": f"number {n:04}"} for n in range(1000)]
    async with running(say("x"), max_model_len=2000) as server, server.client() as client:
        await client.send("response.create", input=history, truncation="auto")
        final = (await client.until_done())[-1]["response"]
    assert max(rendered) <= 2 * max(rendered[-2:]), "none is much larger than what fits"
    assert len(rendered) <= 12
    assert final["status"] == "completed"
    # As much as fits beside the room that an answer is given.
    kept = final["usage"]["input_tokens"]
    assert kept <= 2000 - 256 < kept + kept // 10
