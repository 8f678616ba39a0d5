"""Random streams of every family's tokens, in random chunks, stopped anywhere: log, journal and wake-ups are the same
with and without the straight way.
"""

from __future__ import annotations

import itertools
import json
import random
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from realtime.context.request_tools import tool_set
from realtime.context.tools import McpOrigin, ToolSet
from realtime.context.turns import Prompt
from realtime.dialects.base import Dialect, Parser
from realtime.dialects.chat import ChatDialect
from realtime.dialects.harmony.parser import HarmonyParser
from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.parser import Asked, MarkupParser
from realtime.dialects.markup.writer import write_reasoning
from realtime.engine.base import FinishReason, Loaded, TokenChunk
from realtime.engine.scripted import Pause, say
from realtime.runs.open_items import ReasoningShown
from realtime.runs.run import Run
from tests.support import harmony
from tests.support.event_loop import nothing_left
from tests.support.jobs import make_job, make_request, make_serving, turns_until
from tests.support.long import effort
from tests.support.markup import ANYTHING, HARD, NOTE, NOTHING, PARIS, SPELLINGS, WEATHER, calls_of, speaker
from tests.support.responses import make_log

from .test_straight_way import STOPS, Journal, Move, timeless, watch

__all__ = ["nothing_left"]

CALLS: list[tuple[str, dict[str, Any]]] = [
    PARIS,
    HARD,
    NOTHING,
    ("note", {"input": "a\n\u00e9\\ {}"}),
    ("shell", {"commands": ["ls", "pwd"]}),
    ("ask", {}),
]
TEXTS = ["So.", " ", "\n\n", "a <b> {c} [d] ", "\u2028\u00e9\U0001f600", "%d", '"', "one two", "<|x|>"]
SHOWN = [ReasoningShown(), ReasoningShown(raw=True), ReasoningShown(summary=True)]
NEXT = "<|end|><|start|>assistant"


def tools() -> ToolSet:
    """A tool of each kind, of which one has to be allowed by the user."""
    shown = tool_set([WEATHER, ANYTHING, NOTE, {"type": "shell"}, {**ANYTHING, "name": "ask"}], None, None)
    asked = McpOrigin("s", needs_approval=True)
    made = [msgspec.structs.replace(one, mcp=asked) if one.name == "ask" else one for one in shown.tools]
    return msgspec.structs.replace(shown, tools=tuple(made))


def markup_answer(family: str, rng: random.Random) -> str:
    row = ALL_FAMILIES[family]
    forms = [rng.randrange(len(row.calls))] if row.calls else []
    parts = [
        lambda: rng.choice(TEXTS),
        lambda: write_reasoning(row, "".join(rng.choices(TEXTS, k=3))) if row.thinking else "Hm.",
        lambda: "".join(calls_of(family, rng.choices(CALLS, k=2), form) for form in forms),
    ]
    return "".join(rng.choices(parts, weights=[2, 2, 3])[0]() for _ in range(rng.randint(2, 6)))


def harmony_answer(rng: random.Random) -> str:
    def call() -> str:
        name, arguments = rng.choice(CALLS)
        text = json.dumps(arguments, ensure_ascii=rng.random() < 0.5)
        return f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{text}"

    def said() -> str:
        channel = rng.choice(["analysis", "commentary", "final"])
        return f"<|channel|>{channel}<|message|>" + "".join(rng.choices(TEXTS[:-1], k=4))

    parts = [rng.choice([call, said])() for _ in range(rng.randint(1, 4))]
    joints = rng.choices([NEXT, "<|call|><|start|>assistant", "", "<|channel|>"], weights=[8, 2, 1, 1], k=len(parts))
    return "".join(itertools.chain(*zip(parts, joints, strict=True)))


def in_chunks(token_ids: Sequence[int], texts: Sequence[str], rng: random.Random) -> Iterator[TokenChunk]:
    """These tokens, often one by one; some texts come with the next chunk, as those of half a character do."""
    at, late = 0, ""
    while at < len(token_ids):
        end = at + rng.choice([1, 1, 1, 2, 5])
        text, late = late + "".join(texts[at:end]), ""
        if rng.random() < 0.1:
            text, late = "", text
        yield TokenChunk(text, list(token_ids[at:end]))
        at = end
    yield TokenChunk(late, [], rng.choice([FinishReason.STOP, FinishReason.LENGTH]))


class _Speaks(ChatDialect):
    """Renders anything, and reads as it is told."""

    def __init__(self, loaded: Loaded, parser: Parser) -> None:
        self._parser = parser

    def render(self, *arguments: Any, **more: Any) -> Prompt:
        return Prompt("hi", array("I", [1, 2, 3]))

    def parser(self, *arguments: Any) -> Parser:
        return self._parser


async def lived(
    parser: Parser, chunks: Sequence[TokenChunk], move: Move, after: int, shown: ReasoningShown
) -> tuple[list[bytes], list[Any], list[int], list[Any]]:
    """The log and the journal but for what the clock says, where a reader was woken, and the history."""
    serving, engine = await make_serving(say(Pause(1 << 30)))
    dialect: Dialect = _Speaks(engine.loaded, parser)
    serving = msgspec.structs.replace(serving, dialect=dialect)
    journal, woken = Journal(), list[int]()
    job = make_job(make_request(), tools=tools(), shown=shown)
    run = Run(job, serving, make_log(job.response_id), journal, lambda run: None)
    run.audience.follow(lambda: woken.append(run.log.tip))
    task = run.start(admitted=True)
    await turns_until(lambda: engine._held)
    engine.step()
    (held,) = engine._held.values()
    for number, chunk in enumerate(chunks):
        if number == after:
            move(run)
        if engine._held:
            if chunk.finish is not None:
                engine._release(held)
            held.sink.on_chunk(chunk)
    await task
    history = [msgspec.json.encode(item) for item in run.stages.assembler.remembered]
    return timeless(run.log.read(0, 1 << 20)), journal.given, woken, history


async def check(
    new_parser: Any, token_ids: Sequence[int], texts: Sequence[str], rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> int:
    """Play one stream both ways. Return how many of its chunks went the straight one."""
    chunks = list(in_chunks(token_ids, texts, rng))
    stop = STOPS[rng.choice([*STOPS, "nothing", "nothing"])]
    how = (chunks, stop, rng.randrange(len(chunks) + 1), rng.choice(SHOWN))
    with monkeypatch.context() as patch:
        taken = watch(patch)
        straight = await lived(new_parser(), *how)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_straight_way", lambda self, parser, newest: None)
        assert await lived(new_parser(), *how) == straight
    return sum(taken)


@pytest.mark.parametrize("family", sorted(ALL_FAMILIES))
async def test_nothing_tells_which_way_a_familys_tokens_have_gone(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    num_taken = 0
    for seed in range(effort(6, 100)):
        rng = random.Random(f"{family} {seed}")
        one = speaker(family, rng.choice(SPELLINGS))
        ids = one.tokens(markup_answer(family, rng))
        num_taken += await check(
            lambda one=one: MarkupParser(one.markup, Asked(tools=tools())),
            ids, [one.chunk([token]).text for token in ids], rng, monkeypatch,
        )  # fmt: skip
    assert num_taken


async def test_nothing_tells_which_way_harmonys_tokens_have_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    num_taken = 0
    for seed in range(effort(60, 2000)):
        rng = random.Random(f"harmony {seed}")
        ids = harmony.tokens(harmony_answer(rng))
        num_taken += await check(
            lambda: HarmonyParser(harmony.encoding().vocabulary, tools()), ids, [""] * len(ids), rng, monkeypatch
        )
    assert num_taken
