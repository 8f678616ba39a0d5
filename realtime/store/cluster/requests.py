"""A `RequestStore` that the nodes share. The common store decides a claim, so a claim is known after a round trip."""

from __future__ import annotations

import asyncio

from realtime.store.base import Claim
from realtime.store.packed.commits import Commits
from realtime.store.packed.reader import Reader
from realtime.wire.errors import store_unavailable

from .response_rows import ResponseRows

_Key = str | tuple[str, str, str]  # a response, or a tenant's request and a response


class ClusterRequests:
    """A `RequestStore` that the nodes share."""

    def __init__(self, rows: ResponseRows, commits: Commits, reader: Reader) -> None:
        self._rows = rows
        self._commits = commits
        self._reader = reader
        self._forgotten: dict[_Key, object] = {}  # claims that are no more, not committed
        self._waiting: set[_Settled] = set()  # for their claims

    async def find(self, tenant: str, request_id: str) -> Claim | None:
        """See RequestStore."""
        found = await self._reader.claim(tenant, request_id)
        if found is None:
            return None
        hidden = {found.response_id, (tenant, request_id, found.response_id)} & self._forgotten.keys()
        return None if hidden else found

    async def claim(self, tenant: str, request_id: str, claim: Claim, instead_of: Claim | None) -> Claim | None:
        """Claim a request; see RequestStore. The claim follows all earlier writes, so that one that is given up is
        released for good.
        """
        answer: list[Claim | None] = []
        settled = _Settled()
        self._forgotten.pop(claim.response_id, None)
        self._commits.put(self._rows.claim, tenant, request_id, claim, instead_of, answer, after=settled.settle)
        self._commits.flush()  # somebody waits for it
        self._waiting.add(settled)
        try:
            await settled.wait()
        finally:
            self._waiting.discard(settled)
        if not answer:  # the step failed
            raise store_unavailable()
        return answer[0]

    def release(self, tenant: str, request_id: str, response_id: str) -> None:
        """See RequestStore."""
        key = (tenant, request_id, response_id)
        token = self._hide(key)
        self._commits.put(self._rows.release_claim_of, *key, after=lambda: self._show(key, token))

    def forget(self, response_id: str) -> None:
        """See RequestStore."""
        token = self._hide(response_id)
        self._commits.put(self._rows.release_claim, response_id, after=lambda: self._show(response_id, token))

    def reset(self) -> None:
        """Drop everything that was written or is to be."""
        self._forgotten.clear()
        for one in self._waiting:
            one.fail()

    def _hide(self, key: _Key) -> object:
        token = self._forgotten[key] = object()
        return token

    def _show(self, key: _Key, token: object) -> None:
        if self._forgotten.get(key) is token:
            del self._forgotten[key]


class _Settled:
    """A commit that a caller may wait for."""

    def __init__(self) -> None:
        self._is_there = False
        self._waiting: asyncio.Future[None] | None = None

    def settle(self) -> None:
        """Note that it is committed."""
        self._is_there = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def fail(self) -> None:
        """Note that it never will be committed."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(store_unavailable())

    async def wait(self) -> None:
        """Wait for it. Raises WireError."""
        if not self._is_there:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
