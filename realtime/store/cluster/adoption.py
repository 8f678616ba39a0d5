"""Adoption: open responses whose owner has gone get another node as their owner, each in one commit.

A response is adopted with its conversation: only the node that has a conversation in memory can go on with a response
of it, and whoever adopts a response owns its conversation from the same commit on.

An owner whose lease has ended never comes back under the same epoch, so its journal does not grow while it is read.
From then on an adopted response is in its new owner's journal, from its first event.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, ParamSpec, TypeVar

import msgspec

from realtime.context.turns import Turn
from realtime.store.conversations import Conversation
from realtime.store.packed.journal import Chunk, decode_chunks
from realtime.store.packed.past import PastJournal, ReadHead
from realtime.store.packed.records import decode_head
from realtime.store.records import PastGeneration

from . import keys
from .backend import Away, Backend, Changes, Conflict, Expected, Fenced, Key, Lease
from .commit_order import CommitOrder
from .conversation_rows import read_conversation
from .journal_rows import JournalRows
from .membership import HeldElsewhere, Owner
from .response_rows import HeadRow, decode_head_row, encode
from .turn_rows import Torn, read_turn

logger = logging.getLogger("realtime.store")

_PAGE = 200  # rows of a journal that are read at once
_MAX_EPOCHS = 10_000
_MAX_TRIES = 5
_RETRY_SECONDS = 0.1
P = ParamSpec("P")
T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]
_Found = tuple[str, HeadRow, Lease]


class _Where(NamedTuple):
    """The part of a commit about the conversation of an adopted response. is_own: it is this node's already."""

    checks: dict[Key, Expected]
    sets: dict[Key, bytes]
    is_own: bool = False


class _MayTake(NamedTuple):
    """The orphans that may be taken; see Membership.adopt."""

    in_own: bool
    leave: frozenset[str]

    def __call__(self, where: _Where, generations: Sequence[PastGeneration]) -> bool:
        if where.is_own or self.in_own:
            return where.is_own
        return not generations or generations[-1].begun.fingerprint not in self.leave


class Adoption:
    """Adoption of responses and conversations. Its commits are not part of the batches: they have no number, and may be
    sent twice.
    """

    def __init__(self, backend: Backend, store: object, vocabulary: str, sleep: Sleep) -> None:
        self._backend = backend
        self._store = store
        self._vocabulary = vocabulary
        self._sleep = sleep
        self._lease: Lease | None = None
        self._journal: JournalRows | None = None
        self._order: CommitOrder | None = None
        self._adopted = 0

    def begin(self, lease: Lease, journal: JournalRows, order: CommitOrder) -> None:
        """Own responses and conversations under this lease from now on."""
        self._lease, self._journal, self._order = lease, journal, order

    def end(self) -> None:
        """Own nothing any more."""
        self._lease = None

    async def owners_of(self, names: Sequence[str]) -> list[Owner | None]:
        """Return the owner of each: a response that is not over, or a conversation."""
        values = await self._backend.get([keys.owner(name) for name in names])
        leases = [keys.lease(value) if value is not None else None for value in values]
        return [Owner(lease.node, lease.epoch) if lease is not None else None for lease in leases]

    async def orphans(
        self, limit: int, node: str | None = None, after: Key | None = None
    ) -> tuple[Sequence[str], Key | None]:
        """Return open responses whose owner's lease is not live, and behind which key there may be more (None: these
        are all), for the next call. `node`: only those of this node. Also deletes the remains of leases that own
        nothing any more.
        """
        live = {Lease(one.node, one.epoch) for one in await self._backend.leases()}
        begin, end = keys.under("epoch") if node is None else keys.under("epoch", node)
        found: list[Key] = []
        for key, _ in await self._backend.range(begin, end, _MAX_EPOCHS):
            lease = keys.lease_of(key)
            first, last = keys.under("held", lease.node, keys.number(lease.epoch))
            if (after is not None and last <= after) or lease in live or not await self._backend.bury(lease):
                continue
            start = first if after is None else max(first, after + b"\0")
            held = await self._backend.range(start, last, limit - len(found))
            found += [one for one, _ in held]
            if not held and (start == first or not await self._backend.range(first, last, 1)):
                await self._clear(lease)
            if len(found) >= limit:
                break
        return [keys.last_part(one) for one in found], found[-1] if len(found) >= limit else None

    async def open_of(self, tenant: str) -> list[tuple[str, Owner]]:
        """Return the responses of a tenant that are not over, with their owners."""
        begin, end = keys.under("held")
        found: list[tuple[str, Owner]] = []
        while rows := await self._backend.range(begin, end, _PAGE):
            begin = rows[-1][0] + b"\0"
            found += [
                (response_id, Owner(lease.node, lease.epoch))
                for response_id, row, lease in await self._open([keys.last_part(key) for key, _ in rows])
                if decode_head(row.body).owner == tenant
            ]
        return found

    async def adopt(
        self, response_ids: Sequence[str], *, in_own: bool = False, leave: frozenset[str] = frozenset()
    ) -> list[ReadHead]:
        """Become the owner of orphans, except those in conversations of other live nodes. Return those that this node
        got, in the order of the ids. `in_own`, `leave`: see Membership. Raises Fenced.
        """
        own, may_take = self.lease, _MayTake(in_own, leave)
        by_lease: dict[Lease, list[_Found]] = {}
        for found in await self._open(response_ids):
            by_lease.setdefault(found[2], []).append(found)
        got: dict[str, ReadHead] = {}
        try:
            for lease, orphans in by_lease.items():
                await self._adopt_from(lease, orphans, own, may_take, got)
        except Fenced:
            raise
        except Exception as error:  # whatever is wrong with the next one: what this node owns by now has to go on
            if not got:
                raise
            logger.warning("not all orphans were looked at: %s", str(error) or type(error).__name__)
        return [got[one] for one in dict.fromkeys(response_ids) if one in got]

    async def conversation(self, conversation_id: str) -> Conversation | None:
        """Return a conversation with all its items, which only this node writes from now on. Raises HeldElsewhere, and
        Fenced, also under another lease by then: it may have another node.
        """
        own = self.lease
        for _ in range(_MAX_TRIES):
            name, owner = keys.conversation(conversation_id), keys.owner(conversation_id)
            there, value = await self._backend.get([name, owner])
            if there is None:
                return None
            if value is None or keys.lease(value) != own:
                if value is not None and not await self._backend.bury(keys.lease(value)):
                    held = keys.lease(value)
                    raise HeldElsewhere(Owner(held.node, held.epoch))
                try:
                    await self.commit({owner: value, name: True}, {owner: keys.pack_owner(self.lease)})
                except Conflict:
                    continue
            try:
                found = await read_conversation(self._backend, conversation_id, self._store, self._vocabulary)
            except Torn:
                continue
            if self.lease != own:
                raise Fenced
            return found
        return None

    @property
    def lease(self) -> Lease:
        """Return this node's lease. Raises Fenced."""
        if self._lease is None:
            raise Fenced
        return self._lease

    async def commit(self, checks: dict[Key, Expected], sets: dict[Key, bytes], deletes: Iterable[Key] = ()) -> None:
        """Commit changes at once, outside the batches, however long that takes. Raises Conflict, and Fenced."""
        changes, order = Changes(fence=self.lease, checks=checks, sets=sets, deletes=list(deletes)), self._order
        assert order is not None
        await order.run(
            lambda number: self._backend.commit(msgspec.structs.replace(changes, number=number)), self._patiently
        )

    # -- parts

    async def _adopt_from(
        self, lease: Lease, orphans: Sequence[_Found], own: Lease, may_take: _MayTake, got: dict[str, ReadHead]
    ) -> None:
        """Become the owner of one lease's orphans under this lease, and add each to `got` as soon as it is owned."""
        if lease == own or not await self._backend.bury(lease):
            return
        chunks = await self._chunks(lease, {row.number for _, row, _ in orphans})
        for orphan in orphans:
            read = await self._patiently(self._take_one, orphan, chunks.get(orphan[1].number, []), own, may_take)
            if read is not None:
                got[orphan[0]] = read

    async def _patiently(self, call: Callable[P, Awaitable[T]], *arguments: P.args, **named: P.kwargs) -> T:
        """Repeat a call while the backend is away. Raises Fenced."""
        lease = self.lease
        while True:
            try:
                return await call(*arguments, **named)
            except Away:
                await self._sleep(_RETRY_SECONDS)
                if self._lease != lease:
                    raise Fenced from None

    async def _open(self, response_ids: Sequence[str]) -> list[_Found]:
        wanted = list(dict.fromkeys(response_ids))
        values = await self._backend.get([key(one) for one in wanted for key in (keys.head, keys.owner)])
        return [
            (one, decode_head_row(head), keys.lease(owner))
            for one, head, owner in zip(wanted, values[::2], values[1::2], strict=True)
            if head is not None and owner is not None
        ]

    async def _chunks(self, lease: Lease, numbers: set[int]) -> dict[int, list[Chunk]]:
        """Return these responses' chunks from a lease's journal."""
        begin, end = keys.under("journal", lease.node, keys.number(lease.epoch))
        found: dict[int, list[Chunk]] = {}
        while rows := await self._backend.range(begin, end, _PAGE):
            begin = rows[-1][0] + b"\0"
            for _, blob in rows:
                try:
                    chunks = decode_chunks(blob)
                except ValueError as error:
                    logger.error("journal damaged node=%s epoch=%d: %s", lease.node, lease.epoch, error)
                    continue
                for chunk in chunks:
                    if chunk.number in numbers:
                        found.setdefault(chunk.number, []).append(chunk)
        return found

    async def _conversation_of(self, row: HeadRow) -> _Where | None:
        """Return what adopting a response changes for its conversation. None: another live node has that."""
        try:
            name = decode_head(row.body).request.conversation_id
        except ValueError:  # what was damaged
            name = None
        if name is None:
            return _Where({}, {})
        there, owner = keys.conversation(name), keys.owner(name)
        found, value = await self._backend.get([there, owner])
        if found is None:
            return _Where({}, {})
        mine = keys.pack_owner(self.lease)
        if value == mine:
            return _Where({owner: value}, {}, is_own=True)
        if value is not None and not await self._backend.bury(keys.lease(value)):
            return None
        return _Where({owner: value, there: True}, {owner: mine})

    async def _take_one(self, orphan: _Found, chunks: list[Chunk], own: Lease, may_take: _MayTake) -> ReadHead | None:
        """Become the owner of one response under this lease, if it may be taken. None: another node did, or shall, or
        it is gone. Raises Fenced, also under another lease by now: who asked does not expect the response any more.

        All that can fail comes before the commit: what is owned by a live node and not known to it would never go on.
        """
        response_id, row, _ = orphan
        where = await self._conversation_of(row)
        if where is None:
            return None
        try:
            head = decode_head(row.body)
        except ValueError:
            logger.error("response not adopted, its head is damaged response_id=%s", response_id)
            return None
        self._adopted += 1
        number = -self._adopted  # those that begin here are above 0
        past = PastJournal(number, head, await self._parent(row.turn))
        for chunk in chunks:
            past.take(chunk)
        read = past.read()
        if self.lease != own:
            raise Fenced
        return read if may_take(where, read.generations) and await self._take(orphan, where, chunks, number) else None

    async def _take(self, orphan: _Found, where: _Where, chunks: list[Chunk], number: int) -> bool:
        """Become the owner of one response, under this number. False: another node did, or it is gone."""
        response_id, row, old = orphan
        lease, journal = self.lease, self._journal
        assert journal is not None
        head = HeadRow(number, row.turn, row.body)
        rows = journal.copy(number, chunks)
        sets = {
            keys.head(response_id): encode(head),
            keys.owner(response_id): keys.pack_owner(lease),
            keys.held(lease, response_id): b"",
            **rows,
            **where.sets,
        }
        checks = {keys.owner(response_id): keys.pack_owner(old), **where.checks}
        try:
            await self.commit(checks, sets, [keys.held(old, response_id)])
        except Conflict:
            there = await self._patiently(self._backend.get, [keys.owner(response_id), keys.head(response_id)])
            if there != [keys.pack_owner(lease), encode(head)]:  # else the answer was lost
                journal.end(number)
                return False
        except BaseException:
            journal.end(number)
            raise
        return True

    async def _parent(self, turn_id: str | None) -> Turn | None:
        try:
            turn, _ = await read_turn(self._backend, turn_id, self._store, self._vocabulary)
        except (Torn, ValueError, IndexError):  # what was damaged
            return None
        return turn

    async def _clear(self, lease: Lease) -> None:
        """Delete the remains of a lease that owns nothing."""
        begin, end = keys.under("journal", lease.node, keys.number(lease.epoch))
        while rows := await self._backend.range(begin, end, _PAGE):
            await self.commit({}, {}, [key for key, _ in rows])
        erasures = await self._backend.range(*keys.under("erase", lease.node, keys.number(lease.epoch)), _PAGE)
        await self.commit({}, {}, [*(key for key, _ in erasures), keys.epoch(lease)])
