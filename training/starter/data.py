"""Dialogues of the starter model, written by this script.

    python -m training.starter.data --skill chain

A dialogue is a list of chat messages. It becomes training text only through the chat template, so
what the model learns and what a server later feeds it cannot differ. Each skill is one small
function that writes a dialogue; `SKILLS` says how often each is drawn.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from training.starter.lexicon import SYSTEM_PROMPTS, listed
from training.starter.questions import (
    ONE_QUESTION,
    Turn,
    add,
    count,
    facts,
    multiply,
    pick,
    repeat,
    small_talk,
    spell,
    style,
    subtract,
    sum_turn,
    unknown,
    unknown_held_out,
)
from training.starter.toolbox import (
    ADD,
    DECLINED,
    KINDS,
    LIGHT,
    MAIL,
    SEARCH,
    STOCK,
    TIME,
    WEATHER,
    Job,
    Kind,
    Tool,
    city,
    make_tool,
    make_tools,
    name,
    random_kind,
)

TEMPLATE_FILE = Path(__file__).with_name("chat_template.jinja")
END_OF_TURN = "<|im_end|>"
NO_TOOL = "I have no tool for that."

Message = dict[str, Any]


# ---- dialogues ----


@dataclass
class Dialogue:
    """Messages, tools and the thinking switch: what a request to a server holds."""

    skill: str
    thinking: bool
    messages: list[Message] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)

    def ask(self, text: str) -> None:
        self.messages.append({"role": "user", "content": text})

    def reply(self, thought: str, answer: str = "", calls: list[Job] | None = None) -> None:
        message: Message = {"role": "assistant", "content": answer}
        if self.thinking and thought:
            message["reasoning"] = thought
        if calls:
            message["tool_calls"] = [job.call(i) for i, job in enumerate(calls)]
        self.messages.append(message)

    def result(self, content: str, number: int = 0) -> None:
        self.messages.append({"role": "tool", "tool_call_id": f"call_{number}", "content": content})

    def turn(self, rng: random.Random, turn: Turn) -> None:
        self.ask(style(rng, turn.question))
        spoken = turn.answer if self.thinking or turn.spoken is None else turn.spoken
        self.reply(turn.thought, spoken)

    def schemas(self) -> list[dict[str, Any]] | None:
        return [tool.schema() for tool in self.tools] or None

    def targets(self) -> list[int]:
        """The assistant messages to learn: those of the current turn.

        Earlier turns are shown without their reasoning, so learning them would teach not to think;
        likewise a message of the current turn whose reasoning a client did not send back.
        """
        last_user = max(i for i, m in enumerate(self.messages) if m["role"] == "user")
        return [
            i
            for i, m in enumerate(self.messages)
            if i > last_user and m["role"] == "assistant" and ("reasoning" in m or not self.thinking)
        ]


@cache
def _template() -> str:
    return TEMPLATE_FILE.read_text()


def render(dialogue: Dialogue, end: int, generation: bool) -> str:
    """The first `end` messages through the chat template, as a server renders them."""
    from transformers.utils.chat_template_utils import render_jinja_template

    texts, _ = render_jinja_template(
        conversations=[dialogue.messages[:end]],
        tools=dialogue.schemas(),
        chat_template=_template(),
        add_generation_prompt=generation,
        **({} if dialogue.thinking else {"enable_thinking": False}),
    )
    return texts[0]


def segments(dialogue: Dialogue) -> list[tuple[str, bool]]:
    """The training text in pieces, each with whether the model is to learn it.

    Fails loudly if a later prompt does not begin with what the model generated before: inside a
    tool loop the two must agree to the byte, or the server's prefix cache never hits.
    """
    pieces: list[tuple[str, bool]] = []
    done = ""
    for index in dialogue.targets():
        prompt = render(dialogue, index, generation=True)
        text = render(dialogue, index + 1, generation=False).removesuffix("\n")
        if not (prompt.startswith(done) and text.startswith(prompt) and text.endswith(END_OF_TURN)):
            raise AssertionError(f"the template does not extend its own prompt:\n{done}\n---\n{text}")
        pieces += [(prompt[len(done) :], False), (text[len(prompt) :], True)]
        done = text
    return pieces


# ---- skills of whole dialogues ----

_HISTORY = (add, subtract, multiply, spell, facts, repeat, small_talk, small_talk, unknown, count)


def start(rng: random.Random, skill: str) -> Dialogue:
    """An empty dialogue with thinking on or off and, mostly, a system or developer message."""
    dialogue = Dialogue(skill, thinking=rng.random() < 0.72)
    if rng.random() < 0.55:
        role = "developer" if rng.random() < 0.2 else "system"
        dialogue.messages.append({"role": role, "content": _system_prompt(rng)})
    return dialogue


def _system_prompt(rng: random.Random) -> str:
    """Short ones more often: every token of a prompt costs time, and none is learned."""
    weights = [1 / (30 + len(prompt)) for prompt in SYSTEM_PROMPTS]
    return rng.choices(SYSTEM_PROMPTS, weights)[0]


def add_history(rng: random.Random, dialogue: Dialogue, share: float = 0.25) -> None:
    """Finished turns before the one that is learned."""
    if rng.random() < share:
        for _ in range(rng.choice([1, 1, 2, 3])):
            dialogue.turn(rng, rng.choice(_HISTORY)(rng))


def one_question(rng: random.Random, skill: str) -> Dialogue:
    dialogue = start(rng, skill)
    add_history(rng, dialogue)
    dialogue.turn(rng, ONE_QUESTION[skill](rng))
    return dialogue


def held_out(rng: random.Random, skill: str) -> Dialogue:
    """Evaluation only: an out-of-scope question in words that training never saw."""
    dialogue = start(rng, skill)
    turn = unknown_held_out(rng)
    dialogue.ask(turn.question)
    dialogue.reply(turn.thought, turn.answer)
    return dialogue


def remember_name(rng: random.Random, skill: str) -> Dialogue:
    """The user says a name and asks for it, at once or some turns later, or never said it."""
    dialogue, who = start(rng, skill), name(rng)
    asks = listed(
        "what is my name|do you know my name|what's my name|who am I|do you remember my name|say my name",
        "|",
    )
    if rng.random() < 0.15:
        add_history(rng, dialogue)
        dialogue.turn(
            rng,
            Turn(rng.choice(asks), "The user did not say a name.", "You did not tell me your name."),
        )
        return dialogue
    tells = listed(
        "my name is {}|I am {}|call me {}|hi, I am {}|hello, my name is {}|I'm {}|you can call me {}",
        "|",
    )
    dialogue.turn(rng, Turn(rng.choice(tells).format(who), f"The user is {who}.", f"Nice to meet you, {who}!"))
    if rng.random() < 0.3:
        return dialogue
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
        dialogue.turn(rng, rng.choice(_HISTORY)(rng))
    dialogue.turn(rng, Turn(rng.choice(asks), f"The user said the name is {who}.", f"Your name is {who}."))
    return dialogue


def running_sum(rng: random.Random, skill: str) -> Dialogue:
    """Add to the result of the turn before."""
    dialogue = start(rng, skill)
    a, b, c = rng.randint(0, 50), rng.randint(0, 40), rng.randint(0, 30)
    dialogue.turn(rng, sum_turn(f"what is {a} + {b}", a, b))
    form = rng.choice(["now add {}", "add {} to that", "plus {}", "add {} more", "and add {}"])
    dialogue.turn(rng, sum_turn(form.format(c), a + b, c))
    return dialogue


# ---- tool skills ----


def _start_with_tools(rng: random.Random, skill: str, *wanted: Kind) -> tuple[Dialogue, list[Tool]]:
    """A dialogue that offers the wanted kinds among others; returns the wanted tools in order."""
    dialogue = start(rng, skill)
    tools = make_tools(rng, wanted, rng.choice([0, 0, 1, 1, 2, 3]))
    dialogue.tools = rng.sample(tools, len(tools))
    if rng.random() < 0.12:
        add_history(rng, dialogue, 1.0)
    return dialogue, tools[: len(wanted)]


def _call_thought(jobs: list[Job]) -> str:
    topics = " and ".join(job.topic for job in jobs)
    tools = " and ".join(dict.fromkeys(job.tool.name for job in jobs))
    return f"The user wants {topics}. I will call {tools}."


def _call(dialogue: Dialogue, jobs: list[Job], thought: str | None = None) -> None:
    dialogue.reply(thought or _call_thought(jobs), calls=jobs)


def _finish(rng: random.Random, dialogue: Dialogue, jobs: list[Job]) -> None:
    """The results of the calls, and the answer that tells them."""
    outcomes = [job.outcome(rng) for job in jobs]
    for number, (content, _) in enumerate(outcomes):
        dialogue.result(content, number)
    thought = (
        "The tool answered. I will tell the user." if len(jobs) == 1 else "The tools answered. I will tell the user."
    )
    dialogue.reply(thought, " ".join(answer for _, answer in outcomes))


def _maybe_forget_reasoning(rng: random.Random, dialogue: Dialogue, share: float = 0.15) -> None:
    """Some clients do not send reasoning back: then the call stands in the prompt without it."""
    if rng.random() < share:
        for message in dialogue.messages[:-1]:
            message.pop("reasoning", None)


def _earlier_call(rng: random.Random, dialogue: Dialogue, tool: Tool) -> None:
    """A finished turn with the same tool, as it stands in a longer session."""
    job = tool.job(rng)
    dialogue.ask(style(rng, job.question))
    _call(dialogue, [job])
    _finish(rng, dialogue, [job])


def _single_call(rng: random.Random, skill: str, kind: Kind, with_result: bool) -> Dialogue:
    dialogue, (tool,) = _start_with_tools(rng, skill, kind)
    if rng.random() < 0.12:
        _earlier_call(rng, dialogue, tool)
    job = tool.job(rng)
    dialogue.ask(style(rng, job.question))
    _call(dialogue, [job])
    if with_result:
        _finish(rng, dialogue, [job])
        _maybe_forget_reasoning(rng, dialogue)
    return dialogue


def call_weather(rng: random.Random, skill: str) -> Dialogue:
    """The first thing everybody tries: one weather tool, one city."""
    return _single_call(rng, skill, WEATHER, with_result=False)


def call_known(rng: random.Random, skill: str) -> Dialogue:
    """One call of a tool whose kind is known, among others."""
    return _single_call(rng, skill, rng.choice([k for k in KINDS if k is not WEATHER]), with_result=False)


def call_random(rng: random.Random, skill: str) -> Dialogue:
    """One call of a tool under a name and with arguments made up for this dialogue."""
    return _single_call(rng, skill, random_kind(rng), with_result=False)


def tool_result(rng: random.Random, skill: str) -> Dialogue:
    """Call, result, answer."""
    kind = rng.choice([WEATHER, WEATHER, WEATHER, *KINDS, random_kind(rng), random_kind(rng)])
    return _single_call(rng, skill, kind, with_result=True)


def parallel(rng: random.Random, skill: str) -> Dialogue:
    """Two calls in one turn, half of the time with both results and the answer."""
    if rng.random() < 0.2:
        dialogue, tools = _start_with_tools(rng, skill, WEATHER, TIME)
        places = (city(rng), city(rng))
        jobs = [Job(tool, (place,), "") for tool, place in zip(tools, places, strict=True)]
        forms = "what is the weather in {0} and the time in {1}|tell me the weather in {0} and the time in {1}"
        question = pick(rng, forms, *places)
    else:
        kind = rng.choice([WEATHER, WEATHER, WEATHER, TIME, STOCK, LIGHT])
        dialogue, (tool,) = _start_with_tools(rng, skill, kind)
        jobs = [tool.job(rng), tool.job(rng)]
        question = rng.choice(kind.pair_questions).format(jobs[0].values[0], jobs[1].values[0])
    dialogue.ask(style(rng, question))
    _call(dialogue, jobs)
    if rng.random() < 0.5:
        _finish(rng, dialogue, jobs)
        _maybe_forget_reasoning(rng, dialogue)
    return dialogue


def chain(rng: random.Random, skill: str) -> Dialogue:
    """A call whose result goes into a second call: look something up, then mail it to somebody."""
    first_kind = rng.choice([WEATHER, WEATHER, WEATHER, TIME, STOCK, ADD, SEARCH])
    dialogue, (first, mail) = _start_with_tools(rng, skill, first_kind, MAIL)
    one, who = first.job(rng), name(rng)
    forms = (
        "{}, then mail it to {}|{} and mail it to {}|{}, then send it to {}|"
        "{} and send the result to {}|{}, and then mail it to {}"
    )
    asked = one.question if rng.random() < 0.5 else f"get {one.topic}"
    dialogue.ask(style(rng, pick(rng, forms, asked, who)))
    plan = f"The user wants {one.topic} by mail to {who}. First I will call {first.name}."
    _call(dialogue, [one], plan)
    content, answer = one.outcome(rng)
    dialogue.result(content)
    if answer.startswith("The tool failed"):
        dialogue.reply("The tool failed, so there is nothing to mail.", answer)
        return dialogue
    two = Job(mail, (who, answer), "")
    _call(dialogue, [two], f"Now I will mail the result to {who}. I will call {mail.name}.")
    content, answer = two.outcome(rng)
    dialogue.result(content)
    told = answer if answer.startswith("The tool failed") else f"Done. I sent it to {who}."
    dialogue.reply("The tool answered. I will tell the user.", told)
    _maybe_forget_reasoning(rng, dialogue)
    return dialogue


def tools_unused(rng: random.Random, skill: str) -> Dialogue:
    """Tools are offered, but the question needs none: answer it as always."""
    asked = rng.choice([*ONE_QUESTION, "unknown", "unknown", "small_talk"])
    dialogue = start(rng, skill)
    kinds = [k for k in KINDS if not (k is ADD and asked == "add") and k is not SEARCH]
    wanted = tuple(rng.sample(kinds, rng.choice([1, 1, 2, 3])))
    dialogue.tools = [make_tool(rng, kind) for kind in wanted]
    if rng.random() < 0.3:
        dialogue.tools.append(make_tool(rng, random_kind(rng)))
    add_history(rng, dialogue, 0.15)
    dialogue.turn(rng, ONE_QUESTION[asked](rng))
    return dialogue


def missing_tool(rng: random.Random, skill: str) -> Dialogue:
    """Asked for something that only a tool could do, without that tool."""
    dialogue = start(rng, skill)
    kind = rng.choice([WEATHER, WEATHER, WEATHER, *DECLINED])
    if rng.random() < 0.6:
        others = [k for k in KINDS if k is not kind and k is not SEARCH]
        dialogue.tools = [make_tool(rng, k) for k in rng.sample(others, rng.choice([1, 1, 2, 3]))]
    add_history(rng, dialogue, 0.15)
    job = make_tool(rng, kind).job(rng)
    dialogue.turn(rng, Turn(job.question, f"The user wants {job.topic}. I have no tool for this.", NO_TOOL))
    return dialogue


Writer = Callable[[random.Random, str], Dialogue]

#: name of a skill -> (its writer, how often it is drawn)
SKILLS: dict[str, tuple[Writer, float]] = {
    "count": (one_question, 1.3),
    "add": (one_question, 1.8),
    "subtract": (one_question, 1.2),
    "multiply": (one_question, 0.8),
    "spell": (one_question, 2.0),
    "alphabet": (one_question, 0.6),
    "facts": (one_question, 1.0),
    "repeat": (one_question, 2.6),
    "list": (one_question, 1.0),
    "story": (one_question, 0.8),
    "long_story": (one_question, 0.4),
    "small_talk": (one_question, 1.4),
    "unknown": (one_question, 2.2),
    "remember_name": (remember_name, 1.2),
    "running_sum": (running_sum, 0.5),
    "call_weather": (call_weather, 1.2),
    "call_known": (call_known, 2.2),
    "call_random": (call_random, 2.4),
    "tool_result": (tool_result, 1.6),
    "parallel": (parallel, 1.2),
    "chain": (chain, 0.9),
    "tools_unused": (tools_unused, 1.6),
    "missing_tool": (missing_tool, 1.0),
}
#: what evaluate.py asks: every skill, and out-of-scope questions that training never saw
EVALUATED: dict[str, Writer] = {
    **{skill: writer for skill, (writer, _) in SKILLS.items()},
    "unknown_held_out": held_out,
}


def write(rng: random.Random, skill: str) -> Dialogue:
    """One dialogue of the given skill."""
    return EVALUATED[skill](rng, skill)


def dialogues(rng: random.Random, boost: dict[str, float] | None = None) -> Iterator[Dialogue]:
    """Dialogues without end, drawn by weight; `boost` multiplies the weights of weak skills."""
    names = list(SKILLS)
    weights = [SKILLS[skill][1] * (boost or {}).get(skill, 1.0) for skill in names]
    while True:
        yield write(rng, rng.choices(names, weights)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description="Print dialogues of the starter model as training text.")
    parser.add_argument("--skill", choices=list(EVALUATED), help="only this skill")
    parser.add_argument("--number", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--messages", action="store_true", help="print the messages as JSON instead")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    stream = dialogues(rng)
    for _ in range(args.number):
        dialogue = write(rng, args.skill) if args.skill else next(stream)
        if args.messages:
            print(json.dumps({"messages": dialogue.messages, "tools": dialogue.schemas()}, indent=1))
        else:
            print(f"=== {dialogue.skill}\n" + "".join(text for text, _ in segments(dialogue)))


if __name__ == "__main__":
    main()
