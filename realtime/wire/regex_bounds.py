"""Measure regular expressions and Lark grammars without compiling them: groups and repeats. Pure.

`steps` is how long the text would be with its repeats written out: a sum over its elements, each times the repeats
around it. One pass, no recursion. Only an expression that is malformed in every flavour of regular expressions is
called malformed.
"""

from __future__ import annotations

import enum
import re
from typing import NamedTuple

_REGEX = re.compile(
    r"""
      (?P<escape> \\ (?: [pPu] \{ [^}]{0,64} \} | u[0-9a-fA-F]{4} | x[0-9a-fA-F]{2} | . ) )
    | (?P<set>    \[ (?: \\. | [^\]\\] )* \] )
    | (?P<open>   \( \?? )
    | (?P<close>  \) )
    | (?P<repeat> \{ (?P<low>[0-9]+) (?: , (?P<high>[0-9]*) )? \} )
    | (?P<mark>   [*+?] )
    | (?P<choice> \| )
    | (?P<broken> [\\\[] )
    | (?P<other>  . )
    """,
    re.VERBOSE | re.DOTALL,
)
_REPEAT = r"""
      ~ \s* (?P<times>[0-9]+) (?: \s* \.\. \s* (?P<most>[0-9]+) )?
    | \{ \s* (?P<low>[0-9]+) (?: \s* , \s* (?P<high>[0-9]*) )? \s* \}
"""
_LARK = re.compile(
    r"""
      (?P<comment> //[^\n]* | \#[^\n]* )
    | (?P<literal> " (?: [^"\\\n] | \\. )* " i? )
    | / (?P<regex> (?: [^/\\\n] | \\. )+ ) / [a-z]*
    | (?P<open>    [(\[] )
    | (?P<close>   [)\]] )
    | (?P<repeat>  """
    + _REPEAT
    + r""" )
    | (?P<word>    \w+ )
    | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
_EBNF = re.compile(
    r"""
      (?P<comment> \#[^\n]* )
    | (?P<literal> " (?: [^"\\\n] | \\. )* " | \[ (?: \\. | [^\]\\\n] )+ \] )
    | (?P<open>    \( )
    | (?P<close>   \) )
    | (?P<repeat>  """
    + _REPEAT
    + r""" )
    | (?P<word>    \w+ )
    | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)


class Limits(NamedTuple):
    """The limits."""

    groups: int
    repeat: int
    steps: int


class Over(enum.Enum):
    """A limit that is exceeded."""

    GROUPS = enum.auto()
    REPEAT = enum.auto()
    STEPS = enum.auto()


class TooMuch(ValueError):
    """An error: the text exceeds a limit."""

    def __init__(self, over: Over) -> None:
        super().__init__(over.name)
        self.over = over


class Malformed(ValueError):
    """An error: the text is not a regular expression. Its words may be shown."""


class Unheld(ValueError):
    """An error: the regular expression has something that no grammar can express. Its words may be shown."""


class _Size:
    """The size of what was read so far, in the open groups."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._before = [0]  # what each open group holds before its last element
        self.last = 0  # the size of that element
        self.depth = 0

    def add(self, size: int = 1) -> None:
        """Add an element."""
        self._before[-1] += self.last
        self.last = size
        self._check(self._before[-1] + size)

    def open(self) -> None:
        """Open a group."""
        self.add(0)
        self._before.append(0)
        self.depth += 1
        if self.depth > self._limits.groups:
            raise TooMuch(Over.GROUPS)

    def close(self) -> None:
        """Close the innermost group. An empty one is an element too."""
        self.last = max(1, self._before.pop() + self.last)
        self.depth -= 1
        self._check(self._before[-1] + self.last)

    def choose(self) -> None:
        """Begin another alternative."""
        self.add(0)

    def repeat(self, *digits: str | None) -> None:
        """Repeat the last element, at most as often as the greatest of these numbers."""
        times = max((_number(one) for one in digits if one), default=0)
        if times > self._limits.repeat:
            raise TooMuch(Over.REPEAT)
        self.last *= max(times, 1)
        self._check(self._before[-1] + self.last)

    @property
    def steps(self) -> int:
        """The total size, including groups that are still open."""
        return sum(self._before) + self.last

    def _check(self, size: int) -> None:
        if size > self._limits.steps:
            raise TooMuch(Over.STEPS)


def measure_regex(pattern: str, limits: Limits) -> int:
    """Return the steps of a regular expression. Raises TooMuch, Malformed, Unheld."""
    size = _Size(limits)
    lacking = None
    for found in _REGEX.finditer(pattern):
        match found.lastgroup:
            case "open":
                size.open()
                lacking = lacking or _around(pattern, found.end())
            case "escape":
                size.add()
                lacking = lacking or _NO_CHARACTERS.get(found[0][1])
            case "close" if not size.depth:
                raise Malformed(f"the ')' at character {found.start()} closes nothing")
            case "close":
                size.close()
            case "repeat":
                _check_repeat(size, found)
                size.repeat(found["low"], found["high"])
            case "mark":
                _check_repeatable(size, found)
            case "choice":
                size.choose()
            case "broken":
                what = "a backslash at its end" if found[0] == "\\" else f"the '[' at {found.start()} is not closed"
                raise Malformed(what)
            case _:
                size.add()
    if size.depth:
        raise Malformed("a '(' is not closed")
    if "\0" in pattern:
        raise Malformed("it has a NUL character")
    if lacking is not None:
        raise Unheld(f"it has {lacking}: say it without")
    return size.steps


_NO_CHARACTERS = {
    **dict.fromkeys("bB", "the boundary of a word"),
    **dict.fromkeys("123456789k", "a back reference"),
    **dict.fromkeys("pP", "a class of Unicode characters"),
}  # by the letter of their escape
_AROUND = re.compile(r"[=!]|<[=!]")


def _around(pattern: str, at: int) -> str | None:
    """Return whether the group that opens here looks ahead or behind."""
    return "a look-ahead or a look-behind" if pattern[at - 1] == "?" and _AROUND.match(pattern, at) else None


def _check_repeatable(size: _Size, found: re.Match[str]) -> None:
    if not size.last:
        raise Malformed(f"there is nothing to repeat before the '{found[0][:16]}' at character {found.start()}")


def _check_repeat(size: _Size, found: re.Match[str]) -> None:
    _check_repeatable(size, found)
    if found["high"] and _number(found["low"]) > _number(found["high"]):
        raise Malformed(f"'{found[0][:16]}' has its lower bound above its upper one")


def measure_lark(definition: str, limits: Limits) -> int:
    """Return the steps of a grammar in Lark's notation or in EBNF, including its regular expressions. Leaves errors in
    it to the compiler. Raises TooMuch.
    """
    size = _Size(limits)
    for found in (_EBNF if "::=" in definition else _LARK).finditer(definition):
        match found.lastgroup:
            case "comment":
                pass
            case "regex":
                size.add(_measure_terminal(found["regex"], limits))
            case "open":
                size.open()
            case "close" if size.depth:
                size.close()
            case "repeat":
                size.repeat(*(value for name, value in found.groupdict().items() if name in _NUMBERS))
            case "literal" | "word":
                size.add()
            case _:
                pass
    return size.steps


_NUMBERS = ("times", "most", "low", "high")


def _measure_terminal(pattern: str, limits: Limits) -> int:
    try:
        return max(1, measure_regex(pattern, limits))
    except (Malformed, Unheld):
        return len(pattern)


def _number(digits: str) -> int:
    """Return a number that may have thousands of digits, cut off where it is too great anyway."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) < 10 else 10**9
