"""Counting tokens: several generations, a summary, and what a reader had when it cancelled."""

from __future__ import annotations

from msgspec import UNSET

from realtime.runs.cutoff import Cutoff
from realtime.runs.endings import Cancelled
from realtime.runs.usage import Count, Tokens, TokenUsage


def generated(usage: TokenUsage, num_input: int, *chunks: tuple[int, int]) -> None:
    """One generation: the tokens of each chunk, and the log's tip after it."""
    usage.latest.num_input = num_input
    for num_tokens, tip in chunks:
        usage.latest.token_ids.extend(range(num_tokens))
        usage.mark(tip)


def test_a_count_is_the_sum_of_its_generation() -> None:
    count = Count(5)
    count.num_cached = 4
    count.token_ids.extend([1, 2, 3])
    assert count.tokens(num_reasoning=2) == Tokens(5, 4, 3, 2)


def test_all_generations_and_the_summary_are_added_up() -> None:
    usage = TokenUsage()
    generated(usage, 10, (2, 3), (3, 5))
    usage.next_generation(num_reasoning=1)
    assert usage.num_output == 5
    generated(usage, 20, (4, 9))
    usage.latest.num_cached = 15
    total = usage.total(Tokens(100, 50, 7, 3), num_reasoning=2, generates=True)
    assert (total.input_tokens, total.input_tokens_details.cached_tokens) == (130, 65)
    assert (total.output_tokens, total.output_tokens_details.reasoning_tokens) == (16, 6)
    assert total.total_tokens == 146
    assert usage.num_output == 9, "the summary is not part of the answer"


def test_what_was_not_asked_for_is_not_counted() -> None:
    usage = TokenUsage()
    generated(usage, 10, (1, 2))
    assert usage.total(Tokens(), 0, generates=False).output_tokens == 0


def test_a_receipt_says_how_many_tokens_the_reader_had() -> None:
    usage = TokenUsage()
    generated(usage, 10, (2, 5), (3, 7))  # events 2 to 4, then 5 and 6
    usage.next_generation(0)
    generated(usage, 20, (4, 9))
    had = {number: usage.receipt(Cancelled("cancelled", number), 0).tokens_delivered for number in (0, 4, 5, 6, 7, 9)}
    assert had == {0: 0, 4: 0, 5: 2, 6: 2, 7: 5, 9: 9}
    receipt = usage.receipt(Cancelled("cancelled"), 1.23456)
    assert (receipt.tokens_generated, receipt.tokens_delivered, receipt.abort_ms) == (9, 0, 1.235)
    assert receipt.through is UNSET
    assert usage.receipt(Cancelled("cancelled", 9, Cutoff(6, 1, None)), 0).through == 6
