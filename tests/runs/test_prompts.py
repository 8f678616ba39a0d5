"""What the model is given: the history, shorter where that is asked for, rendered once and where it holds up nobody."""

from __future__ import annotations

import threading
from array import array
from typing import Any

import msgspec
import pytest

from realtime.context.tools import ToolSet, tool_set
from realtime.context.turns import Prompt, Turn
from realtime.dialects.base import RenderError
from realtime.dialects.chat import ChatDialect
from realtime.engine.pictures import read
from realtime.engine.scripted import say
from realtime.runs.prompts import Prompts, is_long, render
from realtime.runs.serving import Serving
from realtime.wire.items import InputImage, InputItem, InputText, Message
from realtime.wire.requests import TOKEN_IDS, ResponseCreate
from tests.support.jobs import make_request, make_serving, user
from tests.support.pictures import image
from tests.support.responses import make_response

NO_TOOLS = tool_set(None, None, None)
TOOLS = tool_set([{"type": "function", "name": "f", "parameters": {}}], None, None)


class Recording(ChatDialect):
    """The dialect, with a note of each rendering: what was said, after which turn, with how many tools, where."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.said: list[list[str]] = []
        self.parents: list[Turn | None] = []
        self.num_tools: list[int] = []
        self.threads: list[int] = []
        self.pictures: tuple[Any, ...] = ()

    def render(self, request: ResponseCreate, tools: ToolSet, items: Any, parent: Turn | None) -> Prompt:
        self.said.append([str(item.content) for item in items])
        self.parents.append(parent)
        self.num_tools.append(len(tools.tools))
        self.threads.append(threading.get_ident())
        prompt = super().render(request, tools, items, parent)
        return msgspec.structs.replace(prompt, pictures=self.pictures)


async def recording(**options: Any) -> tuple[Serving, Recording]:
    serving, engine = await make_serving(say(), **options)
    dialect = Recording(engine.loaded.tokenizer, engine.loaded.parsers)
    return msgspec.structs.replace(serving, dialect=dialect), dialect


def turn(*said: str, parent: Turn | None = None) -> Turn:
    asked, *answers = said
    output = tuple(Message(role="assistant", content=text) for text in answers)
    return Turn("resp_before", parent, (user(asked),), output)


def never() -> bool:
    return False


async def test_the_history_goes_before_the_request() -> None:
    serving, dialect = await recording()
    parent = turn("one", "two")
    prompts = Prompts(serving, make_request("three"), NO_TOOLS, parent)
    prompt = await prompts.render(None, never)
    assert dialect.said == [["one", "two", "three"]]
    assert dialect.parents == [parent], "for its tokens"
    assert prompts.prompt is prompt


async def test_what_was_measured_is_not_rendered_again_unless_it_has_changed() -> None:
    serving, dialect = await recording()
    prompts = Prompts(serving, make_request("one"), NO_TOOLS, None)
    measured = await prompts.measure()
    assert await prompts.render(None, never) is measured
    assert len(dialect.said) == 1
    await prompts.render([user("other")], never)
    assert dialect.said[1:] == [["other"]]
    prompts.next_generation(turn("x"), NO_TOOLS)
    await prompts.render(None, never)
    assert dialect.said[2:] == [["one"]]


async def test_a_next_generation_continues_what_was_said_with_the_tools_of_then() -> None:
    serving, dialect = await recording()
    prompts = Prompts(serving, make_request(), NO_TOOLS, turn("before"))
    latest = turn("latest")
    prompts.next_generation(latest, TOOLS)
    await prompts.render(None, never)
    assert (dialect.parents, dialect.num_tools) == ([latest], [1])


async def test_a_compaction_stands_for_everything_before_it() -> None:
    serving, dialect = await recording()
    prompts = Prompts(serving, make_request("three"), NO_TOOLS, turn("one", "two"))
    shorter: list[InputItem] = [user("all of it")]
    prompts.replace(shorter, measured := await prompts.render_compacted(shorter))
    assert (prompts.items, prompts.reaches_back) == (shorter, None)
    assert await prompts.render(None, never) is measured
    assert dialect.parents == [None], "the tokens of what was before are not those of what is left"


async def test_truncation_leaves_out_the_fewest_of_the_oldest_exchanges_that_help() -> None:
    chain: Turn | None = None
    for number in range(20):
        chain = turn(f"q{number} " + "x" * 50, f"a{number}", parent=chain)
    for window in range(500, 1500, 50):
        serving, dialect = await recording(max_model_len=window)
        request = make_request("newest", truncation="auto", max_output_tokens=100)
        prompts = Prompts(serving, request, NO_TOOLS, chain)
        prompt = await prompts.render(None, never)
        limit = window - 100
        assert prompt.num_tokens <= limit
        longest = max(num for num in map(_num_tokens, dialect.said) if num <= limit)
        assert prompt.num_tokens == longest
        kept = next(said for said in dialect.said if _num_tokens(said) == prompt.num_tokens)
        assert kept[-1] == "newest"
        first = int(kept[0].split()[0].removeprefix("q"))
        assert _num_tokens([f"q{first - 1} " + "x" * 50, f"a{first - 1}", *kept]) > limit, "one more would not fit"


def _num_tokens(said: list[str]) -> int:
    """As the scripted tokenizer has it: a byte is a token, and so is each mark around a message."""
    roles = [len("assistant") if text[0] == "a" else len("user") for text in said]
    return sum(len(text) + role + 4 for text, role in zip(said, roles, strict=True)) + len("assistant") + 2


async def test_nobody_searches_on_for_a_response_that_is_to_end() -> None:
    chain: Turn | None = None
    for number in range(20):
        chain = turn(f"q{number} " + "x" * 50, f"a{number}", parent=chain)
    serving, dialect = await recording(max_model_len=900)
    prompts = Prompts(serving, make_request("newest", truncation="auto"), NO_TOOLS, chain)
    await prompts.render(None, lambda: True)
    assert len(dialect.said) == 2, "the whole, and the least"


async def test_much_is_rendered_in_a_thread_and_little_at_once() -> None:
    serving, dialect = await recording(max_model_len=20_000)
    for text in ("short", "x" * 9000):
        request = make_request(text)
        assert is_long(request, NO_TOOLS, list(request.items)) == (len(text) > 100)
        await render(serving, request, NO_TOOLS, list(request.items), None)
    here = threading.get_ident()
    assert [thread == here for thread in dialect.threads] == [True, False]


async def test_an_error_of_the_template_comes_out_of_the_thread_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    serving, dialect = await recording()

    def fail(*_: Any, **__: Any) -> Prompt:
        raise RenderError("no such role")

    monkeypatch.setattr(dialect, "render", fail)
    for text in ("short", "x" * 9000):
        with pytest.raises(RenderError, match="no such role"):
            await Prompts(serving, make_request(text), NO_TOOLS, None).measure()


async def test_the_engine_looks_at_images() -> None:
    serving, dialect = await recording()
    dialect.pictures = (read(image("red", (20, 20)), 10_000),)
    prompt = await render(serving, request := make_request(), NO_TOOLS, list(request.items), None)
    assert prompt.seen is not None
    assert prompt.num_tokens == len(prompt.token_ids) + 4, "a token for each 100 pixels"


async def test_who_wants_to_see_token_ids_gets_them() -> None:
    serving, _ = await recording()
    prompts = Prompts(serving, make_request(include=[TOKEN_IDS]), NO_TOOLS, None)
    before, response = make_response(), make_response()
    prompts.include(before, [], array("I"))
    assert before.input_token_ids == [], "there was no prompt"
    prompt = await prompts.render(None, never)
    prompts.include(response, [], array("I", [7, 8]))
    assert (response.input_token_ids, response.output_token_ids) == (list(prompt.given), [7, 8])
    untold = make_response()
    Prompts(serving, make_request(), NO_TOOLS, None).include(untold, [], array("I", [7]))
    assert untold == make_response()


UNREADABLE = Message(role="user", content=[InputText(text="a"), InputImage(image_url="x")])


@pytest.mark.parametrize(
    ("before", "own", "param"),
    [
        ([], [UNREADABLE], "input[0].content[1]"),
        ([user("history")] * 3, [user("x"), UNREADABLE], "input[1].content[1]"),
        ([user("history"), UNREADABLE], [user("x")], None),
    ],
)
@pytest.mark.parametrize("num_given", [0, 2])
async def test_the_place_of_what_cant_be_rendered_is_one_in_the_clients_own_input(
    before: list[InputItem], own: list[InputItem], param: str | None, num_given: int
) -> None:
    """Not counting the history, nor what was given before."""
    serving, _ = await make_serving(say())
    given = [user("given")] * num_given
    request = ResponseCreate(items=[*given, *own], num_before=num_given)
    with pytest.raises(RenderError, match="reads text only") as caught:
        await render(serving, request, NO_TOOLS, [*before, *request.items], None)
    assert caught.value.param == param
    assert ("history" in str(caught.value)) == (param is None)
