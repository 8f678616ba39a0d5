"""Which engine a request goes to. Pure.

The costs of an engine are the tokens of the prompt that it would have to read, and its load in the same currency: what
a request that it already has costs a newcomer. The cheapest engine gets the request. So a conversation stays where its
history is, until that engine has so much more to do than another that reading it anew is the smaller evil.
"""

from __future__ import annotations

from collections.abc import Mapping

LOAD_TOKENS = 256  # prompt tokens that are worth as much as one request less on the engine


def choose(loads: Mapping[int, int], held: Mapping[int, int]) -> int | None:
    """Choose among the engines in `loads`, which has the number of requests of each; None: there is none.

    held: tokens of the prompt that an engine has read before. Between equals the one with the smaller load is taken,
    then the first.
    """
    if not loads:
        return None
    return min(loads, key=lambda engine: (loads[engine] * LOAD_TOKENS - held.get(engine, 0), loads[engine], engine))
