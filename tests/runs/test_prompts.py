"""What the model is given: the history, shorter where that is asked for, rendered once and where it holds up nobody."""

from __future__ import annotations

from array import array
from typing import Any

import msgspec
import pytest

from realtime.context.request_tools import tool_set
from realtime.context.tools import ToolSet
from realtime.context.turns import Prompt, Turn
from realtime.dialects.base import BLIND, RenderError
from realtime.dialects.chat import ChatDialect
from realtime.dialects.markup.named import NOTHING
from realtime.dialects.markup.reader import MarkupReader
from realtime.engine.pictures import read
from realtime.engine.scripted import say
from realtime.runs.prompts import Prompts
from realtime.runs.serving import Serving
from realtime.wire.items import InputImage, InputItem, InputText, Message
from realtime.wire.requests import TOKEN_IDS, ResponseCreate
from tests.support.jobs import make_renderer, make_request, make_serving, user
from tests.support.pictures import image
from tests.support.responses import make_response

NO_TOOLS = tool_set(None, None, None)
TOOLS = tool_set([{"type": "function", "name": "f", "parameters": {}}], None, None)


class Recording(ChatDialect):
    """The dialect, with a note of each rendering: what was said, after which turn, with how many tools."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.said: list[list[str]] = []
        self.parents: list[Turn | None] = []
        self.num_tools: list[int] = []
        self.pictures: tuple[Any, ...] = ()

    def render(self, request: ResponseCreate, tools: ToolSet, items: Any, parent: Turn | None, *rest: Any) -> Prompt:
        self.said.append([str(item.content) for item in items])
        self.parents.append(parent)
        self.num_tools.append(len(tools.tools))
        prompt = super().render(request, tools, items, parent, *rest)
        return msgspec.structs.replace(prompt, pictures=self.pictures)


async def recording(**options: Any) -> tuple[Serving, Recording]:
    serving, engine = await make_serving(say(), **options)
    tokenizer = engine.loaded.tokenizer
    reader = MarkupReader(NOTHING, tokenizer)
    dialect = Recording(tokenizer, reader, BLIND, engine.loaded.model.max_model_len)
    return msgspec.structs.replace(serving, dialect=dialect), dialect


def turn(*said: str, parent: Turn | None = None) -> Turn:
    asked, *answers = said
    output = tuple(Message(role="assistant", content=text) for text in answers)
    return Turn("resp_before", parent, (user(asked),), output)


async def test_the_history_goes_before_the_request() -> None:
    serving, dialect = await recording()
    parent = turn("one", "two")
    prompts = Prompts(make_renderer(serving), make_request("three"), NO_TOOLS, parent)
    prompt = await prompts.render(None)
    assert dialect.said == [["one", "two", "three"]]
    assert dialect.parents == [parent], "for its tokens"
    assert prompts.prompt is prompt


async def test_what_was_measured_is_not_rendered_again_unless_it_has_changed() -> None:
    serving, dialect = await recording()
    prompts = Prompts(make_renderer(serving), make_request("one"), NO_TOOLS, None)
    measured = await prompts.measure()
    assert await prompts.render(None) is measured
    assert len(dialect.said) == 1
    await prompts.render([user("other")])
    assert dialect.said[1:] == [["other"]]
    prompts.next_generation(turn("x"), NO_TOOLS)
    await prompts.render(None)
    assert dialect.said[2:] == [["one"]]


async def test_a_next_generation_continues_what_was_said_with_the_tools_of_then() -> None:
    serving, dialect = await recording()
    prompts = Prompts(make_renderer(serving), make_request(), NO_TOOLS, turn("before"))
    latest = turn("latest")
    prompts.next_generation(latest, TOOLS)
    await prompts.render(None)
    assert (dialect.parents, dialect.num_tools) == ([latest], [1])


async def test_a_compaction_stands_for_everything_before_it() -> None:
    serving, dialect = await recording()
    prompts = Prompts(make_renderer(serving), make_request("three"), NO_TOOLS, turn("one", "two"))
    shorter: list[InputItem] = [user("all of it")]
    prompts.replace(shorter, measured := await prompts.render_compacted(shorter))
    assert (prompts.items, prompts.reaches_back) == (shorter, None)
    assert await prompts.render(None) is measured
    assert dialect.parents == [None], "the tokens of what was before are not those of what is left"


async def test_truncation_leaves_out_the_fewest_of_the_oldest_exchanges_that_help() -> None:
    chain: Turn | None = None
    for number in range(20):
        chain = turn(f"q{number} " + "x" * 50, f"a{number}", parent=chain)
    for window in range(500, 1500, 50):
        serving, dialect = await recording(max_model_len=window)
        request = make_request("newest", truncation="auto", max_output_tokens=100)
        prompts = Prompts(make_renderer(serving), request, NO_TOOLS, chain)
        prompt = await prompts.render(None)
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


async def test_an_error_of_the_template_comes_out_of_the_thread_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    serving, dialect = await recording()

    def fail(*_: Any, **__: Any) -> Prompt:
        raise RenderError("no such role")

    monkeypatch.setattr(dialect, "render", fail)
    for text in ("short", "x" * 9000):
        with pytest.raises(RenderError, match="no such role"):
            await Prompts(make_renderer(serving), make_request(text), NO_TOOLS, None).measure()


async def test_the_engine_looks_at_images() -> None:
    serving, dialect = await recording()
    dialect.pictures = (read(image("red", (20, 20)), 10_000),)
    prompt = await Prompts(make_renderer(serving), make_request(), NO_TOOLS, None).render(None)
    assert prompt.seen is not None
    assert prompt.num_tokens == len(prompt.token_ids) + 4, "a token for each 100 pixels"
    serving.work.close()


async def test_the_engine_knows_images_by_the_salt_of_the_response() -> None:
    serving, dialect = await recording()
    dialect.pictures = (picture := read(image("red", (20, 20)), 10_000),)
    for salt in (None, "a"):
        prompt = await Prompts(make_renderer(serving, salt), make_request(), NO_TOOLS, None).render(None)
        assert prompt.seen is not None
        assert prompt.seen.inputs == [picture.view(salt).key]
    serving.work.close()


async def test_who_wants_to_see_token_ids_gets_them() -> None:
    serving, _ = await recording()
    prompts = Prompts(make_renderer(serving), make_request(include=[TOKEN_IDS]), NO_TOOLS, None)
    before, response = make_response(), make_response()
    prompts.include(before, [], array("I"))
    assert before.input_token_ids == [], "there was no prompt"
    prompt = await prompts.render(None)
    prompts.include(response, [], array("I", [7, 8]))
    assert (response.input_token_ids, response.output_token_ids) == (list(prompt.given), [7, 8])
    untold = make_response()
    Prompts(make_renderer(serving), make_request(), NO_TOOLS, None).include(untold, [], array("I", [7]))
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
        await make_renderer(serving).render(request, NO_TOOLS, [*before, *request.items], None)
    assert caught.value.param == param
    assert ("history" in str(caught.value)) == (param is None)
