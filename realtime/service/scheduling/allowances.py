"""Allowances: tokens and requests per minute, by tenant. Pure.

A minute's allowance comes back evenly. Tokens are charged as they come, so a response may take more than is left, and
the next ones wait until it is back.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import msgspec

from realtime.settings.tenants import TenantLimits

_MINUTE = 60.0


class Allowance(NamedTuple):
    """The remainder of one limit, and the seconds until all of it is back."""

    name: Literal["requests", "tokens"]
    limit: int
    remaining: int
    reset_seconds: float


class _Bucket(msgspec.Struct):
    missing: float = 0.0
    at: float = 0.0

    def refill(self, limit: int, now: float) -> None:
        self.missing = max(0.0, self.missing - max(0.0, now - self.at) * limit / _MINUTE)
        self.at = now

    def shown(self, name: Literal["requests", "tokens"], limit: int, now: float) -> Allowance:
        self.refill(limit, now)
        reset = self.missing * _MINUTE / limit
        return Allowance(name, limit, max(0, math.floor(limit - self.missing)), round(reset, 3))

    def wait(self, limit: int, wanted: float) -> float:
        """Return the seconds until this much is there. For more than the limit: until all of it is there."""
        return max(0.0, self.missing - limit + min(wanted, limit)) * _MINUTE / limit


Kind = Literal["requests", "tokens"]


class Allowances:
    """All tenants' allowances. `taken`: what was taken here under limits; the caller tells other nodes of it and
    empties it.
    """

    def __init__(self) -> None:
        self._requests: dict[str, _Bucket] = {}
        self._tokens: dict[str, _Bucket] = {}
        self.taken: dict[tuple[Kind, str], int] = {}

    def take_elsewhere(self, kind: Kind, tenant: str, limits: TenantLimits, number: int, now: float) -> None:
        """Count what was taken on other nodes."""
        if kind == "requests":
            self._take(self._requests, tenant, limits.requests_per_minute, number, now)
        else:
            self._take(self._tokens, tenant, limits.tokens_per_minute, number, now)

    def wait(self, tenant: str, limits: TenantLimits, num_tokens: int, now: float) -> float:
        """Return the seconds until another request of about this size is allowed; 0: now."""
        wait = 0.0
        for buckets, limit, wanted in (
            (self._requests, limits.requests_per_minute, 1),
            (self._tokens, limits.tokens_per_minute, max(num_tokens, 1)),
        ):
            if limit is not None and (bucket := buckets.get(tenant)) is not None:
                bucket.refill(limit, now)
                wait = max(wait, bucket.wait(limit, wanted))
        return wait

    def take_request(self, tenant: str, limits: TenantLimits, now: float) -> None:
        """Count a request that was accepted."""
        self._take_here("requests", self._requests, tenant, limits.requests_per_minute, 1, now)

    def take_tokens(self, tenant: str, limits: TenantLimits, number: int, now: float) -> None:
        """Count tokens. A negative number gives back what was counted by an estimate."""
        self._take_here("tokens", self._tokens, tenant, limits.tokens_per_minute, number, now)

    def show(self, tenant: str, limits: TenantLimits, now: float) -> list[Allowance]:
        """Return what is left of each limit that is set."""
        found = []
        if (limit := limits.requests_per_minute) is not None:
            found.append(self._requests.get(tenant, _Bucket()).shown("requests", limit, now))
        if (limit := limits.tokens_per_minute) is not None:
            found.append(self._tokens.get(tenant, _Bucket()).shown("tokens", limit, now))
        return found

    def _take_here(
        self, kind: Kind, buckets: dict[str, _Bucket], tenant: str, limit: int | None, number: int, now: float
    ) -> None:  # fmt: skip
        if limit is None:
            buckets.pop(tenant, None)
            return
        self.taken[kind, tenant] = self.taken.get((kind, tenant), 0) + number
        self._take(buckets, tenant, limit, number, now)

    def _take(self, buckets: dict[str, _Bucket], tenant: str, limit: int | None, number: float, now: float) -> None:
        if limit is None:
            buckets.pop(tenant, None)
            return
        bucket = buckets.setdefault(tenant, _Bucket(at=now))
        bucket.refill(limit, now)
        bucket.missing = max(0.0, bucket.missing + number)
