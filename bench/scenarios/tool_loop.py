"""A loop of tool calls: continued on the socket with the output alone, compared with the full history over HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from typing import Any

from ..measure import CpuMeter, p50_p99, ratio
from ..servers import MODEL_NAME, Server
from .client import Reader, readers
from .scenario import Scenario

TOOL = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
}
QUESTION = {"role": "user", "content": "look around"}
OUTPUT = "there is a mill, and a fox lives in it; " * 25


async def measure(server: Server, turns: int) -> dict[str, Any]:
    """Measure the time of a turn, the bytes sent up for it, and its cost for the server."""
    async with readers(server, 1) as (reader,):
        socket = await _measured(server, turns, _on_socket(reader, turns))
    over_http = await _measured(server, turns, asyncio.to_thread(_over_http, server.port, turns))
    return {
        "turns": turns,
        "turns without their call": 2 * turns - socket.pop("calls") - over_http.pop("calls"),
        "socket, continued": socket,
        "HTTP, full history": over_http,
        "bytes up, HTTP to socket": ratio(over_http["bytes up"], socket["bytes up"]),
        "p50 of a turn, HTTP to socket": ratio(over_http["turn"]["p50_ms"], socket["turn"]["p50_ms"]),
    }


async def _measured(server: Server, turns: int, loop: Any) -> dict[str, Any]:
    meter = CpuMeter(server.pid)
    took, num_bytes, num_calls = await loop
    cpu = round(meter.spent()["front_end"] / turns * 1e6)
    return {"turn": p50_p99(took), "bytes up": num_bytes, "server CPU us per turn": cpu, "calls": num_calls}


async def _on_socket(reader: Reader, turns: int) -> tuple[list[float], int, int]:
    took, num_bytes, num_calls, before = [], 0, 0, ""
    new: list[dict[str, Any]] = [QUESTION]
    for _ in range(turns):
        body = {"input": new, "tools": [TOOL]} | ({"previous_response_id": before} if before else {})
        num_bytes += len(json.dumps(body))
        began = time.perf_counter()
        await reader.begin(**body)
        await reader.read()
        took.append(time.perf_counter() - began)
        assert reader.terminal is not None
        before, new = reader.response_id, _outputs(reader.terminal["response"])
        num_calls += len(new)
    return took, num_bytes, num_calls


def _over_http(port: int, turns: int) -> tuple[list[float], int, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    took, num_bytes, num_calls = [], 0, 0
    history: list[dict[str, Any]] = [QUESTION]
    for _ in range(turns):
        body = json.dumps({"model": MODEL_NAME, "input": history, "tools": [TOOL], "store": False})
        num_bytes += len(body)
        began = time.perf_counter()
        connection.request("POST", "/v1/responses", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        took.append(time.perf_counter() - began)
        outputs = _outputs(answer)
        history += [*answer["output"], *outputs]
        num_calls += len(outputs)
    connection.close()
    return took, num_bytes, num_calls


def _outputs(response: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the outputs for the calls of a response. Raises RuntimeError if there was none."""
    calls = [item for item in response["output"] if item["type"] == "function_call"]
    if not calls:
        raise RuntimeError(f"no call: {response['output']}")
    return [{"type": "function_call_output", "call_id": call["call_id"], "output": OUTPUT} for call in calls]


SCENARIO = Scenario(
    "Tool loop: continued on the socket beside full history over HTTP",
    measure,
    {"full": {"turns": 20}, "quick": {"turns": 20}, "tiny": {"turns": 3}},
    zero=("turns without their call",),
    counted="turns",
    tick=0.0,
    script="calls",
)
