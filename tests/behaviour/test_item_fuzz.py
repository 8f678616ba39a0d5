"""Items of every kind with anything in them, through both doors: refused or taken, never a fault of the server."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import msgspec.inspect as inspect
import pytest

from realtime.engine.base import EngineRequest
from realtime.wire.items import ITEM_TYPES
from tests.support.calls import TAGGED, called
from tests.support.http import http
from tests.support.long import effort
from tests.support.server import running

ROUNDS = int(os.environ.get("TESTS_FUZZ", effort(16, 400)))
TEXTS = ["", "a", "é\u0000\n", "ls", "{", "{}", '{"commands":["ls"]}', "x" * 3000, "<tool_call>", "call_1", "resp_1"]
TEXTS += [
    r'{"a": "\ud83d"}',
    r'{"\udc00": ["\ud83d\ude00 \ud83d"]}',
    r'"\\ud83d"',
    "[" * 3000,
    '{"a": NaN, "b": 1e999}',
]
CALL_IDS = ["call_1", "call_2", "", "x" * 700]
TOOLS: list[dict[str, Any]] = [
    {"type": "local_shell"}, {"type": "shell"}, {"type": "apply_patch"},
    {"type": "tool_search", "execution": "client"}, {"type": "custom", "name": "note"},
    {"type": "function", "name": "look", "parameters": {"type": "object"}},
]  # fmt: skip


class Any_:
    """Values of types, from a seed; one in `odd` is of another type."""

    def __init__(self, rng: random.Random, odd: float) -> None:
        self.rng = rng
        self.odd = odd

    def json(self, depth: int = 0) -> Any:
        rng = self.rng
        what = rng.randint(0, 7 if depth < 3 else 5)
        if what == 6:
            return [self.json(depth + 1) for _ in range(rng.randint(0, 3))]
        if what == 7:
            return {
                rng.choice([*TEXTS, "type", "name", "tools", "text"]): self.json(depth + 1)
                for _ in range(rng.randint(0, 3))
            }
        return [None, True, rng.choice([0, -1, 2**63, 2**70]), rng.choice([0.5, 1e300]), rng.choice(TEXTS), "user"][
            what
        ]

    def of(self, kind: inspect.Type, name: str = "") -> Any:
        rng = self.rng
        if rng.random() < self.odd:
            return self.json()
        if name in ("call_id", "id") and rng.random() < 0.9:
            return rng.choice(CALL_IDS)
        if name == "tools" and rng.random() < 0.7:
            return rng.sample(TOOLS, rng.randint(0, 3))
        match kind:
            case inspect.UnionType():
                return self.of(rng.choice(kind.types), name)
            case inspect.StrType():
                return rng.choice(TEXTS)
            case inspect.BoolType():
                return rng.random() < 0.5
            case inspect.IntType():
                return rng.choice([0, 1, -1, 10**6])
            case inspect.LiteralType():
                return rng.choice(kind.values)
            case inspect.NoneType():
                return None
            case inspect.ListType():
                return [self.of(kind.item_type) for _ in range(rng.randint(0, 3))]
            case inspect.DictType():
                return {rng.choice(TEXTS): self.of(kind.value_type) for _ in range(rng.randint(0, 3))}
            case inspect.StructType():
                value = {
                    field.encode_name: self.of(field.type, field.encode_name)
                    for field in kind.fields
                    if field.required or rng.random() < 0.5
                }
                return {kind.tag_field: kind.tag, **value} if kind.tag_field else value
            case _:
                return self.json()


def model(rng: random.Random) -> Any:
    def script(request: EngineRequest) -> Any:
        name = rng.choice(["shell", "local_shell", "apply_patch", "tool_search", "note", "look", "unknown"])
        return called(name, Any_(rng, 0).json()) if rng.random() < 0.5 else ("ok",)

    return script


@pytest.mark.parametrize("seed", range(4))
async def test_any_item_is_refused_or_taken(seed: int) -> None:
    rng = random.Random(seed)
    kinds = [inspect.type_info(kind) for kind in ITEM_TYPES.values()]
    statuses: set[int] = set()
    async with (
        running(model(rng), family=TAGGED, max_model_len=1 << 16) as server,
        http(server) as api,
        server.client() as socket,
    ):
        made = (await api.post("/v1/conversations", json={})).json()["id"]
        for _ in range(ROUNDS):
            values = Any_(rng, rng.choice([0, 0, 0.03, 0.2]))
            items = [values.of(rng.choice(kinds)) for _ in range(rng.randint(1, 3))]
            if rng.random() < 0.5:  # then more of them answer a call
                items = [{"type": "shell_call", "call_id": "call_1", "action": {"commands": ["ls"]}}, *items]
            body = {"input": items, "tools": TOOLS}
            for path, content in (
                ("/v1/responses", body),
                ("/v1/responses/input_tokens", body),
                ("/v1/responses/compact", {"model": "starter", "input": items}),
                (f"/v1/conversations/{made}/items", {"items": items}),
                ("/v1/responses", {"input": "x", "conversation": made}),
            ):
                answer = await api.post(path, json=content)
                assert answer.status_code < 500, (path, json.dumps(content), answer.text)
                statuses.add(answer.status_code)
                if path == "/v1/responses" and answer.status_code == 200:
                    listed = await api.get(f"/v1/responses/{answer.json()['id']}/input_items")
                    assert listed.status_code == 200, listed.text
            page = await api.get(f"/v1/conversations/{made}/items")
            assert page.status_code == 200
            if rng.random() < 0.2 or len(page.json()["data"]) > 10:
                made = (await api.post("/v1/conversations", json={})).json()["id"]
            await socket.send("response.create", **body)
            last = (await socket.until_done())[-1]
            assert last["type"] != "error" or last["status"] < 500, last
            assert last["type"] != "response.failed" or last["response"]["error"]["code"] != "server_error", last
    assert {200, 400} <= statuses
