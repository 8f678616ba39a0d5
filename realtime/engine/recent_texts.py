"""Recently used texts, bounded in characters: for all groups of keys together and for each group. Pure."""

from __future__ import annotations

from collections import OrderedDict


class RecentTexts:
    """Texts by group and key. The least recently used text goes first: of a group that is too large, else of the least
    recently used group. So no group can tell from its own texts which texts others have.
    """

    def __init__(self, max_chars: int, max_chars_per_group: int) -> None:
        self._max_chars = max_chars
        self._max_per_group = max_chars_per_group
        self._groups: OrderedDict[str | None, OrderedDict[bytes, str]] = OrderedDict()
        self._sizes: dict[str | None, int] = {}

    @property
    def num_chars(self) -> int:
        """The characters of all texts."""
        return sum(self._sizes.values())

    def get(self, group: str | None, key: bytes) -> str | None:
        """Return the text, if it is there, and mark it as just used."""
        texts = self._groups.get(group)
        if texts is None or key not in texts:
            return None
        self._groups.move_to_end(group)
        texts.move_to_end(key)
        return texts[key]

    def put(self, group: str | None, key: bytes, text: str) -> None:
        """Keep the text, unless it is larger than a group may be."""
        if len(text) > self._max_per_group or self.get(group, key) is not None:
            return
        self._groups.setdefault(group, OrderedDict())[key] = text
        self._groups.move_to_end(group)
        self._sizes[group] = self._sizes.get(group, 0) + len(text)
        while self._sizes[group] > self._max_per_group:
            self._drop_from(group)
        while self.num_chars > self._max_chars:
            self._drop_from(next(iter(self._groups)))

    def _drop_from(self, group: str | None) -> None:
        _, text = self._groups[group].popitem(last=False)
        self._sizes[group] -= len(text)
        if not self._groups[group]:
            del self._groups[group], self._sizes[group]
