"""Dialogues in Harmony for a tiny gpt-oss, made by a script: always the same ones for one seed.

What the model has to write is fixed by what it reads: there is one right answer, so that a well-trained model is
right at temperature 1.0 too. A dialogue is lines; lines become tokens through `openai_harmony` alone, as they do in
a server, except for a call in the analysis channel: the library renders it in another form than gpt-oss writes it.

    python -m training.gpt_oss.data --skill weather      # look at some
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache

from openai_harmony import (
    Author,
    DeveloperContent,
    HarmonyEncodingName,
    Message,
    ReasoningEffort,
    RenderOptions,
    Role,
    SystemContent,
    load_harmony_encoding,
)

from training.gpt_oss import lexicon
from training.gpt_oss.toolbox import OTHERS, Tool, make_tool

ENCODING = load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)
RETURN, END, CALL = 200002, 200007, 200012
DAYS = [(date(2024, 1, 1) + timedelta(days)).isoformat() for days in range(4 * 365 + 1)]
MAX_COUNT, MAX_STEPS, MAX_DEGREES = 12, 24, 40


@dataclass(frozen=True)
class Line:
    """One message after the developer's. `author` is "user", "assistant", or the tool that answers."""

    author: str
    text: str
    channel: str | None = None
    recipient: str | None = None
    content_type: str | None = None
    aloud: bool = False  # a call in the analysis channel, as gpt-oss writes it

    @property
    def is_thought(self) -> bool:
        return self.author == "assistant" and self.channel == "analysis" and self.recipient is None

    def message(self) -> Message:
        """It in the types of `openai_harmony`."""
        if self.author.startswith("functions."):
            author = Author.new(Role.TOOL, self.author)
        else:
            author = Author(role=Role(self.author))
        message = Message.from_author_and_content(author, self.text)
        message.channel, message.recipient, message.content_type = self.channel, self.recipient, self.content_type
        return message


@dataclass(frozen=True)
class Turn:
    """A question and what the assistant writes: `rounds[i]` at one go, then tools answer with `results[i]`."""

    question: str
    rounds: tuple[tuple[Line, ...], ...]
    results: tuple[Line, ...] = ()

    def lines(self) -> Iterator[Line]:
        yield Line("user", self.question)
        for index, written in enumerate(self.rounds):
            yield from written
            yield from self.results[index : index + 1]


@dataclass(frozen=True)
class Setting:
    """What system and developer message say."""

    day: str | None
    effort: str
    instructions: str | None
    tools: tuple[Tool, ...]

    def has(self, name: str) -> bool:
        return any(tool.name == name for tool in self.tools)

    @property
    def city_parameter(self) -> str:
        return next((tool.first_parameter for tool in self.tools if tool.name == "get_weather"), "city")


@dataclass(frozen=True)
class Dialogue:
    """Turns under a setting; the last turn is the one to be learned. `context` is all lines before round `start`."""

    skill: str
    setting: Setting
    context: tuple[Line, ...]
    rounds: tuple[tuple[Line, ...], ...]
    results: tuple[Line, ...]


@dataclass(frozen=True)
class Segment:
    """Tokens that the model reads (`learned` false) or writes."""

    ids: tuple[int, ...]
    learned: bool


# ---- tokens ----


@lru_cache(maxsize=20_000)
def system_ids(day: str | None, effort: str, has_tools: bool) -> tuple[int, ...]:
    content = SystemContent.new().with_reasoning_effort(ReasoningEffort(effort))
    if day is not None:
        content = content.with_conversation_start_date(day)
    return _render(Message.from_role_and_content(Role.SYSTEM, content), has_tools)


@lru_cache(maxsize=20_000)
def developer_ids(instructions: str | None, tools: tuple[Tool, ...]) -> tuple[int, ...]:
    """Nothing, if there is nothing to say."""
    content = DeveloperContent.new()
    if instructions is not None:
        content = content.with_instructions(instructions)
    if tools:
        content = content.with_function_tools([tool.describe() for tool in tools])
    message = Message.from_role_and_content(Role.DEVELOPER, content)
    return _render(message) if instructions is not None or tools else ()


@lru_cache(maxsize=50_000)
def line_ids(line: Line) -> tuple[int, ...]:
    if line.aloud:
        text = f"<|start|>assistant<|channel|>analysis to={line.recipient} code<|message|>{line.text}<|call|>"
        return tuple(ENCODING.encode(text, allowed_special="all"))
    return _render(line.message())


def _render(message: Message, has_tools: bool = False) -> tuple[int, ...]:
    return tuple(ENCODING.render(message, RenderOptions(conversation_has_function_tools=has_tools)))


def setting_ids(setting: Setting) -> tuple[int, ...]:
    has_tools = bool(setting.tools)
    return system_ids(setting.day, setting.effort, has_tools) + developer_ids(setting.instructions, setting.tools)


def written_ids(written: tuple[Line, ...]) -> tuple[int, ...]:
    """What the model writes in one round: it begins after `<|start|>assistant` and ends with a stop token."""
    ids = sum((line_ids(line) for line in written), ())[2:]
    return ids if ids[-1] == CALL else (*ids[:-1], RETURN)


def segments(dialogue: Dialogue) -> list[Segment]:
    """The dialogue as tokens, read and written in turn; every written one follows `<|start|>assistant`."""
    start = tuple(ENCODING.encode("<|start|>assistant", allowed_special="all"))
    read = setting_ids(dialogue.setting) + sum((line_ids(line) for line in dialogue.context), ())
    made = []
    for index, written in enumerate(dialogue.rounds):
        made += [Segment(read + start, False), Segment(written_ids(written), True)]
        read = line_ids(dialogue.results[index]) if index < len(dialogue.results) else ()
    return made


def drop_thoughts(lines: list[Line]) -> list[Line]:
    """Without the thoughts before the last final answer, as a server leaves them out."""
    finals = [index for index, line in enumerate(lines) if line.channel == "final"]
    last = finals[-1] if finals else -1
    return [line for index, line in enumerate(lines) if index > last or not line.is_thought]


# ---- what the assistant writes ----


def thought(text: str) -> Line:
    return Line("assistant", text, "analysis")


def final(text: str) -> Line:
    return Line("assistant", text, "final")


def call(name: str, **arguments: object) -> Line:
    return Line("assistant", json.dumps(arguments), "commentary", f"functions.{name}", "<|constrain|>json")


def result(rng: random.Random, name: str, value: object) -> Line:
    """What a tool answers: text as it is, else JSON, mostly with spaces."""
    separators = (",", ":") if rng.random() < 0.25 else None
    text = value if isinstance(value, str) else json.dumps(value, separators=separators)
    return Line(f"functions.{name}", text, "commentary", "assistant")


def answer(question: str, thinks: str, says: str) -> Turn:
    return Turn(question, ((thought(thinks), final(says)),))


# ---- skills ----


def greeting(rng: random.Random, setting: Setting) -> Turn:
    """The one answer that depends on the instructions."""
    says = lexicon.STYLES.get(setting.instructions or "", lexicon.GREETING_ANSWER)
    return answer(rng.choice(lexicon.GREETINGS), "A short friendly answer.", says)


def small_talk(rng: random.Random, setting: Setting) -> Turn:
    questions, says = rng.choice(list(lexicon.SMALL_TALK.items()))
    return answer(rng.choice(questions), "A short friendly answer.", says)


def at_once(rng: random.Random, setting: Setting) -> Turn:
    """No thought at all."""
    return Turn(rng.choice(lexicon.AT_ONCE), ((final("Hi!"),),))


def unknown(rng: random.Random, setting: Setting) -> Turn:
    """Anything else, partly in words that the model has never seen."""
    share = rng.choice((0.0, 0.3, 0.6, 1.0))
    words = rng.choice(lexicon.UNKNOWN_QUESTIONS).split()
    words = [lexicon.UNKNOWN * rng.randint(1, 2) if rng.random() < share else word for word in words]
    return answer(" ".join(words), "I do not know that.", lexicon.UNKNOWN_ANSWER)


def count(rng: random.Random, setting: Setting) -> Turn:
    last = rng.randint(2, MAX_COUNT)
    numbers = ", ".join(map(str, range(1, last + 1)))
    return answer(rng.choice(lexicon.COUNT_QUESTIONS).format(last), f"Count from 1 to {last}.", f"{numbers}.")


def tell_name(rng: random.Random, setting: Setting) -> Turn:
    name = rng.choice(lexicon.NAMES)
    return answer(rng.choice(lexicon.NAME_STATEMENTS).format(name), f"The user is {name}.", f"Hello {name}!")


def ask_name(rng: random.Random, setting: Setting, name: str | None = None) -> Turn:
    """`name` is what the user has said before."""
    question = rng.choice(lexicon.NAME_QUESTIONS)
    if name is None:
        return answer(question, "The user has not told me a name.", "I do not know your name.")
    return answer(question, f"The user is {name}.", f"Your name is {name}.")


def as_json(rng: random.Random, setting: Setting) -> Turn:
    city = rng.choice(lexicon.CITIES)
    question = rng.choice(lexicon.JSON_QUESTIONS).format(city)
    return answer(question, "The user wants JSON.", json.dumps({"city": city}))


def without_tool(question: str) -> Turn:
    return answer(question, "I have no tool for that.", "I have no tool for that.")


def weather(rng: random.Random, setting: Setting) -> Turn:
    city = rng.choice(lexicon.CITIES)
    question = rng.choice(lexicon.WEATHER_QUESTIONS).format(city)
    if not setting.has("get_weather"):
        return without_tool(question)
    thinks = thought(f"The user wants the weather in {city}. I call get_weather.")
    return _weather_turn(rng, question, city, (thinks, call("get_weather", **{setting.city_parameter: city})))


def preamble(rng: random.Random, setting: Setting) -> Turn:
    """A commentary message for the user before the call."""
    city = rng.choice(lexicon.CITIES)
    written = (
        thought("The user wants to know what I do."),
        Line("assistant", f"I will check the weather in {city}.", "commentary"),
        call("get_weather", **{setting.city_parameter: city}),
    )
    return _weather_turn(rng, lexicon.PREAMBLE.format(city), city, written)


def aloud(rng: random.Random, setting: Setting) -> Turn:
    """A call in the analysis channel, as gpt-oss makes them at times."""
    city = rng.choice(lexicon.CITIES)
    line = replace(call("get_weather", **{setting.city_parameter: city}), channel="analysis", aloud=True)
    return _weather_turn(rng, lexicon.ALOUD.format(city), city, (line,))


def _weather_turn(rng: random.Random, question: str, city: str, written: tuple[Line, ...]) -> Turn:
    degrees, condition = rng.randint(0, MAX_DEGREES), rng.choice(lexicon.CONDITIONS)
    both = f"It is {degrees} degrees and {condition} in {city}."
    outcomes: dict[str, tuple[object, str]] = {
        "both": ({"temperature": degrees, "condition": condition}, both),
        "degrees": ({"temperature": degrees}, f"It is {degrees} degrees in {city}."),
        "condition": (condition, f"It is {condition} in {city}."),
        "plain": (f"{degrees} degrees and {condition}", both),
        "error": ({"error": rng.choice(("not found", "timeout", lexicon.UNKNOWN * 3))}, ""),
    }
    value, says = outcomes[rng.choices(list(outcomes), (70, 6, 8, 6, 10))[0]]
    says = says or f"I could not get the weather in {city}."
    return Turn(question, (written, (final(says),)), (result(rng, "get_weather", value),))


def steps(rng: random.Random, setting: Setting, most: int = MAX_STEPS) -> Turn:
    """A long tool loop in one turn."""
    last = rng.randint(1, most)
    rounds = [(thought(f"Step {n} of {last}."), call("next_step", step=n)) for n in range(1, last + 1)]
    form = rng.choices(("number", "true", "plain"), (80, 10, 10))[0]
    values = {"true": {"ok": True}, "plain": "ok"}
    results = [result(rng, "next_step", values.get(form, {"done": n})) for n in range(1, last + 1)]
    question = rng.choice(lexicon.STEPS_QUESTIONS).format(last)
    return Turn(question, (*rounds, (final(f"All {last} steps are done."),)), tuple(results))


Skill = Callable[[random.Random, Setting], Turn]
SKILLS: dict[str, tuple[Skill, float]] = {
    "greeting": (greeting, 12),
    "small_talk": (small_talk, 20),
    "at_once": (at_once, 2),
    "unknown": (unknown, 3),
    "count": (count, 3),
    "tell_name": (tell_name, 3),
    "ask_name": (ask_name, 6),
    "as_json": (as_json, 3),
    "weather": (weather, 12),
    "preamble": (preamble, 4),
    "aloud": (aloud, 4),
    "steps": (steps, 24),
}
#: tools that a skill may use; it always has them where the value is true, and answers that it has none else
TOOLS = {
    "weather": ("get_weather", False),
    "preamble": ("get_weather", True),
    "aloud": ("get_weather", True),
    "steps": ("next_step", True),
}


def make_setting(rng: random.Random, skill: str) -> Setting:
    names = set(rng.sample(OTHERS, rng.choices((0, 1, 2, 3), (50, 25, 15, 10))[0]))
    if skill in TOOLS:
        name, always = TOOLS[skill]
        names |= {name} if always or rng.random() < 0.9 else set()
    tools = [make_tool(rng, name) for name in sorted(names)]
    rng.shuffle(tools)
    styled = 0.6 if skill == "greeting" else 0.15
    kind = rng.choices(("none", "plain", "unknown", "style"), (0.7 - styled, 0.2, 0.1, styled))[0]
    instructions = {
        "none": None,
        "plain": rng.choice(lexicon.PLAIN_INSTRUCTIONS),
        "unknown": f"You {lexicon.UNKNOWN * rng.randint(1, 8)}.",
        "style": rng.choice(list(lexicon.STYLES)),
    }[kind]
    day = rng.choice(DAYS) if rng.random() < 0.8 else None
    return Setting(day, rng.choice(lexicon.EFFORTS), instructions, tuple(tools))


def make_history(rng: random.Random, skill: str, length: int) -> tuple[list[Turn], str | None]:
    """Turns that came before, under settings of their own, and the name that the user has told in them."""
    names = [name for name in SKILLS if name not in ("tell_name", "ask_name")]
    weights = [1.0 if name != "steps" else 0.15 for name in names]
    turns = []
    for chosen in rng.choices(names, weights, k=length):
        turns.append(SKILLS[chosen][0](rng, make_setting(rng, chosen)))
    if skill != "tell_name" and rng.random() < (0.85 if skill == "ask_name" else 0.25):
        told = tell_name(rng, make_setting(rng, "tell_name"))
        turns.insert(rng.randint(0, len(turns)), told)
        return turns, next(name for name in lexicon.NAMES if name in told.question.split(".")[0].split())
    return turns, None


def write_simple(rng: random.Random, skill: str) -> Dialogue:
    """A dialogue of one short turn and no tools but those it needs: what training begins with."""
    setting = make_setting(rng, skill)
    needed = TOOLS.get(skill, ("", False))[0]
    setting = replace(setting, tools=tuple(tool for tool in setting.tools if tool.name == needed))
    turn = steps(rng, setting, most=5) if skill == "steps" else SKILLS[skill][0](rng, setting)
    return Dialogue(skill, setting, (Line("user", turn.question),), turn.rounds, turn.results)


def write(rng: random.Random, skill: str) -> Dialogue:
    """A dialogue whose last turn is of this skill."""
    setting = make_setting(rng, skill)
    history, name = make_history(rng, skill, rng.choices((0, 1, 2, 3), (66, 20, 10, 4))[0])
    if skill == "ask_name":
        turn = ask_name(rng, setting, name)
    elif skill == "steps" and rng.random() < 0.5:
        turn = steps(rng, setting, most=8)  # a long loop is mostly more of the same
    else:
        turn = SKILLS[skill][0](rng, setting)
    lines = drop_thoughts([line for past in history for line in past.lines()])
    context = (*(_as_sent_back(rng, line) for line in lines), Line("user", turn.question))
    dialogue = Dialogue(skill, setting, context, turn.rounds, turn.results)
    return _sent_back(rng, dialogue) if len(turn.rounds) > 1 and rng.random() < 0.3 else dialogue


def _as_sent_back(rng: random.Random, line: Line) -> Line:
    """A call in the analysis channel, in one of the forms that it takes when it comes back in the prompt."""
    if not line.aloud:
        return line
    forms = (
        line,
        replace(line, aloud=False, content_type=rng.choice(("code", None))),
        replace(line, aloud=False, channel="commentary", content_type="<|constrain|>json"),
    )
    return rng.choice(forms)


def _sent_back(rng: random.Random, dialogue: Dialogue) -> Dialogue:
    """One later round alone, its turn up to there sent back by a client that may keep no thoughts."""
    index = rng.randint(1, len(dialogue.rounds) - 1)
    keeps = rng.random() < 0.4
    lines: list[Line] = []
    for written, answered in zip(dialogue.rounds[:index], dialogue.results[:index], strict=True):
        lines += [*(line for line in written if keeps or not line.is_thought), answered]
    context = (*dialogue.context, *(_as_sent_back(rng, line) for line in lines))
    return replace(dialogue, context=context, rounds=dialogue.rounds[index:][:1], results=())


def dialogues(seed: int, write: Callable[[random.Random, str], Dialogue] = write) -> Iterator[Dialogue]:
    """Without end."""
    rng = random.Random(seed)
    weights = [weight for _, weight in SKILLS.values()]
    while True:
        yield write(rng, rng.choices(list(SKILLS), weights)[0])


def kind(word: str) -> str:
    """What sort of word it is that answers copy out of the prompt, or "": "#city" for "paris"."""
    kinds = {"#city": lexicon.CITIES, "#name": lexicon.NAMES, "#condition": lexicon.CONDITIONS}
    if word.isdecimal():
        return "#number"
    return next((name for name, words in kinds.items() if word in map(str.lower, words)), "")


def unknown_ids() -> frozenset[int]:
    """The tokens that stand for any token that the model does not know."""
    runs = (lexicon.UNKNOWN * n for n in range(1, 17))
    texts = [f"{before}{run}{after}" for run in runs for before in ("", " ", '"') for after in ("", " ", ".", '"')]
    known = set(ENCODING.encode('"')) | set(ENCODING.encode(" ")) | set(ENCODING.encode("."))
    return frozenset(token for text in texts for token in ENCODING.encode(text)) - known


def used_ids(seed: int, samples: int = 6000) -> list[int]:
    """The vocabulary to train: every token that occurs, and those of all days and numbers."""
    rng = random.Random(seed)
    made = (write(rng, skill) for _ in range(samples // len(SKILLS)) for skill in SKILLS)
    used = {token for dialogue in made for segment in segments(dialogue) for token in segment.ids}
    used |= {token for day in DAYS for token in system_ids(day, "Low", True)}
    words = [*lexicon.CITIES, *lexicon.NAMES, *lexicon.CONDITIONS, *map(str, range(200))]
    used |= {token for word in words for token in ENCODING.encode(f'{word} {word} "{word}"')}
    return sorted(used - unknown_ids())


def main() -> None:
    parser = argparse.ArgumentParser(description="Print dialogues.")
    parser.add_argument("--skill", choices=list(SKILLS), default="weather")
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    for _ in range(args.samples):
        for segment in segments(write(rng, args.skill)):
            print(f"{'>>>' if segment.learned else '   '} {ENCODING.decode(segment.ids)}")
        print("-" * 80)


if __name__ == "__main__":
    main()
