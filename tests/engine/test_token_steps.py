"""Chunks back into tokens with their text."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.families import Family
from realtime.engine.token_steps import Step, TokenSteps
from tests.support.play import Model

TEXTS = ["", "Hello there", "naïve 日本 🙂\n", "<think>\na</think>b<tool_call>", "<|im_start|>x"]


@functools.cache
def model() -> Model:
    return Model(Family("qwen3", "hermes"))


def steps() -> TokenSteps:
    """As for a parser that wants to see special tokens."""
    return TokenSteps(model().tokenizer, skip_special_tokens=False)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("bytewise", [False, True])
def test_a_chunk_is_split_into_its_tokens(text: str, bytewise: bool) -> None:
    ids = model().bytewise(text) if bytewise else model().tokens(text)
    split = steps().split(text, ids)
    assert "".join(step.text for step in split) == text
    assert [step.token_ids for step in split] == [[token_id] for token_id in ids]
    assert "".join(step.text for step in steps().whole(text, ids)) == text


@given(text=st.sampled_from(TEXTS), size=st.integers(1, 5), late=st.integers(0, 6))
def test_text_that_comes_later_than_its_tokens_loses_nothing(text: str, size: int, late: int) -> None:
    """As with stop strings, for which the engine holds some text back."""
    one, out, sent, ids = steps(), list[Step](), 0, model().tokens(text)
    for at in range(0, len(ids), size):
        last = at + size >= len(ids)
        known = len(model().tokenizer.decode(ids[: at + size]))
        end = len(text) if last else max(sent, known - late)
        out += one.split(text[sent:end], ids[at : at + size])
        sent = end
    assert "".join(step.text for step in out) == text
    for mark in ("<think>", "</think>", "<tool_call>"):
        assert sum(mark in step.text for step in out) == text.count(mark)


def test_what_the_engine_decoded_otherwise_counts() -> None:
    assert steps().split("other", model().tokens("text")) == [Step("other", model().tokens("text"))]


def test_half_a_character_waits_in_a_whole_chunk_too() -> None:
    one, ids = steps(), model().bytewise("aé<")
    assert one.whole("a", ids[:2]) == [Step("a", ids[:2])]
    assert one.split("é<", ids[2:]) == [Step("é", ids[2:3]), Step("<", ids[3:])]
