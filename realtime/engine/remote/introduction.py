"""The introduction of an engine: its model, how that is run, and whether it can continue another engine's generation.

What can be tried is not asked. The engine's tokenizer must give the same tokens as ours for a text. Whether it can
continue is shown by a generation with a seed and a grammar: it is cut in the middle, and the continuation must be what
followed without the cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from realtime.engine.base import EngineError, EngineRefused
from realtime.engine.vllm.core_continuation import KEY

from .endpoint import Endpoint
from .http import Unreachable
from .wire import DONE, GENERATE, Answer, Event, Events, ModelCards, Untrue, Version, body, failure_of, printable

PROBE_TEXT = "The quick brown fox: été, 日本, 12 + 30 = 42?"
_NUM_TOKENS = 12
_SEEDS = (7, 8, 9, 10)
_MIN_DIFFERENT = 4  # tokens of a probe, by which it is seen that draws go on
_SECONDS = 30.0
_SAMPLING = {
    "temperature": 2.0, "ignore_eos": True, "max_tokens": _NUM_TOKENS, "structured_outputs": {"regex": "[ -~\\n]+"},
}  # fmt: skip


class Unfit(Exception):
    """An error: the engine answers, but can't serve here."""


class Introduction(msgspec.Struct, frozen=True):
    """Facts about an engine. goes_on: it continues other engines' generations. takes_priority: its scheduler has
    priorities.
    """

    model: str
    version: str
    max_model_len: int
    takes_priority: bool
    goes_on: bool
    greedy: tuple[int, ...]  # what it answers to PROBE_TEXT without chance

    def fingerprint(self, facts: Mapping[str, Any]) -> str:
        """Return a digest of everything known that decides which token follows. facts: of the model's files here."""
        return hashlib.sha256(msgspec.json.encode([dict(facts), msgspec.to_builtins(self)])).hexdigest()[:32]


async def introduce(endpoint: Endpoint, tokens: Sequence[int], vocab_size: int) -> Introduction:
    """Introduce an engine. tokens: of PROBE_TEXT. Raises Unreachable or Unfit."""
    await endpoint.check()
    card = (await _read(endpoint, "/v1/models", ModelCards)).data[:1]
    if not card or not card[0].max_model_len or card[0].max_model_len < 0:
        raise Unfit("it serves no model, or does not say how long its context is")
    version = await _read(endpoint, "/version", Version)
    await _compare_tokens(endpoint, tokens)
    probe = _Probe(endpoint, tokens, vocab_size)
    greedy = await probe.run({"temperature": 0.0, "max_tokens": _NUM_TOKENS, "ignore_eos": True})
    goes_on = await probe.goes_on()
    return Introduction(
        printable(card[0].id[:200]),
        printable(version.version[:100]),
        card[0].max_model_len,
        probe.priority > 0,
        goes_on,
        tuple(greedy),
    )


async def _read(endpoint: Endpoint, path: str, kind: type[Any]) -> Any:
    status, answer = await endpoint.ask("GET", path, seconds=_SECONDS)
    _check_status(status, path)
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unfit(f"what it says at {path} can't be read") from None


def _check_status(status: int, path: str) -> None:
    if status in (401, 403) and path != GENERATE:
        raise Unfit(f"it refuses the key (or its lack): {path} says {status}")
    if 300 <= status < 400:
        raise Unfit(f"it redirects, which is not followed: {path} says {status}")
    if status in (401, 403, 404, 405):
        raise Unfit(f"{path} says {status}: it has to be vLLM with --enable-scale-out, and its key has to be known")
    if status >= 500:
        raise Unreachable(f"{path} says {status}")


async def _compare_tokens(endpoint: Endpoint, tokens: Sequence[int]) -> None:
    asked = msgspec.json.encode({"prompt": PROBE_TEXT, "add_special_tokens": False})
    status, answer = await endpoint.ask("POST", "/tokenize", asked, _SECONDS)
    if status in (401, 403, 404, 405):
        return  # a proxy that lets only what is needed through
    _check_status(status, "/tokenize")
    try:
        theirs = msgspec.json.decode(answer)["tokens"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise Unfit("what it says at /tokenize can't be read") from None
    if theirs != list(tokens):
        raise Unfit("it reads text as other tokens than the model does that this server was given")


class _Probe:
    """Small generations, to see how the engine behaves."""

    def __init__(self, endpoint: Endpoint, tokens: Sequence[int], vocab_size: int) -> None:
        self.priority = 1
        self._endpoint = endpoint
        self._tokens = tokens
        self._vocab_size = vocab_size

    async def run(self, sampling: dict[str, Any]) -> list[int]:
        """Generate, and return the tokens. Raises Unreachable or Unfit."""
        try:
            return await self._run(sampling)
        except EngineRefused:
            if not self.priority:
                raise Unfit("it refuses an ordinary request") from None
            self.priority = 0
            return await self.run(sampling)
        except Untrue as error:
            raise Unfit(f"what it generates can't be read: {error}") from None
        except EngineError as error:
            raise Unreachable(str(error)) from None

    async def goes_on(self) -> bool:
        """Cut an answer, and compare its continuation."""
        cut = _NUM_TOKENS // 2
        for seed in _SEEDS:
            try:
                whole = await self.run(_SAMPLING | {"seed": seed})
                if len(set(whole)) < _MIN_DIFFERENT:
                    continue  # of a model that repeats itself one learns nothing
                rest = await self._run(_SAMPLING | {"seed": seed, "extra_args": {KEY: whole[:cut]}})
            except (EngineError, Untrue, Unfit):
                return False
            return rest == whole[cut:]
        return False

    async def _run(self, sampling: dict[str, Any]) -> list[int]:
        sent = body("probe", self._tokens, sampling, priority=self.priority)
        status, answer = await self._endpoint.ask("POST", GENERATE, sent, _SECONDS)
        if status != 200:
            _check_status(status, GENERATE)
            raise failure_of(status, answer)
        checked = Answer(len(self._tokens), _NUM_TOKENS, self._vocab_size, logprobs=False)
        tokens: list[int] = []
        for event in Events().feed(answer):
            if event != DONE:
                assert isinstance(event, Event)
                choice = checked.take(event)
                tokens += (choice.token_ids or []) if choice is not None else []
        if checked.finish is None:
            raise Untrue("an answer without an end")
        return tokens
