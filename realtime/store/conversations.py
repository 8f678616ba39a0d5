"""A conversation: a list of items that grows by posted items and by each response that names it. Pure.

Changes are synchronous and atomic: a reader sees an append entirely or not at all, and items keep the order in which
they were appended. Only a store changes a conversation, so that it can count its size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import msgspec

from realtime.context.listing import complete, fresh_prefix, hide_decrypted
from realtime.context.turns import Turn
from realtime.wire.errors import ErrorCode, WireError, store_unavailable
from realtime.wire.items import AnyItem, InputItem, Item, OutputItem, id_of

from .shelves import Place

_OVERHEAD_BYTES = 1024  # about what an item, or an empty conversation, costs beside its JSON
_USABLE_ID = re.compile(r"[A-Za-z0-9_\-]{1,128}\Z")  # it becomes a part of a path


class Entry(msgspec.Struct, frozen=True):
    """One item: as clients see it, and as the model will see it (with reasoning that is not shown).

    Messages in a model's own format can't be in a conversation. `created_at`: unix seconds. `response_id`: the response
    that it was the input or the output of; None: it was posted.
    """

    shown: AnyItem
    remembered: AnyItem
    num_bytes: int
    created_at: int
    response_id: str | None


class Conversation:
    """One conversation. `num_users`: responses that wait for it or work on it. `created_at`: unix seconds; `place`: its
    place in the order of its owner's conversations. `deleted`: nothing may be added to this object any more.
    `given_up`: because its node has lost its lease, so the conversation is still there, and may have another node.
    """

    def __init__(
        self, conversation_id: str, owner: str, created_at: int, metadata: dict[str, str], begun_at: int = 0
    ) -> None:
        self.id = conversation_id
        self.owner = owner
        self.created_at = created_at
        self.place = Place(begun_at, conversation_id)
        self.metadata = metadata
        self.num_users = 0
        self.deleted = self.given_up = False
        self._entries: dict[str, Entry] = {}
        self._turn: Turn | None = None  # all items, with the exact tokens of the last response where they still hold
        self._num_item_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._entries

    @property
    def turn(self) -> Turn | None:
        """Return the turn that the next response continues; None when there are no items."""
        return self._turn

    @property
    def num_bytes(self) -> int:
        """The approximate size of the conversation."""
        own = _OVERHEAD_BYTES + sum(len(name) + len(value) for name, value in self.metadata.items())
        return own + self._num_item_bytes + (self._turn.num_bytes if self._turn is not None else 0)

    def get(self, item_id: str) -> Entry:
        """Return one item. Raises WireError."""
        entry = self._entries.get(item_id)
        if entry is None:
            text = f"Item with id '{item_id[:128]}' not found in conversation '{self.id}'."
            raise WireError(ErrorCode.ITEM_NOT_FOUND, text, param="item_id")
        return entry

    def items(self) -> list[AnyItem]:
        """Return all items as clients see them, oldest first."""
        return [entry.shown for entry in self._entries.values()]

    def give_up(self) -> None:
        """Note that this node does not have it any more."""
        self.deleted = self.given_up = True

    def check_exists(self) -> None:
        """Refuse to continue with a conversation that was deleted or given up since it was looked up. Raises
        WireError.
        """
        if self.given_up:
            raise store_unavailable()
        if self.deleted:
            raise conversation_not_found(self.id)

    # -- for a store that keeps it elsewhere

    @property
    def newest(self) -> tuple[Turn | None, int]:
        """Return the turn of the newest response, if its tokens are still valid, and the number of items before its
        own.
        """
        turn = self._turn
        posted = 0
        if turn is not None and not turn.response_id and turn.parent is not None:
            posted, turn = len(turn.input), turn.parent
        if turn is None or not turn.response_id:
            return None, len(self)
        own = sum(isinstance(item, Item) for item in turn.own_items())
        return turn, len(self) - posted - own

    def entries_of(self, item_ids: Iterable[str]) -> list[tuple[str, Entry]]:
        """Return the entries with these ids."""
        return [(item_id, self._entries[item_id]) for item_id in item_ids]

    def last_ids(self, count: int) -> list[str]:
        """Return the ids of the last items."""
        return list(islice(reversed(self._entries), count))[::-1]

    def restore(self, entries: Iterable[tuple[str, Entry]], turn: Turn | None, num_before: int) -> None:
        """Fill an empty conversation with an earlier one's contents. `turn`, `num_before`: see `newest`."""
        self._entries = dict(entries)
        self._num_item_bytes = sum(entry.num_bytes for entry in self._entries.values())
        remembered = self._remembered()
        if turn is None:
            self._turn = Turn("", None, remembered, ()) if remembered else None
            return
        before, own = remembered[:num_before], sum(isinstance(item, Item) for item in turn.own_items())
        self._turn = msgspec.structs.replace(turn, parent=Turn("", None, before, ()) if before else None)
        self._turn.__dict__.update(turn.__dict__)
        posted = remembered[num_before + own :]
        if posted:
            self._turn = Turn("", self._turn, posted, ())

    # -- changes, for the store

    def post(
        self, items: Sequence[InputItem], remembered: Sequence[InputItem], new_id: Callable[[str], str], now: int
    ) -> list[str]:
        """Append a client's items, together with their form for the model. Return their ids."""
        before = self._turn
        ids = self._append(items, remembered, new_id, now, None)
        added = tuple(self._entries[item_id].remembered for item_id in ids)
        if before is not None and not before.output and before.prompt is None:  # posted ones as well
            self._turn = msgspec.structs.replace(before, input=before.input + added)
        else:
            self._turn = Turn("", before, added, ())
        return ids

    def respond(
        self,
        turn: Turn,
        started_from: Turn | None,
        output: Sequence[OutputItem],
        new_id: Callable[[str], str],
        now: int,
    ) -> None:
        """Append a response: its input, then its output as shown. `turn.output` is the same as it is remembered.

        `started_from` is the turn after which it was generated. If something was appended since, its exact tokens are
        not a prefix of what the next response will see.
        """
        before = self._turn
        earlier = self._remembered()
        said = [item for item in turn.input if isinstance(item, Item)]
        self._append([hide_decrypted(item) for item in said], said, new_id, now, turn.response_id)
        self._append(output, turn.output, new_id, now, turn.response_id)
        if started_from is before:
            parent = Turn("", None, earlier, ()) if earlier else None  # flat: only the newest turn keeps its tokens
            self._turn = msgspec.structs.replace(turn, parent=parent)
        else:
            self._turn = Turn("", None, (*earlier, *turn.input, *turn.output), ())

    def copy(self, other: Conversation, item_id: str | None) -> None:
        """Fill an empty conversation with another one's items, up to and including this one; None: all of them."""
        for name, entry in other._entries.items():
            self._entries[name] = entry
            self._num_item_bytes += entry.num_bytes
            if name == item_id:
                break
        if len(self) == len(other):
            self._turn = other.turn
        else:
            self._turn = Turn("", None, self._remembered(), ())

    def truncate(self, turn: Turn, before: Sequence[OutputItem], output: Sequence[OutputItem]) -> None:
        """Replace the answer of a response, which was `before`, by what is left of it, both as shown and as `turn`
        remembers it. Raises WireError if something follows it already.
        """
        ids = {item_id for item in before if (item_id := id_of(item)) in self._entries}
        replaced = any(
            self._entries[item_id].response_id != turn.response_id for item_id in ids
        )  # a client took its id
        if replaced or ids != set(list(self._entries)[len(self._entries) - len(ids) :]):
            text = f"Conversation '{self.id}' continues after '{turn.response_id}', which can't be cut any more."
            raise WireError(ErrorCode.CONVERSATION_MOVED_ON, text, param="response_id", response_id=turn.response_id)
        left = {id_of(shown): (shown, kept) for shown, kept in zip(output, turn.output, strict=True)}
        for item_id in ids:
            entry = self._entries[item_id]
            self._num_item_bytes -= entry.num_bytes
            if item_id not in left:
                del self._entries[item_id]
                continue
            shown, kept = left[item_id]
            full, num_bytes = _complete(shown, kept, item_id)
            remembered = full if kept is shown else kept
            self._entries[item_id] = msgspec.structs.replace(
                entry, shown=full, remembered=remembered, num_bytes=num_bytes
            )
            self._num_item_bytes += num_bytes
        if self._turn is not None and self._turn.response_id == turn.response_id:
            self._turn = msgspec.structs.replace(turn, parent=self._turn.parent)
        else:
            self._flatten()

    def remove(self, item_id: str) -> None:
        """Remove one item. Raises WireError."""
        self._num_item_bytes -= self.get(item_id).num_bytes
        del self._entries[item_id]
        self._flatten()

    def _flatten(self) -> None:
        """Make one turn of all items, because the tokens of the newest one are not valid any more."""
        left = self._remembered()
        self._turn = Turn("", None, left, ()) if left else None

    def _remembered(self) -> tuple[InputItem, ...]:
        return tuple(entry.remembered for entry in self._entries.values())

    def _append(
        self,
        items: Sequence[InputItem],
        remembered: Sequence[InputItem],
        new_id: Callable[[str], str],
        now: int,
        response_id: str | None,
    ) -> list[str]:
        ids = []
        for shown, kept in zip(items, remembered, strict=True):
            assert isinstance(shown, Item)
            assert isinstance(kept, Item)
            usable = isinstance(shown.id, str) and _USABLE_ID.match(shown.id) and shown.id not in self._entries
            item_id = shown.id if usable else new_id(fresh_prefix(shown))
            assert isinstance(item_id, str)
            full, num_bytes = _complete(shown, kept, item_id)
            self._entries[item_id] = Entry(full, full if kept is shown else kept, num_bytes, now, response_id)
            self._num_item_bytes += num_bytes
            ids.append(item_id)
        return ids


def _complete(shown: AnyItem, kept: InputItem, item_id: str) -> tuple[AnyItem, int]:
    """Return an item in the form that readers expect, and its approximate cost together with its remembered form,
    `kept`.
    """
    full = complete(shown, item_id)
    return full, _OVERHEAD_BYTES + len(msgspec.json.encode(full)) * (1 if kept is shown else 2)


def check_conversation_room(conversation: Conversation, num_items: int, *, max_items: int, max_bytes: int) -> None:
    """Refuse to begin a response whose items would be appended to a full conversation. Raises WireError."""
    if len(conversation) + num_items > max_items:
        text = f"Conversation '{conversation.id}' may hold {max_items} items: begin a new one."
    elif conversation.num_bytes > max_bytes:
        text = f"Conversation '{conversation.id}' may hold {max_bytes} bytes: begin a new one."
    else:
        return
    raise WireError(ErrorCode.CONVERSATION_FULL, text, param="conversation")


def conversation_not_found(conversation_id: str) -> WireError:
    """Return the refusal for a conversation that does not exist, or is another tenant's."""
    text = f"Conversation with id '{conversation_id[:128]}' not found."
    return WireError(ErrorCode.CONVERSATION_NOT_FOUND, text, param="conversation")
