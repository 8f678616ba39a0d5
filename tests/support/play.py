"""A generation that is told in advance, through everything that a real one goes through but the model: vLLM's own
detokenizer, our dialect, assembler, grammar and log, and the run that owns them.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import json
import random
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

import realtime
from realtime.context.request_tools import tool_set
from realtime.context.turns import Prompt
from realtime.dialects.chat import ChatDialect
from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.family import Family
from realtime.dialects.markup.named import NOTHING
from realtime.dialects.markup.reader import MarkupReader
from realtime.dialects.reader import Reader
from realtime.engine.base import EngineError, EngineRequest, FinishReason, ModelInfo, Sampling, Sink, TokenChunk
from realtime.runs.endings import Cancelled
from realtime.runs.job import Job
from realtime.runs.open_items import ReasoningShown
from realtime.runs.response_object import new_response
from realtime.runs.run import Run
from realtime.runs.serving import Serving
from realtime.runs.work_pool import WorkPool
from realtime.store.event_log import EventLog
from realtime.store.memory.responses import MemoryResponses
from realtime.wire.items import Message
from realtime.wire.requests import OnDisconnect, ResponseCreate
from tests.support.long import effort, places

STARTER = Path(realtime.__file__).parent / "models" / "starter"
BIG = 10**9
Ending = FinishReason | EngineError | Cancelled
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ANYTHING = {"type": "function", "name": "anything", "parameters": {"type": "object", "properties": {}}}
NOTE = {"type": "custom", "name": "note"}
TOOLS: list[dict[str, Any]] = [WEATHER, ANYTHING, NOTE]


class Played(msgspec.Struct):
    """What a client saw, as JSON values."""

    events: list[dict[str, Any]]

    @property
    def response(self) -> dict[str, Any]:
        """Of the terminal event."""
        response: dict[str, Any] = self.events[-1]["response"]
        return response

    @property
    def items(self) -> list[dict[str, Any]]:
        """The output without ids: what may not depend on chunks."""
        return [
            {key: value for key, value in item.items() if key not in ("id", "call_id")}
            for item in self.response["output"]
        ]

    def brief(self) -> list[tuple[str, ...]]:
        """The output as (kind, text or name, arguments), with a `!` where it was cut off."""
        return [_brief(item) for item in self.response["output"]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of one type, named without `response.`."""
        return [event for event in self.events if event["type"] == f"response.{kind}"]


def _brief(item: dict[str, Any]) -> tuple[str, ...]:
    cut = "" if item["status"] == "completed" else "!"
    match item["type"]:
        case "message":
            return (f"text{cut}", item["content"][0]["text"])
        case "reasoning":
            return (f"reasoning{cut}", "".join(part["text"] for part in item["content"]))
        case "function_call":
            return (f"call{cut}", item["name"], item["arguments"])
        case _:
            return (f"custom{cut}", item["name"], item["input"])


class FixedPrompt(ChatDialect):
    """The dialect with a prompt that is given: a test that is about the answer needs no template."""

    prompt = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"

    def render(self, *_: Any) -> Prompt:
        """See Dialect."""
        return Prompt(self.prompt, array("I", self._encode(self.prompt)), begun=self._begun(self.prompt, {}, str))


class Model:
    """A tokenizer and the reader of a family, by its name in the table. `added`: markup that the family's tokenizer has
    as one token, `special` if decoding skips it.
    """

    def __init__(
        self,
        family: str | Family = NOTHING,
        *,
        added: Sequence[str] = (),
        special: Sequence[str] = (),
        prompt: str | None = None,
        reader: Reader | None = None,
    ) -> None:
        self.family = ALL_FAMILIES[family] if isinstance(family, str) else family
        self.tokenizer = _tokenizer(tuple(added), tuple(special))
        self.reader = reader or MarkupReader(self.family, self.tokenizer)
        self.dialect = FixedPrompt(self.tokenizer, self.reader)
        if prompt is not None:
            self.dialect.prompt = prompt
        self.eos: int = self.tokenizer.convert_tokens_to_ids("<|im_end|>")

    def tokens(self, text: str) -> list[int]:
        """As the model would generate it, less the end of sequence."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def bytewise(self, text: str) -> list[int]:
        """The same in the smallest tokens that there are: markup, and single bytes of everything else."""
        added = self.tokenizer.added_tokens_decoder
        ids: list[int] = []
        for token in self.tokens(text):
            if token in added:
                ids.append(token)
            else:
                letters = self.tokenizer.convert_ids_to_tokens(token)
                ids += self.tokenizer.convert_tokens_to_ids(list(letters))
        return ids


@functools.cache
def _starter() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(STARTER)


@functools.cache
def _tokenizer(added: tuple[str, ...], special: tuple[str, ...]) -> Any:
    """The starter's tokenizer, with vLLM's own wrapping, and more markup."""
    from tokenizers import AddedToken
    from vllm.tokenizers.hf import get_cached_tokenizer

    tokenizer = copy.deepcopy(_starter())
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in added])
    tokenizer.add_tokens([AddedToken(text, special=True, normalized=False) for text in special], special_tokens=True)
    return get_cached_tokenizer(tokenizer)


def chunkings(
    num_tokens: int, *, num_random: int = effort(2, 4), max_cuts: int = effort(45, 120)
) -> Iterator[list[int]]:
    """Sizes of chunks: one token each, one chunk, two that meet at its places if it is short, some by chance."""
    yield [1] * num_tokens
    yield [num_tokens]
    rng = random.Random(num_tokens)
    cuts = places(num_tokens)[1:-1] if num_tokens <= max_cuts else rng.sample(range(1, num_tokens), max_cuts // 4)
    for cut in cuts:
        yield [cut, num_tokens - cut]
    for longest in range(2, 2 + num_random):
        yield list(_random_sizes(num_tokens, longest * 2, rng))


def _random_sizes(left: int, longest: int, rng: random.Random) -> Iterator[int]:
    while left:
        size = min(left, rng.randint(1, longest))
        left -= size
        yield size


MODEL_INFO = ModelInfo(name="m", path="m", max_model_len=1 << 20, defaults=Sampling(max_tokens=1))


class ToldEngine:
    """An `Engine` that generates what it was told, through vLLM's detokenizer, chunk by chunk."""

    def __init__(self, model: Model, token_ids: Sequence[int], sizes: Sequence[int], ending: Ending) -> None:
        self._tokenizer = model.tokenizer
        self._eos = model.eos
        self._token_ids = list(token_ids)
        self._sizes = list(sizes)
        self._ending = ending
        self.aborted = False
        self.cancel: Callable[[Cancelled], None]  # of the run

    async def submit(self, request: EngineRequest, sink: Sink) -> None:
        """See Engine: all of it at once."""
        ids = iter(self._token_ids)
        detokenizer = _detokenizer(self._tokenizer, request)
        stops = self._ending is FinishReason.STOP
        for index, size in enumerate(self._sizes):
            last = index == len(self._sizes) - 1
            new = [next(ids) for _ in range(size)] + [self._eos] * (last and stops)
            stop_string = detokenizer.update(new, last and stops)
            finish = self._ending if last and isinstance(self._ending, FinishReason) else None
            finish = FinishReason.STOP if stop_string else finish
            sink.on_chunk(TokenChunk(detokenizer.get_next_output_text(finish is not None, True), new, finish))
            if finish is not None:
                return
        if isinstance(self._ending, EngineError):
            sink.on_error(self._ending)
        elif isinstance(self._ending, Cancelled):
            self.cancel(self._ending)

    async def abort(self, request_id: str) -> None:
        """See Engine."""
        self.aborted = True


def _detokenizer(tokenizer: Any, request: EngineRequest) -> Any:
    from vllm import SamplingParams
    from vllm.v1.engine.detokenizer import FastIncrementalDetokenizer

    params = SamplingParams(
        stop=list(request.sampling.stop) or None, skip_special_tokens=request.sampling.skip_special_tokens
    )
    asked = SimpleNamespace(
        sampling_params=params, prompt_token_ids=list(request.prompt_token_ids), request_id=request.request_id
    )
    return FastIncrementalDetokenizer(tokenizer, asked)


def play(
    model: Model,
    token_ids: Sequence[int],
    sizes: Sequence[int] | None = None,
    *,
    ending: Ending = FinishReason.STOP,
    shown: ReasoningShown | None = None,
    **request: Any,
) -> Played:
    """One response. `request`: members of `response.create`; with tools unless it says otherwise."""
    return asyncio.run(_play(model, token_ids, sizes or [1] * len(token_ids), ending, shown, request))


async def _play(
    model: Model,
    token_ids: Sequence[int],
    sizes: Sequence[int],
    ending: Ending,
    shown: ReasoningShown | None,
    members: dict[str, Any],
) -> Played:
    request = ResponseCreate(items=[Message(role="user", content="hi")], **{"tools": TOOLS, **members})
    counter = iter(range(BIG))
    engine = ToldEngine(model, token_ids, sizes, ending)
    log = EventLog("resp_1", f"epoch_{next(counter)}", stream_id=None, max_bytes=BIG, max_entries=BIG)
    tools = tool_set(request.tools, request.tool_choice, request.parallel_tool_calls)
    job = Job(
        response_id="resp_1",
        tenant="t",
        request=request,
        digest=b"",
        tools=tools,
        shown=shown or ReasoningShown(raw=True),
        response=new_response(request, MODEL_INFO, tools, "resp_1", 0),
        encrypt_compaction=str,
        on_disconnect=OnDisconnect(policy="cancel"),
    )
    serving = Serving(engine, MODEL_INFO, model.dialect, WorkPool(1, 60))  # type: ignore[arg-type]
    run = Run(job, serving, log, MemoryResponses(max_bytes=BIG), on_over=lambda run: None)
    engine.cancel = run.cancel
    await run.start(admitted=True)
    return Played([json.loads(entry) for entry in log.read(0, BIG)])


# -- what holds for every response


MARKUP = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<|im_start|>", "<|im_end|>", "\ufffd")
_TEXTS = {  # delta event -> (done event, its member with the whole, the part or item member that repeats it)
    "output_text.delta": ("output_text.done", "text"),
    "reasoning_text.delta": ("reasoning_text.done", "text"),
    "reasoning_summary_text.delta": ("reasoning_summary_text.done", "text"),
    "function_call_arguments.delta": ("function_call_arguments.done", "arguments"),
    "custom_tool_call_input.delta": ("custom_tool_call_input.done", "input"),
}
_TERMINALS = ("response.completed", "response.incomplete", "response.failed")


def check(played: Played, markup: Sequence[str] = MARKUP) -> Played:
    """What a client relies on, found out from the JSON alone: the grammar has its own opinion."""
    events = played.events
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] in _TERMINALS for event in events] == [False] * (len(events) - 1) + [True]
    added, done = played.of("output_item.added"), played.of("output_item.done")
    assert [event["output_index"] for event in added] == [event["output_index"] for event in done]
    assert [event["item"] for event in done] == played.response["output"]
    for before, after in zip(added, done, strict=True):
        same = ("id", "type", "call_id", "name", "namespace")
        assert {key: before["item"].get(key) for key in same} == {key: after["item"].get(key) for key in same}
        inside = [event for event in events if event.get("item_id") == after["item"]["id"]]
        assert all(event["output_index"] == after["output_index"] for event in inside)
        _check_parts(inside)
        _check_texts(inside, after["item"], markup)
    return played


def _check_parts(inside: list[dict[str, Any]]) -> None:
    for kind, at in (("content_part", "content_index"), ("reasoning_summary_part", "summary_index")):
        opened = [event[at] for event in inside if event["type"] == f"response.{kind}.added"]
        closed = [event[at] for event in inside if event["type"] == f"response.{kind}.done"]
        assert opened == closed == list(range(len(opened)))


def _check_texts(inside: list[dict[str, Any]], item: dict[str, Any], markup: Sequence[str]) -> None:
    for delta, (done, member) in _TEXTS.items():
        deltas = [event["delta"] for event in inside if event["type"] == f"response.{delta}"]
        wholes = [event[member] for event in inside if event["type"] == f"response.{done}"]
        assert "".join(deltas) == "".join(wholes)
        assert not any(mark in text for mark in markup for text in [*deltas, *wholes, item.get("name", "")])
        if wholes:
            assert wholes == _wholes(item)


def _wholes(item: dict[str, Any]) -> list[str]:
    match item["type"]:
        case "message":
            return [part["text"] for part in item["content"]]
        case "reasoning":
            return [part["text"] for part in item.get("content") or item["summary"]] or [""]
        case "function_call":
            return [item["arguments"]]
        case _:
            return [item["input"]]
