"""`realtime store delete` in a cluster: each node that lives forgets what it has of a tenant, and this process what no
live node has; for as long as that takes it is a node that is asked for nothing. Then it looks for what is left.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable

import msgspec

from realtime.service.forgetting import Forgetting
from realtime.service.forgotten import Forgotten
from realtime.service.registry import Registry
from realtime.settings.fields import Settings
from realtime.store.cluster.backend import Backend, Refused
from realtime.store.cluster.membership import CannotJoin, Peer
from realtime.store.cluster.stores import Opened, make_backend, open_cluster
from realtime.store.cluster.urls import shown
from realtime.store.packed.bounds import bounds_of
from realtime.wire.errors import WireError

from .cluster_settings import Node, configured_node
from .peers import messages
from .peers.link import Link

_MANY = 100_000
_MAX_PASSES = 3  # over all nodes: what one had is another's when the first was lost meanwhile


def delete_in_cluster(settings: Settings, tenant: str) -> int:
    """Delete all that is a tenant's, and say what that was. The exit status is 1 if something is left. Raises
    SettingsError, and CannotJoin.
    """
    url, name = settings.cluster.cluster, f"d{secrets.token_hex(5)}"  # the name of no node
    assert url is not None
    me = configured_node(msgspec.structs.replace(settings.cluster, node=name), settings.server, settings.server.port)
    assert me is not None
    try:
        backend = make_backend(url)
    except Refused as error:
        raise CannotJoin(f"{shown(url)} can't be used as the cluster's store: {error}") from None
    return asyncio.run(Deletion(settings, me, tenant).run(backend, shown(url)))


def _print(line: str) -> None:
    print(line, file=sys.stderr)


class Deletion:
    """One deletion. `me`: this process, as the nodes are told of it. `say`: prints a line."""

    def __init__(self, settings: Settings, me: Node, tenant: str, say: Callable[[str], None] = _print) -> None:
        self._settings = settings
        self._me = me
        self._tenant = tenant
        self._say = say

    async def run(self, backend: Backend, name: str = "this") -> int:
        """Delete, and look. The exit status is 1 if something is left. `name`: of the store. Raises CannotJoin."""
        bounds, store = bounds_of(self._settings.responses), self._settings.store
        opened = await asyncio.to_thread(open_cluster, backend, self._me.name, "", bounds, store, name=name)
        try:
            await opened.node.join()
            return await self._delete(opened)
        except WireError as error:
            self._say(f"not all is deleted: {error.message}")
            return 1
        finally:
            await asyncio.to_thread(opened.stores.close)

    async def _delete(self, opened: Opened) -> int:
        here = Forgetting(Registry(opened.stores.responses, 0.0), opened.stores, opened.node)
        done, failed = Forgotten(), dict[str, str]()
        for _ in range(_MAX_PASSES):
            found = Forgotten()
            for peer in opened.node.peers().values():
                found += await self._at(peer, failed)
            found += await _all(lambda: here.forget(self._tenant))
            done += found
            if not found:
                break
        self._say(
            f"deleted {done.num_responses} responses and {done.num_conversations} conversations of {self._tenant}"
        )
        for node, why in failed.items():
            self._say(f"node {node} was not asked, so what it has is left: {why}")
        async for _ in opened.node.orphans(_MANY):
            pass  # to look clears the journals of nodes that are gone
        left = await here.has(self._tenant)
        if left and not failed:
            self._say("something is left, made meanwhile: remove the API key first, then delete again")
        return int(left or bool(failed))

    async def _at(self, peer: Peer, failed: dict[str, str]) -> Forgotten:
        """Have another node forget all that it has. failed: why it could not be asked."""
        link = Link(self._me, lambda: 0, peer, self._settings.connections.max_message_bytes)

        async def ask() -> Forgotten:
            answer = await link.call(lambda number: messages.Forget(number, self._tenant))
            assert isinstance(answer, messages.Forgot)
            return answer.forgotten

        failed.pop(peer.node, None)
        try:
            return await _all(ask)
        except WireError as error:
            failed[peer.node] = error.message
            return Forgotten()
        finally:
            await link.close()


async def _all(part: Callable[[], Awaitable[Forgotten]]) -> Forgotten:
    """Have one part after the other forgotten, until there is nothing more."""
    done = Forgotten()
    while found := await part():
        done += found
    return done
