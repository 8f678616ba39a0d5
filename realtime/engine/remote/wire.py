"""The messages of an engine's token-in, token-out endpoint, checked and bounded. Pure.

The endpoint is vLLM's `POST /inference/v1/generate` with `stream`: server-sent events, each a JSON object with new
tokens; after the last tokens one with the usage, then `[DONE]`. Nothing that arrives is trusted: see `Answer`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from realtime.engine.base import EngineError, EngineOverloaded, EngineRefused, FinishReason

MAX_LINE_BYTES = 4 << 20  # of one event: all tokens of an answer, if they come at once, with their alternatives
TOKEN_BYTES = 8 << 10  # that an answer may take for each token, beside the first MAX_LINE_BYTES
_MAX_TOPS = 64  # tokens told beside one: three times what may be asked for
MAX_MESSAGE_CHARS = 500  # of an error text that is passed on
GENERATE, ABORT = "/inference/v1/generate", "/inference/v1/abort_requests"
ABORT_PREFIX = "generate-tokens-"  # that vLLM puts before the ids of such requests; without it an abort is ignored
DONE: Final = "DONE"

_FINISH = {
    "stop": FinishReason.STOP, "repetition": FinishReason.STOP,
    "length": FinishReason.LENGTH, "abort": FinishReason.ABORT,
}  # fmt: skip

_REPETITION = "repetition_detected"  # vLLM's reason of such a stop


class Untrue(Exception):
    """An error: an engine sent something that the endpoint does not send, or that can't be true."""


class Top(msgspec.Struct, frozen=True):
    """A candidate token at a position, and its rank among all tokens."""

    token_id: int
    logprob: float
    rank: int | None = None


class Position(msgspec.Struct, frozen=True):
    """The token that was sampled, with the other candidates."""

    token_id: int
    logprob: float
    rank: int | None = None
    top_logprobs: list[Top] = []


class Positions(msgspec.Struct, frozen=True):
    """A position for each new token."""

    content: list[Position]


class Choice(msgspec.Struct, frozen=True):
    """The new part of an answer."""

    index: int = 0
    token_ids: list[int] | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    logprobs: Positions | None = None


class PromptDetails(msgspec.Struct, frozen=True):
    """Details of the prompt tokens."""

    cached_tokens: int | None = None


class Usage(msgspec.Struct, frozen=True):
    """The tokens of the whole answer."""

    prompt_tokens: int = 0
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None


class Trouble(msgspec.Struct, frozen=True):
    """An error in vLLM's form."""

    message: str = ""
    code: int | str | None = None


class Event(msgspec.Struct, frozen=True):
    """One event of the stream."""

    choices: list[Choice] = []
    usage: Usage | None = None
    error: Trouble | None = None


class _Refusal(msgspec.Struct, frozen=True):
    error: Trouble | str | None = None


class ModelCard(msgspec.Struct, frozen=True):
    """A model that an engine serves."""

    id: str
    max_model_len: int | None = None


class ModelCards(msgspec.Struct, frozen=True):
    """The answer of `/v1/models`."""

    data: list[ModelCard]


class Version(msgspec.Struct, frozen=True):
    """The answer of `/version`."""

    version: str


_decode_event = msgspec.json.Decoder(Event).decode


class Events:
    """A splitter of a stream into events. Feed it all bytes in order; an event is returned when its line is complete. A
    stream has no more bytes than its tokens can take: it need not be silent to say nothing.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._rest = bytearray()
        self._max = self._left = max_line_bytes

    def feed(self, data: bytes) -> Iterator[Event | str]:
        """Yield the events that these bytes complete; DONE for the end. Raises Untrue."""
        *lines, rest = data.split(b"\n")
        if lines and self._rest:
            lines[0] = bytes(self._rest + lines[0])
            self._rest.clear()
        self._rest += rest  # in place: a line may come in as many pieces as it has bytes
        if len(self._rest) > self._max:
            raise Untrue(f"an event of more than {self._max} bytes")
        for line in lines:
            if line.startswith(b"data:"):
                event = _event(line[5:].strip())
                if isinstance(event, Event):
                    self._left += TOKEN_BYTES * sum(len(choice.token_ids or ()) for choice in event.choices)
                yield event
        self._left -= len(data)
        if self._left < 0:
            raise Untrue("more bytes than its tokens can take")


def _event(data: bytes) -> Event | str:
    if data == b"[DONE]":
        return DONE
    try:
        return _decode_event(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Untrue(f"an event that can't be read: {error}") from None


class Answer:
    """A check that one answer of an engine is possible. An impossible one is found here, before anybody has seen it."""

    def __init__(
        self, num_prompt: int, max_tokens: int, vocab_size: int, *, logprobs: bool, stop: Sequence[str] = ()
    ) -> None:
        """max_tokens: the most tokens that may come. stop: the stop strings that were asked for."""
        self.finish: FinishReason | None = None
        self.stop_reason: int | str | None = None
        self.num_cached = 0
        self.num_tokens = 0
        self._last_id: int | None = None
        self._num_prompt = num_prompt
        self._max_tokens = max_tokens
        self._vocab_size = vocab_size
        self._logprobs = logprobs
        self._stop = stop

    def take(self, event: Event) -> Choice | None:
        """Check an event. Return its new part, if it has tokens or an end. Raises Untrue, and the errors of
        `failure`.
        """
        if event.error is not None:
            raise failure(event.error.code, event.error.message)
        if event.usage is not None:
            self._take_usage(event.usage)
        if not event.choices:
            return None
        choice, *others = event.choices
        if others or choice.index != 0:
            raise Untrue("more than one answer")
        ids = choice.token_ids or []
        if self.finish is not None:
            raise Untrue("something behind the end")
        self.num_tokens += len(ids)
        if self.num_tokens > self._max_tokens:
            raise Untrue("more tokens than were asked for")
        if ids and not (min(ids) >= 0 and max(ids) < self._vocab_size):
            raise Untrue("a token that the model does not have")
        self._check_logprobs(choice, ids)
        self._last_id = ids[-1] if ids else self._last_id
        if choice.finish_reason is not None:
            if choice.finish_reason not in _FINISH:
                raise failure(500, f"generation ended with {choice.finish_reason[:40]!r}")
            self._check_stop(choice)
            self.finish, self.stop_reason = _FINISH[choice.finish_reason], choice.stop_reason
        return choice

    def _take_usage(self, usage: Usage) -> None:
        if usage.completion_tokens not in (None, self.num_tokens):
            raise Untrue("a usage of other tokens than came")
        cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details is not None else None
        if cached is not None:
            if not 0 <= cached <= self._num_prompt:
                raise Untrue("more cached tokens than the prompt has")
            self.num_cached = cached

    def _check_stop(self, choice: Choice) -> None:
        """Check that a stop by a token is one by the last that came, and a stop by a text one that was asked for."""
        reason = choice.stop_reason
        if isinstance(reason, str) and not (
            (choice.finish_reason == "stop" and reason in self._stop)
            or (choice.finish_reason == "repetition" and reason == _REPETITION)
        ):
            raise Untrue("a stop by a text that nobody asked for")
        if isinstance(reason, int) and (choice.finish_reason != "stop" or reason != self._last_id):
            raise Untrue("a stop by another token than the last")

    def _check_logprobs(self, choice: Choice, ids: Sequence[int]) -> None:
        if self._logprobs and ids:
            if choice.logprobs is None or [one.token_id for one in choice.logprobs.content] != list(ids):
                raise Untrue("log probabilities that don't belong to the tokens")
            for position in choice.logprobs.content:
                tops = position.top_logprobs
                if len(tops) > _MAX_TOPS:
                    raise Untrue("more tokens beside one than were asked for")
                if not all(0 <= top.token_id < self._vocab_size for top in tops):
                    raise Untrue("a token that the model does not have")
                if not all(
                    0 <= (rank or 0) <= self._vocab_size for rank in (position.rank, *(top.rank for top in tops))
                ):
                    raise Untrue("a rank beyond all tokens")


def failure(code: int | str | None, message: str) -> EngineError:
    """Translate an HTTP status, or an error in a stream, to an `Engine` error."""
    text = printable(message) or "it gives no reason"
    if code in (429, 503):
        return EngineOverloaded(text)
    if isinstance(code, int) and 400 <= code < 500 and code not in (401, 403, 404, 405, 408):
        return EngineRefused(text)
    return EngineError(f"the engine failed: {code} {text}")


def failure_of(status: int, body: bytes) -> EngineError:
    """Translate an answer that is not 200."""
    try:
        error = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = None
    trouble = error if isinstance(error, Trouble) else Trouble(error or "")
    return failure(status, trouble.message)


def body(
    request_id: str, token_ids: Sequence[int], sampling: Mapping[str, Any], *, salt: str | None = None,
    priority: int = 0, reasoning_ended: bool | None = None, template_kwargs: Mapping[str, Any] | None = None,
    features: msgspec.Raw | None = None,
) -> bytes:  # fmt: skip
    """Encode the request. `sampling`: members of vLLM's SamplingParams. `features`: of images, encoded already. Raises
    EngineRefused.
    """
    members: dict[str, Any] = {
        "request_id": request_id,
        "token_ids": list(token_ids),
        "sampling_params": sampling,
        "stream": True,
        "stream_options": {"include_usage": True},
        "output_mode": "tokens",
        "priority": priority,
    }
    if salt:
        members["cache_salt"] = salt
    if reasoning_ended is not None:
        members["reasoning_ended"] = reasoning_ended
    if template_kwargs is not None:
        members["reasoning_parser_kwargs"] = {"chat_template_kwargs": template_kwargs}
    if features is not None:
        members["features"] = features
    try:
        return msgspec.json.encode(members)
    except (TypeError, ValueError, OverflowError) as error:
        raise EngineRefused(f"the request can't be sent to an engine: {error}") from None


def abort_body(request_ids: Sequence[str]) -> bytes:
    """Encode the request that aborts others."""
    return msgspec.json.encode({"request_ids": [ABORT_PREFIX + one for one in request_ids]})


def printable(text: str) -> str:
    """Return an engine's words as they may be passed on: bounded, on one line."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:MAX_MESSAGE_CHARS])
