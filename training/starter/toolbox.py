"""Tools, the jobs that users give them, and what the tools answer: material for the tool skills."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from training.starter.lexicon import (
    CITIES,
    COLORS,
    LETTERS,
    NAMES,
    ROOMS,
    SAYINGS,
    SKIES,
    TICKERS,
    WORDS,
    listed,
)

Value = str | int
Outcome = Callable[[random.Random, tuple[Value, ...]], tuple[str, str]]


def pseudo_word(rng: random.Random, syllables: int | None = None) -> str:
    """An invented word: keeps the model from believing that every word is on a list."""
    count = syllables or rng.choice([2, 2, 3])
    return "".join(
        rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") + (rng.choice("nrslt") if rng.random() < 0.3 else "")
        for _ in range(count)
    )


def city(rng: random.Random) -> str:
    return rng.choice(CITIES) if rng.random() < 0.93 else pseudo_word(rng).capitalize()


def name(rng: random.Random) -> str:
    return rng.choice(NAMES) if rng.random() < 0.93 else pseudo_word(rng).capitalize()


def word(rng: random.Random) -> str:
    return rng.choice(WORDS) if rng.random() < 0.95 else pseudo_word(rng)


def words(rng: random.Random) -> str:
    return " ".join(word(rng) for _ in range(rng.randint(1, 3)))


def room(rng: random.Random) -> str:
    return rng.choice(ROOMS)


def color(rng: random.Random) -> str:
    return rng.choice(COLORS)


def ticker(rng: random.Random) -> str:
    if rng.random() < 0.8:
        return rng.choice(TICKERS)
    return "".join(rng.choice(LETTERS.upper()) for _ in range(rng.randint(3, 4)))


def saying(rng: random.Random) -> str:
    return rng.choice(SAYINGS)


def addressee(rng: random.Random) -> str:
    return name(rng) if rng.random() < 0.85 else f"{rng.choice(NAMES).lower()}@example.com"


def small(rng: random.Random) -> int:
    return rng.randint(0, 99)


@dataclass(frozen=True)
class Parameter:
    """One argument of a kind of tool: the names it may have, its JSON type, its values."""

    names: tuple[str, ...]
    value: Callable[[random.Random], Value]
    type: str = "string"


@dataclass(frozen=True)
class Kind:
    """Everything that can be asked of one sort of tool; `{0}` and `{1}` stand for its arguments."""

    key: str
    names: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    descriptions: tuple[str, ...]
    questions: tuple[str, ...]
    topic: str
    outcome: Outcome
    #: questions that name two things at once, for two calls in one turn
    pair_questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One call that a user wants, how the user asks for it, and how the tool may answer."""

    tool: Tool
    values: tuple[Value, ...]
    question: str

    @property
    def topic(self) -> str:
        return self.tool.kind.topic.format(*self.values)

    @property
    def arguments(self) -> dict[str, Value]:
        chosen = dict(zip(self.tool.arguments, self.values, strict=True))
        return {**chosen, **self.tool.fixed}

    def call(self, number: int = 0) -> dict[str, Any]:
        """The call as it stands in an assistant message of a chat request."""
        return {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": self.tool.name, "arguments": self.arguments},
        }

    def outcome(self, rng: random.Random) -> tuple[str, str]:
        """What the tool returns, and what is to be told to the user."""
        return self.tool.kind.outcome(rng, self.values)


@dataclass(frozen=True)
class Tool:
    """A kind of tool under a chosen name with chosen argument names."""

    kind: Kind
    name: str
    arguments: tuple[str, ...]
    description: str
    #: required arguments nobody mentions: the first value of their enumeration is right
    fixed: dict[str, Value] = field(default_factory=dict)
    extra: dict[str, dict[str, Any]] = field(default_factory=dict)
    closed: bool = True

    def schema(self) -> dict[str, Any]:
        """The tool in OpenAI's chat form."""
        types = {a: {"type": p.type} for a, p in zip(self.arguments, self.kind.parameters, strict=True)}
        parameters: dict[str, Any] = {"type": "object", "properties": {**types, **self.extra}}
        if self.closed or self.extra:
            parameters["required"] = [*self.arguments, *self.fixed]
        function: dict[str, Any] = {"name": self.name, "parameters": parameters}
        if self.description:
            function["description"] = self.description
        return {"type": "function", "function": function}

    def job(self, rng: random.Random) -> Job:
        values = tuple(p.value(rng) for p in self.kind.parameters)
        return Job(self, values, rng.choice(self.kind.questions).format(*values))


def as_text(result: Any) -> str:
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)


def failure(rng: random.Random) -> tuple[str, str]:
    """A tool that fails: the model reports the error in the tool's own words."""
    reason = rng.choice(["not found", "timeout", "access denied", "city not found", "no connection", "bad request"])
    content = rng.choice([{"error": reason}, f"error: {reason}", f"Error: {reason}", {"ok": False, "error": reason}])
    return as_text(content), f"The tool failed: {reason}."


def _with_failures(outcome: Outcome, share: float = 0.12) -> Outcome:
    def wrapped(rng: random.Random, values: tuple[Value, ...]) -> tuple[str, str]:
        return failure(rng) if rng.random() < share else outcome(rng, values)

    return wrapped


def _weather(rng: random.Random, values: tuple[Value, ...]) -> tuple[str, str]:
    place, degrees, sky = values[0], rng.randint(-9, 39), rng.choice(SKIES)
    full = f"It is {degrees} degrees and {sky} in {place}."
    text = rng.choice([f"{degrees}C and {sky}", f"{sky}, {degrees} degrees", f"{sky.capitalize()}, {degrees}°C"])
    content, answer = rng.choice(
        [
            ({"temperature": degrees, "condition": sky}, full),
            ({"temperature": degrees, "condition": sky}, full),
            ({"temp_c": degrees, "sky": sky}, full),
            ({"temp": degrees, "conditions": sky}, full),
            ({"city": place, "temperature": degrees, "condition": sky}, full),
            ({"city": place, "temperature": degrees, "unit": "celsius", "condition": sky}, full),
            ({"location": place, "condition": sky, "temperature": degrees}, full),
            ({"temperature": degrees, "condition": sky, "humidity": rng.randint(20, 90)}, full),
            ({"condition": sky}, f"It is {sky} in {place}."),
            ({"temperature": degrees}, f"It is {degrees} degrees in {place}."),
            (text, f"The weather in {place}: {text}."),
            (text, f"The weather in {place}: {text}."),
        ]
    )
    return as_text(content), answer


def _time(rng: random.Random, values: tuple[Value, ...]) -> tuple[str, str]:
    clock = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
    content = rng.choice([{"time": clock}, clock, {"city": values[0], "time": clock}])
    return as_text(content), f"It is {clock} in {values[0]}."


def _price(rng: random.Random, values: tuple[Value, ...]) -> tuple[str, str]:
    price = rng.randint(1, 999)
    content = rng.choice([{"price": price}, str(price), {"symbol": values[0], "price": price}])
    return as_text(content), f"The price of {values[0]} is {price}."


def _done(rng: random.Random, values: tuple[Value, ...]) -> tuple[str, str]:
    content = rng.choice([{"ok": True}, "ok", "OK", "done", {"status": "ok"}, {"status": "sent"}, {"success": True}])
    return as_text(content), "Done."


def _found(rng: random.Random, values: tuple[Value, ...]) -> tuple[str, str]:
    text = " ".join(word(rng) for _ in range(rng.randint(1, 4)))
    content = rng.choice([{"result": text}, text, {"results": [text]}])
    return as_text(content), f"I found this: {text}."


def _sum(rng: random.Random, values: tuple[Value, ...]) -> tuple[str, str]:
    total = int(values[0]) + int(values[1])
    content = rng.choice([{"result": total}, str(total), {"sum": total}])
    return as_text(content), f"The result is {total}."


def _generic(rng: random.Random, values: tuple[Value, ...]) -> tuple[str, str]:
    if rng.random() < 0.6:
        return _done(rng, values)
    number = rng.randint(1, 200)
    content = rng.choice([{"result": number}, str(number)])
    return as_text(content), f"The result is {number}."


WEATHER = Kind(
    "weather",
    (
        "get_weather",
        "get_weather",
        "get_weather",
        "get_current_weather",
        "weather",
        "lookup_weather",
        "getWeather",
    ),
    (Parameter(("city", "city", "location", "place"), city),),
    (
        "Get the weather for a city",
        "Get the current weather in a given location",
        "Current weather",
        "Weather lookup",
        "Get current temperature for a given location.",
        "",
    ),
    listed(
        "what is the weather in {0}|what's the weather in {0}|how is the weather in {0}|"
        "weather in {0}|tell me the weather in {0}|is it raining in {0}|"
        "what is the weather like in {0}|what's the weather like in {0}|get the weather for {0}|"
        "weather for {0}|how hot is it in {0}|how warm is it in {0}|do I need an umbrella in {0}|"
        "what is the temperature in {0}|what is the weather in {0} today|"
        "what's the weather like in {0} today|check the weather in {0}|look up the weather in {0}",
        "|",
    ),
    "the weather in {0}",
    _with_failures(_weather, 0.08),
    listed(
        "what is the weather in {0} and {1}|weather in {0} and {1}|"
        "what's the weather like in {0} and {1}|compare the weather in {0} and {1}|"
        "tell me the weather in {0} and in {1}|is it warmer in {0} or {1}|"
        "what is the weather in {0} and in {1}",
        "|",
    ),
)
TIME = Kind(
    "time",
    ("get_time", "get_time", "get_current_time", "current_time", "clock"),
    (Parameter(("city", "city", "timezone", "place"), city),),
    ("Get the local time", "Get the current time in a city", "Local time lookup", ""),
    listed(
        "what time is it in {0}|tell me the time in {0}|current time in {0}|time in {0}|"
        "what is the time in {0}|what is the local time in {0}",
        "|",
    ),
    "the time in {0}",
    _with_failures(_time, 0.08),
    listed(
        "what time is it in {0} and {1}|tell me the time in {0} and {1}|what is the time in {0} and in {1}",
        "|",
    ),
)
STOCK = Kind(
    "stock",
    ("get_stock_price", "get_stock_price", "stock_price", "get_quote"),
    (Parameter(("symbol", "ticker"), ticker),),
    ("Get a stock price", "Get the price of a stock", "Stock quote", ""),
    listed(
        "what is the stock price of {0}|stock price of {0}|quote for {0}|what is the price of {0}|"
        "how much is a share of {0}|get the stock price of {0}",
        "|",
    ),
    "the stock price of {0}",
    _with_failures(_price, 0.08),
    listed(
        "what is the stock price of {0} and {1}|get the stock price of {0} and {1}|prices of {0} and {1}",
        "|",
    ),
)
LOOKUP = Kind(
    "lookup",
    ("lookup", "lookup_user", "find_user", "get_user"),
    (Parameter(("name", "user", "key"), name),),
    ("Look up a user", "Find a user by name", "Look up a record", ""),
    listed(
        "look up {0}|look up the user {0}|find the user {0}|who is the user {0}|get the record of {0}",
        "|",
    ),
    "the record of {0}",
    _with_failures(_found, 0.1),
)
SEARCH = Kind(
    "search",
    ("search", "web_search", "search_web"),
    (Parameter(("query", "query", "q"), words),),
    ("Search the web", "Find documents", "Web search", ""),
    listed(
        "search for {0}|search the web for {0}|find documents about {0}|google {0}|do a search for {0}|search: {0}",
        "|",
    ),
    "a search for {0}",
    _with_failures(_found, 0.1),
)
LIGHT = Kind(
    "light",
    ("turn_on_light", "turn_on_light", "switch_light", "light_on"),
    (Parameter(("room", "room", "place"), room),),
    ("Turn on the light in a room", "Switch a light on", ""),
    listed(
        "turn on the light in the {0}|switch the {0} light on|turn on the {0} light|"
        "light on in the {0}|turn the light on in the {0}|it is dark in the {0}",
        "|",
    ),
    "light in the {0}",
    _with_failures(_done, 0.12),
    listed(
        "turn on the light in the {0} and the {1}|turn on the {0} light and the {1} light|"
        "switch on the lights in the {0} and the {1}",
        "|",
    ),
)
MAIL = Kind(
    "mail",
    ("send_mail", "send_mail", "send_email", "send_message"),
    (
        Parameter(("to", "to", "recipient"), addressee),
        Parameter(("body", "text", "message"), saying),
    ),
    ("Send a mail", "Send an email to a person", "Send a message to somebody", ""),
    listed(
        "send a mail to {0}: {1}|mail {0}: {1}|write a mail to {0}: {1}|"
        "send {0} a mail saying {1}|send an email to {0} saying {1}|tell {0} by mail: {1}|"
        "send a message to {0}: {1}",
        "|",
    ),
    'a mail to {0} saying "{1}"',
    _with_failures(_done, 0.12),
)
ADD = Kind(
    "add",
    ("add", "add", "add_numbers", "sum"),
    (Parameter(("a", "a", "x"), small, "integer"), Parameter(("b", "b", "y"), small, "integer")),
    ("Add two numbers", "Add two integers and return the sum", "Sum of two numbers", ""),
    listed(
        "add {0} and {1}|what is {0} + {1}|what is {0} plus {1}|{0} + {1}|compute {0} + {1}|"
        "use the tool to add {0} and {1}|how much is {0} plus {1}",
        "|",
    ),
    "{0} + {1}",
    _with_failures(_sum, 0.05),
)
KINDS = (WEATHER, TIME, STOCK, LOOKUP, SEARCH, LIGHT, MAIL, ADD)
#: kinds whose questions make sense, and must be declined, when the tool is missing
DECLINED = (WEATHER, TIME, STOCK, SEARCH, LIGHT, MAIL)

VERBS = listed(
    "book create open close start stop delete update play set load save check order cancel print "
    "read write move copy rename export import share run convert track schedule list fetch"
)
NOUNS = listed(
    "table ticket door timer alarm song file note task event report order account invoice room "
    "flight hotel taxi meeting reminder job message device camera window robot image page record "
    "list calendar"
)
FREE_PARAMETERS = (
    Parameter(("name", "title", "label", "subject"), words),
    Parameter(("name", "owner", "person", "user", "customer"), name),
    Parameter(("city", "destination", "place", "location"), city),
    Parameter(("room",), room),
    Parameter(("color",), color),
    Parameter(
        ("id", "number", "count", "amount", "size", "hour", "minutes", "level", "volume", "page"),
        small,
        "integer",
    ),
    Parameter(("limit", "quantity", "year", "n", "width", "value", "duration"), small, "integer"),
    Parameter(("text", "note", "content", "key", "item", "topic"), word),
)


def random_kind(rng: random.Random) -> Kind:
    """A tool the model has never seen, with one or two arguments: it must read the tool's line."""
    verb, noun = rng.choice(VERBS), rng.choice(NOUNS)
    tool = f"{verb}{noun.capitalize()}" if rng.random() < 0.12 else f"{verb}_{noun}"
    drawn = [
        Parameter((rng.choice(p.names),), p.value, p.type) for p in rng.sample(FREE_PARAMETERS, rng.choice([1, 2]))
    ]
    if len({p.names for p in drawn}) < len(drawn):
        drawn = drawn[:1]
    labels = [p.names[0] for p in drawn]
    pairs = " and ".join(f"{label} {{{i}}}" for i, label in enumerate(labels))
    equal = ", ".join(f"{label}={{{i}}}" for i, label in enumerate(labels))
    questions = [
        f"{verb} the {noun} with {pairs}",
        f"{verb} a {noun} with {pairs}",
        f"use {tool} with {pairs}",
        f"call {tool} with {pairs}",
        f"call {tool} with {equal}",
        f"run {tool}: {equal}",
    ]
    if len(labels) == 1:
        questions += [
            f"{verb} {noun} {{0}}",
            f"{verb} the {noun} {{0}}",
            f"{verb} the {noun}: {{0}}",
            f"{tool} {{0}}",
        ]
    descriptions = (
        f"{verb.capitalize()} a {noun}",
        f"{verb.capitalize()}s the {noun}",
        "",
        f"Use this to {verb} a {noun}.",
    )
    topic = f"to {verb} the {noun} with {pairs}"
    return Kind(
        f"{verb}_{noun}",
        (tool,),
        tuple(drawn),
        descriptions,
        tuple(questions),
        topic,
        _with_failures(_generic, 0.1),
    )


_OPTIONAL = {
    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
    "limit": {"type": "integer"},
    "verbose": {"type": "boolean"},
    "language": {"type": "string"},
    "options": {"type": "object"},
}


def make_tool(rng: random.Random, kind: Kind) -> Tool:
    """The kind under one of its names, now and then with arguments that nobody asks for."""
    arguments = tuple(rng.choice(p.names) for p in kind.parameters)
    extra: dict[str, dict[str, Any]] = {}
    fixed: dict[str, Value] = {}
    roll = rng.random()
    if kind is WEATHER and roll < 0.2:
        extra = {"unit": _OPTIONAL["unit"]}
        if roll < 0.08:
            fixed = {"unit": "celsius"}
    elif roll < 0.12:
        key = rng.choice(sorted(set(_OPTIONAL) - {"unit"} - set(arguments)))
        extra = {key: _OPTIONAL[key]}
    return Tool(
        kind,
        rng.choice(kind.names),
        arguments,
        rng.choice(kind.descriptions),
        fixed,
        extra,
        rng.random() < 0.85,
    )


def make_tools(rng: random.Random, wanted: tuple[Kind, ...], distractors: int) -> list[Tool]:
    """Tools of the wanted kinds first, then others to choose wrongly from; names differ."""
    tools = [make_tool(rng, kind) for kind in wanted]
    while len(tools) < len(wanted) + distractors:
        kind = rng.choice(KINDS) if rng.random() < 0.6 else random_kind(rng)
        other = make_tool(rng, kind)
        if all(other.name != t.name and other.kind.key != t.kind.key for t in tools):
            tools.append(other)
    return tools
