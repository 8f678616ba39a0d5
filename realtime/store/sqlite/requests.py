"""A `RequestStore` in the file. Uncommitted claims are found in memory."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from realtime.store.base import Claim
from realtime.store.packed.commits import Commits
from realtime.store.packed.reader import Reader

from .response_rows import ResponseRows

_Key = tuple[str, str]  # tenant, request id


class SqliteRequests:
    """A `RequestStore` in the file."""

    def __init__(self, rows: ResponseRows, commits: Commits, reader: Reader) -> None:
        self._rows = rows
        self._commits = commits
        self._reader = reader
        self._pending: dict[_Key, Claim] = {}  # not committed
        self._forgotten: dict[str, object] = {}  # responses whose claims are no more, not committed
        self._locks: WeakValueDictionary[_Key, asyncio.Lock] = WeakValueDictionary()

    async def find(self, tenant: str, request_id: str) -> Claim | None:
        """See RequestStore."""
        pending = self._pending.get((tenant, request_id))
        if pending is not None:
            return pending
        found = await self._reader.claim(tenant, request_id)
        if (pending := self._pending.get((tenant, request_id))) is not None:
            return pending
        return found if found is not None and found.response_id not in self._forgotten else None

    async def claim(self, tenant: str, request_id: str, claim: Claim, instead_of: Claim | None) -> Claim | None:
        """See RequestStore."""
        key = (tenant, request_id)
        async with self._locks.setdefault(key, asyncio.Lock()):  # nobody claims it while we look
            earlier = await self.find(tenant, request_id)
            if earlier is not None and earlier != instead_of:
                return earlier
            self._pending[key] = claim
            self._forgotten.pop(claim.response_id, None)
            self._commits.put(self._rows.claim, tenant, request_id, claim, after=lambda: self._settle(key, claim))
            return None

    def release(self, tenant: str, request_id: str, response_id: str) -> None:
        """See RequestStore."""
        key = (tenant, request_id)
        pending = self._pending.get(key)
        mine = pending is not None and pending.response_id == response_id
        token = self._hide(response_id) if mine else None
        self._commits.put(
            self._rows.release_claim_of, tenant, request_id, response_id, after=lambda: self._show(response_id, token)
        )

    def forget(self, response_id: str) -> None:
        """See RequestStore."""
        token = self._hide(response_id)
        self._commits.put(self._rows.release_claim, response_id, after=lambda: self._show(response_id, token))

    def _hide(self, response_id: str) -> object:
        """Note that a claim is gone, whatever the file has."""
        for key in [key for key, claim in self._pending.items() if claim.response_id == response_id]:
            del self._pending[key]
        token = self._forgotten[response_id] = object()
        return token

    def _show(self, response_id: str, token: object) -> None:
        if token is not None and self._forgotten.get(response_id) is token:
            del self._forgotten[response_id]

    def _settle(self, key: _Key, claim: Claim) -> None:
        if self._pending.get(key) is claim:
            del self._pending[key]
