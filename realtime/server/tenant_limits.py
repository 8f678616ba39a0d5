"""Each tenant's limits: from the keys file, else from the table in the settings. A running server follows both.

The scheduler asks for each decision, so nothing here costs more than a look-up. Files are checked for changes at most
once a second, and only when somebody asks.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from realtime.settings.sources import SettingsError, tenants_in
from realtime.settings.tenants import EVERYBODY, UNLIMITED, TenantLimits

from .keys import KeyRing, stamp_of

logger = logging.getLogger("realtime.limits")

LOOK_SECONDS = 1.0


class LimitsByTenant:
    """The limits of all tenants. ring: None: there are no keys. table: the settings', by tenant. config: the file that
    the table came from, if it came from one.
    """

    def __init__(
        self,
        ring: KeyRing | None,
        table: Mapping[str, TenantLimits],
        config: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ring = ring
        self._table = dict(table)
        self._config = config
        self._clock = clock
        self._stamp = stamp_of(config) if config is not None else None
        self._looked_at = -math.inf

    def of(self, tenant: str) -> TenantLimits:
        """Return a tenant's limits."""
        now = self._clock()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._follow()
        own = self._ring.limits_of(tenant) if self._ring is not None else None
        if own is not None:
            return own
        return self._table.get(tenant) or self._table.get(EVERYBODY) or UNLIMITED

    def _follow(self) -> None:
        if self._ring is not None:
            self._ring.follow()
        if self._config is None or (stamp := stamp_of(self._config)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._table = tenants_in(self._config)
        except SettingsError as error:
            logger.error("limits_not_reloaded reason=%s", error)
        else:
            logger.info("limits_reloaded num_tenants=%d", len(self._table))


def config_file(source: str, config: str | None) -> Path | None:
    """Return the file to follow, if the table came from one or from nowhere. `source`: where it came from, as in
    Effective.
    """
    path = config or os.environ.get("REALTIME_CONFIG")
    return Path(path) if path is not None and (source == "default" or source.startswith("file ")) else None
