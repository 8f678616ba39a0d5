"""A guess of which prompts begin with something that the engine's cache still has. Pure.

The cache keeps what ran lately: a continuation of that costs little, and a cold prompt that goes first may evict it.
The engine itself is not asked: it would need the tokens, and a waiting prompt is not rendered yet.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

_MAX_KEYS = 8192
_UNKNOWN = 1 << 20  # tokens that a cache holds whose size is not known


class Prefixes:
    """Keys of responses that ran, the latest last, as many as the cache has tokens for."""

    def __init__(self) -> None:
        self._sizes: OrderedDict[str, int] = OrderedDict()  # key -> tokens
        self._total = 0

    def note(self, keys: Iterable[str], num_tokens: int, capacity: int) -> None:
        """Note that a response ran, and the keys of its continuations. `capacity`: tokens of the cache; 0: unknown."""
        for key in keys:
            self._total += num_tokens - self._sizes.pop(key, 0)
            self._sizes[key] = num_tokens
        while len(self._sizes) > 1 and (self._total > (capacity or _UNKNOWN) or len(self._sizes) > _MAX_KEYS):
            _, num_tokens = self._sizes.popitem(last=False)
            self._total -= num_tokens

    def any_of(self, keys: Iterable[str]) -> bool:
        """Return whether one of these is likely to be cached."""
        return any(key in self._sizes for key in keys)
