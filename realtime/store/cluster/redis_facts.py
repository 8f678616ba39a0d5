"""Ask Redis about itself. What it does not let this user see is left out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from .backend import Denied, LiveLease, Refused
from .facts import StoreFacts, redis_concerns
from .round_trips import shortest

Call = Callable[..., Awaitable[Any]]


async def read_facts(call: Call, own: bytes) -> StoreFacts:
    """Return what there is. `call`: sends a command. `own`: begins the names of what is not in a space. Raises Away."""
    await call("PING")  # connects
    seconds = await shortest(lambda: call("PING"))
    there = await call("TIME")
    info = await _allowed(call, "INFO")
    info = info if isinstance(info, dict) else {}
    settings = await _allowed(call, "CONFIG GET", "save")
    save = settings.get("save") if isinstance(settings, dict) else None
    form = await call("GET", own + b"form")
    if form is None and await call("EXISTS", own + b"epoch"):
        form = b"1"
    valkey = info.get("valkey_version")
    return StoreFacts(
        product="Valkey" if valkey else "Redis",
        version=str(valkey or info.get("redis_version", "of a version that it does not tell")),
        form=int(form) if form is not None and form.isdigit() else None,
        clock=int(there[0]) + int(there[1]) / 1e6,
        seconds=seconds,
        leases=await _leases(call, own),
        max_bytes=int(info.get("maxmemory") or 0) or None,
        concerns=tuple(redis_concerns(info, save)),
    )


async def _leases(call: Call, own: bytes) -> tuple[LiveLease, ...]:
    """Return those that are live; nothing is cleared by the way, as `Backend.leases` does."""
    told = await call("HGETALL", own + b"told")
    found = []
    for node, said in dict(told).items():
        epoch = await call("GET", own + b"lease:" + node)
        if epoch is not None:
            found.append(LiveLease(node.decode(), int(epoch), said))
    return tuple(found)


async def _allowed(call: Call, *command: str) -> Any:
    """Return what it answers; None: it does not say that to this user, or to anybody."""
    try:
        return await call(*command)
    except (Denied, Refused):
        return None
