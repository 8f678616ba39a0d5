"""E1 to E18, what broke in servers before: from what a model says, to what a client sees.

Each script is played token by token, in one chunk, cut at every boundary and at random ones, and again in tokens of
single bytes: `check` holds for each, and what the answer holds depends on none of it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.dialects.base import CallBegin, CallDelta, CallEnd, Piece, ReasoningDelta, TextDelta
from realtime.engine.base import EngineDead, EngineError, FinishReason
from realtime.runs.assembler import Assembler
from realtime.runs.endings import Cancelled
from realtime.runs.open_items import ReasoningShown
from realtime.wire import events as e
from realtime.wire.grammar import Grammar
from realtime.wire.items import Reasoning
from tests.support.play import MARKUP, Ending, Model, Played, check, chunkings, play

STOP, LENGTH = FinishReason.STOP, FinishReason.LENGTH
THINK = "<think>\nLet me see.\n</think>\n\n"
PARIS = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
OSLO = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
NOTHING = '<tool_call>\n{"name": "anything", "arguments": {}}\n</tool_call>'
NOTE = '<tool_call>\n{"name": "note", "arguments": {"input": "one\\n\\"two\\""}}\n</tool_call>'
THOUGHT = ("reasoning", "Let me see.")
IN_PARIS = ("call", "get_weather", '{"city": "Paris"}')
IN_OSLO = ("call", "get_weather", '{"city": "Oslo"}')
OF_NOTHING = ("call", "anything", "{}")
NOTED = ("custom", "note", 'one\n"two"')

Brief = list[tuple[str, ...]]


@functools.cache
def model() -> Model:
    """The starter: Qwen3's reasoning, Hermes's calls."""
    return Model("qwen3")


def plays(text: str, ending: Ending = STOP, markup: Sequence[str] = MARKUP, **request: Any) -> list[Played]:
    """The script in every chunking, each checked; they say the same. `markup`: what is never text."""
    played = [
        check(play(model(), ids, sizes, ending=ending, **request), markup)
        for ids in (model().tokens(text), model().bytewise(text))
        for sizes in chunkings(len(ids))
    ]
    said = {json.dumps(one.items) for one in played}
    assert len(said) == 1, said
    return played


def brief(text: str, ending: Ending = STOP, **request: Any) -> Brief:
    """What it comes to."""
    return plays(text, ending, **request)[0].brief()


SCRIPTS: list[tuple[str, str, Brief]] = [
    ("text", "Hello there.", [("text", "Hello there.")]),
    ("reasoning then text", THINK + "Hi.", [THOUGHT, ("text", "Hi.")]),
    ("reasoning then a call", THINK + PARIS, [THOUGHT, IN_PARIS]),
    ("text then a call", THINK + "I look. " + PARIS, [THOUGHT, ("text", "I look. "), IN_PARIS]),
    ("a custom tool", THINK + NOTE, [THOUGHT, NOTED]),
    ("only reasoning", THINK, [THOUGHT]),
    ("nothing but white space", "\n", [("text", "\n")]),
]


@pytest.mark.parametrize(("text", "want"), [script[1:] for script in SCRIPTS], ids=[script[0] for script in SCRIPTS])
def test_e01_every_item_is_added_and_done_once_under_one_id_and_index(text: str, want: Brief) -> None:
    for played in plays(text):
        assert played.brief() == want
        ids = [event["item"]["id"] for event in played.of("output_item.added")]
        assert len(set(ids)) == len(ids) == len(want)
        assert [event["output_index"] for event in played.of("output_item.added")] == list(range(len(want)))


@pytest.mark.parametrize("shown", [ReasoningShown(), ReasoningShown(summary=True), ReasoningShown(raw=True)])
def test_e02_every_part_is_added_and_done_and_counted_from_zero(shown: ReasoningShown) -> None:
    for played in plays(THINK + "Hi." + PARIS, shown=shown):
        assert [event["content_index"] for event in played.of("output_text.delta")] == [0] * len(
            played.of("output_text.delta")
        )
        assert len(played.of("content_part.added")) == len(played.of("content_part.done")) == 1 + shown.raw
        assert len(played.of("reasoning_summary_part.added")) == shown.summary


def test_e03_joined_deltas_are_the_done_text_and_the_final_text() -> None:
    for played in plays(THINK + "Hi <b> {x} [y] `z` (w) | v." + NOTE + PARIS):
        text = "".join(event["delta"] for event in played.of("output_text.delta"))
        assert text == "Hi <b> {x} [y] `z` (w) | v."
        assert text == played.of("output_text.done")[0]["text"]
        assert text == played.response["output"][1]["content"][0]["text"]


def test_e04_ids_and_call_ids_are_the_same_everywhere() -> None:
    for played in plays(THINK + PARIS + "\n" + NOTE):
        for added, done in zip(played.of("output_item.added"), played.of("output_item.done"), strict=True):
            assert added["item"]["id"] == done["item"]["id"]
            assert added["item"].get("call_id") == done["item"].get("call_id")
        call_ids = [item["call_id"] for item in played.response["output"][1:]]
        assert len(set(call_ids)) == 2
        assert all(call_id.startswith("call_") for call_id in call_ids)


PARALLEL: list[tuple[str, Brief]] = [
    (PARIS + "\n" + OSLO, [IN_PARIS, IN_OSLO]),
    (PARIS + PARIS + PARIS, [IN_PARIS, IN_PARIS, IN_PARIS]),
    (NOTHING + "\n" + NOTE + "\n" + OSLO, [OF_NOTHING, NOTED, IN_OSLO]),
]


@pytest.mark.parametrize(("text", "want"), PARALLEL)
def test_e05_parallel_calls_are_items_of_their_own_in_any_chunking(text: str, want: Brief) -> None:
    assert brief(THINK + text) == [THOUGHT, *want]


ANY_ORDER: list[tuple[str, Brief]] = [
    (
        THINK + PARIS + "\n" + THINK + "So. " + NOTE + "\n\nDone.",
        [THOUGHT, IN_PARIS, THOUGHT, ("text", "So. "), NOTED, ("text", "Done.")],
    ),
    (THINK + PARIS + "\nAnd:\n" + OSLO, [THOUGHT, IN_PARIS, ("text", "And:\n"), IN_OSLO]),
    (
        THINK + "A" + PARIS + THINK + NOTE + THINK + OSLO,
        [THOUGHT, ("text", "A"), IN_PARIS, THOUGHT, NOTED, THOUGHT, IN_OSLO],
    ),
]


@pytest.mark.parametrize(("text", "want"), ANY_ORDER)
def test_e06_reasoning_text_and_calls_come_in_any_order_and_number(text: str, want: Brief) -> None:
    assert brief(text) == want


@pytest.mark.parametrize("space", ["\n", "\n\n", " \n\t ", "\n" * 9])
def test_e07_white_space_between_reasoning_and_a_call_is_no_item(space: str) -> None:
    assert brief(f"<think>Let me see.</think>{space}{PARIS}{space}{OSLO}{space}") == [THOUGHT, IN_PARIS, IN_OSLO]


NOT_TEXT: list[tuple[str, dict[str, Any], Brief]] = [
    (THINK + "I look. " + PARIS, {}, [THOUGHT, ("text", "I look. "), IN_PARIS]),
    (THINK + PARIS + " ok", {"parallel_tool_calls": False}, [THOUGHT, IN_PARIS, ("text", "ok")]),
    (THINK + "Less < more <tool", {}, [THOUGHT, ("text", "Less < more <tool")]),
]


@pytest.mark.parametrize(("text", "request_", "want"), NOT_TEXT)
def test_e08_markup_of_calls_is_never_text(text: str, request_: dict[str, Any], want: Brief) -> None:
    assert brief(text, **request_) == want


LETTERS: list[tuple[str, str, dict[str, Any], Brief]] = [
    ("reasoning after text", "First." + THINK + "Then.", {}, [("text", f"First.{THINK}Then.")]),
    ("reasoning twice", THINK + "Less <" + THINK + "More", {}, [THOUGHT, ("text", f"Less <{THINK}More")]),
    ("the end of a reasoning that is over", THINK + "A </think>B", {}, [THOUGHT, ("text", "A </think>B")]),
    ("a call where none may be", THINK + "Hi. " + PARIS, {"tool_choice": "none"}, [THOUGHT, ("text", "Hi. " + PARIS)]),
    ("nothing but that", THINK + PARIS, {"tool_choice": "none"}, [THOUGHT, ("text", PARIS)]),
    ("no tools", THINK + PARIS, {"tools": []}, [THOUGHT, ("text", PARIS)]),
    ("a tool that is not offered", PARIS.replace("weather", "time"), {}, [("text", PARIS.replace("weather", "time"))]),
    ("the beginning of a call", THINK + PARIS[:20], {}, [THOUGHT, ("text", PARIS[:20])]),
]


@pytest.mark.parametrize(("text", "request_", "want"), [row[1:] for row in LETTERS], ids=[row[0] for row in LETTERS])
def test_e08_a_mark_where_it_can_mean_nothing_is_letters(text: str, request_: dict[str, Any], want: Brief) -> None:
    assert plays(text, markup=(), **request_)[0].brief() == want


@pytest.mark.parametrize("text", ["<think>a</think>b", "<think>\na b\n</think>\n\nb c", "<think>a\n\n</think>b\n\n"])
def test_e09_a_chunk_with_the_end_of_reasoning_and_text_is_split_and_nothing_lost(text: str) -> None:
    reasoning, answer = text.removeprefix("<think>").split("</think>")
    assert brief(text) == [("reasoning", reasoning.strip()), ("text", answer.lstrip())]


CUT: list[tuple[str, Brief]] = [
    ("<think>\nLet me", [("reasoning!", "Let me")]),
    (THINK + "Hello the", [THOUGHT, ("text!", "Hello the")]),
    (THINK + PARIS[: PARIS.index("ris")], [THOUGHT, ("call!", "get_weather", '{"city": "Pa')]),
    (THINK + PARIS + "\n" + NOTE[: NOTE.index("two")], [THOUGHT, IN_PARIS, ("custom!", "note", 'one\n"')]),
    (THINK + PARIS, [THOUGHT, IN_PARIS]),
]


@pytest.mark.parametrize(("text", "want"), CUT)
def test_e10_cut_by_length_is_incomplete_and_so_is_what_was_open(text: str, want: Brief) -> None:
    for played in plays(text, LENGTH):
        assert played.brief() == want
        assert played.events[-1]["type"] == "response.incomplete"
        assert played.response["status"] == "incomplete"
        assert played.response["incomplete_details"] == {"reason": "max_output_tokens"}


@pytest.mark.parametrize("error", [EngineError("lost"), EngineDead("gone")])
@pytest.mark.parametrize("text", ["<think>\nLet me", THINK + "Hel", THINK + PARIS[:60]])
def test_e11_a_failure_is_one_failed_event_and_the_end(text: str, error: EngineError) -> None:
    for played in plays(text, error):
        assert [event["type"] for event in played.events if "error" in event["type"]] == []
        assert played.events[-1]["type"] == "response.failed"
        assert played.response["status"] == "failed"
        assert played.response["error"]["code"] == "server_error"
        assert "lost" not in json.dumps(played.response["error"])


def test_e11_a_bug_of_ours_is_one_failed_event_too(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Assembler._next

    def fail(self: Assembler, piece: Piece) -> Iterable[e.Event]:
        if isinstance(piece, TextDelta):
            raise RuntimeError("bug")
        return take(self, piece)

    monkeypatch.setattr(Assembler, "_next", fail)
    played = check(play(model(), model().tokens(THINK + "Hello.")))
    assert played.events[-1]["type"] == "response.failed"
    assert played.brief() == [("reasoning!", "Let me see.")]


ENDINGS: list[tuple[Ending, str]] = [
    (STOP, "completed"),
    (LENGTH, "incomplete"),
    (Cancelled("cancelled"), "cancelled"),
    (EngineError("lost"), "failed"),
]


@pytest.mark.parametrize(("ending", "status"), ENDINGS, ids=[status for _, status in ENDINGS])
def test_e12_numbers_begin_at_zero_without_a_gap_however_it_ends(ending: Ending, status: str) -> None:
    for played in plays(THINK + "Hi. " + PARIS + OSLO[:40], ending):
        assert [event["sequence_number"] for event in played.events] == list(range(len(played.events)))
        assert played.response["status"] == status


@pytest.mark.parametrize(("ending", "status"), ENDINGS, ids=[status for _, status in ENDINGS])
def test_e13_usage_is_on_the_terminal_event_however_it_ends(ending: Ending, status: str) -> None:
    text = THINK + "Hi."
    ids = model().tokens(text)
    for sizes in chunkings(len(ids)):
        usage = check(play(model(), ids, sizes, ending=ending)).response["usage"]
        assert usage["output_tokens"] == len(ids) + (ending is STOP)
        assert usage["output_tokens_details"]["reasoning_tokens"] == len(model().tokens("\nLet me see.\n"))
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        assert set(usage["input_tokens_details"]) >= {"cached_tokens"}


@pytest.mark.parametrize(("ending", "status"), ENDINGS, ids=[status for _, status in ENDINGS])
@pytest.mark.parametrize("text", ["\n", "<think>", THINK, THINK + "Hi", THINK + PARIS, PARIS[:20]])
def test_e14_there_is_one_terminal_event(text: str, ending: Ending, status: str) -> None:
    for played in plays(text, ending, markup=()):
        terminals = ("response.completed", "response.incomplete", "response.failed")
        assert [event["type"] in terminals for event in played.events].count(True) == 1
        assert played.events[-1]["type"] in terminals


UNICODE = "naïve 日本語 🙂 👩\u200d🚀 e\u0301 Ω"


def test_e15_a_character_is_never_split() -> None:
    call = json.dumps({"name": "get_weather", "arguments": {"city": UNICODE}}, ensure_ascii=False)
    played = plays(f"<think>{UNICODE}</think>{UNICODE}<tool_call>{call}</tool_call>")[0]
    arguments = json.dumps({"city": UNICODE}, ensure_ascii=False)
    assert played.brief() == [("reasoning", UNICODE), ("text", UNICODE), ("call", "get_weather", arguments)]


@pytest.mark.parametrize("stop", [["END"], ["END", "ENORMOUS"], ["<END>"], ["DONE", " END"]])
def test_e15_a_stop_string_never_leaks(stop: list[str]) -> None:
    text = THINK + "So it is EN, it is <E" + stop[-1] + " and no more."
    for ids in (model().tokens(text), model().bytewise(text)):
        for sizes in chunkings(len(ids)):
            played = check(play(model(), ids, sizes, stop=stop))
            assert played.brief() == [THOUGHT, ("text", "So it is EN, it is <E")]


SPECIAL: list[tuple[str, Brief]] = [
    (THINK + "Hello<|im_start|> there", [THOUGHT, ("text", "Hello there")]),
    ("<think>Let me<|im_start|> see.</think>Hi", [THOUGHT, ("text", "Hi")]),
    (THINK + PARIS.replace("Paris", "Pa<|endoftext|>ris"), [THOUGHT, IN_PARIS]),
]


@pytest.mark.parametrize(("text", "want"), SPECIAL)
def test_e16_special_tokens_never_leak(text: str, want: Brief) -> None:
    assert brief(text) == want


def test_e17_a_call_in_the_middle_of_reasoning_is_a_call() -> None:
    assert brief("<think>\nI call " + PARIS + "\n" + NOTHING) == [("reasoning", "I call"), IN_PARIS, OF_NOTHING]


CHOICES: list[tuple[Any, str, Brief]] = [
    ("required", THINK + PARIS + "\n" + OSLO, [THOUGHT, IN_PARIS, IN_OSLO]),
    ({"type": "function", "name": "get_weather"}, THINK + PARIS, [THOUGHT, IN_PARIS]),
    ({"type": "custom", "name": "note"}, THINK + NOTE, [THOUGHT, NOTED]),
]


@pytest.mark.parametrize(("choice", "text", "want"), CHOICES)
def test_e18_the_tool_choice_is_honoured_while_streaming(choice: Any, text: str, want: Brief) -> None:
    assert brief(text, tool_choice=choice) == want


# -- any pieces, any chunking

_WORDS = st.text(alphabet=st.sampled_from('ab <>{}[]"\\/\n\t:,`|(é日🙂'), max_size=12)
_TEXT = _WORDS.filter(lambda text: "<" not in text or "<think" not in text)
_ARGUMENTS = st.dictionaries(_WORDS, _WORDS | st.integers() | st.none() | st.lists(_WORDS, max_size=2), max_size=3)
_PARTS = st.lists(
    st.one_of(
        st.tuples(st.just("reasoning"), _TEXT),
        st.tuples(st.just("text"), _TEXT),
        st.tuples(st.just("call"), _ARGUMENTS),
        st.tuples(st.just("custom"), _WORDS),
    ),
    max_size=6,
)


def _script(parts: list[tuple[str, Any]]) -> tuple[str, Brief]:
    """What a model that means this generates; and what it comes to, layout dropped and neighbours merged. Models reason
    first and after a call; elsewhere the marks are letters.
    """
    text, want, may_think = "", list[tuple[str, ...]](), True
    for kind, value in parts:
        if kind == "reasoning" and not may_think:
            continue
        may_think = kind in ("call", "custom") or (may_think and kind == "text" and not value.strip())
        match kind:
            case "reasoning":
                text += f"<think>\n{value}\n</think>\n\n"
                _expect(want, "reasoning", value.strip())
            case "text":
                text += value
                _expect(want, "text", value)
            case "call":
                arguments = json.dumps(value, ensure_ascii=False)
                text += f'<tool_call>\n{{"name": "anything", "arguments": {arguments}}}\n</tool_call>'
                want.append(("call", "anything", arguments))
            case "custom":
                text += f'<tool_call>\n{{"name": "note", "arguments": {json.dumps({"input": value})}}}\n</tool_call>\n'
                want.append(("custom", "note", value))
    return text, want


def _expect(want: Brief, kind: str, text: str) -> None:
    if want and want[-1][0] == kind == "text":
        want[-1] = (kind, want[-1][1] + text)
    elif text.strip():
        want.append((kind, text))


_SETTINGS = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def _unspaced(said: Brief) -> list[tuple[str, ...]]:
    """Without white space around text and reasoning, of which layout can't be told; reasoning next to reasoning is
    one.
    """
    out: list[tuple[str, ...]] = []
    for kind, *rest in said:
        if kind in ("text", "reasoning"):
            rest = ["".join(rest[0].split())]
            if out and out[-1][0] == kind:
                out[-1] = (kind, out[-1][1] + rest[0])
                continue
            if not rest[0]:
                continue
        out.append((kind, *rest))
    return out


@_SETTINGS
@given(parts=_PARTS, seed=st.randoms(use_true_random=False))
def test_any_answer_in_any_chunking_is_what_the_model_said(parts: list[tuple[str, Any]], seed: Any) -> None:
    text, want = _script(parts)
    ids = model().tokens(text) if seed.random() < 0.5 else model().bytewise(text)
    if not ids:
        return
    by_token = check(play(model(), ids), markup=())
    assert _unspaced(by_token.brief()) == _unspaced(want)
    sizes, left = [], len(ids)
    while left:
        sizes.append(min(left, seed.randint(1, 30)))
        left -= sizes[-1]
    assert check(play(model(), ids, sizes), markup=()).items == by_token.items


def test_white_space_pieces_between_items_are_no_item_and_at_the_end_are_dropped() -> None:
    counter = iter(range(99))
    assembler = Assembler(lambda kind: f"{kind}_{next(counter)}")
    space = TextDelta("\n")
    list(
        assembler.feed(
            [space, ReasoningDelta("r"), space, CallBegin("f"), CallEnd(), space, CallBegin("f"), CallEnd(), space]
        )
    )
    list(assembler.close("completed"))
    assert [type(item).__name__ for item in assembler.output] == ["Reasoning", "FunctionCall", "FunctionCall"]


_PIECES = st.lists(
    st.one_of(
        st.builds(TextDelta, st.text(max_size=5)),
        st.builds(ReasoningDelta, st.text(max_size=5)),
        st.builds(
            lambda custom, deltas, ended: [
                CallBegin("f", custom=custom), *map(CallDelta, deltas), *([CallEnd()] if ended else [])
            ],
            st.booleans(),
            st.lists(st.text(max_size=5), max_size=3),
            st.booleans(),
        ),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=300)
@given(pieces=_PIECES, raw=st.booleans(), summary=st.booleans(), completed=st.booleans())
def test_any_pieces_make_legal_events_that_add_up(pieces: list[Any], raw: bool, summary: bool, completed: bool) -> None:
    flat: list[Piece] = [piece for one in pieces for piece in (one if isinstance(one, list) else [one])]
    counter = iter(range(10**6))
    assembler = Assembler(lambda kind: f"{kind}_{next(counter)}", ReasoningShown(raw=raw, summary=summary))
    grammar = Grammar()
    grammar.accept(e.ResponseCreated(response=None, epoch=""))  # type: ignore[arg-type]
    grammar.accept(e.ResponseInProgress(response=None))  # type: ignore[arg-type]
    seen: dict[str, str] = {}
    for event in [*assembler.feed(flat), *assembler.close("completed" if completed else "incomplete")]:
        grammar.accept(event)
        if isinstance(event, e.InItem) and hasattr(event, "delta"):
            seen[event.item_id] = seen.get(event.item_id, "") + event.delta
    grammar.accept(e.ResponseCompleted(response=None))  # type: ignore[arg-type]
    for shown, item in zip(assembler.output, assembler.remembered, strict=True):
        assert shown.id == item.id
        whole = _whole(item)
        assert seen.get(str(item.id), "") == (whole if not isinstance(item, Reasoning) or raw or summary else "")


@settings(max_examples=100)
@given(pieces=_PIECES, raw=st.booleans(), summary=st.booleans())
def test_what_is_shown_of_an_answer_that_is_being_written_is_what_was_sent(
    pieces: list[Any], raw: bool, summary: bool
) -> None:
    counter = iter(range(10**6))
    assembler = Assembler(lambda kind: f"{kind}_{next(counter)}", ReasoningShown(raw=raw, summary=summary))
    announced: list[str | None] = []
    sent: dict[str, str] = {}
    for piece in [piece for one in pieces for piece in (one if isinstance(one, list) else [one])]:
        for event in assembler.feed([piece]):
            if isinstance(event, e.OutputItemAdded):
                announced.append(event.item.id or None)
            if isinstance(event, e.Delta):
                sent[event.item_id] = sent.get(event.item_id, "") + event.delta  # type: ignore[attr-defined]
        assert [item.id for item in assembler.so_far] == announced
        assert [_shown(item) for item in assembler.so_far] == [sent.get(str(item.id), "") for item in assembler.so_far]
        assert [item.status for item in assembler.so_far[len(assembler.output) :]] in ([], ["in_progress"])


def _shown(item: Any) -> str:
    return "".join(part.text for part in item.summary) if getattr(item, "summary", None) else _whole(item)


def _whole(item: Any) -> str:
    for member in ("arguments", "input"):
        if hasattr(item, member):
            return str(getattr(item, member))
    return "".join(part.text for part in item.content or ())
