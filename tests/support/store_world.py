"""Responses and conversations that live by a list of steps, on a store that may die at any of them, beside a model of
what has to be there afterwards.

Everything that was flushed is there after a crash; nothing of what was not. The model is plain values: what the store
was told, as of the last flush.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from realtime.context.turns import Prompt, Turn
from realtime.engine.base import TokenChunk
from realtime.service.recovery import end_one
from realtime.settings.fields import ResponseSettings
from realtime.store.base import Claim
from realtime.store.conversations import Conversation
from realtime.store.records import Filter, Head, Record
from realtime.store.shelves import Span
from realtime.store.sqlite.stores import Opened, bounds_of, open_at_once
from realtime.wire.errors import WireError
from realtime.wire.items import Message, id_of
from realtime.wire.requests import ResponseCreate

from .at_once import at_once
from .responses import Answer

OWNER = "t"
NOW = 1000.0
STEPS = (
    "begin", "begin unstored", "say", "finish", "fail", "delete", "cut", "claim", "release", "converse", "post", "fork",
    "remove", "answer in", "forget", "flush",
)  # fmt: skip


class Expected(msgspec.Struct):
    """What has to be there."""

    records: dict[str, tuple[Record, list[bytes]]] = {}
    running: dict[str, tuple[bool, list[bytes]]] = {}  # stored; entries
    claims: dict[str, Claim] = {}
    conversations: dict[str, tuple[list[Any], list[Any], dict[str, str]]] = {}  # shown, remembered, metadata

    def copy(self) -> Expected:
        """As it is now."""
        conversations = {name: (list(a), list(b), c) for name, (a, b, c) in self.conversations.items()}
        running = {name: (stored, list(entries)) for name, (stored, entries) in self.running.items()}
        return Expected(dict(self.records), running, dict(self.claims), conversations)


class _Live(msgspec.Struct):
    answer: Answer
    stored: bool
    parent: Turn | None
    told: int = 0  # entries that the store was told of
    conversation: Conversation | None = None
    started_from: Turn | None = None


class World:
    """See the module."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.expected = Expected()  # as the store was told
        self.flushed = [Expected()]  # after each flush since the file was opened
        self._numbers = count()
        self._live: dict[str, _Live] = {}
        self._turns: list[Turn] = []
        self._conversations: list[Conversation] = []
        self._open()

    def _open(self) -> None:
        settings = ResponseSettings(retention_seconds=10_000)
        self.opened: Opened = open_at_once(self.path, bounds_of(settings), waits=True)
        self.opened.transactions.connection.execute("PRAGMA wal_autocheckpoint = 0")
        self.stores = self.opened.stores

    # -- steps

    def take(self, step: str, choice: int) -> None:
        """Take a step, if there is something to take it with."""
        steps: dict[str, Callable[[int], None]] = {
            "begin": lambda _: self._begin(choice, stored=True),
            "begin unstored": lambda _: self._begin(choice, stored=False),
            "say": self._say,
            "finish": lambda _: self._end(choice, failed=False),
            "fail": lambda _: self._end(choice, failed=True),
            "answer in": self._answer_in,
        }
        steps.get(step, getattr(self, f"_{step}", self._say))(choice)

    def _begin(self, choice: int, *, stored: bool, conversation: Conversation | None = None) -> None:
        number = next(self._numbers)
        response_id = f"resp_{number}"
        request = ResponseCreate(items=[self._said(f"{number}?")], store=None if stored else False)
        answer = Answer(response_id, request=request)
        parent = self._turns[choice % len(self._turns)] if self._turns and choice % 3 else None
        live = _Live(answer, stored, parent, conversation=conversation)
        if conversation is not None:
            live.parent = live.started_from = conversation.turn
        head = Head(
            response_id=response_id, owner=OWNER, epoch=answer.log.epoch, stream_id=None, request=request,
            stored=stored, begun_at=number,
        )  # fmt: skip
        self.stores.responses.open(head)
        self._live[response_id] = live
        self.expected.running[response_id] = (stored, [])
        self._tell(live)

    def _say(self, choice: int) -> None:
        live = self._pick(list(self._live.values()), choice)
        if live is not None:
            live.answer.say(*(f"{choice}." for _ in range(choice % 3 + 1)))
            self._tell(live)

    def _tell(self, live: _Live) -> None:
        entries = live.answer.written[live.told :]
        response_id = live.answer.response_id
        self.stores.responses.append(response_id, live.told, entries, TokenChunk("", array("I", [live.told])))
        live.told += len(entries)
        if response_id in self.expected.running:
            self.expected.running[response_id][1].extend(entries)

    def _end(self, choice: int, *, failed: bool) -> None:
        live = self._pick(list(self._live.values()), choice)
        if live is None:
            return
        answer, response_id = live.answer, live.answer.response_id
        del self._live[response_id]
        live.answer.say(f"{choice}!")
        answer.fail() if failed else answer.finish()
        self._tell(live)
        answer.response.store = live.stored
        turn = None if failed else self._turn(answer, live.parent)
        if live.conversation is not None and turn is not None and not live.conversation.deleted:
            self.stores.conversations.respond(live.conversation, turn, live.started_from, answer.response.output, 5)
            self._note(live.conversation)
        known = self.expected.running.pop(response_id, None)
        if known is None:  # it was deleted
            return
        record = Record(
            owner=OWNER, response=answer.response, epoch=answer.log.epoch, turn=turn, continuable=live.stored,
            expires_at=NOW + 500, begun_at=int(response_id.removeprefix("resp_")), input=answer.input,
        )  # fmt: skip
        self.stores.responses.seal(record, answer.log.stored(), NOW)
        if live.stored:
            self.expected.records[response_id] = (record, answer.written)
        if turn is not None:
            self._turns.append(turn)

    def _turn(self, answer: Answer, parent: Turn | None) -> Turn:
        before = parent.prompt if parent is not None else None
        text = f"{before.text if before is not None else ''}<{answer.response_id}>"
        tokens = array("I", [*(before.token_ids if before is not None else ()), len(text)])
        output = tuple(answer.response.output)
        return Turn(answer.response_id, parent, answer.input, output, Prompt(text, tokens), array("I", [len(text), 7]))

    def _delete(self, choice: int) -> None:
        ids = [*self.expected.records, *self._live]
        response_id = self._pick(ids, choice)
        if response_id is not None:
            self.stores.responses.delete(response_id)
            self.expected.records.pop(response_id, None)
            self.expected.running.pop(response_id, None)
            self._drop_claim(response_id)

    def _cut(self, choice: int) -> None:
        found = self._pick(list(self.expected.records.values()), choice)
        if found is None or found[0].turn is None:
            return
        record, entries = found
        assert record.turn is not None
        response = msgspec.structs.replace(record.response, output=[])
        cut = msgspec.structs.replace(
            record, response=response, turn=msgspec.structs.replace(record.turn, output=(), token_ids=array("I"))
        )
        self.stores.responses.replace(cut, NOW)
        self.expected.records[record.response_id] = (cut, entries)
        assert cut.turn is not None
        self._turns.append(cut.turn)

    def _claim(self, choice: int) -> None:
        response_id = self._pick([*self._live, *self.expected.records], choice)
        if response_id is None or any(one.response_id == response_id for one in self.expected.claims.values()):
            return
        name, claim = f"request {choice % 4}", Claim(response_id, bytes([choice]))
        earlier = at_once(self.stores.requests.find(OWNER, name))
        assert earlier == self.expected.claims.get(name)
        assert at_once(self.stores.requests.claim(OWNER, name, claim, earlier)) is None
        self.expected.claims[name] = claim

    def _release(self, choice: int) -> None:
        name = self._pick(list(self.expected.claims), choice)
        if name is not None:
            self.stores.requests.release(OWNER, name, self.expected.claims.pop(name).response_id)

    def _drop_claim(self, response_id: str) -> None:
        claims = self.expected.claims
        self.expected.claims = {name: one for name, one in claims.items() if one.response_id != response_id}

    def _converse(self, choice: int) -> None:
        conversation = self.stores.conversations.create(OWNER, {"n": str(choice)}, choice)
        self._conversations.append(conversation)
        self._note(conversation)

    def _post(self, choice: int) -> None:
        conversation = self._pick(self._conversations, choice)
        if conversation is not None:
            items = [self._said(f"posted {next(self._numbers)}") for _ in range(choice % 2 + 1)]
            self.stores.conversations.post(conversation, items, items, 5)
            self._note(conversation)

    def _answer_in(self, choice: int) -> None:
        conversation = self._pick(self._conversations, choice)
        if conversation is not None:
            self._begin(choice, stored=bool(choice % 4), conversation=conversation)

    def _fork(self, choice: int) -> None:
        conversation = self._pick(self._conversations, choice)
        if conversation is not None:
            item = self._pick(conversation.items(), choice) if choice % 2 else None
            fork = self.stores.conversations.fork(conversation, id_of(item) if item is not None else None, 5)
            self._conversations.append(fork)
            self._note(fork)

    def _remove(self, choice: int) -> None:
        conversation = self._pick(self._conversations, choice)
        item = self._pick(conversation.items(), choice) if conversation is not None else None
        if conversation is not None and item is not None:
            self.stores.conversations.remove(conversation, str(id_of(item)))
            self._note(conversation)

    def _forget(self, choice: int) -> None:
        conversation = self._pick(self._conversations, choice)
        if conversation is not None:
            self.stores.conversations.delete(conversation)
            self._conversations.remove(conversation)
            del self.expected.conversations[conversation.id]

    def _note(self, conversation: Conversation) -> None:
        if not conversation.deleted:
            turn = conversation.turn
            remembered = turn.items() if turn is not None else []
            self.expected.conversations[conversation.id] = (conversation.items(), remembered, conversation.metadata)

    def _flush(self, choice: int = 0) -> None:
        self.opened.commits.flush()
        self.flushed.append(self.expected.copy())

    def _said(self, text: str) -> Message:
        return Message(role="user", content=text)

    @staticmethod
    def _pick(of: list[Any], choice: int) -> Any:
        return of[choice % len(of)] if of else None

    # -- the end of a process, and the next one

    def crash(self) -> Expected:
        """End as a process that is killed; return what was flushed. The next one has given an end to what ran."""
        self.opened.stores.close()  # nothing is committed by that
        return self.come_back(self.flushed[-1])

    def come_back(self, expected: Expected) -> Expected:
        """Begin as a new process with the file as it is."""
        self._open()
        asyncio.run(self._recover())
        self._live.clear()
        self._turns.clear()
        self.expected = expected.copy()
        self._conversations = [at_once(self.stores.conversations.get(OWNER, one)) for one in expected.conversations]
        return expected

    async def _recover(self) -> None:
        for one in [one async for one in self.stores.responses.recover()]:
            end_one(one, self.stores.responses, ResponseSettings(), "m", NOW)

    def settle(self) -> None:
        """Make what the last process left to this one its own: what had run is over now."""
        for response_id, (stored, _) in list(self.expected.running.items()):
            del self.expected.running[response_id]
            record = at_once(self.stores.responses.get(response_id, NOW))
            log = at_once(self.stores.responses.read(response_id, NOW))
            assert record is not None
            assert log is not None
            if stored:
                self.expected.records[response_id] = (record, log.read(log.floor, 10_000))
        self._turns = [record.turn for record, _ in self.expected.records.values() if record.turn is not None]
        self.flushed = []
        self._flush()

    # -- what has to hold

    def check(self, expected: Expected) -> None:
        """The store has what is expected, and nothing else. What ran has its end."""
        responses = self.stores.responses
        for response_id, (record, entries) in expected.records.items():
            found, log = at_once(responses.get(response_id, NOW)), at_once(responses.read(response_id, NOW))
            assert found is not None, response_id
            assert log is not None
            self._check_record(found, record)
            assert log.read(0, 10_000) == entries
        for response_id, (stored, entries) in expected.running.items():
            self._check_ended(response_id, entries, stored=stored)
        for number in range(40):
            if (name := f"resp_{number}") not in expected.records and name not in expected.running:
                assert at_once(responses.get(name, NOW)) is None, name
        listed, _ = at_once(responses.list(Filter(owner=OWNER), Span(limit=1000, newest_first=False), NOW))
        stored_ids = {*expected.records, *(one for one, (stored, _) in expected.running.items() if stored)}
        assert [one.response_id for one in listed] == sorted(stored_ids, key=lambda one: int(one[5:]))
        for number in range(4):
            name = f"request {number}"
            assert at_once(self.stores.requests.find(OWNER, name)) == expected.claims.get(name)
        for name, (shown, remembered, metadata) in expected.conversations.items():
            conversation = at_once(self.stores.conversations.get(OWNER, name))
            turn = conversation.turn
            assert conversation.items() == shown
            assert _spoken(turn.items() if turn is not None else []) == _spoken(remembered)
            assert conversation.metadata == metadata
        found_conversations, _ = at_once(self.stores.conversations.list(OWNER, [], Span(limit=1000)))
        assert {one.id for one in found_conversations} == set(expected.conversations)
        for response_id, (record, _) in expected.records.items():
            for item in record.turn.own_items() if record.turn is not None else ():
                if (item_id := id_of(item)) is not None:
                    assert at_once(responses.find_item(OWNER, item_id, NOW)) == item, (response_id, item_id)

    def check_running(self) -> None:
        """What is over can be found before anything more is flushed."""
        for response_id, (record, entries) in self.expected.records.items():
            found = at_once(self.stores.responses.get(response_id, NOW))
            log = at_once(self.stores.responses.read(response_id, NOW))
            assert found is not None
            assert log is not None
            self._check_record(found, record)
            assert log.read(0, 10_000) == entries

    def check_torn(self, path: Path) -> None:
        """Another file has what this one had after one of its flushes."""
        other = World.__new__(World)
        other.path, other.flushed = path, self.flushed
        other._live, other._turns, other._conversations = {}, [], []
        other._open()
        try:
            asyncio.run(other._recover())
            failures = []
            for expected in reversed(self.flushed):
                try:
                    other.check(expected)
                except (AssertionError, WireError) as error:
                    failures.append(error)
                else:
                    return
            raise AssertionError(failures)
        finally:
            other.opened.stores.close()

    def _check_record(self, found: Record, record: Record) -> None:
        assert found.response == record.response
        assert (found.input, found.begun_at, found.epoch) == (record.input, record.begun_at, record.epoch)
        assert (found.turn is None) == (record.turn is None)
        if found.turn is not None and record.turn is not None:
            assert found.turn.own_items() == record.turn.own_items()
            assert _spoken(found.turn.items()) == _spoken(record.turn.items())
            assert (found.turn.prompt, found.turn.token_ids) == (record.turn.prompt, record.turn.token_ids)

    def _check_ended(self, response_id: str, entries: list[bytes], *, stored: bool) -> None:
        record = at_once(self.stores.responses.get(response_id, NOW))
        log = at_once(self.stores.responses.read(response_id, NOW))
        assert record is not None
        assert log is not None
        assert log.restarted_at == len(entries)
        assert record.response.error is not None
        assert record.response.error.code == "server_restarted"
        new = log.read(log.floor, 10_000)
        if stored:
            assert new[: len(entries)] == entries
            new = new[len(entries) :]
        numbered = [msgspec.json.decode(entry) for entry in new]
        assert [event["sequence_number"] for event in numbered] == list(range(len(entries), len(entries) + len(new)))
        assert [event["done"] for event in numbered] == [False] * (len(new) - 1) + [True]
        assert numbered[-1]["type"] == "response.failed"
        try:
            at_once(self.stores.conversations.get(OWNER, response_id))
        except WireError:
            return


def _spoken(items: list[Any]) -> list[tuple[str, str]]:
    """What a model sees of messages: as they came, or in the form in which they are listed."""
    return [(one.role, one.content if isinstance(one.content, str) else one.content[0].text) for one in items]
