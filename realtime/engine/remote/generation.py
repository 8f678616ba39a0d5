"""One generation, on whichever engine it is: its output is checked, read, and given to its sink.

The last chunk is held back until the engine has said that the answer is complete: the usage comes after it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

import msgspec

from realtime.engine.base import (
    EngineDead,
    EngineError,
    EngineLost,
    EngineRefused,
    EngineRequest,
    FinishReason,
    Sink,
    TokenChunk,
)
from realtime.engine.parsing import Constraint

from .endpoint import GivenUp, Stream
from .member import Member
from .wire import Answer, Choice, Event, Untrue

if TYPE_CHECKING:
    from realtime.engine.vllm.front import Reader

log = logging.getLogger("realtime.engine.remote")


class Generation:
    """One generation; the Taker of its stream.

    params: sampling parameters, in vLLM's form. on_failed: called with the kind and the reason when the engine has
    failed it, while it is still wanted. on_surplus: called when it has ended by a stop string, of which the engine may
    not know. on_left: called when the engine holds nothing of it any more.
    """

    def __init__(
        self, request: EngineRequest, params: Any, constraint: Constraint | None, sink: Sink, vocab_size: int, *,
        new_reader: Callable[[], Reader], on_failed: Callable[[Generation, str, str], None],
        on_surplus: Callable[[Generation], object], on_left: Callable[[Generation], None],
    ) -> None:  # fmt: skip
        self.request = request
        self.params = params
        self.constraint = constraint
        self.member: Member | None = None  # which has it
        self.remote_id = ""  # its name there
        self.keys: list[bytes] = []  # of its prompt, see affinity
        self.num_placements = 0
        self.live = True  # the sink expects calls
        self.delivered = False  # the sink has had some of it
        self.abort: asyncio.Task[None] | None = None
        self.placing: asyncio.Task[None] | None = None  # on another engine than the first
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.heard_at = 0.0
        self._sink = sink
        self._vocab_size = vocab_size
        self._new_reader = new_reader
        self._on_failed, self._on_surplus, self._on_left = on_failed, on_surplus, on_left
        self._stream: Stream | None = None
        self._begin()

    def _begin(self) -> None:
        sampling, num_prompt = self.request.sampling, len(self.request.whole_prompt) + len(self.request.generated)
        most = sampling.max_tokens - len(self.request.generated)
        self._answer = Answer(
            num_prompt, most, self._vocab_size, logprobs=sampling.num_logprobs is not None, stop=sampling.stop
        )
        self._reader = self._new_reader()
        self._last: TokenChunk | None = None
        self._by_us = False  # a stop string has ended it

    def placed(self, member: Member, remote_id: str) -> None:
        """Note that it is being submitted to an engine, from which nothing has come yet."""
        if self.num_placements:
            self._begin()
        self.num_placements += 1
        self.member, self.remote_id, self.heard_at = member, remote_id, time.monotonic()

    def on_begun(self, stream: Stream) -> None:
        """See Taker."""
        if not self.live:  # it has ended while the connection was made
            raise GivenUp("it has ended")
        self._stream = stream

    def not_taken(self) -> None:
        """The engine does not have it."""
        self._stream = None

    @property
    def is_taken(self) -> bool:
        """Return whether an engine has it. If it was refused, whoever is submitting it has yet to hear of that."""
        return self._stream is not None and self._stream.is_taken

    def on_event(self, event: Event) -> None:
        """See Taker."""
        try:
            choice = self._answer.take(event)
            if choice is None:
                return
            if choice.token_ids or choice.finish_reason is not None:  # events that say nothing are silence too
                self.heard_at = time.monotonic()
            chunks = list(self._read(choice))
        except Untrue:
            raise
        except EngineRefused as refused:
            self._leave()
            self.fail(refused)
            return
        except EngineError as error:
            self._fail_in_engine(error)
            return
        except Exception as error:  # a bug of a tokenizer's
            log.exception("tokens could not be read request_id=%s", self.request.request_id)
            self._leave()
            self.fail(EngineError(f"{type(error).__name__}: {error}"))
            return
        for chunk in chunks:
            self._take(chunk)

    def _read(self, choice: Choice) -> Iterator[TokenChunk]:
        """Read the tokens one by one. How an engine bundles them differs from run to run, and must not show: an answer
        that goes on after a crash has the events again that were sent and not stored.
        """
        answer = self._answer
        token_ids: Sequence[int | None] = choice.token_ids or (None,)
        positions = choice.logprobs.content if choice.logprobs is not None and choice.token_ids else repeat(None)
        *earlier, newest = zip(token_ids, positions, strict=False)
        for token_id, position in earlier:
            chunk = self._reader.read(token_id, position, None, None)
            yield chunk
            if chunk.finish is not None:  # by a stop string
                return
        yield self._reader.read(*newest, answer.finish, answer.stop_reason)

    def _take(self, chunk: TokenChunk) -> None:
        if self._by_us:
            return
        if self.member is not None:
            self.member.health.delivered(self.heard_at)
        if chunk.finish is None:
            if chunk.token_ids or chunk.text:
                self._deliver(chunk)
        elif self._answer.finish is not None:
            self._last = chunk
        else:
            self._by_us = True
            self._deliver(chunk)
            self._on_surplus(self)

    def on_done(self) -> None:
        """See Taker."""
        self._stream = None
        last, self._last = self._last, None
        if last is not None and last.finish is FinishReason.ABORT and self.abort is None and self.live:
            self._fail_over("broken", "the engine has given it up")  # it is ending, or somebody else has asked it
        elif last is not None:
            if self.member is not None and last.finish is not FinishReason.ABORT:
                self.member.health.completed()
            self._note_left()
            self._deliver(msgspec.structs.replace(last, num_cached_tokens=self._answer.num_cached))
        elif self._answer.finish is None and not self._by_us:
            self._fail_over("untrue", "the stream ended without an end of the answer")
        else:
            self._note_left()

    def on_broken(self, kind: str, why: str) -> None:
        """See Taker."""
        self._stream = None
        self._fail_over(kind, why)

    def give_up_engine(self, kind: str, why: str) -> None:
        """Detach it from its engine, which has failed."""
        taken = self.is_taken
        self._leave(note=False)
        if taken:  # else the caller that was submitting it gets the error, and tries the next engine
            self._fail_over(kind, why)

    def close(self) -> None:
        """Make the engine end it by closing its connection, and end the sink if it still expects anything."""
        self._leave()
        self._end_aborted()

    def _end_aborted(self) -> None:
        """End it with the text that was held back for a stop string."""
        if self.live:
            self._deliver(self._reader.read(None, None, FinishReason.ABORT, None))

    def fail(self, error: EngineError) -> None:
        """Make `error` the sink's last call, if it still expects one."""
        if self.live:
            self.live = False
            self._call(self._sink.on_error, error)

    def drop(self, dead: EngineDead) -> None:
        """Note that there is no engine any more."""
        self._leave()
        self.fail(dead)

    def _fail_in_engine(self, error: EngineError) -> None:
        """Take an error in the stream."""
        self._leave(note=False)
        self._fail_over("refused", str(error))

    def _fail_over(self, kind: str, why: str) -> None:
        if self.live and self.abort is None:
            self._on_failed(self, kind, why)
        else:
            self._note_left()
            self._end_aborted()

    def lose(self, why: str) -> None:
        """Tell the sink that the engine is gone. Whoever wants the rest has to submit it again."""
        self._leave()
        self.fail(EngineLost(why))

    def _leave(self, *, note: bool = True) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        if note:
            self._note_left()

    def _note_left(self) -> None:
        if not self.left.done():
            self.left.set_result(None)
            self._on_left(self)

    def _deliver(self, chunk: TokenChunk) -> None:
        if not self.live:
            return
        self.delivered = True
        self.live = chunk.finish is None
        self._call(self._sink.on_chunk, chunk)

    def _call(self, method: Any, argument: Any) -> None:
        try:
            method(argument)
        except Exception:
            log.exception("sink failed, request aborted request_id=%s", self.request.request_id)
            self.live = False
            self._leave()
