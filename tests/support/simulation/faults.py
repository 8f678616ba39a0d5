"""What goes wrong: one thing at a time or several, each for a while, each of them noted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from realtime.store.cluster.backend import Changes

from .store import STORE

KINDS = (
    *("kill",) * 4, *("stop",) * 3, "hang", *("between nodes",) * 4, *("from the store",) * 4, "store away",
    "lost answer", "clock", *("restart",) * 3, "rolling", "join", "fail over", "chase",
    "suspend", "ambush", "claim", "isolate",
)  # fmt: skip


class Faults:
    """See the module. `schedule`: that they befall. `kinds`: what goes wrong."""

    def __init__(self, schedule: Any, kinds: Sequence[str]) -> None:
        self._schedule = schedule
        self._kinds = kinds
        self._rng = schedule.rng
        self.well = False
        self.num_chases = 0

    async def one(self) -> None:
        """Have something go wrong."""
        schedule, rng = self._schedule, self._rng
        kind = rng.choice(self._kinds)
        node = rng.choice(list(schedule.nodes.values()))
        schedule.note(f"{kind} {node.name}")
        seconds = rng.choice([0.3, 2.0, 5.0, 9.0, 14.0]) * rng.uniform(0.5, 1.0)
        match kind:
            case "kill":
                await self.kill(node, seconds)
            case "stop" | "hang":
                node.stop(all_of_it=kind == "stop")
                await self._last(kind, seconds)
                node.go_on()
            case "between nodes":
                await self._cut(node.name, rng.choice(list(schedule.nodes)), seconds)
            case "from the store":
                await self._cut(node.name, STORE, seconds)
            case "store away":
                schedule.world.backend.away = True
                await self._last(kind, seconds)
                schedule.world.backend.away = False
            case "claim":
                await self.claim()
            case "isolate":
                await self._isolate(node)
            case "chase":
                self.num_chases += 1
                await self.chase()
                self.num_chases -= 1
            case "suspend":
                await self.suspend(node)
            case "ambush":
                await self._ambush()
            case "fail over":
                await self.fail_over(rng.choice([0.01, 0.05, 0.5, 2.0]) * rng.random(), rng.choice([0.0, 0.5, 3.0]))
            case "lost answer":
                node.way.loses = True
                await self._last(kind, 0.5)
            case "clock":
                node.shift_clock(rng.choice([-8.0, -2.0, 2.0, 8.0]))
                await self._last(kind, 1.0)
            case "restart":
                await self._restart(node)
            case "rolling":
                for name in list(schedule.nodes):
                    await self._restart(schedule.nodes[name])
            case "join":
                free = [name for name in ("d", "e") if name not in schedule.nodes]
                if free:
                    schedule.start(free[0])
        schedule.note(f"over: {kind} {node.name}")

    async def kill(self, node: Any, seconds: float) -> None:
        """Kill a node, and start it again after so long."""
        node.kill()
        await self._last("kill", seconds)
        self._start_again(node)

    async def cut_off(self, node: Any, seconds: float) -> None:
        """Cut a node off from the store for so long."""
        network = self._schedule.world.network
        network.sever(node.name, STORE)
        await self._last("isolate", seconds)
        network.heal_way(node.name, STORE)

    async def mend(self) -> None:
        """Let all be well: everything is there again, or comes back."""
        schedule = self._schedule
        self.well = True
        schedule.world.backend.away = False
        schedule.world.network.heal()
        for node in list(schedule.nodes.values()):
            if node.process.stopped:
                node.go_on()
            self._start_again(node)
            node.way.loses = False

    async def _last(self, kind: str, seconds: float) -> None:
        """Note that something is wrong, as long as it is."""
        loop, troubles = self._schedule.world.loop, self._schedule.history.troubles
        until = loop.time() + seconds
        troubles.append((loop.time(), kind))
        while loop.time() < until and not self.well:
            await asyncio.sleep(min(0.5, max(until - loop.time(), 0.001)))
            troubles.append((loop.time(), kind))

    async def _cut(self, one: str, other: str, seconds: float) -> None:
        network, rng = self._schedule.world.network, self._rng
        if one == other:
            return
        how = rng.choice(["sever", "silence", "one way"])
        self._schedule.note(f"{how} {one} {other}")
        if how == "sever":
            network.sever(one, other)
        else:
            network.silence(one, other)
            if how == "silence":
                network.silence(other, one)
        await self._last(how, seconds)
        network.heal_way(one, other)

    async def fail_over(self, lost: float, away: float) -> None:
        """Have a replica take over from the store, without the newest that was acknowledged."""
        world, history = self._schedule.world, self._schedule.history
        began = world.loop.time()
        world.backend.away = True
        await self._last("fail over", away)
        if self.well:
            return
        self._schedule.note(f"lost: {lost:.3f} s")
        world.backend.fail_over(lost + world.loop.time() - began)
        world.backend.away = False
        history.lost.append((began - lost, world.loop.time()))

    async def chase(self) -> None:
        """Kill whoever has an answer, again and again."""
        schedule = self._schedule
        running = [one for node in schedule.nodes.values() for one in node.running]
        if not running:
            return
        chased = self._rng.choice(running)
        for _ in range(5):
            for _ in range(40):
                has_it = [node for node in schedule.nodes.values() if chased in node.running]
                if has_it or self.well:
                    break
                await self._last("chase", 0.3)
            if not has_it or self.well:
                return
            await self._last("chase", self._rng.uniform(0.1, 0.4))
            schedule.note(f"kill {has_it[0].name}, which has {chased}")
            has_it[0].kill()
            await self._last("chase", 0.5)
            self._start_again(has_it[0])

    async def suspend(self, node: Any) -> None:
        """Suspend a machine, whose clocks stand still meanwhile, with what it sends to the store on its way. All of it
        goes on at the moment in which somebody takes over what the node had.
        """
        node = next((one for one in self._schedule.nodes.values() if one.running), node)
        world, journal = self._schedule.world, f"journal/{node.name}/".encode()
        world.network.silence(node.name, STORE)
        await self._last("suspend", 0.05)
        node.stop()
        began, woken = world.loop.time(), asyncio.Event()

        def wake(begin: bytes) -> None:
            if begin.startswith(journal) and not woken.is_set():
                woken.set()
                node.shift_clock(world.loop.time() - began)
                node.go_on()
                world.network.heal_way(node.name, STORE)

        world.backend.on_range.append(wake)
        for _ in range(30):
            await self._last("suspend", 0.5)
            if woken.is_set() or self.well:
                break
        world.backend.on_range.remove(wake)
        node.go_on()
        world.network.heal_way(node.name, STORE)

    async def _ambush(self) -> None:
        """Have a response cancelled or made, and kill who has it when that is told."""
        schedule = self._schedule
        running = [(node, one) for node in schedule.nodes.values() for one in node.running]
        if not running:
            return
        node, response_id = self._rng.choice(running)
        schedule.note(f"cancel {response_id}, and kill {node.name}")
        await schedule.clients.cancel(schedule.clients.node(), response_id)
        if self.well:
            return
        node.kill()
        await self._last("ambush", self._rng.choice([0.3, 3.0, 9.0]))
        self._start_again(node)

    async def _isolate(self, node: Any) -> None:
        """Cut a node off from the store while it has much to say, for longer than its lease lasts."""
        self._schedule.ask_for_much(node)
        await asyncio.sleep(0.3)
        await self.cut_off(node, 14.0)

    async def claim(self) -> None:
        """Kill the node that is the next to claim a request, before its response begins."""
        schedule, killed = self._schedule, list[Any]()

        def kill(changes: Changes) -> None:
            if not killed and any(key.startswith(b"claim/") for key in changes.sets):
                killed.append(schedule.nodes[changes.fence.node])
                schedule.note(f"kill {changes.fence.node}, which has claimed something")
                killed[0].kill()

        schedule.world.backend.on_commit.append(kill)
        for _ in range(20):
            if killed or self.well:
                break
            await self._last("claim", 0.5)
        schedule.world.backend.on_commit.remove(kill)
        await self._last("claim", self._rng.choice([0.3, 3.0, 9.0]))
        for node in killed:
            self._start_again(node)

    async def _restart(self, node: Any) -> None:
        """Upgrade a node, as it is done."""
        if not node.up or self.well:
            return
        node.drain()
        await self._last("drain", 0.1)
        await asyncio.wait({node.life}, timeout=60)
        self._schedule.history.ended.append(self._schedule.world.loop.time())
        self._start_again(node)
        for _ in range(100):
            if self._schedule.nodes[node.name].serves or self.well:
                return
            await asyncio.sleep(0.2)

    def _start_again(self, node: Any) -> None:
        """Start a node that has ended, unless somebody has."""
        if node.process.dead and self._schedule.nodes[node.name] is node:
            self._schedule.start(node.name)
