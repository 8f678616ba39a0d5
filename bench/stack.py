"""The whole session stack without a model: over real loopback sockets, stage by stage without them, and its memory.

The engine makes a token per response in every turn of the event loop, so a server process is busy all the time and its
CPU time per event is what one core can do. The client is on another core.

The server's CPU time has more in it than events: the scripted engine is in the process, and each answer begins and ends
(a create is read, decided on and rendered; a response is closed and kept), of which the raw writer does nothing. Both
are measured and named apart: the engine alone in this process, beginning and end by answers of two lengths.
"""

from __future__ import annotations

from typing import Any

from . import path, plan, servers
from .measure import apart, median, progress, ratio, rss_bytes, table
from .worker import Worker

TOKENS, FEW_TOKENS = 256, 64  # of an answer
Level = tuple[int, int]  # connections, and responses on each
LEVELS: tuple[Level, ...] = ((1, 1), (16, 1), (256, 1), (1, 16))


class Size(plan.Size, frozen=True, kw_only=True):
    """A size of this target. events: of a run at one level. pressed: of one under pressure, which is seen after some
    tenths of a second. path: repeats, and tokens. kept: responses whose memory is measured. idle: and that of silent
    sockets, of which `scenarios` has a part too.
    """

    repeats: int
    events: int
    pressed: int
    path: tuple[int, int]
    kept: int
    levels: tuple[Level, ...] = LEVELS
    idle: bool = False


SIZES: dict[plan.Name, Size] = {
    "long": Size(
        text="3 runs of 16,384 events, up to 1,000 connections; memory of 2,000 responses and sockets",
        work=150, waits=40, repeats=3, events=16_384, pressed=16_384, path=(7, 20_000), kept=2_000,
        levels=(*LEVELS, (1000, 1)), idle=True,
    ),
    "full": Size(
        text="3 runs of 4,096 events, 8,192 under pressure", work=28, waits=22,
        repeats=3, events=4_096, pressed=8_192, path=(5, 5_000), kept=600,
    ),
    "short": Size(
        text="3 runs of 2,048 events, 4,096 under pressure", work=20, waits=22,
        repeats=3, events=2_048, pressed=4_096, path=(3, 2_000), kept=300,
    ),
    "quick": Size(
        text="a run of 2,048 events, 8,192 under pressure", work=12, waits=8,
        repeats=1, events=2_048, pressed=8_192, path=(1, 2_000), kept=300,
    ),
    "tiny": Size(
        text="a run of 512 events", repeats=1, events=512, pressed=512, path=(1, 100), kept=16, levels=((2, 1),)
    ),
}  # fmt: skip


def run(share: plan.Share[Size], figures: dict[str, Any]) -> None:
    """Run all three parts."""
    size = share.size
    engine_us = min(path.engine_alone(20_000) for _ in range(3))
    figures["config"] = {"repeats": size.repeats, "tokens": TOKENS, "engine_us": engine_us}
    figures["path"] = _path(*size.path)
    for name, hold in (("sockets", False), ("pressure", True)):
        figures[name] = {}
        _sockets(figures[name], share, engine_us, hold=hold)
    figures["memory"] = _memory(size.kept, idle=size.idle)


def _sockets(figures: dict[str, Any], share: plan.Share[Size], engine_us: float, *, hold: bool) -> None:
    """Measure ours and a raw writer of the same frames at the same pace, in turns."""
    size, how = share.size, "written less often, as under pressure" if hold else "a write for every step"
    total = size.pressed if hold else size.events
    runs: dict[Level, list[tuple[dict[str, Any], ...]]] = {level: [] for level in size.levels}
    with servers.scripted(hold=hold) as server, servers.floor(server, TOKENS) as floor, Worker("bench.load") as client:
        ours, raw = (
            {"protocol": "websocket", "port": one.port, "pid": one.pid, "model": servers.MODEL_NAME}
            for one in (server, floor)
        )
        for target in (ours, raw):
            client.do("streams", num_streams=16, rounds=2, tokens=TOKENS, **target)  # to warm up
        for repeat in share.repeats(size.repeats, f"sockets, {how}"):
            for connections, lanes in size.levels:
                progress(f"{connections} x {lanes}, {repeat + 1} of {size.repeats}: {how}")
                rounds = max(1, total // (connections * lanes * TOKENS))
                level = {"num_streams": connections, "lanes": lanes, "rounds": rounds}
                run = client.do("streams", tokens=TOKENS, **ours, **level)
                servers.set_pace(floor, connections * lanes / run["tokens_per_second"])
                few = client.do("streams", tokens=FEW_TOKENS, **ours, **level)
                raws = (client.do("streams", tokens=tokens, **raw, **level) for tokens in (TOKENS, FEW_TOKENS))
                runs[connections, lanes].append((run, few, *raws))
                found, *others = (median(same) for same in zip(*runs[connections, lanes], strict=True))
                figures[f"{connections} x {lanes}"] = found | _shares(engine_us, found, *others)
    _show(figures, how)


def _show(figures: dict[str, Any], how: str) -> None:
    header = (
        "connections x responses", "events/s/core", "server us/event", "raw writer us", "ratio", "client us",
        "events/s", "bytes/event",
    )  # fmt: skip
    rows = [
        (
            name, found["events_per_second_per_core"], found["cpu_us_per_token"]["front_end"], found["floor_us"],
            found["front_end_to_floor"], found["cpu_us_per_token"]["client"], found["tokens_per_second"],
            found["bytes_per_token"],
        )
        for name, found in figures.items()
    ]  # fmt: skip
    table(f"Session stack on the scripted engine, loopback sockets, {how}", header, rows)
    _show_shares(figures)


def _shares(engine_us: float, *runs: dict[str, Any]) -> dict[str, float]:
    """Share out the CPU time. runs: ours and ours with few tokens, the raw writer's and that with few tokens."""
    spent, few_spent, floor_us, few_floor_us = (run["cpu_us_per_token"]["front_end"] for run in runs)
    event_us, answer_us = apart(spent, few_spent, TOKENS, FEW_TOKENS)
    floor_event_us, _ = apart(floor_us, few_floor_us, TOKENS, FEW_TOKENS)
    return {
        "events_per_second_per_core": float(f"{1e6 / spent:.4g}"),
        "floor_us": floor_us,
        "front_end_to_floor": ratio(spent, floor_us),
        "answer_us": float(f"{answer_us:.4g}"),
        "event_us": float(f"{event_us - engine_us:.4g}"),
        "floor_event_us": float(f"{floor_event_us:.4g}"),
        "event_to_floor": ratio(event_us - engine_us, floor_event_us),
    }


def _show_shares(figures: dict[str, Any]) -> None:
    header = ("connections x responses", "beginning and end, us/answer", "us/event", "raw writer us", "ratio")
    names = ("answer_us", "event_us", "floor_event_us", "event_to_floor")
    rows = [(name, *(found[one] for one in names)) for name, found in figures.items()]
    table(f"The same without beginnings and ends ({TOKENS} events) and without the engine", header, rows)


def _path(repeats: int, num_tokens: int) -> dict[str, Any]:
    figures: dict[str, float] = median([path.stages(num_tokens) for _ in range(repeats)])
    table("The pure path, microseconds per token", ("stage", "us"), figures.items())
    return figures


def _memory(count: int, *, idle: bool) -> dict[str, float]:
    """Measure KiB per finished response that is stored, and, with `idle`, per idle session of each profile. Each on a
    fresh server.
    """
    progress("memory")
    with Worker("bench.load") as client:
        figures = _memory_once(client, count, idle=idle)
    table("Memory of the server process", ("of one", "KiB"), figures.items())
    return figures


def _memory_once(client: Worker, count: int, *, idle: bool) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, native in (("plain", False), ("native", True)) if idle else ():
        with servers.scripted() as server:
            job = {"port": server.port, "pid": server.pid, "native": native}
            client.do("idle", count=50, seconds=0.2, **job)  # to warm up
            figures[f"idle {name} session"] = client.do("idle", count=count, seconds=1.0, **job)["kib_per_session"]
    with servers.scripted() as server:
        return figures | _retained(server, client, count)


def _retained(server: servers.Server, client: Worker, count: int) -> dict[str, float]:
    """Return a response of 128 tokens that is over and can still be resumed."""
    target = {"protocol": "websocket", "port": server.port, "pid": server.pid, "model": servers.MODEL_NAME}
    client.do("streams", num_streams=16, rounds=2, tokens=128, **target)
    before = rss_bytes(server.pid)
    streams, rounds = 16, count // 16
    found = client.do("streams", num_streams=streams, rounds=rounds, tokens=128, **target)
    kept = (rss_bytes(server.pid) - before) / (streams * rounds)
    return {
        "retained response of 128 tokens": kept / 1024,
        "the same on the wire": found["bytes_per_token"] * 128 / 1024,
    }
