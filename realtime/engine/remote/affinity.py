"""The prefix table: which engines have read which beginning of a prompt, from blocks of tokens to engines. Pure.

An engine's prefix cache is not visible from here, so the table remembers where prompts were sent. When this guess is
wrong it costs no more than a slower first token. A block is named as vLLM names it: by a digest of its tokens, of the
images in it and of all before them, beginning with the salt. Prompts of different salts have nothing in common, and
prompts of one text have what comes before the first image that differs: the tokens of all images are the same.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence

BLOCK_TOKENS = 64
MAX_BLOCKS = 512  # of one prompt: two that are alike for longer than this count as alike
MAX_ENTRIES = 65_536  # of a table; about 200 bytes each

Key = bytes


def keys_of(token_ids: Sequence[int], salt: str | None, images: Sequence[tuple[int, str]] = ()) -> list[Key]:
    """Return the names of the whole blocks at the beginning of a prompt, at most MAX_BLOCKS. images: the place of each
    one's first token, in order, and its hash.
    """
    ids = array("Q", token_ids[: BLOCK_TOKENS * MAX_BLOCKS])
    data, size = ids.tobytes(), BLOCK_TOKENS * ids.itemsize
    key, keys, left = hashlib.blake2b((salt or "").encode(), digest_size=16).digest(), list[Key](), list(images[::-1])
    for start in range(0, len(data) - size + 1, size):
        digest = hashlib.blake2b(key + data[start : start + size], digest_size=16)
        end = (start + size) // ids.itemsize
        while left and left[-1][0] < end:
            digest.update(repr(left.pop()).encode())
        key = digest.digest()
        keys.append(key)
    return keys


class PrefixTable:
    """A table from blocks of tokens to engines. Engines are numbers; one that comes back with an empty cache gets a new
    number.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._engines: OrderedDict[Key, frozenset[int]] = OrderedDict()  # least recently used first

    def __len__(self) -> int:
        return len(self._engines)

    def add(self, keys: Iterable[Key], engine: int, live: frozenset[int]) -> None:
        """Note that an engine reads these blocks. `live`: the numbers that still mean an engine; all others are
        dropped.
        """
        own = frozenset((engine,))
        for key in keys:
            self._engines[key] = (self._engines.get(key, own) & live) | own
            self._engines.move_to_end(key)
        while len(self._engines) > self._max_entries:
            self._engines.popitem(last=False)

    def held(self, keys: Iterable[Key], engines: Iterable[int]) -> dict[int, int]:
        """Count the tokens at the beginning of a prompt that each of these engines has read."""
        tokens = dict.fromkeys(engines, 0)
        left = frozenset(tokens)
        for key in keys:
            left &= self._engines.get(key, frozenset())
            if not left:
                break
            for engine in left:
                tokens[engine] += BLOCK_TOKENS
        return tokens
