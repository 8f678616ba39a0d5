"""The messages between the server and the process that compiles grammars: frames of msgpack on a socket. Pure."""

from __future__ import annotations

import msgspec

from realtime.engine.parsing import ConstraintKind

HEADER = 4  # bytes of a frame's length, before it


class Setup(msgspec.Struct, frozen=True, tag=True):
    """The first message to the process.

    tokenizer_info: of the model, as xgrammar serializes it. seconds: CPU time for a constraint with one schema or
    grammar in it. memory_bytes: the memory that compiling may take beyond what the process has.
    """

    tokenizer_info: str
    seconds: float
    memory_bytes: int


class Compile(msgspec.Struct, frozen=True, tag=True):
    """An order to compile this constraint; see Constraint."""

    number: int
    kind: ConstraintKind
    value: str
    param: str | None = None


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """A note that nobody waits for this constraint any more."""

    number: int


class Compiled(msgspec.Struct, frozen=True, tag=True):
    """A constraint that compiles, in the engine's form."""

    number: int
    value: str


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The refusal of a constraint that does not compile: the reason in words, and the place in the request if it is
    known.
    """

    number: int
    reason: str
    param: str | None = None


class Serving(msgspec.Struct, frozen=True, tag=True):
    """A note that the process serves."""


Order = Setup | Compile | Cancel
Answer = Serving | Compiled | Refused

_encode = msgspec.msgpack.Encoder().encode
_ORDER: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
_ANSWER: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def frame(message: Order | Answer) -> bytes:
    """Encode a message as a frame for the socket."""
    body = _encode(message)
    return len(body).to_bytes(HEADER, "big") + body


def decode_order(body: bytes) -> Order:
    """Decode a frame to the process."""
    return _ORDER.decode(body)


def decode_answer(body: bytes) -> Answer:
    """Decode a frame from the process."""
    return _ANSWER.decode(body)
