"""Revocation: ends a client's sockets and requests when their key is removed, or when the time of their ticket is over.

One look at the keys file a second serves everything that is open, however many sockets that are. Without keys, and when
nothing is open, nobody looks. Each opened thing knows itself how it ends.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from realtime.runs.audience import CallLater, Timer
from realtime.service.principal import Principal
from realtime.service.timers import call_later

from .keys import KeyRing

LOOK_SECONDS = 1.0

logger = logging.getLogger("realtime.keys")


class Opened(Protocol):
    """Something that a client has opened: a socket, or a request that is being answered."""

    @property
    def principal(self) -> Principal:
        """Return the principal who has opened it, with the current key."""

    def revoke(self) -> None:
        """End: the key is gone."""


class Revocation:
    """Revocation of everything that clients have open. `ring`: None: there are no keys."""

    def __init__(
        self, ring: KeyRing | None, call_later: CallLater = call_later, clock: Callable[[], float] = time.time
    ) -> None:
        """clock: returns unix seconds."""
        self._ring = ring
        self._clock = clock
        self._call_later = call_later
        self._opened: dict[Opened, None] = {}  # in the order in which they were opened
        self._seen: int | None = None  # the version of the keys that all of these were held against
        self._timer: Timer | None = None

    @contextlib.contextmanager
    def watching(self, opened: Opened) -> Iterator[None]:
        """Revoke something when its key is gone or its ticket expires, at most once, for as long as it is open."""
        expiry = self._expiry(opened)
        try:
            with self._watching_key(opened):
                yield
        finally:
            if expiry is not None:
                expiry.cancel()

    def _expiry(self, opened: Opened) -> Timer | None:
        """Make the timer of a ticket."""
        grant = opened.principal.grant
        if grant is None:
            return None

        def expire() -> None:
            if opened.principal.grant == grant:  # else it has shown a key meanwhile
                self._opened.pop(opened, None)
                logger.info("ticket_expired tenant=%s", opened.principal.tenant)
                opened.revoke()

        return self._call_later(max(grant.expires_at - self._clock(), 0.0), expire)

    @contextlib.contextmanager
    def _watching_key(self, opened: Opened) -> Iterator[None]:
        if self._ring is None:
            yield
            return
        if not self._ring.holds(opened.principal):  # gone since it was admitted
            self._seen = None
        self._opened[opened] = None
        if self._timer is None:
            self._timer = self._call_later(LOOK_SECONDS, self._look)
        try:
            yield
        finally:
            self._opened.pop(opened, None)
            if not self._opened and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _look(self) -> None:
        assert self._ring is not None
        self._timer = self._call_later(LOOK_SECONDS, self._look)
        version = self._ring.follow()
        if version == self._seen:
            return
        for opened in list(self._opened):
            if opened in self._opened and not self._ring.holds(opened.principal):
                del self._opened[opened]
                logger.info("key_revoked tenant=%s", opened.principal.tenant)
                opened.revoke()
        self._seen = version
