"""The registry of responses: those that run and those that are stored, without the deleted ones.

Another tenant's response does not exist. Look-ups are coroutines, because stored responses may be elsewhere. After
awaiting one, the caller must expect that a response has ended, or was deleted or cut, meanwhile. What this process has
deleted or cut is remembered for a time, so that neither a late answer of the store nor a socket that holds a turn can
bring it back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from realtime.context.turns import Turn
from realtime.runs.cutoff import Cutoff
from realtime.runs.run import Run
from realtime.store.base import ResponseStore
from realtime.store.conversations import Conversation
from realtime.store.records import Record, Replay, Source, conversation_of
from realtime.wire.errors import ErrorCode, WireError, response_not_found
from realtime.wire.ids import home_of

_MAX_REMEMBERED = 16_384  # newest deletions, and cuts; as long as a socket may hold what was deleted or cut
_UNITS = ((86_400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))


class Registry:
    """All responses, by id. Methods that take a tenant raise WireError for another tenant's response. `now` is the
    store's clock.
    """

    def __init__(
        self, store: ResponseStore, retention_seconds: float, *, node: str | None = None,
        settled: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        """retention_seconds: how long a stored response is kept, for the error when a client continues one that is
        gone. node: this node's name in a cluster. settled: waits until a response that is over may be read.
        """
        self._settled = settled
        self.running: dict[str, Run] = {}
        self.store = store
        self._retention_seconds = retention_seconds
        self._node = node
        self._begun_at = 0  # the newest response
        self.deleted: OrderedDict[str, None] = OrderedDict()
        self._cutoffs: OrderedDict[str, Cutoff] = OrderedDict()

    def place(self, run: Run, now_ns: int) -> None:
        """Give a response that begins now (unix nanoseconds) its place in the order, later than all others."""
        self._begun_at = run.begun_at = max(self._begun_at + 1, now_ns)

    def place_again(self, run: Run, begun_at: int) -> None:
        """Give a response the place that it had before."""
        run.begun_at = begun_at
        self._begun_at = max(self._begun_at, begun_at)

    def enter(self, run: Run) -> None:
        """Enter a response that has its place."""
        self.running[run.response_id] = run

    def running_of(self, tenant: str) -> list[Run]:
        """Return the tenant's responses that are not over, oldest first."""
        runs = self.running.values()
        return [run for run in runs if run.job.tenant == tenant and run.response_id not in self.deleted]

    def running_in(self, tenant: str, conversation_id: str) -> list[str]:
        """Return the ids of the responses that wait for a conversation or work on it, in their order."""
        runs = self.running_of(tenant)
        return [run.response_id for run in runs if conversation_of(run.response) == conversation_id]

    def begun_in(self, conversation: Conversation) -> list[Run]:
        """Return the responses that were started from a conversation's items and will be appended to it."""
        runs = self.running.values()
        return [run for run in runs if run.job.conversation is conversation and run.has_begun and not run.over]

    async def find(self, tenant: str, response_id: str, now: float) -> Run | Record:
        """Return the response."""
        run = self._running(tenant, response_id)
        if run is not None:
            return run
        record = await self._record(response_id, now)
        if record is None or record.owner != tenant:
            raise response_not_found(response_id)
        return record

    async def find_source(self, tenant: str, response_id: str, now: float) -> Source:
        """Return the response with its log."""
        found = await self.find(tenant, response_id, now)
        source = found if isinstance(found, Run) else await self._replay(found, now)
        if source is None:
            raise response_not_found(response_id)
        return source

    async def find_running(self, tenant: str, response_id: str, now: float) -> Run:
        """Return the response, if it is not over."""
        found = await self.find(tenant, response_id, now)
        if not isinstance(found, Run) or found.over:
            if self._settled is not None:
                await self._settled(response_id)
            raise already_over(response_id)
        return found

    async def find_retrievable(self, tenant: str, response_id: str, now: float) -> Run | Record:
        """Return the response if it runs or was to be stored. Any other can only be resumed, for a short time."""
        found = await self.find(tenant, response_id, now)
        if found.over and not found.response.store:
            raise response_not_found(response_id)
        return found

    async def find_turn(self, tenant: str, response_id: str, now: float) -> Turn:
        """Return the turn that a `previous_response_id` continues."""
        if self._running(tenant, response_id) is not None:
            text = f"Previous response '{response_id}' is still being generated: wait until it is over."
            raise WireError(ErrorCode.PREVIOUS_RESPONSE_IN_PROGRESS, text, param="previous_response_id")
        record = await self._record(response_id, now)
        if record is None or record.owner != tenant or not record.continuable or record.turn is None:
            raise self._previous_not_found(response_id)
        return record.turn

    def current_turn(self, turn: Turn) -> Turn:
        """Return the current form of a turn that was found before. Raises WireError if it was deleted since."""
        if turn.response_id in self.deleted:
            raise self._previous_not_found(turn.response_id)
        cutoff = self._cutoffs.get(turn.response_id)
        return turn if cutoff is None else cutoff.apply_to_turn(turn)

    def current_record(self, record: Record) -> Record:
        """Return the current form of a record that was found before. Raises WireError if it was deleted since."""
        if record.response_id in self.deleted:
            raise response_not_found(record.response_id)
        return self._cut(record)

    async def get(self, response_id: str, now: float) -> Source | None:
        """Return the response with its log: any tenant's, and also one that was deleted while it runs."""
        run = self.running.get(response_id)
        if run is not None:
            return run
        record = await self._record(response_id, now)
        return await self._replay(record, now) if record is not None else None

    def delete(self, response_id: str) -> None:
        """Forget a response: from now on it does not exist."""
        self.store.delete(response_id)
        self.deleted[response_id] = None
        self._cutoffs.pop(response_id, None)
        if len(self.deleted) > _MAX_REMEMBERED:
            self.deleted.popitem(last=False)

    def lose(self) -> None:
        """Remember no change any more: what of them is committed is in the store, and the rest never will be."""
        self.deleted.clear()
        self._cutoffs.clear()

    def truncate(self, record: Record, cutoff: Cutoff, now: float) -> None:
        """Replace a record by one that was cut."""
        self.store.replace(record, now)
        self.remember_cut(record.response_id, cutoff)

    def remember_cut(self, response_id: str, cutoff: Cutoff) -> None:
        """Show a record that was cut, wherever that was done, as it is now."""
        self._cutoffs[response_id] = cutoff.or_earlier(self._cutoffs.pop(response_id, None))
        if len(self._cutoffs) > _MAX_REMEMBERED:
            self._cutoffs.popitem(last=False)

    def keep(self, run: Run, keep_seconds: float, now: float) -> bool:
        """Store a response that is over. Return False if it was deleted meanwhile; then it is gone."""
        if run.response_id in self.deleted:
            self.store.delete(run.response_id)
            return False
        record = Record(
            owner=run.job.tenant,
            response=run.response,
            epoch=run.whole_log.epoch,
            turn=run.turn,
            continuable=run.response.store,
            expires_at=now + keep_seconds,
            input=run.input,
            begun_at=run.begun_at,
        )
        self.store.seal(record, run.whole_log.stored(), now)
        return True

    def _previous_not_found(self, response_id: str) -> WireError:
        """Return OpenAI's error, with the time for which a response can be continued."""
        kept = f"kept for {_in_words(self._retention_seconds)} here" if self._retention_seconds else "not kept here"
        text = (
            f"Previous response with id '{response_id}' not found. Finished responses are {kept}, and with "
            "`store: false` only on their socket."
        )
        if self._node is not None and home_of(response_id) not in (None, self._node):
            text += (
                " This one ran on another node: if it was not to be stored, go on by its conversation, or send its "
                "input and output."
            )
        return WireError(ErrorCode.PREVIOUS_RESPONSE_NOT_FOUND, text, param="previous_response_id")

    def _running(self, tenant: str, response_id: str) -> Run | None:
        run = self.running.get(response_id) if response_id not in self.deleted else None
        return run if run is not None and run.job.tenant == tenant else None

    async def _record(self, response_id: str, now: float) -> Record | None:
        """Return the current record, unless it was deleted, even during the look-up."""
        record = await self.store.get(response_id, now)
        return self._cut(record) if record is not None and response_id not in self.deleted else None

    def _cut(self, record: Record) -> Record:
        cutoff = self._cutoffs.get(record.response_id)
        return record if cutoff is None else cutoff.apply_to_record(record)

    async def _replay(self, record: Record, now: float) -> Replay | None:
        """Return the record with its log; None if it went during the look-up."""
        if self._settled is not None:
            await self._settled(record.response_id)
        log = await self.store.read(record.response_id, now)
        return Replay(self._cut(record), log) if log is not None and record.response_id not in self.deleted else None


def already_over(response_id: str) -> WireError:
    """Return the refusal to stop a response that is over."""
    text = f"Response '{response_id}' is already over."
    return WireError(ErrorCode.RESPONSE_ALREADY_COMPLETED, text, param="response_id", response_id=response_id)


def _in_words(seconds: float) -> str:
    """Write a duration in the largest unit that divides it."""
    for num_seconds, unit in _UNITS:
        number = seconds / num_seconds
        if number.is_integer():
            return f"{number:.0f} {unit}{'s' if number != 1 else ''}"
    return f"{seconds:g} seconds"
