"""Claims of request ids in memory. Pure."""

from __future__ import annotations

from realtime.store.base import Claim


class MemoryRequests:
    """A `RequestStore`."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str], Claim] = {}
        self._keys: dict[str, tuple[str, str]] = {}  # response id -> whose claim it is

    def __len__(self) -> int:
        return len(self._claims)

    async def find(self, tenant: str, request_id: str) -> Claim | None:
        """See RequestStore."""
        return self._claims.get((tenant, request_id))

    async def claim(self, tenant: str, request_id: str, claim: Claim, instead_of: Claim | None) -> Claim | None:
        """See RequestStore."""
        key = (tenant, request_id)
        earlier = self._claims.get(key)
        if earlier is not None and earlier != instead_of:
            return earlier
        if earlier is not None:
            self._keys.pop(earlier.response_id, None)
        self._claims[key] = claim
        self._keys[claim.response_id] = key
        return None

    def release(self, tenant: str, request_id: str, response_id: str) -> None:
        """See RequestStore."""
        if self._keys.get(response_id) == (tenant, request_id):
            self.forget(response_id)

    def forget(self, response_id: str) -> None:
        """See RequestStore."""
        key = self._keys.pop(response_id, None)
        if key is not None:
            del self._claims[key]
