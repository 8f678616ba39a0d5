"""Look up owners together: what is asked while one look-up is on its way goes with the next. When a node dies, all its
clients come to the others at once, and wait there until somebody has what it had.
"""

from __future__ import annotations

import asyncio
from itertools import islice

from realtime.store.cluster.membership import Membership, Owner

_MAX_AT_ONCE = 500


class Owners:
    """Look-ups of owners, made in a task of their own while somebody waits."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._wanted: dict[str, asyncio.Future[Owner | None]] = {}  # by the next look-up
        self._asking: asyncio.Task[None] | None = None

    async def owner_of(self, name: str) -> Owner | None:
        """See Membership; as of some moment after the call. Raises WireError."""
        found = self._wanted.get(name)
        if found is None:
            found = self._wanted[name] = asyncio.get_running_loop().create_future()
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="owners")
        return await asyncio.shield(found)  # another one may wait for it, too

    async def _ask(self) -> None:
        asked: dict[str, asyncio.Future[Owner | None]] = {}
        try:
            while self._wanted:
                asked = dict(islice(self._wanted.items(), _MAX_AT_ONCE))
                for name in asked:
                    del self._wanted[name]
                await self._ask_for(asked)
        finally:
            self._asking = None
            for found in (*asked.values(), *self._wanted.values()):
                found.cancel()  # only if this task was: nobody answers any more
            self._wanted.clear()

    async def _ask_for(self, asked: dict[str, asyncio.Future[Owner | None]]) -> None:
        try:
            owners = await self._membership.owners_of(list(asked))
        except Exception as error:
            for found in asked.values():
                found.set_exception(error)
                found.exception()  # whoever asked may be gone
        else:
            for found, owner in zip(asked.values(), owners, strict=True):
                found.set_result(owner)
