"""The other nodes, as the service asks them. The membership says which are live; each has a link once it was asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import msgspec

from realtime.observability.cluster_metrics import ClusterMetrics
from realtime.observability.instruments import Tally
from realtime.service.directory import OtherNode, RemoteCut
from realtime.service.intake import Asked
from realtime.service.list_pages import PagePart, PageQuery
from realtime.service.principal import Principal
from realtime.service.remote import Attendance, Remote
from realtime.store.cluster.membership import Membership, Peer
from realtime.store.copied_log import State
from realtime.store.shelves import Place as ListPlace
from realtime.wire import codec
from realtime.wire.errors import WireError
from realtime.wire.requests import Place, StopKind, Through, Truncation
from realtime.wire.response import Response

from ..cluster_settings import Node
from . import messages
from .copies import Copies, Copy, Upstream
from .link import Link, Over, Replied
from .messages import Answer, Ask, Done, Listed

_decode_response = msgspec.json.Decoder(Response).decode


class PeerNodes:
    """The other nodes. Implements the directory's `Nodes`."""

    def __init__(
        self, me: Node, membership: Membership, copies: Copies, max_bytes: int, metrics: ClusterMetrics
    ) -> None:
        """max_bytes: see Link."""
        self._me = me
        self._membership = membership
        self._copies = copies
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._nodes: dict[str, PeerNode] = {}

    def live(self) -> list[PeerNode]:
        """See Nodes."""
        return [node for name in self._membership.peers() if (node := self.get(name)) is not None]

    @property
    def copies(self) -> Mapping[str, Remote]:
        """See Nodes."""
        return self._copies.remotes

    @property
    def num_links(self) -> int:
        """Return how many others this node is connected to."""
        return sum(node.connected for node in self._nodes.values())

    def get(self, name: str, epoch: int | None = None) -> PeerNode | None:
        """See Nodes."""
        peer = self._membership.peers().get(name)
        if peer is None or not peer.url or (epoch is not None and peer.epoch != epoch):
            return None
        node = self._nodes.get(name)
        if node is None or (node.peer.epoch, node.peer.url) != (peer.epoch, peer.url):
            if node is not None:
                node.retire()
            link = Link(self._me, lambda: self._membership.epoch, peer, self._max_bytes, self._metrics)
            node = self._nodes[name] = PeerNode(peer, link, self._metrics)
        return node

    async def follow(self, principal: Principal, response_id: str, node: OtherNode, *, created: bool = False) -> Remote:
        """See Nodes."""
        assert isinstance(node, PeerNode)
        return await self._copies.follow(principal, response_id, node, created=created)

    async def tell_all(self) -> None:
        """Tell all other nodes that can be reached to look for what was left."""
        await asyncio.gather(*(node.look() for node in self.live()))

    async def close(self) -> None:
        """Close the copies and the links."""
        await self._copies.close()
        nodes, self._nodes = list(self._nodes.values()), {}
        await asyncio.gather(*(node.close() for node in nodes))


class PeerNode:
    """One other node: an `OtherNode` of the directory, which copies follow."""

    def __init__(self, peer: Peer, link: Link, metrics: ClusterMetrics) -> None:
        self.peer = peer
        self._link = link
        self._metrics = metrics
        self._retiring: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """See OtherNode."""
        return self.peer.node

    @property
    def connected(self) -> bool:
        """Return whether there is a connection to it."""
        return self._link.connected

    async def create(self, principal: Principal, asked: Asked) -> str:
        """See OtherNode."""
        request, given = messages.encode_request(asked.request), codec.encode(list(asked.given))
        answer = await self._link.call(
            lambda number: messages.Create(number, principal, request, given, asked.native, asked.origin)
        )
        return _done(answer).response_id

    async def stop(
        self, principal: Principal, response_id: str, how: StopKind, delivered: int | None, through: int | None
    ) -> None:
        """See OtherNode."""
        await self._link.call(lambda number: messages.Stop(number, principal, response_id, how, delivered, through))

    async def cancel_or_truncate(
        self, principal: Principal, response_id: str, through: int, delivered: int | None
    ) -> RemoteCut | None:
        """See OtherNode."""
        answer = _done(
            await self._link.call(
                lambda number: messages.Stop(number, principal, response_id, "cancel", delivered, through, True)
            )
        )
        return _cut(answer) if answer.response else None

    async def truncate(
        self, principal: Principal, response_id: str, place: Place, delivered: int | None, *, here: bool
    ) -> RemoteCut:
        """See OtherNode."""
        said = _said(place)
        answer = await self._link.call(
            lambda number: messages.Truncate(number, principal, response_id, said, delivered, here)
        )
        return _cut(_done(answer))

    async def settle(self, response_id: str) -> None:
        """See OtherNode."""
        await self._link.call(lambda number: messages.Settle(number, response_id))

    async def running(self, principal: Principal, wanted: PageQuery, after: ListPlace | None) -> PagePart:
        """See OtherNode."""
        answer = await self._link.call(lambda number: messages.ListRunning(number, principal, wanted, after))
        assert isinstance(answer, Listed)
        shown = map(msgspec.Raw, answer.responses)
        return PagePart(dict(zip(answer.places, shown, strict=True)), answer.more)

    async def place(self, principal: Principal, response_id: str) -> ListPlace | None:
        """See OtherNode."""
        answer = await self._link.call(lambda number: messages.FindPlace(number, principal, response_id))
        assert isinstance(answer, Listed)
        return answer.places[0] if answer.places else None

    async def answer(self, make: Ask) -> Answer:
        """Have the node answer an HTTP request. Raises WireError."""
        answer = await self._link.call(lambda number: msgspec.structs.replace(make, number=number))
        assert isinstance(answer, Answer)
        return answer

    async def open(
        self, principal: Principal, response_id: str, copy: Copy, start: int | None, epoch: str | None, how: Attendance
    ) -> tuple[Upstream, State, Response]:
        """See Following."""
        feed = _Feed(self._link, copy, self._metrics.copied_events)
        number, began = await self._link.follow(
            lambda number: messages.Follow(number, principal, response_id, start, epoch, how), feed
        )
        feed.number = number
        return feed, began.state, _decode_response(began.response)

    async def look(self) -> None:
        """Tell the node to look for what was left, if it can be reached."""
        with contextlib.suppress(WireError, OSError):
            await self._link.tell(messages.Look())

    def retire(self) -> None:
        """Close the link in the background: the node has another epoch by now."""
        self._retiring = asyncio.create_task(self.close())

    async def close(self) -> None:
        """Close the link."""
        await self._link.close()


class _Feed:
    """The events of one follow on their way to their copy. An `Upstream`. `number`: of the follow."""

    def __init__(self, link: Link, copy: Copy, copied_events: Tally) -> None:
        self.number = 0
        self._copied_events = copied_events
        self.over: asyncio.Future[Over] = asyncio.get_running_loop().create_future()
        self._link = link
        self._copy = copy
        self._waiting: list[tuple[int, list[bytes]]] | None = []  # until the copy takes them

    def begin(self) -> None:
        """See Upstream."""
        waiting, self._waiting = self._waiting, None
        for first, entries in waiting or ():
            self._copy.entries(first, entries)

    def entries(self, first: int, entries: list[bytes]) -> None:
        """See Feed."""
        self._copied_events.add(len(entries))
        if self._waiting is not None:
            self._waiting.append((first, entries))
        else:
            self._copy.entries(first, entries)

    def end(self, why: Over) -> None:
        """See Feed."""
        if not self.over.done():
            self.over.set_result(why)

    def attend(self, how: Attendance, detached: bool) -> None:
        """See Upstream."""
        self._link.send(messages.Attend(self.number, how, detached))

    def close(self) -> None:
        """See Upstream."""
        self._link.drop(self.number)
        self.attend("left", True)
        self.end("left")


def _done(answer: Replied) -> Done:
    assert isinstance(answer, Done)
    return answer


def _cut(answer: Done) -> RemoteCut:
    return RemoteCut(_decode_response(answer.response), answer.ended)


def _said(place: Place) -> Truncation:
    if isinstance(place, Through):
        return Truncation(through=place.number)
    return Truncation(item_id=place.item_id, content_index=place.content_index, num_characters=place.num_characters)
