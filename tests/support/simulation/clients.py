"""The clients of a simulated cluster: what they ask, where they go when a node is gone, and what they note."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from websockets.exceptions import WebSocketException

from tests.support.cluster_history import TERMINALS, UNKNOWN, Answer, History, Reading, Receipt
from tests.support.server import Client, dial

from . import http
from .loop import SimulatedLoop
from .node import SimulatedNode

GONE = (WebSocketException, OSError, TimeoutError, EOFError, http.Gone, asyncio.IncompleteReadError)
QUIET_SECONDS = 8.0  # after which a reader takes its node for lost
_PATIENCE = 150.0  # for which somebody tries
_TAKEN_BACK = {"epoch_mismatch", "cursor_ahead", "cursor_too_old", "slow_reader", "server_restarted"}
_RETRIED = {
    "node_unavailable", "store_unavailable", "server_is_overloaded", "engine_unavailable", "server_draining",
    "conversation_locked", "draining",
}  # fmt: skip


class Refused(Exception):
    """An error that is not to be tried again."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Clients:
    """See the module. `nodes`: that there are now."""

    def __init__(
        self, loop: SimulatedLoop, rng: random.Random, history: History, nodes: Callable[[], Sequence[SimulatedNode]]
    ) -> None:
        self.history = history
        self.known: dict[str, str] = {}  # responses -> the text that they answer
        self.outputs: dict[str, list[dict[str, Any]]] = {}  # of those that are over
        self.codes: set[str] = set()  # of the errors that anybody had
        self._loop = loop
        self._rng = rng
        self._nodes = nodes
        self._number = 0

    @property
    def now(self) -> float:
        """Return the time."""
        return self._loop.time()

    def is_retried(self, code: str) -> bool:
        """Return whether a client tries again after this error, and note it if not."""
        if code not in _RETRIED:
            self.codes.add(code)
        return code in _RETRIED

    def node(self) -> SimulatedNode:
        """Choose a node, which may be dead."""
        return self._rng.choice(list(self._nodes()))

    # -- creating

    async def create(self, node: SimulatedNode, text: str, members: dict[str, Any]) -> None:
        """Ask on a socket, and read the answer to its end, wherever that takes it."""
        until, named = self._loop.time() + _PATIENCE, "request_id" in members
        while self._loop.time() < until:
            reading = None
            with contextlib.suppress(*GONE):
                async with self.dial(node) as client:
                    await client.send("response.create", input=text, **members)
                    event = await self.answer(client)
                    code = (event.get("error") or {}).get("code")
                    if code is None:
                        reading = self.begun(node, event, text, members)
                        await self.take(client, reading)
                    elif not self.is_retried(code):
                        return
            if reading is not None:
                await self.follow(reading)
                return
            if not named:
                return
            await asyncio.sleep(0.3)
            node = self.node()
        self.give_up(f"create {text}")

    def begun(self, node: SimulatedNode, event: dict[str, Any], text: str, members: dict[str, Any]) -> Reading:
        """Note a response that was begun, by its first event. Return the reading of it."""
        assert event["type"] == "response.created", event
        self.told(node, event["response_id"], text, members)
        reading = self._reading(node, event["response_id"], 0)
        reading.epoch = event["epoch"]
        self.note(reading, event["raw"])
        return reading

    async def post(self, node: SimulatedNode, text: str, members: dict[str, Any]) -> None:
        """Ask over HTTP, and wait for the answer, if it is not one in the background."""
        until, named = self._loop.time() + _PATIENCE, "request_id" in members
        while self._loop.time() < until:
            try:
                reply = await http.request(node.port, "POST", "/v1/responses", {"input": text, **members}, 60)
            except GONE:
                reply = None
            if reply is not None and reply.status == 200:
                response = reply.json
                self.told(node, response["id"], text, members)
                if response["status"] not in ("queued", "in_progress"):
                    self._receipt("terminal", response)
                return
            if reply is not None and not self.is_retried(reply.code):
                return
            if not named:
                return
            await asyncio.sleep(0.3)
            node = self.node()
        self.give_up(f"post {text}")

    def told(self, node: SimulatedNode, response_id: str, text: str, members: dict[str, Any]) -> None:
        """Note that a response was acknowledged."""
        now = self._loop.time()
        self.history.answers.append(Answer(text, response_id, now, node.name, members.get("request_id")))
        self.known.setdefault(response_id, text)
        if members.get("store") is False:
            self.history.unstored.add(response_id)

    # -- reading

    async def follow(self, reading: Reading) -> None:
        """Read to the end, on one node after another."""
        until = self._loop.time() + _PATIENCE
        while not reading.over and self._loop.time() < until:
            node, code = self.node(), None
            reading.node = node.name
            with contextlib.suppress(*GONE):
                if self._rng.random() < 0.3:
                    code = await self._stream(node, reading)
                else:
                    knew = reading.epoch is not None
                    code = await self._resume(node, reading)
                    reading.refused = code if knew else None
            if code in _TAKEN_BACK:
                reading.told = code
                self.codes.add(str(code))
                if code == "server_restarted":
                    return
                reading = self._reading(node, reading.response_id, 0)
            elif code is not None and code not in _RETRIED:
                reading.told = code
                self.codes.add(code)
                return
            if not reading.over:
                await asyncio.sleep(0.2)
        if not reading.over:
            self.give_up(f"{reading.reader} of {reading.response_id} at {reading.next}")

    def begin_at(self, node: SimulatedNode, response_id: str, first: int) -> Reading:
        """Begin to read in the middle."""
        return self._reading(node, response_id, first)

    async def _resume(self, node: SimulatedNode, reading: Reading) -> str | None:
        """Resume on a socket. Return the code of the refusal."""
        async with self.dial(node) as client:
            epoch = {"epoch": reading.epoch} if reading.epoch is not None else {}
            await client.send(
                "response.resume", response_id=reading.response_id, starting_after=reading.next - 1, **epoch
            )
            event = await self.answer(client)
            if event["type"] == "error":
                return str(event["error"]["code"])
            assert event["type"] == "response.resumed", event
            if reading.next <= event["resumed"]["tip"]:
                reading.confirmed, reading.confirmed_at = len(reading.events), self._loop.time()
            reading.epoch = event["resumed"]["epoch"]
            if reading.events and json.loads(reading.events[-1])["done"]:
                reading.over = True
                return None
            return await self.take(client, reading)

    async def _stream(self, node: SimulatedNode, reading: Reading) -> str | None:
        """The same over HTTP."""
        path = f"/v1/responses/{reading.response_id}?stream=true&starting_after={reading.next - 1}"
        async with asyncio.timeout(QUIET_SECONDS):
            status, events = await http.stream(node.port, path)
            parts = [event async for event in events] if status != 200 else []
        if status != 200:
            return str(json.loads(b"".join(parts))["error"]["code"])
        reading.epoch = None  # that of these events is not told over HTTP
        return await self.take_stream(events, reading)

    async def take_stream(self, events: AsyncIterator[bytes], reading: Reading) -> str | None:
        """Take the events of a stream to its end. Return the code of an error that comes instead."""
        while not reading.over:
            async with asyncio.timeout(QUIET_SECONDS):
                event = await anext(events, None)
            if event is None:
                return None
            head = json.loads(event)
            if head["type"] == "error":
                return str((head.get("error") or head)["code"])
            if "response_id" in head:
                self.note(reading, event)
        return None

    async def take(self, client: Client, reading: Reading) -> str | None:
        """Take events to the end. Return the code of an error that comes instead."""
        while not reading.over:
            raw = await client.receive_raw(QUIET_SECONDS)
            event = json.loads(raw)
            if event["type"] == "error":
                return str(event["error"]["code"])
            if event["type"] == "response.resumed" and event["resumed"]["response_id"] == reading.response_id:
                reading.epoch = event["resumed"]["epoch"]  # it goes on as another sample
            elif event.get("response_id") == reading.response_id and "sequence_number" in event:
                self.note(reading, raw.encode())
        return None

    def note(self, reading: Reading, raw: bytes) -> None:
        """Note the next event of a reading."""
        event = json.loads(raw)
        if event["sequence_number"] != reading.next:
            self.history.errors.append(
                f"{reading.response_id}: {reading.reader} had {event['sequence_number']}, where {reading.next} comes"
            )
        if reading.epoch is not None:
            self.history.heard.setdefault((reading.response_id, reading.epoch, reading.next), set()).add(raw)
        reading.events.append(raw)
        reading.at.append(self._loop.time())
        reading.by.append(reading.node)
        reading.over = event["done"]
        if event["type"] in TERMINALS:
            self._receipt("terminal", event["response"])

    def _reading(self, node: SimulatedNode, response_id: str, first: int) -> Reading:
        self._number += 1
        reading = Reading(f"reader {self._number}", response_id, first, node=node.name)
        self.history.readings.append(reading)
        return reading

    # -- changing

    async def stop(self, node: SimulatedNode, response_id: str, how: str, num_heard: int | None) -> None:
        """Stop a response, after so many events were heard, or at once; and take the receipt."""
        with contextlib.suppress(*GONE):
            async with self.dial(node) as client:
                if num_heard is not None:
                    await client.send("response.resume", response_id=response_id, starting_after=-1)
                    if (await self.answer(client))["type"] == "error":
                        return
                    for _ in range(num_heard):
                        if json.loads(await client.receive_raw(QUIET_SECONDS))["done"]:
                            return
                    await client.send("response.ack", response_id=response_id, through=num_heard - 1)
                    if how == "cancel":
                        self.history.maybe_cut.add(response_id)
                await client.send(f"response.{how}", response_id=response_id)
                await self._take_end(client, response_id)

    async def _take_end(self, client: Client, response_id: str) -> None:
        while True:
            event = json.loads(await client.receive_raw(QUIET_SECONDS))
            if event["type"] == "error":
                return None
            if event["type"] == "response.truncated":
                self.history.maybe_cut.discard(response_id)
                return self._receipt("truncated", event["response"])
            if event["type"] in TERMINALS and event["response_id"] == response_id:
                return self._receipt("terminal", event["response"])

    async def steer(self, node: SimulatedNode, response_id: str, text: str) -> None:
        """Have a response end, and another one go on from it with this."""
        reading = None
        with contextlib.suppress(*GONE):
            async with self.dial(node) as client:
                await client.send("response.steer", previous_response_id=response_id, input=text)
                while True:
                    raw = await client.receive_raw(QUIET_SECONDS)
                    event = json.loads(raw)
                    if event["type"] in ("error", "response.steer.failed"):
                        return
                    if event["type"] == "response.created" and event["response_id"] != response_id:
                        break
                reading = self.begun(node, {**event, "raw": raw.encode()}, text, {})
                await self.take(client, reading)
        if reading is not None:
            await self.follow(reading)

    async def change(self, node: SimulatedNode, method: str, path: str, body: Any = None) -> Any:
        """Ask for a change over HTTP. Return what it made; None: it was refused, or nobody knows."""
        try:
            reply = await http.request(node.port, method, path, body, 35)
        except GONE:
            return None
        if reply.status != 200:
            self.codes.add(reply.code)
            return None
        return reply.json

    async def cancel(self, node: SimulatedNode, response_id: str) -> None:
        """Cancel over HTTP."""
        response = await self.change(node, "POST", f"/v1/responses/{response_id}/cancel")
        if response is not None and response["status"] not in ("queued", "in_progress"):
            self._receipt("terminal", response)

    async def truncate(self, node: SimulatedNode, response_id: str) -> None:
        """Cut what is over after a few characters."""
        output = self.outputs.get(response_id)
        if not output or output[0]["type"] != "message":
            return
        body = {"item_id": output[0]["id"], "num_characters": self._rng.randint(0, 9)}
        response = await self.change(node, "POST", f"/v1/responses/{response_id}/truncate", body)
        if response is not None:
            self._receipt("truncated", response)
        else:
            self.history.maybe_cut.add(response_id)

    async def delete(self, node: SimulatedNode, response_id: str) -> None:
        """Delete a response; from when it is asked it may be gone."""
        deleted = await self.change(node, "DELETE", f"/v1/responses/{response_id}")
        at = self._loop.time() if deleted is not None else UNKNOWN
        self.history.deleted.append((response_id, at))
        if deleted is not None:
            await self._look_for(response_id, at)

    async def _look_for(self, response_id: str, deleted: float) -> None:
        """Look a moment later whether any node still shows what is deleted."""
        await asyncio.sleep(0.2)
        node = self.node()
        with contextlib.suppress(*GONE):
            reply = await http.request(node.port, "GET", f"/v1/responses/{response_id}")
            if reply.status == 200:
                self.history.shown.append((response_id, deleted, node.name))

    async def converse(self, node: SimulatedNode) -> str | None:
        """Begin a conversation; return its id."""
        made = await self.change(node, "POST", "/v1/conversations", {})
        return str(made["id"]) if made is not None else None

    # -- parts

    @contextlib.asynccontextmanager
    async def dial(self, node: SimulatedNode) -> AsyncIterator[Client]:
        """Connect to a node."""
        async with dial(node.url, native=True, open_timeout=3, close_timeout=1) as client:
            yield client

    async def answer(self, client: Client) -> dict[str, Any]:
        """Return the answer to what was asked: an error, a resume or the first event."""
        while True:
            raw = await client.receive_raw(QUIET_SECONDS * 2)
            event: dict[str, Any] = json.loads(raw)
            if event["type"] in ("error", "response.resumed", "response.created"):
                return {**event, "raw": raw.encode()}

    def _receipt(self, kind: str, response: dict[str, Any]) -> None:
        self.history.receipts.append(Receipt(kind, response, self._loop.time()))
        self.outputs[response["id"]] = response["output"]

    def give_up(self, what: str) -> None:
        """Note that something never came to an end."""
        self.history.unfinished.append(what)
