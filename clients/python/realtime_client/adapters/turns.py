"""Turns of a voice agent. Its framework gives the whole context each time, with the part of the last answer that was
heard; the server gets only what is new. An answer of which the context holds less than was written is cut there, for
good.

The server's chain of responses and the framework's context are two accounts of one conversation. Whenever they can't be
reconciled - the context was edited or summarized, the server has forgotten the chain - the whole context is sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from ..client import Client
from ..errors import EventNotReceived, ServerError
from ..response import Response
from ..wire import ResponseEvent as Event

Item = dict[str, Any]
_NUM_KEPT = 4  # turns that a context may continue: a framework asks ahead of time, and again when the user said more


class Answer:
    """One response, and the text read from it. Iterate it for its events; `leave` it when the user speaks."""

    def __init__(self, response: Response, context: Sequence[Item], is_continued: bool) -> None:
        self.response = response
        self.context = list(context)  # what it answers
        self.is_continued = is_continued  # the server was sent only what is new
        self.calls: set[str] = set()
        self.is_over = False
        self.num_kept: int | None = None  # characters, once it was cut
        self._texts: list[tuple[str, int, str]] = []  # item, content index, piece
        self._cutting: asyncio.Task[None] | None = None

    def __aiter__(self) -> Answer:
        return self

    async def __anext__(self) -> Event:
        """Return the next event, and note what it brings. A call is passed to the framework when it is complete."""
        try:
            event = await anext(self.response)
        except StopAsyncIteration:
            self.is_over = True
            raise
        if event["type"] == "response.output_text.delta":
            self._texts.append((event["item_id"], event["content_index"], event["delta"]))
        elif event["type"] == "response.output_item.done" and event["item"]["type"] == "function_call":
            self.calls.add(event["item"]["call_id"])
        elif event["type"] in ("response.completed", "response.incomplete", "response.failed"):
            self.is_over = True
        return event

    async def leave(self) -> None:
        """Stop the answer, if it is not over. The stop is on its way when this returns."""
        await self.response.__aexit__(None, None, None)

    @property
    def text(self) -> str:
        """Return all output text that was read."""
        return "".join(piece for _, _, piece in self._texts)

    def cut(self, num_characters: int) -> None:
        """Keep so many characters of the text that was read, and nothing after them; `settle` waits for that."""
        self.num_kept, self.is_over, self.calls = num_characters, True, set()
        self._cutting = asyncio.create_task(self._cut(num_characters))
        self._cutting.add_done_callback(lambda task: task.cancelled() or task.exception())  # `settle` tells it

    async def settle(self) -> None:
        """Wait until the answer is cut, if a cut was requested. Raises ServerError when that was refused."""
        if self._cutting is not None:
            await asyncio.shield(self._cutting)

    async def _cut(self, num_characters: int) -> None:
        if num_characters == 0:
            await self.response.truncate(-1)
        else:
            item_id, content_index, inside = self._place(num_characters)
            await self.response.truncate(num_characters=inside, item_id=item_id, content_index=content_index)

    def _place(self, num_characters: int) -> tuple[str, int, int]:
        """Return the message in which so many characters end, and how many of them are its own."""
        left = num_characters
        sizes: dict[tuple[str, int], int] = {}
        for item_id, content_index, piece in self._texts:
            sizes[item_id, content_index] = sizes.get((item_id, content_index), 0) + len(piece)
        for (item_id, content_index), size in sizes.items():
            if left <= size:
                return item_id, content_index, left
            left -= size
        raise ValueError(f"only {len(self.text)} characters were read")


class Turns:
    """The turns of one conversation."""

    def __init__(self) -> None:
        self._answers: deque[Answer] = deque(maxlen=_NUM_KEPT)

    async def ask(self, client: Client, context: Sequence[Item], **body: Any) -> Answer:
        """Ask for an answer to this context. `body`: the other members of the create."""
        answer = await self._continued(client, context, body)
        if answer is None:
            answer = Answer(await client.create(input=list(context), **body), context, False)
        self._answers.append(answer)
        return answer

    async def _continued(self, client: Client, context: Sequence[Item], body: dict[str, Any]) -> Answer | None:
        for last in reversed(self._answers):
            if (step := _step(last, context)) is None:
                continue
            num_heard, new = step
            if num_heard is not None:
                last.cut(num_heard)
            try:
                response = await _follow(client, last, new, body)
            except (EventNotReceived, ServerError):
                self._answers.remove(last)  # forgotten, or gone on otherwise
                return None
            return Answer(response, context, True)
        return None


async def _follow(client: Client, last: Answer, new: list[Item], body: dict[str, Any]) -> Response:
    """Continue an answer. The cut and the create are sent together, in this order, which saves a round trip."""
    wanted = {"previous_response_id": last.response.id, "input": new, **body}
    cut, made = await asyncio.gather(last.settle(), client.create(**wanted), return_exceptions=True)
    if isinstance(cut, BaseException):
        if isinstance(made, Response):
            await made.__aexit__(None, None, None)
        raise cut
    if isinstance(made, ServerError) and made.code == "previous_response_in_progress":  # it is over by now
        return await client.create(**wanted)
    if isinstance(made, BaseException):
        raise made
    return made


def _step(last: Answer, context: Sequence[Item]) -> tuple[int | None, list[Item]] | None:
    """Return how this context continues an answer: the characters to cut it to (None: all), and the new items."""
    start = len(last.context)
    if list(context[:start]) != last.context:
        return None
    heard, calls, at = "", set[str](), start
    for item in context[start:]:
        if item.get("role") == "assistant":
            heard += _text_of(item)
        elif item.get("type") == "function_call" and item.get("call_id") in last.calls:
            calls.add(item["call_id"])
        elif item.get("type") != "reasoning":
            break
        at += 1
    new = list(context[at:])
    if not new or any(item.get("role") == "assistant" or item.get("type") == "function_call" for item in new):
        return None
    num_heard = position(last.text, heard)
    if num_heard is None:
        return None
    kept = len(last.text) if last.num_kept is None else last.num_kept
    if last.is_over and num_heard == kept and calls == last.calls:
        return None, new
    if calls or num_heard > kept:  # a cut takes the calls behind it along, and brings nothing back
        return None
    return num_heard, new


def _text_of(item: Item) -> str:
    content = item.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content)


def position(text: str, heard: str) -> int | None:
    """Return the number of characters of `text` up to the end of what was heard; None when that is not its beginning.

    Speech has other spaces than the written text, and may lack its marks, so these don't count.
    """
    for counts in (_is_visible, str.isalnum):
        at, wanted = 0, [character for character in heard if counts(character)]
        for character in wanted:
            while at < len(text) and not counts(text[at]):
                at += 1
            if at == len(text) or text[at] != character:
                break
            at += 1
        else:
            rest = text[at:]
            return len(text) if wanted and not any(map(counts, rest)) else at
    return None


def _is_visible(character: str) -> bool:
    return not character.isspace()
