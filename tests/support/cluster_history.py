"""What the clients of a cluster were told, and the judge of it. Pure.

A `Reading` is what one reader had of one response, from wherever it began over all nodes that it was resumed at: as
long as nobody tells it that its numbers mean nothing any more, all of it must be the response's log. What was
acknowledged may be lost only where the documentation says so: with `deliver: at_once`, what was told shortly before
something went wrong, but for ends and receipts. `judge` says everything that is not as promised.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from realtime.settings.fields import ResponseSettings

UNKNOWN = float("-inf")  # when something was done of which nobody knows whether it was
TERMINALS = ("response.completed", "response.incomplete", "response.failed")
_UNSTORED_SECONDS = 8.0  # for which a node goes on without its store, and a little
MAX_ATTEMPTS = 3
LEASE_SECONDS = 6.5  # after which who could not renew it has none, and knows that
_ENDING = 4  # events that close what is open when an answer is stopped
_CLOSING = ("response.output_text.done", "response.content_part.done", "response.output_item.done", *TERMINALS)
_MOMENT = 1.0  # between what is told and the end of its node


class Reading(msgspec.Struct):
    """See the module. `first`: number of the first of its `events`. `at`: when each came, `by`: from which node; `node`
    is that of now. `told`: why it ended before the end. `refused`: with its epoch, at the last resume. `over`: it has
    the last event.
    """

    reader: str
    response_id: str
    first: int
    epoch: str | None = None
    events: list[bytes] = []
    at: list[float] = []
    by: list[str] = []
    node: str = ""
    told: str | None = None
    refused: str | None = None
    over: bool = False
    confirmed: int = 0  # of its events, that a resume has confirmed as those of the log
    confirmed_at: float = UNKNOWN

    @property
    def next(self) -> int:
        """Return the number of the event that comes next."""
        return self.first + len(self.events)


class Answer(msgspec.Struct):
    """A response that somebody was told of, who asked for it with this text."""

    text: str
    response_id: str
    at: float
    node: str
    request_id: str | None = None


class Receipt(msgspec.Struct):
    """A response as it was told to be from then on. `kind`: terminal, truncated."""

    kind: str
    response: dict[str, Any]
    at: float


class Final(msgspec.Struct):
    """A response as a node has it when all is well again. `status`: of HTTP. `events`: its whole log, if there is
    one, and it was asked for.
    """

    status: int
    body: dict[str, Any]
    events: list[bytes] | None


class GivenItem(msgspec.Struct):
    """An item that was put into a conversation. `asked`, `at`: when that was asked for, and acknowledged. `deleted`:
    when that was acknowledged, UNKNOWN if nobody knows whether it is.
    """

    conversation_id: str
    item_id: str
    asked: float
    at: float
    deleted: float | None = None


class History(msgspec.Struct):
    """Everything. `strict`: nothing is told that is not stored. `deleted`: and when, if somebody knows that they are;
    `shown`: by which node nevertheless, after that. `troubles`: when something was wrong; `lost`: from when the store
    lost what it had acknowledged, and when it did. `cut_off`: nodes from the store, from when to when. `ended`: when a
    node was, in order. `finals`: by response and node; `lists`: by path and node. `conversed`: when each conversation
    was begun, `unconversed`: when it was deleted, UNKNOWN if nobody knows; `conversations`: its items at each node.
    `heard`: events by response, epoch and number. `maybe_cut`: nobody knows. `said`: what the model said, by the text
    that it answered, where it had a seed; `generated`: how often it was asked. `prompts`: what it was given.
    """

    strict: bool = False
    ended: list[float] = []
    answers: list[Answer] = []
    readings: list[Reading] = []
    receipts: list[Receipt] = []
    deleted: list[tuple[str, float]] = []
    shown: list[tuple[str, float, str]] = []
    troubles: list[tuple[float, str]] = []
    lost: list[tuple[float, float]] = []
    finals: dict[str, dict[str, Final]] = {}
    conversed: dict[str, float] = {}
    conversations: dict[str, dict[str, list[dict[str, Any]] | None]] = {}
    items: list[GivenItem] = []
    unconversed: dict[str, float] = {}
    cut_off: list[tuple[str, float, float]] = []
    generated: dict[str, int] = {}
    lists: dict[str, dict[str, list[dict[str, Any]] | str]] = {}
    heard: dict[tuple[str, str, int], set[bytes]] = {}
    unstored: set[str] = set()
    maybe_cut: set[str] = set()
    said: dict[str, set[str]] = {}
    prompts: list[list[str]] = []
    unfinished: list[str] = []
    errors: list[str] = []


def judge(history: History) -> list[str]:
    """Return what is not as promised."""
    return [
        *history.errors,
        *(f"it never ended: {what}" for what in history.unfinished),
        *_numbers(history),
        *_same_everywhere(history),
        *_readings(history),
        *_epochs(history),
        *_terminals(history),
        *_ends(history),
        *_lost(history),
        *_once(history),
        *_receipts(history),
        *_said(history),
        *_attempts(history),
        *_without_lease(history),
        *_conversations(history),
        *_lists(history),
    ]


def excused(history: History, at: float) -> bool:
    """Return whether an event that was told at this time may be lost, if it is none of an end. What was asked for and
    acknowledged may not: see `lost`.
    """
    if lost(history, at):
        return True
    return not history.strict and any(
        began - _MOMENT <= at <= began + _UNSTORED_SECONDS or began - _UNSTORED_SECONDS <= at <= began
        for began, _ in history.troubles
    )


def lost(history: History, at: float) -> bool:
    """Return whether the store may have lost what was told at this time, though it had it."""
    return any(since - _MOMENT <= at <= until + _UNSTORED_SECONDS for since, until in history.lost)


def _end_excused(history: History, response_id: str, at: float) -> bool:
    """Return whether an end that was told at this time may be lost: only by the store, or with `store: false`."""
    return excused(history, at) if response_id in history.unstored else lost(history, at)


def _log(history: History, response_id: str) -> list[bytes] | None:
    for final in history.finals.get(response_id, {}).values():
        if final.events is not None:
            return final.events
    return None


def _numbers(history: History) -> Iterator[str]:
    """No number twice, none missing, and one terminal, at the end: of each log as it is in the end."""
    for response_id, nodes in history.finals.items():
        for node, final in nodes.items():
            events = [json.loads(event) for event in final.events or ()]
            if [event["sequence_number"] for event in events] != list(range(len(events))):
                yield f"{response_id} at {node}: its numbers are {[event['sequence_number'] for event in events]}"
            ends = [index for index, event in enumerate(events) if event["type"] in TERMINALS]
            if final.events is not None and ends != [len(events) - 1]:
                yield f"{response_id} at {node}: terminals at {ends} of {len(events)}"


def _same_everywhere(history: History) -> Iterator[str]:
    """All nodes answer alike."""
    for response_id, nodes in history.finals.items():
        names = list(nodes)
        for other in names[1:]:
            one, two = nodes[names[0]], nodes[other]
            if response_id in history.unstored and (one.status, two.status) != (200, 200):
                continue
            if (one.status, one.body) != (two.status, two.body):
                yield f"{response_id}: {names[0]} says {one.status} {one.body}, {other} says {two.status} {two.body}"
        streamed = [(name, final.events) for name, final in nodes.items() if final.events is not None]
        for name, events in streamed[1:]:
            if events != streamed[0][1]:
                yield f"{response_id}: {streamed[0][0]} and {name} have other events"


def _readings(history: History) -> Iterator[str]:
    """What readers had, and nobody took back, is the log."""
    for reading in history.readings:
        log = _log(history, reading.response_id)
        where = f"{reading.response_id}: {reading.reader}"
        taken_back = reading.refused in ("epoch_mismatch", "cursor_ahead") and not _is_near_a_stop(history, reading)
        if history.strict and reading.events and taken_back and not lost(history, reading.at[-1]):
            yield f"{where} had {reading.next} events, all of them stored, and is told {reading.refused}"
        if log is None:
            continue
        for index, event in enumerate(reading.events):
            number = reading.first + index
            if number < len(log) and log[number] == event:
                continue
            if index >= reading.confirmed and not reading.over and reading.told is None:
                break  # its node was gone, and nobody was asked again
            if index >= reading.confirmed and excused(history, reading.at[index]):
                break
            if index < reading.confirmed and lost(history, reading.confirmed_at):
                break
            if reading.told is not None and excused(history, reading.confirmed_at):
                break  # it was confirmed by what was not stored either
            there = log[number] if number < len(log) else None
            yield f"{where} had {event!r} as number {number}, where the log has {there!r}"
            break


def _is_near_a_stop(history: History, reading: Reading) -> bool:
    """Return whether a reader was in the last events of an answer that was stopped: if that was made again, these may
    not be what they were.
    """
    log = _log(history, reading.response_id)
    return log is not None and reading.next > len(log) - _ENDING and _status(log) != "completed"


def _as_said(event: bytes) -> str:
    """Return an event without what differs if it is made again: the end tells when and how that was."""
    told = json.loads(event)
    return str((told["type"], told["response"]["output"])) if told["done"] else event.decode()


def _status(log: list[bytes]) -> str:
    return str(json.loads(log[-1])["response"]["status"])


def _epochs(history: History) -> Iterator[str]:
    """No number has two events in one epoch, whoever heard them: but for the end of an answer that was made again, and
    stopped before everything had come again that somebody had heard (who has that is told: `_readings`), and for an end
    that may be lost.
    """
    unkept = {
        (reading.response_id, reading.next - 1 - back)
        for reading in history.readings
        if reading.over and (log := _log(history, reading.response_id)) is not None
        if _end_excused(history, reading.response_id, reading.at[-1])
        if reading.next != len(log) or _as_said(reading.events[-1]) != _as_said(log[-1])
        for back in range(_ENDING)
    }
    for (response_id, epoch, number), events in history.heard.items():
        log = _log(history, response_id)
        if log is None or len(set(map(_as_said, events))) < 2 or (len(events) == 2 and (response_id, number) in unkept):
            continue
        if len(events) > 2 or _status(log) == "completed" or number < len(log) - _ENDING:
            yield f"{response_id}: as number {number} of {epoch} somebody heard {sorted(events)}"


def _terminals(history: History) -> Iterator[str]:
    """Nobody was told of two ends."""
    ends: dict[str, dict[bytes, float]] = {}
    for reading in history.readings:
        if reading.over:
            ends.setdefault(reading.response_id, {})[reading.events[-1]] = reading.at[-1]
    for response_id, told in ends.items():
        firm = [event for event, at in told.items() if not _end_excused(history, response_id, at)]
        if len(firm) > 1:
            yield f"{response_id} ended {len(firm)} times: {firm}"


def _ends(history: History) -> Iterator[str]:
    """An end that somebody was told is that of the log, with what closes the answer before it."""
    for reading in history.readings:
        log = _log(history, reading.response_id)
        if not reading.over or log is None or _end_excused(history, reading.response_id, reading.at[-1]):
            continue
        is_closing = [json.loads(event)["type"] in _CLOSING for event in reading.events]
        num_closing = len(list(itertools.takewhile(bool, reversed(is_closing))))
        told = reading.events[-num_closing:]
        if log[-num_closing:] != told or len(log) != reading.next:
            there = log[-num_closing:]
            yield f"{reading.response_id}: {reading.reader} was told the end {told}, where the log has {there}"


def _lost(history: History) -> Iterator[str]:
    """What was acknowledged is there."""
    deleted = {response_id for response_id, _ in history.deleted}
    for answer in history.answers:
        if answer.response_id in deleted | history.unstored or excused(history, answer.at):
            continue
        for node, final in history.finals.get(answer.response_id, {}).items():
            if final.status != 200:
                yield f"{answer.response_id} was acknowledged by {answer.node} at {answer.at:.3f}, lost at {node}"
    for response_id, at, name in history.shown:
        if not lost(history, at):
            yield f"{response_id} was deleted at {at:.3f}, and {name} showed it afterwards"
    for response_id, at in history.deleted:
        if at == UNKNOWN or lost(history, at):
            continue
        for node, final in history.finals.get(response_id, {}).items():
            if final.status != 404:
                yield f"{response_id} was deleted at {at:.3f}, and {node} has it: {final.status}"


def _once(history: History) -> Iterator[str]:
    """A request that has a name of its own has one answer, unless the earlier one came to nothing."""
    by_request: dict[str, dict[str, float]] = {}
    for answer in history.answers:
        if answer.request_id is not None:
            by_request.setdefault(answer.request_id, {}).setdefault(answer.response_id, answer.at)
    deleted = {response_id for response_id, _ in history.deleted}
    for request_id, responses in by_request.items():
        firm = [
            one
            for one, at in responses.items()
            if one not in deleted
            and not excused(history, at)
            and not _came_to_nothing(history, one)
            and not _went_with_its_node(history, one, at, max(responses.values()))
        ]
        there = [one for one in responses if any(f.status == 200 for f in history.finals.get(one, {}).values())]
        there = [one for one in there if not _came_to_nothing(history, one)]
        if len(firm) > 1 or len(there) > 1:
            yield f"request {request_id} was answered by {responses}"


def _went_with_its_node(history: History, response_id: str, at: float, until: float) -> bool:
    """Return whether it was not to be stored, and before it was asked for again a node may have ended, or the time was
    over for which it is kept.
    """
    ends = [*history.ended, *(began for began, _ in history.troubles)]
    is_over = until > at + ResponseSettings().linger_seconds
    return response_id in history.unstored and (is_over or any(at - _MOMENT <= ended <= until for ended in ends))


def _came_to_nothing(history: History, response_id: str) -> bool:
    """Return whether it failed in a way that leaves its request to be tried again."""
    for final in history.finals.get(response_id, {}).values():
        if final.status == 200 and (final.body.get("error") or {}).get("code") == "server_restarted":
            return True
    return False


def _attempts(history: History) -> Iterator[str]:
    """An answer is given to three engines at most, if nothing but deaths has come over it."""
    if history.ended or history.lost or {kind for _, kind in history.troubles} - {"chase"}:
        return
    for answer in history.answers:
        number = history.generated.get(answer.text, 0)
        if answer.request_id is None and number > MAX_ATTEMPTS:
            yield f"{answer.response_id} was given to {number} engines"


def _without_lease(history: History) -> Iterator[str]:
    """A node that could not reach the store for longer than its lease tells of nothing new, before it can again."""
    if {kind for _, kind in history.troubles} & {"clock", "suspend", "stop", "hang"}:
        return  # whose clocks are as they are
    for answer in history.answers:
        yield from _told_without(history, answer.response_id, answer.node, answer.at)
    for reading in history.readings:
        for node, at in zip(reading.by, reading.at, strict=True):
            yield from _told_without(history, reading.response_id, node, at)


def _told_without(history: History, response_id: str, node: str, at: float) -> Iterator[str]:
    for name, since, until in history.cut_off:
        if name == node and since + LEASE_SECONDS < at < until:
            yield f"{response_id} was told of by {node} at {at:.3f}, which is cut off since {since:.3f}"


def _receipts(history: History) -> Iterator[str]:
    """What was told to be kept is what is kept. A truncation that came later changes what a terminal has told."""
    gone = {response_id for response_id, _ in history.deleted} | history.unstored | history.maybe_cut
    cuts: dict[str, list[Receipt]] = {}
    for receipt in history.receipts:
        if receipt.kind == "truncated":
            cuts.setdefault(receipt.response["id"], []).append(receipt)
    for receipt in history.receipts:
        response_id = receipt.response["id"]
        told = cuts.get(response_id) or [receipt]
        if response_id in gone or any(lost(history, one.at) for one in (receipt, *told)):
            continue
        for node, final in history.finals.get(response_id, {}).items():
            output = final.body.get("output")
            if final.status != 200:
                yield f"{response_id}: told {receipt.response['output']}, {node} answers {final.status}"
            elif all(output != one.response["output"] for one in told):
                yield f"{response_id}: told {receipt.response['output']}, {node} has {output}"


def _may_come_again(history: History) -> set[str]:
    """Return what was asked for in responses that were deleted: the same request, asked for again, is another one."""
    deleted = {response_id for response_id, _ in history.deleted}
    return {answer.text for answer in history.answers if answer.response_id in deleted}


def _is_twice(texts: list[str], again: set[str]) -> bool:
    counted = [text for text in texts if text not in again]
    return len(set(counted)) != len(counted)


def _said(history: History) -> Iterator[str]:
    """A whole answer is what the model says to what it was asked, from its beginning to its end, and each turn is in a
    prompt once.
    """
    again = _may_come_again(history)
    for prompt in history.prompts:
        if _is_twice(prompt, again):
            yield f"a prompt has a turn twice: {prompt}"
    cut = {receipt.response["id"] for receipt in history.receipts if receipt.kind == "truncated"} | history.maybe_cut
    texts = {answer.response_id: answer.text for answer in history.answers}
    for response_id, text in texts.items():
        for final in history.finals.get(response_id, {}).values():
            if final.status == 200 and final.body["status"] == "completed" and response_id not in cut:
                got = "".join(part["text"] for item in final.body["output"] for part in item.get("content", ()))
                if text in history.said and got not in history.said[text]:
                    yield f"{response_id} says {got!r}, the model {history.said.get(text)}"


def _conversations(history: History) -> Iterator[str]:
    """Each turn is in its conversation once, at all nodes alike, and what was put in is there until it is taken out."""
    for conversation_id, nodes in history.conversations.items():
        lists = list(nodes.values())
        if any(one != lists[0] for one in lists[1:]):
            yield f"{conversation_id} has other items at another node: {nodes}"
        items, deleted = lists[0], history.unconversed.get(conversation_id)
        if items is None:
            if deleted is None and not lost(history, history.conversed[conversation_id]):
                yield f"{conversation_id} was acknowledged and is lost"
            continue
        if deleted not in (None, UNKNOWN) and not lost(history, deleted):
            yield f"{conversation_id} was deleted at {deleted:.3f}, and is there"
        yield from _turns(history, conversation_id, items)
        yield from _items(history, conversation_id, [item["id"] for item in items])


def _turns(history: History, conversation_id: str, items: list[dict[str, Any]]) -> Iterator[str]:
    ids = [item["id"] for item in items]
    texts = [text for item in items if item.get("role") == "user" for text in _texts(item)]
    if len(set(ids)) != len(ids) or _is_twice(texts, _may_come_again(history)):
        yield f"{conversation_id} has a turn twice: {texts}"
    there = {item.get("response_id") for item in items}
    for response_id, finals in history.finals.items():
        final = next(iter(finals.values()))
        of = (final.body.get("conversation") or {}).get("id") if final.status == 200 else None
        if of == conversation_id and final.body["status"] in ("completed",) and response_id not in there:
            yield f"{conversation_id} has nothing of {response_id}, which is completed"


def _items(history: History, conversation_id: str, ids: list[str]) -> Iterator[str]:
    given = [item for item in history.items if item.conversation_id == conversation_id]
    for item in given:
        if item.deleted is None and item.item_id not in ids and not lost(history, item.at):
            yield f"{conversation_id}: {item.item_id} was put in at {item.at:.3f}, and is lost"
        taken_out = item.deleted not in (None, UNKNOWN) and not lost(history, item.deleted)
        if taken_out and item.item_id in ids:
            yield f"{conversation_id}: {item.item_id} was taken out at {item.deleted:.3f}, and is there"
    there = [item for item in given if item.item_id in ids]
    for earlier, later in itertools.combinations(there, 2):
        if earlier.at < later.asked and ids.index(earlier.item_id) > ids.index(later.item_id):
            yield f"{conversation_id}: {later.item_id} was put in after {earlier.item_id}, and comes before it"


def _texts(item: dict[str, Any]) -> list[str]:
    return [part["text"] for part in item["content"] if "text" in part]


def _lists(history: History) -> Iterator[str]:
    """Each list is the same at all nodes, and that of responses has each of them once."""
    for path, nodes in history.lists.items():
        lists = list(nodes.values())
        if any(one != lists[0] for one in lists[1:]):
            yield f"{path} has other entries at another node: {nodes}"
        ids = [entry["id"] for entry in lists[0] if isinstance(entry, dict)]
        if len(set(ids)) != len(ids):
            yield f"{path} has an entry twice: {ids}"
        kept = {one for one, finals in history.finals.items() if all(final.status == 200 for final in finals.values())}
        if "input_items" not in path and not kept - history.unstored <= set(ids):
            yield f"{path} has not {kept - history.unstored - set(ids)}"
