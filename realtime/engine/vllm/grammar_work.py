"""Compile one constraint, in a process of its own that ends with it; see grammar_process.

The parts that a client wrote are first read one by one, so that an error is reported with its place. Some grammars
compile at once but take longer with every character, and some begin texts that they can't end. So a part that could be
one of these is compiled for an alphabet of bytes, and followed for a while as a model would follow it. Then everything
is compiled for the model's tokens, as the engine will do, with less stack than the engine has.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import resource
import signal
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from realtime.engine import json_grammar, structural_tags

from .grammar_messages import Compile, Compiled, Refused

_STACK_BYTES = 1 << 20  # of threads in the engine there are at least 2 MiB
_MORE_PARTS = 0.05  # of the time for one part, for each further one ...
_MOST_TIME = 5.0  # ... up to so many times it
_WALL_TIMES = 20  # this many times the CPU time at most, however busy the machine is
_FOLLOWED_BYTES = 512
_TO_FOLLOW = (
    '"$ref"',
    '"pattern',
    '"grammar"',
    "[]",
)  # without one of these a schema is as quick at its end, and has one
_WARNING = re.compile(r"Warning: (.*)")
_WHERE = re.compile(r"^\[[\d:]+\] \S+?:\d+: |Check failed: \(.*?\) is false: ")
_SHOWN = 300  # characters of a reason
_STOP = 256  # the one token of the bytes' alphabet that is none


class Library(NamedTuple):
    """xgrammar, with a compiler for the model's tokens and one for bytes."""

    core: Any
    for_model: Any
    for_bytes: Any


class _Bad(Exception):
    """An error: a constraint that can't be served, with the reason."""


def library(core: Any, tokenizer_info: str) -> Library:
    """Load xgrammar. Its compilers keep nothing: there is one process for each constraint."""
    info = core.TokenizerInfo.deserialize_json(tokenizer_info)
    alphabet = [bytes([byte]) for byte in range(_STOP)] + [b"</s>"]
    metadata = {"vocab_type": 0, "vocab_size": _STOP + 1, "add_prefix_space": False, "stop_token_ids": [_STOP]}
    of_bytes = core.TokenizerInfo.from_vocab_and_metadata(alphabet, json.dumps(metadata))
    return Library(core, core.GrammarCompiler(info, 1, False, -1), core.GrammarCompiler(of_bytes, 1, False, -1))


class Place:
    """The place that the work has reached, for the error if the process dies there. Kept in a file that outlives the
    process.
    """

    def __init__(self) -> None:
        self._file = os.memfd_create("place")

    def at(self, param: str | None) -> None:
        """Note that the work has reached this place."""
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(param).encode(), 0)

    def last(self) -> str | None:
        """Return the last place, and close the file."""
        found = os.pread(self._file, 1 << 16, 0)
        os.close(self._file)
        param: str | None = json.loads(found or b"null")
        return param


def limit(order: Compile, seconds: float, memory_bytes: int) -> float:
    """Limit this process's resources. When its time is over the kernel kills it, whatever it is doing. Return the CPU
    seconds that the compilation for bytes may take, and again the one for the model's tokens.
    """
    num_parts = sum(1 for _ in structural_tags.parts(order.value)) if order.kind == "structural_tag" else 1
    seconds *= min(_MOST_TIME, 1 + _MORE_PARTS * max(0, num_parts - 1))
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    _wind(seconds)
    with open("/proc/self/statm") as sizes:
        used = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return seconds


def _wind(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds * _WALL_TIMES)


def work(xgrammar: Library, order: Compile, seconds: float, place: Place) -> Compiled | Refused:
    """Compile within the time that `limit` returned. Never raises; the process may die in it."""
    answers: list[Compiled | Refused] = []
    threading.stack_size(_STACK_BYTES)
    thread = threading.Thread(target=lambda: answers.append(_work(_Compiling(xgrammar, order, seconds, place))))
    thread.start()
    thread.join()
    return answers[0]


def _work(compiling: _Compiling) -> Compiled | Refused:
    number = compiling.order.number
    try:
        return Compiled(number, compiling.run())
    except _Bad as error:
        return Refused(number, str(error), compiling.param)
    except (MemoryError, RecursionError):
        return Refused(number, TOO_MUCH, compiling.param)


TOO_MUCH = "it takes too much memory, or is too deeply nested, to compile: simplify it"
TOO_LONG = "it takes too long to compile or to follow: simplify it"


class _Compiling:
    """One compilation. `param`: the part that it is working on; None: all of it."""

    def __init__(self, xgrammar: Library, order: Compile, seconds: float, place: Place) -> None:
        self.order = order
        self._seconds = seconds
        self.param: str | None = None
        self._xgrammar = xgrammar
        self._place = place
        self._warnings = os.memfd_create("warnings")  # xgrammar says on stderr what it can't do, and leaves it out
        os.dup2(self._warnings, 2)

    def run(self) -> str:
        """Return the constraint in the engine's form. Raises _Bad."""
        order = self.order
        if order.kind != "structural_tag":
            self._at(order.param)
            if order.kind == "regex":
                _check_regex(order.value)
            self._follow(self._compile(self._xgrammar.for_bytes, order.value), empty=True)
            return self._compile_for_model(order.value)
        params = set()
        for part in structural_tags.parts(order.value):
            self._at(part["param"])
            params.add(part["param"])
            alone = self._expand(structural_tags.tag(part))
            if part["type"] == "regex":
                _check_regex(part["pattern"])
            if any(sign in alone for sign in _TO_FOLLOW):
                self._follow(self._compile(self._xgrammar.for_bytes, alone), empty="json_schema" not in part)
            else:
                self._read(alone)
        self._at(params.pop() if len(params) == 1 else None)
        return self._compile_for_model(self._expand(order.value))

    def _compile_for_model(self, value: str) -> str:
        _wind(self._seconds)
        self._compile(self._xgrammar.for_model, value)
        return value

    def _at(self, param: str | None) -> None:
        self.param = param
        self._place.at(param)

    def _expand(self, source: str) -> str:
        return structural_tags.expand(source, self._grammar)

    def _grammar(self, syntax: str, definition: str, in_json: bool) -> structural_tags.Form:
        """See structural_tags.Expand."""
        core = self._xgrammar.core.Grammar
        with _words():
            if syntax == "regex":
                _check_regex(definition)
                read = core.from_regex(definition, False)
            elif is_lark(definition):
                read = core.from_lark(definition, None, [], [])
            else:
                read = core.from_ebnf(definition, "root")
            text = str(read.to_string())
            return {"type": "grammar", "grammar": json_grammar.escape(text) if in_json else text}

    def _compile(self, compiler: Any, value: str) -> Any:
        """Compile as vLLM does."""
        with _words():
            match self.order.kind:
                case "structural_tag":
                    grammar = compiler.compile_structural_tag(value)
                case "regex":
                    grammar = compiler.compile_regex(value)
                case _ if is_lark(value):
                    grammar = compiler.compile_lark(value, [], [])
                case _:
                    grammar = compiler.compile_grammar_from_strings(value, "root")
        self._check_warnings()
        return grammar

    def _read(self, tag: str) -> None:
        """Find errors only, which is a tenth of the work."""
        with _words():
            self._xgrammar.core.Grammar.from_structural_tag(tag)
        self._check_warnings()

    def _check_warnings(self) -> None:
        said = os.pread(self._warnings, 1 << 16, 0).decode(errors="replace")
        if found := _WARNING.search(said):
            raise _Bad(f"it can't be held to exactly: {_short(found[1])}")

    def _follow(self, grammar: Any, *, empty: bool) -> None:
        """Write a text by the grammar, each byte by chance. Raises _Bad where it can't continue. `empty`: the text may
        be empty, which JSON can't be.
        """
        import numpy
        from tvm_ffi import from_dlpack

        matcher = self._xgrammar.core.GrammarMatcher(grammar, None, False, -1, None)
        mask = numpy.zeros((1, (_STOP + 32) // 32), dtype=numpy.int32)
        shared = from_dlpack(mask)
        dice = random.Random(0)
        for written in range(_FOLLOWED_BYTES):
            mask[:] = -1
            matcher.fill_next_token_bitmask(shared, 0, False)
            allowed = int.from_bytes(mask.tobytes(), "little") & ((1 << _STOP) - 1)
            if not allowed:
                if matcher.is_completed() and (written or empty):
                    return
                raise _Bad("no text matches it" if not written else "it allows beginnings of texts that have no end")
            matcher.accept_token(_pick(allowed, dice), False)


def _pick(allowed: int, dice: random.Random) -> int:
    """Return one of the bits that are set: the first one from a random position on."""
    first = dice.randrange(_STOP)
    after = allowed >> first
    bits, offset = (after, first) if after else (allowed, 0)
    return offset + (bits & -bits).bit_length() - 1


@contextlib.contextmanager
def _words() -> Iterator[None]:
    """Turn xgrammar's errors into _Bad."""
    try:
        yield
    except (_Bad, MemoryError, RecursionError):
        raise
    except Exception as error:
        if "bad_alloc" in str(error):
            raise MemoryError from error
        raise _Bad(_short(_WHERE.sub("", str(error))) or "it can't be read") from error


def _check_regex(text: str) -> None:
    if "\0" in text:
        raise _Bad("a regular expression can't have a NUL character")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def is_lark(grammar: str) -> bool:
    """Return whether a grammar is in Lark's notation, by vLLM's rule: EBNF has `::=` in a line that is
    not a comment.
    """
    return not any("::=" in re.sub(r"(#|//).*$", "", line) for line in grammar.split("\n"))
