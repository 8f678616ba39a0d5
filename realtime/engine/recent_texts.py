"""Texts that were used lately, within bounds in characters: for all groups of keys together and for each. Pure."""

from __future__ import annotations

from collections import OrderedDict


class RecentTexts:
    """Texts by group and key. What was used least lately goes first: of a group that is too large, else of the group
    that was used least lately. So no group can tell from its own texts what others have.
    """

    def __init__(self, max_chars: int, max_chars_per_group: int) -> None:
        self._max_chars = max_chars
        self._max_per_group = max_chars_per_group
        self._groups: OrderedDict[str | None, OrderedDict[bytes, str]] = OrderedDict()
        self._sizes: dict[str | None, int] = {}

    @property
    def num_chars(self) -> int:
        """Of all texts."""
        return sum(self._sizes.values())

    def get(self, group: str | None, key: bytes) -> str | None:
        """The text, if it is there; it is used now."""
        texts = self._groups.get(group)
        if texts is None or key not in texts:
            return None
        self._groups.move_to_end(group)
        texts.move_to_end(key)
        return texts[key]

    def put(self, group: str | None, key: bytes, text: str) -> None:
        """Keep the text, if it is not too large for any."""
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
