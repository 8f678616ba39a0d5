"""The generations of one response, each from its prompt to the engine's finish reason, in one engine or several.

A generation that is put aside waits here for its turn, and one whose engine dies for the next engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from realtime.context.turns import Prompt
from realtime.dialects.base import Parser, PromptTooLong
from realtime.dialects.stop_strings import StopStrings
from realtime.engine.base import EngineDead, EngineOverloaded, EngineRefused, FinishReason, Sampling
from realtime.store.records import Begun, PastGeneration, digest_of
from realtime.store.restored_log import Diverged
from realtime.wire import events
from realtime.wire.items import InputItem
from realtime.wire.requests import STOP_SEQUENCE

from .assembler import Assembler
from .endings import Ended, Failed, Steered, too_long
from .generation import Generation, PutAside, engine_request
from .going_on import GoingOn
from .life import State
from .pause import Pause
from .prompts import Prompts
from .response_object import echoed_tools
from .sampling import sampling
from .shared import Shared, note_nothing, refuse
from .usage import Tokens, TokenUsage

logger = logging.getLogger("realtime.runs")

_UNLIMITED = 1 << 62  # tokens

Said = Callable[[], list[InputItem] | None]
"""Returns the whole history, with what was said in earlier generations; None: it is what the prompts have."""


class Answering:
    """The generations of one response, one after another.

    usage: of these generations. latest: until the next one is prepared. replaying: what comes now was made before.
    was_replayed: the latest generation had ended before this process began.
    """

    def __init__(
        self, shared: Shared, going_on: GoingOn, prompts: Prompts, assembler: Assembler, summaries: Tokens
    ) -> None:
        """summaries: the tokens of the compaction."""
        job, serving, life, stopping = shared.job, shared.serving, shared.life, shared.stopping
        self.usage = TokenUsage()
        self.replaying = self.was_replayed = False
        self._job = job
        self._serving = serving
        self._response = shared.response
        self._life = life
        self._stopping = stopping
        self._append = shared.append
        self._straighten = shared.straighten
        self._note = shared.note
        self._past = shared.past
        self._times = shared.watch.times
        self._prompts = prompts
        self._assembler = assembler
        self._summaries = summaries
        self._going_on = going_on
        self._pause = Pause(job, life, stopping, going_on, serving.observer, serving.was_put_aside)
        self._pauses = False  # the latest generation can be put aside
        self._freed = False  # no more tools are held than have to be
        self.latest: Generation[events.Event] | None = None

    @property
    def num_generated(self) -> int:
        """The tokens that the engine has generated so far, including those of summaries."""
        return self.usage.num_output + self._summaries.num_output

    @property
    def num_reasoning(self) -> int:
        """The reasoning tokens of the latest generation."""
        return self.latest.num_reasoning if self.latest is not None else 0

    def prefilled(self, read: Mapping[str, int]) -> tuple[int, int] | None:
        """Return how many tokens of the prompt are read, and of how many, while it is being read. `read`: from
        EngineStats.
        """
        generation = self.latest
        if generation is None or generation.times.first_at is not None or generation.request_id not in read:
            return None
        return read[generation.request_id], generation.num_prompt

    def end_if_safe(self) -> None:
        """Request the end for a successor, if this is a safe point. Text and reasoning may be cut anywhere. From its
        first call on, a response is left to end by itself: half a call is useless, and the calls after it belong to the
        same step.
        """
        ended = self.latest is not None and self.latest.ended is not None
        if not self._stopping.stopped and self._life.may_be_steered and not ended and not self._assembler.has_call:
            self._stopping.ask(Steered())

    @property
    def may_be_put_aside(self) -> bool:
        """Return whether the current answer can be put aside now, and continue exactly."""
        generation = self.latest
        is_new = self._past is None or self._past.log.caught_up
        return self._pauses and is_new and generation is not None and generation.may_be_put_aside

    def put_aside(self) -> None:
        """Have the engine abort the answer, until its turn comes again."""
        assert self.latest is not None
        self.latest.put_aside()

    async def generate(self, number: int, said: Said) -> FinishReason:
        """Generate one answer, from its prompt to the engine's finish reason. `number` counts from 1."""
        left = (self._job.request.max_output_tokens or _UNLIMITED) - self.usage.num_output
        if left <= 0:
            return FinishReason.LENGTH
        past = self._past.generation(number) if self._past is not None else None
        self._life.enter(State.RENDERING)
        window = self._serving.model.max_model_len
        try:
            prompt = await self._prompt(past, said)
            self.usage.latest.num_input = prompt.num_tokens
            if prompt.num_tokens >= window:
                raise Ended(too_long(prompt.num_tokens, window))
        except (Ended, PromptTooLong):
            if number == 1:
                raise
            self.usage.latest.num_input = 0
            return FinishReason.LENGTH  # results of tools have filled it: what was said until now is the response
        room = min(window - prompt.num_tokens, left)
        if past is not None and past.begun.freed:
            self._free_defaults()
        self._stopping.check()
        self._life.enter(State.GENERATING)
        try:
            return await self._answer(number, prompt, room, past)
        except EngineRefused:
            has_begun = past is not None or self.usage.latest.token_ids
            if has_begun or not self._free_defaults():
                raise
        return await self._answer(number, prompt, room, None)

    async def _prompt(self, past: PastGeneration | None, said: Said) -> Prompt:
        """Render the next prompt, or take the recorded one."""
        if past is None:
            return await self._prompts.render(said())
        if past.begun.prompt is not None:
            self._prompts.prompt = past.begun.prompt
            return past.begun.prompt
        if self._serving.images is not None:
            await self._serving.images.load(self._job.tenant, self._prompts.items, self._job.request.own_items)
        prompt = await self._prompts.render(said())
        if digest_of(prompt) != past.begun.digest:
            raise Ended(self._going_on.failed("prompt_not_stored"))
        return prompt

    async def _answer(self, number: int, prompt: Prompt, room: int, past: PastGeneration | None) -> FinishReason:
        """Have the engine answer, or the next one continue the answer."""
        generation, wishes = self._new_generation(number, prompt, room, past)
        self.latest, self._pauses = generation, self._pause.allows(wishes, has_pictures=bool(prompt.pictures))
        begun = self._begin(number, prompt, wishes, past)
        if past is not None:
            self._replay(generation, past)
        self.was_replayed = generation.ended is not None
        while True:
            given = False
            if self._past is None or self._past.log.caught_up:
                self._going_on.asked(self.num_generated)
            try:
                await generation.submit()
                given = True
                if generation.times not in self._times.generations:
                    self._times.generations.append(generation.times)
                finish = await generation.result()
                stop_string = generation.stop_string
                if stop_string is not None and STOP_SEQUENCE in (self._job.request.include or ()):
                    self._response.stop_sequence = stop_string
                return finish
            except PutAside:
                await self._pause.wait(generation, begun)
            except EngineOverloaded as overloaded:
                await self._pause.try_later(overloaded)
            except EngineDead as dead:
                await self._survive(dead, generation, begun, wishes, given=given)

    def _begin(self, number: int, prompt: Prompt, wishes: Sampling, past: PastGeneration | None) -> Begun:
        """Record what is needed to continue a generation."""
        if past is not None:
            return past.begun
        begun = Begun(
            number=number,
            prompt=prompt.kept(),
            parent=self._prompts.parent,
            seed=wishes.seed,
            fingerprint=self._serving.continuity.fingerprint,
            freed=self._freed,
        )
        self._note(begun)
        return begun

    def _replay(self, generation: Generation[events.Event], past: PastGeneration) -> None:
        """Make the events of a recorded generation again, to restore the state. Raises Diverged."""
        assert self._past is not None
        self.replaying = True
        generation.replay(past.chunks)
        self.replaying = False
        if self._past.log.caught_up:
            self._past.forget(past.begun.number)
        elif generation.ended is None:
            raise Diverged(self._past.log.replayed)

    async def _survive(
        self, dead: EngineDead, generation: Generation[events.Event], begun: Begun, wishes: Sampling, *, given: bool
    ) -> None:
        """Have the next engine continue. `given`: the dead one had the request. Raises Ended, and what
        `Prompts.look_again` raises.
        """
        try:
            await self._going_on.survive(dead, begun, wishes, given=given)
        except Ended as ended:
            if isinstance(ended.outcome, Failed):
                generation.fail(ended.outcome)
            raise
        prompt = self._prompts.prompt
        seen = await self._prompts.look_again(prompt) if prompt is not None and prompt.pictures else None
        generation.again(seen)

    def _free_defaults(self) -> bool:
        """Constrain no more tools than necessary, because a constraint does not compile. Return False if none can be
        freed.
        """
        freed = self._prompts.tools.without_defaults()
        if freed is None:
            return False
        logger.info("tools not held response_id=%s", self._job.response_id)
        self._prompts.tools = freed
        self._freed = True
        self._response.tools = echoed_tools(self._job.request, freed)
        return True

    def _new_generation(
        self, number: int, prompt: Prompt, max_tokens: int, past: PastGeneration | None
    ) -> tuple[Generation[events.Event], Sampling]:
        job, serving = self._job, self._serving
        parser: Parser | None = None
        if job.generates:
            parser = serving.dialect.parser(job.request, self._prompts.tools, prompt)
        request_id = job.response_id if number == 1 else f"{job.response_id}.{number}"
        wishes = sampling(job.request, self._response, max_tokens, parser)
        wishes = self._going_on.seeded(wishes, past.begun if past is not None else None)
        request = engine_request(
            serving, request_id, job.request, prompt, parser, wishes, job.cache_salt, job.tenant, job.service_class
        )
        generation = Generation(
            serving, request, parser, self.usage.latest, self._stopping,
            read=self._assembler.feed, keep=self._append, at_safe_point=self.end_if_safe,
            stops=StopStrings.of(job.request.stop), straighten=self._straighten,
        )  # fmt: skip
        return generation, wishes

    def next_generation(self) -> None:
        """Count the latest generation among the earlier ones."""
        self.usage.next_generation(self.num_reasoning)
        self.latest = None

    def close(self) -> None:
        """Drop the references to the run, which is then freed without the garbage collector."""
        self.latest, self._append, self._straighten = None, refuse, None
        self._past, self._note = None, note_nothing
