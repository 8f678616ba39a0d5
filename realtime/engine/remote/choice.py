"""The choice of an engine for a request. Pure.

The cost of an engine is the number of prompt tokens that it would have to read, plus its load in the same currency: the
tokens that each request it already has costs a newcomer. The cheapest engine gets the request. So a conversation stays
where its history is, until that engine has so much more to do than another that reading the history anew is cheaper.
"""

from __future__ import annotations

from collections.abc import Mapping

LOAD_TOKENS = 256  # prompt tokens that are worth as much as one request less on the engine


def choose(loads: Mapping[int, int], held: Mapping[int, int]) -> int | None:
    """Choose among the engines in `loads`, which has the number of requests of each; None: there is none.

    held: the prompt tokens that each engine has read before. Between equal costs the smaller load wins, then the first
    engine.
    """
    if not loads:
        return None
    return min(loads, key=lambda engine: (loads[engine] * LOAD_TOKENS - held.get(engine, 0), loads[engine], engine))
