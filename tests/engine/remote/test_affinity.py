"""Where prompts were sent before, held to a model that remembers the prompts themselves; and what follows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realtime.engine.remote.affinity import BLOCK_TOKENS, MAX_BLOCKS, PrefixTable, keys_of
from realtime.engine.remote.choice import LOAD_TOKENS, choose

ENGINES = frozenset(range(3))
# Prompts of blocks of one token each: what they share they share from the beginning on, or not at all.
prompts = st.lists(st.integers(0, 1), max_size=4).map(
    lambda blocks: [one for one in blocks for _ in range(BLOCK_TOKENS)]
)
salts = st.sampled_from([None, "a", "b"])


@given(st.lists(st.tuples(prompts, salts, st.sampled_from(sorted(ENGINES)))), prompts, salts, st.integers(0, 63))
def test_what_is_held_is_the_longest_beginning_that_was_sent(
    sent: list[tuple[list[int], str | None, int]], asked: list[int], salt: str | None, more: int
) -> None:
    table = PrefixTable()
    for prompt, its_salt, engine in sent:
        table.add(keys_of(prompt, its_salt), engine, ENGINES)

    def shared(engine: int) -> int:
        lengths = [0]
        for prompt, its_salt, its_engine in sent:
            if (its_engine, its_salt) == (engine, salt):
                alike = next((at for at, (a, b) in enumerate(zip(prompt, asked, strict=False)) if a != b), None)
                length = min(len(prompt), len(asked)) if alike is None else alike
                lengths.append(length // BLOCK_TOKENS * BLOCK_TOKENS)
        return max(lengths)

    held = table.held(keys_of([*asked, *[7] * more], salt), ENGINES)  # part of a block counts for nothing
    assert held == {engine: shared(engine) for engine in ENGINES}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(64, 300)), max_size=20), st.integers(0, 8))
def test_the_table_is_bounded_and_keeps_what_was_used_last(sent: list[tuple[int, int]], most: int) -> None:
    table = PrefixTable(most)
    for token, length in sent:
        prompt = [token] * length
        table.add(keys_of(prompt, None), 0, ENGINES)
        assert len(table) <= most
        if len(keys_of(prompt, None)) <= most:
            assert table.held(keys_of(prompt, None), [0])[0] == len(prompt) // BLOCK_TOKENS * BLOCK_TOKENS


images = st.lists(st.tuples(st.integers(0, 4 * BLOCK_TOKENS), st.sampled_from("xy")), max_size=3).map(sorted)


@given(prompts, images, prompts, images)
def test_prompts_share_what_comes_before_the_first_image_that_differs(
    prompt: list[int], its: list[tuple[int, str]], other: list[int], others: list[tuple[int, str]]
) -> None:
    """An image counts where it begins: what follows is told by the blocks before."""

    def blocks(ids: list[int], shown: list[tuple[int, str]]) -> list[object]:
        return [
            (ids[at : at + BLOCK_TOKENS], [one for one in shown if at <= one[0] < at + BLOCK_TOKENS])
            for at in range(0, len(ids), BLOCK_TOKENS)
        ]

    alike = 0
    for a, b in zip(blocks(prompt, its), blocks(other, others), strict=False):
        if a != b:
            break
        alike += 1
    table = PrefixTable()
    table.add(keys_of(prompt, None, its), 0, ENGINES)
    assert table.held(keys_of(other, None, others), [0]) == {0: alike * BLOCK_TOKENS}


def test_an_engine_that_came_back_has_nothing() -> None:
    table, keys = PrefixTable(), keys_of([1] * 2 * BLOCK_TOKENS, None)
    table.add(keys, 0, frozenset({0, 1}))
    table.add(keys, 1, frozenset({0, 1}))
    assert table.held(keys, [0, 1]) == {0: 128, 1: 128}
    assert table.held(keys, [1, 2]) == {1: 128, 2: 0}, "the first came back as the third"
    table.add(keys, 2, frozenset({1, 2}))
    assert table.held(keys, [0, 1, 2]) == {0: 0, 1: 128, 2: 128}, "old numbers leave the table"


def test_a_prompt_costs_no_more_than_its_beginning() -> None:
    assert len(keys_of([1] * 10**6, None)) == MAX_BLOCKS
    assert keys_of([1] * (BLOCK_TOKENS - 1), "a") == []


loads = st.dictionaries(st.integers(0, 9), st.integers(0, 50), max_size=6)


@given(loads, st.dictionaries(st.integers(0, 9), st.integers(0, 20_000)))
def test_choice(loads: dict[int, int], held: dict[int, int]) -> None:
    chosen = choose(loads, held)
    if chosen is None:
        assert not loads
        return
    least = min(loads.values())
    assert chosen in loads
    assert choose(dict(reversed(loads.items())), held) == chosen, "whatever the order"
    ahead = held.get(chosen, 0) - min(held.get(engine, 0) for engine in loads)
    assert (loads[chosen] - least) * LOAD_TOKENS <= ahead, "no more requests ahead than its prefix is worth"
    if not held:
        assert loads[chosen] == least
    if len(set(loads.values())) == 1:
        assert held.get(chosen, 0) == max(held.get(engine, 0) for engine in loads)
