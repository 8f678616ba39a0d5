"""The classes of service: interactive, default, batch. Pure.

Classes share contended service by weight, so that none starves, and a class that has waited for nothing goes first:
a lone interactive request passes every batch job, and a flood of interactive ones leaves batch a little.
"""

from __future__ import annotations

from collections.abc import Container

from realtime.runs.job import ServiceClass

SHARES = {ServiceClass.INTERACTIVE: 64.0, ServiceClass.DEFAULT: 8.0, ServiceClass.BATCH: 1.0}
_CLASSES = {"priority": ServiceClass.INTERACTIVE, "flex": ServiceClass.BATCH}


def granted_tier(asked: str | None, may: Container[str]) -> str:
    """Return the tier at which a request is served. `may`: those that the tenant may ask for."""
    return asked if asked in _CLASSES and asked in may else "default"


def class_of(tier: str, *, background: bool) -> ServiceClass:
    """Return a response's class. `tier`: the granted one. Nobody waits for a background response."""
    return ServiceClass.BATCH if background else _CLASSES.get(tier, ServiceClass.DEFAULT)
