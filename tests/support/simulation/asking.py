"""More ways to ask: several responses in order on one socket, a stream by POST, and the same again at another node."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from tests.support.cluster_history import Reading
from tests.support.server import Client

from . import http
from .clients import GONE, QUIET_SECONDS, Clients
from .node import SimulatedNode


class Asking:
    """See the module."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._history = clients.history

    async def in_lanes(self, node: SimulatedNode, texts: list[str], lanes: list[str], members: dict[str, Any]) -> None:
        """Ask for several on one socket, each in one of its lanes, and read what comes, wherever that takes it."""
        lane_of, readings = dict(zip(texts, lanes, strict=True)), list[Reading]()
        with contextlib.suppress(*GONE):
            async with self._clients.dial(node) as client:
                for text, lane in lane_of.items():
                    await client.send("response.create", input=text, stream_id=lane, **members)
                await self._take_all(client, node, lane_of, readings)
        await asyncio.gather(*(self._clients.follow(reading) for reading in readings if not reading.over))

    async def _take_all(
        self, client: Client, node: SimulatedNode, lane_of: dict[str, str], readings: list[Reading]
    ) -> None:
        waiting = {lane: [text for text in lane_of if lane_of[text] == lane] for lane in lane_of.values()}
        running: dict[str, Reading] = {}  # by lane
        while running or any(waiting.values()):
            raw = await client.receive_raw(QUIET_SECONDS)
            event = json.loads(raw)
            lane = event.get("stream_id")
            if event["type"] == "error":
                if lane is None:
                    return
                if running.pop(lane, None) is None:  # else it can't be followed here any more
                    waiting[lane][:1] = []
            elif event["type"] == "response.created" and event["sequence_number"] == 0:
                if lane in running:
                    self._history.errors.append(
                        f"{event['response_id']} began before {running[lane].response_id} ended"
                    )
                text = waiting[lane].pop(0)
                running[lane] = reading = self._clients.begun(node, {**event, "raw": raw.encode()}, text, {})
                readings.append(reading)
            elif event["type"] == "response.resumed":  # it goes on as another sample
                for reading in running.values():
                    if reading.response_id == event["resumed"]["response_id"]:
                        reading.epoch = event["resumed"]["epoch"]
            elif "sequence_number" in event and lane in running:
                reading = running[lane]
                if event["response_id"] != reading.response_id:
                    self._history.errors.append(f"lane {lane} has {event['response_id']} and {reading.response_id}")
                self._clients.note(reading, raw.encode())
                if reading.over:
                    del running[lane]

    async def by_post(self, node: SimulatedNode, text: str, members: dict[str, Any]) -> None:
        """Ask for a stream by POST; when it breaks off, read on wherever that is possible."""
        until, named = self._clients.now + 150.0, "request_id" in members
        while self._clients.now < until:
            reading = None
            with contextlib.suppress(*GONE):
                body = {"input": text, "stream": True, **members}
                async with asyncio.timeout(QUIET_SECONDS):
                    status, events = await http.stream(node.port, "/v1/responses", "POST", body)
                    if status != 200:
                        parts = [part async for part in events]
                        if not self._clients.is_retried(json.loads(b"".join(parts))["error"]["code"]):
                            return
                        first = None
                    else:
                        first = await anext(events, None)
                if first is not None and "response_id" in (head := json.loads(first)):
                    reading = self._clients.begun(node, {**head, "epoch": None, "raw": first}, text, members)
                    await self._clients.take_stream(events, reading)
            if reading is not None:
                await self._clients.follow(reading)
                return
            if not named:
                return
            await asyncio.sleep(0.3)
            node = self._clients.node()

    async def again(self, node: SimulatedNode, text: str, members: dict[str, Any], num_heard: int) -> None:
        """Ask, hear a few events, and ask the same at another node, as one does whose socket was lost."""
        with contextlib.suppress(*GONE):
            async with self._clients.dial(node) as client:
                await client.send("response.create", input=text, **members)
                event = await self._clients.answer(client)
                if event["type"] == "response.created":
                    reading = self._clients.begun(node, event, text, members)
                    while len(reading.events) < num_heard and not reading.over:
                        raw = await client.receive_raw(QUIET_SECONDS)
                        if json.loads(raw).get("response_id") == reading.response_id:
                            self._clients.note(reading, raw.encode())
        await self._clients.create(self._clients.node(), text, members)
