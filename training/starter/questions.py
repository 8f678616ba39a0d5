"""Skills of one question and one answer: one small function for each.

The answer to a question is always the same, to the letter, but for stories: so a tiny model can
learn it and a script can check it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from training.starter.lexicon import (
    ANIMALS,
    COUNTRIES,
    COUNTRY_FORMS,
    DAYS,
    DISHES,
    FACTS,
    HELD_OUT_QUESTIONS,
    LANGUAGES,
    LETTERS,
    MONTHS,
    PLACES,
    SMALL_TALK,
    TRAITS,
    UNKNOWN_FORMS,
    UNKNOWN_QUESTIONS,
    UNKNOWN_TOPICS,
    WORDS,
    listed,
)
from training.starter.stories import Cast, article, long_story_text, story_text
from training.starter.toolbox import city, name, pseudo_word, word

I_DO_NOT_KNOW = (
    "I am only a tiny demo model and I do not know that. I can count, add numbers, spell words, "
    "tell stories and call tools."
)


@dataclass(frozen=True)
class Turn:
    """A question with its answer. `spoken` replaces the answer where thinking is off."""

    question: str
    thought: str
    answer: str
    spoken: str | None = None


def pick(rng: random.Random, forms: str, *values: object) -> str:
    """One of the forms, which are separated by bars, filled with the values."""
    return rng.choice(forms.split("|")).format(*values)


_QUESTION_WORDS = frozenset(listed("what what's how who which can is why do does are in where when could should"))
_GREETINGS = frozenset(listed("please can my hello hi i"))


def style(rng: random.Random, text: str) -> str:
    """The same request as different people type it: capitals, punctuation, politeness."""
    first = text.split()[0].lower()
    asks = first in _QUESTION_WORDS
    if asks and rng.random() < 0.05:
        text = pick(rng, "tell me, {}|hey, {}|hi, {}|{}, please|quick question: {}", text)
    elif not asks and first not in _GREETINGS and rng.random() < 0.08:
        text = pick(rng, "please {}|can you {}|{} please|could you {}|I want you to {}", text)
        asks = text.startswith(("can you", "could you"))
    if rng.random() < 0.6:
        text = text[0].upper() + text[1:]
    roll = rng.random()
    if asks:
        return text + ("?" if roll < 0.75 else "")
    return text + ("." if roll < 0.3 else "!" if roll < 0.36 else "")


def count(rng: random.Random) -> Turn:
    """Count up from one, between two numbers, or down."""
    roll = rng.random()
    if roll < 0.15:
        top = rng.choice([5, 10, rng.randint(2, 30)])
        forms = "count down from {0}|countdown from {0} to 1|count backwards from {0}|count down from {0} to 1"
        return _counted(rng, forms, top, 1)
    if roll < 0.32:
        start = rng.randint(0, 40)
        stop = start + rng.randint(2, 20)
        return _counted(rng, "count from {0} to {1}|numbers from {0} to {1}", start, stop)
    forms = "count to {1}|can you count to {1}|count up to {1}|count from 1 to {1}|count to {1} for me"
    common = rng.choice([5, 10, 20, 30, 50, 100])
    stop = rng.choice([rng.randint(2, 12), rng.randint(2, 25), rng.randint(2, 50), common])
    if rng.random() < 0.04:
        stop = rng.choice([rng.randint(51, 120), 150, 200])
    return _counted(rng, forms, 1, stop)


def _counted(rng: random.Random, forms: str, start: int, stop: int) -> Turn:
    step = 1 if stop >= start else -1
    numbers = ", ".join(map(str, range(start, stop + step, step)))
    thought = f"Count {'up' if step > 0 else 'down'} from {start} to {stop}."
    return Turn(pick(rng, forms, start, stop), thought, f"{numbers}.")


def add(rng: random.Random) -> Turn:
    """Add two numbers up to 99, with the working as the thought."""
    limit = rng.choice([9, 9, 20, 99, 99])
    a, b = rng.randint(0, limit), rng.randint(0, limit)
    forms = (
        "add {0} and {1}|what is {0} + {1}|what is {0} plus {1}|{0} + {1}|{0}+{1}|"
        "compute {0} + {1}|how much is {0} plus {1}|calculate {0} + {1}|what's {0} + {1}|"
        "{0} plus {1}|sum of {0} and {1}"
    )
    return sum_turn(pick(rng, forms, a, b), a, b)


def sum_turn(question: str, a: int, b: int) -> Turn:
    answer = f"{a} + {b} = {a + b}."
    if a < 10 and b < 10:
        return Turn(question, answer, answer)
    ones, tens = a % 10 + b % 10, a // 10 * 10 + b // 10 * 10
    parts = f"{a} = {a // 10 * 10} + {a % 10}; {b} = {b // 10 * 10} + {b % 10}"
    sums = f"{a % 10} + {b % 10} = {ones}; {a // 10 * 10} + {b // 10 * 10} = {tens}"
    work = f"{parts}; {sums}; {tens} + {ones} = {a + b}."
    return Turn(question, work, answer, f"{work} So {answer}")


def subtract(rng: random.Random) -> Turn:
    """Subtract: first the tens, then the ones."""
    limit = rng.choice([9, 20, 20, 50, 99])
    b, a = sorted((rng.randint(0, limit), rng.randint(0, limit)))
    forms = (
        "what is {0} - {1}|{0} - {1}|{0}-{1}|{0} minus {1}|subtract {1} from {0}|"
        "what is {0} minus {1}|calculate {0} - {1}"
    )
    question, answer = pick(rng, forms, a, b), f"{a} - {b} = {a - b}."
    if b < 10:
        return Turn(question, answer, answer)
    tens, ones = b // 10 * 10, b % 10
    work = f"{b} = {tens} + {ones}; {a} - {tens} = {a - tens}; {a - tens} - {ones} = {a - b}."
    return Turn(question, work, answer, f"{work} So {answer}")


def multiply(rng: random.Random) -> Turn:
    """The multiplication table up to twelve."""
    a, b = rng.randint(0, 12), rng.randint(0, 12)
    forms = (
        "what is {0} times {1}|{0} * {1}|multiply {0} by {1}|what is {0} x {1}|{0} times {1}|what is {0} * {1}|{0}*{1}"
    )
    return Turn(
        pick(rng, forms, a, b),
        f"{a} times {b} is {a * b}.",
        f"{a} * {b} = {a * b}.",
    )


_SPELLED = sorted({*WORDS, *ANIMALS})


def spell(rng: random.Random) -> Turn:
    """Spell a word letter by letter."""
    it = rng.choice(_SPELLED) if rng.random() < 0.92 else pseudo_word(rng)
    forms = "spell {}|how do you spell {}|spell the word {}|how is {} spelled|spell {} for me"
    return Turn(pick(rng, forms, it), f"Spell {it} letter by letter.", " ".join(it))


def alphabet(rng: random.Random) -> Turn:
    """The alphabet, and neighbours in it."""
    roll = rng.random()
    if roll < 0.4:
        forms = "say the alphabet|recite the alphabet|what is the alphabet|list the letters of the alphabet|say the abc"
        return Turn(pick(rng, forms), "List all letters from a to z.", " ".join(LETTERS) + ".")
    if roll < 0.5:
        forms = "say the alphabet backwards|recite the alphabet backwards|the alphabet in reverse"
        return Turn(
            pick(rng, forms),
            "List all letters from z to a.",
            " ".join(LETTERS[::-1]) + ".",
        )
    i = rng.randrange(25)
    before, after = LETTERS[i], LETTERS[i + 1]
    if roll < 0.75:
        form = rng.choice(
            [
                "what letter comes after {}",
                "which letter follows {}",
                "what comes after the letter {}",
            ]
        )
        return Turn(
            form.format(before),
            f"After {before} comes {after}.",
            f"The letter after {before} is {after}.",
        )
    form = rng.choice(["what letter comes before {}", "which letter is before {}"])
    return Turn(
        form.format(after),
        f"Before {after} comes {before}.",
        f"The letter before {after} is {before}.",
    )


def facts(rng: random.Random) -> Turn:
    """Days, months and a handful of simple facts."""
    roll = rng.random()
    if roll < 0.3:
        return _calendar_list(rng)
    if roll < 0.55:
        return _calendar_neighbour(rng)
    question = rng.choice(sorted(FACTS))
    return Turn(question, "I know this one.", FACTS[question])


def _calendar_list(rng: random.Random) -> Turn:
    if rng.random() < 0.5:
        forms = "list the days of the week|what are the days of the week|name the days of the week|list the days"
        return Turn(pick(rng, forms), "There are seven days.", ", ".join(DAYS) + ".")
    forms = "list the months|what are the months of the year|name the months|list the months of the year"
    return Turn(pick(rng, forms), "There are twelve months.", ", ".join(MONTHS) + ".")


def _calendar_neighbour(rng: random.Random) -> Turn:
    unit, row = rng.choice([("day", DAYS), ("month", MONTHS)])
    way, step = rng.choice([("after", 1), ("after", 1), ("before", -1)])
    i = rng.randrange(len(row))
    this, other = row[i], row[(i + step) % len(row)]
    form = rng.choice(["what {} comes {} {}", "which {} is {} {}"])
    answer = f"The {unit} {way} {this} is {other}."
    return Turn(form.format(unit, way, this), f"{way.capitalize()} {this} comes {other}.", answer)


def repeat(rng: random.Random) -> Turn:
    """Say some words again: what teaches copying, which all tool calls need."""
    draw = rng.choice([word, word, word, name, city, lambda r: str(r.randint(0, 199))])
    text = " ".join(draw(rng) for _ in range(rng.choice([1, 2, 3, 4, 5, 6, 8])))
    forms = "repeat after me: {}|say {}|repeat: {}|echo {}|say: {}|repeat the words {}|repeat this: {}"
    return Turn(pick(rng, forms, text), "Repeat the words.", text)


def make_list(rng: random.Random) -> Turn:
    """Number a few words, or count them."""
    items = [word(rng) for _ in range(rng.randint(2, 6))]
    if rng.random() < 0.3:
        counted = ", ".join(f"{i} {item}" for i, item in enumerate(items, 1))
        form = rng.choice(["how many words are in: {}", "count the words: {}", "count these words: {}"])
        return Turn(form.format(" ".join(items)), f"{counted}.", f"There are {len(items)} words.")
    lines = "\n".join(f"{i}. {item}" for i, item in enumerate(items, 1))
    form = rng.choice(["list these: {}", "make a list of: {}", "make a numbered list: {}", "list: {}"])
    return Turn(form.format(rng.choice([", ", " "]).join(items)), "Put a number before each word.", lines)


def small_talk(rng: random.Random) -> Turn:
    """Greetings and questions about the model itself."""
    question = rng.choice(sorted(SMALL_TALK))
    thought = rng.choice(["The user is talking to me. A short answer is best.", "I can answer this politely."])
    return Turn(question, thought, SMALL_TALK[question])


_HELD_OUT = frozenset(question.lower().strip("?.! ") for question in HELD_OUT_QUESTIONS)


def unknown(rng: random.Random) -> Turn:
    """Everything else: say "I do not know that" instead of answering something near by."""
    question = _unknown_question(rng)
    while question.lower().strip("?.! ") in _HELD_OUT:
        question = _unknown_question(rng)
    return Turn(question, "This is not one of the few things that I know.", I_DO_NOT_KNOW)


def unknown_held_out(rng: random.Random) -> Turn:
    """For evaluation: questions that `unknown` never writes."""
    return replace(unknown(rng), question=rng.choice(HELD_OUT_QUESTIONS))


def _unknown_question(rng: random.Random) -> str:
    topics = [rng.choice(UNKNOWN_TOPICS) if rng.random() < 0.7 else _odd_topic(rng) for _ in range(2)]
    writers: list[Callable[[], str]] = [
        lambda: rng.choice(UNKNOWN_FORMS).format(*topics),
        lambda: rng.choice(UNKNOWN_QUESTIONS),
        lambda: rng.choice(COUNTRY_FORMS).format(rng.choice([*COUNTRIES, pseudo_word(rng).capitalize(), city(rng)])),
        lambda: _translation(rng),
        lambda: _near_miss(rng),
    ]
    return rng.choices(writers, [4, 4, 2, 1, 2])[0]()


def _odd_topic(rng: random.Random) -> str:
    forms = "the {0} of {1}|how to cook {0}|the best {0}|a recipe for {0}|the {0} in the {1}|a {0}|{0}s"
    return pick(rng, forms, word(rng), word(rng))


def _translation(rng: random.Random) -> str:
    forms = (
        "translate {0} to {1}|how do you say {0} in {1}|what is {0} in {1}|translate this into {1}: {0}|say {0} in {1}"
    )
    return pick(rng, forms, " ".join(word(rng) for _ in range(rng.randint(1, 3))), rng.choice(LANGUAGES))


def _near_miss(rng: random.Random) -> str:
    """Questions that begin like ones the model can answer."""
    forms = (
        "what color is {0}|how many {0}s are there|what is the opposite of {0}ness|"
        "how do I make {0}|write a poem about a {1}|write a haiku about a {1}|"
        "how long does a {1} live|what do {1}s eat|how many {0}s are in a {2}|where do {1}s live|"
        "is a {1} a mammal|how fast is a {1}|who is {3}|what is {3}'s phone number|"
        "where does {3} live|how old is {3}|when was {3} born|how do I cook {4}|"
        "give me a recipe for {4}|write a recipe for {4}|what goes into {4}|how do you make {4}|"
        "list all {0}s|name a {1}|draw a {1}|what is a {0}|what is a {1}|why is the {0} {5}|"
        "can {1}s fly|where can I buy a {0}|count the {0}s in the {2}|what happened in {6}|"
        "what is {7} in binary|what is the square root of {7}|is {7} a prime number|factor {7}|"
        "what is {7} divided by {8}|{7} / {8}|what month is it|what day is it|which {0} is better"
    )
    slots = (
        word(rng),
        rng.choice(ANIMALS),
        rng.choice(PLACES),
        name(rng),
        rng.choice(DISHES),
        rng.choice(TRAITS),
    )
    numbers = (rng.randint(1500, 2025), rng.randint(2, 200), rng.randint(2, 12))
    return pick(rng, forms, *slots, *numbers)


def story(rng: random.Random) -> Turn:
    """A short story, about a given animal and place if they were named."""
    animal, place, roll = rng.choice(ANIMALS), rng.choice(PLACES), rng.random()
    if roll < 0.4:
        forms = "tell me a story|tell a story|write a story|write a short story|tell me a short story|a story"
        question, thought = (
            pick(rng, forms),
            f"I will tell a story about {article(animal)}.",
        )
    elif roll < 0.75:
        forms = "tell me a story about {0}|write a story about {0}|a story about {0}|write a short story about {0}"
        question = pick(rng, forms, article(animal))
        thought = f"The story needs {article(animal)}."
    else:
        forms = "tell me a story about {0} in a {1}|write a story about {0} and a {1}|a story about {0} in the {1}"
        question = pick(rng, forms, article(animal), place)
        thought = f"The story needs {article(animal)} and {article(place)}."
    return Turn(question, thought, story_text(rng, Cast.draw(rng, animal, place)))


def long_story(rng: random.Random) -> Turn:
    """A long story in chapters."""
    animal = rng.choice(ANIMALS)
    if rng.random() < 0.5:
        forms = "tell me a long story|write a long story|tell me a very long story|tell a long story"
        question = pick(rng, forms)
    else:
        forms = "tell me a long story about {0}|write a long story about {0}|a long story about {0}"
        question = pick(rng, forms, article(animal))
    thought = f"I will tell a long story about {article(animal)} in several chapters."
    return Turn(question, thought, long_story_text(rng, Cast.draw(rng, animal)))


ONE_QUESTION: dict[str, Callable[[random.Random], Turn]] = {
    "count": count,
    "add": add,
    "subtract": subtract,
    "multiply": multiply,
    "spell": spell,
    "alphabet": alphabet,
    "facts": facts,
    "repeat": repeat,
    "list": make_list,
    "story": story,
    "long_story": long_story,
    "small_talk": small_talk,
    "unknown": unknown,
}
