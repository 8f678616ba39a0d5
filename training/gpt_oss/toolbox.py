"""The function tools of the dialogues, as `openai_harmony` describes them to the model."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from openai_harmony import ToolDescription

from training.gpt_oss.lexicon import UNKNOWN

CITY_PARAMETERS = ("city", "location", "place", "town")
DESCRIPTIONS = {
    "get_weather": (
        "Get the weather for a city",
        "Get the weather for a city.",
        "Get the current weather for a city.",
        "Get the weather in a city",
        "Get current weather for a location",
        "The weather of a place.",
        "Weather",
        f"{UNKNOWN} weather {UNKNOWN}",
    ),
    "add": ("Add two numbers", "Add two numbers.", "The sum of two numbers.", f"{UNKNOWN} numbers"),
    "next_step": ("Do the next step", "Do the next step.", "Do one step of the task.", f"{UNKNOWN} step"),
    "get_time": ("Get the time", "The current time.", f"{UNKNOWN} time {UNKNOWN}"),
    "search": ("Search the web", "Search for something.", f"{UNKNOWN} search"),
}
OTHERS = tuple(DESCRIPTIONS)


@dataclass(frozen=True)
class Tool:
    """One function tool; `parameters` is JSON, so that a tool can be a key."""

    name: str
    description: str
    parameters: str

    def describe(self) -> ToolDescription:
        return ToolDescription.new(self.name, self.description, parameters=json.loads(self.parameters))

    @property
    def first_parameter(self) -> str:
        return next(iter(json.loads(self.parameters)["properties"]))


def make_tool(rng: random.Random, name: str) -> Tool:
    """The tool of this name with one of its descriptions, and parameters that may be described too."""
    properties: dict[str, Any] = {}
    match name:
        case "get_weather":
            city = rng.choice((CITY_PARAMETERS[0], rng.choice(CITY_PARAMETERS)))
            properties[city] = _parameter(rng, "string", ("The city", "The name of the city", "City name", UNKNOWN))
        case "add":
            kind = rng.choice(("number", "integer"))
            properties |= {side: {"type": kind} for side in ("a", "b")}
        case "next_step":
            kind = rng.choice(("number", "integer"))
            properties["step"] = _parameter(rng, kind, ("The number of the step", "Which step", UNKNOWN))
        case "get_time":
            properties["zone"] = _parameter(rng, "string", ("The time zone", UNKNOWN))
        case "search":
            properties["query"] = _parameter(rng, "string", ("What to search for", UNKNOWN))
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    if name == "get_weather" and rng.random() < 0.15:
        properties["unit"] = {"type": "string", "enum": ["celsius", "fahrenheit"]}
    return Tool(name, rng.choice(DESCRIPTIONS[name]), json.dumps(schema))


def _parameter(rng: random.Random, kind: str, descriptions: tuple[str, ...]) -> dict[str, str]:
    described = {"description": rng.choice(descriptions)} if rng.random() < 0.3 else {}
    return {"type": kind, **described}
