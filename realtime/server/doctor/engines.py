"""Engines elsewhere: whether each answers, takes and returns tokens, reads text as this server's model does, and goes
on with what another one began. Each introduces itself as it does to a server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from realtime.engine.base import EngineError
from realtime.engine.remote.endpoint import Endpoint
from realtime.engine.remote.http import Address, Unreachable
from realtime.engine.remote.introduction import PROBE_TEXT, Introduction, Unfit, introduce
from realtime.observability.progress import Progress
from realtime.server.families import for_engine
from realtime.server.remote_engines import check_remote, key_of, sends_key_in_the_clear
from realtime.settings.fields import Settings
from realtime.settings.sources import SettingsError

from .finding import Finding

Front = Any  # of engine.vllm, which is imported when it is needed
_FLAGS = "vllm serve MODEL --enable-scale-out, with the model and the key that this server has (docs/engines.md)"


def look_at_engines(settings: Settings, load: Callable[[Settings], Front] | None = None) -> Iterator[Finding]:
    """Look at each. An engine is called by its number in --engine-url. load: reads what the model's folder says; takes
    seconds.
    """
    try:
        check_remote(settings)
    except SettingsError as error:
        yield Finding("engines", "error", str(error))
        return
    addresses = [Address.of(url) for url in settings.remote.engine_url]
    key = key_of(settings.remote)
    if sends_key_in_the_clear(settings.remote):
        text = "their key is sent over http, which others on the way can read"
        yield Finding("engine key", "warning", text, "give their URLs as https://")
    try:
        front = (load or _load)(settings)
    except EngineError as error:
        yield Finding("tokenizer", "error", str(error), "--model is the folder or the hub id that the engines have")
        return
    tokens = front.tokenizer.encode(PROBE_TEXT, add_special_tokens=False)
    endpoints = [Endpoint(address, key, settings.remote) for address in addresses]
    found = asyncio.run(_introduced(endpoints, tokens, front.vocab_size))
    first = next((one for one in found if isinstance(one, Introduction)), None)
    for number, one in enumerate(found):
        yield from _engine(f"engine {number}", one, first, settings)


def _load(settings: Settings) -> Front:
    from realtime.engine.vllm.front import load_front

    return load_front(for_engine(settings.vllm), Progress())


async def _introduced(
    endpoints: Sequence[Endpoint], tokens: Sequence[int], vocab_size: int
) -> list[Introduction | Unfit | Unreachable]:
    async def one(endpoint: Endpoint) -> Introduction | Unfit | Unreachable:
        try:
            return await introduce(endpoint, tokens, vocab_size)
        except (Unfit, Unreachable) as error:
            return error
        finally:
            await endpoint.close()

    return await asyncio.gather(*map(one, endpoints))


def _engine(
    name: str, one: Introduction | Unfit | Unreachable, first: Introduction | None, settings: Settings
) -> Iterator[Finding]:
    if isinstance(one, Unfit):
        yield Finding(name, "error", f"it answers, and can't serve here: {one}", _FLAGS)
        return
    if isinstance(one, Unreachable):
        yield Finding(
            name, "error", f"it is not reached: {one}", "does it run, and is its address in --engine-url right?"
        )
        return
    model = settings.vllm.model.rstrip("/").rpartition("/")[2]
    theirs = one.model.rstrip("/").rpartition("/")[2]
    if theirs not in (model, settings.vllm.name):
        text = f"it calls its model {theirs!r}, and this server's is {model!r}; both read text as the same tokens"
        yield Finding(name, "note", text, "see that it is the same model: only the tokens can be compared from here")
    if not one.goes_on:
        text = "an answer whose engine dies can't go on there, and ends with the typed failure"
        yield Finding(name, "warning", text, "`pip install --no-deps realtime-llm` where it runs (docs/engines.md)")
    if not one.takes_priority:
        text = "it schedules without priorities: classes of service count in this server's queue only"
        yield Finding(name, "note", text, "--scheduling-policy priority")
    assert first is not None
    if (one.version, one.greedy, one.max_model_len) != (first.version, first.greedy, first.max_model_len):
        text = "it answers otherwise than the first one: it is given no answer that another engine began"
        yield Finding(name, "warning", text, "the same model, version of vLLM, context and kind of device for all")
    wanted = settings.vllm.max_model_len
    if wanted is not None and wanted > one.max_model_len:
        text = f"its context is {one.max_model_len} tokens, and max_model_len is {wanted}"
        yield Finding(name, "warning", text, f"--max-model-len {one.max_model_len}, or a greater one there")
    yield Finding(name, "ok", f"vLLM {one.version} takes and returns tokens; context {one.max_model_len}")
